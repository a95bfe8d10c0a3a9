//! What `ipset save` prints: `create` and `add` lines.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::{Lines, is_blank},
};

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if is_blank(line) {
            continue;
        }
        // Says that an entry that is there already is no error, wherever it stands.
        let mut words = Words(line).filter(|word| !matches!(*word, "-exist" | "-!" | "--exist"));
        match words.next() {
            Some("add" | "-A" | "--add") => add(number, line, words, out)?,
            // What they do to sets is no matter of the addresses.
            Some("create" | "-N" | "--create" | "flush" | "-F" | "COMMIT" | "quit") => {}
            Some("del" | "-D" | "--del") => {
                let hint = "take the line and the `add` line of the address out";
                out.refuse(number, line, "it takes an entry away", Some(hint));
            }
            _ => {
                let hint = "write what `ipset save` prints: add NAME 192.0.2.1";
                out.refuse(number, line, "no `create` or `add` line", Some(hint));
            }
        }
    }
    Ok(())
}

fn add<'l>(
    number: u64,
    line: &str,
    mut words: impl Iterator<Item = &'l str>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let _set = words.next();
    let Some(element) = words.next() else {
        let hint = "write add NAME 192.0.2.1";
        out.refuse(number, line, "`add` without an address", Some(hint));
        return Ok(());
    };
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
    out.add(Entry {
        line: number,
        text: element,
        note,
        timed,
    })
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
