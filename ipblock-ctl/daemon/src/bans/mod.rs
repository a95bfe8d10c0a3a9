//! Bans in force: the store, the resolver and the kernel's tables, kept in sync.
//!
//! The store is written first, then the kernel, and only then is a request answered. The memory has
//! the intended state of the kernel; the kernel is never asked for it.

mod amount;
mod change;
mod ended;
mod filter;
mod hits;
mod listing;
pub(super) mod live;
mod origins;
mod outcome;
mod past;
mod record;
mod requests;
pub(super) mod stored;
mod unban;
mod warnings;

use ipblock_api::error::ApiError;
use ipblock_datapath::{clock::Now, settle};
use ipblock_policy::bans::Change;
use tracing::{debug, error, info};

use self::ended::EndedBans;
use self::stored::{BanId, BanUpdate, until, with_deadline};
pub(super) use self::{
    live::LiveBans,
    stored::{StoredBans, covering, live_prefixes, stored_bans},
};

use super::{drift::report::Drifted, state::Service};

/// Ended bans that one tick removes, so that requests do not wait long.
const CLEARED_A_TICK: usize = 20_000;

impl Service {
    /// Fills the kernel's tables with the bans of the store: all of them after a reboot.
    pub(super) fn fill_ban_tables(&self) {
        let mut live = self.bans();
        let bans = live.bans.len();
        match live.fill_tables() {
            Ok(written) => info!(bans, written, "bans are in the kernel"),
            // It is tried again every second, and `status` reports it meanwhile.
            Err(error) => error!(%error, "bans could not be put into the kernel"),
        }
    }

    /// Removes ended bans, and moves wall-clock deadlines after a step of the clock.
    pub(super) fn look_after_bans(&self) -> Result<(), ApiError> {
        let mut live = self.bans();
        let now = Now::read();
        live.follow_wall_clock(&now);
        let mut put_right = None;
        if live.out_of_step {
            live.fill_tables()?;
            put_right = live.disagreed_at.take();
        }
        let ended = live.bans.ended(now.boot_ns).take(CLEARED_A_TICK);
        let (mut aside, mut gone) = (Vec::<BanId>::new(), Vec::<BanId>::new());
        for (prefix, ban) in ended {
            let id = (prefix, ban.info.origin.clone());
            if EndedBans::can_come_back(&ban.info) {
                aside.push(id);
            } else {
                gone.push(id);
            }
        }
        if !aside.is_empty() {
            debug!(bans = aside.len(), "bans have ended by the wall clock");
            live.set_aside(aside, &now);
        }
        let too_old = live.ended.too_old(&now);
        if !gone.is_empty() || !too_old.is_empty() {
            debug!(bans = gone.len(), "bans have ended");
            let changes = gone.into_iter().chain(too_old);
            let changes = changes.map(|(prefix, origin)| Change::End(prefix, origin));
            live.carry_out(&self.store, changes.collect(), None, &now)?;
        }
        let resting = live.tables.resting();
        drop(live);
        if let Some(resting) = resting {
            settle();
            self.bans().tables.rested(resting);
        }
        if let Some(address) = put_right {
            self.repaired(
                Drifted::Bans,
                &format!("the ban tables disagreed at {address}"),
            );
        }
        Ok(())
    }
}
