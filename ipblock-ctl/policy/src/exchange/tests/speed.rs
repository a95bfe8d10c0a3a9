//! The time for a million lines of each line format, as a ratio to plain text in the same run.

use std::{fmt::Write as _, time::Instant};

use super::*;

const LINES: u32 = 1_000_000;

/// The best of this number of runs: another program may take the processor for a while.
const RUNS: u32 = 3;

/// Times of an optimised build; the others mean nothing.
const MOST: f64 = 1.5;

type Line = fn(&mut String, std::net::Ipv4Addr);

const FORMATS: [(&str, FileFormat, &str, Line); 5] = [
    (
        "csv with a header",
        FileFormat::Csv,
        "address,note\n",
        |out, address| {
            writeln!(out, "{address},scan").unwrap();
        },
    ),
    ("csv without one", FileFormat::Csv, "", |out, address| {
        writeln!(out, "{address},scan").unwrap();
    }),
    (
        "ipset",
        FileFormat::Ipset,
        "create a hash:ip\n",
        |out, address| {
            writeln!(out, "add a {address}").unwrap();
        },
    ),
    ("spamhaus", FileFormat::Spamhaus, "", |out, address| {
        writeln!(out, "{{\"cidr\":\"{address}\",\"sblid\":\"S\"}}").unwrap();
    }),
    ("rir", FileFormat::Rir, "", |out, address| {
        writeln!(out, "apnic|AU|ipv4|{address}|1|20110811|assigned").unwrap();
    }),
];

fn text(header: &str, line: Line) -> String {
    let mut out = header.to_owned();
    for n in 0..LINES {
        // Not in order, and each once.
        line(
            &mut out,
            (0x0a00_0000 | n.wrapping_mul(0x9e37) & 0x00ff_ffff).into(),
        );
    }
    out
}

fn seconds(text: &str, format: FileFormat) -> f64 {
    let runs = (0..RUNS).map(|_| {
        let start = Instant::now();
        let parsed = read_text(text, Some(format));
        let time = start.elapsed().as_secs_f64();
        assert_eq!((parsed.read, parsed.refused.len()), (LINES.into(), 0));
        time
    });
    runs.fold(f64::INFINITY, f64::min)
}

/// `cargo test -p ipblock-policy --release --lib -- --ignored a_million_lines --nocapture`
#[test]
#[ignore = "a measurement: only an optimised build on an idle machine tells something"]
fn a_million_lines_take_at_most_half_as_long_again_as_plain_text() {
    let plain = text("", |out, address| writeln!(out, "{address} scan").unwrap());
    let plain = seconds(&plain, FileFormat::Plain);
    for (name, format, header, line) in FORMATS {
        let ratio = seconds(&text(header, line), format) / plain;
        println!("{name}: {ratio:.2} times plain text ({plain:.2} s)");
        assert!(ratio <= MOST, "{name}: {ratio:.2}");
    }
}
