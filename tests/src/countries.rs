//! The world's table of countries from Debian's package tor-geoipdb.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

/// Lines `FROM,TO,CC`: IPv4 in decimal, IPv6 as addresses.
pub const TABLES: [&str; 2] = ["/usr/share/tor/geoip", "/usr/share/tor/geoip6"];
/// The code for ranges without a country.
const NO_COUNTRY: &str = "??";

/// Eleven countries on six continents, about 70,000 prefixes of both families.
pub const ELEVEN: [&str; 11] = [
    "BR", "CL", "GR", "JP", "KR", "MX", "NO", "NZ", "PT", "TH", "ZA",
];

/// The ranges of each country by its code, in the order of the table: IPv4 first.
pub type Countries = BTreeMap<String, Vec<Range>>;

/// Addresses from `first` to `last`, both in it, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The lowest.
    pub first: IpAddr,
    /// The highest.
    pub last: IpAddr,
}

impl Range {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // The order of `IpAddr` keeps the families apart.
        (self.first..=self.last).contains(&address)
    }

    /// The `n`th address, counted from 0.
    #[must_use]
    pub fn nth(&self, n: u32) -> Option<IpAddr> {
        moved(self.first, n.into()).filter(|address| *address <= self.last)
    }

    /// Its first and last address, and their neighbours outside.
    pub fn edges(&self) -> impl Iterator<Item = IpAddr> {
        let outside = [moved(self.first, -1), moved(self.last, 1)];
        let inside = [self.first, self.last];
        inside.into_iter().chain(outside.into_iter().flatten())
    }

    /// Returns its minimal prefixes.
    #[must_use]
    pub fn prefixes(&self) -> Vec<IpNet> {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Returns the address at this distance, in the same family.
#[must_use]
pub fn moved(address: IpAddr, by: i64) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            let by = i32::try_from(by).ok()?;
            Ipv4Addr::from_bits(address.to_bits().checked_add_signed(by)?).into()
        }
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits().checked_add_signed(by.into())?).into()
        }
    })
}

/// The whole table; `None` where the package is not installed.
pub fn world() -> Result<Option<Countries>> {
    if TABLES.iter().any(|path| !Path::new(path).exists()) {
        return Ok(None);
    }
    let read = |path| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let [ipv4, ipv6] = TABLES.map(read);
    let files = TABLES.into_iter().zip([ipv4?, ipv6?]);
    Ok(Some(parse(files)?))
}

/// Reads files of such a table, each a name and its text.
pub fn parse<'f>(files: impl IntoIterator<Item = (&'f str, String)>) -> Result<Countries> {
    let mut countries = Countries::new();
    for (file, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (range, code) =
                parse_line(line).with_context(|| format!("{file}:{number}: `{line}`"))?;
            match countries.get_mut(code) {
                Some(ranges) => ranges.push(range),
                None if code == NO_COUNTRY => {}
                None => drop(countries.insert(code.to_owned(), vec![range])),
            }
        }
    }
    Ok(countries)
}

fn parse_line(line: &str) -> Result<(Range, &str)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [first, last, code] = fields.as_slice() else {
        anyhow::bail!("not FROM,TO,CC");
    };
    let (first, last) = (parse_address(first)?, parse_address(last)?);
    ensure!(
        first.is_ipv4() == last.is_ipv4() && first <= last,
        "{first} to {last} is no range"
    );
    Ok((Range { first, last }, code))
}

fn parse_address(field: &str) -> Result<IpAddr> {
    match field.parse() {
        Ok(bits) => Ok(Ipv4Addr::from_bits(bits).into()),
        Err(_) => field
            .parse()
            .with_context(|| format!("`{field}` is no address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_of_the_table_are_read() {
        let text = "# License: CC BY-SA 4.0\n\n3325256704,3325256959,NO\n\
                    2001:db8::,2001:db8::ff,NO\n1,2,??\n";
        let found = parse([("t.csv", text.to_owned())]).unwrap();
        let range = |first: &str, last: &str| Range {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        };
        let expected = vec![
            range("198.51.100.0", "198.51.100.255"),
            range("2001:db8::", "2001:db8::ff"),
        ];
        assert_eq!(found, [("NO".to_owned(), expected)].into());
    }

    #[test]
    fn a_line_that_is_no_range_is_named() {
        for (line, part) in [
            ("1,2", "not FROM,TO,CC"),
            ("1,2,NO,x", "not FROM,TO,CC"),
            ("2,1,NO", "0.0.0.2 to 0.0.0.1 is no range"),
            ("1,2001:db8::,NO", "is no range"),
            ("4294967296,4294967297,NO", "`4294967296` is no address"),
            ("1.2.3.x,1.2.3.4,NO", "`1.2.3.x` is no address"),
        ] {
            let error = parse([("t.csv", format!("# first\n{line}\n"))]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.starts_with("t.csv:2: "), "{error}");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_range_ends_at_its_last_address() {
        let [first, last] = [Ipv4Addr::from_bits(u32::MAX - 1), Ipv4Addr::BROADCAST];
        let [first, last] = [first.into(), last.into()];
        let range = Range { first, last };
        assert_eq!((range.nth(1), range.nth(2)), (Some(last), None));
        let before = moved(first, -1).unwrap();
        let edges: Vec<IpAddr> = range.edges().collect();
        assert_eq!(edges, [first, last, before]);
        assert!(!range.contains("::1".parse().unwrap()));
    }
}
