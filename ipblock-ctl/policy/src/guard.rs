//! The guard against lock-out: finds protected addresses that a change would newly drop.
//!
//! The daemon knows where the addresses come from. This module models a change as two verdict
//! functions per zone.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    explain::{Explainer, Explanation, Reason},
    name::{RuleName, ZoneName},
};

/// Number of addresses, and of rules per address, that a message lists; it gives the number of the
/// others.
const NAMED: usize = 10;

/// Addresses that must stay reachable, each with all its reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected(BTreeMap<IpAddr, Vec<String>>);

impl Protected {
    /// Adds an address and the reason for its protection, in words that follow "192.0.2.7:". An
    /// IPv4-mapped address becomes IPv4. Ignores addresses that cannot belong to another host
    /// (loopback, unspecified, multicast).
    pub fn add(&mut self, address: IpAddr, why: impl Into<String>) {
        let address = address.to_canonical();
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return;
        }
        let reasons = self.0.entry(address).or_default();
        let why = why.into();
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }

    /// The addresses, sorted.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.0.keys().copied().collect()
    }

    /// Returns why an address is protected; empty if it is not.
    #[must_use]
    pub fn why(&self, address: IpAddr) -> String {
        let reasons = self.0.get(&address).map_or(&[][..], Vec::as_slice);
        reasons.join("; ")
    }
}

/// A zone before and after a change. Both functions return whether it drops a packet from an
/// address.
pub struct ZoneSides<'a> {
    /// Its name.
    pub name: &'a ZoneName,
    /// Before. A zone that did not exist and an interface without a filter drop nothing.
    pub before: &'a dyn Fn(IpAddr) -> bool,
    /// After.
    pub after: &'a dyn Fn(IpAddr) -> bool,
}

/// Returns the addresses that a zone passed and would drop, by zone, in the given order.
pub fn newly_dropped<'a>(
    addresses: &[IpAddr],
    zones: impl IntoIterator<Item = ZoneSides<'a>>,
) -> Vec<(ZoneName, IpAddr)> {
    let mut found = Vec::new();
    for zone in zones {
        let cut = addresses
            .iter()
            .filter(|address| (zone.after)(**address) && !(zone.before)(**address));
        found.extend(cut.map(|address| (zone.name.clone(), *address)));
    }
    found
}

/// The cause of a drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// These block rules.
    Rules(Vec<RuleName>),
    /// The zone's default.
    Default,
    /// A ban of a prefix with the address.
    Ban(IpNet),
}

impl Cause {
    /// Returns the cause of a drop from its explanation.
    #[must_use]
    pub fn of(explanation: &Explanation<'_>) -> Self {
        if explanation.drops() && explanation.reason == Reason::Rule {
            let matching = explanation.rules.iter();
            let blocking =
                matching.filter(|found| found.excepted_by.is_none() && found.rule.action.drops());
            return Self::Rules(blocking.map(|found| found.rule.name.clone()).collect());
        }
        Self::Default
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("its default"),
            Self::Ban(prefix) => write!(f, "the ban of {prefix}"),
            Self::Rules(rules) => {
                let word = if rules.len() == 1 { "rule" } else { "rules" };
                let names: Vec<_> = rules.iter().take(NAMED).map(|r| format!("`{r}`")).collect();
                write!(f, "{word} {}", names.join(", "))?;
                match rules.len() - names.len() {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

/// A protected address that would become unreachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The address.
    pub address: IpAddr,
    /// Why it is protected.
    pub why: String,
    /// The zone that would drop it.
    pub zone: ZoneName,
    /// The cause of the drop.
    pub cause: Cause,
    /// The revision on trial, if the drop happens only after its rollback.
    pub once_back: Option<u64>,
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            why,
            zone,
            cause,
            once_back,
        } = self;
        write!(
            f,
            "{address} ({why}): zone `{zone}` would drop it by {cause}"
        )?;
        match once_back {
            Some(revision) => write!(f, " once revision {revision} is taken back"),
            None => Ok(()),
        }
    }
}

/// Returns the protected addresses that bans of these prefixes would newly drop in a zone. An
/// address on an allow list is not among them, because that wins over bans.
#[must_use]
pub fn cut_by_bans(
    protected: &Protected,
    prefixes: &[IpNet],
    zone: &ZoneName,
    explainer: &Explainer<'_>,
) -> Vec<CutOff> {
    let hit = protected.0.keys().filter_map(|address| {
        let prefix = prefixes.iter().find(|prefix| prefix.contains(address))?;
        let found = explainer.explain(*address);
        let stays = found.reason == Reason::Allow || found.drops();
        (!stays).then(|| CutOff {
            address: *address,
            why: protected.why(*address),
            zone: zone.clone(),
            cause: Cause::Ban(*prefix),
            once_back: None,
        })
    });
    hit.collect()
}

/// Returns the refusal of a change that would cut addresses off, with a line for each.
#[must_use]
pub fn refusal(cut: &[CutOff]) -> String {
    let mut text = match distinct(cut).len() {
        1 => "refused: it would cut off an address that you need".to_owned(),
        count => format!("refused: it would cut off {count} addresses that you need"),
    };
    for line in lines(cut) {
        let _ = write!(text, "\n  {line}");
    }
    text
}

/// Returns a line for each address that would be cut off: some, and the number of the others.
#[must_use]
pub fn lines(cut: &[CutOff]) -> Vec<String> {
    let mut lines: Vec<_> = cut.iter().take(NAMED).map(ToString::to_string).collect();
    if cut.len() > NAMED {
        lines.push(format!("and {} more", cut.len() - NAMED));
    }
    lines
}

/// Returns what to do instead; `deploy` if the allow list must be deployed first.
#[must_use]
pub fn refusal_hint(cut: &[CutOff], deploy: bool) -> String {
    // Nothing can be deployed during a trial.
    if cut.iter().all(|one| one.once_back.is_some()) {
        return "first `ipblock-ctl confirm`\nor pass --force if that is meant".to_owned();
    }
    let addresses = distinct(cut);
    let named: Vec<_> = addresses
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let deploy = if deploy { " --deploy" } else { "" };
    let them = if named.len() == 1 { "it" } else { "them" };
    format!(
        "let {them} through first: `ipblock-ctl allow add {}{deploy}`\nor pass --force if that is \
         meant",
        named.join(" ")
    )
}

fn distinct(cut: &[CutOff]) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = cut.iter().map(|one| one.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        compile::{CompiledZone, compile},
        document::parse,
        ruleset::Ruleset,
    };

    fn ruleset(toml: &str) -> Ruleset {
        parse(toml, "rules.toml", true).unwrap()
    }

    fn block(prefixes: &str, rest: &str) -> Ruleset {
        ruleset(&format!(
            "[[rule]]\nname = \"abuse\"\naction = \"block\"\nmatch = [{prefixes}]\n{rest}"
        ))
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn zone(ruleset: &Ruleset) -> CompiledZone {
        compile(ruleset, &ZoneName::default(), now()).unwrap()
    }

    /// Returns which of the addresses the zone `default` would newly drop.
    fn cut(before: &Ruleset, after: &Ruleset, addresses: &[&str]) -> Vec<String> {
        let (before, after) = (zone(before), zone(after));
        let sides = ZoneSides {
            name: &ZoneName::default(),
            before: &|address| before.drops(address, now()),
            after: &|address| after.drops(address, now()),
        };
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let found = newly_dropped(&addresses, [sides]);
        found
            .iter()
            .map(|(_, address)| address.to_string())
            .collect()
    }

    const TWO: [&str; 2] = ["192.0.2.7", "2001:db8::7"];

    #[test]
    fn a_block_cuts_what_it_matches_and_nothing_beside_it() {
        let before = Ruleset::default();
        let after = block("\"192.0.2.0/29\"", "");
        assert_eq!(cut(&before, &after, &TWO), ["192.0.2.7"]);
        assert!(cut(&before, &after, &["192.0.2.8", "198.51.100.7"]).is_empty());
    }

    #[test]
    fn what_was_dropped_already_is_not_newly_dropped() {
        let before = block("\"192.0.2.0/24\"", "");
        let after = block("\"192.0.2.0/24\", \"2001:db8::/32\"", "");
        assert_eq!(cut(&before, &after, &TWO), ["2001:db8::7"]);
    }

    #[test]
    fn allow_lists_exceptions_and_warnings_do_not_cut() {
        let before = Ruleset::default();
        let both = "\"192.0.2.0/24\", \"2001:db8::/32\"";
        let allow = "[allow]\nmatch = [\"192.0.2.7\", \"2001:db8::7\"]";
        let except = "except = [\"192.0.2.7\", \"2001:db8::7\"]";
        for rest in [allow, except, "enabled = false"] {
            assert!(cut(&before, &block(both, rest), &TWO).is_empty(), "{rest}");
        }
        let warn = ruleset("[[rule]]\nname = \"w\"\naction = \"warn\"\nmatch = [\"192.0.2.0/24\"]");
        assert!(cut(&before, &warn, &TWO).is_empty());
    }

    #[test]
    fn a_removed_allow_entry_and_a_removed_exception_cut() {
        let after = block("\"192.0.2.0/24\"", "");
        for rest in [
            "[allow]\nmatch = [\"192.0.2.7\"]",
            "except = [\"192.0.2.7\"]",
        ] {
            let before = block("\"192.0.2.0/24\"", rest);
            assert_eq!(cut(&before, &after, &TWO), ["192.0.2.7"], "{rest}");
        }
    }

    #[test]
    fn a_default_that_turns_to_drop_cuts_what_is_not_allowed_warned_addresses_too() {
        let warn = "[[rule]]\nname = \"w\"\naction = \"warn\"\nmatch = [\"2001:db8::/32\"]\n";
        let before = ruleset(warn);
        let after = ruleset(&format!(
            "{warn}[zone.default]\ndefault = \"drop\"\nallow = [\"192.0.2.7\"]"
        ));
        assert_eq!(cut(&before, &after, &TWO), ["2001:db8::7"]);
    }

    #[test]
    fn a_rule_that_has_ended_cuts_nothing_and_one_that_will_end_does() {
        let before = Ruleset::default();
        let ended = block("\"192.0.2.7\"", "expires = 2025-12-31T23:59:59Z");
        assert!(cut(&before, &ended, &TWO).is_empty());
        let ends = block("\"192.0.2.7\"", "expires = 2026-01-01T00:00:01Z");
        assert_eq!(cut(&before, &ends, &TWO), ["192.0.2.7"]);
    }

    #[test]
    fn a_ban_cuts_what_passes_and_is_not_allowed() {
        let ruleset = block(
            "\"192.0.2.8\"",
            "[allow]\nmatch = [\"192.0.2.9\"]\n\
             [[rule]]\nname = \"w\"\naction = \"warn\"\nmatch = [\"192.0.2.10\"]",
        );
        let mut protected = Protected::default();
        for last in [7, 8, 9, 10, 200] {
            protected.add([192, 0, 2, last].into(), "a reason");
        }
        let zone = ZoneName::default();
        let explainer = Explainer::new(&ruleset, &zone, now());
        let prefixes = ["198.51.100.0/24", "192.0.2.0/28"].map(|text| text.parse().unwrap());
        let cut = cut_by_bans(&protected, &prefixes, &zone, &explainer);
        let texts: Vec<_> = cut.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "192.0.2.7 (a reason): zone `default` would drop it by the ban of 192.0.2.0/28",
                "192.0.2.10 (a reason): zone `default` would drop it by the ban of 192.0.2.0/28",
            ]
        );
    }

    #[test]
    fn an_address_is_kept_once_with_every_reason_and_in_one_form() {
        let mut protected = Protected::default();
        protected.add(
            "::ffff:192.0.2.7".parse().unwrap(),
            "default gateway of eth0",
        );
        protected.add(
            "192.0.2.7".parse().unwrap(),
            "name server in /etc/resolv.conf",
        );
        protected.add("192.0.2.7".parse().unwrap(), "default gateway of eth0");
        for nobody in ["127.0.0.53", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
            protected.add(nobody.parse().unwrap(), "a stub");
        }
        let address = "192.0.2.7".parse().unwrap();
        assert_eq!(protected.addresses(), [address]);
        assert_eq!(
            protected.why(address),
            "default gateway of eth0; name server in /etc/resolv.conf"
        );
    }

    #[test]
    fn the_cause_names_the_rules_that_block_and_no_others() {
        let ruleset = ruleset(
            "[[rule]]\nname = \"a\"\naction = \"block\"\nmatch = [\"192.0.2.0/24\"]\n\
             [[rule]]\nname = \"b\"\naction = \"block\"\nmatch = [\"192.0.2.0/25\"]\n\
             [[rule]]\nname = \"spares\"\naction = \"block\"\nmatch = [\"192.0.2.0/25\"]\n\
             except = [\"192.0.2.7\"]\n\
             [[rule]]\nname = \"w\"\naction = \"warn\"\nmatch = [\"192.0.2.7\"]\n\
             [zone.default]\ndefault = \"drop\"",
        );
        let name = ZoneName::default();
        let explainer = Explainer::new(&ruleset, &name, now());
        let cause = |text: &str| Cause::of(&explainer.explain(text.parse().unwrap())).to_string();
        assert_eq!(cause("192.0.2.7"), "rules `a`, `b`");
        assert_eq!(cause("192.0.2.200"), "rule `a`");
        assert_eq!(cause("198.51.100.7"), "its default");
    }

    #[test]
    fn a_refusal_names_address_reason_zone_and_cause_in_bounded_length() {
        let net: IpNet = "192.0.2.0/24".parse().unwrap();
        let cut: Vec<_> = net
            .hosts()
            .take(12)
            .map(|address| CutOff {
                address,
                why: "connected to sshd on port 22".to_owned(),
                zone: ZoneName::default(),
                cause: Cause::Rules(vec!["abuse".parse().unwrap()]),
                once_back: None,
            })
            .collect();
        insta::assert_snapshot!(refusal(&cut[..1]), @r"
        refused: it would cut off an address that you need
          192.0.2.1 (connected to sshd on port 22): zone `default` would drop it by rule `abuse`
        ");
        let many = refusal(&cut);
        assert!(
            many.starts_with("refused: it would cut off 12 addresses"),
            "{many}"
        );
        assert!(many.ends_with("\n  and 2 more"), "{many}");
        let mut on_trial = cut[..1].to_vec();
        on_trial[0].once_back = Some(7);
        insta::assert_snapshot!(refusal(&on_trial), @r"
        refused: it would cut off an address that you need
          192.0.2.1 (connected to sshd on port 22): zone `default` would drop it by rule `abuse` once revision 7 is taken back
        ");
        assert_eq!(
            refusal_hint(&on_trial, true),
            "first `ipblock-ctl confirm`\nor pass --force if that is meant"
        );
        assert_eq!(
            refusal_hint(&cut[..2], true),
            "let them through first: `ipblock-ctl allow add 192.0.2.1 192.0.2.2 --deploy`\n\
             or pass --force if that is meant"
        );
        assert!(refusal_hint(&cut[..1], false).starts_with("let it through first: "));
    }
}
