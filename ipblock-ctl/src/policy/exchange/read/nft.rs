//! What `nft list set` and `nft list ruleset` print, and scripts for `nft -f`: the elements of
//! sets. Rules, chains and everything else are passed over.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
};
use crate::policy::address::shown;

/// Longest word that is kept, in bytes: far above any address. A longer one is cut off there, and
/// refused where an address should be.
const MAX_WORD: usize = 1 << 10;

const SETS_HINT: &str = "only sets of ipv4_addr and ipv6_addr can be read: \
                         nft list set FAMILY TABLE SET";

/// A piece of the text; the text of a word stands in [`Tokens::word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Word,
    Quoted,
    /// One of `{`, `}`, `,`, `;` and `=`.
    Mark(u8),
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut tokens = Tokens::new(input);
    // What the present statement and set are.
    let (mut before, mut verb, mut kind) = (String::new(), String::new(), None::<String>);
    let mut opens = false;
    while let Some(token) = tokens.next()? {
        match token {
            Token::Mark(b'{') if opens => {
                let line = tokens.line;
                let is_address = |kind: &str| matches!(kind, "ipv4_addr" | "ipv6_addr");
                let problem = match &kind {
                    _ if matches!(verb.as_str(), "delete" | "destroy") => {
                        Some("it takes elements away".to_owned())
                    }
                    Some(kind) if !is_address(kind) => Some(format!("a set of {}", shown(kind))),
                    _ => None,
                };
                if let Some(problem) = &problem {
                    out.refuse(line, "elements", problem, Some(SETS_HINT));
                }
                elements(&mut tokens, out, problem.is_none())?;
                opens = false;
            }
            // `elements = {` of a set, `define NAME = {` of a script.
            Token::Mark(b'=') => opens = before == "elements" || verb == "define",
            Token::Mark(_) => {
                opens = false;
                verb.clear();
            }
            Token::Quoted => {}
            Token::Word => {
                let word = tokens.word.as_str();
                match word {
                    "set" | "map" | "table" | "chain" => kind = None,
                    // `add element FAMILY TABLE SET {`.
                    "element" => (opens, kind) = (true, None),
                    "add" | "create" | "delete" | "destroy" | "define" => {
                        word.clone_into(&mut verb);
                    }
                    _ if before == "type" => kind = Some(word.to_owned()),
                    _ => {}
                }
                before.clear();
                before.push_str(word);
            }
        }
    }
    Ok(())
}

/// Reads up to the `}` that ends the elements.
fn elements<R: BufRead>(
    tokens: &mut Tokens<R>,
    out: &mut Collector,
    wanted: bool,
) -> Result<(), ReadError> {
    let mut element = Element::default();
    while let Some(token) = tokens.next()? {
        match token {
            Token::Mark(b',') => element.take(out, wanted)?,
            Token::Mark(b'}') => return element.take(out, wanted),
            Token::Mark(_) => {}
            Token::Quoted | Token::Word => element.push(token, tokens),
        }
    }
    let hint = "close it with `}`";
    out.refuse(
        tokens.line,
        "elements",
        "a set that is not closed",
        Some(hint),
    );
    Ok(())
}

/// An element so far.
#[derive(Default)]
struct Element {
    line: u64,
    text: String,
    note: String,
    timed: bool,
    problem: Option<&'static str>,
    before: String,
}

impl Element {
    fn push<R>(&mut self, token: Token, tokens: &Tokens<R>) {
        let word = tokens.word.as_str();
        if self.text.is_empty() {
            self.line = tokens.line;
            self.text.push_str(word);
        } else if token == Token::Quoted {
            if self.before == "comment" {
                self.note.push_str(word);
            }
        } else {
            match word {
                "." => self.problem = Some("more than an address: a concatenation"),
                ":" => self.problem = Some("more than an address: an element of a map"),
                "timeout" => self.timed = true,
                _ => {}
            }
        }
        self.before.clear();
        self.before.push_str(word);
    }

    /// Hands the element on and begins the next.
    fn take(&mut self, out: &mut Collector, wanted: bool) -> Result<(), ReadError> {
        if wanted && !self.text.is_empty() {
            match self.problem {
                Some(problem) => out.refuse(self.line, &self.text, problem, Some(SETS_HINT)),
                None => out.add(Entry {
                    line: self.line,
                    text: &self.text,
                    note: self.note.trim(),
                    timed: self.timed,
                })?,
            }
        }
        self.text.clear();
        self.note.clear();
        self.before.clear();
        (self.timed, self.problem) = (false, None);
        Ok(())
    }
}

struct Tokens<R> {
    input: R,
    line: u64,
    /// Bytes of the last word or quoted text.
    bytes: Vec<u8>,
    word: String,
}

impl<R: BufRead> Tokens<R> {
    const fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            bytes: Vec::new(),
            word: String::new(),
        }
    }

    fn next(&mut self) -> Result<Option<Token>, ReadError> {
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(None);
            };
            match byte {
                b'#' => self.take_while(|byte| byte != b'\n')?,
                b'"' => {
                    self.step(byte);
                    self.take_while(|byte| byte != b'"' && byte != b'\n')?;
                    if self.peek()? == Some(b'"') {
                        self.step(b'"');
                    }
                    return Ok(Some(Token::Quoted));
                }
                b'{' | b'}' | b',' | b';' | b'=' => {
                    self.step(byte);
                    return Ok(Some(Token::Mark(byte)));
                }
                _ if byte.is_ascii_whitespace() => self.step(byte),
                _ => {
                    self.take_while(|byte| {
                        !byte.is_ascii_whitespace() && !b"#\"{},;=".contains(&byte)
                    })?;
                    return Ok(Some(Token::Word));
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Passes a byte that was peeked.
    fn step(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.input.consume(1);
    }

    /// Takes bytes, none of them a line feed, as the word.
    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> Result<(), ReadError> {
        self.bytes.clear();
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| !belongs(*byte));
            let used = end.unwrap_or(buffer.len());
            let room = MAX_WORD.saturating_sub(self.bytes.len());
            let kept = buffer.get(..used.min(room)).unwrap_or_default();
            self.bytes.extend_from_slice(kept);
            let is_over = end.is_some() || buffer.is_empty();
            self.input.consume(used);
            if is_over {
                self.word.clear();
                self.word.push_str(&String::from_utf8_lossy(&self.bytes));
                return Ok(());
            }
        }
    }
}
