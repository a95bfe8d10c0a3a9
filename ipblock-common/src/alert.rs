//! Alerts: what the kernel tells of sources that hit a rule that alerts.
//!
//! Each such packet has exactly one [`Seen`]. All times are nanoseconds of the coarse
//! `CLOCK_MONOTONIC`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::SourceKey;

/// In place of [`AlertWindow::start`] while a CPU turns one window into the next.
pub const HANDING_OVER: u64 = 0;

/// One source's window. Map `ALERT_WINDOWS`, keyed by [`SourceKey`], written by the kernel alone.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertWindow {
    /// When its first packet was announced; for an instant [`HANDING_OVER`].
    pub start: u64,
    /// Packets in the window that were counted for the source, the announced one among them.
    pub packets: u64,
}

/// One announced packet. Ring buffer `ALERT_EVENTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AlertEvent {
    /// Whose packet it is, and what it hit.
    pub source: SourceKey,
    /// When the window starts that this packet opens.
    pub start: u64,
    /// The window that it closes: when that started, or 0 when the source had none.
    pub previous_start: u64,
    /// All packets of the window that it closes, the one that opened it among them.
    pub previous_packets: u64,
    /// Index of the interface that the packet came in by.
    pub interface: u32,
    /// TCP, UDP, DCCP, SCTP or UDP-Lite destination port in host byte order; meaningless unless
    /// `has_port` is 1.
    pub destination_port: u16,
    /// 1 when there is a port: not in a later fragment, and not where the frame ends before it.
    pub has_port: u8,
    /// IP protocol number, behind the extension headers of IPv6.
    pub protocol: u8,
    /// As in [`SourceKey`].
    pub destination: [u8; 16],
}

/// What became of a packet that hit a rule that alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is in the ring buffer.
    Announced,
    /// It is not, on purpose: its source was announced in this window, or the rate is used up.
    Held,
    /// It should be, and there was no room.
    Lost,
}

/// How many packets of each kind of [`Seen`] one CPU had. Map `ALERT_COUNTS`, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertCounts {
    /// [`Seen::Announced`].
    pub announced: u64,
    /// [`Seen::Held`].
    pub held: u64,
    /// [`Seen::Lost`].
    pub lost: u64,
}

impl core::ops::AddAssign for AlertCounts {
    fn add_assign(&mut self, other: Self) {
        self.announced += other.announced;
        self.held += other.held;
        self.lost += other.lost;
    }
}

/// What the operator set. Map `ALERT_SETTINGS`, one element, written by user space at its start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertSettings {
    /// Length of a window in nanoseconds.
    pub window: u64,
    /// Events a second, over all CPUs and sources; a few more where CPUs meet.
    pub rate: u64,
}

/// What is used up of the rate. Map `ALERT_RATE`, one element, written by the kernel alone.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertRate {
    /// The second that `used` speaks of.
    pub second: u64,
    /// Events in it.
    pub used: u64,
}
