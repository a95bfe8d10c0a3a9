//! `exception list`.

use std::fmt::Write as _;

use super::{
    table::{Cell, Column, Table, cut},
    view::{MARKS, Tone, View, state_mark, visible},
};
use crate::api::types::{EntryState, ExceptionInfo};

/// Columns on the screen that a note gets in any case.
const MIN_NOTE_WIDTH: usize = 12;

/// One line an exception.
#[must_use]
pub fn render(exceptions: &[ExceptionInfo], view: &View) -> String {
    if exceptions.is_empty() {
        return "no exceptions\n".to_owned();
    }
    let staged = exceptions
        .iter()
        .any(|exception| exception.state != EntryState::Deployed);
    let mut table = Table::new(&[
        Column::left(""),
        Column::left("RULE"),
        Column::left("ADDRESS"),
        Column::left("NOTE"),
    ]);
    for exception in exceptions {
        table.row(vec![
            state_mark(exception.state).into(),
            exception.rule.as_str().into(),
            exception.address.as_str().into(),
            "".into(),
        ]);
    }
    if !staged {
        table.drop_columns(&[""]);
    }
    let notes = exceptions.iter().map(|exception| exception.note.as_str());
    fit_last_column(&mut table, notes, view);
    let mut text = table.render(view);
    if staged {
        let _ = writeln!(text, "{}", view.paint(Tone::Faint, MARKS));
    }
    text
}

/// Fills the last column with notes, cut to the width that is left; `--json` has all of them.
pub(super) fn fit_last_column<'a>(
    table: &mut Table,
    notes: impl Iterator<Item = &'a str>,
    view: &View,
) {
    let room = view.width.saturating_sub(table.width_before_last());
    let notes = notes.map(|note| cut(&visible(note), room.max(MIN_NOTE_WIDTH)));
    table.set_last_column(notes.map(Cell::from).collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn exceptions_are_a_table_of_80_columns() {
        let text = render(&samples::exceptions(), &samples::view());
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn no_exceptions_are_said() {
        assert_eq!(render(&[], &samples::view()), "no exceptions\n");
    }

    #[test]
    fn exception_list_json_is_an_array_of_objects() {
        insta::assert_json_snapshot!(samples::exceptions()[..2]);
    }
}
