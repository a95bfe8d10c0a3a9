//! The tables in front of the tries, compared with a walk over all entries.

use std::{collections::BTreeMap, net::IpAddr};

use arbitrary::{Result, Unstructured};
use ipblock_common::{ClassId, class::NO_CLASS, lookup::nets::ASK_TRIE};
use ipblock_datapath::tables::TableImage;
use ipblock_policy::compile::CompiledZone;
use ipnet::IpNet;

use crate::{
    rulesets::prefix,
    span::{Span, boundaries},
};

/// Entries of one input.
const ENTRIES: usize = 48;

/// At every boundary, the tables (or the trie if they delegate to it) have the class of the longest
/// entry.
pub fn tables(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok((seed, entries)) = entries(&mut bytes) else {
        return;
    };
    let mut zone = CompiledZone::empty();
    for (net, class) in &entries {
        match net {
            IpNet::V4(net) => zone.ipv4.push((*net, *class)),
            IpNet::V6(net) => zone.ipv6.push((*net, *class)),
        }
    }
    let image = TableImage::build(&zone, seed);
    let view = image.view();
    for address in boundaries(entries.keys().copied()) {
        let found = match (view.find(address), address) {
            (ASK_TRIE, IpAddr::V6(_)) => {
                let entries = image.trie_v6.iter();
                longest(
                    entries.map(|(net, class)| (IpNet::V6(*net), *class)),
                    address,
                )
            }
            (found, _) => found,
        };
        let expected = longest(entries.iter().map(|(net, class)| (*net, *class)), address);
        assert_eq!(found, expected, "{address} of {entries:?}, seed {seed}");
    }
}

/// A seed, and prefixes with classes; neighbours have different ones, or the same.
fn entries(u: &mut Unstructured<'_>) -> Result<(u64, BTreeMap<IpNet, ClassId>)> {
    let seed = u.arbitrary()?;
    let mut entries = BTreeMap::new();
    while !u.is_empty() && entries.len() < ENTRIES {
        let class: u8 = u.arbitrary()?;
        entries.insert(prefix(u)?, ClassId::from(class % 40 + 1));
    }
    Ok((seed, entries))
}

fn longest(entries: impl Iterator<Item = (IpNet, ClassId)>, address: IpAddr) -> ClassId {
    let holding = entries.filter(|(net, _)| Span::of(*net).holds(address));
    let longest = holding.max_by_key(|(net, _)| net.prefix_len());
    longest.map_or(NO_CLASS, |(_, class)| class)
}
