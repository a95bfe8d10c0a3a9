//! The places that are taken.

use std::fmt::Write as _;

use super::{BEYOND, Found, KEYS, Place, Places, ROOT, State, Step, What};
use crate::{
    address::{End, excerpt, parse_prefixes},
    exchange::read::{
        ReadError, ReadOption,
        collect::{Entry, are_families_of_one},
        json::Walk,
        keys::{parts, snake},
        opposite,
        ruleset::Use,
    },
    text::counted,
};

/// A message lists places up to this length in bytes.
const LISTED: usize = 800;

/// Beginnings of words in keys that may mean the opposite.
const LET_THROUGH: [&str; 12] = [
    "accept", "allow", "bypass", "except", "exclu", "exempt", "ignore", "pass", "permit", "safe",
    "trust", "white",
];

const MASKED: &str = "a mask or a prefix length beside it";
const DECISIONS: &str = "decisions of CrowdSec: not all of them are bans";

impl Places<'_> {
    /// Whether anything was found.
    pub(in crate::exchange::read::json) fn are_empty(&self) -> bool {
        self.count_found() == 0
    }

    /// Adds the addresses of the requested place, or of the only one, or rejects the document.
    pub(in crate::exchange::read::json) fn take(self, walk: &Walk<'_>) -> Result<(), ReadError> {
        let mut state = self.state.into_inner();
        let filled: Vec<usize> = (0..state.places.len())
            .filter(|place| {
                state
                    .places
                    .get(*place)
                    .is_some_and(|held| !held.found.is_empty())
            })
            .collect();
        if state.has_decisions {
            let mut out = walk.out.borrow_mut();
            out.spoil(1, "", DECISIONS, "name the format: --format crowdsec");
            return Ok(());
        }
        let chosen = match self.wanted {
            Some(path) => {
                let is_wanted = |place: &Place| place.matched == Some(path.steps.len());
                let wanted: Vec<usize> = (ROOT..state.places.len())
                    .filter(|place| state.places.get(*place).is_some_and(is_wanted))
                    .collect();
                let is_some = |place: &Place| !place.found.is_empty() || !place.others.is_empty();
                let has_some = wanted
                    .iter()
                    .filter_map(|place| state.places.get(*place))
                    .any(is_some);
                if !has_some {
                    let problem = format!("there is nothing at {}", excerpt(&path.to_string()));
                    let hint = state.shown(&filled);
                    walk.out.borrow_mut().spoil(1, "", &problem, &hint);
                    return Ok(());
                }
                for place in filled.iter().filter(|place| !wanted.contains(place)) {
                    let count = state
                        .places
                        .get(*place)
                        .map_or(0, |place| place.found.len());
                    let count = u64::try_from(count).unwrap_or(u64::MAX);
                    walk.pass_over(&state.name(*place), count);
                }
                wanted
            }
            None => match state.clear(&filled, self.are_several) {
                Ok(()) => {
                    let mut out = walk.out.borrow_mut();
                    for place in &filled {
                        out.read_at(&state.name(*place));
                    }
                    filled
                }
                Err((problem, hint)) => {
                    walk.out.borrow_mut().spoil(1, "", &problem, &hint);
                    return Ok(());
                }
            },
        };
        for place in chosen {
            let Some(place) = state.places.get_mut(place) else {
                continue;
            };
            let (found, others) = (
                std::mem::take(&mut place.found),
                std::mem::take(&mut place.others),
            );
            let mut out = walk.out.borrow_mut();
            if place.more > 0 {
                let problem = "too many texts that are not addresses";
                out.spoil(1, "", problem, "name another place with --at");
            }
            for (line, text) in others {
                let hint = "leave it out, or name another place with --at";
                out.refuse(line, &text, "no address", Some(hint));
            }
            drop(out);
            for found in found {
                state.take(found, walk)?;
            }
        }
        Ok(())
    }
}

impl State {
    fn take(&self, found: Found, walk: &Walk<'_>) -> Result<(), ReadError> {
        let is_let_through = self.around(found.scope).any(|scope| scope.is_let_through);
        let ends = self.around(found.scope).map(|scope| scope.end);
        let end = ends.fold(End::None, End::or);
        let (line, text) = match found.what {
            What::Text(line, text) => (line, text),
            What::Object(mut address) => {
                address.is_let_through |= is_let_through;
                address.end = address.end.or(end);
                return walk.element(Use::Match, &address);
            }
        };
        let mut out = walk.out.borrow_mut();
        let own = self.around(found.scope).next();
        if is_let_through {
            opposite::refuse(line, &text, &mut out);
        } else if own.is_some_and(|scope| scope.is_masked) {
            let hint = "name the place of the object that has both, with --at";
            out.refuse(line, &text, MASKED, Some(hint));
        } else {
            let note = own.map_or("", |scope| &scope.note);
            let entry = Entry::new(line, &text, note);
            out.add(Entry { end, ..entry })?;
        }
        Ok(())
    }

    /// Whether the addresses at these places are clearly one list; or the problem, and a hint.
    fn clear(&self, filled: &[usize], are_several: bool) -> Result<(), (String, String)> {
        let problem = |problem: &str| {
            let hint = self.shown(filled);
            Err((problem.to_owned(), hint))
        };
        let is_one = match filled {
            [_] => true,
            [one, other] => self.are_families(*one, *other),
            _ => false,
        };
        if !is_one {
            return problem("addresses under several keys");
        }
        for place in filled {
            if matches!(*place, BEYOND | KEYS) {
                return problem("addresses that are keys");
            }
            let path = self.path(*place);
            if !are_several && !path.steps.contains(&Step::Each) {
                return problem("an address that is not in an array");
            }
            let mut words = path.steps.iter().flat_map(|step| match step {
                Step::Key(key) => parts(key),
                Step::Each => Vec::new(),
            });
            if words.any(|word| LET_THROUGH.iter().any(|start| word.starts_with(start))) {
                return problem("addresses under a key that may mean the opposite");
            }
        }
        Ok(())
    }

    /// Whether two places are the halves of one list: `.ipv4_cidrs[]` and `.ipv6_cidrs[]`.
    fn are_families(&self, one: usize, other: usize) -> bool {
        let all_are = |place: usize, is_ipv4: bool| {
            let found = self.places.get(place).map_or(&[][..], |place| &place.found);
            found.iter().all(|found| match &found.what {
                What::Text(_, text) => {
                    let prefixes = parse_prefixes(text).unwrap_or_default();
                    prefixes
                        .iter()
                        .all(|prefix| prefix.addr().is_ipv4() == is_ipv4)
                }
                What::Object(_) => false,
            })
        };
        let differ = all_are(one, true) && all_are(other, false)
            || all_are(one, false) && all_are(other, true);
        differ && are_families_of_one(&key_words(self, one), &key_words(self, other))
    }

    /// Returns the places with their numbers, and the option that chooses one.
    fn shown(&self, filled: &[usize]) -> String {
        let option = ReadOption::At;
        let mut shown = String::new();
        for (index, place) in filled.iter().enumerate() {
            if shown.len() > LISTED {
                let _ = write!(shown, " and {} more", filled.len() - index);
                break;
            }
            let comma = if index == 0 { "" } else { ", " };
            let count = self.places.get(*place).map_or(0, |place| place.found.len());
            let addresses = counted(count, "address", "addresses");
            // Writing into a String does not fail.
            let _ = write!(
                shown,
                "{comma}{} ({addresses})",
                excerpt(&self.name(*place))
            );
        }
        let mut names = filled
            .iter()
            .filter(|place| !matches!(**place, BEYOND | KEYS))
            .map(|place| self.name(*place));
        // A shortened path would be another one.
        match names.find(|name| excerpt(name) == *name) {
            None => format!("--{option} names a place; there is {shown}"),
            Some(name) => format!("name the place, such as --{option} '{name}'; there is {shown}"),
        }
    }
}

/// Returns the keys on the way to a place, in one text.
fn key_words(state: &State, place: usize) -> String {
    let path = state.path(place);
    let keys = path.steps.iter().map(|step| match step {
        Step::Key(key) => snake(key),
        Step::Each => "[]".to_owned(),
    });
    keys.collect::<Vec<_>>().join(" ")
}
