//! Alerts: what the kernel reports about sources that hit an alerting rule.
//!
//! Each such packet has exactly one [`Seen`]. All times are nanoseconds of the coarse
//! `CLOCK_MONOTONIC`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::SourceKey;

/// Replaces [`AlertWindow::start`] while a CPU opens the next window.
pub const HANDING_OVER: u64 = 0;

/// The window of one source. Map `ALERT_WINDOWS`, keyed by [`SourceKey`]. Only the kernel writes
/// it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertWindow {
    /// When its first packet was announced; [`HANDING_OVER`] for a moment.
    pub start: u64,
    /// Packets counted for the source in the window, including the announced one.
    pub packets: u64,
}

/// One announced packet. Ring buffer `ALERT_EVENTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AlertEvent {
    /// The source of the packet, and the class that it hit.
    pub source: SourceKey,
    /// Start of the window that this packet opens.
    pub start: u64,
    /// Start of the window that it closes, or 0 if the source had none.
    pub previous_start: u64,
    /// All packets of the window that it closes, including the one that opened it.
    pub previous_packets: u64,
    /// Index of the interface that received the packet.
    pub interface: u32,
    /// TCP, UDP, DCCP, SCTP or UDP-Lite destination port in host byte order; meaningless unless
    /// `has_port` is 1.
    pub destination_port: u16,
    /// 1 if the port was read. A later fragment has none, and the frame may end before it.
    pub has_port: u8,
    /// IP protocol number; for IPv6, the one after the extension headers.
    pub protocol: u8,
    /// As in [`SourceKey`].
    pub destination: [u8; 16],
}

/// How a packet that hit an alerting rule was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Put into the ring buffer.
    Announced,
    /// Suppressed: its source was announced in this window, or the rate is used up.
    Held,
    /// Not announced for lack of room.
    Lost,
}

/// The packets that one CPU had per kind of [`Seen`]. Map `ALERT_COUNTS`, one element.
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

/// The operator's settings. Map `ALERT_SETTINGS`, one element. User space writes it at its start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertSettings {
    /// Length of a window in nanoseconds.
    pub window: u64,
    /// Events per second, over all CPUs and sources. Races between CPUs can exceed it by a few.
    pub rate: u64,
}

/// The used part of the rate. Map `ALERT_RATE`, one element. Only the kernel writes it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AlertRate {
    /// The second that `used` counts in.
    pub second: u64,
    /// Events in that second.
    pub used: u64,
}
