//! `completions`, and the answers to a shell that completes a line.
//!
//! The script calls this program for each completion, so it knows the present rules, lists and
//! zones of the daemon.

use std::{any::TypeId, env, ffi::OsString, fs, path::PathBuf, time::Duration};

use clap::{Arg, Args, Command};
use clap_complete::{
    CompleteEnv, Shell,
    engine::{ArgValueCandidates, CompletionCandidate},
    env::Shells,
};
use ipblock_api::{
    client::{Client, ClientError},
    types::RulesQuery,
};
use ipblock_output::Output;
use ipblock_policy::{ListName, RuleName, ZoneName};

use super::{
    DEFAULT_SOCKET, command,
    error::{CliError, OK},
};

/// The script sets it to the shell's name to request a completion.
const VARIABLE: &str = "IPBLOCK_COMPLETE";

/// Timeout of the daemon. After it, the completion has no names.
const PATIENCE: Duration = Duration::from_secs(1);

/// Print a completion script for a shell
///
/// It completes commands, options, and the names of rules, lists, zones and interfaces.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl completions bash > /usr/share/bash-completion/completions/ipblock-ctl
  ipblock-ctl completions zsh > /usr/share/zsh/site-functions/_ipblock-ctl")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<u8, CliError> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let name = args.shell.to_string();
    if let Some(shell) = shells.completer(&name) {
        let program = "ipblock-ctl";
        shell.write_registration(VARIABLE, program, program, program, &mut script)?;
    }
    output.raw(&script)?;
    Ok(OK)
}

/// If a completion script has called the program: answers the shell and ends the process.
pub(super) fn answer_shell() {
    CompleteEnv::with_factory(|| with_names(command()))
        .var(VARIABLE)
        .complete();
}

/// Adds the possible names of an argument, by the argument's type.
fn with_names(command: Command) -> Command {
    command
        .mut_args(with_candidates)
        .mut_subcommands(with_names)
}

fn with_candidates(argument: Arg) -> Arg {
    let is = |kind: TypeId| argument.get_value_parser().type_id() == kind;
    let names: fn() -> Vec<CompletionCandidate> = if is(TypeId::of::<RuleName>()) {
        // `--rename` takes a new name.
        if argument.get_id() == "rename" {
            return argument;
        }
        rules
    } else if is(TypeId::of::<ListName>()) {
        lists
    } else if is(TypeId::of::<ZoneName>()) {
        zones
    } else if argument.get_value_names() == Some(&["IF".into()]) {
        interfaces
    } else {
        return argument;
    };
    argument.add(ArgValueCandidates::new(names))
}

fn rules() -> Vec<CompletionCandidate> {
    let query = RulesQuery { elements: Some(0) };
    let rules = ask(async |daemon| daemon.rules(query).await);
    candidates(rules.into_iter().map(|rule| rule.name))
}

fn lists() -> Vec<CompletionCandidate> {
    let lists = ask(async |daemon| daemon.lists().await);
    candidates(lists.into_iter().map(|list| list.name))
}

fn zones() -> Vec<CompletionCandidate> {
    let zones = ask(async |daemon| daemon.zones().await);
    candidates(zones.into_iter().map(|zone| zone.name))
}

fn interfaces() -> Vec<CompletionCandidate> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    candidates(names)
}

fn candidates(names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    names.map(CompletionCandidate::new).collect()
}

/// Returns the daemon's answer. Returns nothing on an error, because a completion cannot show one.
fn ask<T>(question: impl AsyncFnOnce(Client) -> Result<Vec<T>, ClientError>) -> Vec<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let daemon = Client::new(socket(env::args_os()));
    runtime.block_on(async {
        let answer = tokio::time::timeout(PATIENCE, question(daemon)).await;
        answer.ok().and_then(Result::ok).unwrap_or_default()
    })
}

/// Returns the socket in the line, or the default of a command.
fn socket(words: impl Iterator<Item = OsString>) -> PathBuf {
    let mut words = words.skip_while(|word| word != "--socket").skip(1);
    words
        .next()
        .or_else(|| env::var_os("IPBLOCK_SOCKET"))
        .map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from)
}
