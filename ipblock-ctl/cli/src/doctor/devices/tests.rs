//! Different kinds of machines.

use ipblock_output::doctor::FindingState;

use super::*;

const FULL: Option<XdpFeatures> = Some(XdpFeatures {
    native: true,
    frags: true,
});
const NO_FRAGS: Option<XdpFeatures> = Some(XdpFeatures {
    native: true,
    frags: false,
});
const NONE: Option<XdpFeatures> = Some(XdpFeatures {
    native: false,
    frags: false,
});

fn card(name: &str, index: u32) -> Device {
    Device {
        name: name.to_owned(),
        index,
        mtu: 1500,
        is_up: true,
        driver: Some("ice".to_owned()),
        features: FULL,
        ..Device::default()
    }
}

fn virtual_device(name: &str, index: u32, kind: &str) -> Device {
    Device {
        kind: Some(kind.to_owned()),
        features: NONE,
        ..card(name, index)
    }
}

/// Returns the details of the warnings, with their advice.
fn warnings(devices: &[Device]) -> Vec<(String, String)> {
    judge(devices)
        .into_iter()
        .filter_map(|finding| Some((finding.detail, finding.advice?)))
        .collect()
}

#[track_caller]
fn assert_warns(devices: &[Device], detail: &str, advice: &str) {
    let found = warnings(devices);
    let [(one_detail, one_advice)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(one_detail.contains(detail), "{one_detail}");
    assert!(one_advice.contains(advice), "{one_advice}");
}

#[test]
fn many_interfaces_are_one_line() {
    let mut devices = vec![
        Device {
            filtered: Some(Mode::Native),
            ..card("eth0", 2)
        },
        card("eth1", 3),
        Device {
            features: NONE,
            driver: Some("e1000".to_owned()),
            ..card("eth2", 4)
        },
        Device {
            header: Header::Other,
            ..virtual_device("wg0", 5, "wireguard")
        },
        Device {
            is_up: false,
            ..card("eth3", 6)
        },
    ];
    devices.extend((10..60).map(|index| virtual_device(&format!("veth{index}"), index, "veth")));
    let findings = judge(&devices);
    let [Finding { detail, .. }] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(
        detail,
        "filtered in native mode: eth0 (ice); not filtered: eth1 (ice); not filtered, without \
         native XDP: eth2 (e1000); tunnels, judged by the outer source where it comes in: \
         wg0 (wireguard)"
    );
}

#[test]
fn large_receive_offload_is_told_of_before_it_stands_in_the_way() {
    let device = Device {
        has_lro: true,
        ..card("eth0", 2)
    };
    assert_warns(
        &[device],
        "large receive offload",
        "ethtool -K eth0 lro off",
    );
}

#[test]
fn an_mtu_is_too_large_where_the_driver_takes_one_buffer() {
    let jumbo = |features| Device {
        mtu: 9000,
        features,
        ..card("eth0", 2)
    };
    assert_warns(&[jumbo(NO_FRAGS)], "an MTU of 9000", "mtu 3498");
    for features in [FULL, NONE, None] {
        assert_eq!(warnings(&[jumbo(features)]), []);
    }
}

#[test]
fn generic_mode_is_told_with_its_reason() {
    let generic = |features| Device {
        filtered: Some(Mode::Generic),
        features,
        ..card("eth0", 2)
    };
    assert_warns(&[generic(FULL)], "although ice can", "--mode native");
    assert_warns(&[generic(NONE)], "ice has no native XDP", "nothing is lost");
    assert_warns(&[generic(None)], "generic mode", "--mode native");
}

#[test]
fn a_vlan_device_is_filtered_on_its_parent() {
    let vlan = Device {
        parent: Some(2),
        filtered: Some(Mode::Generic),
        ..virtual_device("eth0.5", 3, "vlan")
    };
    assert_warns(
        &[card("eth0", 2), vlan.clone()],
        "no native mode",
        "attach eth0",
    );
    let parent = Device {
        filtered: Some(Mode::Native),
        ..card("eth0", 2)
    };
    assert_warns(&[parent, vlan], "count twice", "detach eth0.5");
}

#[test]
fn a_bridge_does_not_see_what_it_passes_on() {
    let bridge = Device {
        filtered: Some(Mode::Generic),
        ..virtual_device("br0", 2, "bridge")
    };
    let port = |name: &str, index| Device {
        master: Some(2),
        ..virtual_device(name, index, "veth")
    };
    let devices = [bridge, port("b", 3), port("a", 4)];
    assert_warns(
        &devices,
        "from port to port",
        "attach its ports: `ipblock-ctl attach a`, `ipblock-ctl attach b`. The kernel takes programs \
         from below to above, so ipblockd takes br0 off",
    );
}

#[test]
fn a_foreign_program_above_is_named_with_the_order() {
    let bridge = Device {
        foreign: Some(Mode::Generic),
        ..virtual_device("br0", 2, "bridge")
    };
    let port = Device {
        master: Some(2),
        ..virtual_device("w1", 3, "veth")
    };
    assert_warns(
        &[bridge, port],
        "br0 runs an XDP program that is not ipblock's: the kernel takes none below it, on w1",
        "take that program off br0, then `ipblock-ctl attach w1`, then put it on br0 again",
    );
}

#[test]
fn macvlans_pass_the_native_program_of_their_parent() {
    let parent = |mode| Device {
        filtered: Some(mode),
        ..card("eth0", 2)
    };
    let on = |name: &str, index, kind| Device {
        parent: Some(2),
        ..virtual_device(name, index, kind)
    };
    let macvlans = |mode| {
        [
            parent(mode),
            on("mv0", 3, "macvlan"),
            on("mv1", 4, "macvtap"),
        ]
    };
    assert_warns(
        &macvlans(Mode::Native),
        "what macvlans on it send each other is not judged: mv0, mv1",
        "`ipblock-ctl attach eth0 --mode generic`, which sees it",
    );
    let generic = warnings(&macvlans(Mode::Generic));
    assert!(
        generic
            .iter()
            .all(|(detail, _)| !detail.contains("macvlan")),
        "{generic:?}"
    );
    assert_warns(
        &[parent(Mode::Native), on("iv0", 3, "ipvlan")],
        "what ipvlans on eth0 send each other is not judged in either mode: iv0",
        "`ipblock-ctl attach iv0`",
    );
}

#[test]
fn a_bond_is_told_whether_its_mode_can_be_native() {
    let bond = |mode: &str| Device {
        filtered: Some(Mode::Generic),
        bond_mode: Some(mode.to_owned()),
        ..virtual_device("bond0", 2, "bond")
    };
    assert_warns(
        &[bond("balance-tlb")],
        "bond0 is a bond in mode balance-tlb, which takes generic mode only",
        "active-backup, balance-rr, 802.3ad, balance-xor",
    );
    for mode in ["active-backup", "balance-rr", "802.3ad", "balance-xor"] {
        let found = warnings(&[bond(mode)]);
        assert!(
            found.iter().all(|(detail, _)| !detail.contains("in mode")),
            "{found:?}"
        );
    }
}

#[test]
fn a_bond_is_filtered_as_a_whole() {
    let bond = |filtered| Device {
        filtered,
        ..virtual_device("bond0", 2, "bond")
    };
    let member = |name: &str, index, filtered| Device {
        master: Some(2),
        filtered,
        ..card(name, index)
    };
    let native = Some(Mode::Native);
    let half = [
        bond(None),
        member("eth0", 3, native),
        member("eth1", 4, None),
    ];
    assert_warns(
        &half,
        "of bond bond0 eth0 is filtered, and not eth1",
        "`ipblock-ctl detach eth0`, then `ipblock-ctl attach bond0`",
    );
    let all = [
        bond(None),
        member("eth0", 3, native),
        member("eth1", 4, native),
    ];
    let itself = [
        bond(native),
        member("eth0", 3, None),
        member("eth1", 4, None),
    ];
    for devices in [all, itself] {
        assert_eq!(warnings(&devices), []);
    }
}

#[test]
fn an_uplink_without_ethernet_is_no_tunnel_and_is_warned_of() {
    let ppp = Device {
        header: Header::Other,
        ..virtual_device("ppp0", 7, "ppp")
    };
    let findings = judge(&[ppp]);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(!findings[0].detail.contains("outer source"), "{findings:?}");
    assert_eq!(findings[1].state, FindingState::Warning);
    assert!(
        findings[1]
            .detail
            .contains("ppp0 (ppp) carries no Ethernet"),
        "{findings:?}"
    );
}
