//! Upstream resolvers: the name servers of resolv.conf or, if that contains a stub on this host,
//! the servers of the stub.

use std::net::IpAddr;

use super::text::{Root, statements};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Files of stubs with their upstreams in the form of resolv.conf: systemd-resolved,
/// `NetworkManager`, resolvconf with dnsmasq or unbound.
const UPSTREAMS: [&str; 6] = [
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/NetworkManager/resolv.conf",
    "/run/dnsmasq/resolv.conf",
    "/run/resolvconf/interface/*",
    "/run/resolvconf/interfaces/*",
];

/// Configuration of dnsmasq, its own and that from `NetworkManager`.
const DNSMASQ: [&str; 4] = [
    "/etc/dnsmasq.conf",
    "/etc/dnsmasq.d/*",
    "/run/NetworkManager/dnsmasq.d/*",
    "/etc/NetworkManager/dnsmasq.d/*",
];

/// Returns the resolvers, including loopback addresses, each with its file.
pub(super) fn resolvers(root: &Root) -> Vec<(IpAddr, String)> {
    let mut found = name_servers(root, RESOLV_CONF);
    if !found.iter().any(|(address, _)| address.is_loopback()) {
        return found;
    }
    for file in UPSTREAMS.iter().flat_map(|pattern| root.matching(pattern)) {
        found.extend(name_servers(root, &file));
    }
    for file in DNSMASQ.iter().flat_map(|pattern| root.matching(pattern)) {
        found.extend(dnsmasq_servers(root, &file));
    }
    found
}

fn name_servers(root: &Root, file: &str) -> Vec<(IpAddr, String)> {
    let text = root.read(file);
    let servers = statements(&text).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let keyword = words.next()?;
        address((keyword == "nameserver").then(|| words.next())??)
    });
    servers.map(|server| (server, file.to_owned())).collect()
}

/// Returns the addresses in `server=[/domain/]ADDRESS[#port][@interface]`, and those in files of
/// `resolv-file=`.
fn dnsmasq_servers(root: &Root, file: &str) -> Vec<(IpAddr, String)> {
    let text = root.read(file);
    let mut found = Vec::new();
    for line in statements(&text) {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "server" => {
                let server = value.rsplit('/').next().unwrap_or(value);
                let end = server.find(['#', '@', ' ']).unwrap_or(server.len());
                let server = server.get(..end).and_then(address);
                found.extend(server.map(|server| (server, file.to_owned())));
            }
            "resolv-file" => found.extend(name_servers(root, value)),
            _ => {}
        }
    }
    found
}

/// Parses an address without its scope.
fn address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let root = Root(directory.path().to_owned());
        for (path, text) in files {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = resolvers(&root).into_iter();
        found
            .filter(|(address, _)| !address.is_loopback())
            .map(|(address, file)| format!("{address} {file}"))
            .collect()
    }

    const UPSTREAM: (&str, &str) = (
        "/run/systemd/resolve/resolv.conf",
        "nameserver 192.0.2.53\nnameserver 2001:db8::53\n",
    );

    #[test]
    fn name_servers_are_read_and_nothing_else() {
        let text = "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch example.org\n\
                    nameserver\t192.0.2.53 # comment\n nameserver fe80::53%eth0\n\
                    nameserver example.org\nnameservers 192.0.2.3\nnameserver\n";
        assert_eq!(
            found(&[(RESOLV_CONF, text), UPSTREAM]),
            ["192.0.2.53 /etc/resolv.conf", "fe80::53 /etc/resolv.conf"]
        );
        assert!(found(&[]).is_empty());
    }

    #[test]
    fn behind_a_stub_of_systemd_the_upstreams_count() {
        for stub in ["127.0.0.53", "::1"] {
            let text = format!("nameserver {stub}\n");
            assert_eq!(
                found(&[(RESOLV_CONF, &text), UPSTREAM]),
                [
                    "192.0.2.53 /run/systemd/resolve/resolv.conf",
                    "2001:db8::53 /run/systemd/resolve/resolv.conf"
                ]
            );
        }
    }

    #[test]
    fn behind_a_dnsmasq_its_servers_count() {
        let files = [
            (RESOLV_CONF, "nameserver 127.0.0.1\n"),
            (
                "/etc/dnsmasq.conf",
                "no-resolv\nserver=192.0.2.53\nserver=/example.org/192.0.2.54#5353\n\
                 server=/local/\nresolv-file=/etc/upstream\n",
            ),
            ("/etc/dnsmasq.d/x", "server = 2001:db8::53@eth0\n"),
            ("/etc/upstream", "nameserver 192.0.2.55\n"),
            ("/run/resolvconf/interface/eth0", "nameserver 192.0.2.56\n"),
        ];
        assert_eq!(
            found(&files),
            [
                "192.0.2.56 /run/resolvconf/interface/eth0",
                "192.0.2.53 /etc/dnsmasq.conf",
                "192.0.2.54 /etc/dnsmasq.conf",
                "192.0.2.55 /etc/upstream",
                "2001:db8::53 /etc/dnsmasq.d/x",
            ]
        );
    }
}
