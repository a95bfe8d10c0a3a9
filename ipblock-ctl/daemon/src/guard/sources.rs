//! The sources of protected addresses, in the daemon's network namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_datapath::{Interface, routes::default_gateways};
use ipblock_policy::guard::Protected;

use super::{peers::Connections, resolvers::resolvers, sshd, text::Root};

/// Why the addresses from a client are protected.
pub(super) const SSH_PEER: &str = "your SSH session comes from it";

/// Maximum age of data that no session depends on: routes, resolvers, the ports of sshd.
const RECENT: Duration = Duration::from_secs(1);

/// Collects addresses on request.
#[derive(Debug)]
pub(crate) struct Sources {
    root: Root,
    /// Ports of sshd; `None` means those of its configuration and its processes.
    ssh_ports: Option<Vec<u16>>,
    /// The last collection. Locked during a collection: other threads wait and use its result, so
    /// that many requests cost two collections.
    last: Mutex<Option<Last>>,
}

/// A collection, and what later ones may use of it.
#[derive(Debug)]
struct Last {
    began: Instant,
    /// Number of accepted connections before it.
    accepted: Option<u64>,
    seen: Arc<Survey>,
    surroundings: Surroundings,
}

/// Data that changes rarely and takes long to collect.
#[derive(Clone, Debug)]
struct Surroundings {
    found: Instant,
    /// The listeners from which the ports were derived.
    listening: BTreeMap<u16, Vec<u64>>,
    ssh_ports: BTreeSet<u16>,
    /// Gateways and resolvers.
    hosts: Protected,
}

/// The data of one moment.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Addresses that must stay reachable, without the operator's own.
    pub(super) protected: Protected,
    /// Every TCP connection.
    pub(super) connections: Connections,
}

impl Sources {
    /// Returns sources whose files are below this directory.
    pub(crate) fn new(root: impl Into<PathBuf>, ssh_ports: Option<Vec<u16>>) -> Self {
        Self {
            root: Root(root.into()),
            ssh_ports,
            last: Mutex::new(None),
        }
    }

    /// Returns everything in its present state.
    pub(super) fn look(&self) -> Result<Arc<Survey>, ApiError> {
        self.look_with(Duration::ZERO)
    }

    /// Returns the present connections, and other data that is up to a second old: there may be a
    /// million routes. The tables of connections are read only if a connection was accepted since
    /// the last collection, because that takes milliseconds and would slow a storm of bans.
    pub(super) fn look_quickly(&self) -> Result<Arc<Survey>, ApiError> {
        self.look_with(RECENT)
    }

    /// Returns a collection that started after this call, with surroundings of at most this age.
    fn look_with(&self, age: Duration) -> Result<Arc<Survey>, ApiError> {
        let asked = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = asked.checked_sub(age).unwrap_or(asked);
        let usable = last.as_ref().map(|last| &last.surroundings);
        let usable = usable.filter(|known| known.found >= oldest).cloned();
        let accepted = accepted(&self.root.path("/proc/self/net/snmp"));
        let is_new = |last: &&Last| {
            let nobody_came = accepted.is_some() && last.accepted == accepted;
            last.began >= asked || (nobody_came && !age.is_zero())
        };
        if let Some(last) = last.as_ref().filter(is_new)
            && usable.is_some()
        {
            return Ok(Arc::clone(&last.seen));
        }
        let began = Instant::now();
        let connections = self.connections()?;
        let surroundings = match usable {
            Some(known) if known.listening == connections.listening => known,
            _ => self.surroundings(began, &connections)?,
        };
        let seen = Arc::new(Survey::of(&surroundings, connections));
        *last = Some(Last {
            began,
            accepted,
            seen: Arc::clone(&seen),
            surroundings,
        });
        Ok(seen)
    }

    fn connections(&self) -> Result<Connections, ApiError> {
        Connections::read(&self.root.path("/proc"))
            .map_err(|error| blind("TCP connections", &error))
    }

    fn surroundings(
        &self,
        found: Instant,
        connections: &Connections,
    ) -> Result<Surroundings, ApiError> {
        let mut surroundings = self.of_files(found, connections);
        let cannot = |error| blind("routes", &error);
        let interfaces = Interface::list().map_err(cannot)?;
        for gateway in default_gateways().map_err(cannot)? {
            let interface = interfaces
                .iter()
                .find(|interface| gateway.interface == Some(interface.index));
            let why = match interface {
                Some(interface) => format!("default gateway of {}", interface.name),
                None => "default gateway".to_owned(),
            };
            surroundings.hosts.add(gateway.address, why);
        }
        Ok(surroundings)
    }

    /// Returns everything except the data from netlink.
    fn of_files(&self, found: Instant, connections: &Connections) -> Surroundings {
        let mut hosts = Protected::default();
        for (resolver, file) in resolvers(&self.root) {
            hosts.add(resolver, format!("name server in {file}"));
        }
        Surroundings {
            found,
            listening: connections.listening.clone(),
            ssh_ports: match &self.ssh_ports {
                Some(ports) => ports.iter().copied().collect(),
                None => sshd::ports(&self.root, connections),
            },
            hosts,
        }
    }
}

impl Survey {
    fn of(surroundings: &Surroundings, connections: Connections) -> Self {
        let mut protected = surroundings.hosts.clone();
        for (peer, port) in connections.peers_of(&surroundings.ssh_ports) {
            protected.add(peer, format!("connected to sshd on port {port}"));
        }
        Self {
            protected,
            connections,
        }
    }
}

/// Returns the number of TCP connections that this network namespace has ever accepted
/// (`TCP_MIB_PASSIVEOPENS`, counted in `tcp_create_openreq_child` before the socket can be found).
fn accepted(snmp: &Path) -> Option<u64> {
    let text = fs::read_to_string(snmp).ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let mut names = lines.next()?.split_ascii_whitespace();
    let place = names.position(|name| name == "PassiveOpens")?;
    let mut values = lines.next()?.split_ascii_whitespace();
    values.nth(place)?.parse().ok()
}

fn blind(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    let message = format!("cannot see whom it would cut off: {what}: {error}");
    ApiError::new(ErrorKind::Failed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   1: 010200C0:0016 070200C0:C001 01 00000000:00000000 02:000A7214 00000000     0        0 15001 4
   2: 010200C0:08AE 080200C0:C002 01 00000000:00000000 02:000A7214 00000000     0        0 15002 4
";

    fn protected(ssh_ports: Option<Vec<u16>>) -> Vec<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/self/net/tcp", TCP),
            ("etc/ssh/sshd_config", "Port 2222\n"),
            (
                "etc/resolv.conf",
                "nameserver 192.0.2.53\nnameserver 127.0.0.1\n",
            ),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let sources = Sources::new(root.path(), ssh_ports);
        let connections = sources.connections().unwrap();
        let surroundings = sources.of_files(Instant::now(), &connections);
        let seen = Survey::of(&surroundings, connections);
        let addresses = seen.protected.addresses();
        addresses
            .into_iter()
            .map(|address| (address.to_string(), seen.protected.why(address)))
            .collect()
    }

    fn pair(address: &str, why: &str) -> (String, String) {
        (address.to_owned(), why.to_owned())
    }

    #[test]
    fn peers_of_sshd_and_resolvers_are_protected_and_loopback_is_not() {
        let resolver = pair("192.0.2.53", "name server in /etc/resolv.conf");
        assert_eq!(
            protected(None),
            [
                pair("192.0.2.8", "connected to sshd on port 2222"),
                resolver.clone()
            ]
        );
        assert_eq!(
            protected(Some(vec![22])),
            [
                pair("192.0.2.7", "connected to sshd on port 22"),
                resolver.clone()
            ]
        );
        assert_eq!(protected(Some(Vec::new())), [resolver]);
    }

    #[test]
    fn a_session_is_seen_as_soon_as_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        let tcp = root.path().join("proc/self/net/tcp");
        fs::create_dir_all(tcp.parent().unwrap()).unwrap();
        fs::write(&tcp, "").unwrap();
        let sources = Sources::new(root.path(), Some(vec![22]));
        let peer = "192.0.2.7".parse().unwrap();
        for look in [Sources::look, Sources::look_quickly] {
            fs::write(&tcp, "").unwrap();
            assert_eq!(look(&sources).unwrap().protected.why(peer), "");
            fs::write(&tcp, TCP).unwrap();
            let why = look(&sources).unwrap().protected.why(peer);
            assert_eq!(why, "connected to sshd on port 22");
        }
    }

    #[test]
    fn a_quick_look_reads_the_tables_when_a_connection_was_accepted() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join("proc/self/net").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let accepted = |count: u32| {
            let names = "Tcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens AttemptFails";
            format!("Udp: InDatagrams\nUdp: 7\n{names}\nTcp: 1 -1 5 {count} 9\n")
        };
        write("snmp", &accepted(3));
        write("tcp", "");
        let sources = Sources::new(root.path(), Some(vec![22]));
        let first = sources.look_quickly().unwrap();
        assert!(Arc::ptr_eq(&first, &sources.look_quickly().unwrap()));
        assert!(!Arc::ptr_eq(&first, &sources.look().unwrap()));
        write("tcp", TCP);
        write("snmp", &accepted(4));
        let seen = sources.look_quickly().unwrap();
        let why = seen.protected.why("192.0.2.7".parse().unwrap());
        assert_eq!(why, "connected to sshd on port 22");
    }

    #[test]
    fn the_kernel_says_how_many_connections_were_accepted() {
        let count = || accepted(Path::new("/proc/self/net/snmp")).unwrap();
        let before = count();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap();
        assert!(count() > before);
    }

    #[test]
    fn routes_and_resolvers_are_used_again_by_quick_looks_alone() {
        let root = tempfile::tempdir().unwrap();
        let resolv_conf = root.path().join("etc/resolv.conf");
        fs::create_dir_all(resolv_conf.parent().unwrap()).unwrap();
        fs::write(&resolv_conf, "nameserver 192.0.2.53\n").unwrap();
        let sources = Sources::new(root.path(), Some(Vec::new()));
        let knows =
            |seen: &Survey, last: u8| !seen.protected.why([192, 0, 2, last].into()).is_empty();
        assert!(knows(&sources.look().unwrap(), 53));
        fs::write(&resolv_conf, "nameserver 192.0.2.54\n").unwrap();
        assert!(knows(&sources.look_quickly().unwrap(), 53));
        assert!(knows(&sources.look().unwrap(), 54));
    }

    #[test]
    fn the_ports_of_sshd_are_found_anew_when_something_listens_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/net/tcp", TCP);
        let sources = Sources::new(root.path(), None);
        let peer = "192.0.2.8".parse().unwrap();
        let why = || sources.look_quickly().unwrap().protected.why(peer);
        assert_eq!(why(), "");
        let listens = "0: 00000000:08AE 00000000:0000 0A 0:0 00:0 0 0 0 16001 1\n";
        write("proc/self/net/tcp", &format!("{TCP}{listens}"));
        write("etc/ssh/sshd_config", "Port 2222\n");
        assert_eq!(why(), "connected to sshd on port 2222");
    }
}
