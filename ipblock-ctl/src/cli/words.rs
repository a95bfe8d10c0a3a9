//! Commands that other programs have under other names: a usage error says what they are called.

use std::ffi::OsString;

use clap::{
    Command,
    error::{ContextKind, ContextValue},
};

/// What is typed after `rule`, `allow` and the like, and what is meant.
const VERBS: [(&str, &str); 12] = [
    ("rm", "remove"),
    ("del", "remove"),
    ("delete", "remove"),
    ("ls", "list"),
    ("new", "add"),
    ("create", "add"),
    ("cat", "show"),
    ("get", "show"),
    ("info", "show"),
    ("modify", "edit"),
    ("set", "edit"),
    ("update", "edit"),
];

/// What is typed first, and what is meant.
const COMMANDS: [(&str, &str); 23] = [
    ("add", "rule add"),
    ("block", "rule add"),
    ("rm", "rule remove"),
    ("del", "rule remove"),
    ("delete", "rule remove"),
    ("remove", "rule remove"),
    ("edit", "rule edit"),
    ("list", "rule list"),
    ("ls", "rule list"),
    ("show", "rule show"),
    ("help", "--help"),
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

/// `error` with our word as its tip, where it is about a command that we call otherwise.
pub(super) fn with_our_word(
    mut error: clap::Error,
    arguments: impl IntoIterator<Item = OsString>,
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
    let ours = words.iter().find(|(theirs, _)| theirs == typed);
    let exists = |word: &str| group.is_none_or(|group| group.find_subcommand(word).is_some());
    if let Some(&(_, ours)) = ours
        && exists(ours)
    {
        let tip = ContextValue::Strings(vec![ours.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, tip);
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{super::Cli, *};
    use crate::cli;

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
            (&["rule", "rm", "x"][..], "remove"),
            (&["rule", "del", "x"], "remove"),
            (&["allow", "ls"], "list"),
            (&["--json", "rule", "ls"], "list"),
            (&["rm", "x"], "rule remove"),
            (&["help"], "--help"),
            (&["alert"], "alerts"),
            (&["monitor"], "watch"),
        ] {
            let text = usage_error(typed);
            let tip = format!("a similar subcommand exists: '{ours}'");
            assert!(text.contains(&tip), "{typed:?}: {text}");
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
