//! The output of `ipset save` (`create` and `add` lines) and of `ipset list` (`Name:`, `Header:`
//! and others, then one member per line after `Members:`).

use std::io::BufRead;

use rustc_hash::FxHashMap;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
};
use crate::address::{End, Mask, is_blank, with_mask};

const SAVE_HINT: &str = "write what `ipset save` prints: add NAME 192.0.2.1";

const TAKES: &str = "it takes entries away";
const TAKES_HINT: &str =
    "load the file into ipset and import what `ipset save` prints, or take the line out";

const OPEN: &str = "a quote that is not closed on its line";
const OPEN_HINT: &str = "a comment has a line break, with which `ipset restore` cannot load the file either: give the entry \
                         a comment without one, with ipset add SET ENTRY -exist comment TEXT, and save it again";

/// The properties of a set's members, from `create`.
#[derive(Clone, Debug, Default)]
struct About {
    /// The mask of hash:ip, which changes the members.
    mask: Option<(Mask, String)>,
    /// The end of members without a timeout of their own.
    end: End,
}

type Sets = FxHashMap<String, About>;

/// The position in the output of `ipset list`.
enum Listing {
    /// Outside.
    None,
    /// In the header of a set.
    Head(String),
    /// Among its members.
    Members(String),
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut sets = Sets::default();
    let mut listing = Listing::None;
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if is_blank(line) {
            continue;
        }
        // ipset prints a comment as it is, so the next lines may be the rest of the comment and not
        // entries. A comment cannot have quotes.
        if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
            out.spoil(number, line, OPEN, OPEN_HINT);
            return Ok(());
        }
        if let Some(name) = line.strip_prefix("Name: ") {
            let name = name.trim();
            create(std::iter::once(name), number, &mut sets, out)?;
            listing = Listing::Head(name.to_owned());
            continue;
        }
        match &listing {
            Listing::None => command(number, line, &mut sets, out)?,
            Listing::Head(name) if line == "Members:" => {
                listing = Listing::Members(name.clone());
            }
            Listing::Head(name) => match line.split_once(": ") {
                Some(("Header", options)) => {
                    let words = std::iter::once(name.as_str()).chain(Words(options));
                    create(words, number, &mut sets, out)?;
                }
                Some(_) => {}
                None => out.refuse(number, line, "not a line of `ipset list`", Some(SAVE_HINT)),
            },
            Listing::Members(name) => {
                let mut words = Words(line);
                let element = words.next().unwrap_or_default();
                enter(name, number, out)?;
                member(number, element, words, sets.get(name), out)?;
                out.leave();
            }
        }
    }
    Ok(())
}

/// Reads a line of `ipset save`.
fn command(number: u64, line: &str, sets: &mut Sets, out: &mut Collector) -> Result<(), ReadError> {
    // Means that an existing entry is not an error; may be at any position.
    let mut words = Words(line).filter(|word| !matches!(*word, "-exist" | "-!" | "--exist"));
    match words.next() {
        Some("add" | "-A" | "--add") => add(number, line, words, sets, out)?,
        Some("create" | "-N" | "--create") => create(words, number, sets, out)?,
        Some("flush" | "-F" | "destroy" | "-X" | "--flush" | "--destroy") => {
            empty(number, line, words.next(), out);
        }
        Some("swap" | "-W" | "rename" | "-E" | "--swap" | "--rename") => {
            swap(number, line, words, sets, out)?;
        }
        Some("COMMIT" | "quit") => {}
        Some("del" | "-D" | "--del") => {
            let hint = "take the line and the `add` line of the address out";
            enter(words.next().unwrap_or_default(), number, out)?;
            out.spoil(number, line, "it takes an entry away", hint);
            out.leave();
        }
        _ => out.refuse(number, line, "no `create` or `add` line", Some(SAVE_HINT)),
    }
    Ok(())
}

fn enter(name: &str, line: u64, out: &mut Collector) -> Result<(), ReadError> {
    if out.enter(name) {
        return Ok(());
    }
    Err(ReadError::TooManySets { line })
}

/// Records the properties of a set. Registers a set without members, too.
fn create<'l>(
    mut words: impl Iterator<Item = &'l str>,
    line: u64,
    sets: &mut Sets,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let Some(name) = words.next() else {
        return Ok(());
    };
    enter(name, line, out)?;
    out.leave();
    let mut about = About::default();
    while let Some(word) = words.next() {
        match word {
            "netmask" | "bitmask" => {
                let mask = words.next();
                about.mask = mask.map(|mask| (Mask::Net, mask.to_owned()));
            }
            "timeout" => about.end = timeout(words.next()),
            _ => {}
        }
    }
    sets.insert(name.to_owned(), about);
    Ok(())
}

/// Rejects the flush of a set that has entries.
fn empty(number: u64, line: &str, name: Option<&str>, out: &mut Collector) {
    if out.entries(|set| name.is_none_or(|name| name == set)) == 0 {
        return;
    }
    if let Some(name) = name {
        // It has entries, so it is known.
        out.enter(name);
    }
    out.spoil(number, line, TAKES, TAKES_HINT);
    out.leave();
}

fn swap<'l>(
    number: u64,
    line: &str,
    mut words: impl Iterator<Item = &'l str>,
    sets: &mut Sets,
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
    let (first, second) = (sets.remove(one), sets.remove(other));
    sets.extend(first.map(|about| (other.to_owned(), about)));
    sets.extend(second.map(|about| (one.to_owned(), about)));
    Ok(())
}

fn add<'l>(
    number: u64,
    line: &str,
    mut words: impl Iterator<Item = &'l str>,
    sets: &Sets,
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
    member(number, element, words, sets.get(set), out)?;
    out.leave();
    Ok(())
}

fn member<'l>(
    number: u64,
    element: &str,
    mut words: impl Iterator<Item = &'l str>,
    about: Option<&About>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    if element.contains(',') {
        let hint = "only sets of addresses can be read: hash:ip and hash:net";
        out.refuse(number, element, "more than an address", Some(hint));
        return Ok(());
    }
    let (mut note, mut end) = ("", about.map_or(End::None, |about| about.end));
    while let Some(word) = words.next() {
        match word {
            "nomatch" => {
                let hint = "it is an exception: ipblock-ctl exception add RULE ADDRESS";
                out.refuse(number, element, "`nomatch` entry", Some(hint));
                return Ok(());
            }
            "comment" => note = words.next().unwrap_or_default().trim_matches('"'),
            "timeout" => end = timeout(words.next()),
            "packets" | "bytes" | "skbmark" | "skbprio" | "skbqueue" => drop(words.next()),
            _ => {
                let hint = "write one address a line, and text about it as comment \"...\"";
                let text = format!("{element} {word}");
                out.refuse(number, &text, "more than a member of a set", Some(hint));
                return Ok(());
            }
        }
    }
    let entry = Entry {
        line: number,
        text: element,
        note,
        end,
    };
    let Some((kind, mask)) = about.and_then(|about| about.mask.as_ref()) else {
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

/// Reads the seconds after `timeout`. 0 means that there is no end.
fn timeout(seconds: Option<&str>) -> End {
    match seconds {
        Some("0") => End::Never,
        seconds => End::remaining(seconds.unwrap_or_default()),
    }
}

/// Words between white space. A word that begins with `"` ends at the next `"`.
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
