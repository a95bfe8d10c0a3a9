//! Ruleset files in TOML, and their form in JSON.

use toml::de::{DeTable, DeValue};

use super::{
    ReadError,
    collect::{Collector, Entry},
};
use crate::address::{End, is_address, names_end};

pub(super) const EXCEPT: &str = "an exception of a rule";
pub(super) const EXCEPT_HINT: &str = "add it with ipblock-ctl exception add RULE ADDRESS";
pub(super) const ALLOW: &str = "an entry of an allow list";
pub(super) const ALLOW_HINT: &str = "add it with ipblock-ctl allow add ADDRESS";

/// The purpose of an array of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Match,
    Except,
    Allow,
}

/// Reads the content of `match` in rules and of lists. Exceptions and allow lists mean the opposite
/// and are rejected.
pub(super) fn read(text: &str, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = LineCounter::new(text);
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let problem = format!("invalid TOML: {}", error.message());
            let line = lines.line(at);
            let shown = text.lines().nth(usize::try_from(line - 1).unwrap_or(0));
            out.refuse(line, shown.unwrap_or_default(), &problem, None);
            return Ok(());
        }
    };
    let mut found = Vec::new();
    for (key, value) in document.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("rule", DeValue::Array(rules)) => {
                for rule in rules.iter().filter_map(|rule| rule.get_ref().as_table()) {
                    let first = found.len();
                    collect(rule, "match", Use::Match, &mut found);
                    let matched = found.iter_mut().skip(first);
                    let end = rule
                        .get("expires")
                        .map_or(End::None, |end| end_of("expires", end.get_ref()));
                    for element in matched.filter(|element| element.end == End::None) {
                        element.end = end;
                    }
                    collect(rule, "except", Use::Except, &mut found);
                }
            }
            ("allow", DeValue::Table(allow)) => collect(allow, "match", Use::Allow, &mut found),
            (kind @ ("list" | "zone"), DeValue::Table(tables)) => {
                let (key, purpose) = match kind {
                    "list" => ("match", Use::Match),
                    _ => ("allow", Use::Allow),
                };
                for table in tables
                    .values()
                    .filter_map(|table| table.get_ref().as_table())
                {
                    collect(table, key, purpose, &mut found);
                    if !table.contains_key(key) && kind == "list" {
                        out.pass_over("a list of another file", 1);
                    }
                }
            }
            _ => out.pass_over(key.get_ref(), addresses(value.get_ref())),
        }
    }
    found.sort_by_key(|element| element.at);
    for element in found {
        let entry = Entry {
            line: lines.line(element.at),
            text: element.text,
            note: element.note,
            end: element.end,
        };
        add(element.purpose, entry, out)?;
    }
    Ok(())
}

/// Adds or rejects an element of a ruleset.
pub(super) fn add(purpose: Use, entry: Entry<'_>, out: &mut Collector) -> Result<(), ReadError> {
    match purpose {
        // The lists of the file are read themselves.
        _ if entry.text.starts_with('@') => {}
        Use::Match => out.add(entry)?,
        Use::Except => out.refuse(entry.line, entry.text, EXCEPT, Some(EXCEPT_HINT)),
        Use::Allow => out.refuse(entry.line, entry.text, ALLOW, Some(ALLOW_HINT)),
    }
    Ok(())
}

/// An element and its byte offset.
struct FoundElement<'t> {
    at: usize,
    purpose: Use,
    text: &'t str,
    note: &'t str,
    /// Its own end, or that of its rule.
    end: End,
}

/// Returns the number of addresses in a value that is not read.
fn addresses(value: &DeValue<'_>) -> u64 {
    match value {
        DeValue::String(text) => u64::from(is_address(text)),
        DeValue::Array(values) => values.iter().map(|value| addresses(value.get_ref())).sum(),
        DeValue::Table(table) => table.values().map(|value| addresses(value.get_ref())).sum(),
        _ => 0,
    }
}

fn collect<'v>(table: &'v DeTable<'_>, key: &str, purpose: Use, found: &mut Vec<FoundElement<'v>>) {
    let Some(value) = table.get(key) else { return };
    let Some(elements) = value.get_ref().as_array() else {
        found.push(FoundElement {
            at: value.span().start,
            purpose,
            text: "",
            note: "",
            end: End::None,
        });
        return;
    };
    for element in elements {
        let (value, note) = match element.get_ref() {
            DeValue::Table(table) => (table.get("at"), table.get("note")),
            _ => (Some(element), None),
        };
        let text = value.and_then(|value| value.get_ref().as_str());
        found.push(FoundElement {
            at: value.map_or(element.span().start, |value| value.span().start),
            purpose,
            // A value other than a text is rejected as an empty one.
            text: text.unwrap_or_default(),
            note: note
                .and_then(|note| note.get_ref().as_str())
                .unwrap_or_default(),
            end: own_end(element.get_ref()),
        });
    }
}

/// Returns the end of an element itself.
fn own_end(element: &DeValue<'_>) -> End {
    let mut pairs = element.as_table().into_iter().flatten();
    let named = pairs.find(|(key, _)| names_end(key.get_ref()));
    named.map_or(End::None, |(key, value)| {
        end_of(key.get_ref(), value.get_ref())
    })
}

/// Reads a TOML value under the name of an end.
fn end_of(name: &str, value: &DeValue<'_>) -> End {
    match value {
        DeValue::String(text) => End::under(name, text),
        DeValue::Datetime(time) => End::under(name, &time.to_string()),
        DeValue::Integer(number) => End::under(name, number.as_str()),
        _ => End::Unreadable,
    }
}

/// The lines of ascending byte offsets.
struct LineCounter<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl<'t> LineCounter<'t> {
    const fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    fn line(&mut self, at: usize) -> u64 {
        let passed = self.text.get(self.at..at).unwrap_or_default();
        let lines: u64 = passed.iter().map(|byte| u64::from(*byte == b'\n')).sum();
        self.line += lines;
        self.at = self.at.max(at);
        self.line
    }
}

/// Converts a ruleset in JSON, as `export --format json` prints it, to the TOML text for
/// `document::parse`.
pub fn ruleset_toml(json: &str) -> Result<String, String> {
    let value: toml::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    toml::to_string(&value).map_err(|error| error.to_string())
}
