//! Every counter that `ipblock-ctl counters --json` shows, as one flat map, so that "and no other
//! counter moved" is part of each comparison.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Counters by their path in the JSON: `rules abuse packets`, `totals dropped bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<String, u64>);

/// The totals: every packet is counted in exactly one.
pub(crate) const TOTALS: [&str; 6] = [
    "passed",
    "dropped",
    "warned",
    "allowed",
    "non_ip",
    "malformed",
];

impl Counters {
    /// Reads them from the JSON; only numbers are counters (names and times are not).
    pub(crate) fn from_json(json: &Value) -> Result<Self> {
        let mut counters = Self::default();
        counters.collect("", json)?;
        for total in TOTALS {
            let path = total_packets(total);
            counters
                .0
                .get(&path)
                .with_context(|| format!("no `{path}` in {json}"))?;
        }
        Ok(counters)
    }

    fn collect(&mut self, path: &str, json: &Value) -> Result<()> {
        let below = |name: &str| format!("{path}{}{name}", if path.is_empty() { "" } else { " " });
        match json {
            Value::Number(number) => {
                let count = number
                    .as_u64()
                    .with_context(|| format!("{path}: {number} is no count"))?;
                self.0.insert(path.to_owned(), count);
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.collect(&below(name), value)?;
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    let Some(name) = element.get("name").and_then(Value::as_str) else {
                        bail!("{path}: an element without a name: {element}");
                    };
                    self.collect(&below(name), element)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
        Ok(())
    }

    /// What was counted after `before`; counters that did not move are left out.
    pub(crate) fn since(&self, before: &Self) -> Result<Self> {
        let mut moved = BTreeMap::new();
        for (path, count) in &self.0 {
            let earlier = before.get(path);
            let difference = count
                .checked_sub(earlier)
                .with_context(|| format!("{path} went backwards: {earlier}, then {count}"))?;
            if difference != 0 {
                moved.insert(path.clone(), difference);
            }
        }
        Ok(Self(moved))
    }

    pub(crate) fn add(&mut self, path: String, count: u64) {
        *self.0.entry(path).or_default() += count;
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (path, count) in &other.0 {
            self.add(path.clone(), *count);
        }
    }

    fn get(&self, path: &str) -> u64 {
        self.0.get(path).copied().unwrap_or_default()
    }

    /// Packets of one of [`TOTALS`].
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.get(&total_packets(name))
    }

    /// Packets of all totals: how many went through the filter.
    pub(crate) fn packets(&self) -> u64 {
        TOTALS.iter().map(|total| self.total(total)).sum()
    }

    /// Where these differ from what they should be, a line each.
    pub(crate) fn deviations(&self, expected: &Self) -> Vec<String> {
        let paths: BTreeSet<&String> = self.0.keys().chain(expected.0.keys()).collect();
        paths
            .into_iter()
            .filter(|path| self.get(path) != expected.get(path))
            .map(|path| {
                let (found, wanted) = (self.get(path), expected.get(path));
                format!("{path}: counted {found}, should be {wanted}")
            })
            .collect()
    }
}

fn total_packets(name: &str) -> String {
    format!("totals {name} packets")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(abuse: u64, dropped: u64) -> Value {
        let count = |packets: u64| json!({ "packets": packets, "bytes": packets * 60 });
        json!({
            "rules": [{
                "name": "abuse", "action": "block", "packets": abuse, "bytes": abuse * 60,
                "excepted": 1, "last_hit": "2030-01-01T00:00:00Z",
            }],
            "bans": count(0),
            "allow": count(2),
            "totals": {
                "passed": count(5), "dropped": count(dropped), "warned": count(0),
                "allowed": count(2), "non_ip": count(0), "malformed": count(0),
            },
        })
    }

    #[test]
    fn only_counters_that_moved_are_in_a_difference() {
        let before = Counters::from_json(&sample(3, 3)).unwrap();
        let after = Counters::from_json(&sample(4, 5)).unwrap();
        assert_eq!(before.packets(), 10);
        let moved = after.since(&before).unwrap();
        let expected = [
            ("rules abuse bytes", 60),
            ("rules abuse packets", 1),
            ("totals dropped bytes", 120),
            ("totals dropped packets", 2),
        ];
        let expected = expected.map(|(path, count)| (path.to_owned(), count));
        assert_eq!(moved, Counters(expected.into()));
    }

    #[test]
    fn a_counter_that_goes_backwards_is_an_error() {
        let before = Counters::from_json(&sample(3, 3)).unwrap();
        let after = Counters::from_json(&sample(2, 3)).unwrap();
        let error = after.since(&before).unwrap_err().to_string();
        assert!(
            error.starts_with("rules abuse bytes went backwards"),
            "{error}"
        );
    }

    #[test]
    fn counters_that_should_have_moved_and_those_that_should_not_have_are_deviations() {
        let mut expected = Counters::default();
        expected.add("rules abuse packets".to_owned(), 2);
        let mut found = Counters::default();
        found.add("rules watch packets".to_owned(), 2);
        assert_eq!(
            found.deviations(&expected),
            [
                "rules abuse packets: counted 0, should be 2",
                "rules watch packets: counted 2, should be 0",
            ]
        );
    }

    #[test]
    fn an_answer_without_totals_is_refused() {
        assert!(Counters::from_json(&json!({ "rules": [] })).is_err());
    }
}
