//! `ipfilter.dat` of eMule and other file sharing programs: `FROM - TO , LEVEL , NOTE`.
//!
//! Octets are decimal, also with leading zeros: `001.009.096.105` is 1.9.96.105. The programs block
//! ranges whose level is below 128.

use std::{io::BufRead, net::Ipv4Addr};

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
    opposite,
};
use crate::address::{Written, is_blank, range_to_prefixes};

const FORM: &str = "write 192.000.002.001 - 192.000.002.009 , 000 , note";

/// The lowest level of ranges that are let through.
const ALLOWED: u32 = 128;

/// Whether a line is an entry with a level.
pub(super) fn is_entry(line: &str) -> bool {
    matches!(parse(line), Some(Range { level: Some(_), .. }))
}

struct Range<'l> {
    first: Ipv4Addr,
    last: Ipv4Addr,
    /// The programs also block a range without a level.
    level: Option<u32>,
    note: &'l str,
}

fn parse(line: &str) -> Option<Range<'_>> {
    let mut fields = line.splitn(3, ',');
    let (first, last) = fields.next()?.split_once('-')?;
    let level = fields.next().map(|level| level.trim().parse());
    Some(Range {
        first: padded(first.trim())?,
        last: padded(last.trim())?,
        level: level.transpose().ok()?,
        note: fields.next().unwrap_or_default().trim(),
    })
}

/// Reads an address of four decimal numbers of at most three digits.
fn padded(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        *octet = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if is_blank(line) {
            continue;
        }
        let Some(range) = parse(line) else {
            out.refuse(number, line, "not a range with a level", Some(FORM));
            continue;
        };
        if range.level.is_some_and(|level| level >= ALLOWED) {
            opposite::refuse(number, line, out);
            continue;
        }
        let entry = Entry::new(number, line, range.note);
        if let Some(prefixes) = range_to_prefixes(range.first.into(), range.last.into()) {
            out.add_written(entry, &Written::Range(prefixes))?;
            continue;
        }
        let reversed = format!("{}-{}", range.first, range.last);
        out.add(Entry {
            text: &reversed,
            ..entry
        })?;
    }
    Ok(())
}
