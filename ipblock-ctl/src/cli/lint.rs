//! `lint`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{
    error::{BAD_INPUT, CliError, OK},
    session::read_text,
};
use crate::{
    output::{
        Output,
        lint::{LintError, LintReport, error_line, render},
    },
    policy::{Ruleset, compile, document, lint},
};

/// Check a ruleset file without a daemon
///
/// Reads and compiles it. Errors end with exit code 2, warnings do not.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The ruleset as TOML; - for standard input
    file: PathBuf,
}

pub(crate) fn run(args: &LintArgs, output: &mut Output) -> Result<u8, CliError> {
    let (text, file) = read_text(&args.file)?;
    let report = inspect(&text, file, Timestamp::now());
    if report.errors.is_empty() {
        output.show(&report, render)?;
        return Ok(OK);
    }
    if output.is_json() {
        output.show(&report, render)?;
    } else {
        for error in &report.errors {
            output.report(&error_line(&report.file, error), error.hint.as_deref());
        }
    }
    Ok(BAD_INPUT)
}

fn inspect(text: &str, file: String, now: Timestamp) -> LintReport {
    let mut report = LintReport::new(file);
    let ruleset = match document::parse(text, &report.file, false) {
        Ok(ruleset) => ruleset,
        Err(error) => {
            report.errors = error.problems.into_iter().map(LintError::from).collect();
            return report;
        }
    };
    match compiled_entries(&ruleset, now) {
        Ok(entries) => {
            report.entries = entries;
            report.rules = u64::try_from(ruleset.rules.len()).unwrap_or(u64::MAX);
            report.warnings = lint::lint(&ruleset);
        }
        Err(error) => report.errors.push(error),
    }
    report
}

/// Kernel entries over all zones.
fn compiled_entries(ruleset: &Ruleset, now: Timestamp) -> Result<u64, LintError> {
    let mut entries = 0;
    for zone in ruleset.zone_names() {
        let compiled = compile::compile(ruleset, &zone, now).map_err(|error| LintError {
            line: None,
            column: None,
            message: format!("zone `{zone}`: {error}"),
            hint: Some(error.hint()),
        })?;
        entries += u64::try_from(compiled.entry_count()).unwrap_or(u64::MAX);
    }
    Ok(entries)
}

impl From<document::Problem> for LintError {
    fn from(problem: document::Problem) -> Self {
        Self {
            line: Some(problem.line),
            column: Some(problem.column),
            message: problem.message,
            hint: problem.hint,
        }
    }
}
