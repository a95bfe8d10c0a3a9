//! `restore`: the content of a backup replaces the present one, completely or not at all.
//!
//! The backup is first imported into a store of its own, from which everything is read that a start
//! reads. So a store that a daemon cannot start from never replaces one from which it can (decision
//! 0010).

use std::{collections::BTreeMap, sync::Arc};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{Applied, BeforeAfter, Deployed, RestoreQuery, Restored, RestoredBans},
};
use ipblock_common::{Outcome, Totals, limits::MAX_BANS};
use ipblock_datapath::{DatapathError, clock::Now};
use ipblock_fault::{Step, reach};
use ipblock_policy::{
    RuleId, Ruleset, ZoneName,
    compile::{CompiledZone, compile},
};
use ipblock_store::{Author, BanCounts, Store, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;
use tempfile::TempDir;
use tracing::info;

use crate::{
    bans::{StoredBans, stored_bans},
    caller::Caller,
    changes::{asked::Asked, deploy::take_identities, plan::Plan},
    changing::Changing,
    end_times,
    generations::{
        LiveZone,
        fresh::{self, Fresh},
        switch::switch_links,
    },
    guard::{Guarded, log_forced},
    rulesets::stored_ruleset,
    state::{Service, State},
};

/// A zone of the restored ruleset with its generation.
type BuiltZone<'a> = (ZoneName, CompiledZone, Fresh<'a>);

/// A backup that a daemon can start from.
struct Accepted {
    store: Store,
    /// The directory of `store`; removed with it.
    _aside: TempDir,
    /// The state that a start would build from it.
    state: State,
    bans: StoredBans,
    ban_counts: Vec<(IpNet, BanCounts)>,
}

impl Service {
    /// Replaces rules, lists, zones, bans, counters and history with those of a backup in `aside`,
    /// and puts its ruleset in force; or returns what that would change.
    pub fn restore(
        &self,
        aside: &TempDir,
        query: RestoreQuery,
        caller: &Caller,
    ) -> Result<Applied, ApiError> {
        let changing = &self.begin_change();
        let accepted = self.accept(aside)?;
        let revision = accepted.state.rulesets.revision();
        let ruleset = Arc::clone(accepted.state.rulesets.deployed());
        let plan = self.plan_restore(&ruleset)?;
        self.require_room(&plan)?;
        let restored = self.restored(&accepted)?;
        let changed = plan.changes_anything() || restored.changes_anything();
        let mut diff = plan.to_diff();
        let asked = Some(caller).filter(|_| query.dry_run);
        self.show_cut_with_bans(&plan, Some(&accepted.bans), asked, &mut diff);
        if query.dry_run {
            self.show_amount(&plan, Some(&accepted.bans), &mut diff);
            return Ok(Applied {
                changed,
                diff,
                deployed: None,
                restored: Some(restored),
            });
        }
        if !query.force {
            self.require_confirmed()?;
        }
        if !query.force && self.read().rulesets.staged().is_some() {
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
        self.judge_beforehand(&guarded, &plan, Some(&accepted.bans))?;
        let asked = Asked {
            wide: query.wide,
            force: query.force,
        };
        let much = self.require_asked(&plan, Some(&accepted.bans), asked)?;
        let built = self.build_restored(changing, &ruleset)?;
        let guarded = self.guarded(Some(caller), query.force)?;
        let author = &caller.author;
        let mut warnings = self.replace_by(changing, accepted, built, &plan, &guarded, author)?;
        log_forced(&warnings);
        warnings.extend(much);
        let confirm_deadline = {
            let state = self.read();
            let trial = state.rulesets.confirmation();
            trial.map(|trial| end_times::displayed(&trial.trial.end, &Now::read()))
        };
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
                still_staged: None,
                warnings,
            }),
            restored: Some(restored),
        })
    }

    /// Imports the backup in `aside` into a store of this build, and reads from it what a start
    /// reads.
    fn accept(&self, aside: &TempDir) -> Result<Accepted, ApiError> {
        let own = self.directory_aside()?;
        let store = Store::open(aside.path())
            .and_then(|backup| Store::accept(backup, own.path()))
            .map_err(not_a_backup)?;
        let state = State::load(&store).map_err(|error| not_restorable(&error.message))?;
        if let Some(trial) = state.rulesets.confirmation() {
            stored_ruleset(&store, trial.trial.previous)
                .map_err(|error| not_restorable(&error.message))?;
        }
        let now = Now::read();
        let bans = stored_bans(&store, &now).map_err(not_a_backup)?;
        let ban_counts = store.ban_counts().map_err(not_a_backup)?;
        let count = bans.count_live(now.boot_ns);
        if count > MAX_BANS as usize {
            let problem = format!("{count} bans are more than the {MAX_BANS} that there may be");
            return Err(not_restorable(&problem));
        }
        Ok(Accepted {
            store,
            _aside: own,
            state,
            bans,
            ban_counts,
        })
    }

    /// Returns what a restore changes. Identities of another store mean nothing here: rules with
    /// the same name are the same rule.
    fn plan_restore(&self, restored: &Ruleset) -> Result<Plan, ApiError> {
        let before = Arc::clone(self.read().rulesets.deployed());
        let mut after = restored.clone();
        for rule in &mut after.rules {
            rule.id = RuleId::default();
        }
        take_identities(&mut after, &before);
        self.plan(before, Arc::new(after))
    }

    /// Refuses a restore that would exceed the capacity, even in a dry run.
    fn require_room(&self, plan: &Plan) -> Result<(), ApiError> {
        let capacity = self.settings.capacity;
        for (.., after) in plan.zones() {
            let entries = after.map_or(0, CompiledZone::entry_count);
            if entries > capacity as usize {
                return Err(DatapathError::Capacity { entries, capacity }.into());
            }
        }
        Ok(())
    }

    /// Returns what changes apart from the ruleset.
    fn restored(&self, accepted: &Accepted) -> Result<Restored, ApiError> {
        let state = self.read();
        let now = state.generations.counts()?.all_zones().totals;
        let then = accepted.state.generations.base().all_zones().totals;
        let edits = |state: &State| state.rulesets.staged_edits();
        Ok(Restored {
            bans: ban_change(self.bans().all(), &accepted.bans, &Now::read()),
            packets: BeforeAfter {
                before: all_packets(&now),
                after: all_packets(&then),
            },
            dropped: BeforeAfter {
                before: now[Outcome::Dropped].packets,
                after: then[Outcome::Dropped].packets,
            },
            revision: BeforeAfter {
                before: state.rulesets.revision(),
                after: accepted.state.rulesets.revision(),
            },
            staged: BeforeAfter {
                before: edits(&state),
                after: edits(&accepted.state),
            },
        })
    }

    /// Builds every zone of the restored ruleset; nothing is in force or recorded yet.
    fn build_restored(
        &self,
        changing: &Changing<'_>,
        ruleset: &Ruleset,
    ) -> Result<Vec<BuiltZone<'_>>, ApiError> {
        let mut built = Vec::new();
        for name in ruleset.zone_names() {
            let zone = compile(ruleset, &name, Timestamp::now()).map_err(ApiError::from);
            let zone = zone?;
            let fresh = self.build(changing, &zone)?;
            built.push((name, zone, fresh));
        }
        Ok(built)
    }

    /// Puts the restored ruleset and bans in force, and replaces the store in the same transaction.
    /// If one of them fails, both are unchanged. Returns what was forced.
    ///
    /// State and bans are locked throughout: an expired ban that is removed meanwhile may be in the
    /// backup with another end, and no ban may be judged by rules that are being replaced.
    fn replace_by(
        &self,
        changing: &Changing<'_>,
        accepted: Accepted,
        built: Vec<BuiltZone<'_>>,
        plan: &Plan,
        guarded: &Guarded,
        author: &Author,
    ) -> Result<Vec<String>, ApiError> {
        let mut state = self.write();
        let mut live_bans = self.bans();
        let judged = guarded.judge_plan(plan, Some(&accepted.bans), &state, &live_bans);
        let forced = judged?;
        let revision = accepted.state.rulesets.revision();
        let mut compiled = Vec::new();
        let mut fresh = BTreeMap::new();
        for (name, zone, built) in built {
            compiled.push((name.clone(), zone));
            fresh.insert(name, built);
        }
        let fresh = fresh::put_in_force(fresh);
        let records: Vec<_> = compiled
            .iter()
            .filter_map(|(name, zone)| {
                let live = fresh.get(name)?;
                Some(live.record(name, zone, revision))
            })
            .collect();
        let replaced = self.store.replace_with(accepted.store, &records, || {
            live_bans.narrow_to(&accepted.bans);
            switch_links(&mut state, &fresh)?;
            ipblock_datapath::settle();
            reach(Step::LinksSettled);
            Ok::<_, ApiError>(())
        });
        drop(records);
        if let Err(error) = replaced {
            self.undo_restore(changing, &mut state, &compiled, fresh);
            live_bans.put_all_in_force();
            let message = format!(
                "the backup could not be put in force, and nothing was changed: {}",
                error.message
            );
            return Err(ApiError { message, ..error });
        }
        let State {
            rulesets,
            generations,
            followed,
            ..
        } = accepted.state;
        for name in fresh.keys() {
            state.drift.unbuilt.remove(name);
        }
        state.rulesets.replace(changing, rulesets);
        state.followed = followed;
        let old = state.generations.replace(changing, generations, fresh);
        self.alerts.forget_sources();
        live_bans.record_replaced(&self.store, &accepted.bans, author, &Now::read());
        live_bans.take_up(accepted.bans, accepted.ban_counts);
        live_bans.put_all_in_force();
        drop((state, live_bans));
        self.let_go(old);
        Ok(forced)
    }

    /// Returns the links to the previous generations. What the restored ones have judged meanwhile
    /// counts only in the totals of the zones, because their rules belong to another store.
    fn undo_restore(
        &self,
        changing: &Changing<'_>,
        state: &mut State,
        compiled: &[(ZoneName, CompiledZone)],
        mut fresh: BTreeMap<ZoneName, LiveZone>,
    ) {
        let revision = state.rulesets.revision();
        for (name, zone) in compiled {
            if let Some(live) = fresh.get_mut(name) {
                live.classes = Arc::default();
                // On an error the counts are lost, and the next start removes the pins.
                self.store
                    .record_built(&live.record(name, zone, revision))
                    .ok();
            }
        }
        self.back_out(changing, state, fresh);
    }
}

fn all_packets(totals: &Totals) -> u64 {
    let counts = totals.iter();
    counts.fold(0, |sum: u64, (_, count)| sum.saturating_add(count.packets))
}

/// Whether two bans are equal; the store keeps microseconds.
fn is_same(one: &ipblock_store::Ban, other: &ipblock_store::Ban) -> bool {
    let end = |ban: &ipblock_store::Ban| {
        let end = ban.end.as_ref();
        end.map(|end| (end.wall.as_microsecond(), end.boot.clone()))
    };
    let kept = |ban: &ipblock_store::Ban| ipblock_store::Ban {
        time: Timestamp::UNIX_EPOCH,
        end: None,
        ..ban.clone()
    };
    end(one) == end(other)
        && one.time.as_microsecond() == other.time.as_microsecond()
        && kept(one) == kept(other)
}

/// Counts the bans that a restore adds, removes and changes.
fn ban_change(before: &StoredBans, after: &StoredBans, now: &Now) -> RestoredBans {
    let mut change = RestoredBans::default();
    for (prefix, ban) in after.each().filter(|(_, ban)| ban.deadline > now.boot_ns) {
        match before
            .get(prefix, &ban.info.origin)
            .filter(|ban| ban.deadline > now.boot_ns)
        {
            None => change.added += 1,
            Some(known) if !is_same(&known.info, &ban.info) => change.changed += 1,
            Some(_) => {}
        }
    }
    for (prefix, ban) in before.each().filter(|(_, ban)| ban.deadline > now.boot_ns) {
        let stays = after.get(prefix, &ban.info.origin);
        let stays = stays.filter(|ban| ban.deadline > now.boot_ns);
        if stays.is_none() {
            change.removed += 1;
        }
    }
    change
}

/// Describes the problem of a file that was sent as a backup, without its temporary path.
fn not_a_backup(error: StoreError) -> ApiError {
    match error {
        StoreError::Corrupt { detail, .. } => not_restorable(&detail),
        StoreError::TooNew { found, known, .. } => not_restorable(&format!(
            "it has schema version {found}, this ipblockd knows versions up to {known}"
        )),
        other => other.into(),
    }
}

fn not_restorable(problem: &str) -> ApiError {
    let message = format!("this is not an ipblock backup that can be restored: {problem}");
    ApiError::new(ErrorKind::Invalid, message)
        .with_hint("give a file that `ipblock-ctl backup` wrote; nothing was changed")
}

#[cfg(test)]
mod tests {
    use crate::backup::restore::*;
    use crate::end_times::some_moment;
    use ipblock_policy::bans::{Ban, Bans, Change, NEVER};

    /// Returns bans of a prefix, or of `PREFIX ORIGIN`, with a reason and a deadline.
    fn bans(given: &[(&str, &str, u64)]) -> StoredBans {
        let mut bans = Bans::default();
        bans.change(given.iter().map(|(prefix, reason, deadline)| {
            let (prefix, origin) = prefix.split_once(' ').unwrap_or((prefix, "manual"));
            let info = Arc::new(ipblock_store::Ban {
                origin: origin.parse().unwrap(),
                end: None,
                reason: (*reason).to_owned(),
                time: some_moment().wall,
                author: Author::daemon(),
            });
            let deadline = *deadline;
            Change::Set(prefix.parse().unwrap(), Ban { deadline, info })
        }));
        bans
    }

    #[test]
    fn bans_that_hold_before_or_after_are_counted() {
        let ended = 1;
        let before = bans(&[
            ("192.0.2.1/32", "same", NEVER),
            ("192.0.2.2/32", "old", NEVER),
            ("192.0.2.3/32", "goes", NEVER),
            ("192.0.2.4/32", "ended", ended),
            ("192.0.2.5/32", "ended", ended),
            ("192.0.2.1/32 crowdsec", "same", NEVER),
            ("192.0.2.2/32 crowdsec", "goes", NEVER),
        ]);
        let after = bans(&[
            ("192.0.2.1/32", "same", NEVER),
            ("192.0.2.2/32", "new", NEVER),
            ("192.0.2.3/32", "goes", ended),
            ("192.0.2.4/32", "comes", NEVER),
            ("192.0.2.6/32", "ended", ended),
            ("192.0.2.1/32 crowdsec", "same", NEVER),
            ("192.0.2.1/32 fail2ban/sshd", "comes", NEVER),
        ]);
        let expected = RestoredBans {
            added: 2,
            removed: 2,
            changed: 1,
        };
        assert_eq!(ban_change(&before, &after, &some_moment()), expected);
        assert_eq!(
            ban_change(&after, &after, &some_moment()),
            RestoredBans::default()
        );
    }
}
