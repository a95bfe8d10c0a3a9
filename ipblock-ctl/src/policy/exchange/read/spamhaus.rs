//! Spamhaus DROP for IPv4 and IPv6: a JSON object a line.
//!
//! `{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}`, and a last line about the file
//! itself: `{"type":"metadata",...}`. See <https://www.spamhaus.org/blocklists/do-not-route-or-peer/>.

use std::{borrow::Cow, io::BufRead};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    ReadError,
    collect::{Collector, Entry},
    json::address::text,
    lines::Lines,
};
use crate::policy::address::{is_blank, is_end};

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
    #[serde(
        default,
        alias = "expires_at",
        alias = "expiry",
        alias = "expiration",
        alias = "timeout",
        alias = "ttl",
        alias = "until",
        alias = "valid_until",
        alias = "duration"
    )]
    expires: Option<Value>,
    #[serde(
        default,
        alias = "netmask",
        alias = "mask_length",
        alias = "prefix",
        alias = "prefix_length",
        alias = "prefixlen",
        alias = "bits",
        alias = "len"
    )]
    mask: Option<IgnoredAny>,
}

/// Whether a line is one of this format.
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
            Ok(Record { mask: Some(_), .. }) => {
                let problem = "a mask or a prefix length beside `cidr`";
                out.refuse(number, line, problem, Some(FORM));
            }
            Ok(Record {
                cidr: Some(cidr),
                sblid,
                expires,
                ..
            }) => {
                out.add(Entry {
                    line: number,
                    text: &cidr,
                    note: &sblid.unwrap_or_default(),
                    timed: expires.is_some_and(|expires| is_end(&text(expires))),
                })?;
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
