//! Who is on the other end of a connection, and whether they may.

use std::net::IpAddr;

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse as _, Response},
    serve::IncomingStream,
};
use nix::unistd::{Uid, User};
use tokio::net::UnixListener;

use super::{error::Failure, guard::Caller};
use crate::{
    api::{
        SSH_PEER_HEADER,
        error::{ApiError, ErrorKind},
    },
    store::Author,
};

/// An operator comes from one address, through a few hosts at most.
const MAX_SSH_PEERS: usize = 64;

/// The peer's user id, as the kernel vouches for it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred();
        Self {
            uid: credentials.ok().map(|credentials| credentials.uid()),
        }
    }
}

/// Lets root through and nobody else; what handlers get is the author, and the caller with where
/// they come from.
pub(super) async fn authorise(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    if peer.uid != Some(0) {
        let who = peer
            .uid
            .map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
        let error = ApiError::new(
            ErrorKind::NotPermitted,
            format!("{who} may not talk to ipblockd"),
        )
        .with_hint("run the command as root, for example with sudo");
        return Failure(error).into_response();
    }
    let ssh_peers = match ssh_peers(request.headers()) {
        Ok(peers) => peers,
        Err(error) => return Failure(error).into_response(),
    };
    let author = author(0);
    request.extensions_mut().insert(author.clone());
    request
        .extensions_mut()
        .insert(Caller { author, ssh_peers });
    next.run(request).await
}

/// The addresses that the client says its SSH session comes from.
fn ssh_peers(headers: &HeaderMap) -> Result<Vec<IpAddr>, ApiError> {
    let refused = |said: &str| {
        let message = format!("header {SSH_PEER_HEADER}: {said}");
        ApiError::new(ErrorKind::Invalid, message)
            .with_hint("write addresses separated by commas, as in 192.0.2.7,2001:db8::7")
    };
    let mut peers = Vec::new();
    for value in headers.get_all(SSH_PEER_HEADER) {
        let text = value.to_str().map_err(|_no_text| refused("no text"))?;
        for part in text.split(',') {
            let part = part.trim();
            let parsed: Result<IpAddr, _> = part.parse();
            peers.push(parsed.map_err(|error| refused(&format!("`{part}`: {error}")))?);
        }
    }
    if peers.len() > MAX_SSH_PEERS {
        return Err(refused(&format!("more than {MAX_SSH_PEERS} addresses")));
    }
    Ok(peers)
}

fn author(uid: u32) -> Author {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    Author {
        uid,
        name: user.map(|user| user.name).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SSH_PEER_HEADER, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn ssh_peers_are_addresses_separated_by_commas() {
        let peers = ssh_peers(&headers(&["192.0.2.7, 2001:db8::7", "::ffff:192.0.2.8"])).unwrap();
        let texts: Vec<_> = peers.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.8"]);
        assert!(ssh_peers(&headers(&[])).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_address_is_bad_input() {
        for value in ["", "192.0.2.7,", "office", "fe80::1%eth0", "192.0.2.0/24"] {
            let error = ssh_peers(&headers(&[value])).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{value}");
            assert!(error.message.contains("ipblock-ssh-peer"), "{value}");
        }
        let many = vec!["192.0.2.7"; MAX_SSH_PEERS + 1].join(",");
        assert!(ssh_peers(&headers(&[&many])).is_err());
    }
}
