//! Reads a file line by line and keeps none of the lines.

use std::io::{BufRead, Read as _};

use super::{ReadError, collect::Collector};

/// Maximum length of a line in bytes: far above any address with its note.
pub(super) const MAX_LINE: usize = 64 << 10;

/// Lines of an input, one at a time.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    bytes: Vec<u8>,
    /// The line, if its bytes are not UTF-8.
    replaced: String,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            number: 0,
            bytes: Vec::new(),
            replaced: String::new(),
        }
    }

    /// Returns the next line without its line feed, and its number from 1. Replaces bytes that are
    /// not UTF-8, so an address with such bytes is rejected but a note is not.
    ///
    /// Rejects a line that is too long and continues with the next one.
    pub(super) fn next(&mut self, out: &mut Collector) -> Result<Option<(u64, &str)>, ReadError> {
        loop {
            self.bytes.clear();
            let limit = MAX_LINE as u64 + 1;
            let read = self
                .input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut self.bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read > MAX_LINE && self.bytes.last() != Some(&b'\n') {
                self.skip_rest_of_line()?;
                let text = String::from_utf8_lossy(&self.bytes);
                out.refuse(self.number, &text, "a line of more than 64 KiB", None);
                continue;
            }
            let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
            if str::from_utf8(bytes).is_err() {
                self.replaced = String::from_utf8_lossy(bytes).into_owned();
            }
            // Validated twice, which is faster than a copy.
            let text = str::from_utf8(bytes).unwrap_or(&self.replaced);
            return Ok(Some((self.number, text)));
        }
    }

    fn skip_rest_of_line(&mut self) -> Result<(), ReadError> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}
