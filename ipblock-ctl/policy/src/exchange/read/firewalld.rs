//! The files of firewalld: an ipset (`<ipset>` with `<entry>`), and a zone (`<zone>`) with rich rules
//! that drop or reject a source. What holds for single services, ports or protocols is counted.

use std::io::{BufRead, Read as _};

use roxmltree::{Document, Node};

use super::{
    MAX_DOCUMENT, ReadError,
    collect::{Collector, Entry},
    opposite,
};
use crate::address::{End, excerpt, is_address};

const FORM: &str = "import an ipset file or a zone file of /etc/firewalld";
const CUT_HINT: &str = "copy the whole file again";
const LIMIT_HINT: &str = "only sets of the types hash:ip and hash:net can be read";

/// Maximum of elements, attributes and texts.
const MAX_NODES: u32 = 16_000_000;

/// Elements of a rule that do not limit it.
const NEUTRAL: [&str; 8] = [
    "source",
    "drop",
    "reject",
    "log",
    "nflog",
    "audit",
    "description",
    "short",
];

/// Whether a text begins such a file.
pub(super) fn begins(head: &str) -> bool {
    let root = root_of(head);
    root.is_some_and(|root| {
        ["<ipset", "<zone"].iter().any(|name| {
            root.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_whitespace() || c == '>'))
        })
    })
}

/// Returns the text from the root element on, without the declaration and comments before it.
fn root_of(head: &str) -> Option<&str> {
    let mut rest = head.trim_start();
    loop {
        let end = if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!--") {
            "-->"
        } else {
            return Some(rest);
        };
        rest = rest.split_once(end)?.1.trim_start();
    }
}

pub(super) fn read(mut input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut bytes = Vec::new();
    let read = input
        .by_ref()
        .take(MAX_DOCUMENT + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > MAX_DOCUMENT {
        return Err(ReadError::TooLarge);
    }
    let text = String::from_utf8_lossy(&bytes);
    // Document type definitions, and with them entities, are rejected.
    let options = roxmltree::ParsingOptions {
        nodes_limit: MAX_NODES,
        ..roxmltree::ParsingOptions::default()
    };
    let document = match Document::parse_with_options(&text, options) {
        Ok(document) => document,
        Err(error) => {
            let line = u64::from(error.pos().row).max(1);
            out.spoil(
                line,
                "",
                &format!("not XML: {}", excerpt(&error.to_string())),
                CUT_HINT,
            );
            return Ok(());
        }
    };
    let root = document.root_element();
    let mut lines = LineCounter::new(&text);
    match root.tag_name().name() {
        "ipset" => ipset(root, &mut lines, out),
        "zone" => zone(root, &mut lines, out),
        name => {
            out.spoil(1, name, "neither an ipset nor a zone", FORM);
            Ok(())
        }
    }
}

fn elements<'d>(node: Node<'d, 'd>) -> impl Iterator<Item = Node<'d, 'd>> {
    node.children().filter(Node::is_element)
}

fn ipset(
    root: Node<'_, '_>,
    lines: &mut LineCounter<'_>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let kind = root.attribute("type").unwrap_or_default();
    if !matches!(kind, "hash:ip" | "hash:net") {
        out.spoil(1, kind, "a set of more than addresses", LIMIT_HINT);
        return Ok(());
    }
    let option = |name: &str| {
        let mut options = elements(root).filter(|node| node.has_tag_name("option"));
        let option = options.find(|node| node.attribute("name") == Some(name))?;
        Some(option.attribute("value").unwrap_or_default())
    };
    if option("netmask").is_some() {
        out.spoil(1, kind, "a set with a netmask", LIMIT_HINT);
        return Ok(());
    }
    let end = option("timeout").map_or(End::None, |timeout| End::under("timeout", timeout));
    for node in elements(root).filter(|node| node.has_tag_name("entry")) {
        let text = node.text().unwrap_or_default().trim();
        let entry = Entry::new(lines.of(node), text, "");
        out.add(Entry { end, ..entry })?;
    }
    Ok(())
}

fn zone(
    root: Node<'_, '_>,
    lines: &mut LineCounter<'_>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let target = root.attribute("target").unwrap_or("default");
    let blocks = matches!(target, "DROP" | "%%REJECT%%");
    // What a zone lets through in spite of its target.
    let is_limited = elements(root).any(|node| {
        !matches!(
            node.tag_name().name(),
            "source" | "rule" | "short" | "description" | "interface"
        )
    });
    for node in elements(root) {
        let line = lines.of(node);
        match node.tag_name().name() {
            "source" => {
                let source = node.attribute("address").unwrap_or_default();
                if target == "ACCEPT" {
                    opposite::refuse(line, source, out);
                } else if blocks && !is_limited && !source.is_empty() {
                    source_of(line, node, out)?;
                } else {
                    out.pass_over("sources of the zone", u64::from(is_address(source)));
                }
            }
            "rule" => rule(line, node, out)?,
            name => {
                let attributes = node.attributes();
                let count = attributes.filter(|value| is_address(value.value())).count();
                out.pass_over(name, u64::try_from(count).unwrap_or(u64::MAX));
            }
        }
    }
    Ok(())
}

/// Reads a rich rule.
fn rule(line: u64, rule: Node<'_, '_>, out: &mut Collector) -> Result<(), ReadError> {
    let Some(source) = elements(rule).find(|node| node.has_tag_name("source")) else {
        let destinations = rule.descendants().flat_map(|node| node.attributes());
        let count = destinations
            .filter(|value| is_address(value.value()))
            .count();
        out.pass_over(
            "rules without a source",
            u64::try_from(count).unwrap_or(u64::MAX),
        );
        return Ok(());
    };
    let address = source.attribute("address").unwrap_or_default();
    let has = |name: &str| elements(rule).any(|node| node.has_tag_name(name));
    if has("accept") {
        opposite::refuse(line, address, out);
        return Ok(());
    }
    let mut names = elements(rule).map(|node| node.tag_name().name());
    let limit = names.find(|name| !NEUTRAL.contains(name));
    let verdicts =
        elements(rule).filter(|node| node.has_tag_name("drop") || node.has_tag_name("reject"));
    let mut verdicts = verdicts.peekable();
    let place = if let Some(limit) = limit {
        format!("rules with <{limit}>")
    } else if verdicts.peek().is_none() {
        "rules that block nothing".to_owned()
    } else if verdicts.any(|verdict| elements(verdict).next().is_some()) {
        "rules with <limit>".to_owned()
    } else if address.is_empty() {
        "rules for a set or a MAC address".to_owned()
    } else {
        return source_of(line, source, out);
    };
    let count = if address.is_empty() {
        1
    } else {
        u64::from(is_address(address))
    };
    out.pass_over(&place, count);
    Ok(())
}

fn source_of(line: u64, source: Node<'_, '_>, out: &mut Collector) -> Result<(), ReadError> {
    let address = source.attribute("address").unwrap_or_default();
    let invert = source
        .attribute("invert")
        .or(source.attribute("not"))
        .unwrap_or("no");
    if ["true", "yes", "1"]
        .iter()
        .any(|yes| invert.eq_ignore_ascii_case(yes))
    {
        let hint = "ipblock rules name what they block: take the rule out";
        out.spoil(line, address, "it blocks every address but this one", hint);
        return Ok(());
    }
    out.add(Entry::new(line, address, ""))
}

/// The lines of elements in the order of the document.
struct LineCounter<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

impl<'t> LineCounter<'t> {
    const fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    fn of(&mut self, node: Node<'_, '_>) -> u64 {
        let start = node.range().start;
        let passed = self.text.get(self.at..start).unwrap_or_default();
        self.line += u64::try_from(passed.matches('\n').count()).unwrap_or(u64::MAX);
        self.at = self.at.max(start);
        self.line
    }
}
