//! Limits how much may be removed at once: from a list, and from the ruleset that a file replaces.
//!
//! A failed download leaves an empty or short file, which the next command would use unchanged.

use super::{
    ruleset::Ruleset,
    text::{counted, grouped},
};

/// Whether more than the share `max_shrink` of the previous number is gone.
#[must_use]
pub fn is_shrunk(before: usize, now: usize, max_shrink: f64) -> bool {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(now) < number(before) * (1.0 - max_shrink)
}

/// Describes what a ruleset file in place of `before` removes, if that needs confirmation: every
/// rule, or more than half of the kernel entries (`entries`: before and after).
#[must_use]
pub fn too_much_goes(before: &Ruleset, after: &Ruleset, entries: (u64, u64)) -> Option<String> {
    let rules = match before.rules.len() {
        1 => "the only rule".to_owned(),
        count => format!("all {}", counted(count, "rule", "rules")),
    };
    if *after == Ruleset::default() && *before != Ruleset::default() {
        let what = match before.rules.len() {
            0 => "everything that is deployed".to_owned(),
            _ => format!("{rules}, and all lists, zones and allowed addresses"),
        };
        return Some(format!("the file is empty: it would remove {what}"));
    }
    if after.rules.is_empty() && !before.rules.is_empty() {
        return Some(format!("the file has no rule: it would remove {rules}"));
    }
    let (before, after) = entries;
    (after < before.div_ceil(2)).then(|| {
        let (after, before) = (grouped(after), counted(before, "entry", "entries"));
        format!("the file would leave {after} of {before}: more than half would go")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn ruleset(text: &str) -> Ruleset {
        document::parse(text, "rules.toml", false).unwrap()
    }

    const RULES: &str = "[allow]\nmatch = [\"192.0.2.1\"]\n[[rule]]\nname = \"a\"\naction = \"block\"\n\
                         match = [\"198.51.100.0/24\"]\n";

    #[test]
    fn half_may_go_and_more_may_not() {
        assert!(!is_shrunk(200, 100, 0.5));
        assert!(is_shrunk(200, 99, 0.5));
        assert!(!is_shrunk(0, 0, 0.5));
        let rules = ruleset(RULES);
        assert_eq!(too_much_goes(&rules, &rules, (4, 2)), None);
        assert_eq!(too_much_goes(&rules, &rules, (3, 2)), None);
        assert_eq!(
            too_much_goes(&rules, &rules, (200, 99)).unwrap(),
            "the file would leave 99 of 200 entries: more than half would go"
        );
    }

    #[test]
    fn nothing_in_the_place_of_something_is_too_much() {
        let (rules, empty) = (ruleset(RULES), Ruleset::default());
        assert_eq!(
            too_much_goes(&rules, &empty, (2, 0)).unwrap(),
            "the file is empty: it would remove the only rule, and all lists, zones and allowed \
             addresses"
        );
        let allow = ruleset("[allow]\nmatch = [\"192.0.2.1\"]\n");
        assert_eq!(
            too_much_goes(&rules, &allow, (2, 1)).unwrap(),
            "the file has no rule: it would remove the only rule"
        );
        let said = too_much_goes(&allow, &empty, (1, 0)).unwrap();
        assert!(
            said.ends_with("remove everything that is deployed"),
            "{said}"
        );
        assert_eq!(too_much_goes(&empty, &empty, (0, 0)), None);
    }
}
