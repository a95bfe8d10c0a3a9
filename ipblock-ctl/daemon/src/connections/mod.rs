//! Connections: who finds a place, and how long one may be slow.
//!
//! Everyone may connect, so nobody is trusted to be quick, to be brief or to speak HTTP at all. Only
//! the time that the daemon itself takes has no limit: a deploy is long, and who follows alerts waits.

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

/// The place of the connection that the running task serves. Work that goes on when the connection is
/// gone has to hold it: clients that come, ask and leave would make any amount of work otherwise.
pub(super) fn ticket() -> Option<Arc<Ticket>> {
    TICKET.try_with(Arc::clone).ok()
}

/// As many descriptors as this process may have: the least that systems give is 1,024. Pins and maps of
/// generations take some dozens a zone.
pub(super) fn make_room() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the number of open files could not be raised");
    }
}
