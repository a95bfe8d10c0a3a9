//! The table of countries: which addresses a country has.

use anyhow::{Result, ensure};
use ipblock_tests::countries::{self, ELEVEN, Range, TABLES};

/// For machines without the package.
const SMALL_TABLE: &str = include_str!("../../../data/countries.csv");

/// The ranges of one country, in the order of the table.
#[derive(Clone, Debug)]
pub(crate) struct Country {
    pub(crate) code: &'static str,
    pub(crate) ipv4: Vec<Range>,
    pub(crate) ipv6: Vec<Range>,
}

/// [`ELEVEN`] countries with their ranges, in that order.
#[derive(Debug)]
pub(crate) struct CountryTable {
    /// Where it comes from, for the reader of the demo.
    pub(crate) origin: String,
    pub(crate) countries: Vec<Country>,
}

impl CountryTable {
    /// The real table where it is installed, else the small one that comes with the source.
    pub(crate) fn read() -> Result<Self> {
        let [ipv4, _] = TABLES;
        match countries::world()? {
            Some(world) => Self::of(&world, format!("{ipv4} and geoip6")),
            None => Self::small(&format!("made up: there is no {ipv4}")),
        }
    }

    /// The small table, whatever is installed.
    pub(crate) fn small(why: &str) -> Result<Self> {
        let file = "tests/data/countries.csv";
        let world = countries::parse([(file, SMALL_TABLE.to_owned())])?;
        Self::of(&world, format!("{file}, {why}"))
    }

    fn of(world: &countries::Countries, origin: String) -> Result<Self> {
        let mut countries = Vec::new();
        for code in ELEVEN {
            let ranges = world.get(code).into_iter().flatten().copied();
            let (ipv4, ipv6): (Vec<Range>, _) = ranges.partition(|range| range.first.is_ipv4());
            ensure!(
                !ipv4.is_empty() && !ipv6.is_empty(),
                "{origin}: nothing, or one family only, for {code}"
            );
            countries.push(Country { code, ipv4, ipv6 });
        }
        Ok(Self { origin, countries })
    }

    /// Every range of every country.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.countries
            .iter()
            .flat_map(|country| country.ipv4.iter().chain(&country.ipv6))
    }

    /// Whether one of the countries has the address.
    pub(crate) fn contains(&self, address: std::net::IpAddr) -> bool {
        self.ranges().any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_one_of_the_countries_is_refused() {
        let world = countries::parse([("t.csv", "1,2,NO\n".to_owned())]).unwrap();
        let error = CountryTable::of(&world, "t".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "t: nothing, or one family only, for BR");
    }

    #[test]
    fn the_small_table_has_every_country_in_both_families_and_no_overlap() {
        let table = CountryTable::small("test").unwrap();
        let mut ranges: Vec<_> = table.ranges().collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].last < pair[1].first, "{pair:?}");
        }
    }
}
