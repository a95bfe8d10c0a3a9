//! The access rules of Apache: `Require not ip 192.0.2.1` and `Deny from 192.0.2.1`. An address whose
//! last parts are left out is a network, as Apache defines it. Rules inside of `<Location>` and the
//! like hold for a part of the requests, and are counted.

use std::io::BufRead;

use super::{
    ReadError,
    accepted::Accepted,
    collect::{Collector, Entry},
    lines::{Lines, MAX_LINE},
    opposite, partial,
    words::words,
};
use crate::address::{Mask, Written, excerpt, is_address, with_mask};

const FORM: &str = "write Require not ip 192.0.2.1, or Deny from 192.0.2.1";

/// Maximum depth of sections.
const MAX_DEPTH: usize = 64;

/// Sections whose rules hold for all requests.
const TRANSPARENT: [&str; 4] = ["ifdefine", "ifmodule", "ifversion", "requireall"];

/// Whether a line begins such a file: an access rule or its section.
pub(super) fn begins(line: &str) -> bool {
    let mut words = line.split_whitespace().map(str::to_ascii_lowercase);
    let mut next = || words.next().unwrap_or_default();
    match (next().as_str(), next().as_str(), next().as_str()) {
        ("require", "all", "granted" | "denied")
        | ("require", "not", "ip")
        | ("deny" | "allow", "from", _)
        | ("<requireall>" | "<requirenone>" | "<requireany>", ..) => true,
        ("order", order, _) => matches!(order, "allow,deny" | "deny,allow"),
        _ => false,
    }
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut rules = Rules::default();
    let (mut directive, mut first) = (String::new(), 0);
    while let Some((number, line)) = lines.next(out)? {
        if directive.is_empty() {
            first = number;
        }
        let part = line.trim_end();
        if let Some(part) = part.strip_suffix('\\') {
            directive.push_str(part);
            directive.push(' ');
            if directive.len() > MAX_LINE {
                out.spoil(first, &directive, "a directive of more than 64 KiB", FORM);
                return Ok(());
            }
            continue;
        }
        directive.push_str(part);
        let whole = std::mem::take(&mut directive);
        let whole = whole.trim();
        if !whole.is_empty() && !whole.starts_with('#') {
            rules.directive(first, whole, out)?;
        }
    }
    if let Some((line, section)) = rules.sections.last() {
        let text = format!("<{section}>");
        let hint = "a section ends with </...>: copy the whole file again";
        out.spoil(*line, &text, "a section that is cut off", hint);
    } else if !directive.is_empty() {
        let hint = "copy the whole file again, or take the backslash out";
        out.spoil(first, &directive, "a directive that is cut off", hint);
    }
    rules.check(out);
    Ok(())
}

#[derive(Default)]
struct Rules {
    /// The open sections, in lower case, with their lines.
    sections: Vec<(u64, String)>,
    /// Whether `Order allow,deny` says that denials win.
    denials_win: bool,
    /// The line of `Allow from all`.
    allows_all: Option<u64>,
    allowed: Accepted,
}

impl Rules {
    fn directive(&mut self, line: u64, text: &str, out: &mut Collector) -> Result<(), ReadError> {
        if let Some(section) = text.strip_prefix('<') {
            self.section(line, section, out);
            return Ok(());
        }
        let Some(words) = words(text) else {
            out.spoil(line, text, "a quote that is not closed", FORM);
            return Ok(());
        };
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let lower: Vec<String> = words
            .iter()
            .take(3)
            .map(|word| word.to_ascii_lowercase())
            .collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let values = |from: usize| words.get(from..).unwrap_or_default();
        let addresses = || {
            let addresses = words.iter().filter(|word| is_address(word)).count();
            u64::try_from(addresses).unwrap_or(u64::MAX)
        };
        let limit = self
            .sections
            .iter()
            .map(|(_, section)| section.as_str())
            .find(|section| {
                let name = section.split_whitespace().next().unwrap_or_default();
                !TRANSPARENT.contains(&name) && name != "requirenone"
            });
        let is_rule = matches!(lower.as_slice(), ["require" | "allow" | "deny", ..]);
        if let Some(limit) = limit.filter(|_| is_rule) {
            out.pass_over(&format!("rules in <{limit}>"), addresses());
            return Ok(());
        }
        let is_none = self
            .sections
            .iter()
            .any(|(_, section)| section.starts_with("requirenone"));
        match lower.as_slice() {
            ["require", "not", "ip"] if !is_none => deny(line, values(3), out),
            ["require", "ip", ..] if is_none => deny(line, values(2), out),
            ["require", "all", "granted"] => Ok(()),
            ["require", "ip", ..] => {
                for value in values(2) {
                    opposite::refuse(line, value, out);
                }
                Ok(())
            }
            ["deny", "from", ..] => deny(line, values(2), out),
            ["allow", "from", ..] => {
                self.allow(line, values(2), out);
                Ok(())
            }
            ["order", order, ..] => {
                self.denials_win = matches!(*order, "allow,deny" | "mutual-failure");
                Ok(())
            }
            ["require" | "deny" | "allow", ..] => {
                out.refuse(line, text, "not a rule about addresses", Some(FORM));
                Ok(())
            }
            ["include" | "includeoptional", ..] => {
                out.pass_over("Include of another file", 1);
                Ok(())
            }
            _ => {
                out.pass_over(words.first().copied().unwrap_or_default(), addresses());
                Ok(())
            }
        }
    }

    fn section(&mut self, line: u64, text: &str, out: &mut Collector) {
        let name = text.trim_end_matches('>').trim().to_ascii_lowercase();
        let Some(closed) = name.strip_prefix('/') else {
            self.sections.push((line, name));
            if self.sections.len() > MAX_DEPTH {
                out.spoil(line, text, "too many sections in each other", FORM);
                self.sections.clear();
            }
            return;
        };
        let open = self.sections.pop();
        let is_open = open.is_some_and(|(_, open)| open.split_whitespace().next() == Some(closed));
        if !is_open {
            out.spoil(line, text, "the end of a section that is not open", FORM);
        }
    }

    fn allow(&mut self, line: u64, values: &[&str], out: &mut Collector) {
        for value in values {
            if value.eq_ignore_ascii_case("all") {
                self.allows_all.get_or_insert(line);
                continue;
            }
            match partial::network(value) {
                Some(network) => self.allowed.add_prefix(network, line),
                None => self.allowed.add(value, line),
            }
            opposite::refuse(line, value, out);
        }
    }

    /// Rejects the file if what it allows wins over what it denies.
    fn check(&self, out: &mut Collector) {
        if self.denials_win {
            return;
        }
        let overlap = |prefix| self.allowed.overlapping(prefix).map(|(_, line)| line);
        let line = self.allows_all.filter(|_| out.entries(str::is_empty) > 0);
        if let Some(line) = line.or_else(|| out.find_in("", overlap)) {
            let problem = "it wins over `Deny from`, without `Order allow,deny`";
            let hint =
                "write Order allow,deny if denials win; otherwise the addresses are not blocked";
            out.spoil(line, "Allow from", problem, hint);
        }
    }
}

fn deny(line: u64, values: &[&str], out: &mut Collector) -> Result<(), ReadError> {
    for value in values {
        let entry = Entry::new(line, value, "");
        if let Some(network) = partial::network(value) {
            out.add_written(entry, &Written::Prefix(network))?;
            continue;
        }
        if value.eq_ignore_ascii_case("all") || value.contains('=') {
            let problem = format!("`{}` is not an address", excerpt(value));
            let hint = "a rule of ipblock names what it blocks: take the line out";
            out.refuse(line, value, &problem, Some(hint));
            continue;
        }
        match value.split_once('/').filter(|(_, mask)| mask.contains('.')) {
            None => out.add(entry)?,
            Some((address, mask)) => match with_mask(address, mask, Mask::Net) {
                Ok(written) => out.add_written(entry, &written)?,
                Err(error) => out.refuse_address(line, error),
            },
        }
    }
    Ok(())
}
