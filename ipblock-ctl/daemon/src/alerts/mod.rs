//! Alerts: from what the kernel announces to what people are told.
//!
//! `desk` holds what is known of them, `episodes` decides when there is an alert, `book` knows what the kernel's classes stand for, `pump`
//! carries alerts to the sinks and the store, `query` answers requests.

mod classes;
mod desk;
mod episodes;
mod pump;
pub(super) mod query;
pub(super) mod retired;
mod top;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) use self::desk::AlertDesk;

/// The address in a kernel's key or event.
fn address(family: u32, bytes: [u8; 16]) -> IpAddr {
    match (family, bytes) {
        (4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(bytes).into(),
    }
}
