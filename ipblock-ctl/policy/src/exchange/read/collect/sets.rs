//! Several sets in one file: the set of each entry, and the set that is used.
//!
//! A file of firewall sets often contains a block list and an allow list. So two sets are never
//! joined, except the IPv4 and the IPv6 half of one list: `feed4` and `feed6`.

use std::fmt::Write as _;

use ipnet::IpNet;

use super::{Bucket, Collector, MAX_PREFIXES, MAX_SETS, ends::Ends};
use crate::{
    address::excerpt,
    exchange::read::{Parsed, Refusal, SetSize},
    text::counted,
};

/// A message lists sets up to this length in bytes.
const LISTED: usize = 800;

impl Collector {
    /// The next entries belong to this set. Returns false if the file has too many sets.
    pub(in crate::exchange::read) fn enter(&mut self, name: &str) -> bool {
        self.current = self.index_of(name);
        self.current.is_some()
    }

    /// The next entries are outside of sets.
    pub(in crate::exchange::read) const fn leave(&mut self) {
        self.current = None;
    }

    /// Returns the number of entries in the sets with these names; the empty name means the entries
    /// outside of sets.
    pub(in crate::exchange::read) fn entries(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let all = self.sets.iter().chain([&self.unnamed]);
        all.filter(|set| is_meant(&set.name))
            .map(|set| set.read)
            .sum()
    }

    /// Whether a set is requested by its name.
    pub(in crate::exchange::read) fn wants(&self, name: &str) -> bool {
        self.wanted.iter().any(|wanted| names(name, wanted))
    }

    /// Uses all sets together if none is requested: they have the same meaning.
    pub(in crate::exchange::read) const fn join_sets(&mut self) {
        self.are_joined = true;
    }

    /// Returns the first result for a prefix of a set, or outside of sets if the name is empty.
    pub(in crate::exchange::read) fn find_in<T>(
        &self,
        name: &str,
        find: impl Fn(IpNet) -> Option<T>,
    ) -> Option<T> {
        let named = self.names.get(name).and_then(|index| self.sets.get(*index));
        let set = named.or(name.is_empty().then_some(&self.unnamed))?;
        set.elements.iter().find_map(|element| find(element.prefix))
    }

    /// Exchanges the content of two sets.
    pub(in crate::exchange::read) fn swap(&mut self, one: &str, other: &str) -> bool {
        let (Some(first), Some(second)) = (self.index_of(one), self.index_of(other)) else {
            return false;
        };
        for (index, name) in [(first, other), (second, one)] {
            self.names.insert(name.to_owned(), index);
            if let Some(set) = self.sets.get_mut(index) {
                name.clone_into(&mut set.name);
            }
        }
        true
    }

    fn index_of(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.names.get(name) {
            return Some(*index);
        }
        if self.sets.len() >= MAX_SETS {
            return None;
        }
        let index = self.sets.len();
        self.names.insert(name.to_owned(), index);
        self.sets.push(Bucket {
            name: name.to_owned(),
            ..Bucket::default()
        });
        Some(index)
    }

    /// Returns the result.
    pub(in crate::exchange::read) fn finish(mut self) -> Parsed {
        let sizes: Vec<SetSize> = self
            .sets
            .iter()
            .filter(|set| set.read > 0)
            .map(|set| SetSize {
                name: excerpt(&set.name),
                entries: set.read,
            })
            .collect();
        let chosen = self.choose();
        let mut taken = std::mem::take(&mut self.unnamed);
        match chosen {
            Ok(chosen) => {
                for set in chosen {
                    taken.join(set);
                }
            }
            Err(refusal) => {
                taken.read += 1;
                taken.refused.push(refusal);
                taken.is_spoilt = true;
            }
        }
        let timed = taken.timed();
        let ends = std::mem::take(&mut taken.ends);
        taken.refused.sort_by_key(|refusal| refusal.line);
        if taken.is_spoilt {
            taken.elements.clear();
        }
        let ends = ends.finish(taken.elements.len());
        Parsed {
            format: self.format,
            elements: taken.elements,
            ends,
            read: taken.read,
            duplicates: taken.duplicates,
            timed,
            mapped: taken.mapped,
            refused: taken.refused,
            more_refused: taken.more_refused,
            is_spoilt: taken.is_spoilt,
            sets: sizes,
            passed_over: self.passed_over,
            at: self.at,
        }
    }

    /// Chooses the sets to use.
    fn choose(&mut self) -> Result<Vec<Bucket>, Refusal> {
        let sets = std::mem::take(&mut self.sets);
        if self.wanted.is_empty() && self.are_joined {
            return Ok(sets);
        }
        if self.wanted.is_empty() {
            // A set of ports is rejected itself, so there is nothing to choose.
            let has_some = |set: &&Bucket| !set.elements.is_empty();
            let filled: Vec<&Bucket> = sets.iter().filter(has_some).collect();
            let refusal = match filled.as_slice() {
                [] | [_] => None,
                [one, other] if are_halves(one, other) => None,
                filled => Some(several(filled)),
            };
            return refusal.map_or(Ok(sets), Err);
        }
        let mut chosen = vec![false; sets.len()];
        for wanted in &self.wanted {
            let mut matching = Vec::new();
            for (set, is_chosen) in sets.iter().zip(&mut chosen) {
                if names(&set.name, wanted) {
                    *is_chosen = true;
                    matching.push(set);
                }
            }
            match matching.as_slice() {
                [] => return Err(missing(wanted, &sets)),
                [set] if set.read == 0 => return Err(empty(&set.name)),
                [_] => {}
                matching => return Err(several(matching)),
            }
        }
        let chosen = sets.into_iter().zip(chosen);
        Ok(chosen
            .filter(|(_, chosen)| *chosen)
            .map(|(set, _)| set)
            .collect())
    }
}

impl Bucket {
    /// Moves the content of another set into this one.
    fn join(&mut self, other: Self) {
        if self.read == 0 {
            *self = other;
            return;
        }
        if other.read == 0 {
            return;
        }
        let timed = self.timed() + other.timed();
        let own = std::mem::take(&mut self.ends).finish(self.elements.len());
        self.ends = Ends::joined(own, timed);
        let ends = other.ends.finish(other.elements.len());
        let mut ends = ends.into_iter();
        for element in other.elements {
            let end = ends.next().unwrap_or_default();
            // The limit applies to all sets together.
            let has_room = self.elements.len() < MAX_PREFIXES;
            self.put(element.prefix, &element.note, end, has_room);
        }
        self.read += other.read;
        self.duplicates += other.duplicates;
        self.mapped += other.mapped;
        self.refused.extend(other.refused);
        self.more_refused += other.more_refused;
        self.is_spoilt |= other.is_spoilt;
    }

    /// Returns the number of entries that expire.
    fn timed(&self) -> u64 {
        let refused = self.refused.len() as u64 + self.more_refused;
        self.ends.timed(self.read - refused)
    }

    /// Whether all its prefixes are of this family.
    fn is_all(&self, is_ipv4: bool) -> bool {
        let is_of = |prefix: IpNet| prefix.addr().is_ipv4() == is_ipv4;
        self.elements.iter().all(|element| is_of(element.prefix))
    }
}

/// Whether `wanted` is the set's whole name or, for an nft set, its name without the table.
fn names(name: &str, wanted: &str) -> bool {
    name == wanted || name.rsplit(' ').next() == Some(wanted)
}

/// Whether two sets are the IPv4 and the IPv6 half of one list.
fn are_halves(one: &Bucket, other: &Bucket) -> bool {
    let families =
        one.is_all(true) && other.is_all(false) || one.is_all(false) && other.is_all(true);
    families && are_families_of_one(&one.name, &other.name)
}

/// Whether two names differ only by the family in them.
pub(in crate::exchange::read) fn are_families_of_one(one: &str, other: &str) -> bool {
    without_family(one) == without_family(other)
}

/// Returns the parts of a name without those of a family: `feed4`, `feed-v6`, `inet6_feed`.
fn without_family(name: &str) -> Vec<String> {
    const MARKS: [&str; 10] = [
        "ipv4", "ipv6", "inet4", "inet6", "inet", "ip4", "ip6", "ip", "v4", "v6",
    ];
    let lower = name.to_ascii_lowercase();
    let words = lower.split([' ', '-', '_', '.']);
    let plain = words.map(|word| {
        let marked = MARKS.iter().find_map(|mark| word.strip_suffix(*mark));
        let rest = marked.unwrap_or_else(|| {
            let digit = word.strip_suffix(['4', '6']);
            // The year of `list2024` is not a family.
            digit
                .filter(|rest| !rest.ends_with(|c: char| c.is_ascii_digit()))
                .unwrap_or(word)
        });
        rest.to_owned()
    });
    plain.filter(|word| !word.is_empty()).collect()
}

fn several(sets: &[&Bucket]) -> Refusal {
    Refusal {
        line: 1,
        text: String::new(),
        problem: format!("{} sets in one file: {}", sets.len(), listed(sets)),
        hint: Some(
            "read one of them with --set NAME; a list file holds one set, as `ipset save NAME` or \
             `nft list set FAMILY TABLE NAME` prints it"
                .to_owned(),
        ),
    }
}

fn missing(wanted: &str, sets: &[Bucket]) -> Refusal {
    let all: Vec<&Bucket> = sets.iter().filter(|set| set.read > 0).collect();
    let hint = match all.as_slice() {
        [] => "leave --set out: the file has no named sets, or none with entries".to_owned(),
        all => format!("it has {}", listed(all)),
    };
    Refusal {
        line: 1,
        text: String::new(),
        problem: format!("there is no set `{}` in the file", excerpt(wanted)),
        hint: Some(hint),
    }
}

fn empty(name: &str) -> Refusal {
    Refusal {
        line: 1,
        text: String::new(),
        problem: format!("the set `{}` has no entries", excerpt(name)),
        hint: Some("there is nothing to read; look whether it is the set that you mean".to_owned()),
    }
}

fn listed(sets: &[&Bucket]) -> String {
    let mut listed = String::new();
    for (index, set) in sets.iter().enumerate() {
        if listed.len() > LISTED {
            let more = sets.len() - index;
            let _ = write!(listed, " and {more} more");
            break;
        }
        let (name, entries) = (excerpt(&set.name), counted(set.read, "entry", "entries"));
        let comma = if index == 0 { "" } else { ", " };
        // Writing into a String does not fail.
        let _ = write!(listed, "{comma}{name} ({entries})");
    }
    listed
}
