//! Prints rulesets as text.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    mem,
};

use ipnet::IpNet;

use super::Origin;
use crate::{
    address::push_prefix,
    exchange::is_repeated,
    name::ListName,
    ruleset::{
        At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, Rule, Ruleset, Zone,
    },
    text::is_safe,
};

/// Arrays with at most this number of elements and without notes are on one line.
const ONE_LINE: usize = 4;

/// Size of a piece of text in bytes before it is written.
const PIECE: usize = 4 << 10;

const RULE_HEADER: &str = "\
# One rule. Save and leave the editor to stage it; leave without saving to change nothing.
# match and except hold addresses, prefixes, ranges (192.0.2.1-192.0.2.9) and @lists;
# { at = \"192.0.2.1\", note = \"why\" } carries a note. An empty `zones` means every zone.
";

/// Prints a ruleset so that [`parse`](super::parse) returns it, without identities.
///
/// Omits default values.
#[must_use]
pub fn print(ruleset: &Ruleset) -> String {
    Printed(ruleset).to_string()
}

/// Prints one rule so that [`parse_rule`](super::parse_rule) returns it. It has every key,
/// including defaults, to show what can be set.
#[must_use]
pub fn print_rule(rule: &Rule) -> String {
    PrintedRule(rule).to_string()
}

/// A ruleset as [`print()`] writes it, for uses where the whole text would need too much memory.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'a>(pub &'a Ruleset);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ruleset) = self;
        let mut out = Out::of(f);
        for (name, list) in &ruleset.lists {
            print_list(&mut out, name, list)?;
        }
        if !ruleset.allow.is_empty() {
            out.header("[allow]")?;
            array(&mut out, "match", &ruleset.allow)?;
        }
        for (name, zone) in &ruleset.zones {
            out.header(&format!("[zone.{}]", key(name.as_str())))?;
            print_zone(&mut out, zone)?;
        }
        for rule in &ruleset.rules {
            out.header("[[rule]]")?;
            print_keys(&mut out, rule, false)?;
        }
        out.flush()
    }
}

/// A ruleset as [`Printed`] writes it, after the key with the revision that it is made from.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a>(pub &'a Ruleset, pub &'a Origin);

impl fmt::Display for Exported<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ruleset, origin) = self;
        writeln!(f, "revision = \"{origin}\"")?;
        if **ruleset != Ruleset::default() {
            writeln!(f)?;
        }
        write!(f, "{}", Printed(ruleset))
    }
}

/// A rule as [`print_rule`] writes it.
#[derive(Clone, Copy, Debug)]
pub struct PrintedRule<'a>(pub &'a Rule);

impl fmt::Display for PrintedRule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Out::of(f);
        out.text.push_str(RULE_HEADER);
        print_keys(&mut out, self.0, true)?;
        out.flush()
    }
}

/// A text that is written in pieces, so that the receiver may process each.
struct Out<'a, 'f> {
    text: String,
    to: &'a mut fmt::Formatter<'f>,
    is_first: bool,
}

impl<'a, 'f> Out<'a, 'f> {
    fn of(to: &'a mut fmt::Formatter<'f>) -> Self {
        Self {
            text: String::new(),
            to,
            is_first: true,
        }
    }

    fn header(&mut self, header: &str) -> fmt::Result {
        if !mem::take(&mut self.is_first) {
            self.text.push('\n');
        }
        self.text.push_str(header);
        self.text.push('\n');
        self.flush()
    }

    fn flush(&mut self) -> fmt::Result {
        self.to.write_str(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

fn print_list(out: &mut Out<'_, '_>, name: &ListName, list: &List) -> fmt::Result {
    out.header(&format!("[list.{}]", key(name.as_str())))?;
    if let Some(kind) = list.source.kind() {
        write!(out.text, "{kind} = ")?;
        quote(&mut out.text, list.source.text());
        out.text.push('\n');
        for (key, texts) in list.source.options() {
            write!(out.text, "{key} = ")?;
            quote_all(&mut out.text, key, &texts);
            out.text.push('\n');
        }
    }
    if !list.is_unread() {
        array(out, "match", &list.elements)?;
    }
    Ok(())
}

fn print_zone(out: &mut Out<'_, '_>, zone: &Zone) -> fmt::Result {
    if zone.default == DefaultVerdict::Drop {
        out.text.push_str("default = \"drop\"\n");
    }
    if zone.malformed == MalformedPolicy::Drop {
        out.text.push_str("malformed = \"drop\"\n");
    }
    if !zone.allow.is_empty() {
        array(out, "allow", &zone.allow)?;
    }
    Ok(())
}

fn print_keys(out: &mut Out<'_, '_>, rule: &Rule, all: bool) -> fmt::Result {
    let action = rule.action;
    writeln!(out.text, "name = \"{}\"\naction = \"{action}\"", rule.name)?;
    array(out, "match", &rule.matches)?;
    if all || !rule.except.is_empty() {
        array(out, "except", &rule.except)?;
    }
    let text = &mut out.text;
    match rule.expires {
        Some(end) => writeln!(text, "expires = \"{end}\"")?,
        None if all => text.push_str("# expires = \"2030-12-31T23:59:00Z\"\n"),
        None => {}
    }
    if all || !rule.note.is_empty() {
        text.push_str("note = ");
        quote(text, &rule.note);
        text.push('\n');
    }
    if all || !rule.enabled {
        writeln!(text, "enabled = {}", rule.enabled)?;
    }
    if all || rule.alert {
        writeln!(text, "alert = {}", rule.alert)?;
    }
    if all || !rule.zones.is_empty() {
        let zones: Vec<_> = rule
            .zones
            .iter()
            .map(|zone| format!("\"{zone}\""))
            .collect();
        writeln!(text, "zones = [{}]", zones.join(", "))?;
    }
    Ok(())
}

/// An element of a rule or of a list: its meaning and its note.
trait Entry {
    fn print_at(&self, out: &mut String);
    fn note(&self) -> &str;
}

impl Entry for Element {
    fn print_at(&self, out: &mut String) {
        let _ = match &self.at {
            At::Prefix(prefix) => {
                print_prefix(out, *prefix);
                Ok(())
            }
            At::List(name) => write!(out, "\"@{name}\""),
        };
    }

    fn note(&self) -> &str {
        &self.note
    }
}

impl Entry for ListElement {
    fn print_at(&self, out: &mut String) {
        print_prefix(out, self.prefix);
    }

    fn note(&self) -> &str {
        &self.note
    }
}

/// Prints a prefix in quotes.
fn print_prefix(out: &mut String, prefix: IpNet) {
    out.push('"');
    push_prefix(out, prefix);
    out.push('"');
}

fn array(out: &mut Out<'_, '_>, key: &str, entries: &[impl Entry]) -> fmt::Result {
    let noted = |entry: &_| !Entry::note(entry).is_empty();
    let one_line = match entries {
        [_] => true,
        _ => entries.len() <= ONE_LINE && !entries.iter().any(noted),
    };
    let (before, between, after) = if one_line {
        ("", ", ", "")
    } else {
        ("\n    ", ",\n    ", ",\n")
    };
    write!(out.text, "{key} = [{before}")?;
    for (index, entry) in entries.iter().enumerate() {
        let text = &mut out.text;
        if index > 0 {
            text.push_str(between);
        }
        if entry.note().is_empty() {
            entry.print_at(text);
        } else {
            text.push_str("{ at = ");
            entry.print_at(text);
            text.push_str(", note = ");
            quote(text, entry.note());
            text.push_str(" }");
        }
        if text.len() >= PIECE {
            out.flush()?;
        }
    }
    writeln!(out.text, "{after}]")
}

/// Prints a basic string of TOML, on one line.
/// Writes the texts of an option: an array where there may be several.
fn quote_all(out: &mut String, key: &str, texts: &[String]) {
    let is_array = is_repeated(key);
    out.push_str(if is_array { "[" } else { "" });
    for (index, text) in texts.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        quote(out, text);
    }
    out.push_str(if is_array { "]" } else { "" });
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            safe if is_safe(safe) => out.push(safe),
            other => {
                let _ = write!(out, "\\U{:08X}", u32::from(other));
            }
        }
    }
    out.push('"');
}

/// Returns a name as a key: bare, or quoted if it contains a dot.
pub(super) fn key(name: &str) -> Cow<'_, str> {
    if name.contains('.') {
        format!("\"{name}\"").into()
    } else {
        name.into()
    }
}
