//! What `ipset save` prints: `create` and `add` lines.

use std::io::BufRead;

use rustc_hash::FxHashMap;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
};
use crate::policy::address::{Mask, is_blank, with_mask};

const TAKES: &str = "it takes entries away";
const TAKES_HINT: &str =
    "load the file into ipset and import what `ipset save` prints, or take the line out";

/// What `create` says of a set that changes what its members are: the mask of hash:ip.
type Masks = FxHashMap<String, (Mask, String)>;

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut masks = Masks::default();
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if is_blank(line) {
            continue;
        }
        // Says that an entry that is there already is no error, wherever it stands.
        let mut words = Words(line).filter(|word| !matches!(*word, "-exist" | "-!" | "--exist"));
        match words.next() {
            Some("add" | "-A" | "--add") => add(number, line, words, &masks, out)?,
            Some("create" | "-N" | "--create") => create(words, &mut masks),
            Some("flush" | "-F" | "destroy" | "-X" | "--flush" | "--destroy") => {
                empty(number, line, words.next(), out);
            }
            Some("swap" | "-W" | "rename" | "-E" | "--swap" | "--rename") => {
                swap(number, line, words, &mut masks, out)?;
            }
            Some("COMMIT" | "quit") => {}
            Some("del" | "-D" | "--del") => {
                let hint = "take the line and the `add` line of the address out";
                enter(words.next().unwrap_or_default(), number, out)?;
                out.spoil(number, line, "it takes an entry away", hint);
                out.leave();
            }
            _ => {
                let hint = "write what `ipset save` prints: add NAME 192.0.2.1";
                out.refuse(number, line, "no `create` or `add` line", Some(hint));
            }
        }
    }
    Ok(())
}

fn enter(name: &str, line: u64, out: &mut Collector) -> Result<(), ReadError> {
    if out.enter(name) {
        return Ok(());
    }
    Err(ReadError::TooManySets { line })
}

/// Keeps the mask that a set applies to its members.
fn create<'l>(mut words: impl Iterator<Item = &'l str>, masks: &mut Masks) {
    let Some(name) = words.next() else {
        return;
    };
    masks.remove(name);
    while let Some(word) = words.next() {
        if matches!(word, "netmask" | "bitmask")
            && let Some(mask) = words.next()
        {
            masks.insert(name.to_owned(), (Mask::Net, mask.to_owned()));
        }
    }
}

/// A set that has entries already is not emptied.
fn empty(number: u64, line: &str, name: Option<&str>, out: &mut Collector) {
    if out.entries(|set| name.is_none_or(|name| name == set)) == 0 {
        return;
    }
    if let Some(name) = name {
        // It has entries, so that it is known.
        out.enter(name);
    }
    out.spoil(number, line, TAKES, TAKES_HINT);
    out.leave();
}

fn swap<'l>(
    number: u64,
    line: &str,
    mut words: impl Iterator<Item = &'l str>,
    masks: &mut Masks,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let (Some(one), Some(other)) = (words.next(), words.next()) else {
        let hint = "write swap NAME NAME";
        out.refuse(number, line, "a line without two sets", Some(hint));
        return Ok(());
    };
    if !out.swap(one, other) {
        return Err(ReadError::TooManySets { line: number });
    }
    let (first, second) = (masks.remove(one), masks.remove(other));
    masks.extend(first.map(|mask| (other.to_owned(), mask)));
    masks.extend(second.map(|mask| (one.to_owned(), mask)));
    Ok(())
}

fn add<'l>(
    number: u64,
    line: &str,
    mut words: impl Iterator<Item = &'l str>,
    masks: &Masks,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let set = words.next();
    let Some(element) = words.next() else {
        let hint = "write add NAME 192.0.2.1";
        out.refuse(number, line, "`add` without an address", Some(hint));
        return Ok(());
    };
    let set = set.unwrap_or_default();
    enter(set, number, out)?;
    member(number, element, words, masks.get(set), out)?;
    out.leave();
    Ok(())
}

fn member<'l>(
    number: u64,
    element: &str,
    mut words: impl Iterator<Item = &'l str>,
    mask: Option<&(Mask, String)>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    if element.contains(',') {
        let hint = "only sets of addresses can be read: hash:ip and hash:net";
        out.refuse(number, element, "more than an address", Some(hint));
        return Ok(());
    }
    let (mut note, mut timed) = ("", false);
    while let Some(word) = words.next() {
        match word {
            "nomatch" => {
                let hint = "it is an exception: ipblock-ctl exception add RULE ADDRESS";
                out.refuse(number, element, "`nomatch` entry", Some(hint));
                return Ok(());
            }
            "comment" => note = words.next().unwrap_or_default().trim_matches('"'),
            // A timeout of 0 is none.
            "timeout" => timed = words.next().is_some_and(|seconds| seconds != "0"),
            _ => {}
        }
    }
    let entry = Entry {
        line: number,
        text: element,
        note,
        timed,
    };
    let Some((kind, mask)) = mask else {
        return out.add(entry);
    };
    match with_mask(element, mask, *kind) {
        Ok(written) => out.add_written(entry, &written),
        Err(error) => {
            out.refuse_address(number, error);
            Ok(())
        }
    }
}

/// Words between white space; what begins with `"` ends with the next `"`.
struct Words<'l>(&'l str);

impl<'l> Iterator for Words<'l> {
    type Item = &'l str;

    fn next(&mut self) -> Option<&'l str> {
        let rest = self.0.trim_start();
        let end = match rest.strip_prefix('"') {
            // Both quotes belong to the word.
            Some(quoted) => quoted.find('"').map(|end| end + 2),
            None => rest.find(char::is_whitespace),
        };
        let (word, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}
