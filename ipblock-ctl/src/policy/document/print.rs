//! Rulesets as text.

use std::{borrow::Cow, fmt::Write as _};

use ipnet::IpNet;

use crate::policy::{
    address::push_prefix,
    name::ListName,
    ruleset::{
        Action, At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, Rule, Ruleset,
        Zone,
    },
};

/// Arrays up to this many elements without notes stand on one line.
const ONE_LINE: usize = 4;

/// Bytes of a line with an IPv4 host: what most large arrays consist of.
const ENTRY: usize = "    \"192.0.2.100/32\",\n".len();

const RULE_HEADER: &str = "\
# One rule. Save and leave the editor to stage it; leave without saving to change nothing.
# match and except hold addresses, prefixes, ranges (192.0.2.1-192.0.2.9) and @lists;
# { at = \"192.0.2.1\", note = \"why\" } carries a note. An empty `zones` means every zone.
";

/// Writes a ruleset so that [`parse`](super::parse) gives it back, identities apart.
///
/// What has its default is left out.
#[must_use]
pub fn print(ruleset: &Ruleset) -> String {
    let mut out = String::new();
    for (name, list) in &ruleset.lists {
        print_list(&mut out, name, list);
    }
    if !ruleset.allow.is_empty() {
        header(&mut out, "[allow]");
        array(&mut out, "match", &ruleset.allow);
    }
    for (name, zone) in &ruleset.zones {
        header(&mut out, &format!("[zone.{}]", key(name.as_str())));
        print_zone(&mut out, zone);
    }
    for rule in &ruleset.rules {
        header(&mut out, "[[rule]]");
        print_keys(&mut out, rule, false);
    }
    out
}

/// Writes one rule so that [`parse_rule`](super::parse_rule) gives it back: every key, defaults
/// too, so that a person sees what can be set.
#[must_use]
pub fn print_rule(rule: &Rule) -> String {
    let mut out = RULE_HEADER.to_owned();
    print_keys(&mut out, rule, true);
    out
}

fn header(out: &mut String, header: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(header);
    out.push('\n');
}

fn print_list(out: &mut String, name: &ListName, list: &List) {
    header(out, &format!("[list.{}]", key(name.as_str())));
    if let Some(file) = &list.file {
        out.push_str("file = ");
        quote(out, file.as_str());
        out.push('\n');
    }
    if !list.is_unread() {
        array(out, "match", &list.elements);
    }
}

fn print_zone(out: &mut String, zone: &Zone) {
    if zone.default == DefaultVerdict::Drop {
        out.push_str("default = \"drop\"\n");
    }
    if zone.malformed == MalformedPolicy::Drop {
        out.push_str("malformed = \"drop\"\n");
    }
    if !zone.allow.is_empty() {
        array(out, "allow", &zone.allow);
    }
}

fn print_keys(out: &mut String, rule: &Rule, all: bool) {
    let action = match rule.action {
        Action::Block => "block",
        Action::Warn => "warn",
    };
    // Writing into a String does not fail.
    let _ = write!(out, "name = \"{}\"\naction = \"{action}\"\n", rule.name);
    array(out, "match", &rule.matches);
    if all || !rule.except.is_empty() {
        array(out, "except", &rule.except);
    }
    match rule.expires {
        Some(end) => {
            let _ = writeln!(out, "expires = \"{end}\"");
        }
        None if all => out.push_str("# expires = \"2030-12-31T23:59:00Z\"\n"),
        None => {}
    }
    if all || !rule.note.is_empty() {
        out.push_str("note = ");
        quote(out, &rule.note);
        out.push('\n');
    }
    if all || !rule.enabled {
        let _ = writeln!(out, "enabled = {}", rule.enabled);
    }
    if all || rule.alert {
        let _ = writeln!(out, "alert = {}", rule.alert);
    }
    if all || !rule.zones.is_empty() {
        let zones: Vec<_> = rule
            .zones
            .iter()
            .map(|zone| format!("\"{zone}\""))
            .collect();
        let _ = writeln!(out, "zones = [{}]", zones.join(", "));
    }
}

/// An element of a rule or of a list: what it stands for and its note.
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

/// A prefix between quotes.
fn print_prefix(out: &mut String, prefix: IpNet) {
    out.push('"');
    push_prefix(out, prefix);
    out.push('"');
}

fn array(out: &mut String, key: &str, entries: &[impl Entry]) {
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
    let _ = write!(out, "{key} = [{before}");
    out.reserve(entries.len() * ENTRY);
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        if entry.note().is_empty() {
            entry.print_at(out);
        } else {
            out.push_str("{ at = ");
            entry.print_at(out);
            out.push_str(", note = ");
            quote(out, entry.note());
            out.push_str(" }");
        }
    }
    let _ = writeln!(out, "{after}]");
}

/// A basic string of TOML, on one line.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A name as a key: bare, or quoted where it holds a dot.
pub(super) fn key(name: &str) -> Cow<'_, str> {
    if name.contains('.') {
        format!("\"{name}\"").into()
    } else {
        name.into()
    }
}
