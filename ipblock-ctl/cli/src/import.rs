//! `import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::Args;
use ipblock_output::{
    import::{ImportReport, PassedOver, Refused, SetEntries, remarks, render},
    number::{counted, grouped},
};
use ipblock_policy::{
    Hinted, ListName, RuleName,
    address::{aggregate, count_addresses, push_short},
    edit::{Edit, Import, PackedTexts},
    exchange::{self, Parsed, ReadError},
};

use super::{
    arguments::StageArgs,
    capped::Capped,
    error::{BAD_INPUT, CliError, OK},
    input::{Bounded, MAX_IMPORT},
    intake::IntakeArgs,
    progress::Progress,
    session::Session,
    stage::{finish, send},
};

/// Stage the addresses of a file for a rule or a list
///
/// Nothing is staged when a line is refused, unless --lenient is given. Duplicates are counted;
/// ranges become the fewest prefixes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl import drop_v4.json --into @spamhaus --replace --deploy
  ipset save blacklist | ipblock-ctl import - --into abuse
  ipset save | ipblock-ctl import - --set blacklist --into abuse
  ipblock-ctl import feed.csv --into abuse --lenient
  ipblock-ctl import dbip-country.csv.gz --column 1-2 --where 3=AU --into @au
  ipblock-ctl import delegated-apnic-extended-latest --where cc=AU --into @au")]
pub(crate) struct ImportArgs {
    /// The file; - for standard input
    file: PathBuf,
    /// A rule that exists, or @LIST, which is made when there is none
    #[arg(long, value_name = "RULE|@LIST", value_parser = target)]
    into: String,
    /// Import the rest when lines are refused
    #[arg(long)]
    lenient: bool,
    /// Remove what the rule matched or the list held before
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    intake: IntakeArgs,
    #[command(flatten)]
    stage: StageArgs,
}

fn target(text: &str) -> Result<String, String> {
    let name = match text.strip_prefix('@') {
        Some(list) => list.parse().map(|_: ListName| ()),
        None => text.parse().map(|_: RuleName| ()),
    };
    name.map(|()| text.to_owned())
        .map_err(|error| error.to_string())
}

pub(crate) async fn run(args: ImportArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let (parsed, file) = read(&args, session)?;
    let mut report = report(&parsed, file);
    if !report.refused.is_empty() && (!args.lenient || parsed.is_spoilt) {
        return refuse(&report, parsed.is_spoilt, session);
    }
    if parsed.elements.is_empty() {
        tell_remarks(&report, session);
        return Err(CliError::Usage {
            message: format!("{}: there is no address to import", report.file),
            hint: "see what the file holds, or name its format with --format".to_owned(),
        });
    }
    // JSON output is one value: this report, or the result of the deploy.
    if !session.output.is_json() || args.stage.deploy {
        tell_refused(&report, true, session);
    }
    tell_remarks(&report, session);
    let staged = send(vec![edit(&args, parsed)], args.stage.force, session).await?;
    if session.output.is_json() && !args.stage.deploy {
        report.staged = Some(staged);
        session.show(&report, render)?;
        return Ok(OK);
    }
    if !session.output.is_json() {
        session.show(&report, render)?;
    }
    finish(&staged, 1, &args.stage, session).await
}

/// Reads the file. Returns its name for messages, too.
fn read(args: &ImportArgs, session: &Session<'_>) -> Result<(Parsed, String), CliError> {
    let failed = |source| CliError::File {
        verb: "read",
        path: args.file.clone(),
        source,
    };
    let (input, name, bytes): (Box<dyn BufRead>, _, _) = if args.file == Path::new("-") {
        (Box::new(io::stdin().lock()), "<stdin>".to_owned(), None)
    } else {
        let file = File::open(&args.file).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let bytes = about.is_file().then_some(about.len());
        let name = args.file.display().to_string();
        (Box::new(BufReader::new(file)), name, bytes)
    };
    let progress = Progress::reading(session.output, format!("reading {name}"), bytes);
    let input = Bounded::new(progress.counted(input), MAX_IMPORT);
    match exchange::read_with(input, &args.intake.options()) {
        Ok(parsed) => Ok((parsed, name)),
        Err(ReadError::Io(source)) => Err(failed(source)),
        Err(error) => Err(CliError::Usage {
            message: format!("{name}: {error}"),
            hint: error
                .hint()
                .unwrap_or_else(|| "see what the file holds".to_owned()),
        }),
    }
}

fn report(parsed: &Parsed, file: String) -> ImportReport {
    let prefixes = parsed.elements.iter().map(|element| element.prefix);
    let addresses = count_addresses(&aggregate(prefixes));
    let sets = parsed.sets.iter().map(|set| SetEntries {
        name: set.name.clone(),
        entries: set.entries,
    });
    let passed_over = parsed.passed_over.iter().map(|passed| PassedOver {
        what: passed.what.clone(),
        count: passed.count,
    });
    ImportReport {
        file,
        format: parsed.format.to_string(),
        read: parsed.read,
        prefixes: u64::try_from(parsed.elements.len()).unwrap_or(u64::MAX),
        addresses: addresses.to_string(),
        duplicates: parsed.duplicates,
        timed: parsed.timed,
        mapped: parsed.mapped,
        sets: sets.collect(),
        passed_over: passed_over.collect(),
        refused: parsed
            .refused
            .iter()
            .map(|refusal| Refused {
                line: refusal.line,
                text: refusal.text.clone(),
                problem: refusal.problem.clone(),
                hint: refusal.hint.clone(),
            })
            .collect(),
        more_refused: parsed.more_refused,
        staged: None,
    }
}

fn edit(args: &ImportArgs, parsed: Parsed) -> Edit {
    let has_notes = parsed
        .elements
        .iter()
        .any(|element| !element.note.is_empty());
    let mut import = Import {
        into: args.into.clone(),
        addresses: PackedTexts::default(),
        notes: Vec::new(),
        replace: args.replace,
    };
    let mut text = String::new();
    for element in parsed.elements {
        text.clear();
        push_short(&mut text, element.prefix);
        import.addresses.push(&text);
        if has_notes {
            import.notes.push(element.note.into());
        }
    }
    Edit::Import(import)
}

/// Reports that nothing was staged, and why. With --lenient, nothing is used from a spoilt file
/// either.
fn refuse(
    report: &ImportReport,
    is_spoilt: bool,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    if session.output.is_json() {
        session.show(report, render)?;
        return Ok(BAD_INPUT);
    }
    tell_refused(report, false, session);
    tell_remarks(report, session);
    let refused = report.refusals();
    let hint = if is_spoilt {
        "correct the file: --lenient does not import the rest of such a file"
    } else {
        "correct them, or import the others with --lenient"
    };
    Err(CliError::Usage {
        message: format!(
            "{}: {} of {} refused, nothing is staged",
            report.file,
            grouped(refused),
            counted(report.read, "entry", "entries")
        ),
        hint: hint.to_owned(),
    })
}

/// Reports what was dropped, converted, or skipped.
fn tell_remarks(report: &ImportReport, session: &mut Session<'_>) {
    for remark in remarks(report) {
        session.note(&remark);
    }
}

/// Reports the first rejected lines, as errors or as skipped, and the number of the others.
fn tell_refused(report: &ImportReport, lenient: bool, session: &mut Session<'_>) {
    let mut capped = Capped::default();
    for refused in &report.refused {
        let error = refused.in_file(&report.file);
        if lenient {
            capped.note(&format!("left out: {error}"), session.output);
        } else {
            capped.report(&error, session.output);
        }
    }
    capped.count(report.more_refused);
    capped.finish("were refused", session.output);
}
