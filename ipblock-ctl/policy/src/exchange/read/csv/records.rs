//! Splits records into cells. Quoted cells may continue over several lines.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord};

use crate::exchange::read::{
    ReadError,
    collect::Collector,
    lines::{Lines, MAX_LINE},
};

/// Returns the separator that gives the most cells.
pub(super) fn delimiter(line: &str) -> char {
    let count = |delimiter: char| line.matches(delimiter).count();
    // If several are equal, the last one wins: a comma.
    let candidates = ['\t', ';', ','];
    let most = candidates
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter));
    most.unwrap_or(',')
}

/// Appends lines to a record until all quoted cells are closed. Returns whether they are.
pub(in crate::exchange::read) fn close_quotes(
    record: &mut String,
    delimiter: char,
    lines: &mut Lines<impl BufRead>,
    out: &mut Collector,
) -> Result<bool, ReadError> {
    while ends_quoted(record, delimiter) {
        if record.len() > MAX_LINE {
            return Ok(false);
        }
        let Some((_, line)) = lines.next(out)? else {
            return Ok(false);
        };
        record.push('\n');
        record.push_str(line);
    }
    Ok(true)
}

/// Whether the last cell begins with a quote that is not closed.
fn ends_quoted(record: &str, delimiter: char) -> bool {
    if !record.contains('"') {
        return false;
    }
    let (mut starts, mut is_quoted) = (true, false);
    for character in record.chars() {
        match character {
            // A doubled quote closes and reopens.
            '"' if is_quoted => is_quoted = false,
            '"' if starts => is_quoted = true,
            _ => {}
        }
        // A quote after a closing quote continues the cell.
        starts = character == '"' && !is_quoted || character == delimiter;
    }
    is_quoted
}

/// Returns the cells of a record, without white space around them.
pub(in crate::exchange::read) fn cells<'r>(
    record: &'r str,
    delimiter: char,
    quoted: &'r mut StringRecord,
) -> Vec<&'r str> {
    if !record.contains('"') {
        return record.split(delimiter).map(str::trim).collect();
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // One of three ASCII characters.
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .buffer_capacity(record.len().max(1))
        .from_reader(record.as_bytes());
    // Flexible records of UTF-8 text cannot fail.
    match reader.read_record(quoted) {
        Ok(true) => quoted.iter().map(str::trim).collect(),
        _ => Vec::new(),
    }
}
