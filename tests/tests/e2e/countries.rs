//! A real table: every range of eleven countries, and an answer for addresses all over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
};

use anyhow::Context as _;
use ipblock::api::types::{Check, CheckVerdict, Reason};
use ipblock_tests::require_privileged;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::{
    answers::{answer, apply, apply_with, check, status},
    scenario::Scene,
};

/// Of Debian's `tor-geoipdb`: lines `FROM,TO,CC`, IPv4 addresses in decimal.
const TABLES: [&str; 2] = ["/usr/share/tor/geoip", "/usr/share/tor/geoip6"];
const COUNTRIES: usize = 11;
/// What they should have together.
const PREFIXES: usize = 70_000;
/// Ranges of the whole table that are looked at, and ranges of the eleven countries.
const SAMPLES: usize = 900;

/// Inclusive, with the country's code.
#[derive(Clone, Debug)]
struct Range {
    from: IpAddr,
    to: IpAddr,
    country: String,
}

impl Range {
    fn read(line: &str) -> anyhow::Result<Self> {
        let mut fields = line.split(',');
        let mut next = || fields.next().with_context(|| line.to_owned());
        let (from, to, country) = (next()?, next()?, next()?);
        Ok(Self {
            from: address(from)?,
            to: address(to)?,
            country: country.to_owned(),
        })
    }

    fn prefixes(&self) -> Vec<IpNet> {
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                Ipv4Subnets::new(from, to, 0).map(IpNet::V4).collect()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                Ipv6Subnets::new(from, to, 0).map(IpNet::V6).collect()
            }
            _ => unreachable!("a range of two families"),
        }
    }

    /// First, last, and just outside.
    fn edges(&self) -> impl Iterator<Item = IpAddr> {
        let outside = [before(self.from), after(self.to)];
        [self.from, self.to]
            .into_iter()
            .chain(outside.into_iter().flatten())
    }
}

fn address(field: &str) -> anyhow::Result<IpAddr> {
    match field.parse::<u32>() {
        Ok(number) => Ok(IpAddr::V4(number.into())),
        Err(_) => Ok(field.parse()?),
    }
}

fn before(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).checked_sub(1)?.into()),
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).checked_sub(1)?.into()),
    })
}

fn after(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).checked_add(1)?.into()),
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).checked_add(1)?.into()),
    })
}

/// Both tables, sorted, or `None` after saying that they are not there.
fn table() -> anyhow::Result<Option<Vec<Range>>> {
    let mut ranges = Vec::new();
    for path in TABLES {
        if !Path::new(path).exists() {
            let message = format!("no {path}\nhint: apt-get install tor-geoipdb");
            let required = std::env::var("IPBLOCK_REQUIRE_PRIVILEGED");
            assert!(required.as_deref() != Ok("1"), "{message}");
            println!("NOT RUN: {message}");
            return Ok(None);
        }
        let text = fs::read_to_string(path)?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            ranges.push(Range::read(line).with_context(|| format!("{path}: {line}"))?);
        }
    }
    ranges.sort_by_key(|range| range.from);
    Ok(Some(ranges))
}

/// Every prefix of every country, as few as there can be.
fn prefixes_by_country(table: &[Range]) -> BTreeMap<&str, Vec<IpNet>> {
    let mut prefixes: BTreeMap<&str, Vec<IpNet>> = BTreeMap::new();
    // `??` is what no country has.
    for range in table.iter().filter(|range| range.country != "??") {
        let country = prefixes.entry(&range.country).or_default();
        country.extend(range.prefixes());
    }
    for country in prefixes.values_mut() {
        *country = IpNet::aggregate(country);
    }
    prefixes
}

/// Eleven countries of about the same size that come nearest to [`PREFIXES`] together.
fn eleven(prefixes: &BTreeMap<&str, Vec<IpNet>>) -> BTreeSet<String> {
    let mut countries: Vec<_> = prefixes
        .iter()
        .map(|(country, prefixes)| (prefixes.len(), *country))
        .collect();
    countries.sort_unstable();
    let nearest = countries.windows(COUNTRIES).min_by_key(|window| {
        let sum: usize = window.iter().map(|(prefixes, _)| prefixes).sum();
        sum.abs_diff(PREFIXES)
    });
    let nearest = nearest.unwrap_or_default().iter();
    nearest.map(|(_, country)| (*country).to_owned()).collect()
}

/// A block rule for each country with the ranges as the table has them.
fn ruleset(table: &[Range], countries: &BTreeSet<String>) -> String {
    let rule = |country: &String| {
        let ranges = table.iter().filter(|range| range.country == *country);
        let ranges = ranges.map(|range| format!("  \"{}-{}\",\n", range.from, range.to));
        let ranges: Vec<String> = ranges.collect();
        format!(
            "[[rule]]\nname = \"country-{country}\"\naction = \"block\"\nmatch = [\n{}]\n",
            ranges.concat()
        )
    };
    let rules: Vec<String> = countries.iter().map(rule).collect();
    rules.concat()
}

/// The country that the table gives an address.
fn country_of(table: &[Range], address: IpAddr) -> Option<&str> {
    let index = table.partition_point(|range| range.from <= address);
    let range = table.get(index.checked_sub(1)?)?;
    (address <= range.to).then_some(range.country.as_str())
}

/// Addresses around ranges spread evenly over the whole table and over the eleven countries, of
/// each family.
fn samples(table: &[Range], countries: &BTreeSet<String>) -> Vec<IpAddr> {
    let mut samples = BTreeSet::new();
    for is_ipv4 in [true, false] {
        let family = || {
            table
                .iter()
                .filter(move |range| range.from.is_ipv4() == is_ipv4)
        };
        let of_countries = family().filter(|range| countries.contains(&range.country));
        for ranges in [family().collect::<Vec<_>>(), of_countries.collect()] {
            let step = ranges.len().div_ceil(SAMPLES).max(1);
            samples.extend(ranges.iter().step_by(step).flat_map(|range| range.edges()));
        }
    }
    samples.into_iter().collect()
}

fn assert_as_the_table_says(table: &[Range], countries: &BTreeSet<String>, found: &Check) {
    let address: IpAddr = found.address.parse().unwrap();
    let blocking = country_of(table, address).filter(|country| countries.contains(*country));
    assert!(found.kernel_agrees, "{found:?}");
    let rules: Vec<&str> = found.rules.iter().map(|rule| rule.name.as_str()).collect();
    if let Some(country) = blocking {
        assert_eq!(rules, [format!("country-{country}")], "{found:?}");
        assert_eq!(
            (found.verdict, found.reason),
            (CheckVerdict::Block, Reason::Rule),
            "{found:?}"
        );
    } else {
        assert_eq!(rules, [""; 0], "{found:?}");
        assert_eq!(
            (found.verdict, found.reason),
            (CheckVerdict::Pass, Reason::Default),
            "{found:?}"
        );
    }
}

#[test]
fn eleven_countries_are_deployed_and_every_sampled_address_is_judged_right() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(table) = table()? else {
        return Ok(());
    };
    let prefixes = prefixes_by_country(&table);
    let countries = eleven(&prefixes);
    let expected: usize = countries
        .iter()
        .map(|country| prefixes[country.as_str()].len())
        .sum();
    assert!(
        expected.abs_diff(PREFIXES) < PREFIXES / 10,
        "{expected} prefixes of {countries:?}"
    );

    let scene = Scene::attached(root, "native")?;
    // Eleven countries have a few percent of all addresses.
    let applied = apply_with(&scene.daemon, "--wide", &ruleset(&table, &countries))?;
    let deployed = applied.deployed.context("nothing was deployed")?;
    println!(
        "{} entries of {countries:?}: built in {} ms, switched in {} ms",
        deployed.entries, deployed.build_ms, deployed.switch_ms
    );
    // Neighbouring countries' prefixes never merge: their counters are different.
    assert_eq!(deployed.entries, expected as u64);
    assert_eq!(deployed.rules, COUNTRIES as u64);
    let entries = status(&scene.daemon)?.zones[0].entries;
    assert_eq!(entries.ipv4 + entries.ipv6, expected as u64);

    let samples: Vec<String> = samples(&table, &countries)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(samples.len() >= 5000, "{} samples", samples.len());
    let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
    let mut blocked = 0;
    for chunk in samples.chunks(2000) {
        let found = check(&scene.daemon, chunk)?;
        assert_eq!(found.len(), chunk.len());
        for found in &found {
            assert_as_the_table_says(&table, &countries, found);
            blocked += u32::from(found.verdict == CheckVerdict::Block);
        }
    }
    println!(
        "{} addresses agree, {blocked} of them blocked",
        samples.len()
    );
    // An exported ruleset says the same.
    let exported = scene.daemon.ctl("export")?.ok()?;
    let again = apply(&scene.daemon, &exported)?;
    assert!(!again.changed);
    let zones: Vec<serde_json::Value> = answer(&scene.daemon, "zone list")?;
    assert_eq!(zones.len(), 1);
    Ok(())
}
