//! A change of bans: first on disk, then in the kernel.

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_common::limits::MAX_BANS;
use ipblock_store::{AuditEntry, Store};
use ipnet::IpNet;
use tracing::warn;

use super::{LiveBans, stored::BanUpdate};

impl LiveBans {
    /// Changes bans on disk and then in the kernel; in neither if one of them fails.
    pub(super) fn carry_out(
        &mut self,
        store: &Store,
        changes: Vec<BanUpdate>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), ApiError> {
        let prefixes: Vec<IpNet> = changes.iter().map(|(prefix, _)| *prefix).collect();
        let kept = self.ended.take(&prefixes);
        let done = self.bans.change(changes);
        if let Err(error) = store.change_bans(self.stored(&prefixes), audit) {
            self.bans.change(done.before);
            self.ended.put_back(kept);
            return Err(error.into());
        }
        let Err(refused) = self.tables.write(&done.writes) else {
            return Ok(());
        };
        let undone = self.bans.change(done.before);
        self.ended.put_back(kept);
        self.write_or_retry(&undone.writes);
        let undo = audit.map(|asked| AuditEntry {
            what: format!("{}-refused", asked.what),
            detail: refused.to_string(),
            ..asked.clone()
        });
        let message = format!("the kernel refused: {refused}");
        let error = ApiError::new(ErrorKind::Failed, message);
        match store.change_bans(self.stored(&prefixes), undo.as_ref()) {
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

    /// Forgets ended bans so that the store, with `bans` live ones, never contains more than
    /// [`MAX_BANS`].
    pub(super) fn make_room(&mut self, store: &Store, bans: usize) -> Result<(), ApiError> {
        let over = (bans + self.ended.len()).saturating_sub(MAX_BANS as usize);
        if over == 0 {
            return Ok(());
        }
        let forgotten = self.ended.to_make_room(over).into_iter();
        let forgotten = forgotten.map(|prefix| (prefix, None)).collect();
        self.carry_out(store, forgotten, None)
    }
}
