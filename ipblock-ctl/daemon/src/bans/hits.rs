//! What each ban has dropped: the kernel's counter, or before a reboot the store's checkpoint.

use ipblock_api::error::ApiError;
use ipblock_datapath::{BanCount, clock::Now};
use ipblock_store::BanCounts;
use ipnet::IpNet;

use super::{
    ended::EndedBans,
    live::LiveBans,
    stored::{BanId, StoredBans},
};
use crate::state::Service;

impl LiveBans {
    /// Returns what the bans of a prefix have dropped; `None` if they have no counter.
    pub(crate) fn counts(&self, prefix: IpNet, now: &Now) -> Option<BanCounts> {
        // A counter that cannot be read must not hide the ban.
        let count = self.tables.count(prefix).ok()??;
        Some(self.counts_of(prefix, count, now))
    }

    fn counts_of(&self, prefix: IpNet, count: BanCount, now: &Now) -> BanCounts {
        let before = self.saved.get(&prefix).and_then(|saved| saved.last_hit);
        BanCounts {
            packets: count.packets,
            last_hit: now.hit_time(count.last_hit_ns).or(before),
        }
    }

    /// Makes the counters of these bans available to others if their prefixes have no ban any more.
    pub(super) fn end_counts(&mut self, ids: &[BanId]) {
        // Entries of them may be in the kernel until the tables are filled again.
        if self.out_of_step {
            return;
        }
        for (prefix, _) in ids {
            if !is_known(&self.bans, &self.ended, *prefix) {
                self.tables.release(*prefix);
                self.saved.remove(prefix);
            }
        }
    }

    /// As [`LiveBans::end_counts`], of all prefixes. The tables must be filled.
    pub(super) fn end_counts_of_gone(&mut self) {
        let Self {
            bans,
            ended,
            tables,
            saved,
            ..
        } = self;
        tables.release_gone(|prefix| is_known(bans, ended, prefix));
        saved.retain(|prefix, _| is_known(bans, ended, *prefix));
    }
}

/// Whether a prefix has a ban, even one that has ended.
fn is_known(bans: &StoredBans, ended: &EndedBans, prefix: IpNet) -> bool {
    !bans.of(prefix).is_empty() || ended.of(prefix).next().is_some()
}

impl Service {
    /// Saves what bans have dropped since the last time, in case of a power loss.
    ///
    /// Each part is read and saved under the lock of the bans: no count is saved for a ban that has
    /// ended meanwhile, and requests wait for one part only.
    pub(crate) fn checkpoint_bans(&self) -> Result<(), ApiError> {
        /// Elements of the kernel's map that are read at once.
        const PART: u32 = 256;
        let mut block = 0;
        loop {
            let mut live = self.bans();
            let now = Now::read();
            let mut changed = Vec::new();
            let end = block + PART;
            let mut is_over = false;
            while block < end {
                let Some(counts) = live.tables.counts_of_block(block)? else {
                    is_over = true;
                    break;
                };
                for (prefix, count) in counts {
                    let saved = live.saved.get(&prefix).map_or(0, |saved| saved.packets);
                    if saved != count.packets {
                        changed.push((prefix, live.counts_of(prefix, count, &now)));
                    }
                }
                block += 1;
            }
            if !changed.is_empty() {
                self.store.save_ban_counts(&changed)?;
                live.saved.extend(changed);
            }
            if is_over {
                return Ok(());
            }
        }
    }
}
