//! The operations of a schedule's clients.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context as _, bail};
use ipblock_api::{
    client::{Client, ClientError},
    error::ErrorKind,
};
use ipblock_tests::random::Random;
use serde::Serialize;
use serde_json::{Value, json};

use super::model::{BANNED, CUT, Facts, GUARDED, Key, OF_GUARDED, RULES, Told, ZONES};

/// One operation of a client.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Bans a prefix, or removes its ban.
    Ban(&'static str, bool),
    /// Changes a fact of the staged ruleset, and perhaps deploys it.
    Edit { key: Key, on: bool, deploy: bool },
    /// Deploys the staged ruleset.
    Deploy,
    /// Applies a ruleset file with this fact.
    Apply(Facts),
    /// Attaches the second interface to this zone.
    Attach(&'static str),
    /// Detaches it.
    Detach,
}

/// Number of completed and refused operations per kind.
pub(super) type Tally = BTreeMap<&'static str, [u64; 2]>;

/// The state that all clients of a schedule share.
pub(super) struct Shared {
    pub(super) socket: PathBuf,
    /// The interface that is attached and detached.
    pub(super) interface: String,
    pub(super) told: Mutex<Told>,
    pub(super) tally: Mutex<Tally>,
    /// Whether the guard may be overridden, and whether it was.
    pub(super) force: bool,
}

impl Operation {
    /// Any operation.
    pub(super) fn some(random: &mut Random, client: usize) -> Self {
        match random.below(12) {
            0 => Self::Ban(BANNED[client], true),
            1 => Self::Ban(BANNED[client], false),
            2..=5 => Self::against(random),
            6 => Self::Ban(OF_GUARDED[random.below(2)], false),
            7 => Self::Deploy,
            8 => Self::Detach,
            9 => Self::Edit {
                key: Key::Allow([None, Some("default")][random.below(2)]),
                on: true,
                deploy: random.below(2) == 0,
            },
            _ => {
                let keys = Key::of_rulesets();
                let shared = random.one_of(&keys).copied();
                let own = Key::Rule(RULES[client]);
                Self::Edit {
                    key: shared
                        .filter(|key| !is_of_another(*key, client))
                        .unwrap_or(own),
                    on: random.below(2) == 0,
                    deploy: random.below(2) == 0,
                }
            }
        }
    }

    /// One that would drop the protected address, alone or together with another one.
    pub(super) fn against(random: &mut Random) -> Self {
        let edit = |key, on| Self::Edit {
            key,
            on,
            deploy: true,
        };
        match random.below(9) {
            0..=2 => Self::Ban(OF_GUARDED[random.below(2)], true),
            3 => edit(Key::Allow(None), false),
            4 => edit(Key::Allow(Some("default")), false),
            5 => edit(Key::Rule(CUT), true),
            6 => edit(Key::DropsByDefault, true),
            7 => Self::Attach(ZONES[random.below(2)]),
            _ => {
                let keys = Key::of_rulesets().into_iter();
                Self::Apply(keys.filter(|_| random.below(2) == 0).collect())
            }
        }
    }

    /// One that drops the protected address if that is banned too, and is allowed only by this
    /// list.
    pub(super) fn against_ban(random: &mut Random, allowed_in: Option<&'static str>) -> Self {
        match random.below(4) {
            0 => Self::Apply(Facts::new()),
            1 if allowed_in.is_some() => Self::Attach("dmz"),
            _ => Self::Edit {
                key: Key::Allow(allowed_in),
                on: false,
                deploy: true,
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ban(prefix, true) if OF_GUARDED.contains(prefix) => "ban of the guarded",
            Self::Ban(_, true) => "ban",
            Self::Ban(_, false) => "unban",
            Self::Edit {
                key: Key::Allow(_),
                on,
                ..
            } if *on => "allow add",
            Self::Edit {
                key: Key::Allow(_), ..
            } => "allow remove",
            Self::Edit { .. } => "edit",
            Self::Deploy => "deploy",
            Self::Apply(_) => "apply",
            Self::Attach(_) => "attach",
            Self::Detach => "detach",
        }
    }
}

fn is_of_another(key: Key, client: usize) -> bool {
    matches!(key, Key::Rule(name) if RULES.iter().position(|rule| *rule == name).is_some_and(|of| of != client))
}

impl Shared {
    /// Uses one connection per request, like `ipblock-ctl`.
    pub(super) fn client(&self) -> Client {
        Client::new(self.socket.clone())
    }

    /// Executes it, and records the report.
    pub(super) async fn carry_out(&self, operation: &Operation) -> anyhow::Result<()> {
        let begun = Instant::now();
        let client = self.client();
        let done = match operation {
            Operation::Ban(prefix, true) => {
                let request =
                    json!({"addresses": [prefix], "expires": {"after": 3600}, "force": self.force});
                let done = client.ban(&read(request)?).await;
                self.told(done, &[(Key::Ban(prefix), true)], begun)?
            }
            Operation::Ban(prefix, false) => {
                let request = json!({"addresses": [prefix]});
                let done = client.unban(&read(request)?).await;
                self.told(done, &[(Key::Ban(prefix), false)], begun)?
            }
            Operation::Edit { key, on, deploy } => {
                let request = json!({"edits": [edit(*key, *on)?]});
                let done = client.edit(&read(request)?).await;
                let done = self.told(done, &[(*key, *on)], begun)?;
                if done {
                    self.lock_told().staged();
                }
                if done && *deploy {
                    self.deploy().await?;
                }
                done
            }
            Operation::Deploy => self.deploy().await?,
            Operation::Apply(facts) => {
                let request =
                    json!({"ruleset": ruleset(facts), "file": "rules.toml", "force": self.force});
                let done = client.apply(&read(request)?).await;
                let keys = Key::of_rulesets().into_iter();
                let told: Vec<_> = keys.map(|key| (key, facts.contains(&key))).collect();
                self.told(done, &told, begun)?
            }
            Operation::Attach(zone) => {
                let request = json!({"interface": self.interface, "mode": "native", "zone": zone,
                    "force": self.force});
                let done = client.attach(&read(request)?).await;
                let told = ZONES.map(|other| (Key::Attached(other), other == *zone));
                self.told(done, &told, begun)?
            }
            Operation::Detach => {
                let done = client.detach(&self.interface, false).await;
                self.told(done, &ZONES.map(|zone| (Key::Attached(zone), false)), begun)?
            }
        };
        self.count(operation.name(), done);
        Ok(())
    }

    async fn deploy(&self) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let request = json!({"force": self.force});
        let done = self.client().deploy(&read(request)?).await;
        let done = self.told(done, &[], begun)?;
        if done {
            self.lock_told().deployed(begun);
        }
        Ok(done)
    }

    /// Returns whether it was done; a refusal is an answer too, but a failure is not.
    fn told<T: Serialize>(
        &self,
        answer: Result<T, ClientError>,
        told: &[(Key, bool)],
        begun: Instant,
    ) -> anyhow::Result<bool> {
        match answer {
            Ok(_) => {
                let mut all = self.lock_told();
                for (key, on) in told {
                    all.add(*key, *on, begun);
                }
                Ok(true)
            }
            Err(ClientError::Api(error)) if error.kind != ErrorKind::Failed => Ok(false),
            Err(error) => bail!("{error}"),
        }
    }

    pub(super) fn lock_told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, name: &'static str, done: bool) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.entry(name).or_default()[usize::from(!done)] += 1;
    }
}

/// Builds a request as a client does: unknown fields have their defaults.
pub(super) fn read<T: serde::de::DeserializeOwned>(request: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(request)?)
}

fn edit(key: Key, on: bool) -> anyhow::Result<Value> {
    Ok(match (key, on) {
        (Key::Allow(zone), true) => {
            json!({"edit": "add_allow", "zone": zone, "addresses": [GUARDED]})
        }
        (Key::Allow(zone), false) => {
            json!({"edit": "remove_allow", "zone": zone, "addresses": [GUARDED]})
        }
        (Key::Rule(name), true) => {
            json!({"edit": "add_rule", "name": name, "action": "block", "match": [matched(name)?]})
        }
        (Key::Rule(name), false) => json!({"edit": "remove_rules", "names": [name]}),
        (Key::DropsByDefault, on) => {
            let default = if on { "drop" } else { "pass" };
            json!({"edit": "set_zone", "name": "dmz", "default": default})
        }
        (key, _) => bail!("{key:?} is not of a ruleset"),
    })
}

/// Returns the match of a rule.
pub(super) fn matched(rule: &str) -> anyhow::Result<String> {
    if rule == CUT {
        return Ok(GUARDED.to_owned());
    }
    let number = RULES
        .iter()
        .position(|name| *name == rule)
        .context("a rule")?;
    Ok(format!("203.0.113.{number}"))
}

/// Returns a ruleset file with this fact.
pub(super) fn ruleset(facts: &Facts) -> String {
    let allow = |zone| {
        let on = facts.contains(&Key::Allow(zone));
        if on {
            format!("[\"{GUARDED}\"]")
        } else {
            "[]".to_owned()
        }
    };
    let default = if facts.contains(&Key::DropsByDefault) {
        "drop"
    } else {
        "pass"
    };
    let mut text = format!(
        "[allow]\nmatch = {}\n[zone.default]\nallow = {}\n[zone.dmz]\ndefault = \"{default}\"\n",
        allow(None),
        allow(Some("default")),
    );
    for key in facts {
        if let Key::Rule(name) = key
            && let Ok(matched) = matched(name)
        {
            let _ = writeln!(
                text,
                "[[rule]]\nname = \"{name}\"\naction = \"block\"\nmatch = [\"{matched}\"]"
            );
        }
    }
    text
}
