//! Records with `,`, `;` or tabs, with or without a header.
//!
//! A header defines the meaning of columns. Without a header a record must have exactly one
//! address: several addresses are ambiguous, and the record is rejected.

mod columns;
mod records;

use std::{io::BufRead, net::IpAddr};

use csv::StringRecord;

use super::{
    ReadError,
    collect::{Collector, Entry},
    lines::Lines,
    opposite,
    ruleset::{ALLOW, ALLOW_HINT, EXCEPT, EXCEPT_HINT},
};
use crate::address::{
    AddressError, excerpt, is_address, is_blank, is_length, is_protocol, limited_to_port,
    looks_like_address, names_port, read_line, refuse_length, refuse_slash, refuse_unnamed,
    with_mask,
};
use columns::{Columns, Content, Header, content, header, names};
use records::{cells, close_quotes, delimiter};

/// Characters before an address that mean an exception.
const NEGATION: [char; 4] = ['!', '-', '~', '^'];

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut record = String::new();
    let mut quoted = StringRecord::new();
    let mut layout: Option<(char, Columns)> = None;
    let mut is_first = true;
    let mut titles = Vec::new();
    while let Some((number, line)) = lines.next(out)? {
        if is_blank(line) {
            continue;
        }
        record.clear();
        record.push_str(line);
        let delimiter = layout.map_or_else(|| delimiter(&record), |(delimiter, _)| delimiter);
        if !close_quotes(&mut record, delimiter, &mut lines, out)? {
            // Everything after the quote was read as part of the record.
            let hint = "close it with another quote";
            out.spoil(number, &record, "a quote that is not closed", hint);
            continue;
        }
        let cells = cells(&record, delimiter, &mut quoted);
        if let Some((_, columns)) = layout {
            if !unread(number, &cells, columns, &titles, out) {
                entry(number, &record, &cells, columns, out)?;
            }
            continue;
        }
        if std::mem::take(&mut is_first) {
            match header(&cells) {
                Some(Header::Columns(columns)) => {
                    titles = names(&cells);
                    layout = Some((delimiter, columns));
                    continue;
                }
                Some(Header::Two(one, other)) => {
                    let (one, other) = (excerpt(&one), excerpt(&other));
                    let problem = format!("two columns of addresses: `{one}` and `{other}`");
                    let hint = "leave one of the columns out, or rename it";
                    out.spoil(number, &record, &problem, hint);
                    return Ok(());
                }
                Some(Header::Half(name)) => {
                    let name = excerpt(&name);
                    let problem = format!("a column `{name}`, and none with the ends of ranges");
                    let hint =
                        "name the column `address`, or the one with the last addresses `end`";
                    out.spoil(number, &record, &problem, hint);
                    return Ok(());
                }
                // A header with unknown words.
                Some(Header::Other) => continue,
                None => {}
            }
        }
        if let Content::One(address) = content(&cells) {
            let columns = Columns {
                address,
                note: (address + 1 < cells.len()).then_some(address + 1),
                ..Columns::default()
            };
            layout = Some((delimiter, columns));
            entry(number, &record, &cells, columns, out)?;
        } else {
            unnamed(number, &record, &cells, out)?;
        }
    }
    Ok(())
}

/// Whether a file that begins with these lines has records: a header and a record with an address,
/// or a record whose columns need a header.
pub(super) fn begins(first: &str, second: Option<&str>) -> bool {
    let separator = delimiter(first);
    let (mut quoted, mut quoted_second) = (StringRecord::new(), StringRecord::new());
    let names = cells(first, separator, &mut quoted);
    match header(&names) {
        Some(Header::Columns(_) | Header::Two(..) | Header::Half(_)) => return true,
        Some(Header::Other) => {
            let Some(second) = second.filter(|_| names.len() > 1) else {
                return false;
            };
            let record = cells(second, separator, &mut quoted_second);
            return record.len() > 1 && content(&record) != Content::None;
        }
        None => {}
    }
    // A comment may follow the addresses of plain text.
    let free = first.split('#').next().unwrap_or_default();
    let free: Vec<&str> = if free.contains('"') {
        names.clone()
    } else {
        free.split(separator).map(str::trim).collect()
    };
    match content(&free) {
        Content::Pair(..) => true,
        Content::All | Content::None => false,
        // `192.0.2.0/24 ; note` is plain text.
        Content::One(_) | Content::Mixed => names.len() > 1 && separator == ',',
    }
}

/// Reads or rejects a record without a header.
fn unnamed(line: u64, record: &str, cells: &[&str], out: &mut Collector) -> Result<(), ReadError> {
    match content(cells) {
        Content::None | Content::One(_) => {
            if let Some(cell) = cells.iter().find(|cell| looks_like_address(cell)) {
                return out.add(Entry::new(line, cell, ""));
            }
            let hint = "write an address into each record, or name the format of the file with \
                        --format";
            out.refuse(line, record, "a record without an address", Some(hint));
        }
        Content::Pair(first, last) => {
            if let Ok(address) = first.parse::<IpAddr>()
                && let Err(error) = refuse_unnamed(address, last)
            {
                out.refuse_address(line, error);
                return Ok(());
            }
            let hint = format!(
                "for a range write {first}-{last} or a first line `start,end`; for two addresses \
                 write each on a line of its own, or import the list with --format plain"
            );
            let problem = "a range or two addresses";
            out.refuse(line, record, problem, Some(&hint));
        }
        Content::All => match read_line(&cells.join(" ")) {
            Ok(Some(read)) => {
                for item in read.items() {
                    out.add_written(Entry::new(line, item.text, ""), &item.written)?;
                }
            }
            Ok(None) => {}
            Err(error) => out.refuse_address(line, error),
        },
        Content::Mixed => {
            let hint = "write a header as the first line, with `address` over the column to read, \
                        or `start` and `end` over the ends of ranges";
            out.refuse(line, record, "several addresses in one record", Some(hint));
        }
    }
    Ok(())
}

/// Reads a record with known columns.
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
        out.refuse(line, text, EXCEPT, Some(EXCEPT_HINT));
        return Ok(());
    }
    if cell(columns.kind) == Some("allow") {
        out.refuse(line, text, ALLOW, Some(ALLOW_HINT));
        return Ok(());
    }
    if !columns.are_named {
        match content(cells) {
            Content::None | Content::One(_) => {}
            Content::Pair(..) | Content::All | Content::Mixed => {
                return unnamed(line, record, cells, out);
            }
        }
        if let Err(error) = alone(text, cells, columns) {
            out.refuse_address(line, error);
            return Ok(());
        }
    }
    if let Some(error) = unnamed_mask(text, cells, columns) {
        out.refuse_address(line, error);
        return Ok(());
    }
    let entry = Entry {
        line,
        text,
        note: cell(columns.note).unwrap_or_default(),
        end: columns.end_of(cells),
    };
    if let Some((kind, column)) = columns.mask {
        let mask = cell(Some(column)).unwrap_or_default();
        return match with_mask(text, mask, kind) {
            Ok(written) => out.add_written(entry, &written),
            Err(error) => {
                out.refuse_address(line, error);
                Ok(())
            }
        };
    }
    let last = cell(columns.last).unwrap_or_default();
    let is_end = |last: &str| is_address(last) || is_length(last) || !is_address(text);
    if last != text && (columns.are_ranges || !last.is_empty() && is_end(last)) {
        let text = format!("{text}-{last}");
        return out.add(Entry {
            text: &text,
            ..entry
        });
    }
    out.add(entry)
}

/// Checks the columns that are not read. Rejects an entry if one of them says that it is allowed.
/// Counts addresses in others by the name of the column.
fn unread(
    line: u64,
    cells: &[&str],
    columns: Columns,
    titles: &[String],
    out: &mut Collector,
) -> bool {
    let text = cells.get(columns.address).copied().unwrap_or_default();
    for (at, (cell, title)) in cells.iter().zip(titles).enumerate() {
        if opposite::says_so(title, cell) {
            opposite::refuse(line, text, out);
            return true;
        }
        if !columns.hold_entry(at) && is_address(cell) {
            out.pass_over(title, 1);
        }
    }
    false
}

/// Rejects a mask in a column that the header does not name as a mask.
fn unnamed_mask(text: &str, cells: &[&str], columns: Columns) -> Option<AddressError> {
    let address = text.parse::<IpAddr>().ok().filter(|_| columns.are_named)?;
    let others = cells.iter().enumerate();
    let mut others = others.filter(|(at, _)| !columns.hold_entry(*at));
    others.find_map(|(_, cell)| {
        let refused = refuse_unnamed(address, cell).and_then(|()| refuse_slash(address, cell));
        refused.err()
    })
}

/// Whether a cell is a MAC address, as in members of hash:ip,mac.
fn is_mac(cell: &str) -> bool {
    let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    cell.split(':').count() == 6 && cell.split(':').all(is_byte)
}

/// Without a header, rejects cells after an address that could belong to it.
fn alone(text: &str, cells: &[&str], columns: Columns) -> Result<(), AddressError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        for cell in cells.iter().skip(columns.address + 1) {
            refuse_length(address, cell)?;
        }
    }
    // A note with another address looks the same as a list of addresses.
    let others = cells
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != columns.address);
    for (_, cell) in others {
        let mut parts = cell.split([' ', ',', ';']);
        if parts.any(names_port) || is_protocol(cell) || is_mac(cell) {
            return Err(limited_to_port(text, cell));
        }
        let plain = |word: &str| looks_like_address(word.trim_start_matches(NEGATION));
        if cell.split([' ', '\t', ',', ';']).any(plain) {
            let problem = "several addresses in one record";
            let hint = "write a header as the first line, with `address` over the column to read";
            return Err(AddressError {
                value: excerpt(text),
                problem: problem.to_owned(),
                hint: Some(hint.to_owned()),
            });
        }
    }
    Ok(())
}
