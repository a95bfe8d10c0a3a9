//! Detects files that are not text by their first bytes.

use std::io::{BufRead, Read as _};

use super::ReadError;

/// Number of bytes that are searched for the marker of an MMDB file.
const SEARCHED: u64 = 1 << 30;

/// The marker before the metadata of an MMDB file, near its end:
/// <https://maxmind.github.io/MaxMind-DB/>.
const MMDB: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// First bytes, the kind of file, and what to do with it.
const KNOWN: [(&[u8], &str, &str); 13] = [
    (
        b"\x1f\x8b",
        "gzip data in gzip data",
        "unpack it first: gzip -d",
    ),
    (b"\x1f\x9d", "compress data", "unpack it first: uncompress"),
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip"),
    (b"\xfd7zXZ\0", "xz data", "unpack it first: xz -d"),
    (b"BZh", "bzip2 data", "unpack it first: bzip2 -d"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first: zstd -d"),
    (
        b"7z\xbc\xaf\x27\x1c",
        "a 7z archive",
        "unpack it first: 7z x",
    ),
    (
        b"\xff\xfe",
        "text in UTF-16",
        "convert it: iconv -f UTF-16 -t UTF-8",
    ),
    (
        b"\xfe\xff",
        "text in UTF-16",
        "convert it: iconv -f UTF-16 -t UTF-8",
    ),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "export its table as CSV: sqlite3 -header -csv",
    ),
    (
        b"%PDF-",
        "a PDF document",
        "ask for the list as text or CSV",
    ),
    (b"PAR1", "a Parquet file", "convert it to CSV"),
    (
        b"\x7fELF",
        "a program",
        "name the file that holds the addresses",
    ),
];

/// Rejects a file that begins with `head` and is not text.
pub(super) fn refuse(head: &[u8], rest: impl BufRead) -> Result<(), ReadError> {
    let refused = |what: &str, hint: &str| {
        Err(ReadError::Binary {
            what: what.to_owned(),
            hint: hint.to_owned(),
        })
    };
    if let Some((_, what, hint)) = KNOWN.iter().find(|(mark, ..)| head.starts_with(mark)) {
        return refused(what, hint);
    }
    if !head.contains(&0) {
        return Ok(());
    }
    // `1\09\02\0.\0`: in UTF-16, every second byte of ASCII text is zero.
    let zeros_at = |odd: usize| {
        let mut bytes = head.iter().skip(odd).step_by(2).take(64);
        head.len() > 3 && bytes.all(|byte| *byte == 0)
    };
    if zeros_at(0) != zeros_at(1) {
        return refused("text in UTF-16", "convert it: iconv -f UTF-16LE -t UTF-8");
    }
    if is_mmdb(head, rest)? {
        let hint = "it holds countries or networks of the whole internet, not a list of addresses; \
                    export what you want of it as text or CSV";
        return refused("a MaxMind database (MMDB)", hint);
    }
    refused(
        "binary data, not text",
        "name the file that holds the addresses as text",
    )
}

/// Whether the file contains the marker.
fn is_mmdb(head: &[u8], rest: impl BufRead) -> Result<bool, ReadError> {
    let mut input = head.chain(rest).take(SEARCHED);
    let mut window = Vec::new();
    loop {
        // Keeps a possible beginning of the marker for the next read.
        let kept = window.len().saturating_sub(MMDB.len());
        window.drain(..kept);
        let read = input.by_ref().take(1 << 16).read_to_end(&mut window)?;
        if window.windows(MMDB.len()).any(|bytes| bytes == MMDB) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
    }
}
