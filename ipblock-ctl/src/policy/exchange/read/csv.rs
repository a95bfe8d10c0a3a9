//! Records of `,`, `;` or tabs, with or without a header.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord};

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::{Lines, MAX_LINE, is_blank},
};
use crate::policy::address::parse_prefixes;

const ADDRESS: [&str; 9] = [
    "address",
    "ip",
    "cidr",
    "prefix",
    "network",
    "range",
    "at",
    "subnet",
    "ip_address",
];
const FIRST: [&str; 6] = [
    "start",
    "from",
    "first",
    "start_ip",
    "ip_start",
    "range_start",
];
const LAST: [&str; 6] = ["end", "to", "last", "end_ip", "ip_end", "range_end"];
const NOTE: [&str; 6] = [
    "note",
    "comment",
    "notes",
    "comments",
    "description",
    "reason",
];

/// Which column holds what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Columns {
    address: usize,
    /// The last address, where two columns make a range.
    last: Option<usize>,
    note: Option<usize>,
    /// `match` or `except`, as `export` writes it.
    kind: Option<usize>,
    expires: Option<usize>,
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut record = String::new();
    let mut quoted = StringRecord::new();
    let mut layout: Option<(char, Columns)> = None;
    let mut is_first = true;
    while let Some((number, line)) = lines.next(out)? {
        if is_blank(line) {
            continue;
        }
        record.clear();
        record.push_str(line);
        let delimiter = layout.map_or_else(|| delimiter(&record), |(delimiter, _)| delimiter);
        if !close_quotes(&mut record, delimiter, &mut lines, out)? {
            let hint = "close it with another quote";
            out.refuse(number, &record, "a quote that is not closed", Some(hint));
            continue;
        }
        let cells = cells(&record, delimiter, &mut quoted);
        let columns = if let Some((_, columns)) = layout {
            columns
        } else {
            let was_first = std::mem::take(&mut is_first);
            if was_first && let Some(columns) = header(&cells) {
                layout = Some((delimiter, columns));
                continue;
            }
            if was_first && !record.contains(|c: char| c.is_ascii_digit()) {
                // A header in other words.
                continue;
            }
            let found = by_content(&cells);
            layout = found.map(|columns| (delimiter, columns));
            found.unwrap_or_default()
        };
        entry(number, &record, &cells, columns, out)?;
    }
    Ok(())
}

/// The character that parts the most cells.
pub(super) fn delimiter(line: &str) -> char {
    let count = |delimiter: char| line.matches(delimiter).count();
    // The last of equals is taken: a comma.
    let candidates = ['\t', ';', ','];
    let most = candidates
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter));
    most.unwrap_or(',')
}

/// Whether a first line looks like a record of this format: a header, or several cells of which
/// one is an address.
pub(super) fn is_record(line: &str) -> bool {
    let delimiter = delimiter(line);
    let mut quoted = StringRecord::new();
    let cells = cells(line, delimiter, &mut quoted);
    if header(&cells).is_some() {
        return true;
    }
    // `192.0.2.0/24 ; note` is plain text.
    by_content(&cells)
        .is_some_and(|columns| cells.len() > 1 && (delimiter == ',' || columns.last.is_some()))
}

/// Adds lines to a record until every quoted cell of it ends; whether they do.
fn close_quotes(
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
            // A doubled quote closes and opens.
            '"' if is_quoted => is_quoted = false,
            '"' if starts => is_quoted = true,
            _ => {}
        }
        // After a closing quote another one goes on with the cell.
        starts = character == '"' && !is_quoted || character == delimiter;
    }
    is_quoted
}

/// The cells of a record, white space around them cut off.
fn cells<'r>(record: &'r str, delimiter: char, quoted: &'r mut StringRecord) -> Vec<&'r str> {
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
    // What is flexible and UTF-8 has no errors.
    match reader.read_record(quoted) {
        Ok(true) => quoted.iter().map(str::trim).collect(),
        _ => Vec::new(),
    }
}

/// The columns as a header names them.
fn header(cells: &[&str]) -> Option<Columns> {
    let find = |names: &[&str]| {
        cells.iter().position(|cell| {
            let cell = cell.to_ascii_lowercase().replace([' ', '-'], "_");
            names.contains(&cell.as_str())
        })
    };
    let (address, last) = match (find(&ADDRESS), find(&FIRST), find(&LAST)) {
        (Some(address), ..) => (address, None),
        (None, Some(first), Some(last)) => (first, Some(last)),
        _ => return None,
    };
    Some(Columns {
        address,
        last,
        note: find(&NOTE),
        kind: find(&["kind"]),
        expires: find(&["expires"]),
    })
}

/// The columns of a record without a header: the first address, a second one right after it that
/// makes a range, and the next column as the note.
fn by_content(cells: &[&str]) -> Option<Columns> {
    let is_address = |cell: &&str| parse_prefixes(cell).is_ok();
    let is_single = |cell: &&str| cell.parse::<std::net::IpAddr>().is_ok();
    let address = cells.iter().position(is_address)?;
    let pair =
        cells.get(address).is_some_and(is_single) && cells.get(address + 1).is_some_and(is_single);
    let note = address + 1 + usize::from(pair);
    Some(Columns {
        address,
        last: pair.then_some(address + 1),
        note: (note < cells.len()).then_some(note),
        ..Columns::default()
    })
}

fn entry(
    line: u64,
    record: &str,
    cells: &[&str],
    columns: Columns,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let cell = |column: Option<usize>| column.and_then(|column| cells.get(column)).copied();
    let text = cell(Some(columns.address)).unwrap_or_default();
    if text.is_empty() {
        let hint = "write the address in the column that the first record has it in";
        out.refuse(line, record, "a record without an address", Some(hint));
        return Ok(());
    }
    if cell(columns.kind).is_some_and(|kind| kind.starts_with("except")) {
        let hint = "add it with ipblock-ctl exception add RULE ADDRESS";
        out.refuse(line, text, "an exception of a rule", Some(hint));
        return Ok(());
    }
    let entry = Entry {
        line,
        text,
        note: cell(columns.note).unwrap_or_default(),
        timed: cell(columns.expires).is_some_and(|expires| !expires.is_empty()),
    };
    match cell(columns.last) {
        Some(last) if !last.is_empty() && last != text => {
            let text = format!("{text}-{last}");
            out.add(Entry {
                text: &text,
                ..entry
            })
        }
        _ => out.add(entry),
    }
}
