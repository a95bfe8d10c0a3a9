//! Builds roots, lines and doors of nets from the boundaries at which the class changes.

use std::ops::RangeInclusive;

use ipblock_common::{
    ClassId,
    class::NO_CLASS,
    lookup::nets::{
        BOUNDARIES, IS_LINE, NetLine, OUTER_ROOT_V6, ROOT_BITS, ROOTS, of_pair, pair_of,
    },
};

/// A net of either family. `key` is the address in the most significant of 64 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    pub(super) key: u64,
    pub(super) len: u8,
    pub(super) class: ClassId,
}

/// Returns the keys where the class changes, with the new class; before the first it is
/// [`NO_CLASS`]. `nets` are sorted by key, then by length. Of two equal nets the later one wins.
pub(super) fn boundaries(nets: &[Net]) -> Vec<(u64, ClassId)> {
    let mut found = Boundaries::default();
    // The nets around the current one: their last key and class.
    let mut around: Vec<(u64, ClassId)> = Vec::new();
    for net in nets {
        while let Some((last, _)) = around.pop_if(|(last, _)| *last < net.key) {
            found.changes(
                last + 1,
                around.last().map_or(NO_CLASS, |(_, class)| *class),
            );
        }
        found.changes(net.key, net.class);
        let others = u64::MAX.checked_shr(net.len.into()).unwrap_or(0);
        around.push((net.key | others, net.class));
    }
    while let Some((last, _)) = around.pop() {
        let class = around.last().map_or(NO_CLASS, |(_, class)| *class);
        if let Some(next) = last.checked_add(1) {
            found.changes(next, class);
        }
    }
    found.0
}

#[derive(Default)]
struct Boundaries(Vec<(u64, ClassId)>);

impl Boundaries {
    fn changes(&mut self, key: u64, class: ClassId) {
        self.0.pop_if(|(last, _)| *last == key);
        if self.0.last().map_or(NO_CLASS, |(_, before)| *before) != class {
            self.0.push((key, class));
        }
    }
}

/// Returns the class of a key.
pub(super) fn class_at(boundaries: &[(u64, ClassId)], key: u64) -> ClassId {
    let behind = boundaries.partition_point(|(start, _)| *start <= key);
    let last = behind
        .checked_sub(1)
        .and_then(|index| boundaries.get(index));
    last.map_or(NO_CLASS, |(_, class)| *class)
}

/// Returns the boundaries of IPv6 nets that are at the start of a /32. A /32 with boundaries inside
/// has a door, so the class at its end represents it here.
pub(super) fn of_whole_32s(boundaries: &[(u64, ClassId)]) -> Vec<(u64, ClassId)> {
    let mut found = Boundaries::default();
    for inside in boundaries.chunk_by(|(one, _), (other, _)| upper(*one) == upper(*other)) {
        if let Some((key, class)) = inside.last() {
            found.changes(key & !u64::from(u32::MAX), *class);
        }
    }
    found.0
}

/// Returns each range of keys in nets with one class, by the first `bits` bits, at most 32.
pub(super) fn held(
    boundaries: &[(u64, ClassId)],
    bits: u32,
) -> impl Iterator<Item = (RangeInclusive<u32>, ClassId)> {
    let ends = boundaries.iter().skip(1).map(|(key, _)| key - 1);
    let runs = boundaries.iter().zip(ends.chain([u64::MAX]));
    runs.filter(|((_, class), _)| *class != NO_CLASS)
        .map(move |((first, class), last)| {
            let [first, last] = [*first, last].map(|key| upper(key) >> (32 - bits));
            (first..=last, *class)
        })
}

/// Roots and lines, and doors without a place in the hash table.
#[derive(Debug, Default)]
pub(super) struct Nets {
    pub(super) roots: Vec<u64>,
    pub(super) lines: Vec<NetLine>,
    pub(super) doors: Vec<NetLine>,
}

/// The first and last 32 bits of `2000::/3`.
const FIRST_INNER_V6: u32 = 0x2000_0000;
const LAST_INNER_V6: u32 = 0x3fff_ffff;

/// A class or a line, from this number up to the next piece.
#[derive(Clone, Copy)]
struct Piece {
    start: u32,
    value: u32,
}

impl Nets {
    /// Builds from the boundaries of IPv4 nets, of IPv6 nets at whole /32s, and of all IPv6 nets.
    pub(super) fn build(
        ipv4: &[(u64, ClassId)],
        short_v6: &[(u64, ClassId)],
        ipv6: &[(u64, ClassId)],
    ) -> Self {
        let mut nets = Self::default();
        if !ipv4.is_empty() {
            nets.add_roots(0, 0, 32 - ROOT_BITS, ipv4);
        }
        if !short_v6.is_empty() {
            nets.add_roots(ROOTS, FIRST_INNER_V6, 29 - ROOT_BITS, short_v6);
            nets.add_outer_root(short_v6);
        }
        nets.add_doors(ipv6);
        nets
    }

    /// Number of IPv4 roots that lead to a line.
    pub(super) fn roots_leading_to_lines(&self) -> usize {
        let pairs = self.roots.iter().take(pair_of(ROOTS) as usize);
        let roots = pairs.flat_map(|pair| [of_pair(*pair, 0), of_pair(*pair, 1)]);
        roots.filter(|root| root & IS_LINE != 0).count()
    }

    /// Adds roots, starting at address `start`, each for `bits` bits.
    fn add_roots(&mut self, root: u32, start: u32, bits: u32, boundaries: &[(u64, ClassId)]) {
        let mut class = class_at(boundaries, u64::from(start) << 32);
        let skip = boundaries.partition_point(|(key, _)| upper(*key) < start);
        let mut rest = boundaries.get(skip..).unwrap_or_default();
        for (root, start) in (root..root + ROOTS).zip((start..=u32::MAX).step_by(1 << bits)) {
            let last = start | ((1 << bits) - 1);
            let (inside, later) =
                rest.split_at(rest.partition_point(|(key, _)| upper(*key) <= last));
            self.set_root(root, pieces(start, class, inside, upper));
            class = inside.last().map_or(class, |(_, class)| *class);
            rest = later;
        }
    }

    /// Adds the root for the addresses before and after the others.
    fn add_outer_root(&mut self, boundaries: &[(u64, ClassId)]) {
        let inner = boundaries.partition_point(|(key, _)| upper(*key) < FIRST_INNER_V6);
        let behind = boundaries.partition_point(|(key, _)| upper(*key) <= LAST_INNER_V6);
        let (before, rest) = boundaries.split_at(inner);
        let mut outer = pieces(0, NO_CLASS, before, upper);
        let first_behind = LAST_INNER_V6 + 1;
        let class = class_at(boundaries, u64::from(first_behind) << 32);
        let behind = rest.get(behind - inner..).unwrap_or_default();
        outer.extend(pieces(first_behind, class, behind, upper));
        self.set_root(OUTER_ROOT_V6, outer);
    }

    fn set_root(&mut self, root: u32, pieces: Vec<Piece>) {
        let value = match *self.reduce(pieces, 1) {
            [piece] => piece.value,
            _ => NO_CLASS,
        };
        let pair = pair_of(root) as usize;
        if self.roots.len() <= pair {
            self.roots.resize(pair + 1, 0);
        }
        if let Some(pair) = self.roots.get_mut(pair) {
            *pair |= u64::from(value) << (32 * (root & 1));
        }
    }

    /// Adds a door for each /32 in which the class changes.
    fn add_doors(&mut self, boundaries: &[(u64, ClassId)]) {
        let mut class = NO_CLASS;
        for inside in boundaries.chunk_by(|(one, _), (other, _)| upper(*one) == upper(*other)) {
            let Some(((key, _), (_, last))) = inside.first().zip(inside.last()) else {
                continue;
            };
            let pieces = pieces(0, class, inside, lower);
            class = *last;
            if pieces.len() > 1 {
                let pieces = self.reduce(pieces, BOUNDARIES + 1);
                self.doors.push(line(upper(*key), &pieces));
            }
        }
    }

    /// Adds lines above the pieces, and lines above those, until at most `most` pieces are left.
    fn reduce(&mut self, mut pieces: Vec<Piece>, most: usize) -> Vec<Piece> {
        while pieces.len() > most {
            let chunks = pieces.chunks(BOUNDARIES + 1);
            let lines = chunks.filter_map(|chunk| match chunk {
                [only] => Some(*only),
                [first, ..] => {
                    let number = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
                    self.lines.push(line(0, chunk));
                    Some(Piece {
                        start: first.start,
                        value: IS_LINE | number,
                    })
                }
                [] => None,
            });
            pieces = lines.collect();
        }
        pieces
    }
}

/// Returns the pieces from `start` on, with `class` before the first boundary inside.
fn pieces(
    start: u32,
    class: ClassId,
    inside: &[(u64, ClassId)],
    number: impl Fn(u64) -> u32,
) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(inside.len() + 1);
    if inside.first().is_none_or(|(key, _)| number(*key) != start) {
        pieces.push(Piece {
            start,
            value: class,
        });
    }
    pieces.extend(inside.iter().map(|(key, class)| Piece {
        start: number(*key),
        value: *class,
    }));
    pieces
}

/// Builds a line from one or more pieces.
fn line(tag: u32, pieces: &[Piece]) -> NetLine {
    let mut line = NetLine {
        tag,
        starts: [u32::MAX; BOUNDARIES],
        values: [pieces.last().map_or(NO_CLASS, |last| last.value); BOUNDARIES + 1],
    };
    for (start, piece) in line.starts.iter_mut().zip(pieces.iter().skip(1)) {
        *start = piece.start;
    }
    for (value, piece) in line.values.iter_mut().zip(pieces) {
        *value = piece.value;
    }
    line
}

/// The lower 32 bits of a key.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
const fn lower(key: u64) -> u32 {
    key as u32
}

/// The upper 32 bits of a key.
const fn upper(key: u64) -> u32 {
    (key >> 32) as u32
}
