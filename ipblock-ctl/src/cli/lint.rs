//! `lint`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{
    error::{BAD_INPUT, CliError, OK},
    session::read_ruleset,
};
use crate::{
    output::{
        Output,
        lint::{LintError, LintReport, error_line, render},
    },
    policy::{
        ZoneName,
        compile::{self, CompileError, DEFAULT_CAPACITY},
        document, lint,
    },
};

/// Check a ruleset file without a daemon
///
/// Reads and compiles it. Errors end with exit code 2, warnings do not.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The ruleset as TOML or JSON; - for standard input
    file: PathBuf,
}

pub(crate) fn run(args: &LintArgs, output: &mut Output) -> Result<u8, CliError> {
    let (text, file) = read_ruleset(&args.file)?;
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
    report.rules = as_u64(ruleset.rules.len());
    report.warnings = lint::lint(&ruleset);
    for zone in ruleset.zone_names() {
        match compile::compile(&ruleset, &zone, now) {
            Ok(compiled) => count_entries(&mut report, &zone, as_u64(compiled.entry_count())),
            Err(error) => report.errors.push(compile_error(&zone, &error)),
        }
    }
    report
}

fn count_entries(report: &mut LintReport, zone: &ZoneName, entries: u64) {
    report.entries += entries;
    if entries > u64::from(DEFAULT_CAPACITY) {
        report.warnings.push(format!(
            "zone `{zone}` needs {entries} entries, and a zone holds {DEFAULT_CAPACITY} unless \
             the daemon is configured for more"
        ));
    }
}

fn compile_error(zone: &ZoneName, error: &CompileError) -> LintError {
    LintError {
        line: None,
        column: None,
        message: format!("zone `{zone}`: {error}"),
        hint: Some(error.hint()),
    }
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(text: &str) -> LintReport {
        inspect(text, "rules.toml".to_owned(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_sound_file_has_its_entries_counted_over_all_zones() {
        let report = inspected(
            "[[rule]]\nname = \"abuse\"\naction = \"block\"\nmatch = [\"192.0.2.0/24\"]\n\
             [zone.dmz]\nmalformed = \"drop\"\n",
        );
        assert_eq!(report.errors, []);
        assert_eq!((report.rules, report.entries), (1, 2));
    }

    #[test]
    fn every_error_names_its_place() {
        let report = inspected(
            "[[rule]]\nname = \"abuse\"\naction = \"block\"\nmatch = [\"192.0.2.1/24\"]\nnot = 1\n",
        );
        let lines: Vec<Option<usize>> = report.errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [Some(4), Some(5)], "{report:?}");
    }

    #[test]
    fn a_ruleset_that_does_not_compile_is_an_error_of_the_whole_file() {
        let zone = ZoneName::default();
        let address = "192.0.2.1".parse().expect("an address");
        let cause = CompileError::TooManyClasses { address, limit: 3 };
        let error = compile_error(&zone, &cause);
        assert_eq!(error.line, None);
        assert_eq!(error.message, format!("zone `default`: {cause}"));
        assert_eq!(error.hint, Some(cause.hint()));
    }

    #[test]
    fn more_entries_than_a_zone_holds_are_warned_about() {
        let mut report = LintReport::new("rules.toml".to_owned());
        count_entries(&mut report, &ZoneName::default(), 4_000_001);
        assert_eq!(report.warnings.len(), 1);
        assert_eq!(report.entries, 4_000_001);
    }
}
