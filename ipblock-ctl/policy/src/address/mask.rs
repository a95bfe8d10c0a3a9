//! Masks after addresses: `192.0.2.0 255.255.255.0`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{AddressError, Written, parse_address, parse_length, parse_written, prefix};

/// The form of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// `255.255.255.0`, `24` or `/24`.
    Net,
    /// `0.0.0.255`: the bits that vary.
    Wildcard,
}

/// Names of columns, keys and words for a mask or a prefix length, in snake case.
const NET: [&str; 23] = [
    "bits",
    "cidr",
    "genmask",
    "len",
    "length",
    "mask",
    "mask_bits",
    "mask_len",
    "mask_length",
    "masklen",
    "masklength",
    "net_mask",
    "netmask",
    "netmask_bits",
    "network_mask",
    "plen",
    "prefix",
    "prefix_len",
    "prefix_length",
    "prefixlen",
    "prefixlength",
    "subnet_mask",
    "subnetmask",
];
const WILDCARD: [&str; 6] = [
    "host_mask",
    "hostmask",
    "inverse_mask",
    "wildcard",
    "wildcard_mask",
    "wildcardmask",
];

impl Mask {
    /// Returns the kind of mask that a name denotes.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.trim_end_matches([':', '=']);
        let name = name.to_ascii_lowercase().replace(['-', ' '], "_");
        if NET.contains(&name.as_str()) {
            return Some(Self::Net);
        }
        WILDCARD.contains(&name.as_str()).then_some(Self::Wildcard)
    }
}

/// Whether a word could be a mask or a prefix length, correct or not.
pub(super) fn may_be_mask(word: &str) -> bool {
    let is_hex = word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || word.starts_with(|first: char| first.is_ascii_digit() || first == '/')
}

/// Whether a text is only a prefix length: `24` or `/24`.
pub(crate) fn is_length(text: &str) -> bool {
    parse_length(text.strip_prefix('/').unwrap_or(text)).is_some()
}

/// Reads an address with the mask that a header or a word names.
pub(crate) fn with_mask(text: &str, mask: &str, kind: Mask) -> Result<Written, AddressError> {
    let length = length_of(mask, kind);
    let both = format!("{text} {mask}");
    let Some(address) = parse_address(text) else {
        let written = parse_written(text)?;
        let own = text.split_once('/').map(|(_, own)| own);
        if length.is_some_and(|length| own == Some(length.to_string().as_str())) {
            return Ok(written);
        }
        let problem = "a mask beside what is more than an address";
        let hint = format!("write {text} without a mask, or an address and its mask");
        return Err(AddressError::new(&both, problem, hint));
    };
    let is_family = address.is_ipv4() || !mask.contains('.');
    let Some(length) = length.filter(|_| is_family) else {
        let hint = match (kind, address) {
            (Mask::Net, IpAddr::V4(_)) => "write the mask as 255.255.255.0 or in bits, 24",
            (Mask::Wildcard, IpAddr::V4(_)) => "write the wildcard mask as 0.0.0.255",
            (_, IpAddr::V6(_)) => "write the prefix length of an IPv6 network in bits, 64",
        };
        return Err(AddressError::new(&both, "not a mask", hint.to_owned()));
    };
    prefix(&format!("{text}/{length}"), address, length).map(Written::Prefix)
}

/// Reads an address with the number of addresses from there on.
pub(crate) fn with_count(text: &str, count: &str) -> Result<Written, AddressError> {
    let refused = |problem: &str, hint: &str| {
        AddressError::new(&format!("{text} {count}"), problem, hint.to_owned())
    };
    let Some(first) = parse_address(text) else {
        let hint = "write the first address in the one column, and the number of addresses in the \
                    other";
        parse_written(text)?;
        return Err(refused("a count beside what is more than an address", hint));
    };
    let more = count
        .parse::<u128>()
        .ok()
        .and_then(|count| count.checked_sub(1));
    let Some(more) = more else {
        let hint = "a count is a number from 1 on";
        return Err(refused("not a number of addresses", hint));
    };
    let last = match first {
        IpAddr::V4(first) => u32::try_from(more)
            .ok()
            .and_then(|more| u32::from(first).checked_add(more))
            .map(|last| IpAddr::V4(last.into())),
        IpAddr::V6(first) => u128::from(first)
            .checked_add(more)
            .map(|last| IpAddr::V6(last.into())),
    };
    let Some(last) = last else {
        return Err(refused(
            "more addresses than the family has",
            "correct the count or the address",
        ));
    };
    parse_written(&format!("{first}-{last}"))
}

/// Returns the prefix length of a mask in bits.
fn length_of(mask: &str, kind: Mask) -> Option<u8> {
    match kind {
        Mask::Net => parse_length(mask.strip_prefix('/').unwrap_or(mask))
            .or_else(|| dotted_length(mask, kind)),
        Mask::Wildcard => dotted_length(mask, kind),
    }
}

fn dotted_length(text: &str, kind: Mask) -> Option<u8> {
    let bits = u32::from(text.parse::<Ipv4Addr>().ok()?);
    let fixed = match kind {
        Mask::Net => bits,
        Mask::Wildcard => !bits,
    };
    // Ones, then zeros.
    let is_mask = fixed.count_ones() == fixed.leading_ones();
    is_mask.then(|| u8::try_from(fixed.leading_ones()).ok())?
}

/// Rejects a word after an IPv4 address that could be its mask, if no name says so.
pub(crate) fn refuse_unnamed(address: IpAddr, next: &str) -> Result<(), AddressError> {
    if !address.is_ipv4() {
        return Ok(());
    }
    for (kind, name) in [(Mask::Net, "netmask"), (Mask::Wildcard, "wildcard mask")] {
        let Some(length) = dotted_length(next, kind) else {
            continue;
        };
        let network = IpNet::new(address, length).map(|net| net.trunc());
        let network = network.map_or_else(|_| address.to_string(), |net| net.to_string());
        let problem = format!("an address and a {name}, or two addresses");
        let hint = format!(
            "write {network} for the network; for two addresses write {address}/32 and {next}/32"
        );
        return Err(AddressError::new(
            &format!("{address} {next}"),
            problem,
            hint,
        ));
    }
    Ok(())
}

/// Rejects a number after an address that could be its prefix length, if no name says so.
pub(crate) fn refuse_length(address: IpAddr, number: &str) -> Result<(), AddressError> {
    let Some(length) = parse_length(number) else {
        return Ok(());
    };
    // The length of a single address changes nothing.
    let Ok(network) = IpNet::new(address, length) else {
        return Ok(());
    };
    if network.trunc() != network || length == network.max_prefix_len() {
        return Ok(());
    }
    let problem = "an address and its prefix length, or an address and a number";
    let hint =
        format!("write {network} for the network, or {address} # {number} for the one address");
    Err(AddressError::new(
        &format!("{address} {number}"),
        problem,
        hint,
    ))
}

/// Rejects `/24` next to an address in a column without a known name: it can only be a prefix
/// length.
pub(crate) fn refuse_slash(address: IpAddr, cell: &str) -> Result<(), AddressError> {
    let length = cell.strip_prefix('/').and_then(parse_length);
    let network = length.and_then(|length| IpNet::new(address, length).ok());
    // The length of a single address changes nothing.
    let Some(network) = network.filter(|net| net.prefix_len() < net.max_prefix_len()) else {
        return Ok(());
    };
    let problem = "an address, and its prefix length in a column that is not read";
    let hint = format!("write {} in the column of addresses", network.trunc());
    Err(AddressError::new(
        &format!("{address} {cell}"),
        problem,
        hint,
    ))
}

/// Rejects arguments if one could be the mask of the previous one.
pub fn refuse_masks(arguments: &[String]) -> Result<(), AddressError> {
    for pair in arguments.windows(2) {
        if let [first, next] = pair
            && let Some(address) = parse_address(first)
        {
            refuse_unnamed(address, next)?;
        }
    }
    Ok(())
}
