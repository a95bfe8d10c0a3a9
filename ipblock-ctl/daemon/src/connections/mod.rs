//! Connections: which ones get a place, and how slow one may be.
//!
//! Every user may connect, so no peer is trusted to be fast, to be brief or to speak HTTP at all.
//! Only the daemon's own work has no time limit: a deploy takes long, and a client that follows
//! alerts waits.

mod bounds;
mod clock;
mod http1;
pub(super) mod places;
pub(super) mod rank;
pub(super) mod room;
mod serve;
#[cfg(test)]
mod tests;
mod turned_away;

use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task_local;
use tracing::warn;

pub(super) use bounds::Bounds;
pub(super) use clock::AnswerTime;
#[cfg(test)]
pub(super) use places::Tally;
pub(super) use places::{Cut, Places, Ticket, Traffic};
pub(super) use rank::Rank;
pub(super) use room::{Room, Rooms};
pub(super) use serve::serve;

task_local! {
    static TICKET: Arc<Ticket>;
}

/// Returns the place of the connection that the present task serves. Work that continues after the
/// end of the connection must keep it. Otherwise clients that send a request and leave could cause
/// any amount of work.
pub(super) fn ticket() -> Option<Arc<Ticket>> {
    TICKET.try_with(Arc::clone).ok()
}

/// Raises the limit of file descriptors to the maximum of this process: systems give at least
/// 1,024. Pins and maps of generations take a few dozen per zone.
pub(super) fn make_room() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the number of open files could not be raised");
    }
}
