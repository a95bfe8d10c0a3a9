//! The BPF object under test: the one that the daemon embeds.

use ipblock_common::ClassVerdict;
use ipblock_tests::{Privileged, require_privileged};

use crate::fixture::Fixture;

/// The object's bytes.
pub(crate) fn bytes() -> &'static [u8] {
    ipblock_datapath::object::BPF_OBJECT
}

/// The size of the program after the kernel's verifier, in bytes.
fn translated(root: Privileged, fixture: &Fixture) -> u32 {
    let zone = fixture.load(root);
    let info = zone.program().info().unwrap();
    info.size_translated().unwrap()
}

#[test]
fn the_verifier_removes_what_a_zone_does_not_use() {
    let root = require_privileged!();
    let without = translated(root, &Fixture::empty());
    let mut hosts = Fixture::empty();
    let class = hosts.verdict(ClassVerdict::Block);
    let hosts = hosts.entry("203.0.113.7/32", class);
    let with_hosts = translated(root, &hosts);
    let with_nets = translated(root, &hosts.clone().entry("198.51.100.0/24", class));
    let with_ipv6 = translated(root, &hosts.entry("2001:db8::/48", class));
    assert!(without < with_hosts, "{without} {with_hosts}");
    assert!(with_hosts < with_nets, "{with_hosts} {with_nets}");
    assert!(with_hosts < with_ipv6, "{with_hosts} {with_ipv6}");
}
