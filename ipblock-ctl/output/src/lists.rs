//! `list list` and `list show`.

use std::fmt::Write as _;

use ipblock_api::types::{EntryState, ListContent, ListInfo, Reloaded, SourceKind};

use super::{
    exceptions::fit_last_column,
    number::{counted, grouped},
    table::{Cell, Column, Table, cut, fit_list},
    time::relative,
    view::{Tone, View, WHOLE, visible},
};

/// Maximum width of a source.
const MAX_SOURCE_WIDTH: usize = 30;

/// Minimum width of the users of a list.
const MIN_USERS_WIDTH: usize = 12;

/// Renders one line per list.
#[must_use]
pub fn render_list(lists: &[ListInfo], view: &View) -> String {
    if lists.is_empty() {
        return "no lists\n".to_owned();
    }
    let staged = lists.iter().any(|list| list.state != EntryState::Deployed);
    let source = source_title(lists);
    let mut table = Table::with_state(
        &[
            Column::left("NAME"),
            Column::right("ENTRIES"),
            Column::left(source),
            Column::left("READ"),
            Column::left("USED BY"),
        ],
        view,
    );
    for list in lists {
        let followed = list.source.written();
        let followed = followed.map_or("-".to_owned(), |(_, text)| visible(text));
        let most = if view.is_whole() {
            WHOLE
        } else {
            MAX_SOURCE_WIDTH
        };
        table.state_row(
            list.state,
            vec![
                list.name.as_str().into(),
                grouped(list.entries).into(),
                cut(&followed, most).into(),
                read(list, view).into(),
                "".into(),
            ],
            view,
        );
    }
    let mut unneeded = Vec::new();
    if !staged {
        unneeded.push("");
    }
    if lists.iter().all(|list| list.source.written().is_none()) {
        unneeded.extend([source, "READ"]);
    }
    table.drop_columns(&unneeded, view);
    let room = view.width.saturating_sub(table.width_before_last());
    let users = lists.iter().map(|list| {
        let last = list.used_by.len().saturating_sub(1);
        let users = list.used_by.iter().enumerate();
        let users: Vec<_> = users
            .map(|(index, user)| format!("{user}{}", if index < last { "," } else { "" }))
            .collect();
        Cell::from(fit_list(&users, room.max(MIN_USERS_WIDTH)))
    });
    table.set_last_column(users.collect());
    let mut text = table.render_with_legend(staged, view);
    for problem in lists.iter().filter_map(|list| list.problem.as_deref()) {
        let _ = writeln!(
            text,
            "{}: {}",
            view.paint(Tone::Caution, "problem"),
            visible(problem)
        );
    }
    text
}

/// Returns when the source of a list was read.
fn read(list: &ListInfo, view: &View) -> String {
    match list.last_read {
        None => "-".to_owned(),
        Some(time) => view.when(time),
    }
}

/// Renders what came of reading lists.
#[must_use]
pub fn render_reloaded(lists: &[Reloaded]) -> String {
    let mut text = String::new();
    for list in lists {
        let entries = counted(list.entries, "entry", "entries");
        let said = match (&list.problem, list.changed) {
            (Some(problem), _) => visible(problem),
            (None, true) => format!(
                "list {}: {} before, {entries} now, deployed",
                list.name,
                grouped(list.before)
            ),
            (None, false) => format!("list {}: {entries}, unchanged", list.name),
        };
        let _ = writeln!(text, "{said}");
    }
    text
}

/// Returns the title of the column of sources: their kind, if all have the same.
fn source_title(lists: &[ListInfo]) -> &'static str {
    let sources = lists.iter().filter_map(|list| list.source.written());
    let mut kinds = sources.map(|(kind, _)| kind);
    let first = kinds.next().unwrap_or(SourceKind::File);
    if kinds.all(|kind| kind == first) {
        first.title()
    } else {
        "SOURCE"
    }
}

/// Renders everything about one list.
#[must_use]
pub fn render_content(list: &ListContent, view: &View) -> String {
    let state = match list.state {
        EntryState::Deployed => "",
        EntryState::Added => ", staged: not yet deployed",
        EntryState::Changed => ", staged: differs from what is deployed",
        EntryState::Removed => ", staged to be removed",
    };
    let name = view.paint(Tone::Strong, &format!("list {}", list.name));
    let kept = list.source.written().map_or_else(
        || "kept by hand".to_owned(),
        |(_, text)| format!("read from {}", visible(text)),
    );
    let users = match list.used_by.as_slice() {
        [] => "nothing".to_owned(),
        users => users.join(", "),
    };
    let shown = list.entries.len() as u64;
    // A daemon of an earlier version sends every entry and no total.
    let entries = counted(list.total.max(shown), "entry", "entries");
    let read = list.last_read.map(|time| relative(view.now, time));
    let read = read.map_or(String::new(), |ago| format!(" ({ago})"));
    let mut text = format!("{name}: {entries}, {kept}{read}{state}\nused by {users}\n");
    if let Some(problem) = &list.problem {
        let _ = writeln!(
            text,
            "{}: {}",
            view.paint(Tone::Caution, "problem"),
            visible(problem)
        );
    }
    if list.entries.is_empty() {
        return text;
    }
    let mut table = Table::new(&[Column::left("ADDRESS"), Column::left("NOTE")]);
    for entry in &list.entries {
        table.row(vec![entry.address.as_str().into(), "".into()]);
    }
    if list.entries.iter().all(|entry| entry.note.is_empty()) {
        table.drop_columns(&["NOTE"], view);
    } else {
        let notes = list.entries.iter().map(|entry| entry.note.as_str());
        fit_last_column(&mut table, notes, view);
    }
    text.push_str(&table.render(view));
    text
}

#[cfg(test)]
mod tests {
    use ipblock_api::types::SourceText;

    use super::*;
    use crate::samples;

    #[test]
    fn lists_are_a_table_of_80_columns() {
        let text = render_list(&samples::lists(), &samples::view());
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_list_that_is_not_what_its_file_says_shows_why() {
        let mut lists = samples::lists();
        lists.truncate(1);
        let why = "list drop is not read: a rollback put revision 23 back";
        lists[0].problem = Some(why.to_owned());
        let mut list = samples::list();
        list.problem = Some(why.to_owned());
        let view = samples::view();
        for text in [render_list(&lists, &view), render_content(&list, &view)] {
            let line = format!("\nproblem: {why}\n");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn lists_by_hand_need_no_file_column() {
        let list = samples::lists().swap_remove(1);
        insta::assert_snapshot!(render_list(&[list], &samples::view()));
    }

    #[test]
    fn a_list_shows_what_it_holds_and_what_uses_it() {
        let mut list = samples::list();
        let noted = render_content(&list, &samples::view());
        list.entries.truncate(1);
        list.used_by.clear();
        list.source = SourceText::default();
        list.last_read = None;
        list.total = 1;
        list.state = EntryState::Added;
        let bare = render_content(&list, &samples::view());
        list.entries.clear();
        list.total = 0;
        let empty = render_content(&list, &samples::view());
        insta::assert_snapshot!([noted, bare, empty].join("\n"));
    }

    #[test]
    fn no_lists_are_said() {
        assert_eq!(render_list(&[], &samples::view()), "no lists\n");
    }

    #[test]
    fn list_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::lists()[..2]);
        insta::assert_json_snapshot!(samples::list());
    }
}
