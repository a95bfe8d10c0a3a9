//! `check`: the verdict on an address, its reason, and whether the kernel agrees.

mod dossier;
mod inquiry;

use std::{net::IpAddr, ops::ControlFlow, sync::Arc};

use axum::body::Bytes;
use ipblock_api::{
    error::ApiError,
    types::{Check, CheckRequest, CheckRule},
};
use ipblock_common::ClassVerdict;
use ipblock_datapath::clock::Now;
use ipblock_policy::{
    Action, RuleId, ZoneName,
    explain::{Explanation, Reason},
};
use ipnet::IpNet;
use serde::Serialize;

use self::inquiry::Inquiry;
use super::{
    answers::{Array, Refusal, Sink, parse},
    bans::LiveBans,
    connections::Room,
    generations::LiveZone,
    state::Service,
};

/// Memory of a request per byte of its body, until its addresses are prefixes.
const BODY_ROOM: usize = 8;

impl Service {
    /// Answers for every address in every zone, or in the requested one, all at once and without what
    /// ended: for few addresses.
    pub(super) fn check(&self, request: &CheckRequest) -> Result<Vec<Check>, ApiError> {
        let mut answers = Vec::new();
        let mut take = |answer| {
            answers.push(answer);
            ControlFlow::Continue(())
        };
        let mut room = Room::unbounded();
        match Inquiry::new(self, request.clone(), &mut room) {
            Ok(inquiry) => inquiry.without_past().each(self, &mut take)?,
            Err(Refusal::Api(error) | Refusal::Busy(error)) => return Err(error),
        }
        Ok(answers)
    }

    /// Answers `POST /v1/check`: each answer is computed when it is written.
    pub(super) fn answer_check(
        self: &Arc<Self>,
        body: Bytes,
        room: &mut Room,
    ) -> Result<impl Serialize + use<>, Refusal> {
        room.need(body.len() * BODY_ROOM)?;
        let request = parse(body)?;
        let inquiry = Inquiry::new(self, request, room)?;
        let service = Arc::clone(self);
        Ok(Array::new(move |sink: Sink<'_, Check>| {
            inquiry.each(&service, sink)
        }))
    }

    /// Whether the kernel knows the same bans of a part with one verdict.
    fn agrees_on_bans(
        &self,
        bans: &LiveBans,
        zone: &LiveZone,
        part: IpNet,
        now: &Now,
    ) -> Result<bool, ApiError> {
        // The program of a generation that could not be replaced may read other tables, or none.
        let asked = bans.covering(part, now).is_none() || zone.generation.uses(&self.shared_maps);
        Ok(bans.kernel_agrees(part.network())? && asked)
    }
}

/// Adds the effect of bans to the answer for a part with one verdict.
fn add_bans(answer: &mut Check, bans: &LiveBans, part: IpNet, now: &Now) {
    let Some((prefix, until)) = bans.covering(part, now) else {
        return;
    };
    answer.bans = bans.all_covering(part, now);
    answer.banned_by = Some(prefix.to_string());
    answer.banned_until = until;
    if answer.reason != Reason::Allow {
        answer.verdict = Some(Action::Block);
        answer.reason = Reason::Ban;
    }
}

/// Returns the answer for a part, without its bans and without a look at the kernel.
fn answer(explanation: &Explanation<'_>, name: &ZoneName, part: IpNet) -> Check {
    let address = part.network();
    Check {
        address: if part.prefix_len() == part.max_prefix_len() {
            address.to_string()
        } else {
            part.to_string()
        },
        zone: name.to_string(),
        verdict: explanation.verdict,
        reason: explanation.reason,
        rules: explanation
            .rules
            .iter()
            .map(|found| CheckRule {
                name: found.rule.name.to_string(),
                action: found.rule.action,
                matched: found.matched.to_string(),
                excepted_by: found.excepted_by.map(|prefix| prefix.to_string()),
                expires: found.rule.expires,
                note: String::new(),
                since: None,
                entries: Vec::new(),
                except_entries: Vec::new(),
                packets: None,
                last_hit: None,
            })
            .collect(),
        allowed_by: explanation.allowed_by.map(|prefix| prefix.to_string()),
        allow_entries: Vec::new(),
        banned_by: None,
        banned_until: None,
        bans: Vec::new(),
        past: Vec::new(),
        kernel_agrees: None,
        panic_off_until: None,
    }
}

/// Whether the kernel's class for the address has the same verdict, matching rules and exceptions
/// as a walk over the ruleset.
fn agrees(
    zone: &LiveZone,
    address: IpAddr,
    explanation: &Explanation<'_>,
    now: &Now,
) -> Result<bool, ApiError> {
    let found = zone.generation.class_in_force(address, now)?;
    let (verdict, matched, excepted) = match found {
        None => (None, &[][..], &[][..]),
        Some((id, class)) => {
            let Some(known) = zone.classes.get(id as usize) else {
                return Ok(false);
            };
            (
                Some(ClassVerdict::from_number(class.verdict)),
                known.matched.as_slice(),
                known.excepted.as_slice(),
            )
        }
    };
    if explanation.allowed_by.is_some() {
        return Ok(verdict == Some(ClassVerdict::Allow));
    }
    let ids = |spared: bool| {
        let rules = explanation.rules.iter();
        let rules = rules.filter(|found| found.excepted_by.is_some() == spared);
        let mut ids: Vec<RuleId> = rules.map(|found| found.rule.id).collect();
        ids.sort_unstable();
        ids
    };
    let (expect_matched, expect_excepted) = (ids(false), ids(true));
    let unspared = explanation.rules.iter();
    let unspared = unspared.filter(|found| found.excepted_by.is_none());
    let expected = match Action::strongest(unspared.map(|found| found.rule.action)) {
        Some(action) => Some(action.verdict()),
        None if expect_excepted.is_empty() => None,
        None => Some(ClassVerdict::Default),
    };
    Ok(verdict == expected && matched == expect_matched && excepted == expect_excepted)
}
