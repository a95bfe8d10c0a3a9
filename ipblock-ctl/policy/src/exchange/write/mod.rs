//! Writes addresses for other programs, and rulesets as JSON.

mod json;
mod selection;
mod sets;

use csv::{QuoteStyle, WriterBuilder};
use jiff::Timestamp;

use crate::{
    ruleset::{Element, ListElement, Ruleset},
    text::is_safe,
};

pub use json::{json, json_from};
use selection::resolved;
pub use selection::{Selection, elements};
pub use sets::{ipset, nft};

/// Writes one prefix per line, followed by its note.
#[must_use]
pub fn plain(elements: &[ListElement]) -> String {
    let mut out = String::new();
    for element in elements {
        out.push_str(&element.prefix.to_string());
        let note = one_line(&element.note);
        if !note.is_empty() {
            out.push_str(" # ");
            out.push_str(&note);
        }
        out.push('\n');
    }
    out
}

/// Writes records of rule, action, address, kind, note and expires, with a header.
///
/// The kind of an address is `match` or `except` in a rule, `list` in a list and `allow` in an
/// allow list. [`Selection::All`] contains every rule that is live at `now`; named lists are
/// replaced by their addresses.
#[must_use]
pub fn csv(ruleset: &Ruleset, selection: Selection<'_>, now: Timestamp) -> String {
    let mut table = Records::new();
    match selection {
        Selection::All => {
            for rule in ruleset.rules.iter().filter(|rule| rule.is_live(now)) {
                table.rule(ruleset, rule);
            }
        }
        Selection::Rule(rule) => table.rule(ruleset, rule),
        Selection::List(name, list) => {
            for element in &list.elements {
                table.push([&format!("@{name}"), "", "list", ""], element);
            }
        }
        Selection::Allow => table.elements(ruleset, &ruleset.allow, ["", "", "allow", ""]),
    }
    table.finish()
}

struct Records(csv::Writer<Vec<u8>>);

impl Records {
    fn new() -> Self {
        let mut writer = WriterBuilder::new()
            .quote_style(QuoteStyle::Necessary)
            .from_writer(Vec::new());
        // Writing into a vector does not fail, here and below.
        let _ = writer.write_record(["rule", "action", "address", "kind", "note", "expires"]);
        Self(writer)
    }

    fn rule(&mut self, ruleset: &Ruleset, rule: &crate::Rule) {
        let action = rule.action.as_str();
        let name = rule.name.as_str();
        let expires = rule.expires.map(|end| end.to_string()).unwrap_or_default();
        self.elements(ruleset, &rule.matches, [name, action, "match", &expires]);
        self.elements(ruleset, &rule.except, [name, action, "except", &expires]);
    }

    fn elements(&mut self, ruleset: &Ruleset, elements: &[Element], cells: [&str; 4]) {
        for element in resolved(ruleset, elements) {
            self.push(cells, &element);
        }
    }

    fn push(&mut self, [rule, action, kind, expires]: [&str; 4], element: &ListElement) {
        let address = element.prefix.to_string();
        let _ = self.0.write_record([
            rule,
            action,
            &address,
            kind,
            &quotable(&element.note),
            expires,
        ]);
    }

    fn finish(self) -> String {
        let bytes = self.0.into_inner().unwrap_or_default();
        // Made of strings.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// Returns a note that CSV can quote, with line breaks and tabs.
fn quotable(note: &str) -> String {
    note.replace(
        |character: char| !is_safe(character) && !character.is_ascii_whitespace(),
        " ",
    )
}

/// Returns a note on one line. Other programs have no escapes, so spaces replace unsafe characters.
fn one_line(note: &str) -> String {
    let spaced = note.replace(|character| !is_safe(character), " ");
    spaced.trim().to_owned()
}
