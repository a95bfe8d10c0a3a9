//! What the demo deploys and sends: the ruleset, and each kind of traffic with what must become
//! of it.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
};

use anyhow::{Context as _, Result, bail, ensure};
use ipblock_tests::countries::{Range, moved};

use crate::{
    case::{Case, Framing, Outcome},
    countries::{Country, CountryTable},
};

/// The longest text of a source that the table has room for.
pub(crate) const SOURCE_WIDTH: usize = 20;

/// Start of the names of the rules that block a country.
const COUNTRY: &str = "country-";

/// The hand-written part of the ruleset. The rules overlap, also where
/// one has an exception.
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
        let [one, two, three, four, five, six, ..] = table.countries.as_slice() else {
            bail!("the table has fewer than six countries");
        };
        let allowed = [
            Allowed::in_country(five, &five.ipv4)?,
            Allowed::in_country(six, &six.ipv6)?,
        ];
        let cases = cases(table, [one, two, three, four, five], &allowed)?;
        for case in &cases {
            let in_table = case.source.is_some_and(|source| table.contains(source));
            let meant = case.outcome == Outcome::Allowed
                || case.matched.iter().any(|rule| rule.starts_with(COUNTRY));
            ensure!(
                in_table == meant,
                "{:?}: not what the demo takes it for in {}",
                case.source,
                table.origin
            );
        }
        Ok(Self {
            ruleset: ruleset(table, &allowed),
            cases,
            samples: samples(table, &allowed),
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

/// What is sent. Of the countries, the first two are sampled in IPv4, the next two in IPv6, and the
/// last is the one of the first allow entry.
fn cases(
    table: &CountryTable,
    sampled: [&Country; 5],
    allowed: &[Allowed; 2],
) -> Result<Vec<Case>> {
    use Framing::{Plain, Qinq, Vlan};
    use Outcome::{Dropped, Passed, Warned};

    let case = |source: &str, framing, outcome| -> Result<Case> {
        let source = source.parse().with_context(|| source.to_owned())?;
        Ok(Case::new(source, framing, outcome))
    };
    let block = |country: &Country, source, framing| {
        Case::new(source, framing, Dropped).matched(&[&rule_name(country)])
    };
    let allow = |allowed: &Allowed, framing| Case::new(allowed.inside, framing, Outcome::Allowed);
    let [one, two, three, four, five] = sampled;
    let [allowed4, allowed6] = allowed;
    let first = one.ipv4.first().context("no range")?.first;
    let last = two.ipv4.last().context("no range")?.last;

    Ok(vec![
        // One address, the ends of a range, and the address behind it.
        case("203.0.113.7", Plain, Dropped)?.matched(&["abuse"]),
        case("203.0.113.7", Vlan, Dropped)?.matched(&["abuse"]),
        case("203.0.113.64", Plain, Dropped)?.matched(&["abuse"]),
        case("203.0.113.99", Qinq, Dropped)?.matched(&["abuse"]),
        case("203.0.113.100", Plain, Passed)?,
        case("2001:db8:bad::7", Plain, Dropped)?.matched(&["abuse"]),
        case("2001:db8:bad::7", Vlan, Dropped)?.matched(&["abuse"]),
        block(one, first, Plain),
        block(two, last, Vlan),
        block(three, short_ipv6(three)?, Plain),
        block(four, short_ipv6(four)?, Qinq),
        Case::new(past_a_range(table)?, Plain, Passed),
        case("198.51.100.7", Plain, Warned)?.matched(&["watch"]),
        case("198.51.100.7", Qinq, Warned)?.matched(&["watch"]),
        case("2001:db8:cafe::7", Plain, Warned)?.matched(&["watch"]),
        case("2001:db8:cafe::7", Vlan, Warned)?.matched(&["watch"]),
        // In both rules; then in both, and spared by the exception of one.
        case("203.0.113.90", Plain, Dropped)?.matched(&["abuse", "watch"]),
        case("2001:db8:bad:2::1", Vlan, Dropped)?.matched(&["abuse", "watch"]),
        case("203.0.113.81", Vlan, Warned)?
            .excepted("abuse")
            .matched(&["watch"]),
        case("203.0.113.80", Plain, Passed)?.excepted("abuse"),
        case("2001:db8:bad:1::1", Plain, Passed)?.excepted("abuse"),
        case("2001:db8:bad:1::1", Qinq, Passed)?.excepted("abuse"),
        // On the allow list inside a blocked country, and the address behind the entry.
        allow(allowed4, Plain),
        allow(allowed4, Qinq),
        block(five, allowed4.past, Plain),
        allow(allowed6, Plain),
        allow(allowed6, Vlan),
        // In nothing.
        case("198.51.100.200", Plain, Passed)?,
        case("198.51.100.200", Vlan, Passed)?,
        case("2001:db8:f00d::1", Plain, Passed)?,
        case("2001:db8:f00d::1", Qinq, Passed)?,
        Case::arp(Plain),
        Case::arp(Vlan),
    ])
}

/// The ends of ranges of every country.
fn samples(table: &CountryTable, allowed: &[Allowed]) -> Vec<(IpAddr, Outcome)> {
    table
        .countries
        .iter()
        .flat_map(|country| spread(&country.ipv4).chain(spread(&country.ipv6)))
        .flat_map(|range| [range.first, range.last])
        .map(|address| {
            let is_allowed = allowed.iter().any(|it| it.range.contains(address));
            let outcome = if is_allowed {
                Outcome::Allowed
            } else {
                Outcome::Dropped
            };
            (address, outcome)
        })
        .collect()
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
                    (24, moved(range.first, 255)?)
                }
                IpAddr::V6(first) if first.to_bits().trailing_zeros() >= 64 => {
                    let last = first.to_bits() | u128::from(u64::MAX);
                    (64, Ipv6Addr::from_bits(last).into())
                }
                _ => return None,
            };
            let past = moved(last, 1).filter(|past| range.contains(*past))?;
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
}

fn rule_name(country: &Country) -> String {
    format!("{COUNTRY}{}", country.code)
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
        .filter_map(|range| moved(range.last, 1))
        .find(|address| !table.contains(*address))
        .context("the countries' ranges leave no gap")
}

/// At most 21 ranges, spread over all, the first and the last among them.
fn spread(ranges: &[Range]) -> impl Iterator<Item = &Range> {
    let step = (ranges.len() / 20).max(1);
    ranges.iter().step_by(step).chain(ranges.last())
}

fn ruleset(table: &CountryTable, allowed: &[Allowed]) -> String {
    let mut text = String::from("[allow]\nmatch = [");
    for allowed in allowed {
        quote(&mut text, &allowed.prefix);
    }
    text.push_str("]\n");
    text.push_str(RULES);
    for country in &table.countries {
        let name = rule_name(country);
        let _ = write!(
            text,
            "\n[[rule]]\nname = \"{name}\"\naction = \"block\"\nmatch = ["
        );
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
        Scenario::new(&CountryTable::small("test").unwrap()).unwrap()
    }

    #[test]
    fn every_outcome_is_sent_tagged_and_untagged_in_both_families() {
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
        let table = CountryTable::small("test").unwrap();
        let country = &table.countries[4];
        let allowed = Allowed::in_country(country, &country.ipv4).unwrap();
        assert!(allowed.prefix.ends_with(".0/24"), "{allowed:?}");
        assert!(allowed.range.contains(allowed.inside) && !allowed.range.contains(allowed.past));
        assert!(country.ipv4.iter().any(|it| it.contains(allowed.past)));
    }

    #[test]
    fn an_address_is_checked_once() {
        let checks = scenario().checks();
        let addresses: BTreeSet<_> = checks.iter().map(|(address, _)| address).collect();
        assert_eq!(addresses.len(), checks.len());
        assert!(checks.len() > 60);
    }
}
