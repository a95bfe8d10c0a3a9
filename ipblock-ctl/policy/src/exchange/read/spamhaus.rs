//! Spamhaus DROP for IPv4 and IPv6: one JSON object per line.
//!
//! `{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}`, and a last line about the file:
//! `{"type":"metadata",...}`. See <https://www.spamhaus.org/blocklists/do-not-route-or-peer/>.

use std::{borrow::Cow, collections::BTreeMap, io::BufRead};

use serde::{Deserialize, de::DeserializeSeed as _};
use serde_json::Value;

use super::{
    ReadError,
    collect::{Collector, Entry},
    ignored::Addresses,
    keys::{snake, word},
    lines::Lines,
    opposite,
};
use crate::address::{End, Mask, is_blank, names_end};

const FORM: &str = "write {\"cidr\":\"192.0.2.0/24\",\"sblid\":\"...\"}, one object a line";

/// One line.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cidr: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sblid: Option<Cow<'a, str>>,
    /// Keys that the original list does not have.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// Whether a line has this format.
pub(super) fn is_record(line: &str) -> bool {
    serde_json::from_str::<Record<'_>>(line)
        .is_ok_and(|record| record.cidr.is_some() || record.kind.as_deref() == Some("metadata"))
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if is_blank(line) {
            continue;
        }
        match serde_json::from_str::<Record<'_>>(line) {
            Ok(Record {
                cidr: Some(cidr),
                sblid,
                other,
                ..
            }) => {
                let note = sblid.unwrap_or_default();
                add(number, &cidr, &note, other, out)?;
            }
            Ok(Record {
                kind: Some(kind), ..
            }) if kind == "metadata" => {}
            Ok(_) => out.refuse(number, line, "an object without `cidr`", Some(FORM)),
            Err(error) => {
                let problem = format!("no JSON object: {error}");
                out.refuse(number, line, &problem, Some(FORM));
            }
        }
    }
    Ok(())
}

fn add(
    line: u64,
    text: &str,
    note: &str,
    other: BTreeMap<String, Value>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let mut end = End::None;
    for (key, value) in other {
        let name = snake(&key);
        let said = word(&value);
        if Mask::named(&name).is_some() {
            let problem = "a mask or a prefix length beside `cidr`";
            out.refuse(line, text, problem, Some(FORM));
            return Ok(());
        }
        if opposite::says_so(&name, &said) {
            opposite::refuse(line, text, out);
            return Ok(());
        }
        if names_end(&name) {
            end = end.or(End::under(&name, &said));
        }
        let count = Addresses.deserialize(value);
        out.pass_over(&key, count.unwrap_or_default());
    }
    out.add(Entry {
        line,
        text,
        note,
        end,
    })
}
