//! `exception list`.

use ipblock_api::types::{EntryState, ExceptionInfo};

use super::{
    table::{Cell, Column, Table, cut},
    view::{View, visible},
};

/// Minimum width of a note.
const MIN_NOTE_WIDTH: usize = 12;

/// Renders one line per exception.
#[must_use]
pub fn render(exceptions: &[ExceptionInfo], view: &View) -> String {
    if exceptions.is_empty() {
        return "no exceptions\n".to_owned();
    }
    let staged = exceptions
        .iter()
        .any(|exception| exception.state != EntryState::Deployed);
    let mut table = Table::with_state(
        &[
            Column::left("RULE"),
            Column::left("ADDRESS"),
            Column::left("NOTE"),
        ],
        view,
    );
    for exception in exceptions {
        table.state_row(
            exception.state,
            vec![
                exception.rule.as_str().into(),
                exception.address.as_str().into(),
                "".into(),
            ],
            view,
        );
    }
    if !staged {
        table.drop_columns(&[""], view);
    }
    let notes = exceptions.iter().map(|exception| exception.note.as_str());
    fit_last_column(&mut table, notes, view);
    table.render_with_legend(staged, view)
}

/// Fills the last column with notes, cut to the remaining width; `--json` has them completely.
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
    use crate::samples;

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
