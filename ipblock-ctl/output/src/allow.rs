//! `allow list`.

use ipblock_api::types::{AllowInfo, EntryState};

use super::{
    table::{Column, Table},
    view::View,
};

/// Renders one line per entry.
#[must_use]
pub fn render(entries: &[AllowInfo], view: &View) -> String {
    if entries.is_empty() {
        return "nothing is allowed\n".to_owned();
    }
    let staged = entries
        .iter()
        .any(|entry| entry.state != EntryState::Deployed);
    let mut table = Table::with_state(
        &[
            Column::left("ADDRESS"),
            Column::left("ZONE"),
            Column::left("NOTE"),
        ],
        view,
    );
    for entry in entries {
        table.state_row(
            entry.state,
            vec![
                entry.address.as_str().into(),
                entry.zone.as_deref().unwrap_or("(all)").into(),
                entry.note.as_str().into(),
            ],
            view,
        );
    }
    if !staged {
        table.drop_columns(&[""], view);
    }
    table.render_with_legend(staged, view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn allow_entries_are_a_table() {
        insta::assert_snapshot!(render(&samples::allow(), &samples::view()));
    }

    #[test]
    fn an_empty_allow_list_is_said() {
        assert_eq!(render(&[], &samples::view()), "nothing is allowed\n");
    }

    #[test]
    fn allow_list_json_is_an_array_of_objects() {
        insta::assert_json_snapshot!(samples::allow());
    }
}
