//! `top`: the sources with the most hits.

use ipblock_api::types::TopInfo;

use super::{
    number::{bytes, short},
    table::{Cell, Column, Table, fit_list},
    view::{View, visible},
};

/// Minimum width of the rules.
const MIN_RULES_WIDTH: usize = 8;

/// The accuracy of `top`, in one line next to the table.
pub const BOUND: &str =
    "the 65,536 sources that hit last; past 64 hits per tick and CPU, estimates";

/// Renders one line per source, in the given order.
#[must_use]
pub fn render(top: &[TopInfo], view: &View) -> String {
    let is_by_prefix = top.iter().any(|source| source.prefix.is_some());
    let mut table = Table::new(&[
        Column::left(if is_by_prefix { "PREFIX" } else { "SOURCE" }),
        Column::right("SOURCES"),
        Column::right("PACKETS"),
        Column::right("BYTES"),
        Column::left("LAST HIT"),
        Column::left("RULES"),
    ]);
    for source in top {
        table.row(vec![
            shown(source).into(),
            short(source.sources.unwrap_or(1)).into(),
            short(source.packets).into(),
            bytes(source.bytes).into(),
            last_hit(source, view).into(),
            "".into(),
        ]);
    }
    if !is_by_prefix {
        // Not a matter of content: the command line says which form it is.
        table.drop_columns(
            &["SOURCES"],
            &View {
                width: 0,
                ..view.clone()
            },
        );
    }
    let room = view.width.saturating_sub(table.width_before_last());
    let rules = top.iter().map(|source| {
        let rules = fit_list(&rules(source), room.max(MIN_RULES_WIDTH));
        Cell::from(rules)
    });
    table.set_last_column(rules.collect());
    table.render(view)
}

/// Returns the source, or the prefix whose sources are added up.
fn shown(source: &TopInfo) -> String {
    match source.prefix {
        Some(prefix) => prefix.to_string(),
        None => source.source.to_string(),
    }
}

fn last_hit(source: &TopInfo, view: &View) -> String {
    source
        .last_hit
        .map_or("-".to_owned(), |time| view.when(time))
}

/// Returns what a source hit: rules by name, and `(ban)`.
#[must_use]
pub fn rules(source: &TopInfo) -> Vec<String> {
    let ban = source.banned.then(|| "(ban)".to_owned());
    let rules = source.rules.iter().map(|rule| visible(rule));
    ban.into_iter().chain(rules).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_sources_that_hit_are_a_table_of_80_columns() {
        let text = render(&samples::top(), &samples::view());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn top_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::top());
    }

    #[test]
    fn the_bound_is_one_line_of_80_columns() {
        assert!(BOUND.len() <= 80, "{BOUND}");
    }
}
