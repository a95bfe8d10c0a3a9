//! Two namespaces with a veth pair: the protected host, and the peer that sends to it.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use crate::{FrameReceiver, FrameSender, Netns, Privileged, offload, packet::Mac};

/// How to join two namespaces.
#[derive(Clone, Copy, Debug)]
pub struct VethOptions {
    /// Number of the pair; pairs of one test need different numbers. It determines the interface
    /// name (`host0`, `peer0`), the addresses (192.0.2.1 and .2, then .17 and .18, ...;
    /// `2001:db8:0:N::1` and `::2`) and the MAC addresses. At most 15.
    pub number: u8,
    /// MTU of both ends, in bytes.
    pub mtu: u16,
    /// Leaves ARP and neighbour discovery on. Otherwise neighbours are static and the interfaces
    /// send nothing by themselves.
    pub live_neighbours: bool,
    /// Another name for the host's interface.
    pub host_interface: Option<&'static str>,
}

impl Default for VethOptions {
    fn default() -> Self {
        Self {
            number: 0,
            mtu: 1500,
            live_neighbours: false,
            host_interface: None,
        }
    }
}

/// One end of a [`VethPair`].
#[derive(Debug)]
pub struct End {
    /// The namespace that it is in.
    pub netns: Arc<Netns>,
    /// Its interface.
    pub interface: String,
    /// MAC address of the interface.
    pub mac: Mac,
    /// IPv4 address, in a /28.
    pub ipv4: Ipv4Addr,
    /// IPv6 address, in a /64.
    pub ipv6: Ipv6Addr,
}

/// Two namespaces with a veth pair. The interfaces are removed with their namespaces.
#[derive(Debug)]
pub struct VethPair {
    /// The side with the filter.
    pub host: End,
    /// The side that sends traffic.
    pub peer: End,
}

impl VethPair {
    /// Two fresh namespaces, joined.
    pub fn new(root: Privileged, options: VethOptions) -> anyhow::Result<Self> {
        let host = Arc::new(Netns::new(root)?);
        let peer = Arc::new(Netns::new(root)?);
        Self::between(host, peer, options)
    }

    /// Joins two namespaces, which may be joined by other pairs already.
    pub fn between(
        host: Arc<Netns>,
        peer: Arc<Netns>,
        options: VethOptions,
    ) -> anyhow::Result<Self> {
        let mut pair = Self {
            host: End::new("host", 1, host, options.number),
            peer: End::new("peer", 2, peer, options.number),
        };
        if let Some(name) = options.host_interface {
            name.clone_into(&mut pair.host.interface);
        }
        pair.add_interfaces()?;
        pair.host.configure(&pair.peer, options)?;
        pair.peer.configure(&pair.host, options)?;
        Ok(pair)
    }

    /// Sends whole frames from the peer towards the host.
    pub fn sender(&self) -> anyhow::Result<FrameSender> {
        FrameSender::new(&self.peer.netns, &self.peer.interface)
    }

    /// Returns a receiver for what the host's stack gets, after XDP.
    pub fn receiver(&self) -> anyhow::Result<FrameReceiver> {
        FrameReceiver::new(&self.host.netns, &self.host.interface)
    }

    fn add_interfaces(&self) -> anyhow::Result<()> {
        let (host, peer) = (&self.host, &self.peer);
        let (host_mac, peer_mac) = (host.mac.to_string(), peer.mac.to_string());
        host.netns.run([
            "ip",
            "link",
            "add",
            &host.interface,
            "address",
            &host_mac,
            "type",
            "veth",
            "peer",
            "name",
            &peer.interface,
            "address",
            &peer_mac,
            "netns",
            peer.netns.name(),
        ])?;
        Ok(())
    }
}

impl End {
    fn new(side: &str, last: u8, netns: Arc<Netns>, number: u8) -> Self {
        assert!(number < 16, "pair {number}: 192.0.2.0/24 has 16 parts");
        Self {
            netns,
            interface: format!("{side}{number}"),
            mac: Mac([0x02, 0, 0, 0, number, last]),
            ipv4: Ipv4Addr::new(192, 0, 2, number * 16 + last),
            ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0, number.into(), 0, 0, 0, last.into()),
        }
    }

    /// Receives by NAPI from now on, as with an XDP program: frames that are redirected to it arrive.
    pub fn enable_gro(&self) -> anyhow::Result<()> {
        offload::enable_gro(&self.netns, &self.interface)
    }

    fn configure(&self, other: &Self, options: VethOptions) -> anyhow::Result<()> {
        let name = self.interface.as_str();
        let ip = |argv: &[&str]| self.netns.run(["ip"].iter().chain(argv));
        offload::disable_offloads(&self.netns, name)?;
        // Without ARP the kernel also joins no solicited-node group, so it reports none by MLD.
        let arp = if options.live_neighbours { "on" } else { "off" };
        ip(&[
            "link",
            "set",
            name,
            "mtu",
            &options.mtu.to_string(),
            "arp",
            arp,
        ])?;
        ip(&["addr", "add", &format!("{}/28", self.ipv4), "dev", name])?;
        ip(&[
            "addr",
            "add",
            &format!("{}/64", self.ipv6),
            "dev",
            name,
            "nodad",
        ])?;
        ip(&["link", "set", name, "up"])?;
        if !options.live_neighbours {
            let mac = other.mac.to_string();
            for address in [other.ipv4.to_string(), other.ipv6.to_string()] {
                ip(&[
                    "neigh",
                    "replace",
                    &address,
                    "lladdr",
                    &mac,
                    "dev",
                    name,
                    "nud",
                    "permanent",
                ])?;
            }
        }
        Ok(())
    }
}
