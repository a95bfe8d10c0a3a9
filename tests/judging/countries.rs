//! The world's table of countries, where Debian's package tor-geoipdb is installed.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::{Context as _, Result};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::Family;

/// Lines `FROM,TO,CC`, IPv4 in decimal and IPv6 as addresses.
const IPV4_TABLE: &str = "/usr/share/tor/geoip";
const IPV6_TABLE: &str = "/usr/share/tor/geoip6";
/// What the table gives to no country.
const NOBODY: &str = "??";

/// Those of the demo: eleven countries on six continents, about 70,000 prefixes of both families.
const ELEVEN: [&str; 11] = [
    "BR", "CL", "GR", "JP", "KR", "MX", "NO", "NZ", "PT", "TH", "ZA",
];

/// First and last address, of one family.
pub(crate) type Range = (IpAddr, IpAddr);

/// Ranges by country; `None` when the package is not installed.
pub(crate) fn world(family: Family) -> Result<Option<BTreeMap<String, Vec<Range>>>> {
    let path = match family {
        Family::Ipv4 => IPV4_TABLE,
        Family::Ipv6 => IPV6_TABLE,
    };
    if !Path::new(path).exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut countries: BTreeMap<String, Vec<Range>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (first, last, country) = read(line).with_context(|| format!("{path}: `{line}`"))?;
        if country != NOBODY {
            let ranges = countries.entry(country.to_owned()).or_default();
            ranges.push((first, last));
        }
    }
    Ok(Some(countries))
}

/// The prefixes of [`ELEVEN`] countries, each country's apart; `None` as in [`world`].
pub(crate) fn eleven(family: Family) -> Result<Option<Vec<Vec<IpNet>>>> {
    let Some(world) = world(family)? else {
        return Ok(None);
    };
    let ranges = ELEVEN.map(|code| world.get(code).map(Vec::as_slice).unwrap_or_default());
    let prefixes = ranges.map(|ranges| ranges.iter().copied().flat_map(prefixes).collect());
    Ok(Some(prefixes.to_vec()))
}

fn read(line: &str) -> Result<(IpAddr, IpAddr, &str)> {
    let mut fields = line.split(',');
    let mut next = || fields.next().context("FROM,TO,CC");
    Ok((address(next()?)?, address(next()?)?, next()?))
}

fn address(field: &str) -> Result<IpAddr> {
    match field.parse() {
        Ok(bits) => Ok(Ipv4Addr::from_bits(bits).into()),
        Err(_) => Ok(field.parse()?),
    }
}

fn prefixes(range: Range) -> Vec<IpNet> {
    match range {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
        }
        _ => Vec::new(),
    }
}
