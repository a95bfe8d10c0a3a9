//! Statements and blocks that are passed over.

use std::io::BufRead;

use super::{Script, tokens::Token};
use crate::{address::is_address, exchange::read::ReadError};

/// Words of one statement that are kept.
const MAX_WORDS: usize = 16;

impl<R: BufRead> Script<'_, R> {
    /// The words up to a mark, and the mark; the words beyond the first few are left out.
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

    /// Passes the rest of a statement of which `end` is the last piece that was read.
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

    /// Passes the rest of a statement, with its blocks; how many addresses stand in it.
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

    /// Passes a block up to the `}` that ends it; how many addresses stand in it.
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
