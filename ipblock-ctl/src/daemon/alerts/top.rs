//! `GET /v1/top`: the sources that hit most, of those that the kernel keeps.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use ipblock_common::class::NO_CLASS;

use super::address;
use crate::{
    api::{
        error::ApiError,
        types::{TopBy, TopInfo, TopQuery},
    },
    daemon::state::Service,
    datapath::clock::Now,
    policy::RuleId,
};

/// Sources in one answer unless told otherwise.
const DEFAULT_LIMIT: u32 = 20;

/// What one source did in all classes that it fell into.
#[derive(Default)]
struct Hits {
    rules: BTreeSet<RuleId>,
    banned: bool,
    packets: u64,
    bytes: u64,
    last_hit: u64,
}

impl Service {
    /// The sources that hit most, most first.
    pub fn top(&self, query: TopQuery) -> Result<Vec<TopInfo>, ApiError> {
        let found = self.hits.all()?;
        let state = self.read();
        let mut sources: HashMap<IpAddr, Hits> = HashMap::new();
        for (key, count) in found {
            let source = address(key.family, key.address);
            let hits = sources.entry(source).or_default();
            hits.packets += count.packets;
            hits.bytes += count.bytes;
            hits.last_hit = hits.last_hit.max(count.last_hit);
            hits.banned |= key.class == NO_CLASS;
            if let Some(found) = state.class_of(&key) {
                hits.rules.extend(&found.class.matched);
            }
        }
        let mut sources: Vec<_> = sources.into_iter().collect();
        sources.sort_unstable_by_key(|(source, hits)| {
            let most = match query.by {
                TopBy::Packets => (hits.packets, hits.bytes),
                TopBy::Bytes => (hits.bytes, hits.packets),
            };
            (Reverse(most), *source)
        });
        sources.truncate(query.limit.unwrap_or(DEFAULT_LIMIT) as usize);
        let rules = state.rule_book();
        let now = Now::read();
        let named = sources.into_iter().map(|(source, hits)| TopInfo {
            source,
            rules: hits.rules.iter().filter_map(|id| rules.name(*id)).collect(),
            banned: hits.banned,
            packets: hits.packets,
            bytes: hits.bytes,
            last_hit: now.hit_time(hits.last_hit),
        });
        Ok(named.collect())
    }
}
