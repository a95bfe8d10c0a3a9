//! One record with known columns.

use std::net::IpAddr;

use super::{
    columns::{Columns, Content, content, is_plain_number},
    layout::is_decimal,
    unnamed,
};
use crate::{
    address::{
        AddressError, excerpt, is_address, is_length, is_protocol, limited_to_port,
        looks_like_address, names_port, refuse_length, refuse_slash, refuse_unnamed, with_count,
        with_mask,
    },
    exchange::read::{
        ReadError,
        collect::{Collector, Entry},
        opposite,
        ruleset::{ALLOW, ALLOW_HINT, EXCEPT, EXCEPT_HINT},
    },
};

/// Characters before an address that mean an exception.
const NEGATION: [char; 4] = ['!', '-', '~', '^'];

/// Reads a record with known columns.
pub(super) fn entry(
    line: u64,
    record: &str,
    cells: &[&str],
    columns: Columns,
    titles: &[String],
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
    if !columns.are_named() {
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
    if let Some(error) = unnamed_mask(text, cells, columns, titles) {
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
    if let Some(count) = columns.count {
        let count = cell(Some(count)).unwrap_or_default();
        return match with_count(text, count) {
            Ok(written) => out.add_written(entry, &written),
            Err(error) => {
                out.refuse_address(line, error);
                Ok(())
            }
        };
    }
    let last = cell(columns.last).unwrap_or_default();
    if columns.are_decimal && columns.are_ranges && is_decimal(text) && is_decimal(last) {
        let Some(text) = decimal_range(text, last) else {
            let text = format!("{text} {last}");
            out.refuse(line, &text, "numbers that are not addresses", Some(NUMBERS));
            return Ok(());
        };
        return out.add(Entry {
            text: &text,
            ..entry
        });
    }
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
pub(super) fn unread(
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
        if !columns.are_chosen() && !columns.hold_entry(at) && is_address(cell) {
            out.pass_over(title, 1);
        }
    }
    false
}

/// Rejects a mask in a column that the header does not name as a mask, and a number that could be a
/// prefix length.
fn unnamed_mask(
    text: &str,
    cells: &[&str],
    columns: Columns,
    titles: &[String],
) -> Option<AddressError> {
    let is_single = columns.are_named() && columns.count.is_none() && !columns.are_ranges;
    let address = text.parse::<IpAddr>().ok().filter(|_| is_single)?;
    let others = cells.iter().enumerate();
    let mut others = others.filter(|(at, _)| !columns.hold_entry(*at));
    others.find_map(|(at, cell)| {
        let name = titles.get(at).map_or("", String::as_str);
        let refused = refuse_unnamed(address, cell).and_then(|()| refuse_slash(address, cell));
        if columns.are_chosen() || is_plain_number(name) {
            return refused.err();
        }
        let length = refuse_length(address, cell).map_err(|error| AddressError {
            hint: Some(format!(
                "if `{0}` is the prefix length, write --column {1}/{2}; if it is not, --column {1}",
                excerpt(name),
                columns.address + 1,
                at + 1
            )),
            ..error
        });
        refused.and(length).err()
    })
}

const NUMBERS: &str = "choose the columns with the first and the last addresses of ranges, such as \
                       --column 1-2; numbers below 16777216 are never addresses";

/// The smallest number that is an address: 1.0.0.0. Smaller ones are counts, ports or indices.
const FIRST_DECIMAL: u128 = 1 << 24;

/// Returns the range between two addresses in decimal.
fn decimal_range(first: &str, last: &str) -> Option<String> {
    Some(format!("{}-{}", decimal(first)?, decimal(last)?))
}

fn decimal(text: &str) -> Option<IpAddr> {
    let number: u128 = text
        .parse()
        .ok()
        .filter(|number| *number >= FIRST_DECIMAL)?;
    let ipv4 = u32::try_from(number).map(|bits| IpAddr::V4(bits.into()));
    Some(ipv4.unwrap_or_else(|_| IpAddr::V6(number.into())))
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
