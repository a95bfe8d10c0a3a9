//! `lint`: what is wrong with a ruleset file, or what to think twice about.

use std::fmt::Write as _;

use ipblock_api::error::Diagnostic;
use serde::Serialize;

use super::{
    number::counted,
    view::{Tone, View, visible},
};

/// What `lint` found. A file that does not read has errors only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintReport {
    /// The file, or `<stdin>`.
    pub file: String,
    /// What makes it unusable.
    pub errors: Vec<LintError>,
    /// What an operator should think twice about.
    pub warnings: Vec<String>,
    /// What could not be looked at.
    pub notes: Vec<String>,
    /// Rules in the file; 0 when it does not read.
    pub rules: u64,
    /// Kernel entries over all zones that compile; 0 when it does not read.
    pub entries: u64,
}

/// One error of a [`LintReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintError {
    /// From 1; null when it is about the whole file.
    pub line: Option<usize>,
    /// From 1, in characters; null when it is about the whole file.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl LintError {
    /// `file:line:column: message`, as compilers write it.
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
    /// A report about a file that has not been looked at.
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

/// Warnings, and what the file holds.
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
