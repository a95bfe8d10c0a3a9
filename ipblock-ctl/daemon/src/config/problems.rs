//! Finds all problems of a configuration file: reads it repeatedly, each time without what was
//! rejected before.

use std::{borrow::Cow, collections::BTreeSet};

use ipblock_policy::suggest::did_you_mean;
use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::ConfigFile;

/// Maximum of reported problems; a file with more has another format.
const MOST: usize = 100;

/// A problem at a byte offset.
pub(super) type ConfigProblem = (usize, String);

/// Reads a file, or returns all problems in the order of the text.
pub(super) fn read(text: &str) -> Result<ConfigFile, Vec<ConfigProblem>> {
    let mut document = DeTable::parse(text).map_err(|error| vec![problem(&error)])?;
    let mut problems = Vec::new();
    let mut changed = BTreeSet::new();
    while problems.len() < MOST {
        let read = ConfigFile::deserialize(Deserializer::from(document.clone()));
        let (at, said) = match read {
            Ok(file) if problems.is_empty() => return Ok(file),
            Ok(_) => break,
            Err(error) => problem(&error),
        };
        // A table that lost a key may lack it through no mistake of the author.
        if !changed.contains(&at) {
            problems.push((at, said));
        }
        if !take_out(document.get_mut(), at, &mut changed) {
            break;
        }
    }
    problems.sort();
    Err(problems)
}

fn problem(error: &toml::de::Error) -> ConfigProblem {
    let at = error.span().map_or(0, |span| span.start);
    (at, said(&error.message().replace('\n', ", ")))
}

/// Returns the message; for an unknown key with the probable key instead of all possible ones.
fn said(message: &str) -> String {
    let meant = || {
        let (key, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
        let hint = did_you_mean(key, known.split('`').skip(1).step_by(2))?;
        Some(format!("unknown field `{key}`: {hint}"))
    };
    meant().unwrap_or_else(|| message.to_owned())
}

/// Removes the key or the value at this offset. An element of an array is replaced with a valid
/// one, because the others are counted. Returns whether there was one. If a key was removed from an
/// array's element, `changed` gets the start of that element.
fn take_out(table: &mut DeTable<'_>, at: usize, changed: &mut BTreeSet<usize>) -> bool {
    for (_, value) in table.iter_mut() {
        let found = match value.get_mut() {
            DeValue::Table(table) => take_out(table, at, changed),
            DeValue::Array(elements) => elements.iter_mut().any(|element| {
                let start = element.span().start;
                match element.get_mut() {
                    DeValue::Table(table) if start == at => {
                        *table = sound_sink(at);
                        true
                    }
                    DeValue::Table(table) => {
                        let found = take_out(table, at, changed);
                        if found {
                            changed.insert(start);
                        }
                        found
                    }
                    _ => false,
                }
            }),
            _ => false,
        };
        if found {
            return true;
        }
    }
    let covers = |spans: [std::ops::Range<usize>; 2]| spans.iter().any(|span| span.contains(&at));
    let key = table
        .iter()
        .find(|(key, value)| covers([key.span(), value.span()]))
        .map(|(key, _)| key.get_ref().clone());
    key.is_some_and(|key| table.remove(&*key).is_some())
}

/// Returns a sink with a unique name.
fn sound_sink<'t>(at: usize) -> DeTable<'t> {
    let text = |text: Cow<'t, str>| Spanned::new(at..at, DeValue::String(text));
    let key = |key: &'t str| Spanned::new(at..at, Cow::Borrowed(key));
    let mut sink = DeTable::new();
    sink.insert(key("type"), text("log".into()));
    sink.insert(key("name"), text(format!("refused-{at}").into()));
    sink
}
