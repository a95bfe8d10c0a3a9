//! Who is on the other end of a connection, and whether they may.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use ipblock_api::{
    SSH_PEER_HEADER,
    error::{ApiError, ErrorKind},
    routes::{Right, Route},
};
use ipblock_store::Author;
use nix::unistd::{Group, Uid, User};
use tokio::net::UnixStream;

use super::{
    connections::rank::Rank, credentials::supplementary_groups, error::Failure, guard::Caller,
};

/// An operator comes from one address, through a few hosts at most.
const MAX_SSH_PEERS: usize = 64;

/// Members may change everything, as root may.
const GROUP: &str = "ipblock";
/// Members may look at everything.
const VIEW_GROUP: &str = "ipblock-view";

/// Who connected, as the kernel vouches for it (`SO_PEERCRED`, `SO_PEERGROUPS`), and what they may.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    uid: Option<u32>,
    /// As the system's user database has it; empty where it has none.
    name: Arc<str>,
    right: Option<Right>,
}

/// Looked up once: nobody's hanging directory keeps root waiting.
static NAME_OF_ROOT: LazyLock<Arc<str>> = LazyLock::new(|| name_of(0));

impl Peer {
    /// Whoever has connected this stream, where the kernel's word is enough: root, and nobody.
    pub(super) fn at_once(socket: &UnixStream) -> Option<Self> {
        match socket.peer_cred() {
            Ok(credentials) if credentials.uid() == 0 => Some(Self {
                uid: Some(0),
                name: Arc::clone(&NAME_OF_ROOT),
                right: Some(Right::Change),
            }),
            Ok(_) => None,
            Err(_) => Some(Self::nobody()),
        }
    }

    /// Whoever has connected this stream, by the kernel's word and by what is listed of that user.
    pub(super) fn of(socket: &UnixStream, listed: &Listed) -> Self {
        let Ok(credentials) = socket.peer_cred() else {
            return Self::nobody();
        };
        let mut groups = supplementary_groups(socket).unwrap_or_default();
        groups.push(credentials.gid());
        Self {
            uid: Some(credentials.uid()),
            name: Arc::clone(&listed.name),
            right: listed.right_of(&groups),
        }
    }

    fn nobody() -> Self {
        Self {
            uid: None,
            name: Arc::default(),
            right: None,
        }
    }

    /// With whom it shares places.
    pub(super) const fn rank(&self) -> Rank {
        match (self.uid, self.right) {
            (Some(0), _) => Rank::Root,
            (_, Some(Right::Change)) => Rank::Member,
            (_, Some(Right::View)) => Rank::Viewer,
            (_, None) => Rank::Stranger,
        }
    }

    /// Its user; the kernel's number for nobody where it is not known.
    pub(super) fn uid_or_nobody(&self) -> u32 {
        self.uid.unwrap_or(u32::MAX)
    }
}

/// What the system's user database says, of a user and of the groups that matter.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// The user's.
    name: Arc<str>,
    change: Option<u32>,
    view: Option<u32>,
}

impl Listed {
    /// Asks for all of it anew: groups may be made while the daemon runs. The database may be on another
    /// host; this takes as long as that takes.
    pub(super) fn look_up(uid: u32) -> Self {
        Self {
            name: name_of(uid),
            change: group_id(GROUP),
            view: group_id(VIEW_GROUP),
        }
    }

    /// What the groups allow.
    fn right_of(&self, groups: &[u32]) -> Option<Right> {
        let is_in = |group: Option<u32>| group.is_some_and(|id| groups.contains(&id));
        if is_in(self.change) {
            Some(Right::Change)
        } else {
            is_in(self.view).then_some(Right::View)
        }
    }
}

fn group_id(name: &str) -> Option<u32> {
    let group = Group::from_name(name).ok()??;
    Some(group.gid.as_raw())
}

/// What a request needs. One to no route is refused by its method, so that a peer without the right
/// does not learn which routes there are.
fn needed(route: Option<Route>, method: &Method) -> Right {
    match route {
        Some(route) => route.right(),
        None if matches!(*method, Method::GET | Method::HEAD) => Right::View,
        None => Right::Change,
    }
}

/// Lets those through who may; what handlers get is the author, and the caller with where they come
/// from.
pub(super) async fn authorise(
    State(route): State<Option<Route>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let needed = needed(route, request.method());
    let Some(uid) = peer.uid.filter(|_| peer.right >= Some(needed)) else {
        return Failure(refusal(&peer, needed)).into_response();
    };
    let ssh_peers = match ssh_peers(request.headers()) {
        Ok(peers) => peers,
        Err(error) => return Failure(error).into_response(),
    };
    let author = Author {
        uid,
        name: peer.name.as_ref().to_owned(),
    };
    request.extensions_mut().insert(author.clone());
    request
        .extensions_mut()
        .insert(Caller { author, ssh_peers });
    next.run(request).await
}

fn refusal(peer: &Peer, needed: Right) -> ApiError {
    let who = peer
        .uid
        .map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
    let message = match peer.right {
        Some(_) => format!("{who} may look at everything and change nothing"),
        None => format!("{who} may not talk to ipblockd"),
    };
    let group = match needed {
        Right::View => VIEW_GROUP,
        Right::Change => GROUP,
    };
    ApiError::new(ErrorKind::NotPermitted, message).with_hint(format!(
        "run the command as root, for example with sudo, or as a member of group `{group}`"
    ))
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

fn name_of(uid: u32) -> Arc<str> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map(|user| user.name).unwrap_or_default().into()
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
    fn a_right_comes_with_a_group_and_the_greater_one_counts() {
        let listed = |change, view| Listed {
            name: Arc::default(),
            change,
            view,
        };
        let both = listed(Some(7), Some(8));
        assert_eq!(both.right_of(&[1, 7]), Some(Right::Change));
        assert_eq!(both.right_of(&[8, 7]), Some(Right::Change));
        assert_eq!(both.right_of(&[8, 1]), Some(Right::View));
        assert_eq!(both.right_of(&[1, 2]), None);
        assert_eq!(listed(None, None).right_of(&[7, 8]), None);
    }

    #[test]
    fn a_request_to_no_route_needs_what_its_method_says() {
        for (method, right) in [
            (Method::GET, Right::View),
            (Method::HEAD, Right::View),
            (Method::POST, Right::Change),
            (Method::DELETE, Right::Change),
            (Method::PUT, Right::Change),
        ] {
            assert_eq!(needed(None, &method), right, "{method}");
        }
    }

    #[test]
    fn a_request_to_a_route_needs_the_routes_right() {
        assert_eq!(needed(Some(Route::Check), &Method::POST), Right::View);
        assert_eq!(needed(Some(Route::Backup), &Method::GET), Right::Change);
        assert_eq!(needed(Some(Route::Backup), &Method::HEAD), Right::Change);
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
