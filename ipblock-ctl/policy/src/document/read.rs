//! Reads the tables of a document, and checks the relations between them.

use std::{collections::BTreeMap, str::FromStr};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    Document, Origin,
    elements::{
        KnownNames, check_keys, checked_name, elements, list_elements, text, word, wrong_type,
    },
    problem::Problems,
    rule::{RulePlace, rule},
};
use crate::{
    address::excerpt,
    exchange::{KEYS, is_repeated},
    name::{ListName, NameError, ZoneName},
    ruleset::{DefaultVerdict, Element, List, MalformedPolicy, Rule, Ruleset, Zone},
    safety,
    source::{Source, SourceKind, SourceText},
};

/// Reads a whole document. Omits what has problems.
pub(super) fn document(
    document: &DeTable<'_>,
    before: &Ruleset,
    problems: &mut Problems,
) -> Document {
    Document {
        origin: origin(document, problems),
        ruleset: ruleset(document, before, problems),
    }
}

fn origin(document: &DeTable<'_>, problems: &mut Problems) -> Option<Origin> {
    let (text, at) = text(document, "revision", problems)?;
    let origin = text.parse().ok();
    if origin.is_none() {
        let message = format!(
            "`revision` is not what an export writes: `{}`",
            excerpt(text)
        );
        let hint =
            "leave the line out; it only tells `apply` which revision the file was made from";
        problems.add(at, message, Some(hint.to_owned()));
    }
    origin
}

fn ruleset(document: &DeTable<'_>, before: &Ruleset, problems: &mut Problems) -> Ruleset {
    check_keys(
        document,
        &["revision", "rule", "allow", "zone", "list"],
        "a ruleset",
        problems,
    );
    let zones = named_tables(document, "zone", problems);
    let lists = named_tables(document, "list", problems);
    // Names that are rejected themselves count as known, because one problem is enough.
    let mut known = KnownNames {
        lists: lists
            .iter()
            .map(|(key, _)| key.get_ref().as_ref())
            .collect(),
        zones: zones
            .iter()
            .map(|(key, _)| key.get_ref().as_ref())
            .collect(),
    };
    known.zones.insert(ZoneName::DEFAULT);

    let mut ruleset = Ruleset::default();
    for (key, table) in lists {
        let list = list(key, table, problems);
        if let Some(name) = name(key, problems) {
            ruleset.lists.insert(name, list);
        }
    }
    let mut zone_places = Vec::new();
    for (key, table) in zones {
        let zone = zone(table, &known, problems);
        if let Some(name) = name::<ZoneName>(key, problems) {
            zone_places.push((name.clone(), key.span().start));
            ruleset.zones.insert(name, zone);
        }
    }
    if let Some(value) = document.get("allow") {
        match value.get_ref() {
            DeValue::Table(table) => {
                check_keys(table, &["match"], "[allow]", problems);
                ruleset.allow = elements(table, "match", &known, problems);
            }
            _ => wrong_type("allow", "a table", value, "write [allow]", problems),
        }
    }
    let places = rules(document, &known, &mut ruleset, problems);
    for (rule, place) in ruleset.rules.iter().zip(&places) {
        if !safety::was_wide(before, &ruleset, rule) {
            refuse_wide_block(&ruleset, rule, place, problems);
        }
    }
    for (name, at) in &zone_places {
        if !safety::is_shut(before, name) {
            refuse_shut_zone(&ruleset, name, *at, problems);
        }
    }
    refuse_wide_open(
        document,
        (before, &ruleset),
        (zone_places.as_slice(), places.as_slice()),
        problems,
    );
    ruleset
}

/// Rejects allow lists and exceptions that newly allow a whole family.
fn refuse_wide_open(
    document: &DeTable<'_>,
    (before, ruleset): (&Ruleset, &Ruleset),
    (zones, rules): (&[(ZoneName, usize)], &[RulePlace]),
    problems: &mut Problems,
) {
    let mut refuse = |place: &str, old: &[Element], elements: &[Element], at: usize| {
        if let Some(family) = safety::wide_open(ruleset, elements)
            && safety::wide_open(before, old) != Some(family)
        {
            let message = safety::wide_open_message(place, family);
            problems.add_forceable(at, message, safety::WIDE_BLOCK_HINT.to_owned());
        }
    };
    let at = document.get("allow").map_or(0, |value| value.span().start);
    refuse("the allow list", &before.allow, &ruleset.allow, at);
    for (name, at) in zones {
        if let Some(zone) = ruleset.zones.get(name) {
            let place = format!("the allow list of zone {name}");
            let old = before.zones.get(name);
            let old = old.map_or(&[][..], |zone| &zone.allow[..]);
            refuse(&place, old, &zone.allow, *at);
        }
    }
    for (rule, place) in ruleset.rules.iter().zip(rules) {
        let at = place.name;
        let old = before.rule(&rule.name);
        refuse(
            &format!("`except` of rule `{}`", rule.name),
            old.map_or(&[][..], |rule| &rule.except[..]),
            &rule.except,
            at,
        );
    }
}

/// Reads a document that is one rule.
pub(super) fn single_rule(
    document: &DeTable<'_>,
    ruleset: &Ruleset,
    problems: &mut Problems,
) -> Option<Rule> {
    let mut known = KnownNames {
        lists: ruleset.lists.keys().map(ListName::as_str).collect(),
        zones: ruleset.zones.keys().map(ZoneName::as_str).collect(),
    };
    known.zones.insert(ZoneName::DEFAULT);
    let (rule, place) = rule(document, 0, &known, problems)?;
    refuse_wide_block(ruleset, &rule, &place, problems);
    Some(rule)
}

type NamedTable<'v, 't> = (&'v Spanned<DeString<'t>>, &'v DeTable<'t>);

/// The tables `[key.NAME]`.
fn named_tables<'v, 't>(
    document: &'v DeTable<'t>,
    key: &str,
    problems: &mut Problems,
) -> Vec<NamedTable<'v, 't>> {
    let Some(value) = document.get(key) else {
        return Vec::new();
    };
    let hint = format!("write [{key}.NAME]");
    let Some(tables) = value.get_ref().as_table() else {
        wrong_type(key, "a table of tables", value, &hint, problems);
        return Vec::new();
    };
    let mut named = Vec::new();
    for (name, value) in tables {
        if let Some(table) = value.get_ref().as_table() {
            named.push((name, table));
        } else {
            let name = format!("{key}.{}", excerpt(name.get_ref()));
            wrong_type(&name, "a table", value, &hint, problems);
        }
    }
    named
}

fn name<T: FromStr<Err = NameError>>(
    key: &Spanned<DeString<'_>>,
    problems: &mut Problems,
) -> Option<T> {
    checked_name(key.get_ref(), key.span().start, problems)
}

fn list(key: &Spanned<DeString<'_>>, table: &DeTable<'_>, problems: &mut Problems) -> List {
    let sources = SourceKind::ALL.map(SourceKind::key);
    let keys = [&["match"][..], &sources].concat();
    check_keys(table, &[&keys[..], &KEYS].concat(), "a list", problems);
    if !keys.iter().any(|key| table.contains_key(*key)) {
        let keys = keys.join("` or `");
        let message = format!("list `{}` without `{keys}`", excerpt(key.get_ref()));
        let follow = |kind: SourceKind| format!("or {kind} = \"{}\"", kind.example());
        let hint = format!(
            "write match = [\"192.0.2.0/24\"], {} to have it read; match = [] is an empty list",
            SourceKind::ALL.map(follow).join(", ")
        );
        problems.add(key.span().start, message, Some(hint));
    }
    List {
        source: source(table, problems),
        elements: list_elements(table, "match", problems),
    }
}

/// Reads the source of a list.
fn source(table: &DeTable<'_>, problems: &mut Problems) -> Source {
    let kinds = SourceKind::ALL.into_iter();
    let mut written: SourceText = kinds
        .filter_map(|kind| Some((kind, text(table, kind.key(), problems)?.0)))
        .collect();
    for key in KEYS {
        for text in option_texts(table, key, problems) {
            written.put(key, text);
        }
    }
    written.parse().unwrap_or_else(|error| {
        let at = table.get(error.key);
        let at = at.map_or(0, |value| value.span().start);
        problems.add(at, error.to_string(), Some(error.hint));
        Source::Hand
    })
}

/// Returns the texts of an option: a string or a number, or an array of them where there may be
/// several.
fn option_texts(table: &DeTable<'_>, key: &str, problems: &mut Problems) -> Vec<String> {
    let Some(value) = table.get(key) else {
        return Vec::new();
    };
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    let texts = match value.get_ref() {
        DeValue::Array(values) if is_repeated(key) => {
            values.iter().map(|value| one(value.get_ref())).collect()
        }
        value => one(value).map(|text| vec![text]),
    };
    texts.unwrap_or_else(|| {
        let hint = format!("write {key} = \"...\"");
        wrong_type(key, "a string", value, &hint, problems);
        Vec::new()
    })
}

fn zone(table: &DeTable<'_>, known: &KnownNames<'_>, problems: &mut Problems) -> Zone {
    check_keys(
        table,
        &["default", "malformed", "allow"],
        "a zone",
        problems,
    );
    Zone {
        default: word(table, "default", &DefaultVerdict::WORDS, problems).unwrap_or_default(),
        malformed: word(table, "malformed", &MalformedPolicy::WORDS, problems).unwrap_or_default(),
        allow: elements(table, "allow", known, problems),
    }
}

/// Reads the rules into the ruleset. Returns the positions of its rules.
fn rules(
    document: &DeTable<'_>,
    known: &KnownNames<'_>,
    ruleset: &mut Ruleset,
    problems: &mut Problems,
) -> Vec<RulePlace> {
    let form = "write each rule as a table that begins with [[rule]]";
    let Some(value) = document.get("rule") else {
        return Vec::new();
    };
    let Some(array) = value.get_ref().as_array() else {
        wrong_type("rule", "an array of tables", value, form, problems);
        return Vec::new();
    };
    let mut places = Vec::new();
    // Names with the index of their first rule.
    let mut first_at = BTreeMap::new();
    for value in array {
        let Some(table) = value.get_ref().as_table() else {
            let wanted = "an array of tables, an element";
            wrong_type("rule", wanted, value, form, problems);
            continue;
        };
        let Some((rule, place)) = rule(table, value.span().start, known, problems) else {
            continue;
        };
        match first_at.get(&rule.name) {
            Some(first) => problems.add_duplicate(place.name, &rule.name, *first),
            None => {
                first_at.insert(rule.name.clone(), place.name);
            }
        }
        ruleset.rules.push(rule);
        places.push(place);
    }
    places
}

fn refuse_wide_block(ruleset: &Ruleset, rule: &Rule, place: &RulePlace, problems: &mut Problems) {
    if let Some(family) = safety::wide_block(ruleset, rule) {
        let message = safety::wide_block_message(&rule.name, family);
        problems.add_forceable(place.matches, message, safety::WIDE_BLOCK_HINT.to_owned());
    }
}

fn refuse_shut_zone(ruleset: &Ruleset, name: &ZoneName, at: usize, problems: &mut Problems) {
    if safety::is_shut(ruleset, name) {
        let message = safety::shut_zone_message(name);
        problems.add_forceable(at, message, safety::SHUT_ZONE_HINT.to_owned());
    }
}
