use proptest::prelude::*;

use super::*;
use crate::document::parse;

/// Parses a ruleset from TOML. Rules get the identities `ids`, in order.
fn ruleset(toml: &str, ids: &[u64]) -> Ruleset {
    let mut ruleset = parse(toml, "test.toml", true).unwrap();
    assert_eq!(ruleset.rules.len(), ids.len());
    for (rule, id) in ruleset.rules.iter_mut().zip(ids) {
        rule.id = RuleId(*id);
    }
    ruleset
}

fn rule(name: &str, address: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\naction = \"block\"\nmatch = [\"{address}\"]\n")
}

fn merged(base: &Ruleset, mine: &Ruleset, theirs: &Ruleset) -> Result<Ruleset, Vec<PatchConflict>> {
    Patch::between(base, mine).apply(theirs)
}

#[test]
fn changes_of_different_rules_go_together() {
    let base = ruleset(&(rule("a", "192.0.2.1") + &rule("b", "192.0.2.2")), &[1, 2]);
    let mine = ruleset(&(rule("a", "192.0.2.9") + &rule("b", "192.0.2.2")), &[1, 2]);
    let theirs = ruleset(&(rule("a", "192.0.2.1") + &rule("c", "192.0.2.3")), &[1, 3]);
    let both = ruleset(&(rule("a", "192.0.2.9") + &rule("c", "192.0.2.3")), &[1, 3]);
    assert_eq!(merged(&base, &mine, &theirs), Ok(both));
}

#[test]
fn the_same_rule_changed_on_both_sides_is_a_conflict_that_shows_both() {
    let base = ruleset(&rule("a", "192.0.2.1"), &[1]);
    let mine = ruleset(&rule("a", "192.0.2.2"), &[1]);
    let theirs = ruleset(&rule("renamed", "192.0.2.1"), &[1]);
    let conflicts = merged(&base, &mine, &theirs).unwrap_err();
    let [conflict] = conflicts.as_slice() else {
        panic!("{conflicts:?}");
    };
    assert_eq!(conflict.subject, "rule a");
    assert_eq!(conflict.wanted.as_deref(), mine.rules.first());
    assert_eq!(conflict.found.as_deref(), theirs.rules.first());
}

#[test]
fn the_same_change_on_both_sides_is_none() {
    let base = ruleset(&rule("a", "192.0.2.1"), &[1]);
    let mine = ruleset(&rule("a", "192.0.2.2"), &[1]);
    assert_eq!(merged(&base, &mine, &mine), Ok(mine.clone()));
    let gone = Ruleset::default();
    assert_eq!(merged(&base, &gone, &gone), Ok(gone.clone()));
}

#[test]
fn a_rule_removed_on_one_side_and_changed_on_the_other_is_a_conflict() {
    let base = ruleset(&rule("a", "192.0.2.1"), &[1]);
    let changed = ruleset(&rule("a", "192.0.2.2"), &[1]);
    let gone = Ruleset::default();
    let problem = |mine, theirs| merged(&base, mine, theirs).unwrap_err().remove(0).problem;
    assert_eq!(
        problem(&gone, &changed),
        "removed on this side, changed on the other"
    );
    assert_eq!(
        problem(&changed, &gone),
        "changed on this side, removed on the other"
    );
}

#[test]
fn two_new_rules_of_one_name_are_a_conflict() {
    let mine = ruleset(&rule("a", "192.0.2.1"), &[1]);
    let theirs = ruleset(&rule("a", "192.0.2.1"), &[2]);
    let conflicts = merged(&Ruleset::default(), &mine, &theirs).unwrap_err();
    assert_eq!(
        conflicts.first().unwrap().problem,
        "each side has another rule of this name"
    );
}

#[test]
fn entries_of_one_list_go_together_and_a_note_that_both_change_does_not() {
    let list = |entries: &str| ruleset(&format!("[allow]\nmatch = [{entries}]\n"), &[]);
    let base = list("\"192.0.2.1\", \"192.0.2.2\"");
    let mine = list("\"192.0.2.1\", \"192.0.2.3\"");
    let theirs = list("\"192.0.2.2\", \"192.0.2.4\", \"192.0.2.1\"");
    let both = list("\"192.0.2.4\", \"192.0.2.1\", \"192.0.2.3\"");
    assert_eq!(merged(&base, &mine, &theirs), Ok(both));

    let noted = |note: &str| list(&format!("{{ at = \"192.0.2.1\", note = \"{note}\" }}"));
    let conflicts = merged(&noted("a"), &noted("b"), &noted("c")).unwrap_err();
    assert_eq!(conflicts.first().unwrap().subject, "the allow list");
}

#[test]
fn a_list_that_one_side_uses_and_the_other_removes_is_a_conflict() {
    let list = "[list.office]\nmatch = [\"192.0.2.1\"]\n";
    let base = ruleset(list, &[]);
    let mine = ruleset(&format!("{list}{}", rule("a", "@office")), &[1]);
    let conflicts = merged(&base, &mine, &Ruleset::default()).unwrap_err();
    assert_eq!(
        conflicts.first().unwrap().problem,
        "it uses list @office, which would not exist"
    );
}

/// Returns a ruleset with a list: from a file, or without a source if `file` is empty.
fn listed(file: &str, entries: &[&str]) -> Ruleset {
    let file = match file {
        "" => String::new(),
        file => format!("file = \"{file}\"\n"),
    };
    ruleset(&format!("[list.feed]\n{file}match = {entries:?}\n"), &[])
}

#[test]
fn content_of_a_file_is_taken_whole_from_who_read_it_last() {
    let base = listed("a.txt", &["192.0.2.1", "192.0.2.2"]);
    let mine = listed("a.txt", &["192.0.2.1", "192.0.2.3"]);
    let reread = listed("a.txt", &["192.0.2.4"]);
    // Both have read the file; only this side has; only the other has.
    assert_eq!(merged(&base, &mine, &reread), Ok(reread.clone()));
    assert_eq!(merged(&base, &mine, &base), Ok(mine.clone()));
    assert_eq!(merged(&base, &base, &reread), Ok(reread.clone()));
    let none = Ruleset::default();
    assert_eq!(merged(&none, &mine, &reread), Ok(reread.clone()));
    assert_eq!(merged(&none, &mine, &none), Ok(mine));
}

#[test]
fn a_list_that_was_only_read_again_on_the_other_side_is_changed_as_if_nothing_had_been() {
    let base = listed("a.txt", &["192.0.2.1"]);
    let reread = listed("a.txt", &["192.0.2.1", "192.0.2.4"]);
    let by_hand = listed("", &["192.0.2.9"]);
    let other_file = listed("b.txt", &["192.0.2.9"]);
    for mine in [by_hand, other_file, Ruleset::default()] {
        assert_eq!(merged(&base, &mine, &reread), Ok(mine.clone()));
    }
}

#[test]
fn a_list_that_both_sides_take_from_other_places_is_a_conflict() {
    let base = listed("a.txt", &["192.0.2.1"]);
    let by_hand = listed("", &["192.0.2.9"]);
    let other_file = listed("b.txt", &["192.0.2.7"]);
    let gone = Ruleset::default();
    let pairs = [
        (&by_hand, &other_file),
        (&other_file, &by_hand),
        (&gone, &by_hand),
    ];
    for (mine, theirs) in pairs {
        let conflicts = merged(&base, mine, theirs).unwrap_err();
        assert_eq!(conflicts.first().unwrap().subject, "list feed");
    }
}

#[test]
fn an_entry_for_a_zone_that_the_other_side_removed_is_a_conflict() {
    let zone = |allow: &str| ruleset(&format!("[zone.dmz]\nallow = [{allow}]\n"), &[]);
    let conflicts = merged(&zone(""), &zone("\"192.0.2.1\""), &Ruleset::default()).unwrap_err();
    assert_eq!(conflicts.first().unwrap().subject, "zone dmz");
}

#[test]
fn a_zone_removed_on_one_side_keeps_what_the_other_side_added_to_it() {
    let zone = |allow: &str| ruleset(&format!("[zone.dmz]\nallow = [{allow}]\n"), &[]);
    let conflicts = merged(&zone(""), &Ruleset::default(), &zone("\"192.0.2.1\"")).unwrap_err();
    assert_eq!(conflicts.first().unwrap().subject, "zone dmz");
}

prop_compose! {
    fn addresses()(hosts in prop::collection::btree_set(0..6_u8, 1..4)) -> Vec<String> {
        hosts.into_iter().map(|host| format!("192.0.2.{host}")).collect()
    }
}

fn quoted(addresses: &[String]) -> String {
    let quoted: Vec<_> = addresses.iter().map(|a| format!("\"{a}\"")).collect();
    quoted.join(", ")
}

prop_compose! {
    /// Rulesets of rules with identities 1 to 4, an allow list, two zones and two lists.
    fn any_ruleset()(
        rules in prop::collection::btree_map(1..5_u64, (addresses(), any::<bool>(), 0..3_u8), 0..4),
        allow in addresses(),
        zone in prop::option::of((addresses(), any::<bool>())),
        lists in prop::collection::btree_map(0..2_u8, addresses(), 0..3),
    ) -> Ruleset {
        let mut toml = vec![format!("[allow]\nmatch = [{}]\n", quoted(&allow))];
        if let Some((allow, drop)) = zone {
            let default = if drop { "drop" } else { "pass" };
            let allow = quoted(&allow);
            toml.push(format!("[zone.dmz]\ndefault = \"{default}\"\nallow = [{allow}]\n"));
        }
        for (list, addresses) in &lists {
            toml.push(format!("[list.l{list}]\nmatch = [{}]\n", quoted(addresses)));
        }
        for (id, (addresses, enabled, name)) in &rules {
            toml.push(format!(
                "[[rule]]\nname = \"r{id}-{name}\"\naction = \"block\"\nenabled = {enabled}\nmatch = [{}]\n",
                quoted(addresses)
            ));
        }
        let ids: Vec<u64> = rules.keys().copied().collect();
        ruleset(&toml.concat(), &ids)
    }
}

/// Returns the same ruleset with one order for everything whose order has no meaning.
fn in_order(mut ruleset: Ruleset) -> Ruleset {
    let by_text = |element: &Element| format!("{:?}", element.at);
    ruleset.rules.sort_by_key(|rule| rule.id);
    ruleset.allow.sort_by_key(by_text);
    for zone in ruleset.zones.values_mut() {
        zone.allow.sort_by_key(by_text);
    }
    for list in ruleset.lists.values_mut() {
        list.elements.sort_by_key(|element| element.prefix);
    }
    ruleset
}

/// Returns the same ruleset with files for some of its lists: `which` selects none, `a` or `b` for
/// each.
fn with_files(mut ruleset: Ruleset, which: [u8; 2]) -> Ruleset {
    for (list, which) in ruleset.lists.values_mut().zip(which) {
        let file = |path: &str| Source::File(path.parse().unwrap(), Box::default());
        list.source = [Source::Hand, file("a"), file("b")][usize::from(which % 3)].clone();
    }
    ruleset
}

proptest! {
    #[test]
    fn a_patch_leads_also_where_lists_come_from_files(
        a in any_ruleset(), b in any_ruleset(), files in any::<[[u8; 2]; 2]>(),
    ) {
        let [old, new] = files;
        let (a, b) = (with_files(a, old), with_files(b, new));
        let patch = Patch::between(&a, &b);
        prop_assert_eq!(patch.is_empty(), in_order(a.clone()) == in_order(b.clone()));
        let reached = patch.apply(&a).unwrap();
        prop_assert_eq!(in_order(reached), in_order(b.clone()));
        prop_assert_eq!(patch.apply(&b).unwrap(), b);
    }

    #[test]
    fn what_leads_from_one_ruleset_to_another_leads_there(a in any_ruleset(), b in any_ruleset()) {
        let reached = Patch::between(&a, &b).apply(&a).unwrap();
        prop_assert!(Patch::between(&reached, &b).is_empty());
        prop_assert_eq!(in_order(reached), in_order(b));
    }

    #[test]
    fn a_patch_onto_its_result_changes_nothing(a in any_ruleset(), b in any_ruleset()) {
        let again = Patch::between(&a, &b).apply(&b).unwrap();
        prop_assert_eq!(again, b);
    }

    #[test]
    fn a_merge_without_conflict_does_not_depend_on_who_comes_first(
        base in any_ruleset(), mine in any_ruleset(), theirs in any_ruleset(),
    ) {
        let one = merged(&base, &mine, &theirs);
        let other = merged(&base, &theirs, &mine);
        prop_assert_eq!(one.is_ok(), other.is_ok());
        if let (Ok(one), Ok(other)) = (one, other) {
            prop_assert_eq!(in_order(one), in_order(other));
        }
    }
}
