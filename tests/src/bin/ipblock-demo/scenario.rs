//! What the demo deploys and sends: the ruleset, and each kind of traffic with what must become
//! of it.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
};

use anyhow::{Context as _, Result, ensure};
use ipblock_tests::packet::{CTAG, Frame, Ipv4, Ipv6, Payload, STAG};

use crate::{
    counters::Counters,
    countries::{Country, CountryTable, Range, plus},
};

/// The longest text of a source that the table has room for.
pub(crate) const SOURCE_WIDTH: usize = 20;

const ARP: u16 = 0x0806;

/// The hand-written part of the ruleset. `abuse` and `watch` overlap, in each other's exceptions too.
const RULES: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.7", "203.0.113.64-203.0.113.99", "2001:db8:bad::/48"]
except = ["203.0.113.80/31", "2001:db8:bad:1::/64"]

[[rule]]
name = "watch"
action = "warn"
match = ["198.51.100.0/25", "203.0.113.81", "203.0.113.90", "2001:db8:cafe::/48", "2001:db8:bad:2::/64"]
"#;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Dropped,
    Warned,
    Allowed,
    NonIp,
}

impl Outcome {
    /// The total that counts it.
    pub(crate) fn total(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Warned => "warned",
            Self::Allowed => "allowed",
            Self::NonIp => "non_ip",
        }
    }

    /// What `ipblock-ctl check` calls it.
    pub(crate) fn verdict(self) -> &'static str {
        match self {
            Self::Dropped => "block",
            Self::Warned => "warn",
            Self::Passed | Self::Allowed | Self::NonIp => "pass",
        }
    }
}

/// How a packet is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Without tags.
    Plain,
    /// One 802.1Q tag.
    Vlan,
    /// An 802.1ad tag, then an 802.1Q tag.
    Qinq,
}

impl Framing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Vlan => "vlan",
            Self::Qinq => "qinq",
        }
    }

    fn tags(self) -> &'static [u16] {
        match self {
            Self::Plain => &[],
            Self::Vlan => &[CTAG],
            Self::Qinq => &[STAG, CTAG],
        }
    }
}

/// One kind of traffic, and what must become of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The source address; none for ARP.
    pub(crate) source: Option<IpAddr>,
    pub(crate) framing: Framing,
    pub(crate) outcome: Outcome,
    /// Rules that count it as a hit.
    pub(crate) matched: Vec<String>,
    /// Rules that an exception keeps from it.
    pub(crate) excepted: Vec<String>,
}

impl Case {
    fn new(source: IpAddr, framing: Framing, outcome: Outcome) -> Self {
        Self {
            source: Some(source),
            framing,
            outcome,
            matched: Vec::new(),
            excepted: Vec::new(),
        }
    }

    fn arp(framing: Framing) -> Self {
        Self {
            source: None,
            framing,
            outcome: Outcome::NonIp,
            matched: Vec::new(),
            excepted: Vec::new(),
        }
    }

    fn matched(mut self, rules: &[&str]) -> Self {
        self.matched = rules.iter().map(|&rule| rule.to_owned()).collect();
        self
    }

    fn excepted(mut self, rule: &str) -> Self {
        self.excepted = vec![rule.to_owned()];
        self
    }

    /// A frame of this kind, which the receiver tells from others by the marker.
    pub(crate) fn frame(&self, marker: u64) -> Frame {
        let payload = Payload::udp(5000, 53).marked(marker);
        let frame = match self.source {
            Some(IpAddr::V4(source)) => Frame::carrying(&Ipv4::from_source(source).with(payload)),
            Some(IpAddr::V6(source)) => Frame::carrying(&Ipv6::from_source(source).with(payload)),
            None => Frame::of_type(ARP, &[0; 28]).marked(marker),
        };
        frame.tagged(self.framing.tags())
    }

    /// Everything that counts `packets` frames of this kind.
    pub(crate) fn counters(&self, packets: u64) -> Counters {
        let bytes = packets * self.frame(0).len() as u64;
        let mut counters = Counters::default();
        let mut count = |place: &str| {
            counters.add(format!("{place} packets"), packets);
            counters.add(format!("{place} bytes"), bytes);
        };
        count(&format!("totals {}", self.outcome.total()));
        if self.outcome == Outcome::Allowed {
            count("allow");
        }
        for rule in &self.matched {
            count(&format!("rules {rule}"));
        }
        for rule in &self.excepted {
            counters.add(format!("rules {rule} excepted"), packets);
        }
        counters
    }

    /// The rules, for the table.
    pub(crate) fn rules(&self) -> String {
        let mut parts: Vec<String> = self.excepted.iter().map(|it| format!("not {it}")).collect();
        parts.extend(self.matched.iter().cloned());
        match self.outcome {
            Outcome::Allowed => "allow list".to_owned(),
            _ if parts.is_empty() => "-".to_owned(),
            _ => parts.join(", "),
        }
    }
}

/// The ruleset and the traffic.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// TOML.
    pub(crate) ruleset: String,
    pub(crate) cases: Vec<Case>,
    /// Further addresses, and what `ipblock-ctl check` must say of each.
    pub(crate) samples: Vec<(IpAddr, Outcome)>,
}

impl Scenario {
    /// Ranges and sources that depend on the table only, so that every run does the same.
    pub(crate) fn new(table: &CountryTable) -> Result<Self> {
        let [c0, c1, c2, c3, c4, c5, ..] = table.countries.as_slice() else {
            anyhow::bail!("the table has fewer than six countries");
        };
        let allowed4 = Allowed::in_country(c4, &c4.ipv4)?;
        let allowed6 = Allowed::in_country(c5, &c5.ipv6)?;
        let past = past_a_range(table)?;

        let block = |country: &Country, source, framing| {
            Case::new(source, framing, Dropped).matched(&[&rule_name(country)])
        };
        let ip = |text: &str| -> Result<IpAddr> { text.parse().with_context(|| text.to_owned()) };
        let first4 = c0.ipv4.first().context("no range")?.first;
        let last4 = c1.ipv4.last().context("no range")?.last;

        use Framing::{Plain, Qinq, Vlan};
        use Outcome::{Allowed as Let, Dropped, Passed, Warned};
        let cases = vec![
            Case::new(ip("203.0.113.7")?, Plain, Dropped).matched(&["abuse"]),
            Case::new(ip("203.0.113.7")?, Vlan, Dropped).matched(&["abuse"]),
            Case::new(ip("203.0.113.64")?, Plain, Dropped).matched(&["abuse"]),
            Case::new(ip("203.0.113.99")?, Qinq, Dropped).matched(&["abuse"]),
            Case::new(ip("203.0.113.100")?, Plain, Passed),
            Case::new(ip("2001:db8:bad::7")?, Plain, Dropped).matched(&["abuse"]),
            Case::new(ip("2001:db8:bad::7")?, Vlan, Dropped).matched(&["abuse"]),
            block(c0, first4, Plain),
            block(c1, last4, Vlan),
            block(c2, short_ipv6(c2)?, Plain),
            block(c3, short_ipv6(c3)?, Qinq),
            Case::new(past, Plain, Passed),
            Case::new(ip("198.51.100.7")?, Plain, Warned).matched(&["watch"]),
            Case::new(ip("198.51.100.7")?, Qinq, Warned).matched(&["watch"]),
            Case::new(ip("2001:db8:cafe::7")?, Plain, Warned).matched(&["watch"]),
            Case::new(ip("2001:db8:cafe::7")?, Vlan, Warned).matched(&["watch"]),
            Case::new(ip("203.0.113.90")?, Plain, Dropped).matched(&["abuse", "watch"]),
            Case::new(ip("2001:db8:bad:2::1")?, Vlan, Dropped).matched(&["abuse", "watch"]),
            Case::new(ip("203.0.113.80")?, Plain, Passed).excepted("abuse"),
            Case::new(ip("203.0.113.81")?, Vlan, Warned)
                .excepted("abuse")
                .matched(&["watch"]),
            Case::new(ip("2001:db8:bad:1::1")?, Plain, Passed).excepted("abuse"),
            Case::new(ip("2001:db8:bad:1::1")?, Qinq, Passed).excepted("abuse"),
            Case::new(allowed4.inside, Plain, Let),
            Case::new(allowed4.inside, Qinq, Let),
            block(c4, allowed4.past, Plain),
            Case::new(allowed6.inside, Plain, Let),
            Case::new(allowed6.inside, Vlan, Let),
            Case::new(ip("198.51.100.200")?, Plain, Passed),
            Case::new(ip("198.51.100.200")?, Vlan, Passed),
            Case::new(ip("2001:db8:f00d::1")?, Plain, Passed),
            Case::new(ip("2001:db8:f00d::1")?, Qinq, Passed),
            Case::arp(Plain),
            Case::arp(Vlan),
        ];
        for case in &cases {
            let of_a_country = case.source.is_some_and(|source| table.contains(source));
            let as_meant =
                case.matched.iter().any(|rule| rule.starts_with("country-")) || case.outcome == Let;
            ensure!(
                of_a_country == as_meant,
                "{:?}: not what the demo takes it for in {}",
                case.source,
                table.origin
            );
        }

        let samples = table
            .countries
            .iter()
            .flat_map(|country| spread(&country.ipv4).chain(spread(&country.ipv6)))
            .flat_map(|range| [range.first, range.last])
            .map(|address| {
                let allowed = [&allowed4, &allowed6].iter().any(|it| it.holds(address));
                (address, if allowed { Let } else { Dropped })
            })
            .collect();
        Ok(Self {
            ruleset: ruleset(table, &[&allowed4, &allowed6]),
            cases,
            samples,
        })
    }

    /// Rules that the ruleset has.
    pub(crate) fn rule_count(&self) -> usize {
        self.ruleset.matches("[[rule]]").count()
    }

    /// Every address that is asked about, once, and what must be said of it.
    pub(crate) fn checks(&self) -> Vec<(IpAddr, Outcome)> {
        let mut seen = BTreeSet::new();
        self.cases
            .iter()
            .filter_map(|case| Some((case.source?, case.outcome)))
            .chain(self.samples.iter().copied())
            .filter(|(address, _)| seen.insert(*address))
            .collect()
    }
}

/// An allow entry inside a blocked country.
#[derive(Debug)]
struct Allowed {
    prefix: String,
    range: Range,
    inside: IpAddr,
    /// Of the country, and just behind the entry.
    past: IpAddr,
}

impl Allowed {
    /// The first /24 or /64 of the first range that starts with one and goes on behind it.
    fn in_country(country: &Country, ranges: &[Range]) -> Result<Self> {
        let found = ranges.iter().find_map(|range| {
            let (length, last) = match range.first {
                IpAddr::V4(first) if first.octets().ends_with(&[0]) => {
                    (24, plus(range.first, 255)?)
                }
                IpAddr::V6(first) if first.to_bits().trailing_zeros() >= 64 => {
                    let last = first.to_bits() | u128::from(u64::MAX);
                    (64, Ipv6Addr::from_bits(last).into())
                }
                _ => return None,
            };
            let past = plus(last, 1).filter(|past| range.contains(*past))?;
            let inside = range.nth(7).filter(fits)?;
            Some(Self {
                prefix: format!("{}/{length}", range.first),
                range: Range {
                    first: range.first,
                    last,
                },
                inside,
                past,
            })
        });
        found.with_context(|| format!("{} has no range with room for an allow entry", country.code))
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.range.contains(address)
    }
}

fn rule_name(country: &Country) -> String {
    format!("country-{}", country.code)
}

fn fits(address: &IpAddr) -> bool {
    address.to_string().len() <= SOURCE_WIDTH
}

/// An address of the country that the table has room for.
fn short_ipv6(country: &Country) -> Result<IpAddr> {
    country
        .ipv6
        .iter()
        .filter_map(|range| range.nth(7))
        .find(fits)
        .with_context(|| format!("{} has no short IPv6 address", country.code))
}

/// The address behind an IPv4 range, where no blocked country goes on.
fn past_a_range(table: &CountryTable) -> Result<IpAddr> {
    table
        .countries
        .iter()
        .flat_map(|country| &country.ipv4)
        .filter_map(|range| plus(range.last, 1))
        .find(|address| !table.contains(*address))
        .context("the countries' ranges leave no gap")
}

/// At most 21 ranges, spread over all, the first and the last among them.
fn spread(ranges: &[Range]) -> impl Iterator<Item = &Range> {
    let step = (ranges.len() / 20).max(1);
    ranges.iter().step_by(step).chain(ranges.last())
}

fn ruleset(table: &CountryTable, allowed: &[&Allowed]) -> String {
    let mut text = String::from("[allow]\nmatch = [");
    for allowed in allowed {
        quote(&mut text, &allowed.prefix);
    }
    text.push_str("]\n");
    text.push_str(RULES);
    for country in &table.countries {
        let name = rule_name(country);
        text.push_str("\n[[rule]]\nname = ");
        let _ = write!(text, "\"{name}\"\naction = \"block\"\nmatch = [");
        for range in country.ipv4.iter().chain(&country.ipv6) {
            quote(&mut text, &format!("{}-{}", range.first, range.last));
        }
        text.push_str("]\n");
    }
    text
}

fn quote(text: &mut String, element: &str) {
    let _ = write!(text, "\"{element}\", ");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        Scenario::new(&CountryTable::small()).unwrap()
    }

    #[test]
    fn every_outcome_is_sent_in_every_framing_it_claims_and_in_both_families() {
        let scenario = scenario();
        for outcome in [
            Outcome::Passed,
            Outcome::Dropped,
            Outcome::Warned,
            Outcome::Allowed,
        ] {
            for ipv4 in [true, false] {
                let has = |tagged| {
                    scenario.cases.iter().any(|case| {
                        case.outcome == outcome
                            && case.source.is_some_and(|source| source.is_ipv4() == ipv4)
                            && (case.framing != Framing::Plain) == tagged
                    })
                };
                assert!(has(true) && has(false), "{outcome:?}, IPv4: {ipv4}");
            }
        }
        assert!(scenario.cases.iter().any(|case| case.source.is_none()));
    }

    #[test]
    fn sources_fit_into_the_table() {
        for case in scenario().cases {
            assert!(case.source.is_none_or(|source| fits(&source)), "{case:?}");
            assert!(case.rules().len() <= crate::report::RULES_WIDTH, "{case:?}");
        }
    }

    #[test]
    fn the_ruleset_has_a_rule_for_each_country_and_the_hand_written_ones() {
        let scenario = scenario();
        assert_eq!(scenario.rule_count(), 11 + 2);
        assert!(scenario.ruleset.contains("name = \"country-ZA\""));
        assert!(scenario.ruleset.contains("\"198.18.0.0-198.18.3.255\", "));
    }

    #[test]
    fn an_allow_entry_holds_its_source_and_not_the_one_behind_it() {
        let table = CountryTable::small();
        let country = &table.countries[4];
        let allowed = Allowed::in_country(country, &country.ipv4).unwrap();
        assert!(allowed.prefix.ends_with(".0/24"), "{allowed:?}");
        assert!(allowed.holds(allowed.inside) && !allowed.holds(allowed.past));
        assert!(country.ipv4.iter().any(|it| it.contains(allowed.past)));
    }

    #[test]
    fn a_source_in_two_rules_is_expected_in_both_and_in_one_total() {
        let source = "203.0.113.90".parse().unwrap();
        let case = Case::new(source, Framing::Vlan, Outcome::Dropped).matched(&["abuse", "watch"]);
        let mut expected = Counters::default();
        // 14 Ethernet, 4 tag, 20 IPv4, 8 UDP, 16 marker
        for place in ["totals dropped", "rules abuse", "rules watch"] {
            expected.add(format!("{place} packets"), 3);
            expected.add(format!("{place} bytes"), 3 * 62);
        }
        assert_eq!(case.counters(3), expected);
    }

    #[test]
    fn an_address_is_checked_once() {
        let checks = scenario().checks();
        let addresses: BTreeSet<_> = checks.iter().map(|(address, _)| address).collect();
        assert_eq!(addresses.len(), checks.len());
        assert!(checks.len() > 60);
    }
}
