//! What the daemon does with edits.

use std::sync::OnceLock;

use ipblock_api::types::EditRequest;
use ipblock_policy::{
    RuleId, Ruleset, diff, document,
    edit::{self, Edit},
    lint,
    patch::Patch,
};
use jiff::Timestamp;

/// When edits are staged.
const NOW: i64 = 1_800_000_000;

/// Edits that one input may make.
const EDITS: usize = 32;

/// The body of a request, applied to a ruleset with objects of every kind: each edit is applied
/// completely or not at all, and its result can be stored, parsed, described and undone.
pub fn edits(data: &[u8]) {
    let Ok(request) = serde_json::from_slice::<EditRequest>(data) else {
        return;
    };
    let now = Timestamp::from_second(NOW).unwrap();
    let mut ruleset = base().clone();
    for edit in request.edits.iter().take(EDITS) {
        let before = ruleset.clone();
        match edit::apply(&mut ruleset, edit, now, request.force) {
            Ok(summary) => {
                assert!(!summary.is_empty(), "{edit:?}");
                for line in &summary {
                    assert!(!line.contains(char::is_control), "{edit:?}: {line:?}");
                }
                identify(&mut ruleset);
                check_change(&before, &ruleset, request.force, edit);
            }
            Err(error) => {
                assert_eq!(ruleset, before, "{edit:?}");
                let error = error.to_string();
                assert!(!error.is_empty() && error.len() < (1 << 16) + data.len());
                let moves_cursor = |c: char| c.is_control() && c != '\n';
                assert!(!error.contains(moves_cursor), "{edit:?}: {error:?}");
            }
        }
        let kept = serde_json::to_value(edit).unwrap();
        assert_eq!(serde_json::from_value::<Edit>(kept).unwrap(), *edit);
    }
}

fn check_change(before: &Ruleset, after: &Ruleset, force: bool, edit: &Edit) {
    crate::document::check_printed(after);
    let patch = Patch::between(before, after);
    assert_eq!(patch.apply(before).as_ref(), Ok(after), "{edit:?}");
    assert_eq!(patch.apply(after).as_ref(), Ok(after), "{edit:?}, again");
    let back = Patch::between(after, before).apply(after);
    assert_eq!(
        back.map(document_of).as_ref(),
        Ok(&document_of(before.clone())),
        "{edit:?}"
    );
    let _ = diff::diff(before, after);
    let _ = lint::new_warnings(before, after);
    if !force {
        // If no single edit needed force, the result needs no force as a file.
        let file = document::parse(&document::print(after), "staged.toml", false);
        assert!(file.is_ok(), "{edit:?}: {}", file.unwrap_err());
    }
}

/// Normalises everything that differs only in order.
fn document_of(mut ruleset: Ruleset) -> Ruleset {
    ruleset.rules.sort_by_key(|rule| rule.id);
    let by_text = |element: &ipblock_policy::Element| format!("{:?}", element.at);
    ruleset.allow.sort_by_key(by_text);
    for zone in ruleset.zones.values_mut() {
        zone.allow.sort_by_key(by_text);
    }
    for list in ruleset.lists.values_mut() {
        list.elements.sort_by_key(|element| element.prefix);
    }
    ruleset
}

fn identify(ruleset: &mut Ruleset) {
    let last = ruleset
        .rules
        .iter()
        .map(|rule| rule.id.0)
        .max()
        .unwrap_or(0);
    let new = ruleset.rules.iter_mut().filter(|rule| rule.id == RuleId(0));
    for (id, rule) in (last + 1..).zip(new) {
        rule.id = RuleId(id);
    }
}

fn base() -> &'static Ruleset {
    static BASE: OnceLock<Ruleset> = OnceLock::new();
    BASE.get_or_init(|| {
        let text = r#"
            [list.office]
            match = ["192.0.2.0/28", { at = "2001:db8:1::/48", note = "branch" }]
            [list.feed]
            file = "feed.txt"
            match = ["198.51.100.0/24"]
            [allow]
            match = ["@office", { at = "203.0.113.9", note = "partner" }]
            [zone.dmz]
            default = "drop"
            allow = ["192.0.2.128/25"]
            [[rule]]
            name = "abuse"
            action = "block"
            match = ["203.0.113.0/24", "@feed"]
            except = [{ at = "203.0.113.5", note = "ticket 42" }]
            [[rule]]
            name = "watch"
            action = "warn"
            match = ["198.51.100.0/25", "2001:db8::/32"]
            zones = ["dmz", "default"]
            expires = "2030-01-01T00:00:00Z"
        "#;
        let mut ruleset = document::parse(text, "base.toml", false).unwrap();
        identify(&mut ruleset);
        ruleset
    })
}
