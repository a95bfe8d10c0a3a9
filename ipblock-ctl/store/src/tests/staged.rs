use ipblock_policy::Hinted;
use serde_json::json;

use super::*;

fn edit(second: i64) -> StagedEdit {
    StagedEdit {
        time: at(second),
        author: Author::user(1000, ""),
        summary: vec![
            "added rule abuse".to_owned(),
            "match 192.0.2.0/24".to_owned(),
        ],
        edit: json!({"edit": "remove_rules", "names": ["abuse"]}),
    }
}

#[test]
fn staged_edits_add_up_over_restarts() {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.staged().unwrap(), None);
    let (first, second) = (ruleset("a", &[]), ruleset("b", &[("abuse", 1)]));
    fixture.store.stage(7, &first, &[edit(1)]).unwrap();
    let fixture = fixture.reopen();
    fixture
        .store
        .stage(7, &second, &[edit(2), edit(3)])
        .unwrap();

    let expected = Staged {
        base: 7,
        edits: 3,
        ruleset: second,
    };
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.staged().unwrap(), Some(expected));
    assert_eq!(
        fixture.store.staged_edits().unwrap(),
        [edit(1), edit(2), edit(3)]
    );
}

#[test]
fn discarding_leaves_nothing_staged() {
    let fixture = Fixture::new();
    fixture
        .store
        .stage(1, &ruleset("a", &[]), &[edit(1)])
        .unwrap();
    assert!(fixture.store.clear_staged().unwrap());
    assert!(!fixture.store.clear_staged().unwrap());
    assert_eq!(fixture.store.staged().unwrap(), None);
    assert_eq!(fixture.store.staged_edits().unwrap(), []);
    let texts: i64 = fixture
        .store
        .connection()
        .query_row("SELECT count(*) FROM ruleset", [], |row| row.get(0))
        .unwrap();
    assert_eq!(texts, 0);
    fixture.store.stage(2, &ruleset("b", &[]), &[]).unwrap();
    assert_eq!(fixture.store.staged().unwrap().unwrap().edits, 0);
}

#[test]
fn a_part_of_the_staged_edits_is_removed_with_its_size() {
    let fixture = Fixture::new();
    let (whole, rest) = (ruleset("a", &[("abuse", 1)]), ruleset("b", &[]));
    let edits = [edit(1), edit(2), edit(3)];
    fixture.store.stage(7, &whole, &edits).unwrap();
    assert_eq!(fixture.store.restage(8, &rest, &[0, 2]).unwrap(), 1);
    let expected = Staged {
        base: 8,
        edits: 1,
        ruleset: rest.clone(),
    };
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.staged().unwrap(), Some(expected));
    assert_eq!(fixture.store.staged_edits().unwrap(), [edit(2)]);
    let bytes = |store: &Store| -> i64 {
        let connection = store.connection();
        let bytes = connection.query_row("SELECT edit_bytes FROM staged", [], |row| row.get(0));
        bytes.unwrap()
    };
    let left = bytes(&fixture.store);
    fixture.store.clear_staged().unwrap();
    fixture.store.stage(8, &rest, &[edit(2)]).unwrap();
    assert_eq!(left, bytes(&fixture.store));
}

#[test]
fn discarding_what_equals_a_revision_keeps_the_revision() {
    let fixture = Fixture::new();
    let stored = ruleset("a", &[("abuse", 1)]);
    let number = fixture.revision(&stored, RevisionState::Deployed);
    fixture.store.stage(number, &stored, &[]).unwrap();
    fixture.store.clear_staged().unwrap();
    assert_eq!(fixture.store.ruleset(number).unwrap(), stored);
}

#[test]
fn edits_of_another_base_are_refused() {
    let fixture = Fixture::new();
    let before = ruleset("a", &[]);
    fixture.store.stage(1, &before, &[edit(1)]).unwrap();
    let refused = fixture.store.stage(2, &ruleset("b", &[]), &[edit(2)]);
    assert!(matches!(
        refused,
        Err(StoreError::StagedBase {
            staged: 1,
            given: 2
        })
    ));
    let staged = fixture.store.staged().unwrap().unwrap();
    assert_eq!((staged.ruleset, staged.edits), (before, 1));
}

#[test]
fn too_many_or_too_large_edits_are_refused_and_change_nothing() {
    let mut fixture = Fixture::new();
    fixture.store.limits.staged_edits = 2;
    let before = ruleset("a", &[]);
    fixture
        .store
        .stage(1, &before, &[edit(1), edit(2)])
        .unwrap();
    let after = ruleset("b", &[]);
    let refused = fixture.store.stage(1, &after, &[edit(3)]);
    assert!(matches!(
        refused,
        Err(StoreError::TooMuchStaged { edits: 3, .. })
    ));
    fixture.store.limits.staged_edits = 10;
    fixture.store.limits.staged_bytes = 200;
    let refused = fixture.store.stage(1, &after, &[edit(3)]).unwrap_err();
    assert!(refused.hint().unwrap().contains("discard"));

    assert_eq!(
        fixture.store.staged_edits().unwrap(),
        [edit(1), edit(2)],
        "a refused edit is undone"
    );
    assert_eq!(fixture.store.staged().unwrap().unwrap().ruleset, before);
}

#[test]
fn what_is_staged_moves_to_another_revision_with_its_edits() {
    let fixture = Fixture::new();
    let (before, after) = (ruleset("a", &[]), ruleset("b", &[("abuse", 1)]));
    fixture.store.rebase_staged(8, &after).unwrap();
    assert_eq!(fixture.store.staged().unwrap(), None);
    fixture.store.stage(7, &before, &[edit(1)]).unwrap();
    fixture.store.rebase_staged(8, &after).unwrap();
    let expected = Staged {
        base: 8,
        edits: 1,
        ruleset: after.clone(),
    };
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.staged().unwrap(), Some(expected));
    assert_eq!(fixture.store.staged_edits().unwrap(), [edit(1)]);
    fixture.store.stage(8, &after, &[edit(2)]).unwrap();
    let texts: i64 = fixture
        .store
        .connection()
        .query_row("SELECT count(*) FROM ruleset", [], |row| row.get(0))
        .unwrap();
    assert_eq!(texts, 1);
}
