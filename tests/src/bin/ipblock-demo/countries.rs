//! The table of countries: which addresses a country has.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};

/// What the demo blocks: eleven countries on six continents, about 70,000 prefixes together.
pub(crate) const COUNTRIES: [&str; 11] = [
    "BR", "CL", "GR", "JP", "KR", "MX", "NO", "NZ", "PT", "TH", "ZA",
];

/// Debian's package tor-geoipdb.
const IPV4_TABLE: &str = "/usr/share/tor/geoip";
const IPV6_TABLE: &str = "/usr/share/tor/geoip6";

/// For machines without it.
const SMALL_TABLE: &str = include_str!("../../../data/countries.csv");

/// Addresses from `first` to `last`, both in it, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: IpAddr,
    pub(crate) last: IpAddr,
}

/// The ranges of one country, in the order of the table.
#[derive(Clone, Debug)]
pub(crate) struct Country {
    pub(crate) code: &'static str,
    pub(crate) ipv4: Vec<Range>,
    pub(crate) ipv6: Vec<Range>,
}

/// [`COUNTRIES`] with their ranges, in that order.
#[derive(Debug)]
pub(crate) struct CountryTable {
    /// Where it comes from, for the reader of the demo.
    pub(crate) origin: String,
    pub(crate) countries: Vec<Country>,
}

impl Range {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // The order of `IpAddr` keeps the families apart.
        (self.first..=self.last).contains(&address)
    }

    /// The `n`th address, counted from 0.
    pub(crate) fn nth(&self, n: u32) -> Option<IpAddr> {
        plus(self.first, n).filter(|address| *address <= self.last)
    }
}

/// The address `n` after this one, in the same family.
pub(crate) fn plus(address: IpAddr, n: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address
            .to_bits()
            .checked_add(n)
            .map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(address) => address
            .to_bits()
            .checked_add(n.into())
            .map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

impl CountryTable {
    /// The real table where it is installed, else the small one that comes with the source.
    pub(crate) fn read() -> Result<Self> {
        if !Path::new(IPV4_TABLE).exists() || !Path::new(IPV6_TABLE).exists() {
            let origin = format!("tests/data/countries.csv, made up: there is no {IPV4_TABLE}");
            return Self::parse(origin, &[("tests/data/countries.csv", SMALL_TABLE)]);
        }
        let read = |path| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let (ipv4, ipv6) = (read(IPV4_TABLE)?, read(IPV6_TABLE)?);
        Self::parse(
            format!("{IPV4_TABLE} and geoip6"),
            &[(IPV4_TABLE, &ipv4), (IPV6_TABLE, &ipv6)],
        )
    }

    /// The small table, whatever is installed.
    #[cfg(test)]
    pub(crate) fn small() -> Self {
        Self::parse("test".to_owned(), &[("countries.csv", SMALL_TABLE)]).unwrap()
    }

    /// Picks [`COUNTRIES`] out of files, each a name and its text.
    fn parse(origin: String, files: &[(&str, &str)]) -> Result<Self> {
        let mut countries = COUNTRIES.map(|code| Country {
            code,
            ipv4: Vec::new(),
            ipv6: Vec::new(),
        });
        for (file, text) in files {
            for (number, line) in (1..).zip(text.lines()) {
                let entry =
                    parse_line(line).with_context(|| format!("{file}:{number}: `{line}`"))?;
                let Some((range, code)) = entry else { continue };
                let Some(country) = countries.iter_mut().find(|it| it.code == code) else {
                    continue;
                };
                match range.first {
                    IpAddr::V4(_) => country.ipv4.push(range),
                    IpAddr::V6(_) => country.ipv6.push(range),
                }
            }
        }
        for country in &countries {
            ensure!(
                !country.ipv4.is_empty() && !country.ipv6.is_empty(),
                "{origin}: nothing, or one family only, for {}",
                country.code
            );
        }
        Ok(Self {
            origin,
            countries: countries.to_vec(),
        })
    }

    /// Every range of every country.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.countries
            .iter()
            .flat_map(|country| country.ipv4.iter().chain(&country.ipv6))
    }

    /// Whether one of the countries has the address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.ranges().any(|range| range.contains(address))
    }
}

/// `FROM,TO,CC`, IPv4 as decimal numbers and IPv6 as addresses; nothing for a comment.
fn parse_line(line: &str) -> Result<Option<(Range, &str)>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut fields = line.split(',');
    let (Some(first), Some(last), Some(code), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        bail!("not FROM,TO,CC");
    };
    let (first, last) = (parse_address(first)?, parse_address(last)?);
    ensure!(
        first.is_ipv4() == last.is_ipv4() && first <= last,
        "{first} to {last} is no range"
    );
    Ok(Some((Range { first, last }, code)))
}

fn parse_address(text: &str) -> Result<IpAddr> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let bits = text
            .parse()
            .with_context(|| format!("`{text}` is no IPv4 address in decimal"))?;
        return Ok(Ipv4Addr::from_bits(bits).into());
    }
    text.parse()
        .with_context(|| format!("`{text}` is no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<(String, String, &str)> {
        let (range, code) = parse_line(text).unwrap()?;
        Some((range.first.to_string(), range.last.to_string(), code))
    }

    #[test]
    fn both_notations_of_the_table_are_read() {
        assert_eq!(
            line("3325256704,3325256959,NO"),
            Some(("198.51.100.0".into(), "198.51.100.255".into(), "NO"))
        );
        assert_eq!(
            line("2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,??"),
            Some((
                "2001:db8::".into(),
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".into(),
                "??"
            ))
        );
        assert_eq!(line("# License: CC BY-SA 4.0"), None);
        assert_eq!(line(""), None);
    }

    #[test]
    fn a_line_that_is_no_range_is_named() {
        for (text, part) in [
            ("1,2", "not FROM,TO,CC"),
            ("1,2,NO,x", "not FROM,TO,CC"),
            ("2,1,NO", "0.0.0.2 to 0.0.0.1 is no range"),
            ("1,2001:db8::,NO", "is no range"),
            ("4294967296,4294967297,NO", "`4294967296` is no IPv4"),
            ("1.2.3.x,1.2.3.4,NO", "`1.2.3.x` is no address"),
        ] {
            let files = [("t.csv", &*format!("# first\n{text}\n"))];
            let error = CountryTable::parse("t".into(), &files).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.starts_with("t.csv:2: "), "{error}");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_table_without_one_of_the_countries_is_refused() {
        let error = CountryTable::parse("t".into(), &[("t.csv", "1,2,NO\n")]).unwrap_err();
        assert_eq!(error.to_string(), "t: nothing, or one family only, for BR");
    }

    #[test]
    fn the_small_table_has_every_country_in_both_families_and_no_overlap() {
        let table = CountryTable::small();
        let ranges: Vec<_> = table.ranges().collect();
        for (index, range) in ranges.iter().enumerate() {
            for other in ranges.iter().skip(index + 1) {
                assert!(
                    range.last < other.first || other.last < range.first,
                    "{range:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn a_range_ends_at_its_last_address() {
        let range = parse_line("3325256704,3325256705,NO").unwrap().unwrap().0;
        assert_eq!(range.nth(1), Some(range.last));
        assert_eq!(range.nth(2), None);
        assert_eq!(plus("255.255.255.255".parse().unwrap(), 1), None);
        assert!(!range.contains("::1".parse().unwrap()));
    }
}
