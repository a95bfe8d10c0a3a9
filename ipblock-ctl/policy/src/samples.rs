//! Small rulesets for the tests of this layer.

use std::fmt::Write as _;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{Action, At, Element, Rule, RuleId, SharedVec, ZoneName};

/// The time at which tests compile.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(crate) fn elements<'a>(nets: impl IntoIterator<Item = &'a str>) -> SharedVec<Element> {
    let element = |text: &str| Element {
        at: match text.strip_prefix('@') {
            Some(list) => At::List(list.parse().unwrap()),
            None => At::Prefix(net(text)),
        },
        note: "".into(),
    };
    nets.into_iter().map(element).collect()
}

/// A live rule in every zone, without exceptions.
pub(crate) fn rule(id: u64, name: &str, action: Action, matches: &[&str]) -> Rule {
    Rule {
        id: RuleId(id),
        name: name.parse().unwrap(),
        action,
        matches: elements(matches.iter().copied()),
        except: SharedVec::default(),
        expires: None,
        note: String::new(),
        enabled: true,
        alert: false,
        zones: Vec::new(),
    }
}

pub(crate) fn zone(name: &str) -> ZoneName {
    name.parse().unwrap()
}

/// Returns the parts of a file of cases: each heading, and the text below it.
pub(crate) fn headed(cases: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = cases.split("## ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap())
}

/// Returns a case of the file. A case that is a JSON string is decoded, for invisible characters.
pub(crate) fn unquoted(case: &str) -> String {
    serde_json::from_str(case).unwrap_or_else(|_| case.to_owned())
}

/// Returns each line of a file of cases, followed by the result of `show` for it.
pub(crate) fn shown_by_line(cases: &str, show: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    for (heading, lines) in headed(cases) {
        writeln!(out, "## {heading}").unwrap();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            writeln!(out, "{line}\n{}", indented(&show(&unquoted(line)))).unwrap();
        }
    }
    out
}

/// Returns each block of a file of cases, which are separated by lines `---`, followed by the
/// result of `show` for it.
pub(crate) fn shown_by_block(cases: &str, mut show: impl FnMut(&str) -> String) -> String {
    let mut out = String::new();
    for (heading, blocks) in headed(cases) {
        writeln!(out, "## {heading}").unwrap();
        for block in blocks.split("---\n") {
            let block = block.trim_end_matches('\n');
            let text = match unquoted(block) {
                text if text == block => format!("{block}\n"),
                text => text,
            };
            writeln!(out, "{block}\n{}", indented(&show(&text))).unwrap();
        }
    }
    out
}

pub(crate) fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    lines.collect()
}
