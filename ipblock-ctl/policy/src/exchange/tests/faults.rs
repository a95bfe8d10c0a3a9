//! Inputs of real files and public reports that were read wrong once, by the number of the fault.
//! Most were read in silence: what is refused here is refused because it has two readings.

use super::*;

mod devices;
mod nft;
mod partly;
mod texts;

/// The prefixes that a text is read as when its format is found out; nothing of it is refused.
#[track_caller]
fn prefixes(text: &str) -> Vec<String> {
    let parsed = read_text(text, None);
    assert_eq!(parsed.refused, [], "{text}");
    let elements = parsed.elements.iter();
    elements.map(|element| element.prefix.to_string()).collect()
}

/// Asserts that a text is refused in one entry, and takes nothing.
#[track_caller]
fn assert_refused(text: &str, problem: &str, hint: &str) {
    let parsed = read_text(text, None);
    let [refusal] = parsed.refused.as_slice() else {
        panic!("{text}: {parsed:?}");
    };
    let said = refusal.hint.clone().unwrap_or_default();
    assert!(refusal.problem.contains(problem), "{text}: {refusal:?}");
    assert!(said.contains(hint), "{text}: {refusal:?}");
    assert_eq!(parsed.elements, [], "{text}");
}

/// Reads the sets of these names.
fn read_sets(text: &str, sets: &[&str]) -> Parsed {
    let options = ReadOptions {
        format: None,
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
    };
    read_with(text.as_bytes(), &options).unwrap()
}

/// What was passed over, and how many addresses of it.
fn passed_over(parsed: &Parsed) -> Vec<(&str, u64)> {
    let places = parsed.passed_over.iter();
    places
        .map(|place| (place.what.as_str(), place.count))
        .collect()
}
