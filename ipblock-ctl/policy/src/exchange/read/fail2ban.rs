//! What `fail2ban-client` prints: `banned`, `get JAIL banned`, `get JAIL banip --with-time` and
//! `status JAIL`. The jail is the set and the note; all jails are one list unless one is requested.

mod python;

use std::io::BufRead;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
};
use crate::address::End;
use python::Token;

const FORM: &str = "write what `fail2ban-client banned` or `fail2ban-client status JAIL` prints";
const CUT_HINT: &str = "copy the whole text again";
const STATUS: &str = "Status for the jail:";
const BANNED: &str = "Banned IP list:";

/// Whether a line begins such a text.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("[{'") || line.starts_with("['") || line.starts_with(STATUS) || is_timed(line)
}

/// Whether a line has an address with its time, as `--with-time` prints it.
fn is_timed(line: &str) -> bool {
    line.split_once('\t')
        .is_some_and(|(_, times)| until(times).is_some())
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    read_in(input, &TimeZone::system(), out)
}

/// Reads local times of this time zone: fail2ban prints those of its host.
fn read_in(input: impl BufRead, zone: &TimeZone, out: &mut Collector) -> Result<(), ReadError> {
    out.join_sets();
    let mut lines = Lines::new(input);
    let mut jail = String::new();
    let mut status = None;
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix(STATUS) {
            name.trim().clone_into(&mut jail);
            status = Some(number);
        } else if line.starts_with('[') {
            banned(number, line, out)?;
        } else if let Some((_, addresses)) = line.split_once(BANNED) {
            enter(&jail, number, out)?;
            for address in addresses.split_whitespace() {
                out.add(Entry::new(number, address, &jail))?;
            }
            out.leave();
            status = None;
        } else if status.is_some() && line.starts_with(['|', '`']) {
            // A line of the status about something else.
        } else if let Some((address, times)) = line.split_once('\t') {
            let Some(end) = until(times) else {
                out.refuse(number, line, "not an address and its time", Some(FORM));
                continue;
            };
            let entry = Entry::new(number, address.trim(), "");
            out.add(Entry {
                end: end.at(zone),
                ..entry
            })?;
        } else {
            out.refuse(number, line, "not what fail2ban-client prints", Some(FORM));
        }
    }
    if let Some(line) = status {
        out.spoil(line, &jail, "a status that is cut off", CUT_HINT);
    }
    Ok(())
}

fn enter(jail: &str, line: u64, out: &mut Collector) -> Result<(), ReadError> {
    if out.enter(jail) {
        return Ok(());
    }
    Err(ReadError::TooManySets { line })
}

/// Reads `[{'sshd': ['192.0.2.7']}, {'recidive': []}]` or `['192.0.2.7']`.
fn banned(number: u64, line: &str, out: &mut Collector) -> Result<(), ReadError> {
    let mut tokens = python::tokens(line).peekable();
    let (mut depth, mut has_jail) = (0_i64, false);
    let mut found = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) if tokens.peek() == Some(&Token::Mark(':')) => {
                found.push((true, text));
                has_jail = true;
            }
            Token::Text(text) => found.push((false, text)),
            Token::Mark('[' | '{') => depth += 1,
            Token::Mark(']' | '}') => depth -= 1,
            Token::Mark(_) => {}
            Token::CutOff | Token::Other => {
                out.spoil(number, line, "a list that is cut off, or not one", CUT_HINT);
                return Ok(());
            }
        }
    }
    if depth != 0 {
        out.spoil(number, line, "a list that is cut off", CUT_HINT);
        return Ok(());
    }
    // `banned ADDRESS` prints the jails of an address.
    if line.starts_with("[[") || has_jail != line.starts_with("[{") {
        out.refuse(number, line, "not a list of banned addresses", Some(FORM));
        return Ok(());
    }
    let mut jail = String::new();
    for (is_jail, text) in found {
        if is_jail {
            enter(&text, number, out)?;
            jail = text;
        } else {
            out.add(Entry::new(number, &text, &jail))?;
        }
    }
    out.leave();
    Ok(())
}

/// The end of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Never,
    /// In local time.
    Local(DateTime),
}

impl Until {
    /// Returns the end in a time zone. A time that a clock change skips or repeats means the later one.
    fn at(self, zone: &TimeZone) -> End {
        let Self::Local(time) = self else {
            return End::Never;
        };
        let at: Result<Timestamp, _> = zone.to_ambiguous_timestamp(time).later();
        at.map_or(End::Unreadable, End::At)
    }
}

/// Reads `2026-11-29 11:05:04 + 3600 = 2026-11-29 12:05:04`; -1 seconds mean no end.
fn until(times: &str) -> Option<Until> {
    let (begun, rest) = times.split_once(" + ")?;
    let (seconds, end) = rest.split_once(" = ")?;
    let seconds: i64 = seconds.trim().parse().ok()?;
    let parsed = |text: &str| text.trim().parse::<DateTime>().ok();
    parsed(begun)?;
    let end = parsed(end)?;
    Some(if seconds < 0 {
        Until::Never
    } else {
        Until::Local(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::read::FileFormat;

    #[test]
    fn ends_are_in_the_time_of_the_host() {
        let text = "192.0.2.7 \t2026-11-29 11:05:04 + 3600 = 2026-11-29 12:05:04\n\
                    203.0.113.5 \t2026-11-29 11:05:05 + -1 = 9999-12-31 23:59:59\n";
        for (zone, expected) in [
            (TimeZone::UTC, "2026-11-29T12:05:04Z"),
            (TimeZone::fixed(jiff::tz::offset(2)), "2026-11-29T10:05:04Z"),
        ] {
            let mut out = Collector::new(FileFormat::Fail2ban, &[]);
            read_in(text.as_bytes(), &zone, &mut out).unwrap();
            let parsed = out.finish();
            assert_eq!(parsed.refused, []);
            assert_eq!(
                parsed.ends,
                [End::At(expected.parse().unwrap()), End::Never]
            );
        }
    }
}
