//! Packed files.

use std::io::{BufReader, Read as _, Write as _};

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::{Classified as _, Hinted as _};

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn refused(bytes: &[u8]) -> String {
    let error = read(bytes, None).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert!(error.hint().is_some());
    error.to_string()
}

#[test]
fn a_packed_file_is_read_as_its_text() {
    for text in [
        "192.0.2.1\n198.51.100.0/24 note\n",
        "\u{feff}ip,why\r\n192.0.2.1,scan\r\n",
        "create a hash:ip\nadd a 192.0.2.1\n",
        "[\"192.0.2.1\"]",
        "",
    ] {
        let plain = read_text(text, None);
        assert_eq!(read(&packed(text.as_bytes())[..], None).unwrap(), plain);
        // One byte at a time.
        let bytes = packed(text.as_bytes());
        let slow = BufReader::with_capacity(1, &bytes[..]);
        assert_eq!(read(slow, None).unwrap(), plain);
    }
}

#[test]
fn every_member_of_a_packed_file_is_read() {
    let members = [packed(b"192.0.2.1\n"), packed(b"192.0.2.2\n")].concat();
    assert_eq!(read(&members[..], None).unwrap().elements.len(), 2);
}

#[test]
fn a_packed_file_that_is_cut_off_or_damaged_is_refused_whole() {
    let mut text = Vec::new();
    for n in 0..2000_u32 {
        writeln!(
            text,
            "192.0.{}.{} {}",
            n / 256,
            n % 256,
            n.wrapping_mul(2_654_435_761)
        )
        .unwrap();
    }
    let whole = packed(&text);
    for cut in [10, 30, 5_000, whole.len() - 8, whole.len() - 1] {
        assert_eq!(refused(&whole[..cut]), "gzip data that is cut off", "{cut}");
    }
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    assert!(refused(&flipped).starts_with("gzip data that is damaged"));
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    assert!(refused(&wrong_sum).starts_with("gzip data that is damaged"));
    let json = packed(format!("[\"192.0.2.1\",\n{}]", "\"192.0.2.2\",".repeat(9)).as_bytes());
    assert_eq!(
        refused(&json[..json.len() - 9]),
        "gzip data that is cut off"
    );
}

#[test]
fn packed_data_that_grows_without_bound_is_refused() {
    let bomb = packed(&vec![b'#'; 64 << 20]);
    assert_eq!(refused(&bomb), "gzip data that grows more than 250 times");
    let mut stream = unpacked(&bomb[..]).unwrap();
    assert!(stream.read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn packed_data_in_packed_data_is_named() {
    let twice = packed(&packed(b"192.0.2.1\n"));
    assert_eq!(refused(&twice), "gzip data in gzip data");
    assert_eq!(refused(b"\x1f\x9d\x90abc"), "compress data");
}
