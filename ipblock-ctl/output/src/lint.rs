//! `lint`: errors and warnings about a ruleset file.

use std::fmt::Write as _;

use ipblock_api::error::Diagnostic;
use serde::Serialize;

use super::{
    number::counted,
    view::{Tone, View, visible},
};

/// The result of `lint`. A file that cannot be parsed has errors only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintReport {
    /// The file, or `<stdin>`.
    pub file: String,
    /// What makes the file unusable.
    pub errors: Vec<LintError>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
    /// What could not be checked.
    pub notes: Vec<String>,
    /// Number of rules in the file; 0 if it cannot be parsed.
    pub rules: u64,
    /// Kernel entries over all zones that compile; 0 if the file cannot be parsed.
    pub entries: u64,
}

/// One error of a [`LintReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintError {
    /// From 1; null if it concerns the whole file.
    pub line: Option<usize>,
    /// From 1, in characters; null if it concerns the whole file.
    pub column: Option<usize>,
    /// The problem.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl LintError {
    /// Returns `file:line:column: message`, in the form of compilers.
    #[must_use]
    pub fn in_file(&self, file: &str) -> Diagnostic {
        let error = Diagnostic {
            message: self.message.clone(),
            hint: self.hint.clone(),
        };
        match (self.line, self.column) {
            (Some(line), Some(column)) => error.at(format_args!("{file}:{line}:{column}")),
            _ => error.at(file),
        }
    }
}

impl From<Diagnostic> for LintError {
    /// An error of the whole file.
    fn from(Diagnostic { message, hint }: Diagnostic) -> Self {
        Self {
            line: None,
            column: None,
            message,
            hint,
        }
    }
}

impl LintReport {
    /// Returns a report about a file that was not checked yet.
    #[must_use]
    pub const fn new(file: String) -> Self {
        Self {
            file,
            errors: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            rules: 0,
            entries: 0,
        }
    }
}

/// Renders warnings, and a summary of the file.
#[must_use]
pub fn render(report: &LintReport, view: &View) -> String {
    let mut text = String::new();
    for warning in &report.warnings {
        let label = view.paint(Tone::Caution, "warning:");
        let _ = writeln!(text, "{label} {}", visible(warning));
    }
    for note in &report.notes {
        let label = view.paint(Tone::Strong, "note:");
        let _ = writeln!(text, "{label} {}", visible(note));
    }
    let warnings = match report.warnings.len() {
        0 => "no warnings".to_owned(),
        many => counted(many, "warning", "warnings"),
    };
    let _ = writeln!(
        text,
        "{}: {}, {}, {warnings}",
        report.file,
        counted(report.rules, "rule", "rules"),
        counted(report.entries, "entry", "entries"),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn warnings_come_before_the_summary() {
        insta::assert_snapshot!(render(&samples::lint_report(), &samples::view()));
    }

    #[test]
    fn an_error_names_its_place() {
        let report = samples::lint_errors();
        assert_eq!(
            report.errors[0].in_file(&report.file).message,
            "rules.toml:3:10: `192.0.2.1/24`: host bits are set"
        );
        assert_eq!(
            report.errors[1].in_file(&report.file).message,
            "rules.toml: too large"
        );
    }

    #[test]
    fn lint_json_holds_errors_and_warnings() {
        insta::assert_json_snapshot!([samples::lint_report(), samples::lint_errors()]);
    }
}
