//! The guard against lock-out: collects the protected addresses, and refuses changes that would
//! newly drop one.
//!
//! `policy::guard` defines what counts as newly dropped. The guard collects addresses before it
//! takes any lock, because that takes some time; it judges while the bans are locked.

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

/// The protected addresses for one change.
#[derive(Debug)]
pub(super) struct Guarded {
    protected: Protected,
    /// Whether the change may drop them.
    force: bool,
    /// Why they could not be collected, which was forced too.
    blind: Option<String>,
}

impl Service {
    /// Collects the addresses that a change must not drop. Without a caller they contain no
    /// operator's SSH session.
    ///
    /// If they cannot be collected, it refuses, because a lock-out is worse.
    pub(super) fn guarded(
        &self,
        caller: Option<&Caller>,
        force: bool,
    ) -> Result<Guarded, ApiError> {
        guarded(self.guard.look(), caller, force)
    }

    /// As [`Service::guarded`], for calls many times a second: present connections, and other data
    /// that is up to a second old.
    pub(super) fn guarded_quickly(
        &self,
        caller: &Caller,
        force: bool,
    ) -> Result<Guarded, ApiError> {
        guarded(self.guard.look_quickly(), Some(caller), force)
    }

    /// Judges a plan by the present state; `after` are the bans from then on. It is judged again
    /// when it is put in force, because a ban may be made meanwhile.
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

    /// Adds the connections that would be cut to a diff and, for a caller who only asks for a
    /// preview, the refusal.
    pub(super) fn show_cut(&self, plan: &Plan, caller: Option<&Caller>, diff: &mut Diff) {
        self.show_cut_with_bans(plan, None, caller, diff);
    }

    /// As [`Service::show_cut`], with bans that replace the present ones.
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
        // A busy host has many peers, so no lock is held while they are judged.
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
