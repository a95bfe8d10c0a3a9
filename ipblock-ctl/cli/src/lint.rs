//! `lint`.

use std::path::{Path, PathBuf};

use clap::Args;
use ipblock_output::{
    Output,
    lint::{LintError, LintReport, render},
};
use ipblock_policy::{
    Diagnostic, List, ListName, Ruleset, Source, ZoneName,
    amount::{ZoneChange, newly_dropped},
    compile::{CompileError, CompiledZone, DEFAULT_CAPACITY, Taken, compile_within},
    document, edit, exchange, lint,
};
use jiff::Timestamp;

use super::{
    error::{BAD_INPUT, CliError, OK},
    input::read_list_file,
    session::read_ruleset,
};

/// Check a ruleset file without a daemon
///
/// Reads and compiles it. Errors end with exit code 2, warnings do not.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The ruleset as TOML or JSON; - for standard input
    file: PathBuf,
    /// Read the files of lists from here; without it, their content is not looked at
    #[arg(long, value_name = "DIR")]
    lists_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &LintArgs, output: &mut Output) -> Result<u8, CliError> {
    let (text, file) = read_ruleset(&args.file)?;
    let report = inspect(&text, file, args.lists_dir.as_deref(), Timestamp::now());
    if report.errors.is_empty() {
        output.show(&report, render)?;
        return Ok(OK);
    }
    if output.is_json() {
        output.show(&report, render)?;
    } else {
        for error in &report.errors {
            output.report(&error.in_file(&report.file));
        }
    }
    Ok(BAD_INPUT)
}

fn inspect(text: &str, file: String, lists: Option<&Path>, now: Timestamp) -> LintReport {
    let mut report = LintReport::new(file);
    let mut ruleset = match document::parse(text, &report.file, false) {
        Ok(ruleset) => ruleset,
        Err(error) => {
            report.errors = error.problems.into_iter().map(document_error).collect();
            return report;
        }
    };
    if let Some(directory) = lists {
        read_lists(&mut ruleset, directory, &mut report);
    } else {
        let lists = ruleset.lists.iter();
        report
            .notes
            .extend(lists.filter_map(|(name, list)| note_unread(name, list)));
    }
    report.rules = as_u64(ruleset.rules.len());
    report.warnings.extend(lint::lint(&ruleset));
    if ruleset == Ruleset::default() {
        let warning = "the file is empty: `apply` of it would remove everything that is deployed";
        report.warnings.push(warning.to_owned());
    }
    let mut zones = Vec::new();
    let mut taken = Taken::default();
    for zone in ruleset.zone_names() {
        match compile_within(&ruleset, &zone, now, &mut taken) {
            Ok(compiled) => {
                count_entries(&mut report, &zone, as_u64(compiled.entry_count()));
                zones.push((zone, compiled));
            }
            Err(error) => report.errors.push(compile_error(&zone, &error)),
        }
    }
    warn_of_amount(&ruleset, &zones, now, &mut report);
    report
}

/// Reads the files of lists, as `apply` would. Without a previous content, a bad file is an error.
fn read_lists(ruleset: &mut Ruleset, directory: &Path, report: &mut LintReport) {
    for (name, list) in &mut ruleset.lists {
        let Source::File(file, options) = &list.source else {
            report.notes.extend(note_unread(name, list));
            continue;
        };
        let path = directory.join(file.as_path());
        let shown = path.display();
        let read = read_list_file(&path)
            .map_err(|error| Diagnostic::new(error.to_string()))
            .and_then(|text| exchange::read_list(&text, options))
            .and_then(|elements| match elements.as_slice() {
                [] => Err(Diagnostic::new("holds no address")),
                _ => Ok(elements),
            });
        match read {
            Ok(elements) => list.elements = elements.into(),
            Err(error) if list.is_unread() => {
                let error = error.at(format_args!("list `{name}`: {shown}"));
                report.errors.push(error.into());
            }
            Err(error) => report
                .warnings
                .push(format!("list `{name}` keeps its `match`: {shown}: {error}")),
        }
    }
    if let Err(error) = edit::require_no_new_danger(&Ruleset::default(), ruleset) {
        report.errors.push(Diagnostic::of(&error).into());
    }
}

/// Warns if a deploy would need confirmation, if nothing had been dropped before. Ignores what a
/// default of drop drops, because that is its purpose.
fn warn_of_amount(
    ruleset: &Ruleset,
    zones: &[(ZoneName, CompiledZone)],
    now: Timestamp,
    report: &mut LintReport,
) {
    let zones = zones.iter().map(|(name, after)| ZoneChange {
        name,
        before: None,
        after,
        has_interface: false,
    });
    let zones: Vec<_> = zones.collect();
    if let Some(wide) = newly_dropped(&zones, &[], &[]) {
        let what = wide.in_one_line(ruleset, &[], now);
        let warning = format!("where nothing of it is dropped yet, {what}; that needs --wide");
        report.warnings.push(warning);
    }
}

fn note_unread(name: &ListName, list: &List) -> Option<String> {
    let source = &list.source;
    list.is_unread().then(|| {
        format!(
            "list `{name}` is read from {source}, and what that holds was not looked at; \
             --lists-dir DIR reads it"
        )
    })
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
    Diagnostic::of(error)
        .at(format_args!("zone `{zone}`"))
        .into()
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn document_error(problem: document::Problem) -> LintError {
    LintError {
        line: Some(problem.line),
        column: Some(problem.column),
        message: problem.message,
        hint: problem.hint,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn inspected(text: &str) -> LintReport {
        inspect(text, "rules.toml".to_owned(), None, Timestamp::UNIX_EPOCH)
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
        assert_eq!(error.hint, Diagnostic::of(&cause).hint);
    }

    #[test]
    fn an_empty_file_is_warned_about() {
        for text in ["", "# nothing\n", "[allow]\nmatch = []\n"] {
            let report = inspected(text);
            assert_eq!(report.errors, []);
            assert_eq!(report.warnings.len(), 1, "{report:?}");
            assert!(
                report.warnings[0].starts_with("the file is empty"),
                "{report:?}"
            );
        }
    }

    #[test]
    fn much_through_a_list_is_warned_about_and_a_closed_zone_is_not() {
        let wide = "[list.wide]\nmatch = [\"4.0.0.0/6\", \"64.0.0.0/3\"]\n[[rule]]\nname = \"w\"\n\
                    action = \"block\"\nmatch = [\"@wide\"]\n";
        let report = inspected(wide);
        let expected = "where nothing of it is dropped yet, it would newly drop 14 % of IPv4 \
                        (603,979,776 addresses): 64.0.0.0/3 by rule `w` (from list @wide), \
                        4.0.0.0/6 by rule `w` (from list @wide); that needs --wide";
        assert_eq!(report.warnings, [expected]);
        let closed = "[zone.lan]\ndefault = \"drop\"\nallow = [\"192.0.2.1\"]\n";
        assert_eq!(inspected(closed).warnings, [""; 0]);
    }

    #[test]
    fn more_entries_than_a_zone_holds_are_warned_about() {
        let mut report = LintReport::new("rules.toml".to_owned());
        count_entries(&mut report, &ZoneName::default(), 4_000_001);
        assert_eq!(report.warnings.len(), 1);
        assert_eq!(report.entries, 4_000_001);
    }

    const FEED: &str = "[list.feed]\nfile = \"feed.txt\"\n[[rule]]\nname = \"abuse\"\n\
                        action = \"block\"\nmatch = [\"@feed\"]\nexcept = [\"192.0.2.1\"]\n";

    #[test]
    fn a_list_file_is_noted_and_not_taken_as_empty() {
        let report = inspected(FEED);
        assert_eq!((report.errors.len(), report.warnings.len()), (0, 0));
        assert_eq!(report.entries, 0);
        assert!(report.notes[0].contains("list `feed` is read from feed.txt"));
    }

    #[test]
    fn a_list_file_is_read_from_the_directory_that_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            inspect(
                text,
                "rules.toml".to_owned(),
                Some(directory.path()),
                Timestamp::UNIX_EPOCH,
            )
        };
        let with_match = FEED.replace(".txt\"", ".txt\"\nmatch = [\"192.0.2.0/24\"]");
        let missing = read(FEED);
        assert!(missing.errors[0].message.contains("feed.txt: No such file"));
        let kept = read(&with_match);
        assert_eq!((kept.errors.len(), kept.warnings.len()), (0, 1));
        let path = directory.path().join("feed.txt");
        for (content, part) in [
            ("192.0.2.1/24\n", "line 1: `192.0.2.1/24`: host bits set"),
            ("# none\n", "holds no address"),
            ("0.0.0.0/0\n", "rule `abuse` would block 0.0.0.0/0"),
        ] {
            fs::write(&path, content).unwrap();
            let report = read(FEED);
            assert!(report.errors[0].message.contains(part), "{report:?}");
        }
        fs::write(&path, "192.0.2.0/25\n198.51.100.0/24\n").unwrap();
        let report = read(FEED);
        assert_eq!((report.errors.len(), report.notes.len()), (0, 0));
        assert_eq!(report.entries, 3);
    }
}
