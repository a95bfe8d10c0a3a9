//! JSON documents, one a line: each is an address, or an object with an address.

use std::{cell::Cell, io::BufRead};

use serde::de::DeserializeSeed;

use super::{JsonPath, Node, Places, Role, Scan, Walk};
use crate::{
    address::excerpt,
    exchange::read::{MAX_DOCUMENT, ReadError, collect::Collector, lines::Lines, ruleset::Use},
};

const CUT_HINT: &str = "copy the whole file again, or correct the line";

/// Whether a text that begins with these lines has a document in each.
pub(in crate::exchange::read) fn begins(first: &str, second: Option<&str>) -> bool {
    let is_object = |line: &str| {
        line.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
    };
    is_object(first) && second.is_some_and(is_object)
}

pub(in crate::exchange::read) fn read(
    input: impl BufRead,
    at: Option<&JsonPath>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let line = Cell::new(1);
    let walk = Walk::new(&line, out);
    let places = Places::new(at, true);
    let mut kept = at.is_none().then(String::new);
    let mut lines = Lines::new(input);
    // The last line is cut off if it is not JSON.
    let mut bad: Option<(u64, String, String)> = None;
    loop {
        let next = lines.next(&mut walk.out.borrow_mut())?;
        let Some((number, text)) = next else { break };
        line.set(number);
        if let Some(all) = &mut kept {
            all.push_str(text);
            all.push('\n');
            if walk.has_some.get() || all.len() as u64 > MAX_DOCUMENT {
                kept = None;
            }
        }
        if text.trim().is_empty() {
            continue;
        }
        if let Some((line, text, problem)) = bad.take() {
            walk.out
                .borrow_mut()
                .refuse(line, &text, &problem, Some(CUT_HINT));
        }
        let read = match at {
            Some(_) => document(text, Scan::new(&walk, &places)),
            None => document(text, element(&walk)),
        };
        if let Some(error) = walk.failed.take() {
            return Err(error);
        }
        bad = read.err().map(|error| {
            let problem = format!("not JSON: {}", excerpt(&error.to_string()));
            (number, excerpt(text), problem)
        });
    }
    if let Some((line, text, problem)) = bad {
        walk.out.borrow_mut().spoil(line, &text, &problem, CUT_HINT);
    }
    walk.found.set(true);
    if at.is_some() {
        places.take(&walk)?;
    } else if let Some(kept) = kept.filter(|_| !walk.has_entries()) {
        for (index, text) in kept.lines().enumerate() {
            line.set(u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1));
            if !text.trim().is_empty() {
                // Reading it once more has the same result.
                let _ = document(text, Scan::new(&walk, &places));
            }
        }
        if walk.failed.borrow().is_none() && !places.are_empty() {
            walk.out.borrow_mut().read_again();
            return places.take(&walk);
        }
    }
    walk.finish(Ok(()))
}

const fn element<'n, 'w>(walk: &'n Walk<'w>) -> Node<'n, 'w> {
    Node {
        walk,
        role: Role::Element(Use::Match),
    }
}

fn document<'de>(
    text: &'de str,
    seed: impl DeserializeSeed<'de, Value = ()>,
) -> serde_json::Result<()> {
    let mut document = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut document)?;
    document.end()
}
