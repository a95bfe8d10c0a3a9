//! What the kernel reports about a network device and its driver: name, offloads, XDP features.

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char},
    io,
    os::fd::AsRawFd as _,
};

use netlink_packet_core::NlasIterator;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::netlink::message_length;

// Commands and flags of include/uapi/linux/ethtool.h.
const ETHTOOL_GDRVINFO: u32 = 0x3;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETH_FLAG_LRO: u32 = 1 << 15;

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [c_char; 32],
    rest: [u8; 160],
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Returns the name of an interface's driver.
pub fn driver(interface: &str) -> io::Result<String> {
    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    ethtool(interface, &mut info)?;
    let bytes = info.driver.map(c_char::cast_unsigned);
    let name = CStr::from_bytes_until_nul(&bytes).map_err(io::Error::other)?;
    Ok(name.to_string_lossy().into_owned())
}

/// Whether an interface merges packets of a connection before XDP sees them (large receive
/// offload).
pub fn has_lro(interface: &str) -> io::Result<bool> {
    let mut value = Value {
        command: ETHTOOL_GFLAGS,
        data: 0,
    };
    ethtool(interface, &mut value)?;
    Ok(value.data & ETH_FLAG_LRO != 0)
}

/// Executes one ethtool command. `T` must be the structure of the command in its first field.
fn ethtool<T>(interface: &str, question: &mut T) -> io::Result<()> {
    let kind = (AddressFamily::Inet, SockType::Datagram);
    let socket = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    // One byte remains for the terminating zero.
    for (to, from) in name
        .iter_mut()
        .take(libc::IFNAMSIZ - 1)
        .zip(interface.bytes())
    {
        *to = from.cast_signed();
    }
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut *question).cast(),
        },
    };
    // SAFETY: the request points to a terminated name and to a structure that outlives the call and
    // has the size of its command (callers in this file).
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `SIOCETHTOOL` of include/uapi/linux/sockios.h.
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// The XDP features that a driver reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures {
    /// XDP programs can run in the driver.
    pub native: bool,
    /// These programs receive packets in several buffers.
    pub frags: bool,
}

// include/uapi/linux/genetlink.h and netdev.h.
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_XDP_ACT_BASIC: u64 = 1;
const NETDEV_XDP_ACT_RX_SG: u64 = 1 << 5;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Returns the features by interface index, or `None` if the kernel does not report them (before
/// Linux 6.3).
pub fn xdp_features() -> io::Result<Option<BTreeMap<u32, XdpFeatures>>> {
    let mut name = b"netdev\0".to_vec();
    let mut attribute = header_of_attribute(CTRL_ATTR_FAMILY_NAME, &name);
    attribute.append(&mut name);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    let request = message(GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY, &attribute);
    let families = match ask(&request) {
        Ok(answers) => answers,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = families.iter().find_map(|answer| {
        let id = attribute_of(answer, CTRL_ATTR_FAMILY_ID)?;
        Some(u16::from_ne_bytes(*id.first_chunk()?))
    });
    let Some(id) = id else {
        return Ok(None);
    };
    let request = message(id, NLM_F_REQUEST | NLM_F_DUMP, NETDEV_CMD_DEV_GET, &[]);
    let devices = ask(&request)?;
    Ok(Some(devices.iter().filter_map(|one| device(one)).collect()))
}

fn device(attributes: &[u8]) -> Option<(u32, XdpFeatures)> {
    let index = attribute_of(attributes, NETDEV_A_DEV_IFINDEX)?;
    let bits = attribute_of(attributes, NETDEV_A_DEV_XDP_FEATURES)?;
    let bits = u64::from_ne_bytes(*bits.first_chunk()?);
    let features = XdpFeatures {
        native: bits & NETDEV_XDP_ACT_BASIC != 0,
        frags: bits & NETDEV_XDP_ACT_RX_SG != 0,
    };
    Some((u32::from_ne_bytes(*index.first_chunk()?), features))
}

fn attribute_of(attributes: &[u8], kind: u16) -> Option<Vec<u8>> {
    NlasIterator::new(attributes)
        .filter_map(Result::ok)
        .find(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
}

fn header_of_attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    [length.to_ne_bytes(), kind.to_ne_bytes()].concat()
}

/// Builds a message: `struct nlmsghdr`, `struct genlmsghdr`, attributes.
fn message(kind: u16, flags: u16, command: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADERS + attributes.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence number and port.
    bytes.extend([0; 8]);
    bytes.extend([command, 1, 0, 0]);
    bytes.extend(attributes);
    bytes
}

/// Bytes before the attributes.
const HEADERS: usize = 20;

/// Sends a request and returns the attributes of every reply.
fn ask(request: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let is_dump = request.get(6..8) != Some(&NLM_F_REQUEST.to_ne_bytes());
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(request, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _sender) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while let Some(length) = message_length(rest) {
            let kind = rest.get(4..6).and_then(|kind| kind.first_chunk().copied());
            match kind.map(u16::from_ne_bytes) {
                Some(NLMSG_DONE) => return Ok(answers),
                Some(NLMSG_ERROR) => {
                    let code = rest
                        .get(16..20)
                        .and_then(|code| code.first_chunk().copied());
                    let code = code.map_or(0, i32::from_ne_bytes);
                    return Err(io::Error::from_raw_os_error(-code));
                }
                _ => answers.extend(rest.get(HEADERS..length).map(<[u8]>::to_vec)),
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        if !is_dump && !answers.is_empty() {
            return Ok(answers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_can_nothing_of_it() {
        assert!(!has_lro("lo").unwrap());
        assert!(driver("no-such-if").is_err());
        if let Some(features) = xdp_features().unwrap() {
            assert_eq!(
                features.get(&1).map(|features| features.native),
                Some(false)
            );
        }
    }

    #[test]
    fn features_are_read_from_their_bits() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = header_of_attribute(kind, value);
            bytes.extend(value);
            bytes
        };
        let mut bytes = attribute(NETDEV_A_DEV_IFINDEX, &7_u32.to_ne_bytes());
        bytes.extend(attribute(
            NETDEV_A_DEV_XDP_FEATURES,
            &(1_u64 | 1 << 5).to_ne_bytes(),
        ));
        let features = XdpFeatures {
            native: true,
            frags: true,
        };
        assert_eq!(device(&bytes), Some((7, features)));
    }
}
