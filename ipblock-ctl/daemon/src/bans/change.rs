//! A change of bans: first on disk, then in the kernel.

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_common::limits::MAX_BANS;
use ipblock_datapath::clock::Now;
use ipblock_policy::bans::Change;
use ipblock_store::{AuditEntry, Author, GoneBan, PAST_BANS, Store};
use tracing::warn;

use super::{
    LiveBans,
    ended::Ended,
    stored::{BanId, BanUpdate, StoredBans, ended_at},
};

impl LiveBans {
    /// Changes bans on disk and then in the kernel; in neither if one of them fails.
    pub(super) fn carry_out(
        &mut self,
        store: &Store,
        changes: Vec<BanUpdate>,
        audit: Option<&AuditEntry>,
        now: &Now,
    ) -> Result<(), ApiError> {
        let ids: Vec<BanId> = changes
            .iter()
            .map(|change| (change.prefix(), change.origin().clone()))
            .collect();
        let kept = self.ended.take(&ids);
        let done = self.bans.change(changes);
        let gone = self.gone(&done.before, &kept, audit.map(|entry| &entry.author), now);
        let recorded = gone.len();
        let stored = store.change_bans(self.stored(&ids), &gone, audit);
        drop(gone);
        if let Err(error) = stored {
            self.bans.change(done.before);
            self.ended.put_back(kept);
            return Err(error.into());
        }
        let Err(refused) = self.tables.write(&done.writes) else {
            self.end_counts(&ids);
            return Ok(());
        };
        let undone = self.bans.change(done.before);
        self.ended.put_back(kept);
        self.write_or_retry(&undone.writes);
        self.end_counts(&ids);
        let undo = audit.map(|asked| AuditEntry {
            what: format!("{}-refused", asked.what),
            detail: refused.to_string(),
            ..asked.clone()
        });
        let message = format!("the kernel refused: {refused}");
        let error = ApiError::new(ErrorKind::Failed, message);
        match store.undo_ban_changes(self.stored(&ids), recorded, undo.as_ref()) {
            Ok(()) => Err(error.with_hint("no ban was changed; `ipblock-ctl bans` lists them")),
            Err(again) => {
                warn!(error = %again, "the state store could not be put back");
                Err(error.with_hint(format!(
                    "no ban was changed in the kernel, but the state store could not be put back \
                     ({again}): at the next start of ipblockd it takes effect; repeat it, or undo \
                     it with `ipblock-ctl unban`"
                )))
            }
        }
    }

    /// Returns the bans that a change has removed, given what undoes it; of many the last ones.
    fn gone<'a>(
        &self,
        before: &'a [BanUpdate],
        kept: &'a [(BanId, Ended)],
        by: Option<&'a Author>,
        now: &Now,
    ) -> Vec<GoneBan<'a>> {
        let ended = kept.iter().map(|((prefix, _), ended)| GoneBan {
            prefix: *prefix,
            ban: ended.ban.as_ref(),
            ended: ended_at(&ended.ban, now),
            by: None,
        });
        // What undoes a change begins with the last one.
        let live = before.iter().take(PAST_BANS).rev().filter_map(|change| {
            let Change::Set(prefix, ban) = change else {
                return None;
            };
            let has_ended = ban.deadline <= now.boot_ns;
            let is_replaced = self.bans.get(*prefix, &ban.info.origin).is_some();
            (has_ended || !is_replaced).then(|| GoneBan {
                prefix: *prefix,
                ban: ban.info.as_ref(),
                ended: if has_ended {
                    ended_at(&ban.info, now)
                } else {
                    now.wall
                },
                by: by.filter(|_| !has_ended),
            })
        });
        ended.chain(live).collect()
    }

    /// Records the live bans that `after` does not have, because a restore ends them. On an error they
    /// are missing among the past ones, and nothing else.
    pub(crate) fn record_replaced(
        &self,
        store: &Store,
        after: &StoredBans,
        by: &Author,
        now: &Now,
    ) {
        let live = self
            .bans
            .each()
            .filter(|(_, ban)| now.boot_ns < ban.deadline);
        let replaced = live.filter(|(prefix, ban)| after.get(*prefix, &ban.info.origin).is_none());
        let gone = replaced.take(PAST_BANS).map(|(prefix, ban)| GoneBan {
            prefix,
            ban: ban.info.as_ref(),
            ended: now.wall,
            by: Some(by),
        });
        let gone: Vec<_> = gone.collect();
        if gone.is_empty() {
            return;
        }
        if let Err(error) = store.change_bans([], &gone, None) {
            warn!(%error, "bans that a restore ended are not recorded");
        }
    }

    /// Forgets ended bans so that the store, with `bans` live ones, never contains more than
    /// [`MAX_BANS`].
    pub(super) fn make_room(
        &mut self,
        store: &Store,
        bans: usize,
        now: &Now,
    ) -> Result<(), ApiError> {
        let over = (bans + self.ended.len()).saturating_sub(MAX_BANS as usize);
        if over == 0 {
            return Ok(());
        }
        let forgotten = self.ended.to_make_room(over).into_iter();
        let forgotten = forgotten.map(|(prefix, origin)| Change::End(prefix, origin));
        self.carry_out(store, forgotten.collect(), None, now)
    }
}
