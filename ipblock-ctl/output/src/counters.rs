//! `counters`: hits per rule, totals, and their rates.

use std::time::Duration;

use ipblock_api::types::{Count, Counters, RuleCount};

use super::{
    number::{bytes, grouped},
    rates::{self, Rate},
    status::named_totals,
    table::{Cell, Column, Table},
    view::View,
};

/// Earlier counters, and their age.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'a> {
    /// The earlier counters.
    pub counters: &'a Counters,
    /// Time between both readings.
    pub elapsed: Duration,
}

/// Renders exact hits per rule, then the totals over all zones.
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
        // Bans drop too: the line has their part of the dropped packets.
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
            Cell::toned(rule.action.as_str(), rule.action.into()),
            grouped(rule.packets).into(),
            grouped(rule.bytes).into(),
            grouped(rule.excepted).into(),
            rule.last_hit
                .map_or("never".to_owned(), |time| view.when(time))
                .into(),
        ]);
    }
    table.fit_names(view.width);
    table.render(view)
}

/// Width of the last hit.
const LAST_HIT_WIDTH: usize = 9;

/// Renders hits per rule and totals, with the rates since an earlier reading.
#[must_use]
pub fn render_rates(counters: &Counters, earlier: Option<Earlier<'_>>, view: &View) -> String {
    let mut text = if counters.rules.is_empty() {
        "no rules deployed\n".to_owned()
    } else {
        rule_rates(counters, earlier, view)
    };
    text.push('\n');
    let mut totals = Table::new(&[
        Column::left("TOTAL"),
        Column::right("PACKETS"),
        Column::right("PACKETS/S"),
        Column::right("BYTES"),
        Column::right("BYTES/S"),
    ]);
    let mut line = |name: &str, count: Count, before: Option<Count>| {
        let rate = rate(count, before, earlier);
        totals.row(vec![
            name.into(),
            grouped(count.packets).into(),
            rates::rate_text(rate.map(|rate| rate.packets)).into(),
            grouped(count.bytes).into(),
            bytes_a_second(rate).into(),
        ]);
    };
    let before = earlier.map(|earlier| named_totals(&earlier.counters.totals));
    for (index, (name, count)) in named_totals(&counters.totals).into_iter().enumerate() {
        let before = before.and_then(|totals| Some(totals.get(index)?.1));
        line(name, count, before);
        if name == "dropped" {
            let before = earlier.map(|earlier| earlier.counters.bans);
            line("  by bans", counters.bans, before);
        }
    }
    text.push_str(&totals.render(view));
    text
}

fn rule_rates(counters: &Counters, earlier: Option<Earlier<'_>>, view: &View) -> String {
    let mut table = Table::new(&[
        Column::name("RULE"),
        Column::left("ACTION"),
        Column::right("PACKETS"),
        Column::right("PACKETS/S"),
        Column::right("BYTES"),
        Column::right("BYTES/S"),
        Column::right("EXCEPTED"),
        Column::left("LAST HIT"),
    ]);
    for rule in &counters.rules {
        let before = earlier.and_then(|earlier| {
            let rules = &earlier.counters.rules;
            let before = rules.iter().find(|before| before.name == rule.name)?;
            Some(hits(before))
        });
        let rate = rate(hits(rule), before, earlier);
        let last_hit = rule.last_hit.map(|time| view.when(time));
        table.row(vec![
            rule.name.as_str().into(),
            Cell::toned(rule.action.as_str(), rule.action.into()),
            grouped(rule.packets).into(),
            rates::rate_text(rate.map(|rate| rate.packets)).into(),
            grouped(rule.bytes).into(),
            bytes_a_second(rate).into(),
            grouped(rule.excepted).into(),
            last_hit.unwrap_or_else(|| "never".to_owned()).into(),
        ]);
    }
    for title in ["EXCEPTED", "BYTES", "BYTES/S"] {
        if table.width_before_last() + LAST_HIT_WIDTH > view.width {
            table.drop_columns(&[title], view);
        }
    }
    table.fit_names(view.width);
    table.render(view)
}

const fn hits(rule: &RuleCount) -> Count {
    Count {
        packets: rule.packets,
        bytes: rule.bytes,
    }
}

fn rate(count: Count, before: Option<Count>, earlier: Option<Earlier<'_>>) -> Option<Rate> {
    Some(Rate::between(before?, count, earlier?.elapsed))
}

fn bytes_a_second(rate: Option<Rate>) -> String {
    rate.map_or("-".to_owned(), |rate| bytes(rates::whole(rate.bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn counters_are_exact() {
        insta::assert_snapshot!(render(&samples::counters(), &samples::view()));
    }

    #[test]
    fn rates_stand_beside_the_totals() {
        let before = samples::counters();
        let mut now = before.clone();
        now.rules[0].packets += 30;
        now.rules[0].bytes += 1800;
        now.rules[1].packets = 7;
        now.totals.dropped.packets += 30;
        now.totals.dropped.bytes += 1800;
        now.bans.packets += 3;
        let mut new = now.rules[0].clone();
        new.name = "new".to_owned();
        now.rules.push(new);
        let earlier = Earlier {
            counters: &before,
            elapsed: Duration::from_secs(2),
        };
        let text = render_rates(&now, Some(earlier), &samples::view());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        insta::assert_snapshot!(text);
        let first = render_rates(&now, None, &samples::view());
        assert!(first.contains("        -"), "{first}");
    }

    #[test]
    fn a_long_name_is_cut_to_80_columns_and_whole_where_there_is_room() {
        let mut counters = samples::counters();
        counters.rules[1].name = "n".repeat(64);
        let earlier = Earlier {
            counters: &samples::counters(),
            elapsed: Duration::from_secs(1),
        };
        let mut view = samples::view();
        for text in [
            render(&counters, &view),
            render_rates(&counters, Some(earlier), &view),
        ] {
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
            assert!(text.contains("nnn...  warn "), "{text}");
        }
        view.width = 160;
        for text in [
            render(&counters, &view),
            render_rates(&counters, Some(earlier), &view),
        ] {
            assert!(text.contains(&counters.rules[1].name), "{text}");
        }
    }

    #[test]
    fn counters_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::counters());
    }
}
