//! Disables offloads that pass several packets to the XDP hook as one.

use std::{ffi::CString, os::fd::AsRawFd as _};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use crate::Netns;

// include/uapi/linux/sockios.h and ethtool.h
const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_SGRO: u32 = 0x2c;

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

/// Disables TCP segmentation, generic segmentation and generic receive offload of a device, so that
/// the hook counts what a socket sends.
pub(crate) fn disable_offloads(netns: &Netns, interface: &str) -> anyhow::Result<()> {
    netns.enter(|| {
        for command in [ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO] {
            set(interface, EthtoolValue { command, value: 0 })
                .with_context(|| format!("ethtool command {command:#x} on {interface}"))?;
        }
        Ok(())
    })
}

/// Lets a veth device receive by NAPI, with or without an XDP program: it then accepts redirected
/// frames, and passes single packets to the stack through the same code as with a program.
pub(crate) fn enable_gro(netns: &Netns, interface: &str) -> anyhow::Result<()> {
    netns.enter(|| {
        set(
            interface,
            EthtoolValue {
                command: ETHTOOL_SGRO,
                value: 1,
            },
        )
        .with_context(|| format!("generic receive offload on {interface}"))
    })
}

/// An ioctl rather than the `ethtool` program, which a fresh machine does not have.
fn set(interface: &str, mut value: EthtoolValue) -> anyhow::Result<()> {
    let command = value.command;
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let name = CString::new(interface)?;
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = from.cast_signed();
    }
    let mut request = libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut value).cast(),
        },
    };
    // SAFETY: `request` is an ifreq whose data points to an ethtool_value, as SIOCETHTOOL with
    // these commands expects; both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        // A daemon that waits for the other end may have attached a program by now, and then a veth
        // device has no TCP segmentation to disable: veth_xdp_set in drivers/net/veth.c.
        Err(Errno::EOPNOTSUPP) if command == ETHTOOL_STSO => Ok(()),
        Err(error) => Err(error.into()),
    }
}
