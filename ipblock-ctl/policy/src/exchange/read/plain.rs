//! Lines with addresses, prefixes and ranges. The rest of a line is their note.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
};
use crate::address::read_line;

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, text)) = lines.next(out)? {
        let line = match read_line(text) {
            Ok(Some(line)) => line,
            Ok(None) => continue,
            Err(error) => {
                out.refuse_address(number, error);
                continue;
            }
        };
        for item in line.items() {
            let entry = Entry {
                line: number,
                text: item.text,
                note: line.note,
                end: line.end,
            };
            out.add_written(entry, &item.written)?;
        }
    }
    Ok(())
}
