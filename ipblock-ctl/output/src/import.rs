//! `import`: what was read, and what was rejected.

use std::fmt::Write as _;

use ipblock_api::{error::Diagnostic, types::Staged};
use serde::Serialize;

use super::{
    number::{counted, grouped},
    view::{View, visible},
};

/// The result of `import`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The file, or `<stdin>`.
    pub file: String,
    /// The format of the file.
    pub format: String,
    /// Number of entries: addresses, prefixes and ranges, including rejected ones.
    pub read: u64,
    /// Number of different prefixes in them.
    pub prefixes: u64,
    /// Number of different addresses in them, in decimal: for IPv6 it can exceed 64 bits.
    pub addresses: String,
    /// Number of repeated prefixes.
    pub duplicates: u64,
    /// Number of entries with an end, which only bans keep.
    pub timed: u64,
    /// Whether the ends are kept.
    #[serde(skip)]
    pub keeps_ends: bool,
    /// Number of IPv4-mapped addresses that were read as IPv4.
    pub mapped: u64,
    /// The sets of an ipset or nft file that have entries.
    pub sets: Vec<SetEntries>,
    /// Addresses at positions where none are read.
    pub passed_over: Vec<PassedOver>,
    /// The places in a JSON document that were found to have the addresses, without `--at`.
    pub at: Vec<String>,
    /// The first rejected entries.
    pub refused: Vec<Refused>,
    /// Number of further rejected entries.
    pub more_refused: u64,
    /// What was staged; null if nothing was.
    pub staged: Option<Staged>,
    /// What was banned; absent without `--as-bans`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bans: Option<ImportedBans>,
    /// What was found in a text; absent without `--extract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// The bans that `import --as-bans` made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportedBans {
    /// Prefixes that were not banned before.
    pub added: u64,
    /// Prefixes whose ban got another end or another reason.
    pub moved: u64,
    /// Prefixes whose ban did not change.
    pub unchanged: u64,
    /// Number of all of them that end.
    pub timed: u64,
    /// Number of all of them that do not end.
    pub permanent: u64,
    /// Prefixes that were left out because their end is past.
    pub ended: u64,
}

/// The addresses in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Each prefix once.
    pub prefixes: Vec<String>,
    /// What has an effect on them already.
    pub covered: Covered,
}

/// Numbers of addresses that bans, rules or allow lists decide on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// A ban drops them.
    pub banned: u64,
    /// A rule drops them.
    pub blocked: u64,
    /// An allow list lets them pass.
    pub allowed: u64,
}

/// A set of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetEntries {
    /// Its name.
    pub name: String,
    /// Number of its entries, including rejected ones.
    pub entries: u64,
}

/// Addresses that were not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Their position: a key of a JSON document, or `rules` of nft.
    pub what: String,
    /// Their number.
    pub count: u64,
}

/// A rejected entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Line number, from 1.
    pub line: u64,
    /// The rejected text; empty if the line is enough.
    pub text: String,
    /// The problem.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Refused {
    /// Returns `file:line: text: problem`, in the form of compilers.
    #[must_use]
    pub fn in_file(&self, file: &str) -> Diagnostic {
        let text = match self.text.as_str() {
            "" => String::new(),
            text => format!(" `{text}`:"),
        };
        Diagnostic {
            message: format!("{file}:{}:{text} {}", self.line, self.problem),
            hint: self.hint.clone(),
        }
    }
}

impl ImportReport {
    /// Returns the number of rejected entries.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.more_refused
            .saturating_add(u64::try_from(self.refused.len()).unwrap_or(u64::MAX))
    }
}

/// Renders what was read, on one line.
#[must_use]
pub fn render(report: &ImportReport, _view: &View) -> String {
    let mut text = format!(
        "{} ({}): {} read, {}, {}",
        visible(&report.file),
        report.format,
        counted(report.read, "entry", "entries"),
        counted(report.prefixes, "prefix", "prefixes"),
        counted(&report.addresses, "address", "addresses"),
    );
    if report.duplicates > 0 {
        text.push_str(", ");
        text.push_str(&counted(report.duplicates, "duplicate", "duplicates"));
    }
    if report.refusals() > 0 {
        text.push_str(", ");
        text.push_str(&grouped(report.refusals()));
        text.push_str(" refused");
    }
    text.push('\n');
    if let Some(bans) = report.bans {
        text.push_str(&render_bans(bans));
    }
    text
}

/// Renders what was banned, on one line.
fn render_bans(bans: ImportedBans) -> String {
    let all = bans.timed + bans.permanent;
    let mut text = format!(
        "{} banned: {} new, {} changed, {} as before; {} until an end, {} permanently",
        counted(all, "prefix", "prefixes"),
        grouped(bans.added),
        grouped(bans.moved),
        grouped(bans.unchanged),
        grouped(bans.timed),
        grouped(bans.permanent),
    );
    if bans.ended > 0 {
        let ended = counted(bans.ended, "prefix", "prefixes");
        let _ = write!(text, "; left out because it is past its end: {ended}");
    }
    text.push('\n');
    text
}

/// Renders the first addresses of a text, and how many of all are covered already.
#[must_use]
pub fn render_found(found: &Found, most: u64) -> String {
    let all = u64::try_from(found.prefixes.len()).unwrap_or(u64::MAX);
    let mut text = format!("found {}:\n", counted(all, "prefix", "prefixes"));
    let shown = usize::try_from(most).unwrap_or(usize::MAX);
    for prefix in found.prefixes.iter().take(shown) {
        let _ = writeln!(text, "  {prefix}");
    }
    if all > most {
        let _ = writeln!(text, "  and {} more; --all shows them", grouped(all - most));
    }
    let Covered {
        banned,
        blocked,
        allowed,
    } = found.covered;
    let _ = write!(
        text,
        "covered already: {} by bans, {} by rules that drop; {} on an allow list, so nothing drops \
         these",
        grouped(banned),
        grouped(blocked),
        grouped(allowed)
    );
    text
}

/// Returns what the reader did besides reading entries, one line each.
#[must_use]
pub fn remarks(report: &ImportReport) -> Vec<String> {
    let mut lines = Vec::new();
    if report.timed > 0 && !report.keeps_ends {
        lines.push(format!(
            "{} an end, which import drops: --as-bans in the place of --into bans until then",
            counted(report.timed, "entry has", "entries have")
        ));
    }
    if report.mapped > 0 {
        lines.push(format!(
            "{} read as IPv4",
            counted(
                report.mapped,
                "IPv4-mapped address (::ffff:192.0.2.1) is",
                "IPv4-mapped addresses (::ffff:192.0.2.1) are"
            )
        ));
    }
    if !report.at.is_empty() {
        let places: Vec<String> = report
            .at
            .iter()
            .map(|place| format!("`{}`", visible(place)))
            .collect();
        lines.push(format!(
            "the addresses are those at {}",
            places.join(" and ")
        ));
    }
    if !report.passed_over.is_empty() {
        let places = report.passed_over.iter().map(|passed| {
            let count = counted(passed.count, "entry", "entries");
            format!("`{}` ({count})", visible(&passed.what))
        });
        let places: Vec<String> = places.collect();
        lines.push(format!("warning: not read: {}", places.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn what_was_read_stands_on_one_line() {
        let mut report = samples::import_report();
        assert_eq!(
            render(&report, &samples::view()),
            "drop.txt (plain): 12,364 entries read, 12,345 prefixes, 1,048,576 addresses, \
             17 duplicates, 2 refused\n"
        );
        (report.duplicates, report.refused) = (0, Vec::new());
        assert_eq!(
            render(&report, &samples::view()),
            "drop.txt (plain): 12,364 entries read, 12,345 prefixes, 1,048,576 addresses\n"
        );
    }

    #[test]
    fn what_is_dropped_and_passed_over_is_said() {
        let mut report = samples::import_report();
        assert_eq!(remarks(&report), [""; 0]);
        (report.timed, report.mapped) = (12, 1);
        let passed = |what: &str, count| PassedOver {
            what: what.to_owned(),
            count,
        };
        report.passed_over = vec![passed("values", 3), passed("define office", 1)];
        report.at = vec![".a[].ip4".to_owned(), ".a[].ip6".to_owned()];
        assert_eq!(
            remarks(&report),
            [
                "12 entries have an end, which import drops: --as-bans in the place of --into bans \
                 until then",
                "1 IPv4-mapped address (::ffff:192.0.2.1) is read as IPv4",
                "the addresses are those at `.a[].ip4` and `.a[].ip6`",
                "warning: not read: `values` (3 entries), `define office` (1 entry)",
            ]
        );
    }

    #[test]
    fn what_was_banned_stands_on_a_second_line() {
        let mut report = samples::import_report();
        (report.timed, report.keeps_ends) = (12, true);
        assert_eq!(remarks(&report), [""; 0]);
        report.bans = Some(ImportedBans {
            added: 8,
            moved: 2,
            unchanged: 3,
            timed: 12,
            permanent: 1,
            ended: 1,
        });
        let text = render(&report, &samples::view());
        assert_eq!(
            text.lines().last().unwrap(),
            "13 prefixes banned: 8 new, 2 changed, 3 as before; 12 until an end, 1 permanently; \
             left out because it is past its end: 1 prefix"
        );
    }

    #[test]
    fn what_was_found_shows_the_first_ones_and_what_is_covered() {
        let found = Found {
            prefixes: ["192.0.2.7", "192.0.2.8", "2001:db8::/32"]
                .map(str::to_owned)
                .to_vec(),
            covered: Covered {
                banned: 1,
                blocked: 0,
                allowed: 1,
            },
        };
        insta::assert_snapshot!(render_found(&found, 2));
        insta::assert_json_snapshot!(found);
    }

    #[test]
    fn a_refused_entry_names_its_place() {
        let report = samples::import_report();
        assert_eq!(
            report.refused[0].in_file(&report.file).message,
            "drop.txt:3: `192.0.2.1/24`: host bits set"
        );
        assert_eq!(
            report.refused[1].in_file(&report.file).message,
            "drop.txt:9: no address"
        );
    }

    #[test]
    fn import_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::import_report());
    }
}
