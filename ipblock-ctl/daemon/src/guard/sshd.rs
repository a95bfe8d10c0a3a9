//! The ports of the local sshd: from its configuration, and from listening processes with that name
//! (`sshd -p`, socket activation).

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    peers::Connections,
    text::{Root, process_id, statements},
};

const CONFIG: &str = "/etc/ssh/sshd_config";
/// `IANA_SSH`, the default of sshd.
const DEFAULT_PORT: u16 = 22;
/// `SERVCONF_MAX_DEPTH` of OpenSSH's servconf.c.
const MAX_DEPTH: u32 = 16;

/// Returns the ports, at least one.
pub(super) fn ports(root: &Root, connections: &Connections) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    read_config(root, CONFIG, 0, &mut ports);
    ports.extend(listening(&root.path("/proc"), connections));
    if ports.is_empty() {
        ports.insert(DEFAULT_PORT);
    }
    ports
}

fn read_config(root: &Root, path: &str, depth: u32, ports: &mut BTreeSet<u16>) {
    if depth > MAX_DEPTH {
        return;
    }
    let text = root.read(path);
    for line in statements(&text) {
        let (keyword, rest) = split_keyword(line);
        match keyword.to_ascii_lowercase().as_str() {
            // The rest applies to some connections only, and cannot contain ports.
            "match" => return,
            "port" => ports.extend(words(rest).next().and_then(|port| port.parse::<u16>().ok())),
            "listenaddress" => ports.extend(words(rest).next().and_then(port_of)),
            "include" => {
                for pattern in words(rest) {
                    let pattern = if pattern.starts_with('/') {
                        pattern.to_owned()
                    } else {
                        format!("/etc/ssh/{pattern}")
                    };
                    for file in root.matching(&pattern) {
                        read_config(root, &file, depth + 1, ports);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Splits after a keyword, which ends with white space or `=`.
fn split_keyword(line: &str) -> (&str, &str) {
    let end = line.find(|c: char| c.is_whitespace() || c == '=');
    let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
    (
        keyword,
        rest.trim_start_matches(|c: char| c.is_whitespace() || c == '='),
    )
}

/// Returns the arguments up to a comment, without quotes.
fn words(rest: &str) -> impl Iterator<Item = &str> {
    rest.split_whitespace()
        .take_while(|word| !word.starts_with('#'))
        .map(|word| word.trim_matches('"'))
}

/// Returns the port of `host:port`, `1.2.3.4:port` or `[host]:port`. A plain IPv6 address has none.
fn port_of(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let is_bare_ipv6 = host.contains(':') && !host.ends_with(']');
    (!is_bare_ipv6).then(|| port.parse().ok())?
}

/// Returns ports with listening processes called sshd. Omits processes of other users, which cannot
/// be inspected without privileges.
fn listening(proc: &Path, connections: &Connections) -> BTreeSet<u16> {
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir(proc).into_iter().flatten().flatten() {
        let process = entry.path();
        if process_id(&process).is_none() {
            continue;
        }
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        if !name.starts_with("sshd") {
            continue;
        }
        for file in fs::read_dir(process.join("fd")).into_iter().flatten() {
            let target = file.and_then(|file| fs::read_link(file.path()));
            sockets.extend(target.ok().as_deref().and_then(socket_inode));
        }
    }
    let of_sshd = connections.listening.iter().filter(|(_, inodes)| {
        let mut inodes = inodes.iter();
        inodes.any(|inode| sockets.contains(inode))
    });
    of_sshd.map(|(port, _)| *port).collect()
}

/// Parses `socket:[14321]`.
fn socket_inode(link: &Path) -> Option<u64> {
    let text = link.to_str()?.strip_prefix("socket:[")?;
    text.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::symlink};

    use super::*;

    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root(directory.path().to_owned());
        for (path, text) in files {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (directory, root)
    }

    fn ports_of(files: &[(&str, &str)]) -> Vec<u16> {
        let (_directory, root) = root(files);
        let ports = ports(&root, &Connections::default());
        ports.into_iter().collect()
    }

    #[test]
    fn without_a_configuration_it_is_port_22() {
        assert_eq!(ports_of(&[]), [22]);
        assert_eq!(ports_of(&[(CONFIG, "# Port 2222\nUseDNS no\n")]), [22]);
    }

    #[test]
    fn every_way_to_write_a_port_is_understood() {
        let text = "  port 2201 # first\nPort=2202\nPORT \"2203\"\n\
                    ListenAddress 192.0.2.1:2204\nListenAddress [2001:db8::1]:2205 rdomain x\n\
                    ListenAddress 2001:db8::1\nListenAddress 192.0.2.1\nPort none\n\
                    Match User x\nPort 2299\n";
        assert_eq!(ports_of(&[(CONFIG, text)]), [2201, 2202, 2203, 2204, 2205]);
    }

    #[test]
    fn included_files_are_read_and_a_loop_ends() {
        let files = [
            (
                CONFIG,
                "Include sshd_config.d/*.conf /etc/extra\nPort 2201\n",
            ),
            ("/etc/ssh/sshd_config.d/a.conf", "Port 2202\nMatch all\n"),
            (
                "/etc/ssh/sshd_config.d/b.conf",
                "Include /etc/ssh/sshd_config.d/b.conf\nPort 2203\n",
            ),
            ("/etc/ssh/sshd_config.d/c.txt", "Port 2299\n"),
            ("/etc/extra", "Port 2204\n"),
        ];
        assert_eq!(ports_of(&files), [2201, 2202, 2203, 2204]);
    }

    #[test]
    fn where_a_process_called_sshd_listens_counts() {
        let files = [("/proc/7/comm", "sshd\n"), ("/proc/8/comm", "nginx\n")];
        let (_directory, root) = root(&files);
        for (process, inode) in [(7, 14_321), (8, 14_322)] {
            let fds = root.path(&format!("/proc/{process}/fd"));
            fs::create_dir(&fds).unwrap();
            symlink(format!("socket:[{inode}]"), fds.join("3")).unwrap();
            symlink("/dev/null", fds.join("0")).unwrap();
        }
        let connections = Connections {
            listening: BTreeMap::from([(2222, vec![14_321]), (80, vec![14_322])]),
            ..Connections::default()
        };
        assert_eq!(ports(&root, &connections), BTreeSet::from([2222]));
    }
}
