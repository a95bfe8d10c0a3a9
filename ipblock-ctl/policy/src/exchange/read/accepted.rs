//! Prefixes that a file lets through before it blocks others. The first rule that matches decides,
//! so a later entry that overlaps with one of them is not blocked as a whole.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use crate::address::parse_prefixes;

/// Disjoint prefixes, each with its line.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepted(BTreeMap<IpAddr, (IpNet, u64)>);

impl Accepted {
    /// Adds the prefixes of a text. One that is not an address accepts no address.
    pub(super) fn add(&mut self, text: &str, line: u64) {
        for prefix in parse_prefixes(text).unwrap_or_default() {
            self.add_prefix(prefix, line);
        }
    }

    pub(super) fn add_prefix(&mut self, prefix: IpNet, line: u64) {
        if self
            .overlapping(prefix)
            .is_some_and(|(held, _)| held.contains(&prefix))
        {
            return;
        }
        let (first, last) = (prefix.network(), prefix.broadcast());
        let inside: Vec<IpAddr> = self
            .0
            .range(first..=last)
            .map(|(start, _)| *start)
            .collect();
        for start in inside {
            self.0.remove(&start);
        }
        self.0.insert(first, (prefix, line));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a prefix that overlaps with this one, and its line.
    pub(super) fn overlapping(&self, prefix: IpNet) -> Option<(IpNet, u64)> {
        let (_, held) = self.0.range(..=prefix.broadcast()).next_back()?;
        (held.0.broadcast() >= prefix.network()).then_some(*held)
    }

    /// As [`overlapping`](Self::overlapping), for an entry as it is written.
    pub(super) fn overlapping_text(&self, text: &str) -> Option<(IpNet, u64)> {
        if self.is_empty() {
            return None;
        }
        let prefixes = parse_prefixes(text).unwrap_or_default();
        prefixes
            .into_iter()
            .find_map(|prefix| self.overlapping(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_overlaps_with_what_contains_it_and_with_what_is_inside() {
        let mut accepted = Accepted::default();
        for (line, text) in [
            "192.0.2.7",
            "198.51.100.0/24",
            "192.0.2.0/28",
            "2001:db8::/48",
        ]
        .into_iter()
        .enumerate()
        {
            accepted.add(text, line as u64 + 1);
        }
        let overlap = |text: &str| accepted.overlapping_text(text).map(|(_, line)| line);
        let cases = [
            ("192.0.2.0/24", Some(3)),
            ("192.0.2.9", Some(3)),
            ("192.0.2.16", None),
            ("198.51.100.255", Some(2)),
            ("198.51.101.0", None),
            ("198.51.99.255", None),
            ("0.0.0.0/0", Some(2)),
            ("::/0", Some(4)),
            ("2001:db8:1::", None),
            ("203.0.113.1-203.0.113.9", None),
        ];
        for (text, line) in cases {
            assert_eq!(overlap(text), line, "{text}");
        }
    }
}
