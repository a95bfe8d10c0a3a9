//! Prints how long files of many addresses take to read and to import into a list:
//! `cargo run --release -p ipblock-ctl --example import_time [LINES]`.

use std::{fmt::Write as _, time::Instant};

use anyhow::Context as _;
use ipblock::policy::{
    Ruleset,
    edit::{self, Edit, Import},
    exchange::{self, Selection},
};
use jiff::Timestamp;

const LINES: u32 = 1_000_000;

#[expect(clippy::print_stdout, reason = "an example prints what it found")]
fn main() -> anyhow::Result<()> {
    let lines = match std::env::args().nth(1) {
        Some(text) => text.parse().context("LINES is a number")?,
        None => LINES,
    };
    let mut plain = String::new();
    for index in 0..lines {
        // Every address once, in an order that no reader can take advantage of.
        let bits = index.wrapping_mul(0x9e37_79b1);
        writeln!(
            plain,
            "{} # ticket {}",
            std::net::Ipv4Addr::from(bits),
            index % 1000
        )?;
    }
    let start = Instant::now();
    let parsed = exchange::read(plain.as_bytes(), None)?;
    println!("{}: {lines} lines, {:.2?}", parsed.format, start.elapsed());

    let mut ruleset = Ruleset::default();
    let import = Edit::Import(Import {
        into: "@feed".to_owned(),
        addresses: parsed
            .elements
            .iter()
            .map(|e| e.prefix.to_string())
            .collect(),
        notes: parsed.elements.iter().map(|e| e.note.to_string()).collect(),
        replace: false,
    });
    let body = serde_json::to_vec(&import)?;
    let start = Instant::now();
    let import: Edit = serde_json::from_slice(&body)?;
    let done = edit::apply(&mut ruleset, &import, Timestamp::UNIX_EPOCH, false)?;
    println!(
        "edit of {} bytes: {}, {:.2?}",
        body.len(),
        done.join("; "),
        start.elapsed()
    );

    let list = ruleset.lists.iter().next();
    let (name, list) = list.context("the list that was imported")?;
    let selection = Selection::List(name, list);
    let now = Timestamp::UNIX_EPOCH;
    let elements = exchange::elements(&ruleset, selection, now);
    for text in [
        exchange::csv(&ruleset, selection, now),
        exchange::ipset(&elements),
        exchange::nft(&elements),
        exchange::json(&ruleset),
    ] {
        let start = Instant::now();
        let parsed = exchange::read(text.as_bytes(), None)?;
        println!(
            "{}: {} prefixes in {} bytes, {} refused, {:.2?}",
            parsed.format,
            parsed.elements.len(),
            text.len(),
            parsed.refused.len(),
            start.elapsed()
        );
    }
    Ok(())
}
