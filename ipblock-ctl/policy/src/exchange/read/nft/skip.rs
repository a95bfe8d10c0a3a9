//! Skips statements and blocks.

use std::io::BufRead;

use super::{Script, tokens::Token};
use crate::{address::is_address, exchange::read::ReadError};

/// Maximum of recorded words in one statement.
const MAX_WORDS: usize = 16;

impl<R: BufRead> Script<'_, R> {
    /// Returns the words before a mark, and the mark. Drops words beyond the maximum.
    pub(super) fn words(&mut self) -> Result<(Vec<String>, Option<Token>), ReadError> {
        let mut words = Vec::new();
        loop {
            match self.tokens.next()? {
                Some(Token::Word | Token::Quoted) => {
                    if words.len() < MAX_WORDS {
                        words.push(self.tokens.word.clone());
                    }
                }
                end => return Ok((words, end)),
            }
        }
    }

    /// Skips the rest of a statement. `end` is the last token that was read.
    pub(super) fn skip_rest(&mut self, end: Option<Token>) -> Result<(), ReadError> {
        match end {
            None | Some(Token::Mark(b'\n' | b';')) => Ok(()),
            Some(Token::Mark(b'{')) => self.skip_block().map(drop),
            Some(token @ Token::Mark(b'}')) => {
                self.tokens.give_back(token);
                Ok(())
            }
            Some(_) => self.skip_statement().map(drop),
        }
    }

    /// Skips the rest of a statement with its blocks. Returns the number of addresses in it.
    pub(super) fn skip_statement(&mut self) -> Result<u64, ReadError> {
        let mut addresses = 0;
        while let Some(token) = self.tokens.next()? {
            match token {
                Token::Mark(b'{') => addresses += self.skip_block()?,
                Token::Mark(b'\n' | b';') => break,
                Token::Mark(b'}') => {
                    self.tokens.give_back(token);
                    break;
                }
                Token::Word => addresses += u64::from(is_address(&self.tokens.word)),
                Token::Mark(_) | Token::Quoted => {}
            }
        }
        Ok(addresses)
    }

    /// Skips a block up to its closing `}`. Returns the number of addresses in it.
    pub(super) fn skip_block(&mut self) -> Result<u64, ReadError> {
        let (mut depth, mut addresses) = (1_u64, 0);
        while let Some(token) = self.tokens.next()? {
            match token {
                Token::Mark(b'{') => depth += 1,
                Token::Mark(b'}') => depth -= 1,
                Token::Word => addresses += u64::from(is_address(&self.tokens.word)),
                Token::Mark(_) | Token::Quoted => {}
            }
            if depth == 0 {
                return Ok(addresses);
            }
        }
        self.cut_off("block");
        Ok(addresses)
    }
}
