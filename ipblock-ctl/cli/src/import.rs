//! `import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args};
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
use jiff::Timestamp;

use super::{
    arguments::StageArgs,
    capped::Capped,
    error::{BAD_INPUT, CliError, OK},
    extracted::{ExtractArgs, confirmed, found},
    import_bans::{Allowed, AsBansArgs},
    input::{Bounded, MAX_IMPORT},
    intake::IntakeArgs,
    progress::Progress,
    session::Session,
    stage::{finish, send},
};

/// Stage the addresses of a file for a rule or a list
///
/// Nothing is staged when a line is refused, unless --lenient is given. Duplicates are counted;
/// ranges become the fewest prefixes. With --as-bans the addresses are banned at once instead, each
/// until its end in the file.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["into", "as_bans"]))]
#[command(after_help = "\
Examples:
  ipblock-ctl import drop_v4.json --into @spamhaus --replace --deploy
  ipset save blacklist | ipblock-ctl import - --into abuse
  ipset save | ipblock-ctl import - --set blacklist --into abuse
  ipblock-ctl import feed.csv --into abuse --lenient
  ipblock-ctl import dbip-country.csv.gz --column 1-2 --where 3=AU --into @au
  ipblock-ctl import delegated-apnic-extended-latest --where cc=AU --into @au
  ipset save f2b-sshd | ipblock-ctl import - --as-bans --reason sshd
  ipblock-ctl import report.eml --extract --into @reported")]
pub(crate) struct ImportArgs {
    /// The file; - for standard input
    file: PathBuf,
    /// A rule that exists, or @LIST, which is made when there is none
    #[arg(long, value_name = "RULE|@LIST", value_parser = target)]
    into: Option<String>,
    /// Import the rest when lines are refused
    #[arg(long)]
    lenient: bool,
    /// Remove what the rule matched or the list held before
    #[arg(long)]
    replace: bool,
    /// Show every refused line and every address that --extract finds, not only the first 20
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    intake: IntakeArgs,
    #[command(flatten)]
    text: ExtractArgs,
    #[command(flatten)]
    bans: AsBansArgs,
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
    args.bans.check()?;
    if args.text.extract
        && let Some((key, _)) = args.intake.options().written().first()
    {
        return Err(CliError::Usage {
            message: format!("--{key} has no effect with --extract, which reads any text"),
            hint: format!("leave --{key} or --extract out"),
        });
    }
    let (parsed, file) = read(&args, session)?;
    let mut report = report(&args, &parsed, file);
    let is_lenient = args.lenient || args.text.extract;
    if !report.refused.is_empty() && (!is_lenient || parsed.is_spoilt) {
        return refuse(&args, &report, parsed.is_spoilt, session);
    }
    if parsed.elements.is_empty() {
        tell_refused(&args, &report, true, session);
        tell_remarks(&report, session);
        return Err(CliError::Usage {
            message: format!("{}: there is no address to import", report.file),
            hint: "see what the file holds, or name its format with --format".to_owned(),
        });
    }
    let is_final = !args.stage.deploy;
    // JSON output is one value: this report, or the result of the deploy.
    if !session.output.is_json() || args.stage.deploy {
        tell_refused(&args, &report, true, session);
    }
    tell_remarks(&report, session);
    if args.text.extract {
        let found = found(&parsed, session).await?;
        let (verb, question) = if args.bans.as_bans {
            ("banned", "Ban them?")
        } else {
            ("staged", "Stage them?")
        };
        let is_sure = args.text.yes;
        let goes_on = confirmed(&found, args.all, is_sure, question, session)?;
        report.found = Some(found);
        if !goes_on {
            session.show(&report, render)?;
            return Err(CliError::Unconfirmed { verb });
        }
    }
    let Some(into) = &args.into else {
        let bans = args.bans.bans(&parsed, &report.file, Timestamp::now())?;
        let allowed = Allowed {
            wide: args.stage.wide,
            force: args.stage.force,
        };
        report.bans = Some(args.bans.carry_out(bans, allowed, session).await?);
        session.show(&report, render)?;
        return Ok(OK);
    };
    let staged = send(vec![edit(&args, into, parsed)], args.stage.force, session).await?;
    if session.output.is_json() && is_final {
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
    let parsed = if args.text.extract {
        exchange::extract(input)
    } else {
        exchange::read_with(input, &args.intake.options())
    };
    match parsed {
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

fn report(args: &ImportArgs, parsed: &Parsed, file: String) -> ImportReport {
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
        format: if args.text.extract {
            "text".to_owned()
        } else {
            parsed.format.to_string()
        },
        read: parsed.read,
        prefixes: u64::try_from(parsed.elements.len()).unwrap_or(u64::MAX),
        addresses: addresses.to_string(),
        duplicates: parsed.duplicates,
        timed: parsed.timed,
        keeps_ends: args.bans.as_bans,
        mapped: parsed.mapped,
        sets: sets.collect(),
        passed_over: passed_over.collect(),
        at: parsed.at.clone(),
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
        bans: None,
        found: None,
    }
}

fn edit(args: &ImportArgs, into: &str, parsed: Parsed) -> Edit {
    let has_notes = parsed
        .elements
        .iter()
        .any(|element| !element.note.is_empty());
    let mut import = Import {
        into: into.to_owned(),
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
    args: &ImportArgs,
    report: &ImportReport,
    is_spoilt: bool,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    if session.output.is_json() {
        session.show(report, render)?;
        return Ok(BAD_INPUT);
    }
    tell_refused(args, report, false, session);
    tell_remarks(report, session);
    let refused = report.refusals();
    let hint = if is_spoilt {
        "correct the file: --lenient does not import the rest of such a file"
    } else {
        "correct them, or import the others with --lenient"
    };
    Err(CliError::Usage {
        message: format!(
            "{}: {} of {} refused, nothing is {}",
            report.file,
            grouped(refused),
            counted(report.read, "entry", "entries"),
            if args.bans.as_bans {
                "banned"
            } else {
                "staged"
            }
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
fn tell_refused(
    args: &ImportArgs,
    report: &ImportReport,
    lenient: bool,
    session: &mut Session<'_>,
) {
    let mut capped = Capped::new(Some(args.all));
    let what = if args.text.extract {
        "not taken"
    } else {
        "left out"
    };
    for refused in &report.refused {
        let error = refused.in_file(&report.file);
        if lenient {
            capped.note(&format!("{what}: {error}"), session.output);
        } else {
            capped.report(&error, session.output);
        }
    }
    capped.count(report.more_refused);
    capped.finish("were refused", session.output);
}
