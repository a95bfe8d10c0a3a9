//! Finds the source of the operator's SSH session, so that the daemon does not block it.
//!
//! sshd puts it into the environment of the session. sudo, su and similar programs remove it, so
//! the environments of all ancestors are read.

use std::{
    collections::BTreeSet, env, ffi::OsStr, net::IpAddr, os::unix::ffi::OsStrExt as _, path::Path,
};

use super::{ancestors::environments, error::CliError};

/// Overrides the result: `none`, or addresses separated by commas.
const OVERRIDE: &str = "IPBLOCK_SSH_PEER";
/// Set by sshd in session.c: each begins with "client address, client port, ...".
const VARIABLES: [&str; 2] = ["SSH_CONNECTION", "SSH_CLIENT"];

/// Returns the addresses of this process's operator, without duplicates.
pub(crate) fn ssh_peers() -> Result<Vec<IpAddr>, CliError> {
    if let Some(text) = env::var_os(OVERRIDE).filter(|text| !text.is_empty()) {
        return overridden(&text.to_string_lossy());
    }
    let mut peers = BTreeSet::new();
    for value in VARIABLES.iter().filter_map(env::var_os) {
        peers.extend(first_address(&value.to_string_lossy()));
    }
    peers.extend(peers_of_ancestors(Path::new("/proc"), std::process::id()));
    Ok(peers.into_iter().collect())
}

fn overridden(text: &str) -> Result<Vec<IpAddr>, CliError> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let addresses = text.split(',').map(|part| part.trim().parse());
    addresses
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Usage {
            message: format!("{OVERRIDE}={text}: {error}"),
            hint: format!("write {OVERRIDE}=192.0.2.7, or {OVERRIDE}=none for nobody"),
        })
}

/// Returns the address at the start of a variable of sshd. Its scope is only relevant to the host.
fn first_address(value: &str) -> Option<IpAddr> {
    let address = value.split_whitespace().next()?;
    let address: IpAddr = address.split('%').next()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Returns the peers in the environments of the ancestors, up to but without process 1. Ignores
/// those that cannot be read.
fn peers_of_ancestors(proc: &Path, process: u32) -> BTreeSet<IpAddr> {
    environments(proc, process)
        .flat_map(|environment| peers_in(&environment).collect::<Vec<_>>())
        .collect()
}

/// Returns the peers in an environment from /proc: `NAME=VALUE`, each followed by a zero byte.
fn peers_in(environment: &[u8]) -> impl Iterator<Item = IpAddr> + '_ {
    let variables = environment.split(|byte| *byte == 0);
    variables.filter_map(|variable| {
        let text = OsStr::from_bytes(variable).to_str()?;
        let (name, value) = text.split_once('=')?;
        VARIABLES.contains(&name).then(|| first_address(value))?
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ipblock_policy::Hinted;

    use super::*;

    fn texts(peers: impl IntoIterator<Item = IpAddr>) -> Vec<String> {
        peers.into_iter().map(|peer| peer.to_string()).collect()
    }

    /// Creates a /proc with these processes: id, parent, environment.
    fn proc(processes: &[(u32, u32, Option<&str>)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (id, parent, environment) in processes {
            let directory = proc.path().join(id.to_string());
            fs::create_dir(&directory).unwrap();
            let status = format!("Name:\tx\nPid:\t{id}\nPPid:\t{parent}\nUid:\t0\n");
            fs::write(directory.join("status"), status).unwrap();
            if let Some(environment) = environment {
                fs::write(directory.join("environ"), environment).unwrap();
            }
        }
        proc
    }

    #[test]
    fn the_first_word_of_a_variable_is_the_address() {
        for (value, address) in [
            ("192.0.2.7 50000 192.0.2.1 22", "192.0.2.7"),
            ("2001:db8::7 50000 22", "2001:db8::7"),
            ("fe80::7%eth0 50000 22", "fe80::7"),
            ("::ffff:192.0.2.7 50000 22", "192.0.2.7"),
        ] {
            assert_eq!(texts(first_address(value)), [address], "{value}");
        }
        for value in ["", " ", "UNKNOWN 50000 22"] {
            assert_eq!(first_address(value), None, "{value}");
        }
    }

    #[test]
    fn every_ancestor_is_asked_but_process_1_and_unreadable_ones() {
        let proc = proc(&[
            (40, 30, Some("SSH_CONNECTION=198.51.100.40 1 2 3\0")),
            (30, 20, Some("TERM=xterm\0")),
            (20, 10, None),
            (
                10,
                5,
                Some("A=b\0SSH_CONNECTION=192.0.2.7 50000 192.0.2.1 22\0"),
            ),
            (
                5,
                1,
                Some("SSH_CLIENT=2001:db8::7 50000 22\0XSSH_CLIENT=192.0.2.8 1 2\0"),
            ),
            (1, 0, Some("SSH_CLIENT=192.0.2.99 1 2\0")),
        ]);
        // The process itself reads its own environment.
        let peers = peers_of_ancestors(proc.path(), 40);
        assert_eq!(texts(peers), ["192.0.2.7", "2001:db8::7"]);
    }

    #[test]
    fn a_loop_of_parents_ends_and_a_process_that_has_gone_does_too() {
        let proc = proc(&[
            (7, 8, None),
            (8, 7, Some("SSH_CLIENT=192.0.2.7 1 2\0\u{0}")),
        ]);
        assert_eq!(texts(peers_of_ancestors(proc.path(), 7)), ["192.0.2.7"]);
        assert!(peers_of_ancestors(proc.path(), 99).is_empty());
    }

    #[test]
    fn the_override_is_none_or_addresses() {
        assert_eq!(overridden("none").unwrap(), [] as [IpAddr; 0]);
        let two = overridden("192.0.2.7, 2001:db8::7").unwrap();
        assert_eq!(texts(two), ["192.0.2.7", "2001:db8::7"]);
        let error = overridden("office").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("IPBLOCK_SSH_PEER=office: "));
        assert!(error.hint().is_some_and(|hint| hint.contains("=none")));
    }
}
