//! Addresses, prefixes and ranges: parsing, printing, and sets of them.
//!
//! Parsing is exact: a text is accepted only with its precise meaning, or rejected with a hint what
//! to write instead. This module resolves no names and reads no files.

mod convert;
mod diagnose;
mod entry_end;
mod extract;
mod line;
mod mask;
mod member;
mod port;
mod print;
mod sets;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use thiserror::Error;

pub(crate) use super::text::excerpt;
pub use convert::{Conversion, convert};
pub use entry_end::End;
pub(crate) use entry_end::{end_name, names_end};
pub use extract::addresses_in_text;
pub use line::{addresses_of_line, unmarked_note};
pub(crate) use line::{is_address, is_blank, looks_like_address, read_line};
pub use mask::refuse_masks;
pub(crate) use mask::{
    Mask, is_length, refuse_length, refuse_slash, refuse_unnamed, with_count, with_mask,
};
pub(crate) use port::{is_protocol, limited_to_port, names_port};
pub(crate) use print::push_prefix;
pub use print::push_short;
pub use sets::{aggregate, count_addresses, covered_family, every_address, range_to_prefixes};

use super::{name::ListName, ruleset::At};
use crate::{Classified, ErrorKind, Hinted};

/// Why a text is not an address, prefix, range or list.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{value}`: {problem}")]
pub struct AddressError {
    /// The rejected text, shortened and with control characters escaped.
    pub value: String,
    /// The problem.
    pub problem: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
}

impl Classified for AddressError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Hinted for AddressError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl AddressError {
    fn new(value: &str, problem: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self {
            value: excerpt(value),
            problem: problem.into(),
            hint: hint.into(),
        }
    }
}

/// The meaning of one argument or one element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// An address or a prefix.
    Prefix(IpNet),
    /// A range, as the minimal prefixes.
    Range(Vec<IpNet>),
    /// `@list`.
    List(ListName),
}

/// Reads an address, prefix, range or `@list`. Does not allocate for an address or prefix.
pub(crate) fn parse_written(text: &str) -> Result<Written, AddressError> {
    let Some(name) = text.strip_prefix('@') else {
        return parse_address_set(text);
    };
    match name.parse() {
        Ok(name) => Ok(Written::List(name)),
        Err(error) => {
            let hint = "write `@` and the name of a list, such as `@office`".to_owned();
            Err(AddressError::new(
                text,
                format!("no list name: {error}"),
                hint,
            ))
        }
    }
}

/// Returns the minimal prefixes of `1.2.3.4`, `1.2.3.0/24` or `FROM-TO`, in order.
///
/// A single IPv4-mapped address becomes IPv4. A shorter mapped prefix stays IPv6.
pub fn parse_prefixes(text: &str) -> Result<Vec<IpNet>, AddressError> {
    prefixes_of(parse_written(text)?, text)
}

/// Returns the prefixes read from `text`, where `@list` is not allowed.
pub(super) fn prefixes_of(written: Written, text: &str) -> Result<Vec<IpNet>, AddressError> {
    match written {
        Written::Prefix(prefix) => Ok(vec![prefix]),
        Written::Range(prefixes) => Ok(prefixes),
        Written::List(_) => Err(diagnose::list_refused(text)),
    }
}

/// As [`parse_prefixes`], or `@list`.
pub fn parse_elements(text: &str) -> Result<Vec<At>, AddressError> {
    Ok(match parse_written(text)? {
        Written::Prefix(prefix) => vec![At::Prefix(prefix)],
        Written::Range(prefixes) => prefixes.into_iter().map(At::Prefix).collect(),
        Written::List(name) => vec![At::List(name)],
    })
}

/// Reads anything except `@list`.
fn parse_address_set(text: &str) -> Result<Written, AddressError> {
    let separator = text.find(['/', '-']);
    let Some((left, right)) = separator.and_then(|at| text.split_at_checked(at)) else {
        let address = parse_address(text).ok_or_else(|| diagnose::explain(text))?;
        return Ok(Written::Prefix(address.to_canonical().into()));
    };
    if let Some(last) = right.strip_prefix('-') {
        let (Some(first), Some(last)) = (parse_address(left), parse_address(last)) else {
            return Err(diagnose::explain(text));
        };
        let prefixes = range(text, first, last)?;
        return Ok(match prefixes.as_slice() {
            [one] => Written::Prefix(*one),
            _ => Written::Range(prefixes),
        });
    }
    let length = right.get(1..).and_then(parse_length);
    let (Some(address), Some(length)) = (parse_address(left), length) else {
        return Err(diagnose::explain(text));
    };
    prefix(text, address, length).map(Written::Prefix)
}

/// Strict like the standard library: four decimal parts without leading zeros, no zone.
fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Reads a number up to 128 without sign or leading zeros.
fn parse_length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    let length: u8 = (digits && !leading_zero).then(|| text.parse().ok())??;
    (length <= 128).then_some(length)
}

fn prefix(text: &str, address: IpAddr, length: u8) -> Result<IpNet, AddressError> {
    if let Some(address) = mapped(address)
        && length == 128
    {
        return Ok(IpAddr::from(address).into());
    }
    let Ok(prefix) = IpNet::new(address, length) else {
        return Err(diagnose::too_long(text, address));
    };
    if prefix.addr() == prefix.network() {
        return Ok(prefix);
    }
    Err(match mapped(address) {
        Some(address) if length <= 32 => diagnose::mapped_with_length(text, address, length),
        _ => diagnose::host_bits(text, prefix),
    })
}

fn range(text: &str, first: IpAddr, last: IpAddr) -> Result<Vec<IpNet>, AddressError> {
    let canonical = (first.to_canonical(), last.to_canonical());
    let is_one = canonical.0 == canonical.1;
    // IPv4 or IPv6 may be meant. As IPv6, its single addresses would be read back as IPv4.
    if !is_one && (mapped(first).is_some() || mapped(last).is_some()) {
        return Err(diagnose::range_of_mapped(text, canonical.0, canonical.1));
    }
    let (first, last) = canonical;
    range_to_prefixes(first, last).ok_or_else(|| diagnose::range_refused(text, first, last))
}

/// Returns the IPv4 address of an IPv4-mapped one, `::ffff:a.b.c.d`.
fn mapped(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    }
}

/// Returns a remark about IPv4-mapped addresses, which are read as IPv4, if there are any. It lists
/// some of them and the number of the others.
pub fn read_as_ipv4<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const NAMED: usize = 3;
    let mut mapped = texts
        .into_iter()
        .filter_map(|text| written_as_mapped(text).map(|address| format!("{text} as {address}")));
    let named: Vec<String> = mapped.by_ref().take(NAMED).collect();
    let more = match mapped.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| format!("read {}{more}", named.join(", ")))
}

/// Returns the IPv4 address of a text that is an IPv4-mapped address.
pub(crate) fn written_as_mapped(text: &str) -> Option<Ipv4Addr> {
    // A fast check: nearly all texts are not IPv6.
    if !text.contains("::") && !text.contains(":0:") {
        return None;
    }
    let address = mapped(parse_address(text.strip_suffix("/128").unwrap_or(text))?)?;
    Some(address)
}

#[cfg(test)]
mod tests;
