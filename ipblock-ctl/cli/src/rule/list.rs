//! `rule list`.

use std::cmp::{Ordering, Reverse};

use clap::{Args, ValueEnum};
use ipblock_api::types::{RuleInfo, RulesQuery};
use ipblock_output::rules::{SHOWN_IN_ROW, render_list};

use super::super::{
    error::{CliError, OK},
    session::Session,
    sort::{SortArgs, SortKey, by_state},
};

/// List rules with their counters
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    order: SortArgs<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Name,
    Action,
    Entries,
    Packets,
    Bytes,
    LastHit,
    Expires,
    Match,
    State,
}

impl SortKey for Column {
    type Row = RuleInfo;

    const HELP: &'static str = "Sort by this column: counts and last hit from the top, `match` by how \
                                much it lists, what is staged first, the others from A to Z or \
                                soonest first [default: the order in which they were added]";

    fn sort(self, rules: &mut [RuleInfo]) {
        rules.sort_by(|a, b| compare(a, b, self));
    }
}

impl Column {
    /// Returns the title of its column in the table.
    const fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Action => "ACTION",
            Self::Entries => "ENTRIES",
            Self::Packets => "PACKETS",
            Self::Bytes => "BYTES",
            Self::LastHit => "LAST HIT",
            Self::Expires => "EXPIRES",
            Self::Match => "MATCH",
            Self::State => "",
        }
    }
}

pub(crate) async fn run(args: &ListArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    // A row shows the first few addresses of a rule.
    let elements = (!session.output.is_json()).then_some(SHOWN_IN_ROW);
    let mut rules = session.client.rules(RulesQuery { elements }).await?;
    args.order.apply(&mut rules);
    let sorted_by = args.order.sort.map(Column::title);
    session.show(&rules, |rules, view| render_list(rules, sorted_by, view))?;
    Ok(OK)
}

/// Sorts what operators look for first: large before small, recent hits before old ones, early ends
/// before late or none.
fn compare(a: &RuleInfo, b: &RuleInfo, key: Column) -> Ordering {
    match key {
        Column::Name => a.name.cmp(&b.name),
        Column::Action => a.action.cmp(&b.action),
        Column::Entries => b.entries.cmp(&a.entries),
        Column::Packets => b.packets.cmp(&a.packets),
        Column::Bytes => b.bytes.cmp(&a.bytes),
        Column::LastHit => Reverse(a.last_hit).cmp(&Reverse(b.last_hit)),
        Column::Expires => {
            let end = |rule: &RuleInfo| (rule.expires.is_none(), rule.expires);
            end(a).cmp(&end(b))
        }
        Column::Match => matched(b).cmp(&matched(a)),
        Column::State => by_state(a.state).cmp(&by_state(b.state)),
    }
}

/// Returns the number of elements of its `match`.
fn matched(rule: &RuleInfo) -> u64 {
    rule.more_match.saturating_add(rule.matches.len() as u64)
}

#[cfg(test)]
mod tests {
    use ipblock_api::types::EntryState;

    use super::*;

    fn rule(name: &str, packets: u64, expires: &str, last_hit: &str) -> RuleInfo {
        let time = |text: &str| match text {
            "" => serde_json::Value::Null,
            text => serde_json::Value::from(format!("2026-{text}T00:00:00Z")),
        };
        serde_json::from_value(serde_json::json!({
            "name": name, "action": "block", "enabled": true, "match": [], "except": [],
            "expires": time(expires), "note": "", "alert": false, "zones": [], "entries": 0,
            "packets": packets, "bytes": 0, "excepted": 0, "last_hit": time(last_hit),
            "state": "deployed",
        }))
        .expect("a rule")
    }

    fn sorted(key: Column) -> String {
        let mut rules = [
            rule("b", 5, "", "01-01"),
            rule("c", 7, "03-01", ""),
            rule("a", 5, "02-01", "01-02"),
        ];
        key.sort(&mut rules);
        rules.map(|rule| rule.name).concat()
    }

    #[test]
    fn names_sort_upwards_and_counts_downwards() {
        assert_eq!(sorted(Column::Name), "abc");
        assert_eq!(sorted(Column::Packets), "cba");
    }

    #[test]
    fn equal_rules_keep_their_order() {
        assert_eq!(sorted(Column::Bytes), "bca");
    }

    #[test]
    fn the_rule_that_ends_first_and_the_latest_hit_come_first() {
        assert_eq!(sorted(Column::Expires), "acb");
        assert_eq!(sorted(Column::LastHit), "abc");
    }

    #[test]
    fn the_longest_match_list_and_what_is_staged_come_first() {
        let mut rules = [rule("a", 0, "", ""), rule("b", 0, "", "")];
        rules[1].matches.push("192.0.2.1/32".to_owned());
        rules[1].state = EntryState::Removed;
        for key in [Column::Match, Column::State] {
            assert_eq!(compare(&rules[0], &rules[1], key), Ordering::Greater);
        }
    }
}
