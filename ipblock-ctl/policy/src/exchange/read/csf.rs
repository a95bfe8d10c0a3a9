//! `csf.deny` of ConfigServer Firewall: an address or prefix a line with its comment, or an entry for
//! one port, `tcp|in|d=22|s=192.0.2.1`, which is counted.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
};
use crate::address::is_address;

const FORM: &str = "write an address or prefix, and `#` before text about it";

/// Whether a line is an entry for a port.
pub(super) fn is_advanced(line: &str) -> bool {
    let mut fields = line.split('|');
    let protocol = fields.next().unwrap_or_default();
    let is_protocol = matches!(protocol, "tcp" | "udp" | "icmp" | "all") || is_direction(protocol);
    is_protocol && fields.any(|field| field.contains('='))
}

fn is_direction(field: &str) -> bool {
    matches!(field, "in" | "out")
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        let (entry, note) = line.split_once('#').unwrap_or((line, ""));
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        if entry.starts_with("Include") {
            out.pass_over("Include of another file", 1);
        } else if is_advanced(entry) {
            let fields = entry.split(['|', '=']);
            let addresses = fields.filter(|field| is_address(field)).count();
            let addresses = u64::try_from(addresses).unwrap_or(u64::MAX);
            out.pass_over("entries for a port", addresses);
        } else if entry.contains(|c: char| c.is_whitespace() || c == '|') {
            out.refuse(number, entry, "more than an address", Some(FORM));
        } else {
            out.add(Entry::new(number, entry, note.trim()))?;
        }
    }
    Ok(())
}
