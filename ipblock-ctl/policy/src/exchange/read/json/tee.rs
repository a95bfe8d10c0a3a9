//! Keeps what was read of a document until an address is found, so that it can be read again.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
};

use crate::exchange::read::MAX_DOCUMENT;

/// An input that keeps its bytes.
pub(super) struct Tee<'w, R> {
    input: R,
    /// Whether the bytes are no longer needed.
    is_done: &'w Cell<bool>,
    kept: Option<Vec<u8>>,
}

impl<'w, R: BufRead> Tee<'w, R> {
    pub(super) const fn new(input: R, is_done: &'w Cell<bool>) -> Self {
        Self {
            input,
            is_done,
            kept: Some(Vec::new()),
        }
    }

    /// Returns all bytes, unless there are too many or they are not needed.
    pub(super) fn kept(self) -> Option<Vec<u8>> {
        self.kept.filter(|_| !self.is_done.get())
    }
}

impl<R: BufRead> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if let Some(kept) = &mut self.kept {
            let has_room = ((kept.len() + read) as u64) <= MAX_DOCUMENT;
            if has_room && !self.is_done.get() {
                kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
            } else {
                self.kept = None;
            }
        }
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Tee<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
    }
}
