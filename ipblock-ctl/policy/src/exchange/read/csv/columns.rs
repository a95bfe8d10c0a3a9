//! The meaning of columns, from the names in a header or from the content of cells.

use std::net::IpAddr;

use crate::{
    address::{End, Mask, end_name, is_address, looks_like_address},
    exchange::read::keys::snake,
};

const ADDRESS: [&str; 17] = [
    "address",
    "ip",
    "cidr",
    "prefix",
    "network",
    "range",
    "at",
    "subnet",
    "ip_address",
    "ipaddress",
    "ip_addr",
    "ip_range",
    "src_ip",
    "dst_ip",
    "source_ip",
    "dest_ip",
    "destination_ip",
];
const FIRST: [&str; 10] = [
    "start",
    "from",
    "first",
    "start_ip",
    "ip_start",
    "range_start",
    "ip_from",
    "first_ip",
    "start_address",
    "from_ip",
];
const LAST: [&str; 11] = [
    "end",
    "broadcast",
    "to",
    "last",
    "end_ip",
    "ip_end",
    "range_end",
    "ip_to",
    "last_ip",
    "end_address",
    "to_ip",
];
const NOTE: [&str; 6] = [
    "note",
    "comment",
    "notes",
    "comments",
    "description",
    "reason",
];

/// The index of each kind of column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) address: usize,
    /// The last address of a range, if two columns define ranges.
    pub(super) last: Option<usize>,
    /// Whether every record is a range: its first column has such a name, too.
    pub(super) are_ranges: bool,
    /// Whether their cells may be decimal numbers: 3221225985 for 192.0.2.1.
    pub(super) are_decimal: bool,
    pub(super) mask: Option<(Mask, usize)>,
    /// The number of addresses from the address on.
    pub(super) count: Option<usize>,
    pub(super) note: Option<usize>,
    /// `match` or `except`, from a file of `export`.
    pub(super) kind: Option<usize>,
    /// The column of ends, and its name if that says whether a number is a time.
    pub(super) expires: Option<(usize, &'static str)>,
    pub(super) known_by: KnownBy,
}

/// What tells the column of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// The first record without a header.
    #[default]
    Content,
    Header,
    /// An option: the other columns do not matter.
    Option,
}

impl Columns {
    /// Whether a header or an option names the columns.
    pub(super) fn are_named(self) -> bool {
        self.known_by != KnownBy::Content
    }

    /// Whether an option chooses the columns.
    pub(super) fn are_chosen(self) -> bool {
        self.known_by == KnownBy::Option
    }

    /// Whether a column contains an address, its mask or end, or its note.
    pub(super) fn hold_entry(self, at: usize) -> bool {
        let mask = self.mask.map(|(_, at)| at);
        [Some(self.address), self.last, mask, self.count, self.note].contains(&Some(at))
    }
}

impl Columns {
    /// Returns the end of a record, from its column or its note.
    pub(super) fn end_of(self, cells: &[&str]) -> End {
        let cell = |column: Option<usize>| column.and_then(|column| cells.get(column));
        if let Some((column, name)) = self.expires
            && let Some(value) = cell(Some(column)).filter(|value| !is_address(value))
        {
            return End::under(name, value);
        }
        let note = cell(self.note).filter(|_| !self.are_named());
        note.map_or(End::None, |note| End::of_note(note))
    }
}

/// The meaning of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The columns.
    Columns(Columns),
    /// Two columns have names of addresses.
    Two(String, String),
    /// A column has the name of a first address of ranges, but none that of a last one.
    Half(String),
    /// No name denotes the address.
    Other,
}

/// Whether a record could be a header: no cell is an address or similar to one.
pub(super) fn could_be_header(cells: &[&str]) -> bool {
    let is_text = |cell: &&str| !cell.is_empty() && cell.parse::<f64>().is_err();
    // `example.org,phishing` is a record: names of columns contain no dots.
    let is_record = |cell: &&str| cell.contains('.') || looks_like_address(cell);
    !cells.iter().any(is_record) && cells.iter().any(is_text)
}

/// Returns the names of a header in snake case.
pub(super) fn names(cells: &[&str]) -> Vec<String> {
    // `expires (UTC)`
    let bare = |cell: &&str| snake(cell.split('(').next().unwrap_or_default().trim());
    cells.iter().map(bare).collect()
}

/// Returns the columns of a header; `None` if the record is not a header. `chosen` is the column of
/// addresses if an option says it.
pub(super) fn header(cells: &[&str], chosen: Option<usize>) -> Option<Header> {
    if !could_be_header(cells) {
        return None;
    }
    let names = names(cells);
    let all = |wanted: &[&str]| -> Vec<usize> {
        let is_wanted = |name: &String| wanted.contains(&name.as_str());
        let places = names.iter().enumerate();
        places
            .filter(|(_, name)| is_wanted(name))
            .map(|(index, _)| index)
            .collect()
    };
    let find = |wanted: &[&str]| all(wanted).first().copied();
    let addresses = all(&ADDRESS);
    let (first, end) = (find(&FIRST), find(&LAST));
    let (address, last) = match (addresses.as_slice(), first, end) {
        _ if chosen.is_some() => (chosen?, None),
        // If `last` is a date and not an address, its cells show it.
        ([address], None, last) => (*address, last),
        ([address], ..) => (*address, None),
        ([first, second, ..], ..) => {
            let name = |index: usize| cells.get(index).copied().unwrap_or_default().to_owned();
            return Some(Header::Two(name(*first), name(*second)));
        }
        ([], Some(first), Some(last)) => (first, Some(last)),
        ([], Some(first), None) => {
            let name = cells.get(first).copied().unwrap_or_default();
            return Some(Header::Half(name.to_owned()));
        }
        _ => return Some(Header::Other),
    };
    // A date under `end` is an end.
    let end = last.filter(|last| names.get(*last).is_some_and(|name| name == "end"));
    let ends = names.iter().enumerate();
    let expiring = ends.filter_map(|(at, name)| Some((at, end_name(name)?)));
    let expires = expiring.min().or(end.map(|at| (at, "end")));
    let mask_of = |kind: Mask| {
        let is_mask =
            |name: &String| Mask::named(name) == Some(kind) && !ADDRESS.contains(&name.as_str());
        names.iter().position(is_mask).map(|index| (kind, index))
    };
    Some(Header::Columns(Columns {
        address,
        last,
        mask: mask_of(Mask::Net)
            .or_else(|| mask_of(Mask::Wildcard))
            .filter(|(_, at)| find(&FIRST).is_none() && Some(*at) != chosen),
        note: find(&NOTE),
        kind: find(&["kind"]),
        expires,
        are_ranges: addresses.is_empty() && chosen.is_none(),
        are_decimal: last.is_some_and(|last| names.get(last).is_some_and(|name| is_of_ip(name))),
        known_by: KnownBy::Header,
        ..Columns::default()
    }))
}

/// Whether a name says that its column has addresses, even if they are written as numbers.
fn is_of_ip(name: &str) -> bool {
    name.split('_').any(|part| matches!(part, "ip" | "address"))
}

/// Whether a number in such a column is not the length of a prefix.
pub(super) fn is_plain_number(name: &str) -> bool {
    const WORDS: [&str; 34] = [
        "abuse",
        "age",
        "as",
        "asn",
        "attacks",
        "bytes",
        "confidence",
        "count",
        "days",
        "events",
        "geoname",
        "hits",
        "id",
        "level",
        "number",
        "packets",
        "port",
        "priority",
        "rank",
        "rating",
        "records",
        "reports",
        "risk",
        "score",
        "seen",
        "sessions",
        "severity",
        "sources",
        "targets",
        "times",
        "total",
        "users",
        "weight",
        "year",
    ];
    name.split('_').any(|part| WORDS.contains(&part))
}

/// The content of a record without named columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'r> {
    /// No address.
    None,
    /// One address, with its column.
    One(usize),
    /// Exactly two addresses, perhaps with other texts: a range or two addresses.
    Pair(&'r str, &'r str),
    /// Only addresses, which cannot be a range.
    All,
    /// Several addresses and other texts.
    Mixed,
}

/// Classifies a record by its cells.
pub(super) fn content<'r>(cells: &[&'r str]) -> Content<'r> {
    let mut addresses = Vec::new();
    let mut others = 0;
    for (index, cell) in cells.iter().enumerate() {
        if is_address(cell) {
            addresses.push((index, *cell));
        } else if !cell.is_empty() {
            others += 1;
        }
    }
    match addresses.as_slice() {
        [] => Content::None,
        [(index, _)] => Content::One(*index),
        [(first, one), (second, other)] if second - first == 1 && is_range(one, other) => {
            Content::Pair(one, other)
        }
        _ if others == 0 => Content::All,
        _ => Content::Mixed,
    }
}

/// Whether two cells could be the ends of a range.
fn is_range(first: &str, last: &str) -> bool {
    match (first.parse::<IpAddr>(), last.parse::<IpAddr>()) {
        (Ok(first), Ok(last)) => first.is_ipv4() == last.is_ipv4() && first <= last,
        _ => false,
    }
}
