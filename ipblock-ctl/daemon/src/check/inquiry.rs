//! The questions of a check: first their number, then each answer when the client reads it.
//!
//! An answer takes much more memory than its question, and a client may read slowly. So only the
//! parts of each prefix are kept, and the ruleset is indexed for some of them at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{Check, CheckRequest},
};
use ipblock_datapath::clock::Now;
use ipblock_policy::{At, Ruleset, ZoneName, explain::Explainer, text::counted};
use ipnet::IpNet;

use super::{add_bans, agrees, answer, dossier::Dossier};
use crate::{
    addresses::prefixes,
    answers::{Refusal, Sink},
    connections::Room,
    generations::LiveZone,
    state::Service,
};

/// Maximum of differently judged parts of one prefix.
const MAX_PARTS: usize = 256;
/// Maximum of addresses in one request, and of its answers.
const MAX_QUESTIONS: usize = 100_000;
/// Maximum of answers that say what ended, and all that is known of what matched: each one searches
/// the store and the lists.
const MAX_WITH_PAST: usize = 100;
/// Maximum of rules in all answers to one request: about 150 MB of JSON.
const MAX_LISTED: usize = 1_000_000;

/// Maximum of addresses times rules that are indexed at a time.
const INDEXED: usize = 1 << 18;
/// Memory of that index in bytes, and of each prefix of the ruleset inside a wider question.
const INDEX_ROOM: usize = 2 << 20;
const PREFIX_ROOM: usize = 20;

pub(super) struct Inquiry {
    /// The ruleset to judge by; `None` means the deployed one of each moment.
    staged: Option<Arc<Ruleset>>,
    /// Parts with one verdict each, by zone.
    parts: Vec<(ZoneName, Vec<IpNet>)>,
    /// Whether the answers say what ended, and all that is known of what matched.
    with_past: bool,
}

/// The basis of a zone's judgement at a moment.
struct Standing {
    deployed: Arc<Ruleset>,
    /// A weak reference, because a client that reads slowly would keep its maps in the kernel.
    zone: Weak<LiveZone>,
    now: Now,
}

impl Inquiry {
    /// Counts the answers and the rules in them, and rejects too many.
    pub(super) fn new(
        service: &Service,
        request: CheckRequest,
        room: &mut Room,
    ) -> Result<Self, Refusal> {
        let now = Now::read();
        let (ruleset, mut zones) = {
            let state = service.read();
            if request.staged {
                let edited = state.rulesets.as_of(state.rulesets.edited(), &now);
                let names = edited.zone_names();
                (edited, names)
            } else {
                let names: Vec<_> = state.generations.zones().keys().cloned().collect();
                (state.rulesets.as_of(state.rulesets.deployed(), &now), names)
            }
        };
        let staged = request.staged.then(|| Arc::clone(&ruleset));
        let prefixes = prefixes(&ruleset, &request.addresses, MAX_QUESTIONS, too_many)?;
        if let Some(name) = &request.zone {
            zones.retain(|zone| zone.as_str() == name);
            if zones.is_empty() {
                let message = format!("there is no zone `{name}`");
                let error = ApiError::new(ErrorKind::NotFound, message)
                    .with_hint("`ipblock-ctl zone list` names them");
                return Err(error.into());
            }
        }
        drop(request);
        let held = |answers: usize| answers * size_of::<IpNet>() + INDEX_ROOM;
        let is_host = |prefix: &IpNet| prefix.prefix_len() == prefix.max_prefix_len();
        // A host has few related prefixes, but a wide prefix may contain all of them.
        let inside = if prefixes.iter().all(is_host) {
            0
        } else {
            expanded(&ruleset) * PREFIX_ROOM
        };
        room.keep(0);
        room.need(held(prefixes.len()) + inside)?;
        let mut tally = Tally::default();
        let mut parts = Vec::new();
        for zone in zones {
            let mut of_zone = Vec::new();
            for page in prefixes.chunks(page_length(&ruleset)) {
                let explainer = Explainer::about(&ruleset, &zone, now.wall, page.iter().copied());
                for prefix in page {
                    let found = parts_of(service, &explainer, *prefix, &now)?;
                    tally.add(&explainer, &found)?;
                    of_zone.extend(found);
                }
            }
            parts.push((zone, of_zone));
        }
        room.keep(held(tally.answers));
        let with_past = tally.answers <= MAX_WITH_PAST;
        Ok(Self {
            staged,
            parts,
            with_past,
        })
    }

    /// Leaves out what ended, and what is only of interest to people.
    pub(super) fn without_past(self) -> Self {
        Self {
            with_past: false,
            ..self
        }
    }

    /// Computes each answer after the previous one was taken. If a zone is deployed meanwhile, the
    /// later answers are for its new state.
    pub(super) fn each(&self, service: &Service, sink: Sink<'_, Check>) -> Result<(), ApiError> {
        if let Some(staged) = &self.staged {
            return self.each_of_staged(service, staged, sink);
        }
        for (name, parts) in &self.parts {
            let mut left = parts.as_slice();
            while !left.is_empty() {
                let standing = service.standing(name)?;
                let page = left.get(..page_length(&standing.deployed)).unwrap_or(left);
                let done = service.answer_page(name, &standing, page, self.with_past, sink)?;
                let Some(done) = done else { return Ok(()) };
                left = left.get(done..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

impl Inquiry {
    fn each_of_staged(
        &self,
        service: &Service,
        staged: &Ruleset,
        sink: Sink<'_, Check>,
    ) -> Result<(), ApiError> {
        for (name, parts) in &self.parts {
            for page in parts.chunks(page_length(staged)) {
                let now = Now::read();
                let explainer = Explainer::about(staged, name, now.wall, page.iter().copied());
                let dossier = self.with_past.then(|| Dossier::open(service, staged, name));
                let dossier = dossier.transpose()?;
                for part in page {
                    let mut checked = answer(&explainer.explain(part.network()), name, *part);
                    add_bans(&mut checked, &service.bans(), *part, &now);
                    service.complete(&mut checked, dossier.as_ref(), *part, &now)?;
                    if sink(checked).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Service {
    /// Adds what people want to know.
    fn complete(
        &self,
        checked: &mut Check,
        dossier: Option<&Dossier<'_>>,
        part: IpNet,
        now: &Now,
    ) -> Result<(), ApiError> {
        if let Some(dossier) = dossier {
            dossier.complete(checked)?;
            checked.past = self.past_bans(part, now)?;
        }
        checked.panic_off_until = self.called_off_until(now);
        Ok(())
    }

    fn standing(&self, name: &ZoneName) -> Result<Standing, ApiError> {
        let now = Now::read();
        let state = self.read();
        let zone = state.generations.of_zone(name).ok_or_else(|| {
            let message = format!("zone `{name}` was removed while it was checked");
            ApiError::new(ErrorKind::Conflict, message).with_hint("repeat it")
        })?;
        Ok(Standing {
            deployed: state.rulesets.as_of(state.rulesets.deployed(), &now),
            zone: Arc::downgrade(zone),
            now,
        })
    }

    /// Answers until the zone is deployed again. Returns the number of answers, or `None` if the
    /// client is gone.
    fn answer_page(
        &self,
        name: &ZoneName,
        standing: &Standing,
        page: &[IpNet],
        with_past: bool,
        sink: Sink<'_, Check>,
    ) -> Result<Option<usize>, ApiError> {
        let Standing {
            deployed,
            zone,
            now,
        } = standing;
        let explainer = Explainer::about(deployed, name, now.wall, page.iter().copied());
        let dossier = with_past.then(|| Dossier::open(self, deployed, name));
        let dossier = dossier.transpose()?;
        for (done, part) in page.iter().enumerate() {
            let in_force = self.read().generations.of_zone(name).map(Arc::downgrade);
            let is_same = in_force.is_some_and(|in_force| in_force.ptr_eq(zone));
            let Some(live) = zone.upgrade().filter(|_| is_same) else {
                return Ok(Some(done));
            };
            let explanation = explainer.explain(part.network());
            let mut checked = answer(&explanation, name, *part);
            let agree = agrees(&live, part.network(), &explanation, now)?;
            {
                let bans = self.bans();
                add_bans(&mut checked, &bans, *part, now);
                let on_bans = self.agrees_on_bans(&bans, &live, *part, now)?;
                checked.kernel_agrees = Some(agree && on_bans);
            }
            self.complete(&mut checked, dossier.as_ref(), *part, now)?;
            drop(live);
            if sink(checked).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(page.len()))
    }
}

/// Returns the parts of a prefix with one verdict each.
fn parts_of(
    service: &Service,
    explainer: &Explainer<'_>,
    prefix: IpNet,
    now: &Now,
) -> Result<Vec<IpNet>, ApiError> {
    let borders = service.bans().borders(prefix, now, 2 * MAX_PARTS + 1);
    let parts = borders.and_then(|borders| explainer.parts(prefix, &borders, MAX_PARTS));
    parts.ok_or_else(|| {
        let message = format!("{prefix} has more than {MAX_PARTS} parts with different answers");
        ApiError::new(ErrorKind::Invalid, message).with_hint(format!(
            "check a longer prefix; `ipblock-ctl bans {prefix}` lists the bans inside it"
        ))
    })
}

/// The size of an answer so far.
#[derive(Default)]
struct Tally {
    answers: usize,
    listed: usize,
}

impl Tally {
    fn add(&mut self, explainer: &Explainer<'_>, parts: &[IpNet]) -> Result<(), ApiError> {
        for part in parts {
            self.listed += explainer.count_rules(part.network());
            if self.listed > MAX_LISTED {
                return Err(self.too_many_rules());
            }
            self.answers += 1;
        }
        if self.answers > MAX_QUESTIONS {
            return Err(too_many());
        }
        Ok(())
    }

    fn too_many_rules(&self) -> ApiError {
        let answers = self.answers;
        let message = format!(
            "the answers would list more than {MAX_LISTED} rules, for the first {} alone",
            counted(answers, "address", "addresses")
        );
        let hint = format!(
            "check at most {} at once, or name one zone",
            counted(answers.max(1), "address", "addresses")
        );
        ApiError::new(ErrorKind::Invalid, message).with_hint(hint)
    }
}

fn too_many() -> ApiError {
    let message = format!("more than {MAX_QUESTIONS} answers in one request");
    ApiError::new(ErrorKind::Invalid, message).with_hint("ask in parts")
}

/// Returns the number of addresses that are indexed together.
fn page_length(ruleset: &Ruleset) -> usize {
    (INDEXED / ruleset.rules.len().max(1)).clamp(64, 8_192)
}

/// Returns the number of prefixes of all rules, with lists resolved and duplicates counted.
fn expanded(ruleset: &Ruleset) -> usize {
    let mut of_lists: BTreeMap<_, usize> = BTreeMap::new();
    for (name, list) in &ruleset.lists {
        of_lists.insert(name, list.elements.len());
    }
    let rules = ruleset.rules.iter();
    let elements = rules.flat_map(|rule| rule.matches.iter().chain(&rule.except));
    let prefixes = elements.map(|element| match &element.at {
        At::Prefix(_) => 1,
        At::List(name) => of_lists.get(name).copied().unwrap_or_default(),
    });
    prefixes.sum()
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document;
    use jiff::Timestamp;

    use super::*;
    use crate::documented::limit;

    /// Returns a ruleset with this number of rules that match one address.
    fn overlapping(rules: usize) -> Ruleset {
        let rule = |number: usize| {
            format!(
                "[[rule]]\nname = \"r{number}\"\naction = \"warn\"\nmatch = [\"192.0.2.0/24\"]\n"
            )
        };
        let text: String = (0..rules).map(rule).collect();
        document::parse(&text, "rules.toml", false).unwrap()
    }

    #[test]
    fn answers_that_list_too_many_rules_together_are_refused_with_what_fits() {
        let ruleset = overlapping(300);
        let zone = ZoneName::default();
        let explainer = Explainer::new(&ruleset, &zone, Timestamp::UNIX_EPOCH);
        let part: IpNet = "192.0.2.7/32".parse().unwrap();
        let mut tally = Tally::default();
        let refused = (0..MAX_QUESTIONS).find_map(|_| tally.add(&explainer, &[part]).err());
        let refused = refused.expect("a refusal");
        assert_eq!(
            refused.message,
            "the answers would list more than 1000000 rules, for the first 3,333 addresses alone"
        );
        assert_eq!(
            refused.hint.unwrap(),
            "check at most 3,333 addresses at once, or name one zone"
        );
        assert_eq!((tally.answers, tally.listed), (3_333, 1_000_200));
    }

    #[test]
    fn the_limits_of_a_check_are_documented() {
        assert_eq!(
            limit("a check"),
            format!(
                "{MAX_QUESTIONS} answers, {MAX_PARTS} parts of one prefix, and {MAX_LISTED} rules that \
                 all answers list together; what ended, and notes, lists, authors and hits of rules, \
                 for at most {MAX_WITH_PAST} answers"
            )
        );
    }

    #[test]
    fn a_rule_counts_a_list_as_often_as_it_is_used() {
        let text = "[list.office]\nmatch = [\"192.0.2.1\", \"192.0.2.2\"]\n\
                    [[rule]]\nname = \"a\"\naction = \"block\"\nmatch = [\"@office\", \"198.51.100.1\"]\n\
                    except = [\"@office\"]\n";
        assert_eq!(
            expanded(&document::parse(text, "rules.toml", false).unwrap()),
            5
        );
    }
}
