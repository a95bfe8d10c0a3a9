//! Ruleset files.

use ipblock_policy::{
    Classified as _, ErrorKind, Hinted as _, RuleId, Ruleset, ZoneName, diff,
    document::{self, DocumentError, MAX_PROBLEMS},
    exchange, lint,
    patch::Patch,
};
use jiff::Timestamp;

/// A parsed file equals what is parsed from its printed form, as TOML and as JSON. Every error has
/// a position inside the file.
pub fn document(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let unforced = document::parse(&text, "fuzz.toml", false);
    let forced = document::parse(&text, "fuzz.toml", true);
    if let Err(error) = &unforced {
        check_error(error, &text);
        assert_eq!(
            error.kind() == ErrorKind::Conflict,
            forced.is_ok() && error.more == 0,
            "{error}"
        );
    }
    let ruleset = match forced {
        Ok(ruleset) => ruleset,
        Err(error) => return check_error(&error, &text),
    };
    if let Ok(unforced) = unforced {
        assert_eq!(unforced, ruleset);
    }
    check_printed(&ruleset);
    check_rules(&ruleset);
    check_change(&ruleset);
}

fn check_error(error: &DocumentError, text: &str) {
    assert!(
        (1..=MAX_PROBLEMS).contains(&error.problems.len()),
        "{error}"
    );
    assert!(
        error.more == 0 || error.problems.len() == MAX_PROBLEMS,
        "{error}"
    );
    let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    for problem in &error.problems {
        let line = problem.line.checked_sub(1).and_then(|line| lines.get(line));
        let is_inside = line.is_some_and(|length| (1..=length + 1).contains(&problem.column));
        assert!(is_inside, "{problem:?} is not in {text:?}");
        let hint = problem.hint.as_deref().unwrap_or("-");
        assert!(
            !problem.message.is_empty() && !hint.is_empty(),
            "{problem:?}"
        );
        for part in [problem.message.as_str(), hint] {
            assert!(part.len() < 4_096, "{problem:?}");
            let moves_cursor = |c: char| c.is_control() && c != '\n';
            assert!(!part.contains(moves_cursor), "{problem:?}");
        }
    }
    let places = error
        .problems
        .iter()
        .map(|problem| (problem.line, problem.column));
    assert!(places.is_sorted(), "{error}");
    assert!(error.to_string().contains("fuzz.toml:"));
}

/// Asserts that a ruleset is read back from what is printed of it, identities apart.
pub(crate) fn check_printed(ruleset: &Ruleset) {
    let mut expected = ruleset.clone();
    for rule in &mut expected.rules {
        rule.id = RuleId(0);
    }
    let toml = document::print(&expected);
    let read = document::parse(&toml, "printed.toml", true);
    assert_eq!(read.as_ref(), Ok(&expected), "{toml}");
    let json = exchange::json(&expected);
    let from_json = exchange::ruleset_toml(&json).map(|toml| {
        document::parse(&toml, "printed.json", true).map_err(|error| format!("{error}\n{toml}"))
    });
    assert_eq!(from_json, Ok(Ok(expected)), "{json}");
}

fn check_rules(ruleset: &Ruleset) {
    for rule in &ruleset.rules {
        let text = document::print_rule(rule);
        let read = document::parse_rule(&text, "rule.toml", ruleset, true);
        assert_eq!(read.as_ref(), Ok(rule), "{text}");
    }
}

/// Calls everything that a deploy of the file would use.
fn check_change(ruleset: &Ruleset) {
    let mut after = ruleset.clone();
    for (id, rule) in (1..).zip(&mut after.rules) {
        rule.id = RuleId(id);
    }
    let before = Ruleset::default();
    let patch = Patch::between(&before, &after);
    assert_eq!(patch.apply(&before).as_ref(), Ok(&after));
    assert_eq!(patch.is_empty(), after == before);
    assert_eq!(diff::diff(&before, &after).is_empty(), after == before);
    assert!(diff::diff(&after, &after).is_empty());
    for warning in lint::lint(&after) {
        assert!(!warning.is_empty());
    }
    let default = ZoneName::default();
    assert!(after.zone_names().contains(&default));
    for zone in after.zone_names() {
        // A ruleset that is too large for the kernel is rejected with a message.
        if let Err(error) = ipblock_policy::compile::compile(&after, &zone, Timestamp::UNIX_EPOCH) {
            assert!(!error.to_string().is_empty() && error.hint().is_some());
        }
    }
}
