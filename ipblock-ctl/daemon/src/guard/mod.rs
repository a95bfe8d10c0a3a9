//! The guard against lock-out: collects the addresses that must not be cut off, and refuses what
//! would newly drop one.
//!
//! What counts as newly dropped is `policy::guard`'s. The guard looks around before anything is
//! held, because that takes a while; it judges while the bans are held.

mod judge;
mod peers;
mod resolvers;
pub(super) mod sources;
mod sshd;
mod text;

use std::{collections::BTreeSet, sync::Arc};

use ipblock_api::{error::ApiError, types::Diff};
use ipblock_policy::guard::{Protected, lines};
use tracing::warn;

pub(super) use self::sources::Sources;
use self::{
    judge::Moment,
    sources::{SSH_PEER, Survey},
};
use super::{bans::StoredBans, caller::Caller, state::Service};
use crate::changes::plan::Plan;

/// The addresses that one change must not cut off, as they were seen for it.
#[derive(Debug)]
pub(super) struct Guarded {
    protected: Protected,
    /// Whether it may cut them off all the same.
    force: bool,
    /// Why they could not be seen, which was forced too.
    blind: Option<String>,
}

impl Service {
    /// Looks whom a change must not cut off. Without a caller no operator's SSH session is among
    /// them.
    ///
    /// A guard that cannot see refuses, since a lock-out is worse.
    pub(super) fn guarded(
        &self,
        caller: Option<&Caller>,
        force: bool,
    ) -> Result<Guarded, ApiError> {
        guarded(self.guard.look(), caller, force)
    }

    /// As [`Service::guarded`], for what is asked many times a second: connections as they are now,
    /// the rest as it was a moment ago.
    pub(super) fn guarded_quickly(
        &self,
        caller: &Caller,
        force: bool,
    ) -> Result<Guarded, ApiError> {
        guarded(self.guard.look_quickly(), Some(caller), force)
    }

    /// Judges a plan by what is in force now, when `after` are the bans from then on. Before it is
    /// put in force it is judged again: a ban may be granted meanwhile.
    pub(super) fn judge_beforehand(
        &self,
        guarded: &Guarded,
        plan: &Plan,
        after: Option<&StoredBans>,
    ) -> Result<(), ApiError> {
        let state = self.read();
        guarded
            .judge_plan(plan, after, &state, &self.bans())
            .map(drop)
    }

    /// Adds to a diff which connections would be cut and, for a caller who has only asked what
    /// would be, what would be refused.
    pub(super) fn show_cut(&self, plan: &Plan, caller: Option<&Caller>, diff: &mut Diff) {
        self.show_cut_with_bans(plan, None, caller, diff);
    }

    /// As [`Service::show_cut`], with the bans that take the place of those in force.
    pub(super) fn show_cut_with_bans(
        &self,
        plan: &Plan,
        after: Option<&StoredBans>,
        caller: Option<&Caller>,
        diff: &mut Diff,
    ) {
        let seen = match self.guard.look() {
            Ok(seen) => seen,
            Err(error) => {
                diff.warnings
                    .push(format!("the guard is blind: {}", error.message));
                return;
            }
        };
        let protected = with_caller(seen.protected.clone(), caller);
        let peers = seen.connections.peers();
        let asked = [&peers[..], &protected.addresses()].concat();
        // A busy host has many peers: nothing waits for all of them to be judged.
        let moment = {
            let state = self.read();
            Moment::of(&asked, after, &state, &self.bans())
        };
        let peers = moment.dropped_by(plan, &peers).into_iter();
        let peers: BTreeSet<_> = peers.map(|(_, address)| address).collect();
        diff.cut_peers = seen.connections.describe(&peers);
        if caller.is_none() {
            return;
        }
        let cut = moment.cut_by(plan, &protected);
        let refused = lines(&cut).into_iter();
        let refused = refused.map(|line| format!("refused without --force: {line}"));
        diff.warnings.extend(refused);
    }
}

fn guarded(
    seen: Result<Arc<Survey>, ApiError>,
    caller: Option<&Caller>,
    force: bool,
) -> Result<Guarded, ApiError> {
    let (protected, blind) = match seen {
        Ok(seen) => (seen.protected.clone(), None),
        Err(error) if force => (Protected::default(), Some(error.message)),
        Err(error) => {
            let hint = "--force goes ahead without looking whom it would cut off";
            return Err(error.with_hint(hint));
        }
    };
    Ok(Guarded {
        protected: with_caller(protected, caller),
        force,
        blind,
    })
}

fn with_caller(mut protected: Protected, caller: Option<&Caller>) -> Protected {
    for peer in caller.iter().flat_map(|caller| &caller.ssh_peers) {
        protected.add(*peer, SSH_PEER);
    }
    protected
}

/// Logs what was forced.
pub(super) fn log_forced(warnings: &[String]) {
    for warning in warnings {
        warn!("{warning}");
    }
}
