//! Confirmation of amounts: what newly drops at least one percent of an address family.
//!
//! `policy::amount` defines the limit and what counts.

use std::collections::BTreeSet;

use ipblock_api::{
    error::{ApiError, ErrorKind, Needs},
    types::Diff,
};
use ipblock_datapath::clock::Now;
use ipblock_policy::amount::{WIDE_HINT, Wide, ZoneChange, newly_dropped};
use ipnet::IpNet;
use tracing::warn;

use crate::{
    bans::{StoredBans, live_prefixes},
    changes::{asked::Asked, plan::Plan},
    state::Service,
};

/// A wide change with the bans that stay in force.
struct WideChange {
    wide: Wide,
    bans: Vec<IpNet>,
}

impl Service {
    /// Refuses a plan that newly drops at least one percent of an address family, unless the
    /// operator has confirmed it. Returns warnings about what was only forced. `bans` replace those
    /// in force.
    pub(crate) fn require_asked(
        &self,
        plan: &Plan,
        bans: Option<&StoredBans>,
        asked: Asked,
    ) -> Result<Vec<String>, ApiError> {
        if asked.wide {
            return Ok(Vec::new());
        }
        let Some(found) = self.amount_of(plan, bans) else {
            return Ok(Vec::new());
        };
        if asked.force {
            let warning = format!("forced: {}", found.in_one_line(plan));
            warn!("{warning}");
            return Ok(vec![warning]);
        }
        let refusal = found.wide.refusal(&plan.after, &found.bans, plan.now);
        Err(ApiError::new(ErrorKind::Conflict, refusal)
            .with_hint(WIDE_HINT)
            .needing(Needs::Wide))
    }

    /// Adds the refusal that a deploy would return because of its amount to a diff.
    pub(crate) fn show_amount(&self, plan: &Plan, bans: Option<&StoredBans>, diff: &mut Diff) {
        if let Some(found) = self.amount_of(plan, bans) {
            let what = found.in_one_line(plan);
            diff.warnings
                .push(format!("refused without --wide: {what}"));
        }
    }

    fn amount_of(&self, plan: &Plan, bans: Option<&StoredBans>) -> Option<WideChange> {
        let used: BTreeSet<_> = {
            let state = self.read();
            let records = state.interfaces.records();
            records.map(|(_, record)| record.zone.clone()).collect()
        };
        let zones = plan.zones().filter_map(|(name, before, after)| {
            let has_interface = used.contains(name);
            let change = |after| ZoneChange {
                name,
                before,
                after,
                has_interface,
            };
            after.map(change)
        });
        let zones: Vec<_> = zones.collect();
        let now = Now::read();
        let live = self.bans().live(&now);
        let bans = bans.map(|bans| live_prefixes(bans, &now));
        let wide = newly_dropped(&zones, &live, bans.as_deref().unwrap_or(&live))?;
        let bans = bans.unwrap_or(live);
        Some(WideChange { wide, bans })
    }
}

impl WideChange {
    fn in_one_line(&self, plan: &Plan) -> String {
        self.wide.in_one_line(&plan.after, &self.bans, plan.now)
    }
}
