//! A real table: every range of eleven countries, and answers for addresses all over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use anyhow::Context as _;
use ipblock_api::types::{Action, Check, Reason};
use ipblock_tests::{
    countries::{self, Countries, Range},
    require_privileged,
};
use ipnet::IpNet;

use crate::{
    answers::{answer, apply, apply_with, check, status},
    scenario::Scene,
};

const COUNTRIES: usize = 11;
/// What they should have together.
const PREFIXES: usize = 70_000;
/// Number of sampled ranges of the whole table, and of the eleven countries.
const SAMPLES: usize = 900;

/// Every range of the world with its country, sorted.
type Table = Vec<(Range, String)>;

/// Returns the world's table, or `None` after a report that it is missing.
fn world() -> anyhow::Result<Option<Countries>> {
    let found = countries::world()?;
    if found.is_none() {
        let message = "no table of countries\nhint: apt-get install tor-geoipdb";
        let required = std::env::var("IPBLOCK_REQUIRE_PRIVILEGED");
        assert!(required.as_deref() != Ok("1"), "{message}");
        println!("NOT RUN: {message}");
    }
    Ok(found)
}

fn sorted(world: &Countries) -> Table {
    let of_country = |(country, ranges): (&String, &Vec<Range>)| {
        let country = country.clone();
        let ranges = ranges.clone().into_iter();
        ranges.map(move |range| (range, country.clone()))
    };
    let mut table: Table = world.iter().flat_map(of_country).collect();
    table.sort_unstable();
    table
}

/// Every prefix of every country, as few as there can be.
fn prefixes_by_country(world: &Countries) -> BTreeMap<&str, Vec<IpNet>> {
    let mut all = BTreeMap::new();
    for (country, ranges) in world {
        let prefixes: Vec<IpNet> = ranges.iter().flat_map(Range::prefixes).collect();
        all.insert(country.as_str(), IpNet::aggregate(&prefixes));
    }
    all
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
fn ruleset(world: &Countries, countries: &BTreeSet<String>) -> String {
    let rule = |country: &String| {
        let ranges = world[country].iter();
        let ranges = ranges.map(|range| format!("  \"{}-{}\",\n", range.first, range.last));
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
fn country_of(table: &Table, address: IpAddr) -> Option<&str> {
    let index = table.partition_point(|(range, _)| range.first <= address);
    let (range, country) = table.get(index.checked_sub(1)?)?;
    range.contains(address).then_some(country)
}

/// Addresses around ranges spread evenly over the whole table and over the eleven countries, of
/// each family.
fn samples(table: &Table, countries: &BTreeSet<String>) -> Vec<IpAddr> {
    let mut samples = BTreeSet::new();
    for is_ipv4 in [true, false] {
        let family = table
            .iter()
            .filter(|(range, _)| range.first.is_ipv4() == is_ipv4);
        let of_countries = family
            .clone()
            .filter(|(_, country)| countries.contains(country));
        for ranges in [family.collect::<Vec<_>>(), of_countries.collect()] {
            let step = ranges.len().div_ceil(SAMPLES).max(1);
            samples.extend(
                ranges
                    .iter()
                    .step_by(step)
                    .flat_map(|(range, _)| range.edges()),
            );
        }
    }
    samples.into_iter().collect()
}

fn assert_as_the_table_says(table: &Table, countries: &BTreeSet<String>, found: &Check) {
    let address: IpAddr = found.address.parse().unwrap();
    let blocking = country_of(table, address).filter(|country| countries.contains(*country));
    assert!(found.kernel_agrees == Some(true), "{found:?}");
    let rules: Vec<&str> = found.rules.iter().map(|rule| rule.name.as_str()).collect();
    if let Some(country) = blocking {
        assert_eq!(rules, [format!("country-{country}")], "{found:?}");
        assert_eq!(
            (found.verdict, found.reason),
            (Some(Action::Block), Reason::Rule),
            "{found:?}"
        );
    } else {
        assert_eq!(rules, [""; 0], "{found:?}");
        assert_eq!(
            (found.verdict, found.reason),
            (None, Reason::Default),
            "{found:?}"
        );
    }
}

#[test]
fn eleven_countries_are_deployed_and_every_sampled_address_is_judged_right() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(world) = world()? else {
        return Ok(());
    };
    let table = sorted(&world);
    let prefixes = prefixes_by_country(&world);
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
    let applied = apply_with(&scene.daemon, "--wide", &ruleset(&world, &countries))?;
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
            blocked += u32::from(found.verdict == Some(Action::Block));
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
