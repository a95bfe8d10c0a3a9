//! The access rules of nginx: `deny 192.0.2.1;`. Rules inside of `server`, `location` and other
//! blocks hold for a part of the requests, and are counted.

use std::{borrow::Cow, io::BufRead};

use super::{
    ReadError,
    accepted::Accepted,
    collect::{Collector, Entry},
    lines::Lines,
    opposite,
};
use crate::address::{excerpt, is_address};

const FORM: &str = "write deny 192.0.2.1; or deny 192.0.2.0/24;";

/// Maximum length of a statement in bytes.
const MAX_STATEMENT: usize = 64 << 10;

/// Maximum depth of blocks.
const MAX_DEPTH: usize = 64;

/// Whether a line begins such a file: an access rule.
pub(super) fn begins(line: &str) -> bool {
    let words = line.split_whitespace().next();
    matches!(words, Some("deny" | "allow"))
        && line.split('#').next().unwrap_or_default().contains(';')
}

/// What ends a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Semicolon,
    Open,
    Close,
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut rules = Rules::default();
    while let Some((number, line)) = lines.next(out)? {
        rules.line(number, line, out)?;
        if rules.word.len() + rules.words.iter().map(String::len).sum::<usize>() > MAX_STATEMENT
            || rules.blocks.len() > MAX_DEPTH
        {
            out.spoil(number, line, "a statement that does not end", FORM);
            return Ok(());
        }
    }
    let is_open = rules.quote.is_some() || !rules.word.is_empty() || !rules.words.is_empty();
    if is_open || !rules.blocks.is_empty() {
        let what = rules
            .words
            .first()
            .or(rules.blocks.last())
            .cloned()
            .unwrap_or_default();
        let hint = "a statement ends with `;` and a block with `}`: copy the whole file again";
        out.spoil(
            rules.line.max(1),
            &what,
            "a statement that is cut off",
            hint,
        );
    }
    Ok(())
}

#[derive(Default)]
struct Rules {
    /// The line of the first word of the statement.
    line: u64,
    words: Vec<String>,
    word: String,
    /// The quote that is open.
    quote: Option<char>,
    /// The names of the blocks around the statement.
    blocks: Vec<String>,
    /// What the rules so far let through.
    allowed: Accepted,
    /// The line after which no rule has an effect.
    is_over: Option<u64>,
}

impl Rules {
    fn line(&mut self, number: u64, line: &str, out: &mut Collector) -> Result<(), ReadError> {
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match (character, self.quote) {
                ('\\', _) => self.word.extend(characters.next()),
                (quote, Some(open)) if quote == open => self.quote = None,
                (inside, Some(_)) => self.word.push(inside),
                ('"' | '\'', None) => self.quote = Some(character),
                ('#', None) if self.word.is_empty() => break,
                (';', None) => self.end(number, Mark::Semicolon, out)?,
                ('{', None) => self.end(number, Mark::Open, out)?,
                ('}', None) => self.end(number, Mark::Close, out)?,
                (space, None) if space.is_whitespace() => self.end_word(number),
                (other, None) => self.word.push(other),
            }
        }
        if self.quote.is_some() {
            self.word.push('\n');
        } else {
            self.end_word(number);
        }
        Ok(())
    }

    fn end_word(&mut self, number: u64) {
        if self.word.is_empty() {
            return;
        }
        if self.words.is_empty() {
            self.line = number;
        }
        self.words.push(std::mem::take(&mut self.word));
    }

    fn end(&mut self, number: u64, mark: Mark, out: &mut Collector) -> Result<(), ReadError> {
        self.end_word(number);
        let words = std::mem::take(&mut self.words);
        match mark {
            Mark::Semicolon => self.statement(&words, out),
            Mark::Open => {
                self.blocks.push(words.join(" "));
                Ok(())
            }
            Mark::Close => {
                if !words.is_empty() || self.blocks.pop().is_none() {
                    out.spoil(number, "}", "a `}` that closes nothing", FORM);
                }
                Ok(())
            }
        }
    }

    fn statement(&mut self, words: &[String], out: &mut Collector) -> Result<(), ReadError> {
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        // The rules of `http` hold for all requests.
        let block = self.blocks.iter().find(|block| *block != "http");
        let addresses = || {
            let addresses = values.iter().filter(|value| is_address(value)).count();
            u64::try_from(addresses).unwrap_or(u64::MAX)
        };
        match (name.as_str(), values) {
            ("deny" | "allow", _) if block.is_some() => {
                let block = block.map_or("", String::as_str);
                out.pass_over(&format!("{name} in {block}"), addresses());
            }
            ("deny", [value]) => return self.deny(value, out),
            ("allow", [value]) => {
                if value == "all" {
                    self.is_over.get_or_insert(self.line);
                } else {
                    self.allowed.add(value, self.line);
                    opposite::refuse(self.line, value, out);
                }
            }
            ("deny" | "allow", _) => {
                out.refuse(self.line, &words.join(" "), "not one address", Some(FORM));
            }
            ("include", _) => out.pass_over("include of another file", 1),
            _ => {
                // `192.0.2.7 1;` in `geo`
                let own = u64::from(is_address(name));
                let place = block.map_or(Cow::Borrowed(name), Cow::Borrowed);
                out.pass_over(&place, addresses() + own);
            }
        }
        Ok(())
    }

    fn deny(&self, value: &str, out: &mut Collector) -> Result<(), ReadError> {
        let earlier = self.allowed.overlapping_text(value).map(|(_, line)| line);
        if let Some(earlier) = earlier.or(self.is_over) {
            let problem = format!("line {earlier} lets it through first");
            let hint = "take the line out; what is let through is added with ipblock-ctl exception \
                        add RULE ADDRESS";
            out.refuse(self.line, value, &problem, Some(hint));
            return Ok(());
        }
        if value == "all" || value.starts_with("unix:") {
            let problem = format!("`{}` is not an address", excerpt(value));
            let hint = "a rule of ipblock names what it blocks: take the line out";
            out.refuse(self.line, value, &problem, Some(hint));
            return Ok(());
        }
        out.add(Entry::new(self.line, value, ""))
    }
}
