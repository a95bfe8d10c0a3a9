//! `/etc/hosts.deny` of TCP wrappers (`hosts_access(5)`): `ALL: 192.0.2.1 198.51.100.`. Rules for single
//! services are counted.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::{Lines, MAX_LINE},
    opposite, partial,
};
use crate::address::{Mask, Written, excerpt, is_address, with_mask};

const FORM: &str = "write ALL: 192.0.2.1, or ALL: 192.0.2. for 192.0.2.0/24";

/// Clients that are not addresses.
const WORDS: [&str; 5] = ["ALL", "LOCAL", "KNOWN", "UNKNOWN", "PARANOID"];

/// Whether a line begins such a file: a rule for all services.
pub(super) fn begins(line: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(services, clients)| services.trim() == "ALL" && !clients.starts_with(':'))
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let (mut rule, mut first) = (String::new(), 0);
    while let Some((number, line)) = lines.next(out)? {
        if rule.is_empty() {
            first = number;
        }
        let part = line.trim_end();
        if let Some(part) = part.strip_suffix('\\') {
            rule.push_str(part);
            rule.push(' ');
            if rule.len() > MAX_LINE {
                out.spoil(first, &rule, "a rule of more than 64 KiB", FORM);
                return Ok(());
            }
            continue;
        }
        rule.push_str(part);
        let whole = std::mem::take(&mut rule);
        if !whole.trim().is_empty() && !whole.trim_start().starts_with('#') {
            read_rule(first, whole.trim(), out)?;
        }
    }
    if !rule.is_empty() {
        let hint = "copy the whole file again, or take the backslash out";
        out.spoil(first, &rule, "a rule that is cut off", hint);
    }
    Ok(())
}

/// Reads `SERVICES: CLIENTS [: OPTIONS]`.
fn read_rule(number: u64, rule: &str, out: &mut Collector) -> Result<(), ReadError> {
    let Some((services, rest)) = rule.split_once(':') else {
        out.refuse(number, rule, "a line without services", Some(FORM));
        return Ok(());
    };
    let (clients, options) = clients_of(rest);
    let words = clients
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    // Most rules have no such letter.
    let has_exception = || {
        let in_clients = words.iter().any(|word| has_word(word, "EXCEPT"));
        in_clients || has_word(services, "EXCEPT")
    };
    if rule.contains(['x', 'X']) && has_exception() {
        let hint = "write the addresses that are left, and add the others with ipblock-ctl \
                    exception add RULE ADDRESS";
        out.refuse(number, rule, "an exception (EXCEPT)", Some(hint));
        return Ok(());
    }
    let mut options = options.split(':').map(str::trim);
    if options.any(|option| option.eq_ignore_ascii_case("allow")) {
        for word in words {
            opposite::refuse(number, word, out);
        }
        return Ok(());
    }
    if services.trim() != "ALL" {
        let is_client =
            |word: &&&str| is_address(word.trim_matches(['[', ']'])) || word.ends_with('.');
        let count = u64::try_from(words.iter().filter(is_client).count()).unwrap_or(u64::MAX);
        out.pass_over(&format!("the service {}", services.trim()), count);
        return Ok(());
    }
    for word in words {
        client(number, word, out)?;
    }
    Ok(())
}

fn has_word(text: &str, wanted: &str) -> bool {
    text.split([' ', '\t', ','])
        .any(|word| word.eq_ignore_ascii_case(wanted))
}

/// Separates the clients from the options after them. Colons in brackets belong to addresses.
fn clients_of(rest: &str) -> (&str, &str) {
    let mut is_inside = false;
    for (at, character) in rest.char_indices() {
        match character {
            '[' => is_inside = true,
            ']' => is_inside = false,
            ':' if !is_inside => {
                let (clients, options) = rest.split_at_checked(at).unwrap_or((rest, ""));
                return (clients, options.trim_start_matches(':'));
            }
            _ => {}
        }
    }
    (rest, "")
}

fn client(number: u64, word: &str, out: &mut Collector) -> Result<(), ReadError> {
    let entry = Entry::new(number, word, "");
    if WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) {
        let problem = format!("`{}` is not an address", excerpt(word));
        let hint = "a rule of ipblock names what it blocks: take the word out";
        out.refuse(number, word, &problem, Some(hint));
        return Ok(());
    }
    if let Some(parts) = word.strip_suffix('.') {
        if let Some(network) = partial::network(parts) {
            return out.add_written(entry, &Written::Prefix(network));
        }
        out.refuse(
            number,
            word,
            "not the beginning of an IPv4 address",
            Some(FORM),
        );
        return Ok(());
    }
    // `[2001:db8::]/32`
    if let Some((address, rest)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let text = format!("{address}{rest}");
        return out.add(Entry {
            text: &text,
            ..entry
        });
    }
    if let Some((address, mask)) = word.split_once('/')
        && mask.contains('.')
    {
        return match with_mask(address, mask, Mask::Net) {
            Ok(written) => out.add_written(entry, &written),
            Err(error) => {
                out.refuse_address(number, error);
                Ok(())
            }
        };
    }
    out.add(entry)
}
