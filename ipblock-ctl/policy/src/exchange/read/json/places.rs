//! Addresses at any place of a JSON document: at the requested one, or at the only one.
//!
//! Every text that is an address is found, with the keys on the way to it. If one place has all of
//! them, or one for each family, they are the list. Otherwise the places are shown and nothing is
//! taken.

mod choice;
mod scan;

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::{
    Walk,
    address::Address,
    path::{JsonPath, Step},
};
use crate::{
    address::{End, is_address, looks_like_address},
    exchange::read::{MAX_PREFIXES, ReadError},
    text::excerpt,
};

/// Maximum of places. Addresses at others are counted together.
const MAX_PLACES: usize = 1_000;

/// Maximum of recorded texts that are not addresses, at all places together.
const MAX_OTHERS: usize = 100_000;

/// The place of everything beyond the limit.
const BEYOND: usize = 0;
/// The place of addresses that are keys.
const KEYS: usize = 1;
/// The document.
const ROOT: usize = 2;

/// The index of the document among the scopes: nothing is said about it.
const OUTERMOST: usize = 0;

/// A value on the way to others.
#[derive(Debug, Default)]
struct Place {
    parent: usize,
    step: Option<Step>,
    inside: FxHashMap<Step, usize>,
    /// The number of steps of the requested path that lead here; `None` if others do.
    matched: Option<usize>,
    found: Vec<Found>,
    /// The texts and numbers that are not addresses, and their lines.
    others: Vec<(u64, Box<str>)>,
    /// Number of others that are not recorded.
    more: u64,
}

/// An address, or what stands in its place.
#[derive(Debug)]
struct Found {
    scope: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Text(u64, Box<str>),
    /// An object at the requested place.
    Object(Box<Address>),
}

/// What an object says about the addresses inside of it.
#[derive(Debug, Default)]
struct Scope {
    parent: usize,
    note: Box<str>,
    end: End,
    is_let_through: bool,
    is_masked: bool,
}

/// All places of a document, or of several.
pub(super) struct Places<'p> {
    wanted: Option<&'p JsonPath>,
    /// Whether there are several documents, as in an array.
    are_several: bool,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    places: Vec<Place>,
    scopes: Vec<Scope>,
    found: usize,
    others: usize,
    /// Whether there are decisions of CrowdSec. Not all of them are bans.
    has_decisions: bool,
}

impl<'p> Places<'p> {
    pub(super) fn new(wanted: Option<&'p JsonPath>, are_several: bool) -> Self {
        let root = Place {
            matched: wanted.map(|_| 0),
            ..Place::default()
        };
        let state = State {
            places: vec![Place::default(), Place::default(), root],
            scopes: vec![Scope::default()],
            ..State::default()
        };
        Self {
            wanted,
            are_several,
            state: RefCell::new(state),
        }
    }

    /// Whether a place is the requested one.
    fn is_wanted(&self, place: usize) -> bool {
        let state = self.state.borrow();
        let matched = state.places.get(place).and_then(|place| place.matched);
        self.wanted
            .is_some_and(|path| matched == Some(path.steps.len()))
    }

    /// Returns the place of a value inside of another.
    fn inside(&self, place: usize, step: Step) -> usize {
        let mut state = self.state.borrow_mut();
        if place == BEYOND {
            return BEYOND;
        }
        let index = state.places.len();
        let Some(outer) = state.places.get_mut(place) else {
            return BEYOND;
        };
        if let Some(known) = outer.inside.get(&step) {
            return *known;
        }
        let expected = |at: usize| self.wanted.and_then(|path| path.steps.get(at));
        let matched = outer.matched.filter(|at| expected(*at) == Some(&step));
        let matched = matched.map(|at| at + 1);
        // The way to the requested place is short.
        if index >= MAX_PLACES && matched.is_none() {
            return BEYOND;
        }
        outer.inside.insert(step.clone(), index);
        state.places.push(Place {
            parent: place,
            step: Some(step),
            matched,
            ..Place::default()
        });
        index
    }

    /// Records a text.
    fn text(&self, place: usize, scope: usize, line: u64, text: &str) -> Result<(), ReadError> {
        if looks_like_address(text) || is_address(text) {
            return self.found(place, scope, line, What::Text(line, text.into()));
        }
        self.other(place, line, text);
        Ok(())
    }

    fn found(&self, place: usize, scope: usize, line: u64, what: What) -> Result<(), ReadError> {
        let mut state = self.state.borrow_mut();
        state.found += 1;
        if state.found > MAX_PREFIXES {
            return Err(ReadError::TooMany { line });
        }
        if let Some(place) = state.places.get_mut(place) {
            place.found.push(Found { scope, what });
        }
        Ok(())
    }

    /// Records a value that is not an address.
    fn other(&self, place: usize, line: u64, text: &str) {
        let mut state = self.state.borrow_mut();
        let has_room = state.others < MAX_OTHERS;
        state.others += usize::from(has_room);
        if let Some(place) = state.places.get_mut(place) {
            if has_room {
                place.others.push((line, excerpt(text).into()));
            } else {
                place.more += 1;
            }
        }
    }

    /// Begins an object.
    fn begin(&self, parent: usize) -> usize {
        let mut state = self.state.borrow_mut();
        state.scopes.push(Scope {
            parent,
            ..Scope::default()
        });
        state.scopes.len() - 1
    }

    /// Forgets an object in which nothing was found, so that memory depends on the addresses.
    fn end(&self, scope: usize, found_before: usize) {
        let mut state = self.state.borrow_mut();
        if state.found == found_before && scope + 1 == state.scopes.len() {
            state.scopes.pop();
        }
    }

    fn count_found(&self) -> usize {
        self.state.borrow().found
    }

    /// Changes what an object says.
    fn say(&self, scope: usize, say: impl FnOnce(&mut Scope)) {
        if let Some(scope) = self.state.borrow_mut().scopes.get_mut(scope) {
            say(scope);
        }
    }
}

impl State {
    /// Returns the path to a place.
    fn path(&self, place: usize) -> JsonPath {
        let mut steps = Vec::new();
        let mut at = place;
        while let Some(held) = self.places.get(at)
            && let Some(step) = &held.step
        {
            steps.push(step.clone());
            at = held.parent;
        }
        steps.reverse();
        JsonPath { steps }
    }

    /// Returns a name for a place.
    fn name(&self, place: usize) -> String {
        match place {
            BEYOND => "other places".to_owned(),
            KEYS => "keys of objects".to_owned(),
            place => self.path(place).to_string(),
        }
    }

    /// Returns the scopes around an address, the innermost first.
    fn around(&self, scope: usize) -> impl Iterator<Item = &Scope> {
        let mut next = (scope != OUTERMOST).then_some(scope);
        std::iter::from_fn(move || {
            let scope = self.scopes.get(next?)?;
            next = (scope.parent != OUTERMOST).then_some(scope.parent);
            Some(scope)
        })
    }
}

pub(super) use scan::Scan;
