//! `GET /v1/top`: the sources with the most hits, among those in the kernel's table.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{TopBy, TopInfo, TopQuery},
};
use ipblock_common::{SourceKey, class::NO_CLASS, limits};
use ipblock_datapath::clock::Now;
use ipblock_policy::{RuleId, edit};
use ipnet::IpNet;
use serde::Serialize;

use super::address;
use crate::views::RULE_ROOM;
use crate::{
    answers::{Array, Refusal, Sink},
    connections::Room,
    state::Service,
};

/// Default number of sources in one answer.
const DEFAULT_LIMIT: u32 = 20;

/// Memory of the answer in bytes per source in the kernel.
const SOURCE_ROOM: usize = 192;

/// The hits of one source in all its classes.
#[derive(Default)]
struct Hits {
    /// The keys for the names of its rules.
    classes: Vec<SourceKey>,
    /// Number of addresses.
    sources: u64,
    banned: bool,
    packets: u64,
    bytes: u64,
    last_hit: u64,
}

/// Lengths of the prefixes whose sources are added up.
#[derive(Clone, Copy)]
struct Lengths {
    v4: u8,
    v6: u8,
}

impl Lengths {
    fn of(query: &TopQuery) -> Result<Self, ApiError> {
        let length = |given: Option<u8>, most: u8| match given {
            Some(length) if length > most => {
                let message = format!("a prefix length of {length}");
                Err(ApiError::new(ErrorKind::Invalid, message)
                    .with_hint("write at most 32 for IPv4 and 128 for IPv6"))
            }
            length => Ok(length.unwrap_or(most)),
        };
        Ok(Self {
            v4: length(query.v4_prefix, 32)?,
            v6: length(query.v6_prefix, 128)?,
        })
    }

    /// Returns the prefix of an address.
    fn prefix(self, source: IpAddr) -> IpNet {
        let length = if source.is_ipv4() { self.v4 } else { self.v6 };
        let whole = IpNet::from(source);
        IpNet::new(source, length).map_or(whole, |prefix| prefix.trunc())
    }

    /// Adds up the hits of the addresses in each prefix.
    fn add_up(self, sources: HashMap<IpAddr, Hits>) -> HashMap<IpAddr, Hits> {
        let mut sums: HashMap<IpAddr, Hits> = HashMap::new();
        for (source, hits) in sources {
            let sum = sums.entry(self.prefix(source).network()).or_default();
            sum.sources += hits.sources;
            sum.packets += hits.packets;
            sum.bytes += hits.bytes;
            sum.last_hit = sum.last_hit.max(hits.last_hit);
            sum.banned |= hits.banned;
            sum.classes.extend(hits.classes);
        }
        sums
    }
}

impl Service {
    /// Returns the sources with the most hits, largest first. Rules are resolved when a source is
    /// written: one may have hit hundreds.
    pub(crate) fn top(
        self: &Arc<Self>,
        query: &TopQuery,
        room: &mut Room,
    ) -> Result<impl Serialize + use<>, Refusal> {
        room.need(limits::HIT_SOURCES as usize * SOURCE_ROOM)?;
        let lengths = Lengths::of(query)?;
        let rule = match &query.rule {
            Some(name) => Some(self.rule_id(name)?),
            None => None,
        };
        let mut is_hit: HashMap<_, bool> = HashMap::new();
        let mut sources: HashMap<IpAddr, Hits> = HashMap::new();
        for (key, count) in self.alerts.hits.all()? {
            let hits_it = rule.is_none_or(|rule| {
                let known = is_hit.entry((key.generation, key.class));
                *known.or_insert_with(|| self.rules_of(&[key]).contains(&rule))
            });
            if !hits_it {
                continue;
            }
            let source = address(key.family, key.address);
            let hits = sources.entry(source).or_default();
            hits.sources = 1;
            hits.packets += count.packets;
            hits.bytes += count.bytes;
            hits.last_hit = hits.last_hit.max(count.last_hit);
            if key.class == NO_CLASS {
                hits.banned = true;
            } else {
                hits.classes.push(key);
            }
        }
        if query.v4_prefix.is_some() || query.v6_prefix.is_some() {
            sources = lengths.add_up(sources);
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
        sources.shrink_to_fit();
        let names = self.names_of_rules(sources.iter().flat_map(|(_, hits)| &hits.classes));
        room.keep(sources.len() * SOURCE_ROOM + names.len() * RULE_ROOM);
        let service = Arc::clone(self);
        let is_prefix = query.v4_prefix.is_some() || query.v6_prefix.is_some();
        Ok(Array::new(move |sink: Sink<'_, TopInfo>| {
            let now = Now::read();
            for (source, hits) in &sources {
                let rules = service.rules_of(&hits.classes);
                let rules = rules.iter().filter_map(|id| names.get(id).cloned());
                let top = TopInfo {
                    source: *source,
                    prefix: is_prefix.then(|| lengths.prefix(*source)),
                    sources: is_prefix.then_some(hits.sources),
                    rules: rules.collect(),
                    banned: hits.banned,
                    packets: hits.packets,
                    bytes: hits.bytes,
                    last_hit: now.hit_time(hits.last_hit),
                };
                if sink(top).is_break() {
                    break;
                }
            }
            Ok(())
        }))
    }

    /// Returns the identity of a deployed rule.
    fn rule_id(&self, name: &str) -> Result<RuleId, ApiError> {
        let state = self.read();
        let rules = &state.rulesets.deployed().rules;
        let found = rules.iter().find(|rule| rule.name.as_str() == name);
        found.map(|rule| rule.id).ok_or_else(|| {
            let names = rules.iter().map(|rule| rule.name.as_str());
            edit::no_such_rule(name, names).into()
        })
    }

    /// Returns the names of the rules of these classes, without removed rules.
    fn names_of_rules<'a>(
        &self,
        classes: impl Iterator<Item = &'a SourceKey>,
    ) -> HashMap<RuleId, String> {
        let state = self.read();
        let (mut seen, mut ids) = (HashSet::new(), BTreeSet::new());
        for key in classes {
            if seen.insert((key.generation, key.class))
                && let Some(found) = state.class_of(key)
            {
                ids.extend(&found.class.matched);
            }
        }
        let rules = state.rule_book();
        let named = ids.into_iter().map(|id| (id, rules.name(id)));
        named
            .filter_map(|(id, name)| name.map(|name| (id, name)))
            .collect()
    }

    /// Returns the identities of the rules of these classes.
    fn rules_of(&self, classes: &[SourceKey]) -> BTreeSet<RuleId> {
        let state = self.read();
        let found = classes.iter().filter_map(|key| state.class_of(key));
        found
            .flat_map(|found| found.class.matched.iter().copied())
            .collect()
    }
}
