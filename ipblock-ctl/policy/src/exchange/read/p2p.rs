//! Lists for PeerGuardian, PeerBlock and Transmission: `NOTE:FROM-TO`, a range a line. The note may
//! contain colons.

use std::{io::BufRead, net::Ipv4Addr};

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
};

const FORM: &str = "write note:192.0.2.1-192.0.2.9";

/// Whether a line is a range with its note.
pub(super) fn is_entry(line: &str) -> bool {
    let ends = parts(line).and_then(|(_, range)| range.split_once('-'));
    ends.is_some_and(|(first, last)| {
        first.parse::<Ipv4Addr>().is_ok() && last.parse::<Ipv4Addr>().is_ok()
    })
}

fn parts(line: &str) -> Option<(&str, &str)> {
    let (note, range) = line.rsplit_once(':')?;
    Some((note.trim(), range.trim()))
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parts(line) {
            Some((note, range)) if range.contains('-') => {
                out.add(Entry::new(number, range, note))?;
            }
            _ => out.refuse(number, line, "not a note and a range", Some(FORM)),
        }
    }
    Ok(())
}
