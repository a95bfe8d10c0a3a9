//! One element of a set, parsed word by word.

use super::tokens::Token;
use crate::{
    address::End,
    exchange::read::{
        ReadError,
        collect::{Collector, Entry},
    },
};

pub(in crate::exchange::read) const SETS_HINT: &str =
    "only sets of ipv4_addr and ipv6_addr can be read: nft list set FAMILY TABLE SET";

/// The problem of an element of a meter.
pub(in crate::exchange::read) const LIMIT: &str = "more than an address: a limit";
pub(in crate::exchange::read) const CONCATENATION: &str = "more than an address: a concatenation";
pub(in crate::exchange::read) const OF_A_MAP: &str = "more than an address: an element of a map";
pub(in crate::exchange::read) const MORE: &str = "more than an address";

/// The expected meaning of the next word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// An option.
    #[default]
    Option,
    /// The end of a range, or the prefix length.
    Joined,
    /// The whole time of the element: its timeout.
    Timeout,
    /// The rest of that time.
    Expires,
    /// The value of an irrelevant option.
    Value,
    Comment,
}

/// An element, parsed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    pub(super) line: u64,
    pub(super) text: String,
    pub(super) note: String,
    pub(super) end: End,
    pub(super) problem: Option<&'static str>,
    next: Next,
}

impl Element {
    /// Adds the next word or quoted text.
    pub(super) fn push(&mut self, token: Token, word: &str, line: u64) {
        if self.text.is_empty() {
            self.line = line;
            self.text.push_str(word);
            return;
        }
        match std::mem::take(&mut self.next) {
            Next::Joined => self.text.push_str(word),
            Next::Timeout => self.end = self.end.or(End::under("timeout", word)),
            Next::Expires => self.end = End::remaining(word),
            Next::Value => {}
            Next::Comment => self.note.push_str(word),
            Next::Option => self.option(token, word),
        }
    }

    fn option(&mut self, token: Token, word: &str) {
        // Ignores everything after a problem.
        if self.problem.is_some() {
            return;
        }
        match word {
            _ if token == Token::Quoted => self.problem = Some(MORE),
            // White space is allowed around these.
            "-" | "/" => {
                self.text.push_str(word);
                self.next = Next::Joined;
            }
            _ if word.starts_with(['-', '/']) || self.text.ends_with(['-', '/']) => {
                self.text.push_str(word);
            }
            "timeout" => self.next = Next::Timeout,
            "expires" => self.next = Next::Expires,
            "packets" | "bytes" | "used" => self.next = Next::Value,
            "comment" => self.next = Next::Comment,
            "counter" | "last" | "never" => {}
            "limit" | "ct" | "quota" => self.problem = Some(LIMIT),
            "." => self.problem = Some(CONCATENATION),
            ":" => self.problem = Some(OF_A_MAP),
            _ => self.problem = Some(MORE),
        }
    }

    /// Passes the element on.
    pub(super) fn add_to(&self, out: &mut Collector) -> Result<(), ReadError> {
        if let Some(problem) = self.problem {
            out.refuse(self.line, &self.text, problem, Some(SETS_HINT));
            return Ok(());
        }
        if self.text == "*" {
            let problem = "the element for all other addresses";
            out.refuse(self.line, &self.text, problem, Some(SETS_HINT));
            return Ok(());
        }
        out.add(Entry {
            line: self.line,
            text: &self.text,
            note: self.note.trim(),
            end: self.end,
        })
    }

    /// Returns the name of a variable in place of an address.
    pub(super) fn variable(&self) -> Option<&str> {
        let name = self.text.strip_prefix('$')?;
        self.problem.is_none().then_some(name)
    }
}
