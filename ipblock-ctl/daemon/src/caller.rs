//! The author of a change and their SSH peers: a principal with data of its request.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipblock_api::{
    SSH_PEER_HEADER, SUDO_USER_HEADER,
    error::{ApiError, ErrorKind},
};
use ipblock_store::Author;

use super::principal::Principal;

/// Maximum of SSH peers: an operator comes from one address, through a few hosts at most.
const MAX_SSH_PEERS: usize = 64;

/// Maximum length of a user's name in bytes: `LOGIN_NAME_MAX` of the C library.
const MAX_NAME: usize = 256;

/// The author of a change and their SSH peers.
#[derive(Clone, Debug)]
pub struct Caller {
    /// For the revision and the audit trail.
    pub author: Author,
    /// The source addresses of the operator's SSH session, as the client reports them.
    pub ssh_peers: Vec<IpAddr>,
}

impl Caller {
    /// Returns the caller of a request with these headers.
    pub(super) async fn of(principal: &Principal, headers: &HeaderMap) -> Result<Self, ApiError> {
        let ssh_peers = ssh_peers(headers)?;
        Ok(Self {
            author: principal.author(sudo_user(headers)?).await,
            ssh_peers,
        })
    }
}

/// Returns the user who called sudo, as the client reports it.
fn sudo_user(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(SUDO_USER_HEADER) else {
        return Ok(None);
    };
    // `to_str` takes visible ASCII only.
    match value.to_str() {
        Ok(name) if !name.is_empty() && name.len() <= MAX_NAME => Ok(Some(name)),
        _ => {
            let message = format!("header {SUDO_USER_HEADER}: not the name of a user");
            let hint = format!("write 1 to {MAX_NAME} ASCII characters, or leave the header out");
            Err(ApiError::new(ErrorKind::Invalid, message).with_hint(hint))
        }
    }
}

/// Returns the source addresses of the SSH session that the client reports.
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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
    fn the_user_of_sudo_is_a_short_visible_name() {
        let of = |name: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.append(SUDO_USER_HEADER, HeaderValue::from_bytes(name).unwrap());
            sudo_user(&headers).map(|name| name.map(str::to_owned))
        };
        assert_eq!(of(b"ada").unwrap().as_deref(), Some("ada"));
        assert_eq!(sudo_user(&HeaderMap::new()).unwrap(), None);
        for name in [&b""[..], &[0xc3, 0xa4], &[b'a'; MAX_NAME + 1]] {
            assert_eq!(of(name).unwrap_err().kind, ErrorKind::Invalid);
        }
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
