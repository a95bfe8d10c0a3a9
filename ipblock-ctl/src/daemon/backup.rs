//! Everything in one file, and back.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use tempfile::TempDir;
use tracing::{error, info, warn};

use super::{
    bans::{StoredBans, stored_bans},
    deploy::take_identities,
    guard::{Caller, Guarded, log_forced},
    plan::Plan,
    state::{LiveZone, Service, State, from_stored},
    switch::{Change, Replaced},
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{Applied, Deployed, RestoreQuery},
    },
    datapath::clock::Now,
    policy::{
        RuleId, Ruleset, ZoneName,
        compile::{CompiledZone, compile},
    },
    store::{DATABASE, Store, StoreError},
};

/// What the names of directories begin with in which a backup stands for a moment.
const ASIDE: &str = ".aside-";

/// A zone of a ruleset that is to be restored, with its generation.
type BuiltZone = (ZoneName, CompiledZone, LiveZone);

/// A backup that is to take the place of everything.
struct Restored {
    backup: Store,
    bans: StoredBans,
    built: Vec<BuiltZone>,
}

impl Service {
    /// A backup as an open file; it is nowhere on the disk any more when that is closed.
    pub fn back_up(&self) -> Result<File, ApiError> {
        let _change = self.begin_change();
        // What live generations have counted is part of it.
        self.checkpoint()?;
        let aside = self.directory_aside()?;
        let path = aside.path().join(DATABASE);
        self.store.back_up(&path)?;
        File::open(&path).map_err(|source| on_disk("read", &path, &source))
    }

    /// A directory of its own in the state directory, which is gone with the value.
    pub(super) fn directory_aside(&self) -> Result<TempDir, ApiError> {
        let state_dir = &self.settings.state_dir;
        tempfile::Builder::new()
            .prefix(ASIDE)
            .tempdir_in(state_dir)
            .map_err(|source| on_disk("make a directory in", state_dir, &source))
    }

    /// Replaces rules, lists, zones, bans, counters and history by those of a backup, which stands
    /// in `aside`, and puts its ruleset in force; or says what that would change.
    pub fn restore(
        &self,
        aside: &TempDir,
        query: RestoreQuery,
        caller: &Caller,
    ) -> Result<Applied, ApiError> {
        let _change = self.begin_change();
        let backup = Store::open(aside.path()).map_err(not_a_backup)?;
        let revision = backup.deployed_revision()?.map_or(0, |found| found.number);
        let ruleset = match revision {
            0 => Ruleset::default(),
            number => from_stored(&backup.ruleset(number)?)?,
        };
        let plan = self.plan_restore(&ruleset)?;
        let bans = stored_bans(&backup, &Now::read())?;
        let mut diff = plan.to_diff();
        let asked = Some(caller).filter(|_| query.dry_run);
        self.show_cut_with_bans(&plan, Some(&bans), asked, &mut diff);
        if query.dry_run {
            return Ok(Applied {
                changed: plan.changes_anything(),
                diff,
                deployed: None,
            });
        }
        if !query.force {
            self.require_confirmed()?;
        }
        if !query.force && self.read().staged.is_some() {
            return Err(ApiError::new(
                ErrorKind::Conflict,
                "edits are staged, and a restore would replace them by those of the backup",
            )
            .with_hint(
                "`ipblock-ctl deploy` or `ipblock-ctl discard` them first, or pass --force",
            ));
        }
        self.require_zones_of_interfaces(&plan.before, &plan.after)?;
        let guarded = self.guarded(Some(caller), query.force)?;
        self.judge_beforehand(&guarded, &plan, Some(&bans))?;
        // What does not compile or fit is refused before anything is replaced.
        let restored = Restored {
            backup,
            bans,
            built: self.build_restored(&ruleset)?,
        };
        let guarded = self.guarded(Some(caller), query.force)?;
        let warnings = self.replace_by(restored, &plan, &guarded)?;
        log_forced(&warnings);
        let confirm_deadline = {
            let state = self.read();
            let trial = state.confirmation.as_ref();
            trial.map(|trial| trial.deadline(&Now::read()))
        };
        let author = &caller.author;
        info!(revision, author = %author.name, uid = author.uid, "restored a backup");
        self.audit(author, "restore", &format!("revision {revision}"));
        Ok(Applied {
            diff,
            changed: true,
            deployed: Some(Deployed {
                revision,
                changed: true,
                rules: ruleset.rules.len() as u64,
                entries: plan.entries_after(),
                build_ms: 0,
                switch_ms: 0,
                confirm_deadline,
                edits: Vec::new(),
                warnings,
            }),
        })
    }

    /// What a restore changes. Identities of another store mean nothing here: rules of one name are
    /// one rule.
    fn plan_restore(&self, restored: &Ruleset) -> Result<Plan, ApiError> {
        let before = Arc::clone(&self.read().deployed);
        let mut after = restored.clone();
        for rule in &mut after.rules {
            rule.id = RuleId::default();
        }
        take_identities(&mut after, &before);
        self.plan(before, Arc::new(after))
    }

    /// Builds every zone of a ruleset that is to be restored; nothing is in force or recorded yet.
    fn build_restored(&self, ruleset: &Ruleset) -> Result<Vec<BuiltZone>, ApiError> {
        let mut built = Vec::new();
        for name in ruleset.zone_names() {
            let zone = compile(ruleset, &name, Timestamp::now()).map_err(ApiError::from);
            match zone.and_then(|zone| Ok((self.build(&zone)?, zone))) {
                Ok((live, zone)) => built.push((name, zone, live)),
                Err(error) => {
                    self.unpin_built(&built);
                    return Err(error);
                }
            }
        }
        Ok(built)
    }

    fn unpin_built(&self, built: &[BuiltZone]) {
        for (.., live) in built {
            self.unpin(live.generation.number());
        }
    }

    /// Replaces the store by a backup and puts that in force. Returns what was forced.
    ///
    /// State and bans are held all the while: what is cleared away for having ended may be in the
    /// backup with another end, and no ban may be judged by rules that go.
    fn replace_by(
        &self,
        restored: Restored,
        plan: &Plan,
        guarded: &Guarded,
    ) -> Result<Vec<String>, ApiError> {
        let Restored {
            backup,
            bans,
            built,
        } = restored;
        let mut state = self.write();
        let mut live = self.bans();
        let replaced = guarded
            .judge_plan(plan, Some(&bans), &state, &live)
            .and_then(|forced| {
                self.store.replace_with(backup)?;
                Ok(forced)
            });
        let forced = match replaced {
            Ok(forced) => forced,
            Err(error) => {
                self.unpin_built(&built);
                return Err(error);
            }
        };
        live.take_up(bans);
        let put = self.put_restored_in_force(&mut state, built);
        live.put_all_in_force();
        match put {
            Ok(old) => {
                drop((state, live));
                self.let_go(old);
                Ok(forced)
            }
            Err(error) => {
                let problem = format!("the restored ruleset is not in force yet: {error}");
                error!("{problem}");
                state.start_problems.push(problem.clone());
                Err(ApiError::new(ErrorKind::Failed, problem)
                    .with_hint("the rules from before keep filtering; restart ipblockd"))
            }
        }
    }

    /// Takes up what the store holds anew, and replaces every generation; returns the old ones. The
    /// links run them until then.
    fn put_restored_in_force(
        &self,
        state: &mut State,
        built: Vec<BuiltZone>,
    ) -> Result<Replaced, ApiError> {
        let mut loaded = State::load(&self.store)?;
        let old = std::mem::take(&mut state.zones);
        loaded.interfaces = std::mem::take(&mut state.interfaces);
        loaded.drift = std::mem::take(&mut state.drift);
        *state = loaded;
        self.alerts().forget_sources();
        let mut fresh = BTreeMap::new();
        for (name, zone, live) in built {
            self.record_built(&name, &live, &zone, state.revision)?;
            fresh.insert(name, live);
        }
        let change = Change {
            fresh,
            gone: Vec::new(),
            deploy: None,
            clear_staged: false,
        };
        self.switch(state, change)?;
        Ok(old.into_iter().collect())
    }
}

/// Removes what a daemon that was killed in the middle of a backup or a restore has left behind.
pub(super) fn remove_left_aside(state_dir: &Path) {
    for entry in fs::read_dir(state_dir).into_iter().flatten().flatten() {
        let is_aside = entry.file_name().to_string_lossy().starts_with(ASIDE);
        if !is_aside || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        match fs::remove_dir_all(&path) {
            Ok(()) => info!(path = %path.display(), "removed an unfinished backup"),
            Err(error) => warn!(path = %path.display(), %error, "an unfinished backup stays"),
        }
    }
}

fn on_disk(action: &str, path: &Path, source: &std::io::Error) -> ApiError {
    let message = format!("cannot {action} `{}`: {source}", path.display());
    ApiError::new(ErrorKind::Failed, message)
}

/// What is wrong with a file that was sent as a backup, without where it was put aside.
fn not_a_backup(error: StoreError) -> ApiError {
    let problem = match error {
        StoreError::Corrupt { detail, .. } => detail,
        StoreError::TooNew { found, known, .. } => {
            format!("it has schema version {found}, this ipblockd knows versions up to {known}")
        }
        other => return other.into(),
    };
    ApiError::new(
        ErrorKind::Invalid,
        format!("this is no backup that can be restored: {problem}"),
    )
    .with_hint("give a file that `ipblock-ctl backup` wrote; nothing was changed")
}
