//! Mutates known inputs, like libFuzzer but without coverage.

use ipblock_tests::random::Random;

/// Values at which numbers and lengths go wrong.
const BYTES: [u8; 12] = [0, 1, 9, 10, 31, 32, 34, 127, 128, 192, 254, 255];

/// One of `known`, changed at up to four places, and sometimes crossed with another.
pub(crate) fn mutate(known: &[Vec<u8>], random: &mut Random, longest: usize) -> Vec<u8> {
    let mut bytes = random.one_of(known).cloned().unwrap_or_default();
    for _ in 0..=random.below(4) {
        let (from, to) = part(&bytes, random);
        match random.below(8) {
            0 => flip_bit(&mut bytes, random),
            1 => set_byte(&mut bytes, random),
            2 => drop(bytes.splice(
                from..from,
                random.next().to_le_bytes().into_iter().take(to % 9),
            )),
            3 => drop(bytes.drain(from..to)),
            4 => {
                // Repeats a part elsewhere.
                let again = bytes[from..to].to_vec();
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, again);
            }
            5 => bytes[from..to].reverse(),
            6 => {
                let other = random.one_of(known).cloned().unwrap_or_default();
                let (first, last) = part(&other, random);
                bytes.splice(from..to, other[first..last].iter().copied());
            }
            _ => change_number(&mut bytes, random),
        }
        bytes.truncate(longest);
    }
    bytes
}

/// A part of the bytes, mostly a short one.
fn part(bytes: &[u8], random: &mut Random) -> (usize, usize) {
    let from = random.below(bytes.len() + 1);
    let rest = bytes.len() - from;
    let most = if random.below(4) == 0 {
        rest
    } else {
        rest.min(16)
    };
    (from, from + random.below(most + 1))
}

fn flip_bit(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len().max(1));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn set_byte(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len().max(1));
    let any = [random.next().to_le_bytes()[0]];
    let values: &[u8] = if random.below(2) == 0 { &BYTES } else { &any };
    if let (Some(byte), Some(value)) = (bytes.get_mut(at), random.one_of(values)) {
        *byte = *value;
    }
}

/// Another digit in place of one.
fn change_number(bytes: &mut [u8], random: &mut Random) {
    let start = random.below(bytes.len().max(1));
    let digit = bytes
        .iter_mut()
        .skip(start)
        .find(|byte| byte.is_ascii_digit());
    if let Some(digit) = digit {
        *digit = b"0123456789"[random.below(10)];
    }
}
