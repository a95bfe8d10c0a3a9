//! The tokens of an nft script.

use std::io::BufRead;

use crate::exchange::read::ReadError;

/// Maximum length of a word in bytes: far above any address. A longer word is truncated, and
/// rejected in place of an address.
const MAX_WORD: usize = 1 << 10;

/// A token. [`Tokens::word`] has the text of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word,
    Quoted,
    /// One of `{`, `}`, `,`, `;`, `=` and line feed.
    Mark(u8),
}

/// The text, token by token.
pub(super) struct Tokens<R> {
    input: R,
    pub(super) line: u64,
    /// A token that was put back.
    back: Option<Token>,
    /// Bytes of the last word or quoted text.
    bytes: Vec<u8>,
    /// The text of the last word, or the text between the quotes.
    pub(super) word: String,
}

impl<R: BufRead> Tokens<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            back: None,
            bytes: Vec::new(),
            word: String::new(),
        }
    }

    /// Puts the last token back: it is returned again.
    pub(super) const fn give_back(&mut self, token: Token) {
        self.back = Some(token);
    }

    pub(super) fn next(&mut self) -> Result<Option<Token>, ReadError> {
        if let Some(token) = self.back.take() {
            return Ok(Some(token));
        }
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
                b'{' | b'}' | b',' | b';' | b'=' | b'\n' => {
                    self.step(byte);
                    return Ok(Some(Token::Mark(byte)));
                }
                _ if byte.is_ascii_whitespace() => self.step(byte),
                _ => {
                    self.take_while(|byte| {
                        !byte.is_ascii_whitespace() && !b"#\"{},;=".contains(&byte)
                    })?;
                    // A continued line.
                    if self.word == "\\" && self.peek()? == Some(b'\n') {
                        self.step(b'\n');
                        continue;
                    }
                    return Ok(Some(Token::Word));
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Consumes a byte that was peeked.
    fn step(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.input.consume(1);
    }

    /// Consumes bytes, none of them a line feed, as the word.
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
