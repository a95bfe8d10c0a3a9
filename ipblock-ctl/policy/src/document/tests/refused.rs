//! What is refused, where, and what is said instead.

use super::*;
use crate::{Classified, ErrorKind};

/// The only problem of a document.
#[track_caller]
fn problem(text: &str) -> Problem {
    let error = parse(text, "rules.toml", false).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    error.problems.into_iter().next().unwrap()
}

/// Asserts place, a fragment of the message and one of the hint.
#[track_caller]
fn assert_problem(text: &str, place: (usize, usize), message: &str, hint: &str) {
    let problem = problem(text);
    let said = problem.hint.unwrap_or_default();
    assert_eq!((problem.line, problem.column), place, "{}", problem.message);
    assert!(
        problem.message.contains(message),
        "{} / {said}",
        problem.message
    );
    assert!(said.contains(hint), "{} / {said}", problem.message);
}

/// A rule with these lines after its name, action and match, which are lines 2 to 4.
fn rule_with(lines: &str) -> String {
    format!("[[rule]]\nname = \"a\"\naction = \"block\"\nmatch = [\"192.0.2.1\"]\n{lines}")
}

#[test]
fn text_that_is_no_toml_names_its_place() {
    assert_problem("[[rule]]\nname = \n", (2, 8), "no TOML", "");
    assert_problem(
        "[allow]\nmatch = []\nmatch = []\n",
        (3, 1),
        "duplicate key",
        "",
    );
}

#[test]
fn columns_are_counted_in_characters() {
    let text = "[list.a]\nmatch = [{ note = \"äöü\u{1f600}\", at = \"10.0.0.1/8\" }]";
    assert_problem(
        text,
        (2, 32),
        "`10.0.0.1/8`: host bits set",
        "write 10.0.0.0/8",
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    assert_problem(
        "[allow]\nzones = []",
        (2, 1),
        "`zones` in [allow]",
        "[allow] may hold match",
    );
    assert_problem("[zones.a]", (1, 2), "`zones` in a ruleset", "`zone`");
    assert_problem(&rule_with("enable = true"), (5, 1), "`enable`", "`enabled`");
    assert_problem(
        "[list.a]\nmatch = []\nurl = 1",
        (3, 1),
        "`url` in a list",
        "match",
    );
    assert_problem(
        "[zone.a]\ndefualt = \"pass\"",
        (2, 1),
        "`defualt`",
        "`default`",
    );
    let text = "[allow]\nmatch = [{ at = \"192.0.2.1\", nte = \"\" }]";
    assert_problem(text, (2, 30), "`nte` in an element", "`note`");
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    assert_problem(
        "rule = 1",
        (1, 8),
        "`rule` is an array of tables, not an integer",
        "[[rule]]",
    );
    assert_problem("[rule]\nname = \"a\"", (1, 1), "not a table", "[[rule]]");
    assert_problem(
        "allow = []",
        (1, 9),
        "`allow` is a table, not an array",
        "[allow]",
    );
    assert_problem(
        "[list]\na = 1",
        (2, 5),
        "`list.a` is a table",
        "[list.NAME]",
    );
    assert_problem(
        "[allow]\nmatch = \"192.0.2.1\"",
        (2, 9),
        "array of addresses, not a string",
        "[",
    );
    assert_problem(
        "[allow]\nmatch = [1]",
        (2, 10),
        "an element, not an integer",
        "{ at =",
    );
    assert_problem(
        "[allow]\nmatch = [{ note = \"\" }]",
        (2, 10),
        "without `at`",
        "{ at =",
    );
    assert_problem(
        &rule_with("note = 1"),
        (5, 8),
        "`note` is a string",
        "note = \"...\"",
    );
    assert_problem(
        &rule_with("alert = 1"),
        (5, 9),
        "true or false, not an integer",
        "alert = true",
    );
    assert_problem(
        &rule_with("zones = \"a\""),
        (5, 9),
        "array of zone names",
        "[\"default\"]",
    );
}

#[test]
fn a_rule_needs_name_action_and_match() {
    let text = "[[rule]]\naction = \"block\"\nmatch = [\"192.0.2.1\"]";
    assert_problem(text, (1, 1), "without `name`", "name = ");
    let text = "[[rule]]\nname = \"a\"\nmatch = [\"192.0.2.1\"]";
    assert_problem(text, (1, 1), "without `action`", "\"warn\"");
    let text = "[[rule]]\nname = \"a\"\naction = \"block\"";
    assert_problem(text, (1, 1), "rule `a` matches nothing", "match = [");
    let text = "[[rule]]\nname = \"a\"\naction = \"block\"\nmatch = []";
    assert_problem(text, (4, 9), "rule `a` matches nothing", "match = [");
}

#[test]
fn names_are_refused_with_one_to_write() {
    let text = rule_with("").replace("\"a\"", "\"my rule\"");
    assert_problem(&text, (2, 8), "rule name `my rule`", "`my-rule`");
    let text = rule_with("").replace("\"a\"", "\"\"");
    assert_problem(&text, (2, 8), "must not be empty", "`abuse`");
    assert_problem(
        "[list.\"a b\"]\nmatch = []",
        (1, 7),
        "list name `a b`",
        "`a-b`",
    );
    let text = format!("[zone.{}]", "z".repeat(80));
    assert_problem(&text, (1, 7), "longer than 64", "");
}

#[test]
fn a_second_rule_of_a_name_is_told_the_line_of_the_first() {
    let text = format!("{}\n{}", rule_with(""), rule_with(""));
    assert_problem(
        &text,
        (7, 8),
        "duplicate rule name `a`: the first is on line 2",
        "own",
    );
}

#[test]
fn names_that_do_not_exist_are_refused() {
    let text = "[list.office]\nmatch = []\n[allow]\nmatch = [\"@ofice\"]";
    assert_problem(
        text,
        (4, 10),
        "unknown list `@ofice`",
        "did you mean `office`?",
    );
    assert_problem(
        "[allow]\nmatch = [\"@x\"]",
        (2, 10),
        "unknown list",
        "[list.x]",
    );
    assert_problem(
        &rule_with("zones = [\"dmz\"]"),
        (5, 10),
        "unknown zone `dmz`",
        "[zone.dmz]",
    );
    assert_problem(
        &rule_with("zones = [\"defalt\"]"),
        (5, 10),
        "unknown zone",
        "`default`",
    );
    let text = rule_with("zones = [\"default\", \"default\"]");
    assert_problem(&text, (5, 21), "named twice", "once");
}

#[test]
fn what_this_version_does_not_support_is_said_so() {
    let text = rule_with("").replace("\"block\"", "\"reject\"");
    assert_problem(
        &text,
        (3, 10),
        "`reject` is not supported by this version",
        "\"block\"",
    );
    let text = rule_with("").replace("\"block\"", "\"deny\"");
    assert_problem(&text, (3, 10), "unknown action `deny`", "\"block\"");
    let text = "[list.a]\nmatch = [\"@b\"]";
    assert_problem(text, (2, 10), "cannot hold another list", "");
    assert_problem(
        "[list.a]",
        (1, 7),
        "list `a` without `match` or `file`",
        "match = []",
    );
    assert_problem(
        "[zone.a]\ndefault = \"deny\"",
        (2, 11),
        "unknown default `deny`",
        "\"drop\"",
    );
}

#[test]
fn a_list_file_stays_in_the_lists_directory() {
    for (value, message, hint) in [
        ("\"/etc/passwd\"", "an absolute path", "such as `passwd`"),
        ("\"a/../../b\"", "`.` or `..`", "such as `b`"),
        ("\"a//b\"", "an empty component", "write `a/b`"),
        ("\"\"", "the path is empty", "`feed.txt`"),
        ("7", "`file` is a string", "file = "),
    ] {
        let text = format!("[list.a]\nfile = {value}");
        assert_problem(&text, (2, 8), message, hint);
    }
    let text = "[list.a]\nfiles = \"a.txt\"\nmatch = []";
    assert_problem(text, (2, 1), "unknown key `files` in a list", "`file`");
}

#[test]
fn an_end_needs_an_offset() {
    for value in [
        "\"tomorrow\"",
        "2030-12-31",
        "2030-12-31T00:00:00",
        "\"2030-12-31T00:00:00\"",
    ] {
        let text = rule_with(&format!("expires = {value}"));
        assert_problem(
            &text,
            (5, 11),
            "not a point in time",
            "2030-12-31T23:59:00Z",
        );
    }
    assert_problem(
        &rule_with("expires = 5"),
        (5, 11),
        "a date and time, not an integer",
        "",
    );
    parse(
        &rule_with("expires = 2030-12-31T00:00:00Z"),
        "rules.toml",
        false,
    )
    .unwrap();
}

#[test]
fn a_block_rule_over_a_family_needs_force() {
    for elements in [
        "\"0.0.0.0/0\"",
        "\"::/0\"",
        "\"128.0.0.0/1\", \"0.0.0.0-127.255.255.255\"",
    ] {
        let text = rule_with("enabled = false").replace("\"192.0.2.1\"", elements);
        assert_problem(&text, (4, 9), "rule `a` would block", "--force");
        let error = parse(&text, "rules.toml", false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        parse(&text, "rules.toml", true).unwrap();
        parse(&text.replace("block", "warn"), "rules.toml", false).unwrap();
    }
    let text = "[list.half]\nmatch = [\"::/1\"]\n".to_owned()
        + &rule_with("").replace("\"192.0.2.1\"", "\"@half\", \"8000::/1\"");
    assert_problem(&text, (6, 9), "::/0, every IPv6 address", "--force");
}

#[test]
fn a_zone_that_would_drop_everything_needs_force() {
    let text = "[zone.dmz]\ndefault = \"drop\"";
    assert_problem(
        text,
        (1, 7),
        "zone `dmz` would drop every packet",
        "--force",
    );
    parse(text, "rules.toml", true).unwrap();
    parse(
        &format!("{text}\nallow = [\"192.0.2.1\"]"),
        "rules.toml",
        false,
    )
    .unwrap();
}

#[test]
fn every_problem_is_reported_in_the_order_of_the_text() {
    let text = "[[rule]]\nname = \"a b\"\naction = \"x\"\nmatch = [\"192.0.2\", \"192.0.2.0/33\"]\n\
                [allow]\nmatch = [\"@b\"]\n";
    let error = parse(text, "dir/rules.toml", false).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Conflict);
    let expected = "\
dir/rules.toml:2:8: rule name `a b` may hold only letters, digits, `_`, `-` and `.`, and starts with a letter, a digit or `_`
  hint: write a name such as `a-b`
dir/rules.toml:3:10: unknown action `x`
  hint: write action = \"block\" or action = \"warn\"
dir/rules.toml:4:10: `192.0.2`: an IPv4 address has four parts, not 3
  hint: write 192.0.2.0/24 for the whole network, or all four parts
dir/rules.toml:4:21: `192.0.2.0/33`: the prefix length is too great: an IPv4 address has 32 bits
  hint: write 192.0.2.0/32, or 192.0.2.0, for the one address
dir/rules.toml:6:10: unknown list `@b`
  hint: add it: [list.b] with match = [...]";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn more_than_a_hundred_problems_are_counted() {
    let text = format!("[allow]\nmatch = [\n{}]", "\"192.0.2.300\",\n".repeat(1234));
    let error = parse(&text, "rules.toml", false).unwrap_err();
    assert_eq!((error.problems.len(), error.more), (MAX_PROBLEMS, 1134));
    assert_eq!(error.problems[99].line, 102);
    assert!(error.to_string().ends_with("and 1,134 more problems"));
}
