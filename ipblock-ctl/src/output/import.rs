//! `import`: what was read, and what was refused.

use serde::Serialize;

use super::{
    number::{counted, grouped},
    view::{View, visible},
};
use crate::api::types::Staged;

/// What `import` read and staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The file, or `<stdin>`.
    pub file: String,
    /// How it was read.
    pub format: String,
    /// Entries in it: addresses, prefixes and ranges, refused ones too.
    pub read: u64,
    /// Different prefixes that they stand for.
    pub prefixes: u64,
    /// Prefixes that came again.
    pub duplicates: u64,
    /// Entries with a timeout, which is not kept.
    pub timed: u64,
    /// Entries that were refused, the first of them.
    pub refused: Vec<Refused>,
    /// How many more were refused.
    pub more_refused: u64,
    /// What was staged; null when nothing was.
    pub staged: Option<Staged>,
}

/// An entry that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// From 1.
    pub line: u64,
    /// The offending text; empty where the place says all.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl ImportReport {
    /// How many entries were refused.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.more_refused
            .saturating_add(u64::try_from(self.refused.len()).unwrap_or(u64::MAX))
    }
}

/// What was read, on one line.
#[must_use]
pub fn render(report: &ImportReport, _view: &View) -> String {
    let mut text = format!(
        "{} ({}): {} read, {}",
        visible(&report.file),
        report.format,
        counted(report.read, "entry", "entries"),
        counted(report.prefixes, "prefix", "prefixes"),
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
    text
}

/// `file:line: text: problem`, as compilers write it.
#[must_use]
pub fn refused_line(file: &str, refused: &Refused) -> String {
    let text = match refused.text.as_str() {
        "" => String::new(),
        text => format!(" `{text}`:"),
    };
    format!("{file}:{}:{text} {}", refused.line, refused.problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn what_was_read_stands_on_one_line() {
        let mut report = samples::import_report();
        assert_eq!(
            render(&report, &samples::view()),
            "drop.txt (plain): 12,364 entries read, 12,345 prefixes, 17 duplicates, 2 refused\n"
        );
        (report.duplicates, report.refused) = (0, Vec::new());
        assert_eq!(
            render(&report, &samples::view()),
            "drop.txt (plain): 12,364 entries read, 12,345 prefixes\n"
        );
    }

    #[test]
    fn a_refused_entry_names_its_place() {
        let report = samples::import_report();
        assert_eq!(
            refused_line(&report.file, &report.refused[0]),
            "drop.txt:3: `192.0.2.1/24`: host bits set"
        );
        assert_eq!(
            refused_line(&report.file, &report.refused[1]),
            "drop.txt:9: no address"
        );
    }

    #[test]
    fn import_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::import_report());
    }
}
