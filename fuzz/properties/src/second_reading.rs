//! A second, independent reading of formats: with the parsers of the standard library, and only for
//! texts whose meaning leaves no doubt. What `import` takes of such a text is exactly this.

use std::{fmt::Write as _, net::IpAddr};

use ipblock_policy::exchange::{FileFormat, Parsed, ReadOptions, read, read_with};
use serde_json::Value;

use crate::span::{Span, joined};

/// Words that change the address before them.
const MASKS: [&str; 7] = ["mask", "bits", "len", "prefix", "cidr", "wildcard", "plen"];

/// Compares what was taken of a text with the second reading of it.
pub(crate) fn check(format: FileFormat, text: &str, parsed: &Parsed) {
    if format == FileFormat::Plain {
        text.lines().for_each(check_line);
    }
    if !parsed.refused.is_empty() || parsed.more_refused > 0 {
        return;
    }
    let second = match format {
        FileFormat::Spamhaus => spamhaus(text),
        FileFormat::Ipset => ipset(text),
        FileFormat::Csv => csv(text),
        _ => Reading::Open,
    };
    assert_same(parsed, second, text);
}

/// The addresses of a text.
enum Reading {
    /// They are these.
    Spans(Vec<Span>),
    /// It has no clear meaning, so it must be refused.
    None,
    /// This reader does not know the text.
    Open,
}

fn assert_same(parsed: &Parsed, second: Reading, text: &str) {
    let spans = match second {
        Reading::Open => return,
        Reading::None => panic!("taken: {text:?}"),
        Reading::Spans(spans) => spans,
    };
    assert_eq!(taken(parsed), joined(spans), "{text:?}");
}

fn taken(parsed: &Parsed) -> Vec<Span> {
    joined(
        parsed
            .elements
            .iter()
            .map(|element| Span::of(element.prefix))
            .collect(),
    )
}

fn check_line(line: &str) {
    let parsed = read(line.as_bytes(), Some(FileFormat::Plain));
    let Ok(parsed) = parsed else { return };
    if parsed.refused.is_empty() {
        assert_same(
            &parsed,
            plain_line(line.trim_start_matches('\u{feff}')),
            line,
        );
    }
}

fn plain_line(line: &str) -> Reading {
    let line = line.trim();
    let mut spans = Vec::new();
    if line.is_empty() || ["#", ";", "//"].iter().any(|mark| line.starts_with(mark)) {
        return Reading::Spans(spans);
    }
    let separates = |c: char| c.is_whitespace() || c == ',' || c == ';';
    for word in line.split(separates).filter(|word| !word.is_empty()) {
        let address = word.split('#').next().unwrap();
        match span(address) {
            Some(span) => spans.push(span),
            None if MASKS.iter().any(|mask| word.to_lowercase().contains(mask)) => {
                return Reading::Open;
            }
            None => break,
        }
        if address != word {
            break;
        }
    }
    if spans.is_empty() {
        Reading::None
    } else {
        Reading::Spans(spans)
    }
}

/// An address, a prefix without host bits, or a range.
fn span(text: &str) -> Option<Span> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (canonical(first)?, canonical(last)?);
        return (first <= last && first.is_ipv4() == last.is_ipv4())
            .then(|| Span::between(first, last));
    }
    let Some((address, length)) = text.split_once('/') else {
        let address = canonical(text)?;
        return Some(Span::between(address, address));
    };
    let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
    let address = if length == 128 {
        address.to_canonical()
    } else {
        address
    };
    if address.is_ipv4() && length == 128 {
        return Some(Span::between(address, address));
    }
    let net = ipnet::IpNet::new(address, length).ok()?;
    (net.addr() == net.network()).then(|| Span::of(net))
}

fn canonical(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

fn spamhaus(text: &str) -> Reading {
    let mut spans = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let Ok(Value::Object(object)) = serde_json::from_str(line) else {
            continue;
        };
        if let Some(cidr) = object.get("cidr").and_then(Value::as_str) {
            let Some(span) = span(cidr) else {
                return Reading::None;
            };
            spans.push(span);
        }
    }
    Reading::Spans(spans)
}

/// Only `create` without options that change members, and `add`.
fn ipset(text: &str) -> Reading {
    let mut spans = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with(['#', ';']) || first.starts_with("//") => {}
            ["create", options @ ..] if !options.iter().any(|word| word.contains("mask")) => {}
            ["add", set, address, ..] if !set.contains('"') && !address.contains('"') => {
                match span(address) {
                    Some(span) => spans.push(span),
                    None => return Reading::Open,
                }
            }
            _ => return Reading::Open,
        }
    }
    Reading::Spans(spans)
}

/// Only a header of these names, and cells without quotes.
fn csv(text: &str) -> Reading {
    let text = text.trim_start_matches('\u{feff}');
    let is_record = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !["#", ";", "//"].iter().any(|mark| line.starts_with(mark))
    };
    let mut lines = text.split('\n').filter(is_record);
    let Some(header) = lines.next().filter(|_| !text.contains('"')) else {
        return Reading::Open;
    };
    let names: Vec<String> = header
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .collect();
    let is_known = |name: &String| ["address", "country", "note", "asn"].contains(&name.as_str());
    let columns = names.iter().filter(|name| *name == "address").count();
    let is_plain = !header.contains([';', '\t']) && names.iter().all(is_known) && columns == 1;
    if !is_plain {
        return Reading::Open;
    }
    let at = names.iter().position(|name| name == "address").unwrap();
    let mut spans = Vec::new();
    for line in lines {
        let cell = line.split(',').nth(at).unwrap_or_default().trim();
        match span(cell) {
            Some(span) => spans.push(span),
            None => return Reading::None,
        }
    }
    Reading::Spans(spans)
}

/// Tables with options and statistics of a registry, written from numbers: what is read of them is
/// these numbers.
pub(crate) fn check_tables(data: &[u8]) {
    let rows: Vec<Row> = data.chunks_exact(6).map(Row::of).collect();
    for (column, write) in FORMS {
        let mut text = String::new();
        let mut spans = Vec::new();
        for row in &rows {
            let Some(cells) = write(row) else { continue };
            writeln!(text, "{cells},{}", row.country).unwrap();
            spans.extend((row.country == "AU").then_some(row.span()));
        }
        let mut options = ReadOptions::default();
        for (key, value) in [("format", "csv"), ("column", column), ("where", "3=au")] {
            options.put(key, value).unwrap();
        }
        compare(&text, &options, spans);
    }
    let mut text = "2|apnic|20261128|1|19830613|20261127|+1000\n".to_owned();
    let mut spans = Vec::new();
    for row in &rows {
        let count = row.span().last - row.span().first + 1;
        let (country, address) = (row.country, row.net.addr());
        writeln!(
            text,
            "apnic|{country}|ipv4|{address}|{count}|20110414|allocated"
        )
        .unwrap();
        spans.extend((country == "AU").then_some(row.span()));
    }
    let mut options = ReadOptions::default();
    options.put("where", "cc=AU").unwrap();
    compare(&text, &options, spans);
}

fn compare(text: &str, options: &ReadOptions, spans: Vec<Span>) {
    let parsed = read_with(text.as_bytes(), options).unwrap();
    if spans.is_empty() {
        assert!(parsed.elements.is_empty(), "{text}");
        assert!(text.is_empty() || !parsed.refused.is_empty(), "{text}");
        return;
    }
    assert_eq!(parsed.refused, [], "{text}");
    assert_eq!(taken(&parsed), joined(spans), "{text}");
}

/// A network and its country.
struct Row {
    net: ipnet::Ipv4Net,
    country: &'static str,
}

type Write = fn(&Row) -> Option<String>;

/// How two columns hold a network, and the option for that.
const FORMS: [(&str, Write); 5] = [
    ("1-2", |row| {
        Some(format!("{},{}", row.net.network(), row.net.broadcast()))
    }),
    ("1-2", |row| {
        let (first, last) = (row.span().first, row.span().last);
        (first >= 1 << 24).then(|| format!("{first},{last}"))
    }),
    ("1/2", |row| {
        Some(format!("{},{}", row.net.network(), row.net.prefix_len()))
    }),
    ("1/2", |row| {
        Some(format!("{},{}", row.net.network(), row.net.netmask()))
    }),
    ("1+2", |row| {
        let count = row.span().last - row.span().first + 1;
        Some(format!("{},{count}", row.net.network()))
    }),
];

impl Row {
    fn of(bytes: &[u8]) -> Self {
        let address: [u8; 4] = bytes[..4].try_into().unwrap();
        let net = ipnet::Ipv4Net::new(address.into(), bytes[4] % 33).unwrap();
        Self {
            net: net.trunc(),
            country: ["AU", "CN", "-"][usize::from(bytes[5] % 3)],
        }
    }

    fn span(&self) -> Span {
        Span::of(self.net.into())
    }
}
