//! Packets through the real program, one at a time (`BPF_PROG_TEST_RUN`).
//!
//! [`zone::Zone`] runs every packet, and asserts the verdict and the whole counter state of the
//! zone: all totals, all classes, packets and bytes. [`sources`] has the data per source. To add a
//! case, find the module of its rule (docs/datapath.md) and compose a packet. A new way to deceive
//! a filter gets its own test, whose name says what happened.
#![cfg(test)]

mod abi;
mod alert_races;
mod alerts;
mod announcements;
mod ban_counts;
mod bans;
mod counters;
mod essential;
mod expiry;
mod fixture;
mod fragments;
mod hits;
mod ipv4;
mod ipv6;
mod link_layer;
mod malformed;
mod mutated;
mod object;
mod panic_off;
mod prefixes;
mod reference;
mod shared;
mod sources;
mod tables;
mod tags;
mod truncation;
mod verdicts;
mod wire;
mod zone;
