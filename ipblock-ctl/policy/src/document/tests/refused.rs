//! What is rejected, at which position, and with which message.

use super::*;
use crate::{Classified, ErrorKind, samples::shown_by_block};

#[test]
fn what_is_refused_has_its_place_and_what_to_write() {
    let show = |text: &str| {
        let Err(error) = parse(text, "rules.toml", false) else {
            return "read".to_owned();
        };
        let is_taken = parse(text, "rules.toml", true).is_ok();
        assert_eq!(
            error.kind() == ErrorKind::Conflict,
            is_taken,
            "{text}: {error}"
        );
        let forced = if is_taken { "\nread with --force" } else { "" };
        format!("{error}{forced}")
    };
    let shown = shown_by_block(include_str!("refused.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("refused", shown);
    });
}

#[test]
fn more_than_a_hundred_problems_are_counted() {
    let text = format!("[allow]\nmatch = [\n{}]", "\"192.0.2.300\",\n".repeat(1234));
    let error = parse(&text, "rules.toml", false).unwrap_err();
    assert_eq!((error.problems.len(), error.more), (MAX_PROBLEMS, 1134));
    assert_eq!(error.problems[99].line, 102);
    assert!(error.to_string().ends_with("and 1,134 more problems"));
}
