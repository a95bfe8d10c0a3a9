//! Lines with addresses, prefixes and ranges. The rest of a line is their note.

use std::io::BufRead;

use super::{
    ReadError,
    collect::{Collector, Entry},
    detect,
    lines::Lines,
};
use crate::address::{AddressError, read_line};

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while let Some((number, text)) = lines.next(out)? {
        let line = match read_line(text) {
            Ok(Some(line)) => line,
            Ok(None) => continue,
            Err(error) => {
                refuse(number, text, error, out);
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

/// Rejects a line. If it is a line of another format, the hint names that.
fn refuse(number: u64, text: &str, error: AddressError, out: &mut Collector) {
    let Some(format) = detect::by_line(text.trim()) else {
        out.refuse_address(number, error);
        return;
    };
    let hint = format!("if the file has the format {format}, name it: --format {format}");
    out.refuse(
        number,
        text.trim(),
        &format!("a line of {format}"),
        Some(&hint),
    );
}
