//! Which rules the staged edits are about: found by following the names through the edits.

use std::collections::{BTreeMap, HashMap};

use ipblock_policy::{RuleId, Ruleset};
use serde_json::Value;

/// A rule in the course of the edits: one that existed before them, or that edit `n` added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Rule(RuleId),
    New(usize),
}

/// Returns the rules of each edit, in the order of the edits. An edit of something else, such as a
/// list, has none.
pub(super) fn rules_of_edits<'e>(
    edits: impl IntoIterator<Item = &'e Value>,
    base: &Ruleset,
    staged: &Ruleset,
) -> Vec<Vec<RuleId>> {
    let mut named: HashMap<String, Subject> = base
        .rules
        .iter()
        .map(|rule| (rule.name.as_str().to_owned(), Subject::Rule(rule.id)))
        .collect();
    let mut subjects = Vec::new();
    for (place, edit) in edits.into_iter().enumerate() {
        let text = |field: &str| edit.get(field).and_then(Value::as_str);
        let kind = text("edit").unwrap_or_default();
        if kind == "add_rule" {
            // Without a name it is called after its action.
            if let Some(name) = text("name").or_else(|| text("action")) {
                named.insert(name.to_owned(), Subject::New(place));
            }
        }
        let found = names_in(edit, kind);
        let found: Vec<Subject> = found
            .iter()
            .filter_map(|name| named.get(*name).copied())
            .collect();
        match (kind, found.first(), new_name(edit, kind)) {
            ("remove_rules", ..) => named.retain(|_, subject| !found.contains(subject)),
            (_, Some(subject), Some(name)) => {
                named.retain(|_, other| other != subject);
                named.insert(name, *subject);
            }
            _ => {}
        }
        subjects.push(found);
    }
    // A rule that was added and removed again is in no ruleset, and belongs to no one.
    let added: BTreeMap<Subject, RuleId> = staged
        .rules
        .iter()
        .filter_map(|rule| Some((*named.get(rule.name.as_str())?, rule.id)))
        .collect();
    let id = |subject| match subject {
        Subject::Rule(id) => Some(id),
        Subject::New(_) => added.get(&subject).copied(),
    };
    let subjects = subjects.into_iter();
    subjects
        .map(|found| found.into_iter().filter_map(id).collect())
        .collect()
}

/// Returns the names of the rules that an edit is about.
fn names_in<'e>(edit: &'e Value, kind: &str) -> Vec<&'e str> {
    let text = |field: &str| edit.get(field).and_then(Value::as_str);
    let one = match kind {
        "add_rule" => text("name").or_else(|| text("action")),
        "edit_rule" | "replace_rule" => text("name"),
        "add_exception" | "edit_exception" | "remove_exception" => text("rule"),
        "import" => text("into").filter(|into| !into.starts_with('@')),
        "remove_rules" => {
            let names = edit.get("names").and_then(Value::as_array);
            let names = names.into_iter().flatten();
            return names.filter_map(Value::as_str).collect();
        }
        _ => None,
    };
    one.into_iter().collect()
}

/// Returns the new name that an edit gives its rule.
fn new_name(edit: &Value, kind: &str) -> Option<String> {
    match kind {
        "edit_rule" => edit.get("rename")?.as_str().map(str::to_owned),
        // The text was read when it was staged: a line of it is the name.
        "replace_rule" => {
            let mut lines = edit.get("toml")?.as_str()?.lines();
            let line = lines.find_map(|line| line.trim_start().strip_prefix("name"))?;
            let name = line.trim_start().strip_prefix('=')?.trim();
            let name = name.split(['"', '\'']).nth(1)?;
            Some(name.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document;
    use serde_json::json;

    use super::*;

    fn ruleset(rules: &[(u64, &str)]) -> Ruleset {
        let rule = |name: &str| {
            format!("[[rule]]\nname = \"{name}\"\naction = \"block\"\nmatch = [\"192.0.2.1\"]\n")
        };
        let text: String = rules.iter().map(|(_, name)| rule(name)).collect();
        let mut ruleset = document::parse(&text, "test", false).unwrap();
        for (rule, (id, _)) in ruleset.rules.iter_mut().zip(rules) {
            rule.id = RuleId(*id);
        }
        ruleset
    }

    #[test]
    fn an_edit_is_about_a_rule_whatever_its_name_was_then() {
        let base = ruleset(&[(1, "a"), (2, "b"), (3, "c")]);
        // `a` became `old`, and another rule is called `a` now.
        let staged = ruleset(&[(1, "old"), (2, "b2"), (9, "a"), (10, "block")]);
        let edits = [
            json!({"edit": "edit_rule", "name": "a", "rename": "old"}),
            json!({"edit": "add_rule", "name": "a", "action": "block"}),
            json!({"edit": "add_exception", "rule": "a", "addresses": []}),
            json!({"edit": "import", "into": "old", "omitted_bytes": 7}),
            json!({"edit": "import", "into": "@a", "addresses": []}),
            json!({"edit": "replace_rule", "name": "b", "toml": "action = \"warn\"\nname = 'b2'\n"}),
            json!({"edit": "edit_rule", "name": "b2"}),
            json!({"edit": "remove_rules", "names": ["c", "old"]}),
            json!({"edit": "add_rule", "action": "block"}),
            json!({"edit": "add_to_list", "list": "a", "addresses": []}),
        ];
        let found = rules_of_edits(&edits, &base, &staged);
        let ids: Vec<Vec<u64>> = found
            .iter()
            .map(|rules| rules.iter().map(|id| id.0).collect())
            .collect();
        let expected: [&[u64]; 10] = [&[1], &[9], &[9], &[1], &[], &[2], &[2], &[3, 1], &[10], &[]];
        assert_eq!(ids, expected);
    }
}
