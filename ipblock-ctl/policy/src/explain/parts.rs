//! Splits a prefix where the explanation changes.

use ipnet::IpNet;

use super::{Explainer, Prefixes};
use crate::prefix::{Bits, Prefix, longest_cover};

impl Explainer<'_> {
    /// Splits `prefix` into the fewest prefixes whose addresses all have the same explanation and
    /// are in the same ones of `others`, in order; `None` if that takes more than `limit`.
    #[must_use]
    pub fn parts(&self, prefix: IpNet, others: &[IpNet], limit: usize) -> Option<Vec<IpNet>> {
        let others = Prefixes::new(others.iter().copied());
        match prefix {
            IpNet::V4(net) => {
                self.split(u32::prefix(net), &others, limit, |prefixes| &prefixes.ipv4)
            }
            IpNet::V6(net) => {
                self.split(u128::prefix(net), &others, limit, |prefixes| &prefixes.ipv6)
            }
        }
    }

    fn split<B: Bits>(
        &self,
        whole: Prefix<B>,
        others: &Prefixes,
        limit: usize,
        family: impl Fn(&Prefixes) -> &[Prefix<B>],
    ) -> Option<Vec<IpNet>> {
        // The explanation lists the prefixes around the address, so it changes at each of them.
        let mut borders = inside(family(&self.allow), whole).to_vec();
        borders.extend(inside(family(others), whole));
        for rule in &self.rules {
            let matches = family(&rule.matches);
            borders.extend(inside(matches, whole));
            // An exception is listed only where the rule matches. If a narrower prefix of `match`
            // begins inside it, that prefix is the border.
            let within_match =
                |except: &&Prefix<B>| longest_cover(matches, |prefix| *prefix, **except).is_some();
            borders.extend(
                inside(family(&rule.except), whole)
                    .iter()
                    .filter(within_match),
            );
            // Each border splits its parent, and a parent has at most two halves.
            if borders.len() / 2 > limit {
                borders.sort_unstable();
                borders.dedup();
                if borders.len() / 2 > limit {
                    return None;
                }
            }
        }
        borders.sort_unstable();
        borders.dedup();
        let mut parts = Vec::new();
        halve(whole, &borders, limit, &mut parts)?;
        Some(parts)
    }
}

/// Returns those of `sorted` that `whole` covers, without itself.
fn inside<B: Bits>(sorted: &[Prefix<B>], whole: Prefix<B>) -> &[Prefix<B>] {
    let start = sorted.partition_point(|prefix| *prefix <= whole);
    let end = sorted.partition_point(|prefix| prefix.first <= whole.last());
    // Shorter prefixes with the same address come before `whole`; the rest starts inside.
    sorted.get(start..end).unwrap_or_default()
}

fn halve<B: Bits>(
    whole: Prefix<B>,
    borders: &[Prefix<B>],
    limit: usize,
    parts: &mut Vec<IpNet>,
) -> Option<()> {
    match whole.halves() {
        Some(halves) if !borders.is_empty() => {
            for half in halves {
                halve(half, inside(borders, half), limit, parts)?;
            }
        }
        _ => {
            if parts.len() >= limit {
                return None;
            }
            parts.push(whole.net());
        }
    }
    Some(())
}
