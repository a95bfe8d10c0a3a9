//! Compares the names in the dashboard, the alerting rules and docs/metrics.md with the page.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    page::page,
    tests::{sample, types},
};

const DASHBOARD: &str = include_str!("../../../../packaging/grafana/ipblock.json");
const RULES: &str = include_str!("../../../../packaging/prometheus/ipblock.rules.yml");
const DOCS: &str = include_str!("../../../../docs/metrics.md");

/// Families that the dashboard omits on purpose: none so far.
const UNUSED: [&str; 0] = [];

/// Labels that Prometheus itself adds to each series.
const ADDED: [&str; 2] = ["instance", "job"];

/// Returns the families, each with the labels of its series.
fn families(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut families: BTreeMap<_, BTreeSet<_>> = types(page)
        .into_keys()
        .map(|name| (name, BTreeSet::new()))
        .collect();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, labels)) = line.split_once('{') else {
            continue;
        };
        let labels = labels.rsplit_once('}').unwrap().0.split(',');
        let names = labels.map(|label| label.split_once('=').unwrap().0);
        families.get_mut(name).unwrap().extend(names);
    }
    families
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Returns our names in a text, each with the matchers after it.
fn uses(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut uses = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_word) {
        rest = &rest[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if word.starts_with("ipblock_") || word == "process_start_time_seconds" {
            let matchers = after.strip_prefix('{').and_then(|m| m.split_once('}'));
            let matchers = matchers.map_or("", |(inside, _)| inside).split(", ");
            let labels = matchers.filter_map(|one| one.split(['=', '!']).next());
            uses.push((word, labels.filter(|label| !label.is_empty()).collect()));
        }
    }
    uses
}

/// Collects texts of the dashboard under one of these keys, at any depth.
fn under<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text),
                    field => under(field, keys, found),
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                under(element, keys, found);
            }
        }
        _ => {}
    }
}

fn dashboard(keys: &[&str]) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    under(&dashboard, keys, &mut found);
    found.into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn assert_on_page(text: &str, families: &BTreeMap<&str, BTreeSet<&str>>) {
    for (name, labels) in uses(text) {
        let known = families.get(name);
        let known = known.unwrap_or_else(|| panic!("no family {name}: {text}"));
        for label in labels {
            let there = known.contains(label) || ADDED.contains(&label);
            assert!(there, "{name} has no label {label}: {text}");
        }
    }
}

#[test]
fn the_dashboard_uses_every_family_and_no_other() {
    let page = page(&sample()).unwrap();
    let families = families(&page);
    let expressions = dashboard(&["expr", "query", "definition"]);
    let mut used = BTreeSet::new();
    for expression in &expressions {
        assert_on_page(expression, &families);
        used.extend(uses(expression).into_iter().map(|(name, _)| name));
    }
    let left_out = families.keys().copied().filter(|name| !used.contains(name));
    assert_eq!(left_out.collect::<Vec<_>>(), UNUSED);
}

#[test]
fn the_dashboard_labels_its_lines_by_labels_of_the_page() {
    let page = page(&sample()).unwrap();
    let labels: BTreeSet<_> = families(&page).into_values().flatten().collect();
    let legends = dashboard(&["legendFormat"]);
    for legend in &legends {
        for part in legend.split("{{").skip(1) {
            let label = part.split_once("}}").unwrap().0;
            assert!(labels.contains(label) || ADDED.contains(&label), "{legend}");
        }
    }
    assert!(legends.iter().any(|legend| legend.contains("{{rule}}")));
}

#[test]
fn panels_of_the_dashboard_lie_beside_each_other_and_ask_the_chosen_data_source() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{title}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} lies over another panel");
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

#[test]
fn the_alerting_rules_use_families_of_the_page() {
    let page = page(&sample()).unwrap();
    assert_on_page(RULES, &families(&page));
    assert!(uses(RULES).len() >= 6);
}

#[test]
fn the_documentation_lists_every_family_with_its_type_and_labels() {
    let page = page(&sample()).unwrap();
    let (types, families) = (types(&page), families(&page));
    let rows = DOCS.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: BTreeMap<_, _> = rows.filter_map(|row| row.split_once("` | ")).collect();
    assert!(rows.keys().eq(types.keys()), "{rows:?}");
    for (name, row) in rows {
        let mut cells = row.split('|').map(str::trim);
        assert_eq!(cells.next(), Some(types[name]), "{name}");
        let labels = cells.nth(1).unwrap().split(", ");
        let labels: BTreeSet<_> = labels
            .map(|label| label.trim_matches('`'))
            .filter(|label| !label.is_empty())
            .collect();
        assert_eq!(labels, families[name], "{name}");
    }
    assert_on_page(DOCS, &families);
}
