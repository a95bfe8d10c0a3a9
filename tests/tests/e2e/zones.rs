//! Two zones on one host: other defaults, other allow lists, other verdicts for the same source.

use std::sync::Arc;

use anyhow::ensure;
use ipblock_api::types::DefaultVerdict;
use ipblock_tests::{
    DEADLINE, Daemon, End, FrameReceiver, FrameSender, Netns, Privileged, VethOptions, VethPair,
    packet::Frame, require_privileged, wait_for,
};

use crate::{
    answers::{
        apply, apply_forced, check, count_of, counters, deploy, judged, let_through, status,
        verdict_and_reason,
    },
    scenario::{count, marked},
};

const RULESET: &str = r#"
[allow]
match = ["198.51.100.9"]

[zone.lan]
default = "drop"
allow = ["198.51.100.0/28", "2001:db8:a::/48"]

[[rule]]
name = "everywhere"
action = "block"
match = ["203.0.113.0/26"]

[[rule]]
name = "only-lan"
action = "block"
match = ["198.51.100.0/24"]
zones = ["lan"]

[[rule]]
name = "only-default"
action = "warn"
match = ["198.51.100.0/24"]
zones = ["default"]
"#;

/// One interface of the host, and its sender.
struct Side {
    zone: &'static str,
    sender: FrameSender,
    receiver: FrameReceiver,
}

impl Side {
    fn new(zone: &'static str, pair: &VethPair) -> anyhow::Result<Self> {
        Ok(Self {
            zone,
            sender: pair.sender()?,
            receiver: pair.receiver()?,
        })
    }

    /// Waits until this number of frames are judged in this zone and the passed ones have arrived.
    fn judged(&self, daemon: &Daemon, sent: u64) -> anyhow::Result<()> {
        let what = format!("{sent} frames to be judged in zone {}", self.zone);
        let totals = wait_for(DEADLINE, &what, || {
            let zones = status(daemon).ok()?.zones;
            let zone = zones.into_iter().find(|zone| zone.name == self.zone)?;
            (judged(&zone.totals) == sent).then_some(zone.totals)
        })?;
        wait_for(DEADLINE, "what was let through to arrive", || {
            let arrived: u64 = self.receiver.counts().values().sum();
            (arrived == let_through(&totals)).then_some(())
        })
    }
}

/// The host's second interface is in zone `lan`.
fn two_zones(
    root: Privileged,
    options: VethOptions,
) -> anyhow::Result<(Daemon, VethPair, VethPair)> {
    let first = VethPair::new(root, VethOptions::default())?;
    let second = VethPair::between(
        Arc::clone(&first.host.netns),
        Arc::new(Netns::new(root)?),
        VethOptions {
            number: 1,
            ..options
        },
    )?;
    let daemon = Daemon::in_netns(root, &first.host.netns)
        .interface(&first.host.interface)
        .start()?;
    apply(&daemon, RULESET)?;
    let attach = ["attach", &second.host.interface, "--zone", "lan"];
    daemon.ctl(attach)?.ok()?;
    Ok((daemon, first, second))
}

#[test]
fn the_same_source_is_judged_by_the_zone_of_its_interface() -> anyhow::Result<()> {
    let root = require_privileged!();
    let (daemon, first, second) = two_zones(root, VethOptions::default())?;
    let sides = [Side::new("default", &first)?, Side::new("lan", &second)?];
    let frames: Vec<Frame> = [
        "203.0.113.7",   // 1: blocked in both
        "198.51.100.7",  // 2: warned, and allowed by the zone
        "198.51.100.9",  // 3: allowed in both
        "198.51.100.99", // 4: warned, and blocked
        "192.0.2.200",   // 5: unlisted
        "2001:db8:a::7", // 6: unlisted, and allowed by the zone
        "2001:db8:1::7", // 7: unlisted
    ]
    .iter()
    .zip(1..)
    .map(|(source, marker)| marked(source, marker))
    .collect();
    for side in &sides {
        for frame in &frames {
            side.sender.send(frame)?;
        }
        side.judged(&daemon, frames.len() as u64)?;
    }
    let arriving = |markers: &[u64]| markers.iter().map(|marker| (*marker, 1)).collect();
    assert_eq!(sides[0].receiver.counts(), arriving(&[2, 3, 4, 5, 6, 7]));
    assert_eq!(sides[1].receiver.counts(), arriving(&[2, 3, 6]));

    let counters = counters(&daemon)?;
    assert_eq!(count_of(&counters, "everywhere"), count(&frames[..1], 2));
    assert_eq!(count_of(&counters, "only-lan"), count(&frames[3..4], 1));
    let warned = count([&frames[1], &frames[3]], 1);
    assert_eq!(count_of(&counters, "only-default"), warned);
    let zones = status(&daemon)?.zones;
    let of = |name: &str| zones.iter().find(|zone| zone.name == name).unwrap();
    assert_eq!(of("default").default, DefaultVerdict::Pass);
    assert_eq!(of("lan").default, DefaultVerdict::Drop);
    assert_eq!(of("default").totals.dropped, count(&frames[..1], 1));
    assert_eq!(of("default").totals.warned, warned);
    assert_eq!(of("default").totals.allowed, count(&frames[2..3], 1));
    assert_eq!(
        of("lan").totals.allowed,
        count([&frames[1], &frames[2], &frames[5]], 1)
    );
    let dropped = [&frames[0], &frames[3], &frames[4], &frames[6]];
    assert_eq!(of("lan").totals.dropped, count(dropped, 1));
    assert_eq!(counters.totals.dropped.packets, 5);

    for (address, in_default, in_lan) in [
        ("203.0.113.7", "block by Rule", "block by Rule"),
        ("198.51.100.7", "warn by Rule", "pass by Allow"),
        ("198.51.100.9", "pass by Allow", "pass by Allow"),
        ("198.51.100.99", "warn by Rule", "block by Rule"),
        ("192.0.2.200", "pass by Default", "block by Default"),
    ] {
        let found = check(&daemon, &[address])?;
        let told = found.iter().map(|check| {
            assert!(check.kernel_agrees == Some(true), "{check:?}");
            let told = verdict_and_reason(check);
            (check.zone.as_str(), told)
        });
        let expected = [("default", in_default), ("lan", in_lan)];
        let expected = expected.map(|(zone, told)| (zone, told.to_owned()));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{address}");
    }
    Ok(())
}

#[test]
fn an_interface_moves_to_another_zone_without_being_detached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let (daemon, _first, second) = two_zones(root, VethOptions::default())?;
    let side = Side::new("lan", &second)?;
    let unlisted = marked("192.0.2.200", 1);
    side.sender.send(&unlisted)?;
    side.judged(&daemon, 1)?;
    let name = &second.host.interface;
    // Without a zone it keeps its present one.
    let said = daemon.ctl(["attach", name])?.ok()?;
    assert!(said.ends_with("zone lan\n"), "{said}");
    daemon.ctl(["attach", name, "--zone", "default"])?.ok()?;
    side.sender.send(&unlisted)?;
    side.receiver.wait_for_count(1, 1, DEADLINE)?;
    let zones = status(&daemon)?.zones;
    let default = zones.iter().find(|zone| zone.name == "default").unwrap();
    assert_eq!(default.interfaces.len(), 2);
    let totals = counters(&daemon)?.totals;
    assert_eq!((totals.dropped.packets, totals.passed.packets), (1, 1));

    // The zone that it left may be removed, one with interfaces must not.
    daemon.ctl(["attach", name, "--zone", "lan"])?.ok()?;
    let without = "[[rule]]\nname = \"x\"\naction = \"block\"\nmatch = [\"203.0.113.7\"]\n";
    let refused = daemon.ctl_with_input("apply -", without)?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("zone `lan` would be gone"));
    daemon.ctl(["detach", name])?.ok()?;
    apply_forced(&daemon, without)?;
    assert_eq!(status(&daemon)?.zones.len(), 1);
    // What was counted in it stays in the totals of all zones.
    assert_eq!(counters(&daemon)?.totals.dropped.packets, 1);
    Ok(())
}

/// One echo request and its answer.
fn ping(from: &End, source: &str, to: &str, seconds: &str) -> anyhow::Result<()> {
    let arguments = ["ping", "-n", "-c", "1", "-W", seconds, "-I", source, to];
    from.netns.run(arguments).map(drop)
}

/// Returns a neighbour's link-layer address as `end` knows it.
fn neighbour(end: &End, address: &str) -> anyhow::Result<String> {
    end.netns
        .run(["ip", "neigh", "show", "to", address, "dev", &end.interface])
}

#[test]
fn neighbours_are_found_in_a_zone_that_drops_by_default() -> anyhow::Result<()> {
    let root = require_privileged!();
    let live = VethOptions {
        live_neighbours: true,
        ..VethOptions::default()
    };
    let (daemon, _first, second) = two_zones(root, live)?;
    let (host, peer) = (&second.host, &second.peer);
    let pairs = [
        (peer.ipv4.to_string(), host.ipv4.to_string()),
        (peer.ipv6.to_string(), host.ipv6.to_string()),
    ];
    for (source, target) in &pairs {
        // Nothing allows the peer: its echo request is dropped, but neighbour discovery worked.
        ensure!(
            ping(peer, source, target, "1").is_err(),
            "{source} is dropped"
        );
        let known = neighbour(peer, target)?;
        assert!(known.contains(&host.mac.to_string()), "{target}: {known}");
    }
    let [(v4, _), (v6, _)] = &pairs;
    deploy(&daemon, ["allow", "add", v4, v6, "--zone", "lan"])?;
    for end in [host, peer] {
        end.netns
            .run(["ip", "neigh", "flush", "dev", &end.interface])?;
    }
    for (source, target) in &pairs {
        assert_eq!(neighbour(peer, target)?, "");
        ping(peer, source, target, "10")?;
    }
    Ok(())
}

#[test]
fn a_zone_is_removed_once_nothing_uses_it() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
    let interface = &pair.host.interface;
    let done = |command: &str| daemon.ctl(command)?.ok();
    done("zone set lan --default pass --deploy")?;
    done("allow add 192.0.2.9 --zone lan --deploy")?;
    done("rule add r --action block --match 192.0.2.1 --zone lan --deploy")?;
    done(&format!("attach {interface} --zone lan"))?;
    for (said, way_out) in [
        (
            "in use by rules: `r`",
            "rule edit r --all-zones --deploy".to_owned(),
        ),
        (interface, format!("attach {interface} --zone default")),
    ] {
        let refused = daemon.ctl("zone remove lan")?;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refused.stderr.contains(said), "{said}: {refused:?}");
        assert_eq!(status(&daemon)?.staged, 0);
        done(&way_out)?;
    }
    done("zone remove lan")?;
    let diff = done("diff")?;
    assert!(diff.contains("- zone `lan`: removed"), "{diff}");
    // An interface that comes into the zone meanwhile keeps it.
    done(&format!("attach {interface} --zone lan"))?;
    let refused = daemon.ctl("deploy")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    done(&format!("attach {interface} --zone default"))?;
    done("deploy")?;
    assert!(!done("zone list")?.contains("lan"));
    assert_eq!(daemon.ctl("zone remove default")?.code, 3);
    assert_eq!(daemon.ctl("zone remove lan")?.code, 2);
    Ok(())
}
