//! Interfaces: which are filtered and how, what makes them slower, and which packets bypass the
//! filter.

mod layers;

use ipblock_datapath::{device::XdpFeatures, stack::Layer};
use ipblock_output::doctor::Finding;
use ipblock_policy::Mode;

const CHECK: &str = "interfaces";

/// Largest MTU of a packet in one buffer of 4,096 bytes, without XDP's headroom (256), the kernel's
/// own structure at the end (320) and an Ethernet header with two VLAN tags (22).
const ONE_BUFFER: u32 = 4096 - 256 - 320 - 22;

/// Kinds of devices without Ethernet whose packets arrive as IP packets on another device.
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

/// The header of its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Header {
    #[default]
    Ethernet,
    /// Ethernet-like, from this host.
    Loopback,
    /// None that the filter supports: tunnels of IP packets, PPP, raw IP.
    Other,
}

/// One interface, as far as known.
#[derive(Clone, Debug, Default)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) index: u32,
    /// The kind of a virtual device; `None` for hardware.
    pub(super) kind: Option<String>,
    pub(super) mtu: u32,
    pub(super) master: Option<u32>,
    pub(super) parent: Option<u32>,
    pub(super) header: Header,
    pub(super) is_up: bool,
    pub(super) driver: Option<String>,
    pub(super) has_lro: bool,
    /// `None` if the kernel does not report them.
    pub(super) features: Option<XdpFeatures>,
    /// The mode of ipblock's filter, if there is one.
    pub(super) filtered: Option<Mode>,
    /// The mode of a program that is not ipblock's, if there is one.
    pub(super) foreign: Option<Mode>,
    /// How a bond distributes packets.
    pub(super) bond_mode: Option<String>,
}

impl Device {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Its position in the stack of devices.
    fn layer(&self) -> Layer {
        Layer {
            index: self.index,
            master: self.master,
            lower: self.parent,
        }
    }

    /// Whether an operator may want to filter it: it carries traffic from outside.
    fn is_candidate(&self) -> bool {
        let is_outer = self.kind.is_none() || self.is("bond");
        is_outer && self.is_up && self.header == Header::Ethernet
    }

    /// Whether its packets arrive through another device as IP packets, where the filter sees their
    /// outer source.
    fn is_ip_tunnel(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default();
        self.header == Header::Other && IP_TUNNELS.contains(&kind)
    }

    fn driver(&self) -> &str {
        self.driver.as_deref().unwrap_or("its driver")
    }

    /// Returns its name with a short description.
    fn described(&self) -> String {
        match (&self.kind, &self.driver) {
            (Some(kind), _) => format!("{} ({kind})", self.name),
            (None, Some(driver)) => format!("{} ({driver})", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

/// Returns a summary, and one line for each thing to do.
pub(super) fn judge(devices: &[Device]) -> Vec<Finding> {
    let mut findings = vec![summary(devices)];
    for device in devices {
        if device.filtered.is_some() {
            findings.extend(place(device, devices));
            findings.extend(layers::siblings(device, devices));
            findings.extend(slow(device));
        } else if device.is_candidate() {
            findings.extend(offloads(device));
        } else if device.is_up && device.header == Header::Other && !device.is_ip_tunnel() {
            findings.push(cannot_be_filtered(device));
        }
    }
    for device in devices {
        findings.extend(layers::foreign_above(device, devices));
        if device.is("bond") {
            findings.extend(layers::half_filtered(device, devices));
        }
    }
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
    for mode in [Mode::Native, Mode::Generic] {
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

/// PPP and similar: the filter of the device below passes its packets as not IP.
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

/// Whether the filter is on the right one of several devices with the same packets.
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
                format!(
                    "`ipblock-ctl detach {name}`: the filter looks behind up to eight VLAN tags"
                ),
            )
        } else {
            Finding::warning(
                CHECK,
                format!("{name} is a VLAN device, which has no native mode"),
                format!(
                    "attach {parent_name} in its place, where all its VLANs may have the same \
                     rules: the filter looks behind up to eight VLAN tags"
                ),
            )
        });
    }
    if device.is("bridge") {
        return layers::bridge(device, devices);
    }
    None
}

/// Whether it runs slower than necessary.
fn slow(device: &Device) -> Option<Finding> {
    if device.filtered != Some(Mode::Generic) || device.is("vlan") || device.is("bridge") {
        return None;
    }
    if let Some(finding) = layers::bond_mode(device).or_else(|| offloads(device)) {
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

/// Offloads that do not work with native mode.
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

#[cfg(test)]
mod tests;
