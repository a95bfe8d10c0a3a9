//! The multibit trie of nets, from the boundaries at which the class changes.

use std::collections::VecDeque;

use ipblock_common::{
    ClassId,
    class::NO_CLASS,
    lookup::nets::{IS_NODE, NUMBERS, NetNode, NumberLine, ROOT_BITS, ROOTS, STRIDE_BITS},
};

/// A net of either family; `key` is the address on top of 64 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    pub(super) key: u64,
    pub(super) len: u8,
    pub(super) class: ClassId,
}

/// Where the class of keys changes, and to which; before the first it is [`NO_CLASS`]. `nets` are
/// sorted by key, then by length; of the same net twice the later one counts.
pub(super) fn boundaries(nets: &[Net]) -> Vec<(u64, ClassId)> {
    let mut found = Found::default();
    // Nets around the one in hand: their last key and class.
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
struct Found(Vec<(u64, ClassId)>);

impl Found {
    fn changes(&mut self, key: u64, class: ClassId) {
        self.0.pop_if(|(last, _)| *last == key);
        if self.0.last().map_or(NO_CLASS, |(_, before)| *before) != class {
            self.0.push((key, class));
        }
    }
}

/// The class of a key.
pub(super) fn class_at(boundaries: &[(u64, ClassId)], key: u64) -> ClassId {
    let behind = boundaries.partition_point(|(start, _)| *start <= key);
    let last = behind
        .checked_sub(1)
        .and_then(|index| boundaries.get(index));
    last.map_or(NO_CLASS, |(_, class)| *class)
}

/// The arrays of the trie.
#[derive(Debug, Default)]
pub(super) struct Nets {
    pub(super) roots: Vec<NumberLine>,
    pub(super) nodes: Vec<NetNode>,
    pub(super) leaves: Vec<NumberLine>,
    leaf_count: u32,
}

/// A part of the keys: what holds at its start, and the boundaries behind that.
#[derive(Clone, Copy)]
struct Part<'a> {
    class: ClassId,
    boundaries: &'a [(u64, ClassId)],
}

/// A node that has its place, and is to be filled.
#[derive(Clone, Copy)]
struct Unfilled<'a> {
    node: usize,
    /// Bits of the key that lead to it.
    depth: u32,
    part: Part<'a>,
}

impl Part<'_> {
    /// Splits off what lies up to `last`, a value of the key bits that `bits` picks. A boundary right
    /// at the start of that is what holds there; what is left begins with the class at its start.
    fn split(
        &mut self,
        last: u64,
        bits: impl Fn(u64) -> u64,
        is_start: impl Fn(u64) -> bool,
    ) -> Self {
        let at = self
            .boundaries
            .partition_point(|(key, _)| bits(*key) <= last);
        let (inside, rest) = self.boundaries.split_at(at);
        let mut part = Self {
            class: self.class,
            boundaries: inside,
        };
        if let Some(((key, class), behind)) = inside.split_first()
            && is_start(*key)
        {
            part = Self {
                class: *class,
                boundaries: behind,
            };
        }
        self.class = inside.last().map_or(self.class, |(_, class)| *class);
        self.boundaries = rest;
        part
    }
}

impl Nets {
    /// Builds both families; one without boundaries has no nets.
    pub(super) fn build(ipv4: &[(u64, ClassId)], ipv6: &[(u64, ClassId)]) -> Self {
        let families = match (ipv4, ipv6) {
            ([], []) => 0,
            (_, []) => 1,
            _ => 2,
        };
        let roots = families * (ROOTS / NUMBERS);
        let mut nets = Self {
            roots: vec![NumberLine::default(); roots as usize],
            ..Self::default()
        };
        nets.add(0, ipv4);
        nets.add(ROOTS, ipv6);
        nets
    }

    fn add(&mut self, first_root: u32, boundaries: &[(u64, ClassId)]) {
        let mut rest = Part {
            class: NO_CLASS,
            boundaries,
        };
        let mut unfilled = VecDeque::new();
        for root in 0..ROOTS {
            if rest.boundaries.is_empty() && rest.class == NO_CLASS {
                break;
            }
            let part = rest.split(
                root.into(),
                |key| key >> (64 - ROOT_BITS),
                |key| key << ROOT_BITS == 0,
            );
            let leads_to = if part.boundaries.is_empty() {
                part.class
            } else {
                let node = self.reserve(1);
                unfilled.push_back(Unfilled {
                    node: node as usize,
                    depth: ROOT_BITS,
                    part,
                });
                IS_NODE | node
            };
            let place = first_root + root;
            if let Some(line) = self.roots.get_mut(NumberLine::of(place) as usize) {
                line.set(place, leads_to);
            }
        }
        while let Some(next) = unfilled.pop_front() {
            self.fill(next, &mut unfilled);
        }
    }

    /// Places for so many nodes side by side; the number of the first.
    fn reserve(&mut self, count: usize) -> u32 {
        let first = self.nodes.len();
        self.nodes.resize(first + count, NetNode::default());
        u32::try_from(first).unwrap_or(u32::MAX)
    }

    fn fill<'a>(&mut self, to_fill: Unfilled<'a>, unfilled: &mut VecDeque<Unfilled<'a>>) {
        let Unfilled {
            node,
            depth,
            mut part,
        } = to_fill;
        let mut filled = NetNode {
            first_leaf: self.leaf_count,
            ..NetNode::default()
        };
        let mut below = Vec::new();
        let mut last_leaf = None;
        for slot in 0..1 << STRIDE_BITS {
            let slot_part = part.split(
                slot,
                |key| key << depth >> (64 - STRIDE_BITS),
                |key| key << depth << STRIDE_BITS == 0,
            );
            if !slot_part.boundaries.is_empty() {
                filled.nodes |= 1 << slot;
                below.push(slot_part);
            } else if last_leaf != Some(slot_part.class) {
                last_leaf = Some(slot_part.class);
                filled.leaves |= 1 << slot;
                self.push_leaf(slot_part.class);
            }
        }
        filled.first_node = self.reserve(below.len());
        for (index, part) in below.into_iter().enumerate() {
            unfilled.push_back(Unfilled {
                node: filled.first_node as usize + index,
                depth: depth + STRIDE_BITS,
                part,
            });
        }
        if let Some(place) = self.nodes.get_mut(node) {
            *place = filled;
        }
    }

    fn push_leaf(&mut self, class: ClassId) {
        let line = NumberLine::of(self.leaf_count) as usize;
        if line == self.leaves.len() {
            self.leaves.push(NumberLine::default());
        }
        if let Some(line) = self.leaves.get_mut(line) {
            line.set(self.leaf_count, class);
        }
        self.leaf_count += 1;
    }
}
