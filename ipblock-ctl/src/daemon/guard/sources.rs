//! Where protected addresses come from: all of it as seen from the daemon's network namespace.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{peers::Connections, resolvers::resolvers, sshd, text::Root};
use crate::{
    api::error::{ApiError, ErrorKind},
    datapath::{Interface, routes::default_gateways},
    policy::guard::Protected,
};

/// Why the addresses that a client tells are protected.
pub(super) const SSH_PEER: &str = "your SSH session comes from it";

/// How old a look may be for what is asked many times a second.
const RECENT: Duration = Duration::from_secs(1);

/// Looks around when asked.
#[derive(Debug)]
pub(in crate::daemon) struct Sources {
    root: Root,
    /// Ports of sshd; `None`: those that its configuration and its processes tell.
    ssh_ports: Option<Vec<u16>>,
    recent: Mutex<Option<(Instant, Arc<Seen>)>>,
}

/// What was seen at one moment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Addresses that must not be cut off; the operator's own are not among them.
    pub(super) protected: Protected,
    /// Every TCP connection.
    pub(super) connections: Connections,
}

impl Sources {
    /// Files are looked for under this directory.
    pub(in crate::daemon) fn new(root: impl Into<PathBuf>, ssh_ports: Option<Vec<u16>>) -> Self {
        Self {
            root: Root(root.into()),
            ssh_ports,
            recent: Mutex::new(None),
        }
    }

    /// Looks now.
    pub(super) fn look(&self) -> Result<Arc<Seen>, ApiError> {
        let seen = Arc::new(self.read()?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Some((Instant::now(), Arc::clone(&seen)));
        Ok(seen)
    }

    /// What was seen a moment ago, or now. One looks, and whoever asks meanwhile waits for that: a
    /// busy host has long tables.
    pub(super) fn look_recently(&self) -> Result<Arc<Seen>, ApiError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, seen)) = recent.as_ref()
            && at.elapsed() < RECENT
        {
            return Ok(Arc::clone(seen));
        }
        let seen = Arc::new(self.read()?);
        *recent = Some((Instant::now(), Arc::clone(&seen)));
        Ok(seen)
    }

    fn read(&self) -> Result<Seen, ApiError> {
        let mut seen = self.read_files()?;
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
            seen.protected.add(gateway.address, why);
        }
        Ok(seen)
    }

    /// All but what netlink tells.
    fn read_files(&self) -> Result<Seen, ApiError> {
        let connections = Connections::read(&self.root.path("/proc"))
            .map_err(|error| blind("TCP connections", &error))?;
        let mut protected = Protected::default();
        let ports = match &self.ssh_ports {
            Some(ports) => ports.iter().copied().collect(),
            None => sshd::ports(&self.root, &connections),
        };
        for (peer, port) in connections.peers_of(&ports) {
            protected.add(peer, format!("connected to sshd on port {port}"));
        }
        for (resolver, file) in resolvers(&self.root) {
            protected.add(resolver, format!("name server in {file}"));
        }
        Ok(Seen {
            protected,
            connections,
        })
    }
}

fn blind(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    let message = format!("cannot see whom it would cut off: {what}: {error}");
    ApiError::new(ErrorKind::Failed, message)
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        let seen = Sources::new(root.path(), ssh_ports).read_files().unwrap();
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
    fn a_recent_look_is_used_again_where_that_is_enough() {
        let sources = Sources::new("/", None);
        let first = sources.look_recently().unwrap();
        let second = sources.look_recently().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let third = sources.look().unwrap();
        assert!(!Arc::ptr_eq(&first, &third));
    }

    #[test]
    fn many_who_ask_at_once_have_one_look_around() {
        let sources = Sources::new("/", None);
        let seen: Vec<_> = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| sources.look_recently().unwrap()))
                .collect();
            let askers = askers.into_iter();
            askers.map(|asker| asker.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|one| Arc::ptr_eq(one, &seen[0])));
    }
}
