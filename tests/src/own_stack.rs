//! What a namespace's own IP stack accepts, observed through its sockets and counters.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    sys::socket::{SockaddrLike as _, SockaddrStorage, recvfrom},
};

use crate::{
    DEADLINE, End, FrameSender,
    packet::{Frame, Ipv4, Payload, marker_in},
    patience,
};

/// Destination of UDP packets that a socket should see.
pub const UDP_PORT: u16 = 53;
/// Port with a TCP listener.
pub const TCP_PORT: u16 = 22;

/// Source of a packet after which all earlier packets have been handled. A filter must pass it.
const SENTINEL: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);

/// Protocols with a raw socket: ICMP, IPv4, TCP, UDP, IPv6, GRE, ESP, `ICMPv6`, and one for tests.
const RAW: [u8; 9] = [1, 4, 6, 17, 41, 47, 50, 58, 253];

/// Counters of packets with a valid IP header, in `/proc/net/snmp` and `/proc/net/snmp6`.
const COUNTERS: [&str; 8] = [
    "InDelivers",
    "InUnknownProtos",
    "ReasmReqds",
    "ForwDatagrams",
    "Ip6InDelivers",
    "Ip6InUnknownProtos",
    "Ip6ReasmReqds",
    "Ip6OutForwDatagrams",
];

/// A TCP connection that waits for the last message of its handshake (`include/net/tcp_states.h`).
const SYN_RECEIVED: &str = "03";

/// Listens on the host's end of a veth pair in every way that a program could.
#[derive(Debug)]
pub struct OwnStack<'a> {
    host: &'a End,
    udp: [UdpSocket; 2],
    raw: Vec<(u8, OwnedFd)>,
    sentinels: u64,
    counts: [u64; COUNTERS.len()],
    half_open: BTreeSet<String>,
    /// `/proc/net` of the namespace: `snmp`, `snmp6`, `tcp`, `tcp6`. An open file stays in its
    /// namespace.
    tables: [File; 4],
    // Connections are half open as long as these listen.
    _tcp: [TcpListener; 2],
}

/// What the stack has accepted, as evidence for people; nothing is reported twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted(BTreeSet<String>);

impl Accepted {
    /// Whether it has accepted nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, evidence: impl Into<String>) {
        self.0.insert(evidence.into());
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("nothing");
        }
        let evidence: Vec<&str> = self.0.iter().map(String::as_str).collect();
        f.write_str(&evidence.join(", "))
    }
}

impl<'a> OwnStack<'a> {
    /// Starts to listen in the namespace of this end. Accepts sources without a route, so that only
    /// the packet itself can be the reason of a rejection; forwards both families.
    pub fn listen(host: &'a End) -> anyhow::Result<Self> {
        let addresses: [IpAddr; 2] = [host.ipv4.into(), host.ipv6.into()];
        let (udp, tcp, raw, tables) = host.netns.enter(|| {
            let mut settings = vec![
                "net/ipv4/ip_forward=1".to_owned(),
                "net/ipv6/conf/all/forwarding=1".to_owned(),
                // Neither error messages nor answers to them are held back.
                "net/ipv4/icmp_ratelimit=0".to_owned(),
            ];
            for name in ["all", "default", &host.interface] {
                settings.push(format!("net/ipv4/conf/{name}/rp_filter=0"));
            }
            for setting in settings {
                let (name, value) = setting.split_once('=').context("a setting")?;
                let path = format!("/proc/sys/{name}");
                fs::write(&path, value).with_context(|| format!("{path} = {value}"))?;
            }
            let udp = |address| UdpSocket::bind((address, UDP_PORT));
            let tcp = |address| TcpListener::bind((address, TCP_PORT));
            let [v4, v6] = addresses;
            let mut raw = Vec::new();
            for protocol in RAW {
                raw.push((protocol, raw_socket(libc::AF_INET, protocol)?));
                raw.push((protocol, raw_socket(libc::AF_INET6, protocol)?));
            }
            let [snmp, snmp6, tcp4, tcp6] = ["snmp", "snmp6", "tcp", "tcp6"].map(|name| {
                let path = format!("/proc/thread-self/net/{name}");
                File::open(&path).with_context(|| path)
            });
            let tables = [snmp?, snmp6?, tcp4?, tcp6?];
            anyhow::Ok(([udp(v4)?, udp(v6)?], [tcp(v4)?, tcp(v6)?], raw, tables))
        })?;
        for socket in &udp {
            socket.set_nonblocking(true)?;
        }
        let mut stack = Self {
            host,
            udp,
            raw,
            sentinels: 0,
            counts: [0; COUNTERS.len()],
            half_open: BTreeSet::new(),
            tables,
            _tcp: tcp,
        };
        stack.counts = stack.read_counters()?;
        Ok(stack)
    }

    /// Returns what it has accepted since the last call. Sends one packet with its own source after
    /// all others and waits for it, so `sender` must have sent the others, from the same CPU.
    pub fn accepted(&mut self, sender: &FrameSender) -> anyhow::Result<Accepted> {
        let mut accepted = Accepted::default();
        self.sentinels += 1;
        let payload = Payload::udp(UDP_PORT, UDP_PORT).marked(self.sentinels);
        let packet = Ipv4::from_source(SENTINEL).to(self.host.ipv4).with(payload);
        sender.send(&Frame::carrying(&packet))?;
        self.wait_for_sentinel(&mut accepted)?;

        let mut buffer = vec![0; 1 << 16];
        while let Some((source, _)) = receive(&self.udp[1], &mut buffer)? {
            accepted.add(format!("UDP from {source} at a socket"));
        }
        for (protocol, socket) in &self.raw {
            while let Some((source, _)) = receive(socket, &mut buffer)? {
                if source != IpAddr::from(SENTINEL) {
                    accepted.add(format!("protocol {protocol} from {source} at a raw socket"));
                }
            }
        }
        let half_open = self.half_open_now()?;
        for connection in half_open.difference(&self.half_open) {
            accepted.add(format!("a TCP handshake with {connection}"));
        }
        self.half_open = half_open;

        let mut counts = self.read_counters()?;
        // The sentinel is delivered too.
        self.counts[0] += 1;
        std::mem::swap(&mut counts, &mut self.counts);
        for ((name, before), now) in COUNTERS.iter().zip(counts).zip(self.counts) {
            if now != before {
                accepted.add(format!("{name} +{}", now.wrapping_sub(before)));
            }
        }
        Ok(accepted)
    }

    fn wait_for_sentinel(&self, accepted: &mut Accepted) -> anyhow::Result<()> {
        let end = std::time::Instant::now() + DEADLINE * patience();
        let mut buffer = vec![0; 1 << 16];
        loop {
            while let Some((source, length)) = receive(&self.udp[0], &mut buffer)? {
                if source != IpAddr::from(SENTINEL) {
                    accepted.add(format!("UDP from {source} at a socket"));
                } else if marker_in(buffer.get(..length).unwrap_or_default())
                    == Some(self.sentinels)
                {
                    return Ok(());
                }
            }
            if std::time::Instant::now() > end {
                bail!("packet {} of {SENTINEL} has not arrived", self.sentinels);
            }
            std::thread::yield_now();
        }
    }

    /// Peers of connections whose handshake is not over.
    fn half_open_now(&self) -> anyhow::Result<BTreeSet<String>> {
        let [_, _, tcp4, tcp6] = self.read_tables()?;
        let mut peers = BTreeSet::new();
        for line in tcp4.lines().chain(tcp6.lines()) {
            let mut fields = line.split_whitespace().skip(2);
            if let (Some(peer), Some(SYN_RECEIVED)) = (fields.next(), fields.next()) {
                peers.insert(peer.to_owned());
            }
        }
        Ok(peers)
    }

    fn read_tables(&self) -> anyhow::Result<[String; 4]> {
        let mut texts = [const { String::new() }; 4];
        for (text, mut table) in texts.iter_mut().zip(&self.tables) {
            table.rewind()?;
            table.read_to_string(text)?;
        }
        Ok(texts)
    }

    fn read_counters(&self) -> anyhow::Result<[u64; COUNTERS.len()]> {
        let [snmp, snmp6, ..] = self.read_tables()?;
        let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let names = lines.next().context("no line of names in snmp")?;
        let values = lines.next().context("no line of values in snmp")?;
        let mut found: Vec<(&str, &str)> = names.split(' ').zip(values.split(' ')).collect();
        for line in snmp6.lines() {
            found.extend(line.split_once(char::is_whitespace));
        }
        let mut counts = [0; COUNTERS.len()];
        for (count, name) in counts.iter_mut().zip(COUNTERS) {
            let value = found.iter().find(|(found, _)| *found == name);
            let (_, value) = value.with_context(|| format!("the kernel counts no {name}"))?;
            *count = value.trim().parse().with_context(|| name)?;
        }
        Ok(counts)
    }
}

/// A socket that sees every good packet of a protocol.
fn raw_socket(family: libc::c_int, protocol: u8) -> anyhow::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes only numbers.
    let fd = unsafe { libc::socket(family, kind, protocol.into()) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        return Err(error).with_context(|| format!("raw socket of protocol {protocol}"));
    }
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next packet's source and length, if there is one.
fn receive(
    socket: &impl std::os::fd::AsFd,
    buffer: &mut [u8],
) -> anyhow::Result<Option<(IpAddr, usize)>> {
    let fd = socket.as_fd().as_raw_fd();
    match recvfrom::<SockaddrStorage>(fd, buffer) {
        Ok((length, source)) => {
            let source = source.context("a packet without a source")?;
            let v4 = source.as_sockaddr_in().map(|from| from.ip().into());
            let v6 = source.as_sockaddr_in6().map(|from| from.ip().into());
            let address = v4
                .or(v6)
                .with_context(|| format!("a packet from address family {:?}", source.family()))?;
            Ok(Some((address, length)))
        }
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(error) => Err(error).context("receive what the stack has accepted"),
    }
}
