//! `rule list` and `rule show`.

use ipblock_api::types::{EntryState, RuleInfo};

use super::{
    number::{bytes, grouped, short},
    table::{Cell, Column, Table, fit_beginning},
    time::{clock, relative},
    view::{Tone, View, visible},
};

/// Maximum of addresses in `rule show`; it prints the number of the others.
pub const SHOWN_ADDRESSES: u64 = 20;

/// Maximum of addresses in a row of `rule list`, on the widest screen.
pub const SHOWN_IN_ROW: u64 = 200;

/// Width of the match list, if necessary at the cost of other columns.
const GOOD_MATCH_WIDTH: usize = 21;

/// Minimum width of the match list.
const MIN_MATCH_WIDTH: usize = 12;

/// Renders one line per rule with its counters. Always shows the column that they are sorted by.
#[must_use]
pub fn render_list(rules: &[RuleInfo], sorted_by: Option<&str>, view: &View) -> String {
    if rules.is_empty() {
        return "no rules\n".to_owned();
    }
    let staged = rules.iter().any(|rule| rule.state != EntryState::Deployed);
    let mut table = list_table(rules, view);
    let mut unneeded = Vec::new();
    if !staged {
        unneeded.push("");
    }
    if rules.iter().all(|rule| rule.expires.is_none()) && sorted_by != Some("EXPIRES") {
        unneeded.push("EXPIRES");
    }
    table.drop_columns(&unneeded, view);
    // Matches and hits are the most useful; `rule show` and --json have the rest.
    for title in ["ENTRIES", "BYTES"] {
        let tight = table.width_before_last() + GOOD_MATCH_WIDTH > view.width;
        if tight && sorted_by != Some(title) {
            table.drop_columns(&[title], view);
        }
    }
    let room = view.width.saturating_sub(table.width_before_last());
    let matches: Vec<Cell> = rules
        .iter()
        .map(|rule| {
            let room = room.max(MIN_MATCH_WIDTH);
            Cell::from(fit_beginning(&rule.matches, rule.more_match, room))
        })
        .collect();
    table.set_last_column(matches);
    table.render_with_legend(staged, view)
}

fn list_table(rules: &[RuleInfo], view: &View) -> Table {
    let mut table = Table::with_state(
        &[
            Column::name("NAME"),
            Column::left("ACTION"),
            Column::right("PACKETS"),
            Column::right("BYTES"),
            Column::left("LAST HIT"),
            Column::left("EXPIRES"),
            Column::right("ENTRIES"),
            Column::left("MATCH"),
        ],
        view,
    );
    for rule in rules {
        let action = if rule.enabled {
            Cell::toned(rule.action.as_str(), rule.action.into())
        } else {
            Cell::toned("off", Tone::Faint)
        };
        let since = |time| view.when(time);
        table.state_row(
            rule.state,
            vec![
                rule.name.as_str().into(),
                action,
                short(rule.packets).into(),
                bytes(rule.bytes).into(),
                rule.last_hit.map_or("never".to_owned(), since).into(),
                rule.expires.map_or("-".to_owned(), since).into(),
                short(rule.entries).into(),
                "".into(),
            ],
            view,
        );
    }
    table
}

/// Renders everything about one rule.
#[must_use]
pub fn render_rule(rule: &RuleInfo, view: &View) -> String {
    let action = view.paint(rule.action.into(), rule.action.as_str());
    let enabled = if rule.enabled { "" } else { ", switched off" };
    let state = match rule.state {
        EntryState::Deployed => "",
        EntryState::Added => ", staged: not yet deployed",
        EntryState::Changed => ", staged: differs from what is deployed",
        EntryState::Removed => ", staged to be removed",
    };
    let name = view.paint(Tone::Strong, &format!("rule {}", rule.name));
    let mut text = format!("{name}: {action}{enabled}{state}\n");
    let mut table = Table::new(&[Column::left(""), Column::left("")]);
    let mut field = |label: &str, value: String| {
        table.row(vec![format!("  {label}").into(), value.into()]);
    };
    addresses("match", &rule.matches, rule.more_match, &mut field);
    addresses("except", &rule.except, rule.more_except, &mut field);
    let zones = if rule.zones.is_empty() {
        "all".to_owned()
    } else {
        rule.zones.join(", ")
    };
    field("zones", zones);
    let time = |time| {
        format!(
            "{} ({})",
            relative(view.now, time),
            clock(time, &view.time_zone)
        )
    };
    let ended = rule.expires.is_some_and(|end| end <= view.now);
    let title = if ended { "ended" } else { "expires" };
    field(title, rule.expires.map_or("never".to_owned(), time));
    if rule.alert {
        field("alert", "yes".to_owned());
    }
    if !rule.note.is_empty() {
        field("note", visible(&rule.note));
    }
    field("entries", grouped(rule.entries));
    let hits = format!("{} ({})", grouped(rule.packets), bytes(rule.bytes));
    field("packets", hits);
    field("last hit", rule.last_hit.map_or("never".to_owned(), time));
    field("excepted", grouped(rule.excepted));
    text.push_str(&table.render(view));
    text
}

/// `more` is the number of elements that are not in the list.
fn addresses(label: &str, list: &[String], more: u64, field: &mut impl FnMut(&str, String)) {
    let mut label = label;
    let mut left = more.saturating_add(list.len() as u64);
    for (address, _) in list.iter().zip(0..SHOWN_ADDRESSES) {
        field(label, address.clone());
        label = "";
        left -= 1;
    }
    if left > 0 {
        let left = grouped(left);
        field(label, format!("and {left} more (--json shows all)"));
    }
    if list.is_empty() {
        field(label, "-".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn rules_are_a_table_of_80_columns() {
        let text = render_list(&samples::rules(), None, &samples::view());
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_column_that_is_sorted_by_stays() {
        for title in ["ENTRIES", "BYTES", "EXPIRES"] {
            let text = render_list(&samples::rules(), Some(title), &samples::view());
            let titles = text.lines().next().expect("titles");
            assert!(titles.contains(title), "{text}");
        }
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let rule = samples::rules().swap_remove(0);
        insta::assert_snapshot!(render_list(&[rule], None, &samples::view()));
    }

    #[test]
    fn a_wide_terminal_shows_more_addresses() {
        let mut view = samples::view();
        view.width = 140;
        insta::assert_snapshot!(render_list(&samples::rules(), None, &view));
    }

    #[test]
    fn no_rules_is_said() {
        assert_eq!(render_list(&[], None, &samples::view()), "no rules\n");
    }

    #[test]
    fn a_rule_shows_all_of_its_fields() {
        let rules = samples::rules();
        let all: String = rules
            .iter()
            .map(|rule| render_rule(rule, &samples::view()) + "\n")
            .collect();
        insta::assert_snapshot!(all);
    }

    #[test]
    fn rule_list_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::rules()[..2]);
    }
}
