//! Packets through the real program, one at a time (`BPF_PROG_TEST_RUN`).
//!
//! Every packet is run by [`zone::Zone`], which asserts the verdict and the whole counter state of
//! the zone: all totals, all classes, packets and bytes; what is kept of sources is in
//! [`sources`]. To add a case, find the module that its
//! rule (docs/datapath.md) belongs to and compose a packet; a new way in which a filter was
//! fooled is a test of its own, named by what happened.
#![cfg(test)]

mod abi;
mod alert_races;
mod alerts;
mod announcements;
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
