//! Records with `,`, `;` or tabs, with or without a header.
//!
//! A header defines the meaning of columns. Without a header a record must have exactly one
//! address: several addresses are ambiguous, and the record is rejected.

mod columns;
mod entry;
mod layout;
pub(super) mod records;

use std::{io::BufRead, net::IpAddr};

use csv::StringRecord;

use super::{
    Delimiter, ReadError, ReadOptions,
    collect::{Collector, Entry},
    filters::Problem,
    lines::Lines,
};
use crate::address::{is_blank, looks_like_address, read_line, refuse_unnamed};
use columns::{Columns, Content, Header, content, header};
use entry::{entry, unread};
use layout::{Layout, layout};
use records::{cells, close_quotes, delimiter};

pub(super) fn read(
    input: impl BufRead,
    options: &ReadOptions,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut record = String::new();
    let mut quoted = StringRecord::new();
    let mut table: Option<(char, Layout)> = None;
    let mut comment = String::new();
    while let Some((number, line)) = lines.next(out)? {
        if is_blank(line) {
            if table.is_none() && !line.trim().is_empty() {
                line.clone_into(&mut comment);
            }
            continue;
        }
        record.clear();
        record.push_str(line);
        let delimiter = match &table {
            Some((delimiter, _)) => *delimiter,
            None => options
                .delimiter
                .map_or_else(|| delimiter(&record), Delimiter::as_char),
        };
        if !close_quotes(&mut record, delimiter, &mut lines, out)? {
            // Everything after the quote was read as part of the record.
            let hint = "close it with another quote";
            out.spoil(number, &record, "a quote that is not closed", hint);
            continue;
        }
        let cells = cells(&record, delimiter, &mut quoted);
        let Some((_, layout)) = &mut table else {
            let first = first(&cells, delimiter, &comment, options);
            match first {
                Ok(layout) => {
                    let (_, layout) = table.insert((delimiter, layout));
                    if !layout.is_header {
                        take(number, &record, &cells, layout, out)?;
                    }
                }
                Err(Problem { problem, hint }) => {
                    out.spoil(number, &record, &problem, &hint);
                    return Ok(());
                }
            }
            continue;
        };
        take(number, &record, &cells, layout, out)?;
    }
    if let Some((_, layout)) = table {
        layout.filters.finish(out);
    }
    Ok(())
}

/// Reads the first record, with the comment before it.
fn first(
    record: &[&str],
    delimiter: char,
    comment: &str,
    options: &ReadOptions,
) -> Result<Layout, Problem> {
    let comment = comment.trim().trim_start_matches(['#', ';', '/']).trim();
    let mut quoted = StringRecord::new();
    let comment = if comment.is_empty() {
        Vec::new()
    } else {
        cells(comment, delimiter, &mut quoted)
    };
    layout(record, &comment, options)
}

/// Reads a record that the filters take.
fn take(
    line: u64,
    record: &str,
    cells: &[&str],
    layout: &mut Layout,
    out: &mut Collector,
) -> Result<(), ReadError> {
    if !layout.filters.take(cells) {
        return Ok(());
    }
    if let Some(columns) = layout.columns {
        if !unread(line, cells, columns, &layout.titles, out) {
            entry(line, record, cells, columns, &layout.titles, out)?;
        }
        return Ok(());
    }
    let Content::One(address) = content(cells) else {
        return unnamed(line, record, cells, out);
    };
    let columns = Columns {
        address,
        note: (address + 1 < cells.len()).then_some(address + 1),
        ..Columns::default()
    };
    layout.columns = Some(columns);
    // The words of such a header say nothing about the columns.
    layout.titles.clear();
    entry(line, record, cells, columns, &[], out)
}

/// Whether a file that begins with these lines has records: a header and a record with an address,
/// or a record whose columns need a header.
pub(super) fn begins(first: &str, second: Option<&str>) -> bool {
    let separator = delimiter(first);
    let (mut quoted, mut quoted_second) = (StringRecord::new(), StringRecord::new());
    let names = cells(first, separator, &mut quoted);
    match header(&names, None) {
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
