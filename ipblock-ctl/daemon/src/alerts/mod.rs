//! Alerts: from the kernel's announcements to reports for people.
//!
//! `desk` has their state, `episodes` decides when to alert, `book` maps the kernel's classes to
//! rules, `pump` passes alerts to the sinks and the store, `query` answers requests.

mod classes;
mod desk;
mod episodes;
mod pump;
pub(super) mod query;
pub(super) mod retired;
mod top;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) use self::desk::AlertDesk;

/// Returns the address in a kernel's key or event.
fn address(family: u32, bytes: [u8; 16]) -> IpAddr {
    match (family, bytes) {
        (4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(bytes).into(),
    }
}
