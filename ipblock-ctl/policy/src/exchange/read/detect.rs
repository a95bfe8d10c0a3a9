//! Detects the format of a file by its first line with content.

use super::{FileFormat, csv, rir, spamhaus};
use crate::address::is_blank;

/// Returns the format of a file that begins with `head`; plain text if no other format fits.
pub(super) fn format(head: &[u8]) -> FileFormat {
    let text = String::from_utf8_lossy(head);
    if text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("nft")) {
        return FileFormat::Nft;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !is_blank(line));
    let Some(line) = lines.next() else {
        return FileFormat::Plain;
    };
    if line.starts_with('{') {
        return if spamhaus::is_record(line) {
            FileFormat::Spamhaus
        } else {
            FileFormat::Json
        };
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
