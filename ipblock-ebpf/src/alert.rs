//! Alerts: announces the first packet of a source in each window and counts the rest of the window.
//!
//! Failures are counted and never change a verdict.

use aya_ebpf::{bindings::BPF_NOEXIST, maps::ring_buf::RingBufEntry};
use ipblock_common::{
    AlertEvent, AlertSettings, AlertWindow, Seen, SourceKey, alert::HANDING_OVER,
};

use crate::{
    atomic::Shared,
    frame::Frame,
    layer4,
    maps::{ALERT_COUNTS, ALERT_EVENTS, ALERT_RATE, ALERT_SETTINGS, ALERT_WINDOWS},
};

/// The error number of an insert whose key exists already.
const EEXIST: i32 = -17;
const SECOND: u64 = 1_000_000_000;

/// Announces or counts a packet that hit an alerting rule. Its IP header starts at `ip`.
#[inline(never)]
pub(crate) fn see(frame: &Frame<'_>, ip: usize, key: &SourceKey, now: u64) {
    let Some(counts) = ALERT_COUNTS.get_ptr_mut(0) else {
        return;
    };
    let seen = see_source(frame, ip, key, now);
    // SAFETY: the element belongs to this CPU, and XDP programs do not preempt one another on it.
    let counts = unsafe { &mut *counts };
    match seen {
        Seen::Announced => counts.announced += 1,
        Seen::Held => counts.held += 1,
        Seen::Lost => counts.lost += 1,
    }
}

#[inline(always)]
fn see_source(frame: &Frame<'_>, ip: usize, key: &SourceKey, now: u64) -> Seen {
    let Some(settings) = ALERT_SETTINGS.get(0) else {
        return Seen::Lost;
    };
    let Some(window) = window_of(key) else {
        return open_first(frame, ip, key, settings, now);
    };
    let start = window.start.load();
    // If an interrupt came after this CPU read the coarse clock, `now` can be earlier than `start`.
    let is_open = start == HANDING_OVER || now.saturating_sub(start) < settings.window;
    if is_open || !take_token(settings, now) {
        window.packets.add(1);
        return Seen::Held;
    }
    let Some(entry) = ALERT_EVENTS.reserve::<AlertEvent>(0) else {
        return Seen::Lost;
    };
    // If several CPUs race, one of them opens the next window.
    if !window.start.replace(start, HANDING_OVER) {
        entry.discard(0);
        window.packets.add(1);
        return Seen::Held;
    }
    let previous = AlertWindow {
        start,
        packets: window.packets.swap(1),
    };
    // Stored last: a reader that sees the new start must see the packets of the new window.
    window.start.store(now);
    announce(entry, frame, ip, key, now, previous);
    Seen::Announced
}

/// Handles a source without a window. The window is created only when the source is announced, so a
/// flood of new sources beyond the rate evicts no entry.
#[inline(always)]
fn open_first(
    frame: &Frame<'_>,
    ip: usize,
    key: &SourceKey,
    settings: &AlertSettings,
    now: u64,
) -> Seen {
    if !take_token(settings, now) {
        return Seen::Held;
    }
    let Some(entry) = ALERT_EVENTS.reserve::<AlertEvent>(0) else {
        return Seen::Lost;
    };
    let first = AlertWindow {
        start: now,
        packets: 1,
    };
    match ALERT_WINDOWS.insert(key, &first, BPF_NOEXIST.into()) {
        Ok(()) => {
            announce(entry, frame, ip, key, now, AlertWindow::default());
            Seen::Announced
        }
        Err(EEXIST) => {
            // Another CPU inserted the entry first.
            entry.discard(0);
            let Some(window) = window_of(key) else {
                return Seen::Lost;
            };
            window.packets.add(1);
            Seen::Held
        }
        Err(_) => {
            entry.discard(0);
            Seen::Lost
        }
    }
}

/// Takes one event from this second's rate. Returns false when the rate is used up.
#[inline(always)]
fn take_token(settings: &AlertSettings, now: u64) -> bool {
    let Some(rate) = ALERT_RATE.get_ptr_mut(0) else {
        return false;
    };
    let rate = SharedRate {
        // SAFETY: a field of the value that the lookup returned.
        second: unsafe { Shared::new(&raw mut (*rate).second) },
        // SAFETY: as above.
        used: unsafe { Shared::new(&raw mut (*rate).used) },
    };
    let second = now / SECOND;
    let last = rate.second.load();
    // If an interrupt came after this CPU read the clock, `second` can be in the past: never go
    // back.
    if last < second && rate.second.replace(last, second) {
        rate.used.store(0);
    }
    // Load first: in a flood this keeps CPUs from contending for the cache line.
    rate.used.load() < settings.rate && rate.used.fetch_add(1) < settings.rate
}

#[inline(always)]
fn announce(
    mut entry: RingBufEntry<AlertEvent>,
    frame: &Frame<'_>,
    ip: usize,
    key: &SourceKey,
    now: u64,
    previous: AlertWindow,
) {
    let layer4 = layer4::read(frame, ip, key.family);
    entry.write(AlertEvent {
        source: *key,
        start: now,
        previous_start: previous.start,
        previous_packets: previous.packets,
        interface: frame.interface(),
        destination_port: layer4.destination_port.unwrap_or(0),
        has_port: layer4.destination_port.is_some().into(),
        protocol: layer4.protocol,
        destination: layer4.destination,
    });
    entry.submit(0);
}

#[inline(always)]
fn window_of(key: &SourceKey) -> Option<SharedWindow> {
    let window = ALERT_WINDOWS.get_ptr_mut(key)?;
    Some(SharedWindow {
        // SAFETY: a place in the value that the lookup returned.
        start: unsafe { Shared::new(&raw mut (*window).start) },
        // SAFETY: as above.
        packets: unsafe { Shared::new(&raw mut (*window).packets) },
    })
}

/// An [`AlertWindow`] that all CPUs write to.
struct SharedWindow {
    start: Shared,
    packets: Shared,
}

/// An [`ipblock_common::AlertRate`] that all CPUs write to.
struct SharedRate {
    second: Shared,
    used: Shared,
}
