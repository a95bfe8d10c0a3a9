//! The walk over all prefixes of a family, which finds the class of each.

use std::{net::IpAddr, rc::Rc};

use ipblock_common::{ClassId, class::NO_CLASS};
use rustc_hash::FxHashMap;

use super::{
    CompileError, MAX_CLASS_MEMBERS,
    class::Classes,
    tag::{Tag, Tagged},
};
use crate::prefix::{Bits, Prefix};

/// Position of a state among the states.
type StateId = u32;

/// The state without tags.
const NOTHING: StateId = 0;

/// States also contain exceptions without an effect at their place; classes do not.
const MAX_STORED_TAGS: usize = 2 * MAX_CLASS_MEMBERS;

/// Every set of tags of some address; equal ones are created once.
///
/// A step down into a prefix adds that prefix's own tags. The result is cached per state and
/// addition, so the cost of a prefix depends only on its own tags, not on those around it.
pub(super) struct States<'a> {
    classes: Classes<'a>,
    /// Tags, sorted and without duplicates, and their class.
    made: Vec<(Rc<[Tag]>, ClassId)>,
    ids: FxHashMap<Rc<[Tag]>, StateId>,
    additions: FxHashMap<Box<[Tag]>, u32>,
    successors: FxHashMap<(StateId, Addition), StateId>,
    stored_tags: usize,
}

/// The tags of one prefix. A single tag is by far the most common case and needs no table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Addition {
    One(Tag),
    /// Position in `additions`.
    Many(u32),
}

impl<'a> States<'a> {
    pub(super) fn new(classes: Classes<'a>) -> Self {
        let nothing: Rc<[Tag]> = Rc::from([]);
        Self {
            classes,
            ids: FxHashMap::from_iter([(Rc::clone(&nothing), NOTHING)]),
            made: vec![(nothing, NO_CLASS)],
            additions: FxHashMap::default(),
            successors: FxHashMap::default(),
            stored_tags: 0,
        }
    }

    pub(super) fn into_classes(self) -> Classes<'a> {
        self.classes
    }

    /// Returns the class of each prefix whose class differs from that of the prefix around it,
    /// sorted.
    pub(super) fn walk<B: Bits>(
        &mut self,
        mut tagged: Vec<Tagged<B>>,
    ) -> Result<Vec<(Prefix<B>, ClassId)>, CompileError> {
        tagged.sort_unstable();
        tagged.dedup();
        let mut entries = Vec::new();
        // The prefixes around the current one, outermost first. Any two prefixes are nested or
        // disjoint, so each is popped for good at the first address beyond it.
        let mut around: Vec<(B, StateId)> = Vec::new();
        let mut tags: Vec<Tag> = Vec::new();
        for same in tagged.chunk_by(|a, b| a.prefix == b.prefix) {
            let Some(prefix) = same.first().map(|tagged| tagged.prefix) else {
                continue;
            };
            tags.clear();
            tags.extend(same.iter().map(|tagged| tagged.tag));
            while around.pop_if(|(last, _)| *last < prefix.first).is_some() {}
            let parent = around.last().map_or(NOTHING, |(_, state)| *state);
            let state = self.successor(parent, &tags, prefix.first.address())?;
            let class = self.class(state);
            if class != self.class(parent) {
                entries.push((prefix, class));
            }
            around.push((prefix.last(), state));
        }
        Ok(entries)
    }

    fn class(&self, state: StateId) -> ClassId {
        self.get(state).map_or(NO_CLASS, |(_, class)| *class)
    }

    fn get(&self, state: StateId) -> Option<&(Rc<[Tag]>, ClassId)> {
        self.made.get(state as usize)
    }

    /// Returns the state inside a prefix with `tags`, whose parent has the state `parent`.
    fn successor(
        &mut self,
        parent: StateId,
        tags: &[Tag],
        address: IpAddr,
    ) -> Result<StateId, CompileError> {
        let addition = self.addition(tags, address)?;
        if let Some(state) = self.successors.get(&(parent, addition)) {
            return Ok(*state);
        }
        let around = self.get(parent).map_or(&[][..], |(around, _)| around);
        let state = self.state(union(around, tags), address)?;
        self.successors.insert((parent, addition), state);
        Ok(state)
    }

    fn addition(&mut self, tags: &[Tag], address: IpAddr) -> Result<Addition, CompileError> {
        if let [tag] = *tags {
            return Ok(Addition::One(tag));
        }
        if let Some(position) = self.additions.get(tags) {
            return Ok(Addition::Many(*position));
        }
        let position = self.store(self.additions.len(), tags.len(), address)?;
        self.additions.insert(tags.into(), position);
        Ok(Addition::Many(position))
    }

    fn state(&mut self, tags: Vec<Tag>, address: IpAddr) -> Result<StateId, CompileError> {
        if let Some(state) = self.ids.get(&*tags) {
            return Ok(*state);
        }
        let class = self.classes.of(&tags, address)?;
        let state = self.store(self.made.len(), tags.len(), address)?;
        let tags: Rc<[Tag]> = tags.into();
        self.ids.insert(Rc::clone(&tags), state);
        self.made.push((tags, class));
        Ok(state)
    }

    /// Reserves memory for `tags` more tags, and returns the number for `position`.
    fn store(
        &mut self,
        position: usize,
        tags: usize,
        address: IpAddr,
    ) -> Result<u32, CompileError> {
        self.stored_tags += tags;
        match u32::try_from(position) {
            Ok(number) if self.stored_tags <= MAX_STORED_TAGS => Ok(number),
            _ => Err(CompileError::TooDense { address }),
        }
    }
}

/// Returns the union, sorted and without duplicates. Inside an allow list no other tag has an
/// effect.
fn union(around: &[Tag], tags: &[Tag]) -> Vec<Tag> {
    if around.last() == Some(&Tag::ALLOW) || tags.last() == Some(&Tag::ALLOW) {
        return vec![Tag::ALLOW];
    }
    let mut union = [around, tags].concat();
    // Two sorted runs: the stable sort merges them in linear time.
    union.sort();
    union.dedup();
    union
}
