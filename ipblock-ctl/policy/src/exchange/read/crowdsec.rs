//! Decisions of CrowdSec: what `cscli decisions list` prints with `-o json` (alerts with their
//! decisions) and with `-o raw` (records), and what the local API answers to `/v1/decisions` and
//! `/v1/decisions/stream`.
//!
//! A decision is taken if it bans an address or a range, and if it has not ended. Deleted, simulated
//! and ended decisions, other types (`captcha`) and other scopes (`Country`, `AS`) are counted.

mod json;
mod raw;

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
};
use crate::address::{End, excerpt};

const FORM: &str = "write what `cscli decisions list -o json` or `-o raw` prints, or the answer of the \
                    local API to /v1/decisions or /v1/decisions/stream";

/// Keys of every decision in JSON.
const KEYS: [&str; 5] = [
    "\"scenario\"",
    "\"scope\"",
    "\"duration\"",
    "\"type\"",
    "\"value\"",
];

/// Whether a text that begins with this is JSON with decisions, or records of them.
pub(super) fn begins(head: &str, first: &str) -> bool {
    if raw::is_header(first) {
        return true;
    }
    let is_stream = ["{\"deleted\":", "{\"new\":"]
        .iter()
        .any(|start| first.starts_with(start));
    let has_decision = KEYS.iter().all(|key| head.contains(key));
    first.starts_with(['[', '{'])
        && (has_decision || is_stream && head.contains("\"new\":") && head.contains("\"deleted\":"))
}

pub(super) fn read(mut input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let head = input.fill_buf()?;
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    // An answer without decisions is `null`.
    if matches!(first, None | Some(b'[' | b'{' | b'n')) {
        json::read(input, out)
    } else {
        raw::read(input, out)
    }
}

/// A decision, as all of these forms have it.
struct Decision<'d> {
    line: u64,
    value: &'d str,
    scope: &'d str,
    kind: &'d str,
    note: &'d str,
    /// The remaining time.
    duration: &'d str,
    is_simulated: bool,
}

impl Decision<'_> {
    /// Passes the decision on, or counts it.
    fn add_to(&self, out: &mut Collector) -> Result<(), ReadError> {
        if self.is_simulated {
            out.pass_over("simulated decisions", 1);
            return Ok(());
        }
        if self.kind.is_empty() || self.scope.is_empty() || self.value.is_empty() {
            let problem = "a decision without its type, scope or value";
            out.refuse(self.line, self.value, problem, Some(FORM));
            return Ok(());
        }
        if self.kind != "ban" {
            out.pass_over(&format!("decisions of the type {}", self.kind), 1);
            return Ok(());
        }
        let is_address = ["ip", "range"]
            .iter()
            .any(|scope| self.scope.eq_ignore_ascii_case(scope));
        if !is_address {
            out.pass_over(&format!("decisions of the scope {}", self.scope), 1);
            return Ok(());
        }
        let end = End::remaining(self.duration);
        match end {
            End::After(seconds) if seconds <= 0 => out.pass_over("decisions that have ended", 1),
            End::Unreadable => {
                let problem = format!("`{}` is not a duration", excerpt(self.duration));
                let hint = "a decision has its remaining time, such as 3h59m56.5s";
                out.refuse(self.line, self.value, &problem, Some(hint));
            }
            end => {
                return out.add(Entry {
                    line: self.line,
                    text: self.value,
                    note: self.note,
                    end,
                });
            }
        }
        Ok(())
    }
}
