//! Names of commands in other programs: a usage error suggests the right name, and `help` works.
//! Names with one possible meaning are hidden aliases of commands.

use std::ffi::OsString;

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use ipblock_policy::suggest::did_you_mean;

/// Words after `rule`, `allow` and similar, and their equivalents.
static VERBS: [(&str, &str); 8] = [
    ("new", "add"),
    ("create", "add"),
    ("cat", "show"),
    ("get", "show"),
    ("info", "show"),
    ("modify", "edit"),
    ("set", "edit"),
    ("update", "edit"),
];

/// First words, and their equivalents.
static COMMANDS: [(&str, &str); 24] = [
    ("add", "rule add"),
    ("block", "ban"),
    ("block", "rule add"),
    ("version", "--version"),
    ("rm", "rule remove"),
    ("del", "rule remove"),
    ("delete", "rule remove"),
    ("remove", "rule remove"),
    ("edit", "rule edit"),
    ("list", "rule list"),
    ("ls", "rule list"),
    ("show", "rule show"),
    ("commit", "deploy"),
    ("log", "history"),
    ("revert", "rollback"),
    ("undo", "rollback"),
    ("stats", "counters"),
    ("stat", "counters"),
    ("alert", "alerts"),
    ("events", "alerts"),
    ("monitor", "watch"),
    ("live", "watch"),
    ("dashboard", "watch"),
    ("sources", "top"),
];

/// Options of other programs, and their equivalents.
static OPTIONS: [(&str, &str); 9] = [
    ("--duration", "--for"),
    ("--time", "--for"),
    ("--timeout", "--for"),
    ("--ttl", "--for"),
    ("--expires", "--until"),
    ("--description", "--note"),
    ("--comment", "--note"),
    ("--comment", "--reason"),
    ("--message", "--comment"),
];

/// Values of options, and their equivalents.
static VALUES: [(&str, &str); 8] = [
    ("drop", "block"),
    ("deny", "block"),
    ("log", "warn"),
    ("monitor", "warn"),
    ("block", "drop"),
    ("deny", "drop"),
    ("accept", "pass"),
    ("allow", "pass"),
];

/// Returns our names for a typed word.
fn ours(words: &'static [(&'static str, &'static str)], typed: &str) -> Vec<&'static str> {
    let ours = words.iter().filter(|(theirs, _)| *theirs == typed);
    ours.map(|(_, ours)| *ours).collect()
}

/// Replaces `help`, `help rule add` and `rule help` with `--help`, and `version` with `--version`.
pub(super) fn with_help_option(mut arguments: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let is_help = |at: usize| arguments.get(at).is_some_and(|word| word == "help");
    let first = first_word(&arguments);
    if arguments.len() == first + 1 && arguments.last().is_some_and(|word| word == "version") {
        arguments.pop();
        arguments.push("--version".into());
        return arguments;
    }
    let group = arguments.get(first);
    let group = group.and_then(|word| command.find_subcommand(word));
    let at = match group {
        _ if is_help(first) => first,
        Some(group) if group.has_subcommands() && is_help(first + 1) => first + 1,
        _ => return arguments,
    };
    arguments.remove(at);
    arguments.push("--help".into());
    arguments
}

/// Returns the index of the command, after the program's name and options.
fn first_word(arguments: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(argument) = arguments.get(at)
        && argument.as_encoded_bytes().starts_with(b"-")
    {
        let has_value = argument == "--socket" || argument == "--color";
        at += if has_value { 2 } else { 1 };
    }
    at
}

/// Adds our word as a tip to `error`, if it is about a word of another program.
pub(super) fn with_our_word(
    error: clap::Error,
    arguments: Vec<OsString>,
    command: &Command,
) -> clap::Error {
    match error.kind() {
        ErrorKind::UnknownArgument => with_our_option(error, &arguments, command),
        ErrorKind::InvalidValue => with_our_value(error),
        _ => with_our_command(error, arguments, command),
    }
}

fn with_our_value(mut error: clap::Error) -> clap::Error {
    let ours = match (
        error.get(ContextKind::InvalidValue),
        error.get(ContextKind::ValidValue),
    ) {
        (Some(ContextValue::String(typed)), Some(ContextValue::Strings(valid))) => {
            let mut ours = ours(&VALUES, typed).into_iter();
            ours.find(|ours| valid.iter().any(|one| one == ours))
        }
        _ => None,
    };
    if let Some(ours) = ours {
        let tip = ContextValue::String(ours.to_owned());
        error.insert(ContextKind::SuggestedValue, tip);
    }
    error
}

/// Also removes useless tips: options that are not similar, and the advice for an address that
/// begins with dashes.
fn with_our_option(
    mut error: clap::Error,
    arguments: &[OsString],
    command: &Command,
) -> clap::Error {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let typed = typed.clone();
    let mut verb = command;
    for argument in arguments.iter().skip(1) {
        verb = verb.find_subcommand(argument).unwrap_or(verb);
    }
    let known: Vec<&str> = verb
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    let has = |option: &str| {
        let long = option.strip_prefix("--").unwrap_or(option);
        known.contains(&long)
    };
    error.remove(ContextKind::Suggested);
    if verb.get_name() == "deploy" && typed == "--dry-run" {
        let tip = "`ipblock-ctl diff` shows what a deploy would change".to_owned();
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
        return error;
    }
    if let Some(ours) = ours(&OPTIONS, &typed)
        .into_iter()
        .find(|option| has(option))
    {
        let tip = ContextValue::String(ours.to_owned());
        error.insert(ContextKind::SuggestedArg, tip);
    } else if let Some(ContextValue::String(tip)) = error.get(ContextKind::SuggestedArg)
        && did_you_mean(&typed, [tip.as_str()]).is_none()
    {
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

fn with_our_command(
    mut error: clap::Error,
    arguments: Vec<OsString>,
    command: &Command,
) -> clap::Error {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let group = arguments
        .into_iter()
        .skip(1)
        .take_while(|argument| argument != typed.as_str())
        .find_map(|argument| command.find_subcommand(argument));
    let words = if group.is_none() {
        &COMMANDS[..]
    } else {
        &VERBS[..]
    };
    let exists = |word: &&str| group.is_none_or(|group| group.find_subcommand(word).is_some());
    let ours: Vec<String> = ours(words, typed)
        .into_iter()
        .filter(exists)
        .map(str::to_owned)
        .collect();
    if !ours.is_empty() {
        error.insert(
            ContextKind::SuggestedSubcommand,
            ContextValue::Strings(ours),
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{super::Cli, *};
    use crate as cli;

    fn usage_error(words: &[&str]) -> String {
        let words: Vec<OsString> = ["ipblock-ctl"]
            .iter()
            .chain(words)
            .map(Into::into)
            .collect();
        let error = Cli::try_parse_from(&words).expect_err("no such command");
        with_our_word(error, words, &cli::command()).to_string()
    }

    #[test]
    fn words_of_other_programs_lead_to_ours() {
        for (typed, ours) in [
            (&["rule", "new", "x"][..], "add"),
            (&["rule", "update", "x"], "edit"),
            (&["--json", "rule", "cat"], "show"),
            (&["rm", "x"], "rule remove"),
            (&["alert"], "alerts"),
            (&["monitor"], "watch"),
        ] {
            let text = usage_error(typed);
            let tip = format!("a similar subcommand exists: '{ours}'");
            assert!(text.contains(&tip), "{typed:?}: {text}");
        }
    }

    #[test]
    fn tips_name_what_is_meant_and_nothing_else() {
        for (line, tip) in [
            ("block 192.0.2.1", "exist: 'ban', 'rule add'"),
            ("ban 192.0.2.1 --duration 2h", "exists: '--for'"),
            ("ban 192.0.2.1 --comment x", "exists: '--reason'"),
            ("rule edit x --comment y --deploi", "exists: '--deploy'"),
            ("rule add x --action drop --match 192.0.2.1", "'block'"),
            ("zone set x --default block", "'drop'"),
            ("deploy --dry-run", "ipblock-ctl diff"),
            ("deploy --fource", "exists: '--force'"),
        ] {
            let words: Vec<_> = line.split(' ').collect();
            let text = usage_error(&words);
            let tips = text.lines().filter(|line| line.contains("tip:"));
            let tips: Vec<_> = tips.collect();
            assert_eq!(tips.len(), 1, "{line}: {text}");
            assert!(tips[0].contains(tip), "{line}: {text}");
        }
        for line in [
            "audit --since 1h",
            "ban 192.0.2.1 --match x",
            "deploy --since 1h",
        ] {
            let words: Vec<_> = line.split(' ').collect();
            let text = usage_error(&words);
            assert!(!text.contains("tip:"), "{line}: {text}");
        }
    }

    #[test]
    fn words_with_one_meaning_are_understood() {
        for line in [
            "rule rm x",
            "rule del x",
            "rule delete x",
            "--json rule ls",
            "allow ls",
            "allow show",
            "allow rm 192.0.2.1",
            "exception show",
            "exception del x 192.0.2.1",
            "list ls",
            "list rm x",
            "zone ls",
        ] {
            let words = ["ipblock-ctl"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn help_stands_before_a_command_or_after_a_group() {
        for (line, meant) in [
            ("help", "--help"),
            ("help rule add", "rule add --help"),
            ("rule help", "rule --help"),
            ("rule help add", "rule add --help"),
            ("--json help ban", "--json ban --help"),
            ("--socket help rule help", "--socket help rule --help"),
            ("list show help", "list show help"),
            ("check help", "check help"),
            ("version", "--version"),
            ("--json version", "--json --version"),
            ("list show version", "list show version"),
            ("", ""),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                let line = format!("ipblock-ctl {line}");
                line.split_whitespace().map(Into::into).collect()
            };
            let read = with_help_option(words(line), &cli::command());
            assert_eq!(read, words(meant), "{line}");
        }
    }

    #[test]
    fn slips_and_words_that_mean_nothing_are_left_to_clap() {
        assert!(usage_error(&["statsu"]).contains("'status'"));
        assert!(!usage_error(&["frobnicate"]).contains("tip:"));
        assert!(
            !usage_error(&["allow", "modify"]).contains("tip:"),
            "allow lists have no edit"
        );
    }
}
