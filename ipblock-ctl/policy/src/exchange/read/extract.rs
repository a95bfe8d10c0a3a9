//! Any text: every address in it. Words that are not taken are rejected one by one, and the others
//! are still used.

use std::io::{BufRead, BufReader};

use super::{
    FileFormat, Parsed, ReadError, SNIFFED,
    collect::{Collector, Entry},
    gzip::{Unpacked, is_packed, unwrapped},
    lines::Lines,
};
use crate::address::addresses_in_text;

/// Finds every address in a text, whatever its format. Nothing else about the text is understood,
/// so the result is shown to the operator before it is used.
pub fn extract(mut input: impl BufRead) -> Result<Parsed, ReadError> {
    if is_packed(input.fill_buf()?) {
        let unpacked = BufReader::with_capacity(SNIFFED, Unpacked::new(input));
        return read(unpacked).map_err(unwrapped);
    }
    read(input)
}

fn read(mut input: impl BufRead) -> Result<Parsed, ReadError> {
    let head = input.fill_buf()?.to_vec();
    super::binary::refuse(&head, std::io::empty())?;
    let mut out = Collector::new(FileFormat::Plain, &[]);
    let mut lines = Lines::new(input);
    while let Some((line, text)) = lines.next(&mut out)? {
        for found in addresses_in_text(text) {
            match found {
                Ok(text) => out.add(Entry::new(line, &text, ""))?,
                Err(error) => out.refuse_address(line, error),
            }
        }
    }
    Ok(out.finish())
}
