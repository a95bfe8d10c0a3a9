//! Address lists of MikroTik RouterOS, as `export` prints them:
//! `add address=192.0.2.1 list=blacklist timeout=1d` under `/ip firewall address-list`. The list is
//! the set.

use std::{borrow::Cow, io::BufRead};

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::{Lines, MAX_LINE},
    words::words,
};
use crate::{
    address::{End, excerpt, is_address},
    duration::signed_seconds,
};

const FORM: &str = "write add address=192.0.2.1 list=NAME under /ip firewall address-list";
const TAKES: &str = "it takes entries away";
const TAKES_HINT: &str =
    "import what /ip firewall address-list export prints, or take the line out";

/// Whether a comment begins such a text.
pub(super) fn is_title(line: &str) -> bool {
    line.starts_with('#') && line.contains(" by RouterOS ")
}

/// Whether a line begins such a text.
pub(super) fn begins(line: &str) -> bool {
    let Some(words) = words(line) else {
        return false;
    };
    let is_add = words.first().is_some_and(|word| word == "add");
    let has = |key: &str| words.iter().any(|word| word.starts_with(key));
    is_menu(line) || is_add && has("address=") && has("list=")
}

fn is_menu(line: &str) -> bool {
    [
        "/ip firewall",
        "/ipv6 firewall",
        "/ip/firewall",
        "/ipv6/firewall",
    ]
    .iter()
    .any(|menu| line.starts_with(menu))
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    // Lines without a menu before them are those of an address list.
    let mut menu = "address-list".to_owned();
    let (mut command, mut first) = (String::new(), 0);
    while let Some((number, line)) = lines.next(out)? {
        if command.is_empty() {
            first = number;
        }
        let part = if command.is_empty() {
            line.trim()
        } else {
            line.trim_start()
        };
        if let Some(part) = part.trim_end().strip_suffix('\\') {
            command.push_str(part);
            if command.len() > MAX_LINE {
                out.spoil(first, &command, "a command of more than 64 KiB", FORM);
                return Ok(());
            }
            continue;
        }
        command.push_str(part);
        let whole = std::mem::take(&mut command);
        let whole = whole.trim();
        if whole.is_empty() || whole.starts_with('#') {
            continue;
        }
        let whole = match whole.strip_prefix('/') {
            Some(path) => enter_menu(path, &mut menu),
            None => whole,
        };
        if !whole.is_empty() {
            read_command(first, whole, &menu, out)?;
        }
    }
    if !command.is_empty() {
        let hint = "copy the whole text again, or take the backslash out";
        out.spoil(first, &command, "a command that is cut off", hint);
    }
    Ok(())
}

/// Remembers a menu, and returns the command after it.
fn enter_menu<'l>(path: &'l str, menu: &mut String) -> &'l str {
    const COMMANDS: [&str; 5] = ["add", "set", "remove", "disable", "enable"];
    let mut rest = path;
    menu.clear();
    loop {
        let (word, after) = rest.split_once([' ', '/']).unwrap_or((rest, ""));
        if word.is_empty() || COMMANDS.contains(&word) {
            return rest;
        }
        if !menu.is_empty() {
            menu.push(' ');
        }
        menu.push_str(word);
        rest = after.trim_start();
    }
}

fn read_command(number: u64, line: &str, menu: &str, out: &mut Collector) -> Result<(), ReadError> {
    let Some(words) = words(line) else {
        out.spoil(number, line, "a quote that is not closed", FORM);
        return Ok(());
    };
    if !menu.ends_with("address-list") {
        let values = words.iter().filter_map(|word| word.split_once('='));
        let count = values.filter(|(_, value)| is_address(value)).count();
        out.pass_over(
            &format!("/{menu}"),
            u64::try_from(count).unwrap_or(u64::MAX),
        );
        return Ok(());
    }
    match words.first().map(AsRef::as_ref) {
        Some("add") => add(number, line, &words, out),
        Some("remove" | "set" | "disable" | "enable") => {
            if out.entries(|_| true) > 0 {
                out.spoil(number, line, TAKES, TAKES_HINT);
            }
            Ok(())
        }
        _ => {
            out.refuse(number, line, "not an entry of an address list", Some(FORM));
            Ok(())
        }
    }
}

fn add(
    number: u64,
    line: &str,
    words: &[Cow<'_, str>],
    out: &mut Collector,
) -> Result<(), ReadError> {
    let (mut address, mut list, mut note, mut end) = ("", "", "", End::None);
    let mut is_disabled = false;
    for word in words.iter().skip(1) {
        match word.split_once('=') {
            Some(("address", value)) => address = value,
            Some(("list", value)) => list = value,
            Some(("comment", value)) => note = value,
            Some(("timeout", value)) => end = timeout(value),
            Some(("disabled", value)) => is_disabled = value != "no",
            Some(("dynamic" | "creation-time", _)) => {}
            _ => {
                let problem = format!("`{}` is not a property of an entry", excerpt(word));
                out.refuse(number, line, &problem, Some(FORM));
                return Ok(());
            }
        }
    }
    if is_disabled {
        out.pass_over("disabled entries", u64::from(is_address(address)));
        return Ok(());
    }
    if list.is_empty() || address.is_empty() {
        out.refuse(
            number,
            line,
            "an entry without an address or a list",
            Some(FORM),
        );
        return Ok(());
    }
    if !out.enter(list) {
        return Err(ReadError::TooManySets { line: number });
    }
    out.add(Entry {
        line: number,
        text: address,
        note,
        end,
    })?;
    out.leave();
    Ok(())
}

/// Reads the time of an entry: `1w2d3h4m5s`, `00:10:00` or `1d00:10:00`.
fn timeout(text: &str) -> End {
    if matches!(text, "none-dynamic" | "none-static") {
        return End::Never;
    }
    let clock = text.rfind(['d', 'w']).map_or(0, |at| at + 1);
    let (days, clock) = text.split_at_checked(clock).unwrap_or((text, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let duration = match parts.as_slice() {
        [hours, minutes, seconds] => format!("{days}{hours}h{minutes}m{seconds}s"),
        _ => text.to_owned(),
    };
    signed_seconds(&duration).map_or(End::Unreadable, End::After)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_durations_or_clocks() {
        let cases = [
            ("1d", End::After(86_400)),
            ("1w2d3h4m5s", End::After(788_645)),
            ("00:10:00", End::After(600)),
            ("1d00:10:00", End::After(87_000)),
            ("none-dynamic", End::Never),
            ("soon", End::Unreadable),
        ];
        for (text, end) in cases {
            assert_eq!(timeout(text), end, "{text}");
        }
    }
}
