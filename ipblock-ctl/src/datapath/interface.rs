//! Network interfaces as the kernel tells them over rtnetlink.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{error::DatapathError, mode::AttachMode};

/// One interface of the daemon's network namespace.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// What sort of virtual device it is; `None` for hardware.
    pub kind: Option<String>,
    /// The XDP program on it.
    pub xdp: Option<XdpState>,
    link_type: LinkLayerType,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpState {
    /// The program's id.
    pub program: u32,
    /// How it is attached. Programs in hardware or in several modes count as native.
    pub mode: AttachMode,
}

impl Interface {
    /// The interface with this name.
    pub fn by_name(name: &str) -> Result<Option<Self>, DatapathError> {
        Ok(Self::list()?
            .into_iter()
            .find(|interface| interface.name == name))
    }

    /// Every interface.
    pub fn list() -> Result<Vec<Self>, DatapathError> {
        let messages = dump_links().map_err(DatapathError::Netlink)?;
        Ok(messages
            .into_iter()
            .filter_map(Self::from_message)
            .collect())
    }

    /// Refuses an interface whose packets do not start with an Ethernet header: tun, wg, ppp.
    pub fn require_ethernet(&self) -> Result<(), DatapathError> {
        match self.link_type {
            LinkLayerType::Ether | LinkLayerType::Loopback => Ok(()),
            other => Err(DatapathError::NotEthernet {
                interface: self.name.clone(),
                link_type: format!("{other:?}").to_lowercase(),
            }),
        }
    }

    fn from_message(message: LinkMessage) -> Option<Self> {
        let mut name = None;
        let mut mtu = 0;
        let mut kind = None;
        let mut xdp = None;
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(value) => name = Some(value),
                LinkAttribute::Mtu(value) => mtu = value,
                LinkAttribute::LinkInfo(infos) => kind = find_kind(&infos),
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

fn xdp_state(values: &[LinkXdp]) -> Option<XdpState> {
    let mut mode = None;
    let mut program = None;
    for value in values {
        match value {
            LinkXdp::Attached(XdpAttached::None) => return None,
            LinkXdp::Attached(XdpAttached::SocketBuffer) => mode = Some(AttachMode::Generic),
            LinkXdp::Attached(_) => mode = Some(AttachMode::Native),
            LinkXdp::ProgId(id) => program = Some(*id),
            // With programs in several modes there is no single id; any of them is in the way.
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

/// Dumps all links; again when the kernel says that they changed meanwhile, since such a dump may
/// lack one.
fn dump_links() -> io::Result<Vec<LinkMessage>> {
    const TRIES: u32 = 5;
    for _ in 1..TRIES {
        let (links, whole) = dump_links_once()?;
        if whole {
            return Ok(links);
        }
    }
    Ok(dump_links_once()?.0)
}

/// Returns the links, and whether they did not change during the dump.
fn dump_links_once() -> io::Result<(Vec<LinkMessage>, bool)> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(request));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let mut links = Vec::new();
    let mut whole = true;
    loop {
        let (datagram, _sender) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while let Some(length) = message_length(rest) {
            // One message that is not understood (a device with a strange alias) hides one device,
            // not all of them.
            if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
                whole &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                        links.push(link);
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code));
                    }
                    NetlinkPayload::Done(_) => return Ok((links, whole)),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

/// Length of the first message, padded to the next one; `None` when there is none.
fn message_length(messages: &[u8]) -> Option<usize> {
    const HEADER: usize = 16;
    const ALIGNMENT: usize = 4;
    let length = messages
        .first_chunk::<4>()
        .copied()
        .map(u32::from_ne_bytes)?;
    let length = usize::try_from(length).ok()?;
    (length >= HEADER).then(|| length.next_multiple_of(ALIGNMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_their_padded_length() {
        let mut message = vec![0; 20];
        message[..4].copy_from_slice(&18_u32.to_ne_bytes());
        assert_eq!(message_length(&message), Some(20));
        assert_eq!(message_length(&[]), None);
        assert_eq!(message_length(&[0; 16]), None);
    }

    #[test]
    fn the_loopback_interface_is_there() {
        let interface = Interface::by_name("lo").unwrap().unwrap();
        assert!(interface.require_ethernet().is_ok());
        assert!(Interface::by_name("no-such-if").unwrap().is_none());
    }
}
