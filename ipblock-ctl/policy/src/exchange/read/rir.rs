//! Statistics of the regional registries ("delegated" and "delegated-extended" files):
//! `registry|cc|type|start|value|date|status|...`. `value` is the number of addresses for IPv4 and
//! the prefix length for IPv6. See <https://ftp.ripe.net/pub/stats/ripencc/RIR-Statistics-Exchange-Format.txt>.

use std::io::BufRead;

use super::{
    Column, Filter, ReadError, ReadOptions,
    collect::{Collector, Entry},
    filters::{Filters, Problem},
    lines::Lines,
};
use crate::address::{Mask, is_blank, with_count, with_mask};

const REGISTRIES: [&str; 6] = ["afrinic", "apnic", "arin", "lacnic", "ripencc", "iana"];

/// Names of the columns, for `--where`.
const COLUMNS: [&str; 8] = [
    "registry",
    "cc",
    "type",
    "start",
    "value",
    "date",
    "status",
    "opaque_id",
];

const FORM: &str = "write registry|cc|ipv4|start|count|date|status";

/// Whether a line is the version line or a record of such a file.
pub(super) fn is_line(line: &str) -> bool {
    let cells: Vec<&str> = line.split('|').collect();
    let is_version = |cell: &&str| matches!(*cell, "2" | "2.0" | "2.1" | "2.2" | "2.3");
    match cells.as_slice() {
        [version, registry, ..] if is_version(version) => REGISTRIES.contains(registry),
        [registry, _, "ipv4" | "ipv6" | "asn", ..] => {
            cells.len() >= 6 && REGISTRIES.contains(registry)
        }
        _ => false,
    }
}

/// Other tables call the column `cc` by these names.
fn with_our_name(filter: &Filter) -> Filter {
    let mut filter = filter.clone();
    if let Column::Name(name) = &mut filter.column
        && ["country", "country_code"].contains(&name.to_ascii_lowercase().as_str())
    {
        "cc".clone_into(name);
    }
    filter
}

pub(super) fn read(
    input: impl BufRead,
    options: &ReadOptions,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let names = COLUMNS.map(str::to_owned);
    let filters: Vec<Filter> = options.filters.iter().map(with_our_name).collect();
    let mut filters = match Filters::new(&filters, &names, &COLUMNS) {
        Ok(filters) => filters,
        Err(Problem { problem, hint }) => {
            out.spoil(1, "", &problem, &hint);
            return Ok(());
        }
    };
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next(out)? {
        let line = line.trim();
        if is_blank(line) {
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (kind, start, value) = match cells.as_slice() {
            // The version line, and the sums of each type.
            [version, ..] if version.starts_with(|first: char| first.is_ascii_digit()) => continue,
            [.., "summary"] => continue,
            [_, _, kind, start, value, _date, _status, ..] => (*kind, *start, *value),
            _ => {
                out.refuse(number, line, "not a record of a registry", Some(FORM));
                continue;
            }
        };
        if !filters.take(&cells) {
            continue;
        }
        let written = match kind {
            "ipv4" => with_count(start, value),
            "ipv6" => with_mask(start, value, Mask::Net),
            "asn" => continue,
            _ => {
                out.refuse(number, line, "neither ipv4, ipv6 nor asn", Some(FORM));
                continue;
            }
        };
        match written {
            Ok(written) => out.add_written(Entry::new(number, start, ""), &written)?,
            Err(error) => out.refuse_address(number, error),
        }
    }
    filters.finish(out);
    Ok(())
}
