//! The ends of entries. They take no memory while no entry has one.

use crate::address::End;

/// The end of each element of a set.
#[derive(Default)]
pub(super) struct Ends {
    /// The ends of the first elements; the others have none.
    own: Vec<End>,
    /// The end of elements without an own one.
    default: End,
    /// Number of entries that expire by themselves.
    ending: u64,
    /// Number of entries that have an own end or say that they have none.
    said: u64,
    rule: Option<Rule>,
}

/// A rule whose entries are being read.
struct Rule {
    /// Number of elements and entries before it.
    elements: usize,
    read: u64,
    /// Number of entries before it that say something about their end.
    said: u64,
    /// Its prefixes that other rules have, too, with their own ends.
    repeated: Vec<(usize, End)>,
}

impl Ends {
    /// Returns the ends of several sets that become one; `ending` is their number of entries that
    /// expire.
    pub(super) fn joined(own: Vec<End>, ending: u64) -> Self {
        Self {
            own,
            ending,
            ..Self::default()
        }
    }

    /// Counts an entry, which may have several prefixes.
    pub(super) const fn count(&mut self, end: End) {
        self.ending += end.is_end() as u64;
        self.said += !matches!(end, End::None) as u64;
    }

    /// Records the end of a new element at this index.
    pub(super) fn put(&mut self, index: usize, end: End) {
        if end != End::None {
            self.own.resize(index, End::None);
            self.own.push(end);
        }
    }

    /// Joins another end of the same element.
    pub(super) fn repeat(&mut self, index: usize, end: End) {
        match &mut self.rule {
            Some(rule) => rule.repeated.push((index, end)),
            None => self.join(index, end),
        }
    }

    fn join(&mut self, index: usize, end: End) {
        let both = self.own(index).later(end);
        if both != End::None {
            self.set(index, both);
        }
    }

    fn own(&self, index: usize) -> End {
        self.own.get(index).copied().unwrap_or_default()
    }

    fn set(&mut self, index: usize, end: End) {
        if self.own.len() <= index {
            self.own.resize(index + 1, End::None);
        }
        if let Some(own) = self.own.get_mut(index) {
            *own = end;
        }
    }

    /// Sets the end of elements without an own one.
    pub(super) const fn end_all(&mut self, end: End) {
        if end.is_end() {
            self.default = end;
        }
    }

    pub(super) fn begin_rule(&mut self, elements: usize, read: u64) {
        self.rule = Some(Rule {
            elements,
            read,
            said: self.said,
            repeated: Vec::new(),
        });
    }

    pub(super) fn end_rule(&mut self, elements: usize, read: u64, end: End) {
        let Some(rule) = self.rule.take() else {
            return;
        };
        if end.is_end() {
            for index in rule.elements..elements {
                self.set(index, self.own(index).or(end));
            }
            let without = (read - rule.read) - (self.said - rule.said);
            self.ending += without;
            self.said += without;
        }
        for (index, own) in rule.repeated {
            self.join(index, own.or(end));
        }
    }

    /// Returns the number of `taken` entries that expire.
    pub(super) const fn timed(&self, taken: u64) -> u64 {
        if self.default.is_end() {
            self.ending + taken.saturating_sub(self.said)
        } else {
            self.ending
        }
    }

    /// Returns the end of each of `count` elements; nothing if none has an end.
    pub(super) fn finish(mut self, count: usize) -> Vec<End> {
        if self.default.is_end() {
            self.own.resize(count, End::None);
            for own in &mut self.own {
                *own = own.or(self.default);
            }
        }
        if !self.own.iter().any(|end| *end != End::None) {
            self.own.clear();
        }
        self.own
    }
}
