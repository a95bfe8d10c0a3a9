//! The daemon of all schedules, the traffic of the protected address, and the present state.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use ipblock_api::{
    client::Client,
    types::{Action, BansQuery, DiscardQuery, Which},
};
use ipblock_policy::{At, DefaultVerdict, Ruleset, document};
use ipblock_tests::{DEADLINE, Daemon, FrameReceiver, Privileged, VethOptions, VethPair, patience};
use serde_json::json;

use super::{
    model::{BANNED, CUT, Facts, GUARDED, Key, OF_GUARDED, RULES, ZONES, drops_guarded},
    operations::{Shared, matched, read, ruleset},
};
use crate::scenario::marked;

/// Delay between two packets of the protected address on each interface.
const PAUSE: Duration = Duration::from_micros(300);
/// Markers of packets that must pass, and of those that may be dropped.
const GUARDED_MARKER: u64 = 1;
const FREE_MARKER: u64 = 2;

/// Fields are dropped in this order.
pub(super) struct World {
    pub(super) daemon: Daemon,
    traffic: Traffic,
    receiver: FrameReceiver,
    pairs: [VethPair; 2],
}

/// The present state.
pub(super) struct Found {
    /// With staged edits applied.
    pub(super) edited: Facts,
    /// In force.
    pub(super) deployed: Facts,
    pub(super) is_staged: bool,
    pub(super) problems: Vec<String>,
}

/// A thread that sends packets from the protected address to both interfaces.
struct Traffic {
    shared: Arc<Flow>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Default)]
struct Flow {
    stop: AtomicBool,
    /// Whether it may be dropped.
    is_free: AtomicBool,
    /// Locked while a packet is sent to each interface.
    sending: Mutex<()>,
    /// Packets to the first interface that must pass, and all packets.
    guarded: AtomicU64,
    all: AtomicU64,
}

impl World {
    pub(super) fn new(root: Privileged) -> anyhow::Result<Self> {
        let first = VethPair::new(root, VethOptions::default())?;
        let [host, peer] = [&first.host, &first.peer].map(|end| Arc::clone(&end.netns));
        let options = VethOptions {
            number: 1,
            ..VethOptions::default()
        };
        let second = VethPair::between(host, peer, options)?;
        let netns = &first.host.netns;
        netns.run(["ip", "route", "add", "default", "via", GUARDED])?;
        let daemon = Daemon::in_netns(root, netns)
            .interface(format!("{}=native", first.host.interface))
            .start()?;
        let pairs = [first, second];
        Ok(Self {
            receiver: pairs[0].receiver()?,
            traffic: Traffic::start(&pairs)?,
            daemon,
            pairs,
        })
    }

    /// The interface that is attached and detached.
    pub(super) fn second(&self) -> &str {
        &self.pairs[1].host.interface
    }

    /// Allows or forbids that the protected address is dropped.
    pub(super) fn set_free(&self, is_free: bool) {
        let flow = &self.traffic.shared;
        let _between = flow.sending.lock().unwrap_or_else(PoisonError::into_inner);
        flow.is_free.store(is_free, Ordering::Relaxed);
        // Packets sent earlier have been judged: a veth device delivers them at once.
        thread::sleep(Duration::from_millis(2) * patience());
    }

    /// Resets: no staged edits or bans, the second interface is detached, and a ruleset with these
    /// facts is deployed.
    pub(super) async fn reset(&self, client: &Client, start: &Facts) -> anyhow::Result<()> {
        client.discard(&DiscardQuery::default()).await?;
        let bans = client.bans(&BansQuery::default()).await?;
        let banned: Vec<String> = bans.iter().map(|ban| ban.prefix.to_string()).collect();
        if !banned.is_empty() {
            client.unban(&read(json!({"addresses": banned}))?).await?;
        }
        if self
            .found(client)
            .await?
            .deployed
            .iter()
            .any(|key| matches!(key, Key::Attached(_)))
        {
            client.detach(self.second(), false).await?;
        }
        let request = json!({"ruleset": ruleset(start), "file": "rules.toml", "force": true});
        client.apply(&read(request)?).await?;
        Ok(())
    }

    /// Returns the daemon's state.
    pub(super) async fn found(&self, client: &Client) -> anyhow::Result<Found> {
        let status = client.status().await?;
        let bans = client.bans(&BansQuery::default()).await?;
        let mut others = Facts::new();
        for ban in bans {
            let prefix = ban.prefix.to_string();
            let mut known = BANNED.into_iter().chain(OF_GUARDED);
            let known = known.find(|known| *known == prefix);
            others.insert(Key::Ban(
                known.with_context(|| format!("a ban of {prefix}"))?,
            ));
        }
        for zone in &status.zones {
            let attached = zone
                .interfaces
                .iter()
                .any(|found| found.name == self.second());
            let known = ZONES.into_iter().find(|known| *known == zone.name);
            others.extend(known.filter(|_| attached).map(Key::Attached));
        }
        let of = async |which| {
            let text = client.ruleset(which).await?.ruleset;
            let ruleset = document::parse(&text, "the daemon", true)?;
            anyhow::Ok(&facts_of(&ruleset)? | &others)
        };
        Ok(Found {
            edited: of(Which::Staged).await?,
            deployed: of(Which::Deployed).await?,
            is_staged: status.staged > 0,
            problems: status.problems,
        })
    }

    /// Asserts that the kernel agrees, and that each address has the verdict of a naive evaluation
    /// of the state.
    pub(super) async fn assert_judged(&self, client: &Client, facts: &Facts) -> anyhow::Result<()> {
        let mut expected = vec![(GUARDED.to_owned(), None)];
        for prefix in BANNED {
            let address = prefix.trim_end_matches("/32").to_owned();
            expected.push((address, Some(facts.contains(&Key::Ban(prefix)))));
        }
        for name in RULES {
            expected.push((matched(name)?, Some(facts.contains(&Key::Rule(name)))));
        }
        let addresses: Vec<&String> = expected.iter().map(|(address, _)| address).collect();
        let answers = client
            .check(&read(json!({"addresses": addresses}))?)
            .await?;
        ensure!(answers.len() == ZONES.len() * expected.len(), "{answers:?}");
        for answer in answers {
            let zone = ZONES.into_iter().find(|zone| *zone == answer.zone);
            let zone = zone.with_context(|| format!("{answer:?}"))?;
            let by_default = zone == "dmz" && facts.contains(&Key::DropsByDefault);
            let found = expected
                .iter()
                .find(|(address, _)| *address == answer.address);
            let drops = match found.with_context(|| format!("{answer:?}"))?.1 {
                None => drops_guarded(facts, zone),
                Some(drops) => drops || by_default,
            };
            let agrees = answer.kernel_agrees == Some(true)
                && (answer.verdict == Some(Action::Block)) == drops;
            ensure!(agrees, "{answer:?}, and by {facts:?} {drops}");
        }
        Ok(())
    }

    /// Asserts that every packet that had to pass has arrived; returns the total number of packets.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        self.traffic.end()?;
        let flow = &self.traffic.shared;
        let guarded = flow.guarded.load(Ordering::Relaxed);
        self.receiver
            .wait_for_count(GUARDED_MARKER, guarded, DEADLINE)?;
        ensure!(
            self.receiver.lost()? == 0,
            "frames that the test did not see"
        );
        Ok(flow.all.load(Ordering::Relaxed))
    }

    /// Returns the state that all clients of a schedule share.
    pub(super) fn shared(&self, force: bool) -> Shared {
        Shared {
            socket: self.daemon.socket(),
            interface: self.second().to_owned(),
            told: Mutex::default(),
            tally: Mutex::default(),
            force,
        }
    }
}

impl Traffic {
    fn start(pairs: &[VethPair; 2]) -> anyhow::Result<Self> {
        let senders = [pairs[0].sender()?, pairs[1].sender()?];
        let [guarded, free] = [GUARDED_MARKER, FREE_MARKER].map(|marker| marked(GUARDED, marker));
        let shared = Arc::new(Flow::default());
        let thread = thread::spawn({
            let flow = Arc::clone(&shared);
            move || {
                while !flow.stop.load(Ordering::Relaxed) {
                    let between = flow.sending.lock().unwrap_or_else(PoisonError::into_inner);
                    let is_free = flow.is_free.load(Ordering::Relaxed);
                    for sender in &senders {
                        sender.send(if is_free { &free } else { &guarded })?;
                    }
                    drop(between);
                    flow.guarded
                        .fetch_add(u64::from(!is_free), Ordering::Relaxed);
                    flow.all.fetch_add(2, Ordering::Relaxed);
                    thread::sleep(PAUSE * patience());
                }
                Ok(())
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended")?;
        thread.join().expect("no panic")
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Returns the total number of dropped packets; only the protected address sends any.
pub(super) async fn dropped(client: &Client) -> anyhow::Result<u64> {
    Ok(client.counters().await?.totals.dropped.packets)
}

fn facts_of(ruleset: &Ruleset) -> anyhow::Result<Facts> {
    let guarded = At::Prefix(OF_GUARDED[0].parse()?);
    let mut facts = Facts::new();
    if ruleset.allow.iter().any(|element| element.at == guarded) {
        facts.insert(Key::Allow(None));
    }
    for (name, zone) in &ruleset.zones {
        if zone.allow.iter().any(|element| element.at == guarded) {
            ensure!(name.as_str() == "default", "an allow list of zone {name}");
            facts.insert(Key::Allow(Some("default")));
        }
        if zone.default == DefaultVerdict::Drop {
            ensure!(name.as_str() == "dmz", "a default of zone {name}");
            facts.insert(Key::DropsByDefault);
        }
    }
    for rule in &ruleset.rules {
        let mut known = RULES.into_iter().chain([CUT]);
        let known = known.find(|known| *known == rule.name.as_str());
        facts.insert(Key::Rule(
            known.with_context(|| format!("a rule {}", rule.name))?,
        ));
    }
    Ok(facts)
}
