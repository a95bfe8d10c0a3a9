//! An address, prefix or range a line; what follows it is its note.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::{Lines, is_blank},
};
use crate::policy::address::parse_prefixes;

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        if !is_blank(line) {
            entry(number, line.trim(), out)?;
        }
    }
    Ok(())
}

fn entry(number: u64, line: &str, out: &mut Collector) -> Result<(), ReadError> {
    let end = line.find(|c: char| c.is_whitespace() || c == '#' || c == ';');
    let (address, rest) = line
        .split_at_checked(end.unwrap_or(line.len()))
        .unwrap_or((line, ""));
    let note = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '#' || c == ';');
    let note = note.strip_prefix("//").unwrap_or(note).trim_start();
    let commented =
        rest.trim_start().starts_with(['#', ';']) || rest.trim_start().starts_with("//");
    // `192.0.2.1 - 192.0.2.9` and `192.0.2.0 255.255.255.0` are more than their first address.
    if !commented && let Some(problem) = continues(address, note) {
        let (problem, hint) = problem;
        out.refuse(number, line, problem, Some(&hint));
        return Ok(());
    }
    out.add(Entry::new(number, address, note))
}

/// What is wrong when the text after an address belongs to it.
fn continues(address: &str, rest: &str) -> Option<(&'static str, String)> {
    let next = rest.split_whitespace().next()?;
    if next.starts_with(['-', '/']) && next.len() == 1 || next.starts_with('/') {
        let without: String = rest.split_whitespace().take(2).collect();
        let joined = format!("{address}{without}");
        if parse_prefixes(&joined).is_ok() {
            return Some(("white space in an address", format!("write {joined}")));
        }
        let form = "write 192.0.2.1-192.0.2.9 or 192.0.2.0/24 without white space";
        return Some(("white space in an address", form.to_owned()));
    }
    if parse_prefixes(next.trim_end_matches([',', ';'])).is_ok() {
        let hint = "write one address, prefix or range (192.0.2.1-192.0.2.9) a line, and a note \
                    that begins with an address after `#`";
        return Some(("several addresses on one line", hint.to_owned()));
    }
    None
}
