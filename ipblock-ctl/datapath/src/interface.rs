//! Network interfaces, read over rtnetlink.

use ipblock_policy::Mode;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        InfoBond, InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType,
        LinkMessage, LinkXdp, XdpAttached,
    },
};

use super::{error::DatapathError, netlink::dump, stack::Layer};

/// One interface of the daemon's network namespace.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The kind of a virtual device; `None` for hardware.
    pub kind: Option<String>,
    /// The XDP program on it.
    pub xdp: Option<XdpState>,
    /// Index of the bond, bridge or similar that it is a port of.
    pub master: Option<u32>,
    /// Index of the device below it (for a VLAN device), or of the other end (for a veth device).
    /// `None` if that is in another network namespace, which has its own indexes.
    pub parent: Option<u32>,
    /// How a bond distributes packets: `active-backup`, `802.3ad`, ...
    pub bond_mode: Option<String>,
    /// Whether it is administratively up.
    pub is_up: bool,
    link_type: LinkLayerType,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpState {
    /// The program's id.
    pub program: u32,
    /// How it is attached. Programs in hardware or in several modes count as native.
    pub mode: Mode,
}

impl Interface {
    /// Returns the interface with this name.
    pub fn by_name(name: &str) -> Result<Option<Self>, DatapathError> {
        Ok(Self::list()?
            .into_iter()
            .find(|interface| interface.name == name))
    }

    /// Returns every interface.
    pub fn list() -> Result<Vec<Self>, DatapathError> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        dump(&request, |message| match message {
            RouteNetlinkMessage::NewLink(link) => Self::from_message(link),
            _ => None,
        })
        .map_err(DatapathError::Netlink)
    }

    /// Rejects an interface whose packets do not start with an Ethernet header: tun, wg, ppp.
    pub fn require_ethernet(&self) -> Result<(), DatapathError> {
        match self.link_type {
            LinkLayerType::Ether | LinkLayerType::Loopback => Ok(()),
            other => Err(DatapathError::NotEthernet {
                interface: self.name.clone(),
                link_type: format!("{other:?}").to_lowercase(),
            }),
        }
    }

    /// Whether it is the loopback interface.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.link_type == LinkLayerType::Loopback
    }

    /// Its position in the stack of interfaces.
    #[must_use]
    pub fn layer(&self) -> Layer {
        let has_peer = matches!(self.kind.as_deref(), Some("veth" | "netkit"));
        Layer {
            index: self.index,
            master: self.master,
            lower: self.parent.filter(|_| !has_peer),
        }
    }

    fn from_message(message: LinkMessage) -> Option<Self> {
        let mut name = None;
        let mut mtu = 0;
        let mut kind = None;
        let mut bond_mode = None;
        let mut xdp = None;
        let mut master = None;
        let mut parent = None;
        let mut parent_is_elsewhere = false;
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(value) => name = Some(value),
                LinkAttribute::Mtu(value) => mtu = value,
                LinkAttribute::LinkInfo(infos) => {
                    kind = find_kind(&infos);
                    bond_mode = find_bond_mode(&infos);
                }
                LinkAttribute::Controller(index) => master = Some(index),
                LinkAttribute::Link(index) => parent = Some(index),
                LinkAttribute::LinkNetNsId(_) => parent_is_elsewhere = true,
                LinkAttribute::Xdp(values) => xdp = xdp_state(&values),
                _ => {}
            }
        }
        Some(Self {
            name: name?,
            index: message.header.index,
            mtu,
            kind,
            xdp,
            master,
            bond_mode,
            parent: parent.filter(|_| !parent_is_elsewhere),
            is_up: message.header.flags.contains(LinkFlags::Up),
            link_type: message.header.link_layer_type,
        })
    }
}

fn find_kind(infos: &[LinkInfo]) -> Option<String> {
    infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(InfoKind::to_string(kind)),
        _ => None,
    })
}

fn find_bond_mode(infos: &[LinkInfo]) -> Option<String> {
    let data = infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Bond(data)) => Some(data),
        _ => None,
    })?;
    data.iter().find_map(|info| match info {
        InfoBond::Mode(mode) => Some(mode.to_string()),
        _ => None,
    })
}

fn xdp_state(values: &[LinkXdp]) -> Option<XdpState> {
    let mut mode = None;
    let mut program = None;
    for value in values {
        match value {
            LinkXdp::Attached(XdpAttached::None) => return None,
            LinkXdp::Attached(XdpAttached::SocketBuffer) => mode = Some(Mode::Generic),
            LinkXdp::Attached(_) => mode = Some(Mode::Native),
            LinkXdp::ProgId(id) => program = Some(*id),
            // With programs in several modes there is no single id; each of them prevents an
            // attachment.
            LinkXdp::DrvProgId(id) | LinkXdp::HwProgId(id) | LinkXdp::SkbProgId(id) => {
                program = program.or(Some(*id));
            }
            _ => {}
        }
    }
    Some(XdpState {
        program: program?,
        mode: mode?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_there() {
        let interface = Interface::by_name("lo").unwrap().unwrap();
        assert!(interface.require_ethernet().is_ok());
        assert!(Interface::by_name("no-such-if").unwrap().is_none());
    }
}
