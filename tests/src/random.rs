//! Pseudo-random numbers that are the same in every run.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `SplitMix64` (Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number of 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, and is no loop's"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number of 128 bits.
    pub fn next_128(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// A number below `end`, which is not 0.
    #[expect(clippy::cast_possible_truncation, reason = "below `end`")]
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// One of these; `None` when there is none.
    pub fn one_of<'a, T>(&mut self, values: &'a [T]) -> Option<&'a T> {
        values.get(self.below(values.len().max(1)))
    }

    /// An address that may be the source of a packet from elsewhere: 1.0.0.0 to 223.255.255.255
    /// without 127.0.0.0/8.
    pub fn ipv4(&mut self) -> Ipv4Addr {
        loop {
            let address = Ipv4Addr::from_bits((self.next() >> 32) as u32);
            let [first, ..] = address.octets();
            if (1..224).contains(&first) && first != 127 {
                return address;
            }
        }
    }

    /// An address of `2000::/3`.
    pub fn ipv6(&mut self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.next_128() >> 3 | 1 << 125)
    }
}
