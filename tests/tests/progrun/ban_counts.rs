//! Counters of bans: which ban a packet counts for while bans come and go.

use std::{
    fs,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use aya::{TestRun as _, programs::TestRunOptions};
use ipblock_common::{Outcome, ban::NEVER, names};
use ipblock_datapath::{BanTables, settle};
use ipblock_policy::bans::Write;
use ipblock_tests::{
    Privileged,
    packet::{Frame, Ipv4, Ipv6},
    require_privileged,
};
use ipnet::IpNet;

use crate::{
    fixture::Fixture,
    shared::{Pins, sharing, slots},
    zone::Zone,
};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn send(zone: &Zone, source: &str, packets: u32) {
    let frame = if source.contains(':') {
        Frame::carrying(&Ipv6::from(source))
    } else {
        Frame::carrying(&Ipv4::from(source))
    };
    let options = TestRunOptions {
        data_in: Some(frame.bytes()),
        repeat: packets,
        ..TestRunOptions::default()
    };
    zone.program().test_run(options).unwrap();
}

fn set(bans: &mut BanTables, prefix: &str) {
    bans.write(&[Write::Set(net(prefix), NEVER)]).unwrap();
}

/// Removes a ban and makes its counter usable again.
fn end(bans: &mut BanTables, prefix: &str) {
    bans.write(&[Write::Remove(net(prefix))]).unwrap();
    bans.release(net(prefix));
    let resting = bans.resting().unwrap();
    settle();
    bans.rested(resting);
}

fn packets(bans: &BanTables, prefix: &str) -> Option<u64> {
    let count = bans.count(net(prefix)).unwrap()?;
    assert_eq!(
        count.packets == 0,
        count.last_hit_ns == 0,
        "{prefix}: {count:?}"
    );
    Some(count.packets)
}

/// Pins, a program that uses them, and the tables without a ban.
fn tables(root: Privileged) -> (Pins, Zone, BanTables) {
    let pins = Pins::new(root);
    let zone = sharing(Fixture::empty(), root);
    let mut bans = pins.share(&zone).bans;
    bans.make_hold([], |_| 0).unwrap();
    (pins, zone, bans)
}

#[test]
fn nested_bans_count_at_the_longest_and_keep_their_counts() {
    let (_pins, zone, mut bans) = tables(require_privileged!());
    set(&mut bans, "192.0.2.0/24");
    send(&zone, "192.0.2.7", 3);
    set(&mut bans, "192.0.2.7/32");
    set(&mut bans, "2001:db8::/32");
    send(&zone, "192.0.2.7", 5);
    send(&zone, "192.0.2.8", 7);
    send(&zone, "2001:db8::1", 11);
    // Another end, which has passed: the same counter.
    bans.write(&[Write::Set(net("192.0.2.7/32"), 1)]).unwrap();
    send(&zone, "192.0.2.7", 13);
    set(&mut bans, "192.0.2.7/32");
    send(&zone, "192.0.2.7", 17);
    assert_eq!(packets(&bans, "192.0.2.0/24"), Some(10));
    assert_eq!(packets(&bans, "192.0.2.7/32"), Some(22));
    assert_eq!(packets(&bans, "2001:db8::/32"), Some(11));
    assert_eq!(packets(&bans, "192.0.2.8/32"), None);
    assert_eq!(zone.counters().totals[Outcome::Dropped].packets, 43);
    // Out of the table and back, without an end of the ban.
    bans.write(&[Write::Remove(net("192.0.2.7/32"))]).unwrap();
    send(&zone, "192.0.2.7", 1);
    set(&mut bans, "192.0.2.7/32");
    assert_eq!(packets(&bans, "192.0.2.7/32"), Some(22));
    // After its end, it is another ban.
    end(&mut bans, "192.0.2.7/32");
    assert_eq!(packets(&bans, "192.0.2.7/32"), None);
    set(&mut bans, "192.0.2.7/32");
    assert_eq!(packets(&bans, "192.0.2.7/32"), Some(0));
    assert_eq!(packets(&bans, "192.0.2.0/24"), Some(11));
}

#[test]
fn no_packet_counts_for_a_ban_that_gets_the_counter_of_another() {
    let (_pins, zone, mut bans) = tables(require_privileged!());
    let (old, new) = ("192.0.2.7/32", "198.51.100.7/32");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                send(&zone, "192.0.2.7", 1000);
            }
        });
        let mut hit = 0;
        for round in 0..200 {
            set(&mut bans, old);
            // Some rounds end at once, others after some packets.
            while round % 2 == 0 && packets(&bans, old) == Some(0) {
                thread::yield_now();
            }
            hit += packets(&bans, old).unwrap();
            end(&mut bans, old);
            set(&mut bans, new);
            thread::yield_now();
            assert_eq!(packets(&bans, new), Some(0), "round {round}");
            end(&mut bans, new);
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(hit >= 100, "{hit}");
    });
}

#[test]
fn another_process_takes_the_counters_over() {
    let (pins, zone, mut bans) = tables(require_privileged!());
    set(&mut bans, "192.0.2.0/24");
    set(&mut bans, "198.51.100.7/32");
    send(&zone, "192.0.2.7", 3);
    send(&zone, "198.51.100.7", 5);
    drop(bans);
    let mut bans = pins.open().bans;
    // One ban has ended meanwhile, and one is new.
    let entries = ["192.0.2.0/24", "203.0.113.7/32"].map(|prefix| (net(prefix), NEVER));
    let writes = bans.make_hold(entries, |_| 1000).unwrap();
    // The first as it is; the second without a slot and out; the third.
    assert_eq!(writes, 3);
    send(&zone, "192.0.2.7", 7);
    send(&zone, "203.0.113.7", 11);
    send(&zone, "198.51.100.7", 13);
    assert_eq!(packets(&bans, "192.0.2.0/24"), Some(10));
    assert_eq!(packets(&bans, "203.0.113.7/32"), Some(1011));
    assert_eq!(packets(&bans, "198.51.100.7/32"), None);
    assert_eq!(bans.make_hold(entries, |_| 1000).unwrap(), 0);
}

#[test]
fn counters_that_lost_a_pin_go_on_from_the_last_checkpoint() {
    let root = require_privileged!();
    for lost in [names::BAN_HITS, names::BAN_HIT_BASES, names::BANS_IPV6] {
        let (pins, zone, mut bans) = tables(root);
        for prefix in ["192.0.2.7/32", "198.51.100.7/32"] {
            set(&mut bans, prefix);
        }
        send(&zone, "192.0.2.7", 3);
        drop(bans);
        fs::remove_file(pins.path(lost)).unwrap();
        let mut bans = pins.open().bans;
        let entries = ["198.51.100.7/32", "192.0.2.7/32"].map(|prefix| (net(prefix), NEVER));
        let dropped = |prefix| if prefix == net("192.0.2.7/32") { 2 } else { 0 };
        bans.make_hold(entries, dropped).unwrap();
        // The program still uses the lost map.
        send(&zone, "192.0.2.7", 5);
        let count = bans.count(net("192.0.2.7/32")).unwrap().unwrap();
        assert_eq!((count.packets, count.last_hit_ns), (2, 0), "{lost}");
        assert_eq!(packets(&bans, "198.51.100.7/32"), Some(0), "{lost}");
    }
}

#[test]
fn restored_counts_replace_all_counters() {
    let (_pins, zone, mut bans) = tables(require_privileged!());
    let entries = ["192.0.2.7/32", "198.51.100.7/32"].map(|prefix| (net(prefix), NEVER));
    bans.make_hold(entries, |_| 0).unwrap();
    send(&zone, "192.0.2.7", 3);
    send(&zone, "198.51.100.7", 5);
    bans.forget_counts();
    let dropped = |prefix| {
        if prefix == net("192.0.2.7/32") {
            100
        } else {
            0
        }
    };
    bans.make_hold(entries, dropped).unwrap();
    send(&zone, "198.51.100.7", 7);
    assert_eq!(packets(&bans, "198.51.100.7/32"), Some(7));
    let count = bans.count(net("192.0.2.7/32")).unwrap().unwrap();
    // The last hit of the counter was not one of this ban.
    assert_eq!((count.packets, count.last_hit_ns), (100, 0));
}

#[test]
fn a_ban_without_a_counter_drops_all_the_same() {
    let (_pins, zone, mut bans) = tables(require_privileged!());
    let hosts = (0..slots()).map(|host| {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + host);
        (IpNet::from(std::net::IpAddr::V4(address)), NEVER)
    });
    let last = hosts.clone().next_back().unwrap().0;
    // Slot 0 belongs to no ban. The last ban has been counted before, so another one goes without.
    bans.make_hold(hosts, |prefix| u64::from(prefix == last))
        .unwrap();
    assert_eq!(bans.count(last).unwrap().unwrap().packets, 1);
    set(&mut bans, "192.0.2.7/32");
    assert_eq!(packets(&bans, "192.0.2.7/32"), None);
    send(&zone, "192.0.2.7", 3);
    assert_eq!(zone.counters().bans[0].packets, 3);
    assert_eq!(zone.counters().totals[Outcome::Dropped].packets, 3);
    let mut counted = 0;
    let mut block = 0;
    while let Some(counts) = bans.counts_of_block(block).unwrap() {
        counted += counts.len();
        block += 1;
    }
    assert_eq!(counted, slots() as usize - 1);
}
