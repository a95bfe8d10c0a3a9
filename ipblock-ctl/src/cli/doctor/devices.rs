//! Interfaces: which are filtered and how, and what about them costs speed or lets packets by.

use std::collections::BTreeSet;

use crate::{
    datapath::{AttachMode, device::XdpFeatures},
    output::doctor::Finding,
};

const CHECK: &str = "interfaces";

/// Largest MTU of a packet in one buffer of 4,096 bytes: XDP's headroom (256), the kernel's own
/// structure at the end (320) and an Ethernet header with two VLAN tags (22) are off.
const ONE_BUFFER: u32 = 4096 - 256 - 320 - 22;

/// Kinds of devices without Ethernet whose packets come in as IP packets by another device.
const IP_TUNNELS: [&str; 9] = [
    "wireguard",
    "tun",
    "ipip",
    "sit",
    "gre",
    "ip6gre",
    "ip6tnl",
    "vti",
    "xfrm",
];

/// What its packets begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Header {
    #[default]
    Ethernet,
    /// As Ethernet, and from this host.
    Loopback,
    /// None that the filter could work with: tunnels of IP packets, PPP, raw IP.
    Other,
}

/// One interface, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) index: u32,
    /// What sort of virtual device; `None` for hardware.
    pub(super) kind: Option<String>,
    pub(super) mtu: u32,
    pub(super) master: Option<u32>,
    pub(super) parent: Option<u32>,
    pub(super) header: Header,
    pub(super) is_up: bool,
    pub(super) driver: Option<String>,
    pub(super) has_lro: bool,
    /// `None` where the kernel does not tell.
    pub(super) features: Option<XdpFeatures>,
    /// How ipblock filters it, if it does.
    pub(super) filtered: Option<AttachMode>,
}

impl Device {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether somebody may well want to filter it: what carries traffic from outside.
    fn is_candidate(&self) -> bool {
        let is_outer = self.kind.is_none() || self.is("bond");
        is_outer && self.is_up && self.header == Header::Ethernet
    }

    /// Whether its packets come in through another device as IP packets, where the filter sees their
    /// outer source.
    fn is_ip_tunnel(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default();
        self.header == Header::Other && IP_TUNNELS.contains(&kind)
    }

    fn driver(&self) -> &str {
        self.driver.as_deref().unwrap_or("its driver")
    }

    /// With what is to be known of it.
    fn described(&self) -> String {
        match (&self.kind, &self.driver) {
            (Some(kind), _) => format!("{} ({kind})", self.name),
            (None, Some(driver)) => format!("{} ({driver})", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

/// A line that sums up, and one for each thing to do.
pub(super) fn judge(devices: &[Device]) -> Vec<Finding> {
    let mut findings = vec![summary(devices)];
    for device in devices {
        if device.filtered.is_some() {
            findings.extend(place(device, devices));
            findings.extend(slow(device));
        } else if device.is_candidate() {
            findings.extend(offloads(device));
        } else if device.is_up && device.header == Header::Other && !device.is_ip_tunnel() {
            findings.push(cannot_be_filtered(device));
        }
    }
    findings.extend(
        devices
            .iter()
            .filter(|device| device.is("bond"))
            .filter_map(|bond| half_filtered(bond, devices)),
    );
    findings
}

fn summary(devices: &[Device]) -> Finding {
    let names = |wanted: &dyn Fn(&Device) -> bool| -> Option<String> {
        let names: Vec<String> = devices
            .iter()
            .filter(|device| wanted(device))
            .map(Device::described)
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let mut parts = Vec::new();
    for mode in [AttachMode::Native, AttachMode::Generic] {
        let filtered = names(&|device| device.filtered == Some(mode));
        parts.extend(filtered.map(|names| format!("filtered in {mode} mode: {names}")));
    }
    if parts.is_empty() {
        parts.push("none is filtered".to_owned());
    }
    let free = |device: &Device| device.filtered.is_none() && device.is_candidate();
    let native = |device: &Device| device.features.is_none_or(|features| features.native);
    parts.extend(
        names(&|device| free(device) && native(device))
            .map(|names| format!("not filtered: {names}")),
    );
    parts.extend(
        names(&|device| free(device) && !native(device))
            .map(|names| format!("not filtered, without native XDP: {names}")),
    );
    parts.extend(
        names(&|device| device.is_up && device.is_ip_tunnel())
            .map(|names| format!("tunnels, judged by the outer source where it comes in: {names}")),
    );
    Finding::ok(CHECK, parts.join("; "))
}

/// PPP and its like: what comes in by them passes the filter of the device below as no IP.
fn cannot_be_filtered(device: &Device) -> Finding {
    let name = device.described();
    Finding::warning(
        CHECK,
        format!(
            "{name} carries no Ethernet and cannot be filtered; PPPoE below it passes as no IP"
        ),
        "filter where its packets are Ethernet frames of IP (on the router before it), or by nft",
    )
}

/// Whether the filter is on the right one of several devices that see the same packets.
fn place(device: &Device, devices: &[Device]) -> Option<Finding> {
    let name = &device.name;
    if device.is("vlan") {
        let parent = devices
            .iter()
            .find(|other| Some(other.index) == device.parent)?;
        let parent_name = &parent.name;
        return Some(if parent.filtered.is_some() {
            Finding::warning(
                CHECK,
                format!("{name} and {parent_name} below it are filtered: packets count twice"),
                format!("`ipblock-ctl detach {name}`: the filter looks behind two VLAN tags"),
            )
        } else {
            Finding::warning(
                CHECK,
                format!("{name} is a VLAN device, for which there is no native mode"),
                format!(
                    "attach {parent_name} in its place, where all its VLANs may have the same \
                     rules: the filter looks behind two VLAN tags"
                ),
            )
        });
    }
    if device.is("bridge") {
        let ports = names_of_members(device, devices, |port| port.filtered.is_none());
        return (!ports.is_empty()).then(|| {
            Finding::warning(
                CHECK,
                format!("{name} is a bridge: what goes from port to port is not judged"),
                format!(
                    "attach its ports, if that is to be filtered too: {}",
                    ports.join(", ")
                ),
            )
        });
    }
    None
}

/// Whether it runs slower than it could.
fn slow(device: &Device) -> Option<Finding> {
    if device.filtered != Some(AttachMode::Generic) || device.is("vlan") || device.is("bridge") {
        return None;
    }
    if let Some(finding) = offloads(device) {
        return Some(finding);
    }
    let (name, driver) = (&device.name, device.driver());
    let detail = match device.features {
        Some(XdpFeatures { native: true, .. }) => {
            format!("{name} is in generic mode although {driver} can do native XDP")
        }
        Some(_) => format!("{name} is in generic mode: {driver} has no native XDP"),
        None => format!("{name} is in generic mode, which costs several times as much"),
    };
    let advice = match device.features {
        Some(XdpFeatures { native: false, .. }) => {
            "nothing is lost but speed; for high rates take a network card whose driver has it"
                .to_owned()
        }
        _ => format!(
            "`ipblock-ctl detach {name}`, then `ipblock-ctl attach {name} --mode native` tells why"
        ),
    };
    Some(Finding::warning(CHECK, detail, advice))
}

/// What the driver is set to that native mode does not go with.
fn offloads(device: &Device) -> Option<Finding> {
    let name = &device.name;
    let has_native = device.features.is_none_or(|features| features.native);
    if device.has_lro {
        return Some(Finding::warning(
            CHECK,
            format!("{name} has large receive offload on, which drivers refuse in native mode"),
            format!("ethtool -K {name} lro off"),
        ));
    }
    let takes_frags = device.features.is_none_or(|features| features.frags);
    if has_native && !takes_frags && device.mtu > ONE_BUFFER {
        return Some(Finding::warning(
            CHECK,
            format!(
                "{name} has an MTU of {}: too much for native mode of {}, which takes packets of \
                 one buffer",
                device.mtu,
                device.driver()
            ),
            format!(
                "`ip link set dev {name} mtu {ONE_BUFFER}` or less, or leave it in generic mode"
            ),
        ));
    }
    None
}

/// A bond of which some members are filtered: what comes in by the others is not.
fn half_filtered(bond: &Device, devices: &[Device]) -> Option<Finding> {
    let free = names_of_members(bond, devices, |member| member.filtered.is_none());
    let filtered = names_of_members(bond, devices, |member| member.filtered.is_some());
    if bond.filtered.is_some() || free.is_empty() || filtered.is_empty() {
        return None;
    }
    Some(Finding::warning(
        CHECK,
        format!(
            "of bond {} {} filtered, and not {}",
            bond.name,
            match filtered.as_slice() {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(", ")),
            },
            free.join(", ")
        ),
        format!("detach the members, and attach {} itself", bond.name),
    ))
}

fn names_of_members(
    master: &Device,
    devices: &[Device],
    wanted: impl Fn(&Device) -> bool,
) -> Vec<String> {
    let names: BTreeSet<&String> = devices
        .iter()
        .filter(|device| device.master == Some(master.index) && wanted(device))
        .map(|device| &device.name)
        .collect();
    names.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::doctor::FindingState;

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

    /// Details of the warnings, and their advice.
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
                filtered: Some(AttachMode::Native),
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
        devices
            .extend((10..60).map(|index| virtual_device(&format!("veth{index}"), index, "veth")));
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
            filtered: Some(AttachMode::Generic),
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
            filtered: Some(AttachMode::Generic),
            ..virtual_device("eth0.5", 3, "vlan")
        };
        assert_warns(
            &[card("eth0", 2), vlan.clone()],
            "no native mode",
            "attach eth0",
        );
        let parent = Device {
            filtered: Some(AttachMode::Native),
            ..card("eth0", 2)
        };
        assert_warns(&[parent, vlan], "count twice", "detach eth0.5");
    }

    #[test]
    fn a_bridge_does_not_see_what_it_passes_on() {
        let bridge = Device {
            filtered: Some(AttachMode::Generic),
            ..virtual_device("br0", 2, "bridge")
        };
        let port = |name: &str, index| Device {
            master: Some(2),
            ..virtual_device(name, index, "veth")
        };
        let devices = [bridge, port("b", 3), port("a", 4)];
        assert_warns(&devices, "from port to port", "too: a, b");
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
        let native = Some(AttachMode::Native);
        let half = [
            bond(None),
            member("eth0", 3, native),
            member("eth1", 4, None),
        ];
        assert_warns(
            &half,
            "of bond bond0 eth0 is filtered, and not eth1",
            "attach bond0",
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
}
