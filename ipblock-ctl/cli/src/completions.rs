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
    types::{BansQuery, RulesQuery},
};
use ipblock_output::{Output, view::visible};
use ipblock_policy::{ListName, RuleName, ZoneName};

use super::{
    DEFAULT_SOCKET,
    arguments::Addresses,
    command,
    error::{CliError, OK},
};

/// The script sets it to the shell's name to request a completion.
const VARIABLE: &str = "IPBLOCK_COMPLETE";

/// Timeout of the daemon. After it, the completion has no names.
const PATIENCE: Duration = Duration::from_secs(1);

/// Maximum number of bans that are offered.
const BANS: u32 = 1_000;

/// Print a completion script for a shell
///
/// It completes commands, options, revisions, bans, and the names of rules, lists, zones and
/// interfaces.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl completions bash > /usr/share/bash-completion/completions/ipblock-ctl
  ipblock-ctl completions zsh > /usr/share/zsh/site-functions/_ipblock-ctl
  ipblock-ctl completions fish > /etc/fish/completions/ipblock-ctl.fish")]
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
    if args.shell == Shell::Bash {
        script = with_whole_words(&String::from_utf8_lossy(&script)).into_bytes();
    }
    output.raw(&script)?;
    Ok(OK)
}

/// Puts together what bash breaks at `@`, `=` and `:`, such as `@office` and `2001:db8::1`. Bash
/// replaces only the last part, so the answers lose the parts before it.
fn with_whole_words(script: &str) -> String {
    BASH.into_iter()
        .fold(script.to_owned(), |script, (theirs, ours)| {
            script.replacen(theirs, ours, 1)
        })
}

/// Lines of the script of `clap_complete`, and what replaces them.
const BASH: [(&str, &str); 4] = [
    (
        "    local _CLAP_COMPLETE_INDEX=${COMP_CWORD}\n",
        "    local words=() rest=${COMP_LINE:0:COMP_POINT} index=0 word at next
    for ((at = 0; at <= COMP_CWORD; at++)); do
        next=${rest#\"${rest%%[![:space:]]*}\"}
        word=${COMP_WORDS[at]}
        [[ $at -eq $COMP_CWORD ]] && word=$next
        if [[ $at -gt 0 && $next == \"$rest\" ]]; then
            words[index]+=$word
        else
            words+=(\"$word\")
        fi
        index=$((${#words[@]} - 1))
        rest=${next#\"$word\"}
    done
    local before=${words[index]%\"$2\"}
    local _CLAP_COMPLETE_INDEX=$index\n",
    ),
    ("    local words=(\"${COMP_WORDS[@]}\")\n", ""),
    ("        words[COMP_CWORD]=\"$2\"\n", "        :\n"),
    (
        "    if [[ $? != 0 ]]; then\n        unset COMPREPLY\n",
        "    if [[ $? != 0 ]]; then\n        unset COMPREPLY\n        return\n    fi
    COMPREPLY=(\"${COMPREPLY[@]#\"$before\"}\")\n    if false; then\n        :\n",
    ),
];

/// If a completion script has called the program: answers the shell and ends the process.
pub(super) fn answer_shell() {
    CompleteEnv::with_factory(|| with_names(command()))
        .var(VARIABLE)
        .complete();
}

/// Adds the possible names of an argument, by the argument's type.
fn with_names(command: Command) -> Command {
    let verb = command.get_name().to_owned();
    command
        .mut_args(|argument| with_candidates(&verb, argument))
        .mut_subcommands(with_names)
}

fn with_candidates(verb: &str, argument: Arg) -> Arg {
    let is = |kind: TypeId| argument.get_value_parser().type_id() == kind;
    let is_called = |name: &'static str| argument.get_value_names() == Some(&[name.into()]);
    let names: fn() -> Vec<CompletionCandidate> = if is(TypeId::of::<RuleName>()) {
        // These take a new name.
        if argument.get_id() == "rename" || verb == "add" && argument.get_id() == "name" {
            return argument;
        }
        rules
    } else if is(TypeId::of::<ListName>()) {
        lists
    } else if is(TypeId::of::<ZoneName>()) {
        zones
    } else if is_called("IF") {
        interfaces
    } else if is_called("REV") {
        revisions
    } else if argument.get_id() == "into" {
        rules_and_lists
    } else if verb == "unban" && is(TypeId::of::<Addresses>()) {
        bans
    } else if is(TypeId::of::<Addresses>()) {
        lists_as_elements
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

/// Lists as they are written in the place of an address.
fn lists_as_elements() -> Vec<CompletionCandidate> {
    let lists = ask(async |daemon| daemon.lists().await);
    candidates(lists.into_iter().map(|list| format!("@{}", list.name)))
}

fn rules_and_lists() -> Vec<CompletionCandidate> {
    rules().into_iter().chain(lists_as_elements()).collect()
}

fn bans() -> Vec<CompletionCandidate> {
    let query = BansQuery {
        limit: Some(BANS),
        ..BansQuery::default()
    };
    let bans = ask(async |daemon| daemon.bans(&query).await);
    candidates(bans.into_iter().map(|ban| ban.prefix.to_string()))
}

/// Revisions with their comments, newest first.
fn revisions() -> Vec<CompletionCandidate> {
    let revisions = ask(async |daemon| daemon.history().await);
    let revisions = revisions.into_iter().map(|revision| {
        let comment = visible(&revision.comment);
        let comment = Some(comment).filter(|comment| !comment.is_empty());
        CompletionCandidate::new(revision.revision.to_string()).help(comment.map(Into::into))
    });
    revisions.collect()
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
    let mut words = words.skip_while(|word| {
        let bytes = word.as_encoded_bytes();
        bytes != b"--socket" && !bytes.starts_with(b"--socket=")
    });
    let given = match words.next() {
        Some(word) if word == "--socket" => words.next(),
        Some(word) => {
            let text = word.to_string_lossy();
            text.strip_prefix("--socket=").map(OsString::from)
        }
        None => None,
    };
    given
        .or_else(|| env::var_os("IPBLOCK_SOCKET"))
        .map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_for_bash_puts_words_together() {
        let mut script = Vec::new();
        let bash = Shells::builtins();
        let bash = bash.completer("bash").unwrap();
        let program = "ipblock-ctl";
        bash.write_registration(VARIABLE, program, program, program, &mut script)
            .unwrap();
        let script = String::from_utf8(script).unwrap();
        for (theirs, _) in BASH {
            assert_eq!(script.matches(theirs).count(), 1, "{theirs:?} in {script}");
        }
    }

    #[test]
    fn the_socket_may_be_a_word_or_a_part_of_one() {
        let of = |line: &str| socket(line.split(' ').map(OsString::from));
        assert_eq!(of("ipblock-ctl --socket /a rule"), PathBuf::from("/a"));
        assert_eq!(of("ipblock-ctl rule --socket=/b x"), PathBuf::from("/b"));
    }
}
