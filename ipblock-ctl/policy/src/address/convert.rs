//! The CIDR range converter.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AddressError, count_addresses, parse_address, parse_prefixes, range, refuse_unnamed};

/// One result of the CIDR range converter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Conversion {
    /// The input.
    pub input: String,
    /// The fewest prefixes.
    pub cidrs: Vec<IpNet>,
    /// Number of addresses, in decimal.
    pub addresses: String,
}

/// Converts arguments to prefixes. Each argument is an address, prefix or range; exactly two plain
/// addresses are one range.
pub fn convert(arguments: &[String]) -> Result<Vec<Conversion>, AddressError> {
    if let [first, last] = arguments
        && let (Some(from), Some(to)) = (parse_address(first), parse_address(last))
    {
        let input = format!("{first} {last}");
        refuse_mask(from, to, &input)?;
        let cidrs = range(&input, from, to)?;
        return Ok(vec![conversion(input, cidrs)]);
    }
    let one = |argument: &String| Ok(conversion(argument.clone(), parse_prefixes(argument)?));
    arguments.iter().map(one).collect()
}

/// Rejects an address with its mask, which would be read as a range.
fn refuse_mask(first: IpAddr, last: IpAddr, input: &str) -> Result<(), AddressError> {
    refuse_unnamed(first, &last.to_string()).map_err(|error| {
        let hint = error.hint.unwrap_or_default();
        let network = hint.split(';').next().unwrap_or_default();
        let range = if first <= last {
            format!("; write {first}-{last} for the range")
        } else {
            String::new()
        };
        AddressError {
            value: input.to_owned(),
            problem: "an address and its mask, or a range".to_owned(),
            hint: Some(format!("{network}{range}")),
        }
    })
}

fn conversion(input: String, cidrs: Vec<IpNet>) -> Conversion {
    let addresses = count_addresses(&cidrs).to_string();
    Conversion {
        input,
        cidrs,
        addresses,
    }
}
