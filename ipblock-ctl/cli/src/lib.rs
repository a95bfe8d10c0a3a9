//! The command line: raw flags as clap parses them, one file per command.
//!
//! A command converts its flags to requests, and the answers to an exit code; `output` formats what
//! is printed.
#![forbid(unsafe_code)]

mod alerts;
mod allow;
mod ancestors;
mod apply;
mod arguments;
mod attach;
mod backup;
mod ban;
mod ban_filter;
mod bans;
mod block;
mod bpffs;
mod capped;
mod check;
mod completions;
mod convert;
mod counters;
mod deploy;
mod diff;
mod doctor;
mod error;
mod exception;
mod expiry;
mod export;
mod extracted;
mod gather;
mod history;
mod import;
mod import_bans;
mod input;
mod intake;
mod line_reader;
mod lines;
mod lint;
mod list;
mod man;
mod new_file;
mod outage;
mod panic_off;
mod progress;
mod prompt;
mod rule;
mod session;
mod since;
mod sort;
mod ssh_peer;
mod stage;
mod status;
mod sudo_user;
mod synonyms;
mod top;
mod unban;
mod watch;
mod zone;

#[cfg(test)]
mod tests;

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf};

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
pub use error::CliError;
use ipblock_api::client::{Client, DEFAULT_SOCKET};
use ipblock_output::{
    Output, View,
    view::{DEFAULT_WIDTH, WHOLE},
};
use jiff::{Timestamp, tz::TimeZone};
use session::Session;
pub use watch::Screen;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  usage, bad input, or a name that does not exist
  3  conflict, or refused for safety
  4  the daemon cannot be reached
  5  not permitted
  6  a dry run or `diff --exit-code` found a difference
  10 `check --exit-code`: an address is dropped

Environment:
  IPBLOCK_SOCKET    the daemon's socket
  IPBLOCK_COLUMNS   the width of tables where standard output is not a
                    terminal; without it every column is printed, uncut
  IPBLOCK_BPFFS     the bpffs under which the daemon pins, for `panic-off`
                    and `doctor`
  IPBLOCK_SSH_PEER  none, or addresses that a change must not cut off, in
                    place of those that SSH_CONNECTION names here and in the
                    ancestors of this process

First steps:
  ipblock-ctl attach eth0
  ipblock-ctl rule add --action block --match 192.0.2.7 198.51.100.0/24
  ipblock-ctl diff
  ipblock-ctl deploy
  ipblock-ctl counters";

/// Block IP addresses at the network interface
#[derive(Debug, Parser)]
#[command(
    name = "ipblock-ctl",
    version,
    after_help = EXIT_CODES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The daemon's socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "IPBLOCK_SOCKET",
        default_value = DEFAULT_SOCKET,
        hide_env_values = true
    )]
    socket: PathBuf,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
    /// When to colour; auto is on a terminal, unless `NO_COLOR` is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the daemon, staged edits, zones, interfaces, entries, totals
    Status,
    Attach(attach::AttachArgs),
    Detach(attach::DetachArgs),
    /// List, show, set or remove zones
    #[command(subcommand)]
    Zone(zone::ZoneCommand),
    /// Add, list, show, edit, remove or promote rules
    #[command(subcommand)]
    Rule(Box<rule::RuleCommand>),
    /// List, add, edit or remove what rules spare
    #[command(subcommand)]
    Exception(exception::ExceptionCommand),
    /// List, add to or remove from the allow lists
    #[command(subcommand)]
    Allow(allow::AllowCommand),
    Ban(ban::BanArgs),
    Unban(unban::UnbanArgs),
    Bans(bans::BansArgs),
    /// List, show, add to, remove, set or reload named address lists
    #[command(subcommand)]
    List(list::ListCommand),
    Diff(diff::DiffArgs),
    Deploy(deploy::DeployArgs),
    /// Keep a revision that was deployed with --confirm-within
    Confirm,
    Discard(deploy::DiscardArgs),
    History(history::HistoryArgs),
    Rollback(history::RollbackArgs),
    Audit(history::AuditArgs),
    Apply(apply::ApplyArgs),
    Export(export::ExportArgs),
    Import(Box<import::ImportArgs>),
    Lint(lint::LintArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Counters(counters::CountersArgs),
    Top(top::TopArgs),
    Alerts(alerts::AlertsArgs),
    /// Watch rates, sources, alerts and bans live on a terminal
    #[command(after_help = watch::KEYS)]
    Watch,
    Check(check::CheckArgs),
    Convert(convert::ConvertArgs),
    PanicOff(panic_off::PanicOffArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Parses the process's arguments, executes the command, and returns the exit code.
///
/// Usage errors, `--help` and `--version` end the process here, as usual with clap.
#[must_use]
pub fn main() -> u8 {
    completions::answer_shell();
    let arguments = synonyms::with_help_option(std::env::args_os().collect(), &command());
    let cli = Cli::try_parse_from(&arguments).unwrap_or_else(|error| {
        let error = as_typed(error, &arguments);
        synonyms::with_our_word(error, arguments, &command()).exit()
    });
    let mut output = standard_output(&cli.global);
    let result = run(cli, &mut output).and_then(|code| {
        output.flush()?;
        Ok(code)
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            if !error.is_silent() {
                output.report(&error);
            }
            error.exit_code()
        }
    }
}

/// Returns the same usage error without the environment: clap treats values from there as typed,
/// and shows them in the usage line.
fn as_typed(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if !error.use_stderr() {
        return error;
    }
    let typed = ["doctor", "panic-off"]
        .into_iter()
        .fold(command(), |command, verb| {
            command.mut_subcommand(verb, |verb| verb.mut_arg("bpffs", without_environment))
        })
        .mut_arg("socket", without_environment);
    let typed = typed.try_get_matches_from(arguments);
    typed.err().unwrap_or(error)
}

fn without_environment(argument: clap::Arg) -> clap::Arg {
    argument.env(None::<&str>)
}

/// Returns the command for completions and manual pages.
fn command() -> clap::Command {
    Cli::command()
}

fn run(cli: Cli, output: &mut Output) -> Result<u8, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Runtime { source })?;
    let mut session = Session {
        client: Client::new(cli.global.socket)
            .with_ssh_peers(ssh_peer::ssh_peers()?)
            .with_sudo_user(sudo_user::sudo_user()),
        output,
    };
    runtime.block_on(dispatch(cli.command, &mut session))
}

async fn dispatch(command: Command, session: &mut Session<'_>) -> Result<u8, CliError> {
    match command {
        Command::Status => status::run(session).await,
        Command::Attach(args) => attach::attach(args, session).await,
        Command::Detach(args) => attach::detach(args, session).await,
        Command::Zone(command) => zone::run(command, session).await,
        Command::Rule(command) => rule::run(*command, session).await,
        Command::Exception(command) => exception::run(command, session).await,
        Command::List(command) => list::run(command, session).await,
        Command::Allow(command) => allow::run(command, session).await,
        Command::Ban(args) => ban::run(args, session).await,
        Command::Unban(args) => unban::run(args, session).await,
        Command::Bans(args) => bans::run(args, session).await,
        Command::Diff(args) => diff::run(&args, session).await,
        Command::Deploy(args) => deploy::run(args, session).await,
        Command::Confirm => deploy::confirm(session).await,
        Command::Discard(args) => deploy::discard(args, session).await,
        Command::History(args) => history::history(&args, session).await,
        Command::Rollback(args) => history::rollback(&args, session).await,
        Command::Audit(args) => history::audit(&args, session).await,
        Command::Apply(args) => apply::run(args, session).await,
        Command::Export(args) => export::run(args, session).await,
        Command::Import(args) => import::run(*args, session).await,
        Command::Lint(args) => lint::run(&args, session.output),
        Command::Backup(args) => backup::backup(&args, session).await,
        Command::Restore(args) => backup::restore(&args, session).await,
        Command::Counters(args) => counters::run(&args, session).await,
        Command::Top(args) => top::run(&args, session).await,
        Command::Alerts(args) => alerts::run(&args, session).await,
        Command::Watch => watch::run(session).await,
        Command::Check(args) => check::run(args, session).await,
        Command::Convert(args) => convert::run(&args, session.output),
        Command::PanicOff(args) => panic_off::run(&args, session.output),
        Command::Doctor(args) => doctor::run(&args, session).await,
        Command::Completions(args) => completions::run(&args, session.output),
        Command::Man(args) => man::run(args, session.output),
    }
}

/// Returns the width that the operator asks for where standard output is not a terminal.
fn asked_width() -> Option<usize> {
    std::env::var("IPBLOCK_COLUMNS").ok()?.parse().ok()
}

fn standard_output(global: &Global) -> Output {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = |is_terminal: bool| match global.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !no_color,
    };
    let width = match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((width, _)) => usize::from(width.0).max(DEFAULT_WIDTH),
        None if std::io::stdout().is_terminal() => DEFAULT_WIDTH,
        // Every column, uncut. Not by `COLUMNS`, which some environments export.
        None => asked_width().map_or(WHOLE, |width| width.max(DEFAULT_WIDTH)),
    };
    let view = View {
        width,
        color: color(std::io::stdout().is_terminal()),
        now: Timestamp::now(),
        time_zone: TimeZone::system(),
    };
    Output::standard(global.json, view, color(std::io::stderr().is_terminal()))
}
