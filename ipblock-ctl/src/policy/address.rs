//! Addresses, prefixes and ranges: from text and back, and sets of them.

use std::net::IpAddr;

use ipnet::IpNet;
use num_bigint::BigUint;
use thiserror::Error;

use super::ruleset::At;

/// Why a text is no address, prefix, range or list.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{value}`: {problem}")]
pub struct AddressError {
    /// The offending text.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead, when that can be said.
    pub hint: Option<String>,
}

/// What `1.2.3.4`, `1.2.3.0/24` or `FROM-TO` stands for: the fewest prefixes, in order.
pub fn parse_prefixes(text: &str) -> Result<Vec<IpNet>, AddressError> {
    todo!("{text}")
}

/// As [`parse_prefixes`], or `@list`.
pub fn parse_elements(text: &str) -> Result<Vec<At>, AddressError> {
    todo!("{text}")
}

/// The fewest prefixes that cover exactly `first` to `last`, in order. `None` when the families
/// differ or `first` is greater than `last`.
#[must_use]
pub fn range_to_prefixes(first: IpAddr, last: IpAddr) -> Option<Vec<IpNet>> {
    todo!("{first} {last}")
}

/// The fewest prefixes that cover the same addresses, sorted, IPv4 first.
#[must_use]
pub fn aggregate(prefixes: impl IntoIterator<Item = IpNet>) -> Vec<IpNet> {
    prefixes.into_iter().collect()
}

/// How many addresses disjoint prefixes hold.
#[must_use]
pub fn count_addresses(disjoint: &[IpNet]) -> BigUint {
    todo!("{disjoint:?}")
}

/// One answer of the CIDR range converter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Conversion {
    /// What was given.
    pub input: String,
    /// The fewest prefixes.
    pub cidrs: Vec<IpNet>,
    /// How many addresses, in decimal.
    pub addresses: String,
}

/// The CIDR range converter: each argument an address, prefix or range; exactly two bare addresses
/// are one range.
pub fn convert(arguments: &[String]) -> Result<Vec<Conversion>, AddressError> {
    todo!("{arguments:?}")
}
