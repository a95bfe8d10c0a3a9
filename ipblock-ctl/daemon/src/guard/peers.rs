//! Peers of TCP connections, from /proc/net/tcp and tcp6.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use ipblock_policy::text::counted;

/// `TCP_ESTABLISHED` and `TCP_LISTEN` of `include/net/tcp_states.h`.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// Maximum of peers, and of ports per peer, in a diff.
const NAMED: usize = 20;
const NAMED_PORTS: usize = 5;

/// The content of the tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Connections {
    /// Local ports with a listener, with the inodes of the sockets.
    pub(super) listening: BTreeMap<u16, Vec<u64>>,
    /// Number of established connections by peer, local and remote port, without those within the
    /// host.
    pub(super) established: BTreeMap<(IpAddr, u16, u16), u64>,
}

/// One line of a table.
struct Line {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: String,
    inode: u64,
}

impl Connections {
    /// Reads the tables of this process's network namespace. A kernel without IPv6 has no tcp6.
    pub(super) fn read(proc: &Path) -> io::Result<Self> {
        let mut connections = Self::default();
        for table in ["self/net/tcp", "self/net/tcp6"] {
            match File::open(proc.join(table)) {
                Ok(file) => connections.add(BufReader::new(file))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(connections)
    }

    /// Reads line by line: a busy host has hundreds of thousands.
    fn add(&mut self, table: impl io::BufRead) -> io::Result<()> {
        for line in table.lines() {
            let Some(line) = parse_line(&line?) else {
                continue;
            };
            match line.state.as_str() {
                LISTEN => self
                    .listening
                    .entry(line.local.1)
                    .or_default()
                    .push(line.inode),
                ESTABLISHED if !line.remote.0.is_loopback() && line.remote.0 != line.local.0 => {
                    let key = (line.remote.0, line.local.1, line.remote.1);
                    *self.established.entry(key).or_default() += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the peers of connections to these local ports, each with the port.
    pub(super) fn peers_of(&self, ports: &BTreeSet<u16>) -> BTreeSet<(IpAddr, u16)> {
        let keys = self.established.keys();
        keys.filter(|(_, local, _)| ports.contains(local))
            .map(|(peer, local, _)| (*peer, *local))
            .collect()
    }

    /// Returns every peer, sorted.
    pub(super) fn peers(&self) -> Vec<IpAddr> {
        let mut peers: Vec<_> = self.established.keys().map(|(peer, ..)| *peer).collect();
        peers.dedup();
        peers
    }

    /// Returns the peers in `cut` with their connections, for a diff: some, and the number of the
    /// others.
    pub(super) fn describe(&self, cut: &BTreeSet<IpAddr>) -> Vec<String> {
        let mut by_peer: BTreeMap<IpAddr, BTreeMap<String, u64>> = BTreeMap::new();
        for ((peer, local, remote), count) in &self.established {
            if cut.contains(peer) {
                // The listener is the server, and the other port has no meaning.
                let service = if self.listening.contains_key(local) {
                    format!("port {local}")
                } else {
                    format!("its port {remote}")
                };
                *by_peer
                    .entry(*peer)
                    .or_default()
                    .entry(service)
                    .or_default() += count;
            }
        }
        let more = by_peer.len().saturating_sub(NAMED);
        let mut texts: Vec<_> = by_peer
            .iter()
            .take(NAMED)
            .map(|(peer, services)| {
                let named = services.iter().take(NAMED_PORTS);
                let mut parts: Vec<_> = named
                    .map(|(service, count)| {
                        let connections = counted(count, "connection", "connections");
                        format!("{service}: {connections}")
                    })
                    .collect();
                if services.len() > NAMED_PORTS {
                    let more = services.len() - NAMED_PORTS;
                    parts.push(counted(more, "more port", "more ports"));
                }
                format!("{peer} ({})", parts.join(", "))
            })
            .collect();
        if more > 0 {
            texts.push(format!("and {}", counted(more, "more peer", "more peers")));
        }
        texts
    }
}

/// Parses the fields of `get_tcp4_sock` in `net/ipv4/tcp_ipv4.c`: number, local, remote, state,
/// queues, timer, retransmits, uid, timeout, inode.
fn parse_line(line: &str) -> Option<Line> {
    let mut fields = line.split_ascii_whitespace();
    let local = endpoint(fields.nth(1)?)?;
    let remote = endpoint(fields.next()?)?;
    let state = fields.next()?.to_owned();
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Line {
        local,
        remote,
        state,
        inode,
    })
}

/// Parses `0100007F:0016`: words of the address in host byte order, as hexadecimal numbers.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of little-endian machines, the only ones that ipblock supports.
    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14321 1 0 100 0 0 10 0
   1: 010200C0:0016 070200C0:C001 01 00000000:00000000 02:000A7214 00000000     0        0 15001 4 0 20 4 29 10 -1
   2: 010200C0:0016 070200C0:C002 01 00000000:00000000 02:000A7214 00000000     0        0 15002 4 0 20 4 29 10 -1
   3: 010200C0:0016 080200C0:C003 06 00000000:00000000 03:00000214 00000000     0        0 0 3 0
   4: 0100007F:0016 0100007F:C004 01 00000000:00000000 00:00000000 00000000     0        0 15003 1 0 20 4 0 10 -1
   5: 010200C0:9C40 096433C6:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 15004 1 0 20 4 0 10 -1
   6: 010200C0:0016 010200C0:C005 01 00000000:00000000 00:00000000 00000000     0        0 15005 1 0 20 4 0 10 -1
 garbage
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14322 1 0 100 0 0 10 0
   1: B80D0120000000000000000001000000:0050 B80D0120000000000000000007000000:C006 01 00000000:00000000 00:00000000 00000000     0        0 15006 1 0 20 4 0 10 -1
   2: 0000000000000000FFFF0000010200C0:0050 0000000000000000FFFF00000A0200C0:C007 01 00000000:00000000 00:00000000 00000000     0        0 15007 1 0 20 4 0 10 -1
";

    fn connections() -> Connections {
        let mut connections = Connections::default();
        connections.add(TCP.as_bytes()).unwrap();
        connections.add(TCP6.as_bytes()).unwrap();
        connections
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_established_connections_with_other_hosts_have_peers() {
        let peers = ["192.0.2.7", "192.0.2.10", "198.51.100.9", "2001:db8::7"].map(ip);
        assert_eq!(connections().peers(), peers);
    }

    #[test]
    fn the_peers_of_a_port_are_those_that_came_to_it() {
        let ssh = connections().peers_of(&BTreeSet::from([22]));
        assert_eq!(ssh, BTreeSet::from([(ip("192.0.2.7"), 22)]));
        // A mapped address is the IPv4 address.
        let web = connections().peers_of(&BTreeSet::from([80]));
        assert_eq!(
            web,
            BTreeSet::from([(ip("192.0.2.10"), 80), (ip("2001:db8::7"), 80)])
        );
    }

    #[test]
    fn listening_sockets_are_told_with_their_inodes() {
        let listening = connections().listening;
        assert_eq!(
            listening,
            BTreeMap::from([(22, vec![14_321]), (80, vec![14_322])])
        );
    }

    #[test]
    fn a_peer_is_described_by_the_ports_that_it_uses() {
        let connections = connections();
        assert_eq!(
            connections.describe(&connections.peers().into_iter().collect()),
            [
                "192.0.2.7 (port 22: 2 connections)",
                "192.0.2.10 (port 80: 1 connection)",
                "198.51.100.9 (its port 443: 1 connection)",
                "2001:db8::7 (port 80: 1 connection)",
            ]
        );
        assert!(connections.describe(&BTreeSet::new()).is_empty());
    }

    #[test]
    fn many_peers_are_described_in_bounded_length() {
        let mut connections = Connections::default();
        for last in 0..100_u8 {
            let peer = IpAddr::from([192, 0, 2, last]);
            for remote in 0..10 {
                connections.established.insert((peer, 40_000, remote), 1);
            }
        }
        let texts = connections.describe(&connections.peers().into_iter().collect());
        assert_eq!(texts.len(), NAMED + 1);
        assert_eq!(texts[NAMED], "and 80 more peers");
        assert!(texts[0].ends_with(", 5 more ports)"), "{}", texts[0]);
    }

    #[test]
    fn this_host_has_tables() {
        assert!(Connections::read(Path::new("/proc")).is_ok());
        let nowhere = Connections::read(Path::new("/nonexistent")).unwrap();
        assert_eq!(nowhere, Connections::default());
    }
}
