//! The common part of the benchmark and the regression guard: workloads, traffic, and programs that
//! judge it in turns, round after round, with asserted counters.

pub(crate) mod case;
pub(crate) mod statistics;
pub(crate) mod traffic;
pub(crate) mod variant;
pub(crate) mod workload;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// 4 or 6.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 6,
        }
    }
}
