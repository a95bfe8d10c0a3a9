//! The targets: ratios measured in one run on one machine, and limits.

use crate::{
    judging::{traffic::Traffic, workload::Workload},
    load,
};

/// How many times faster than the bare tries.
pub(crate) fn times_faster(workload: Workload, traffic: Traffic) -> f64 {
    let (clean, attack) = match workload {
        Workload::Hosts100k => (15.0, 5.0),
        Workload::Hosts1m => (25.0, 10.0),
        Workload::Countries11 => (4.0, 6.0),
        Workload::Mixed100k => (6.0, 4.0),
        Workload::Mixed1k => (4.0, 2.0),
    };
    match traffic {
        Traffic::Clean => clean,
        Traffic::Attack => attack,
    }
}

/// No host workload is slower than a plain hash.
pub(crate) const TIMES_FASTER_THAN_HASH: f64 = 1.0;

/// On the whole path, maximum ratio of attack traffic to an empty XDP drop, and of clean traffic to
/// a program that only passes.
pub(crate) const OVER_EMPTY_DROP: f64 = 2.5;
pub(crate) const OVER_EMPTY_PASS: f64 = 1.25;

/// Seconds until a workload is in force, where that has a limit.
pub(crate) fn seconds(workload: &str) -> Option<f64> {
    match workload {
        load::ONE_MORE => None,
        load::WORLD => Some(5.0),
        _ => Some(3.0),
    }
}

/// Microseconds for the kernel's update of one ban.
pub(crate) const BAN_US: f64 = 1000.0;

/// MiB at a million hosts.
pub(crate) const KERNEL_MIB: f64 = 150.0;
pub(crate) const RSS_MIB: f64 = 500.0;
