//! Detects the format of a file by its first line with content.

use super::{
    FileFormat, apache, crowdsec, csf, csv, fail2ban, firewalld, hosts_deny, ipfilter, iptables,
    json::ndjson, mikrotik, nginx, p2p, rir, spamhaus, stix,
};
use crate::address::is_blank;

/// Returns the format of a file that begins with `head`; plain text if no other format fits.
pub(super) fn format(head: &[u8]) -> FileFormat {
    let text = String::from_utf8_lossy(head);
    if text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("nft")) {
        return FileFormat::Nft;
    }
    if let Some(format) = titled(&text) {
        return format;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !is_blank(line));
    let Some(line) = lines.next() else {
        return FileFormat::Plain;
    };
    if crowdsec::begins(&text, line) {
        return FileFormat::Crowdsec;
    }
    if stix::begins(&text) {
        return FileFormat::Stix;
    }
    if fail2ban::begins(line) {
        return FileFormat::Fail2ban;
    }
    if line.starts_with('{') {
        return if spamhaus::is_record(line) {
            FileFormat::Spamhaus
        } else if ndjson::begins(line, lines.next()) {
            FileFormat::Ndjson
        } else {
            FileFormat::Json
        };
    }
    if let Some(format) = by_line(line) {
        return format;
    }
    if let Some(rest) = line.strip_prefix('[') {
        return after_bracket(rest);
    }
    // The first line of a ruleset from `export`.
    let revision = line.strip_prefix("revision");
    if revision.is_some_and(|rest| rest.trim_start().starts_with('=')) {
        return FileFormat::Toml;
    }
    if rir::is_line(line) {
        return FileFormat::Rir;
    }
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("add"), Some("table" | "set" | "element" | "chain" | "rule"))
        | (Some("create"), Some("table" | "set" | "element"))
        | (
            Some(
                "table" | "set" | "define" | "redefine" | "elements" | "delete" | "include"
                | "undefine",
            ),
            Some(_),
        )
        | (Some("flush" | "destroy"), Some("ruleset" | "table" | "set" | "chain")) => {
            FileFormat::Nft
        }
        (
            Some(
                "add" | "create" | "flush" | "destroy" | "swap" | "-A" | "-N" | "-F" | "-X" | "-!"
                | "-exist" | "--add" | "--create",
            ),
            Some(_),
        ) => FileFormat::Ipset,
        (Some("Name:"), Some(_)) if text.contains("\nMembers:") || text.contains("\nType: ") => {
            FileFormat::Ipset
        }
        _ if csv::begins(line, lines.next()) => FileFormat::Csv,
        _ => FileFormat::Plain,
    }
}

/// Returns the format of a text whose first comment names its author, or of XML.
fn titled(text: &str) -> Option<FileFormat> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    if iptables::is_title(first) {
        return Some(FileFormat::Iptables);
    }
    if mikrotik::is_title(first) {
        return Some(FileFormat::Mikrotik);
    }
    firewalld::begins(text).then_some(FileFormat::Firewalld)
}

/// Whether a line is one of a format.
type IsLine = fn(&str) -> bool;

/// Returns the format of a line that only one format has.
pub(super) fn by_line(line: &str) -> Option<FileFormat> {
    let known: [(IsLine, FileFormat); 8] = [
        (iptables::begins, FileFormat::Iptables),
        (mikrotik::begins, FileFormat::Mikrotik),
        (ipfilter::is_entry, FileFormat::Ipfilter),
        (p2p::is_entry, FileFormat::P2p),
        (csf::is_advanced, FileFormat::Csf),
        (hosts_deny::begins, FileFormat::HostsDeny),
        (nginx::begins, FileFormat::Nginx),
        (apache::begins, FileFormat::Apache),
    ];
    let found = known.into_iter().find(|(is_meant, _)| is_meant(line));
    found.map(|(_, format)| format)
}

/// Distinguishes tables of a ruleset file (`[allow]`, `[list.office]`, `[[rule]]`) from arrays of
/// JSON (`["192.0.2.1"]`, `[{`).
fn after_bracket(rest: &str) -> FileFormat {
    let word = rest.trim_start_matches('[').trim_start();
    if ["allow", "list", "rule", "zone"]
        .iter()
        .any(|table| word.starts_with(table))
    {
        return FileFormat::Toml;
    }
    match rest.trim_start().chars().next() {
        None | Some('"' | '{' | '[' | ']') => FileFormat::Json,
        // An IPv6 address in brackets: rejected as plain text, with a hint.
        Some(_) => FileFormat::Plain,
    }
}
