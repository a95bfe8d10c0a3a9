//! The chains: which packets reach them, what they accept, and what they do with all packets.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    rule::{Effect, Rule},
    shown,
};
use crate::exchange::read::{accepted::Accepted, collect::Collector};

/// Maximum of chains that accept sources. Each entry is compared with all of them.
const MAX_ACCEPTING: usize = 100;

/// Maximum of different jumps.
const MAX_JUMPS: usize = 100_000;

/// Chains for packets of this host.
pub(super) fn is_outgoing(name: &str) -> bool {
    matches!(bare(name), "OUTPUT" | "POSTROUTING")
}

/// Returns the name of a chain without its table.
fn bare(name: &str) -> &str {
    name.rsplit(' ').next().unwrap_or_default()
}

/// The effect of a chain on all packets that reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// None so far: it only logs or marks them.
    #[default]
    Open,
    Dropped,
    /// It depends on the packet.
    Depends,
}

/// The packets that reach a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Some.
    #[default]
    Some,
    /// Those that are forwarded to others.
    Forwarded,
    /// Those for this host.
    All,
}

#[derive(Default)]
struct Chain {
    fate: Fate,
    /// The sources that it lets pass, with `ACCEPT` and with `RETURN`.
    accepted: Accepted,
    returned: Accepted,
    /// Whether it lets all packets pass from here on.
    is_over: Option<u64>,
    /// The line of its first entry.
    entries: Option<u64>,
    /// The first limit of the rules that send packets to it.
    limit: Option<String>,
    is_target: bool,
    reach: Reach,
    /// Whether the text says what the chain is. Another target is not a chain.
    is_known: bool,
    /// Whether it has a rule that accepts packets.
    accepts: bool,
    /// The chains that it sends packets to, and whether it sends all of them.
    targets: FxHashMap<String, bool>,
}

#[derive(Default)]
pub(super) struct Chains {
    held: FxHashMap<String, Chain>,
    /// The number of different jumps.
    jumps: usize,
    /// The number of chains that accept sources.
    accepting: usize,
    /// Sources that are sent to chains which may accept them.
    sent: Accepted,
}

impl Chains {
    pub(super) fn declare(&mut self, name: &str) {
        self.held.entry(name.to_owned()).or_default().is_known = true;
    }

    pub(super) fn has_room(&self) -> bool {
        self.jumps < MAX_JUMPS && self.held.len() < MAX_JUMPS
    }

    /// Records a rule: the fate of packets in its chain, and where it sends them.
    pub(super) fn record(&mut self, name: &str, rule: &Rule<'_>, effect: Option<Effect>) {
        let is_for_all = rule.sources.is_empty() && rule.limit.is_none();
        if !self.held.contains_key(name) {
            self.declare(name);
        }
        let Some(chain) = self.held.get_mut(name) else {
            return;
        };
        chain.is_known = true;
        chain.accepts |= effect == Some(Effect::Accept);
        chain.fate = match (chain.fate, effect) {
            (Fate::Open, Some(Effect::Continue)) => Fate::Open,
            (Fate::Open, Some(Effect::Block)) if is_for_all => Fate::Dropped,
            (Fate::Open, _) => Fate::Depends,
            (fate, _) => fate,
        };
        if effect.is_some() {
            return;
        }
        let target = match name.rsplit_once(' ') {
            Some((table, _)) => format!("{table} {}", rule.target),
            None => rule.target.to_string(),
        };
        let known = chain.targets.len();
        *chain.targets.entry(target.clone()).or_default() |= is_for_all;
        self.jumps += chain.targets.len() - known;
        let sent_to = self.held.entry(target).or_default();
        sent_to.is_target = true;
        if !is_for_all && sent_to.limit.is_none() {
            let source = rule.sources.first().map(|source| format!("-s {source}"));
            sent_to.limit = rule.limit.clone().or(source);
        }
    }

    /// Records the sources that a rule lets pass. Returns false if there are too many chains of this
    /// kind.
    pub(super) fn accept(
        &mut self,
        name: &str,
        rule: &Rule<'_>,
        effect: Option<Effect>,
        line: u64,
    ) -> bool {
        let chain = self.held.entry(name.to_owned()).or_default();
        if rule.is_negated || rule.sources.is_empty() && rule.limit.is_none() {
            chain.is_over.get_or_insert(line);
            return true;
        }
        let held = match effect {
            Some(Effect::Return) => &mut chain.returned,
            _ => &mut chain.accepted,
        };
        let was_empty = held.is_empty();
        for source in &rule.sources {
            held.add(source, line);
        }
        self.accepting += usize::from(was_empty && !held.is_empty());
        self.accepting <= MAX_ACCEPTING
    }

    /// Returns the line of a rule that lets packets of this source pass before they reach the end of
    /// the chain.
    pub(super) fn accepting(&self, name: &str, source: &str) -> Option<u64> {
        let chain = self.held.get(name)?;
        let overlap = chain.accepted.overlapping_text(source);
        let overlap = overlap.or_else(|| chain.returned.overlapping_text(source));
        overlap.map(|(_, line)| line).or(chain.is_over)
    }

    pub(super) fn has_entries(&mut self, name: &str, line: u64) {
        if let Some(chain) = self.held.get_mut(name) {
            chain.entries.get_or_insert(line);
        }
    }

    /// Whether a chain drops every packet.
    pub(super) fn drops_all(&self, name: &str) -> bool {
        self.held
            .get(name)
            .is_some_and(|chain| chain.fate == Fate::Dropped)
    }

    /// Records a source that is sent to a chain, if that may accept it.
    pub(super) fn send(&mut self, source: &str, target: &str, line: u64) {
        if self.may_accept(target) {
            self.sent.add(source, line);
        }
    }

    /// Whether packets that are sent to a target may be accepted.
    fn may_accept(&self, target: &str) -> bool {
        let (mut seen, mut next) = (FxHashSet::default(), vec![target]);
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            match self.held.get(name).filter(|chain| chain.is_known) {
                Some(chain) if !chain.accepts => {
                    next.extend(chain.targets.keys().map(String::as_str));
                }
                _ => return true,
            }
        }
        false
    }

    /// Rejects chains that not all packets reach, and those whose entries other chains accept.
    pub(super) fn check(&mut self, out: &mut Collector) {
        self.follow_jumps();
        let mut names: Vec<&String> = self.held.keys().collect();
        names.sort();
        for name in names {
            let Some(chain) = self.held.get(name) else {
                continue;
            };
            let Some(line) = chain.entries else { continue };
            if !out.enter(name) {
                return;
            }
            if let Some((problem, hint)) = unreached(name, chain, out) {
                out.spoil(line, &shown(name), &problem, &hint);
            }
            if let Some(other) = self.accepted_elsewhere(name, out) {
                let problem =
                    format!("line {other} may accept packets of its entries in another chain");
                let hint = "take that rule out, and add what it lets through with ipblock-ctl \
                            exception add RULE ADDRESS";
                out.spoil(line, &shown(name), &problem, hint);
            }
            out.leave();
        }
    }

    /// Follows the jumps without limits from the chains of the kernel, and from those that no rule
    /// of the text uses.
    fn follow_jumps(&mut self) {
        let mut reached: Vec<(&str, Reach)> = Vec::new();
        for (name, chain) in &self.held {
            match bare(name) {
                "INPUT" | "PREROUTING" => reached.push((name, Reach::All)),
                "FORWARD" => reached.push((name, Reach::Forwarded)),
                _ if !chain.is_target && !is_outgoing(name) => reached.push((name, Reach::All)),
                _ => {}
            }
        }
        let mut found: FxHashMap<String, Reach> = FxHashMap::default();
        while let Some((name, reach)) = reached.pop() {
            if found.get(name).is_some_and(|held| *held >= reach) {
                continue;
            }
            found.insert(name.to_owned(), reach);
            let targets = self
                .held
                .get(name)
                .into_iter()
                .flat_map(|chain| &chain.targets);
            let sent_all = targets.filter(|(_, is_for_all)| **is_for_all);
            reached.extend(sent_all.map(|(target, _)| (target.as_str(), reach)));
        }
        for (name, reach) in found {
            if let Some(chain) = self.held.get_mut(&name) {
                chain.reach = reach;
            }
        }
    }

    /// Returns the line of a rule outside of a chain that may accept one of its entries.
    fn accepted_elsewhere(&self, name: &str, out: &Collector) -> Option<u64> {
        let others = self.held.iter().filter(|(other, _)| *other != name);
        let accepted = others.map(|(_, chain)| &chain.accepted).chain([&self.sent]);
        let accepted: Vec<&Accepted> = accepted.filter(|held| !held.is_empty()).collect();
        if accepted.is_empty() {
            return None;
        }
        out.find_in(name, |prefix| {
            let overlaps = accepted.iter().find_map(|held| held.overlapping(prefix));
            overlaps.map(|(_, line)| line)
        })
    }
}

/// Returns why not all packets reach a chain, and what to do.
fn unreached(name: &str, chain: &Chain, out: &Collector) -> Option<(String, String)> {
    match chain.reach {
        Reach::All => None,
        Reach::Forwarded if out.wants(name) => None,
        Reach::Forwarded => Some((
            "only forwarded packets reach this chain".to_owned(),
            format!(
                "if the addresses are to be blocked everywhere: --set {}",
                shown(bare(name))
            ),
        )),
        Reach::Some => {
            let limit = match &chain.limit {
                Some(limit) => format!("only rules with `{}` use this chain", shown(limit)),
                None => "no rule for incoming packets uses this chain".to_owned(),
            };
            let hint = format!(
                "every port would be blocked: if that is meant, import the chain alone: \
                 iptables-save | grep -e '-A {} '",
                shown(bare(name))
            );
            Some((limit, hint))
        }
    }
}
