//! `counters`: hits for each rule, and totals.

use super::{
    number::grouped,
    status::named_totals,
    table::{Cell, Column, Table},
    time::relative,
    view::{View, action_word},
};
use crate::api::types::Counters;

/// Hits for each rule, then the totals over all zones; exact numbers.
#[must_use]
pub fn render(counters: &Counters, view: &View) -> String {
    let mut text = if counters.rules.is_empty() {
        "no rules deployed\n".to_owned()
    } else {
        rule_table(counters, view)
    };
    text.push('\n');
    let mut totals = Table::new(&[
        Column::left("TOTAL"),
        Column::right("PACKETS"),
        Column::right("BYTES"),
    ]);
    for (name, count) in named_totals(&counters.totals) {
        totals.row(vec![
            name.into(),
            grouped(count.packets).into(),
            grouped(count.bytes).into(),
        ]);
        // Bans drop too: the line says how many of the dropped are theirs.
        if name == "dropped" {
            totals.row(vec![
                "  by bans".into(),
                grouped(counters.bans.packets).into(),
                grouped(counters.bans.bytes).into(),
            ]);
        }
    }
    text.push_str(&totals.render(view));
    text
}

fn rule_table(counters: &Counters, view: &View) -> String {
    let mut table = Table::new(&[
        Column::name("RULE"),
        Column::left("ACTION"),
        Column::right("PACKETS"),
        Column::right("BYTES"),
        Column::right("EXCEPTED"),
        Column::left("LAST HIT"),
    ]);
    for rule in &counters.rules {
        table.row(vec![
            rule.name.as_str().into(),
            Cell::toned(action_word(rule.action), rule.action.into()),
            grouped(rule.packets).into(),
            grouped(rule.bytes).into(),
            grouped(rule.excepted).into(),
            rule.last_hit
                .map_or("never".to_owned(), |time| relative(view.now, time))
                .into(),
        ]);
    }
    table.render(view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn counters_are_exact() {
        insta::assert_snapshot!(render(&samples::counters(), &samples::view()));
    }

    #[test]
    fn counters_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::counters());
    }
}
