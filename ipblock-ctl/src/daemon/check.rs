//! `check`: what happens to an address, why, and whether the kernel agrees.

use std::net::IpAddr;

use ipblock_common::ClassVerdict;
use ipnet::IpNet;

use super::{
    addresses::prefixes,
    bans::LiveBans,
    state::{LiveZone, Service},
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{Check, CheckRequest, CheckRule, CheckVerdict, Reason as ApiReason},
    },
    datapath::clock::Now,
    policy::{
        Action, RuleId, ZoneName,
        address::AddressError,
        explain::{Explainer, Explanation, Reason, Verdict},
    },
};

/// How many differently judged parts of one prefix are told apart.
const MAX_PARTS: usize = 256;
/// Addresses that one request may ask for, and answers that it may get.
const MAX_QUESTIONS: usize = 100_000;

impl Service {
    /// Answers for every address in every zone, or in the one asked for.
    ///
    /// A prefix is answered in as few parts as have one fate each.
    pub fn check(&self, request: &CheckRequest) -> Result<Vec<Check>, ApiError> {
        let now = Now::read();
        // Many questions take long: nothing is held meanwhile that a deploy would wait for.
        let (deployed, mut zones) = {
            let state = self.read();
            let deployed = state.durations.as_of(&state.deployed, &now);
            (deployed, state.zones.clone())
        };
        let prefixes = prefixes(&deployed, &request.addresses, MAX_QUESTIONS, too_many)?;
        if let Some(name) = &request.zone {
            zones.retain(|zone, _| zone.as_str() == name);
            if zones.is_empty() {
                let message = format!("there is no zone `{name}`");
                return Err(ApiError::new(ErrorKind::NotFound, message)
                    .with_hint("`ipblock-ctl zone list` names them"));
            }
        }
        let mut answers = Vec::new();
        for (name, zone) in &zones {
            let explainer = Explainer::about(&deployed, name, now.wall, prefixes.iter().copied());
            for prefix in &prefixes {
                let bans = self.bans();
                let parts = bans
                    .borders(*prefix, &now, 2 * MAX_PARTS + 1)
                    .and_then(|borders| explainer.parts(*prefix, &borders, MAX_PARTS));
                let parts = parts.ok_or_else(|| {
                    let message =
                        format!("{prefix} has more than {MAX_PARTS} parts with different answers");
                    ApiError::new(ErrorKind::Invalid, message).with_hint("check a longer prefix")
                })?;
                if answers.len() + parts.len() > MAX_QUESTIONS {
                    return Err(too_many());
                }
                for part in parts {
                    let mut answer = answer(&explainer, name, zone, part, &now)?;
                    self.ask_bans(&mut answer, &bans, zone, part, &now)?;
                    answers.push(answer);
                }
            }
        }
        Ok(answers)
    }

    /// Adds what bans do to the answer for a part of one fate.
    fn ask_bans(
        &self,
        answer: &mut Check,
        bans: &LiveBans,
        zone: &LiveZone,
        part: IpNet,
        now: &Now,
    ) -> Result<(), ApiError> {
        let covering = bans.covering(part, now);
        let agrees = bans.kernel_agrees(part.network())?;
        // The program of a generation that could not be replaced may ask other tables, or none.
        let asked = covering.is_none() || zone.generation.uses(&self.shared_maps);
        answer.kernel_agrees &= agrees && asked;
        let Some((prefix, until)) = covering else {
            return Ok(());
        };
        answer.banned_by = Some(prefix.to_string());
        answer.banned_until = until;
        if answer.reason != ApiReason::Allow {
            answer.verdict = CheckVerdict::Block;
            answer.reason = ApiReason::Ban;
        }
        Ok(())
    }
}

fn too_many() -> ApiError {
    let message = format!("more than {MAX_QUESTIONS} answers in one request");
    ApiError::new(ErrorKind::Invalid, message).with_hint("ask in parts")
}

fn answer(
    explainer: &Explainer<'_>,
    name: &ZoneName,
    zone: &LiveZone,
    part: IpNet,
    now: &Now,
) -> Result<Check, ApiError> {
    let address = part.network();
    let explanation = explainer.explain(address);
    let kernel_agrees = agrees(zone, address, &explanation, now)?;
    Ok(Check {
        address: if part.prefix_len() == part.max_prefix_len() {
            address.to_string()
        } else {
            part.to_string()
        },
        zone: name.to_string(),
        verdict: match explanation.verdict {
            Verdict::Block => CheckVerdict::Block,
            Verdict::Warn => CheckVerdict::Warn,
            Verdict::Pass => CheckVerdict::Pass,
        },
        reason: match explanation.reason {
            Reason::Rule => ApiReason::Rule,
            Reason::Allow => ApiReason::Allow,
            Reason::Default => ApiReason::Default,
        },
        rules: explanation
            .rules
            .iter()
            .map(|found| CheckRule {
                name: found.rule.name.to_string(),
                action: found.rule.action,
                matched: found.matched.to_string(),
                excepted_by: found.excepted_by.map(|prefix| prefix.to_string()),
                expires: found.rule.expires,
            })
            .collect(),
        allowed_by: explanation.allowed_by.map(|prefix| prefix.to_string()),
        banned_by: None,
        banned_until: None,
        kernel_agrees,
    })
}

/// Whether the kernel's class for the address stands for the same verdict, the same matching and
/// the same spared rules as a walk over the ruleset gives.
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
    let has = |action: Action| {
        let rules = explanation.rules.iter();
        rules
            .filter(|found| found.excepted_by.is_none())
            .any(|found| found.rule.action == action)
    };
    let expected = if has(Action::Block) {
        Some(ClassVerdict::Block)
    } else if has(Action::Warn) {
        Some(ClassVerdict::Warn)
    } else if expect_excepted.is_empty() {
        None
    } else {
        Some(ClassVerdict::Default)
    };
    Ok(verdict == expected && matched == expect_matched && excepted == expect_excepted)
}

impl From<AddressError> for ApiError {
    fn from(error: AddressError) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: error.to_string(),
            hint: error.hint,
        }
    }
}
