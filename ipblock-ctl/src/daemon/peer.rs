//! Who is on the other end of a connection, and whether they may.

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::Next,
    response::{IntoResponse as _, Response},
    serve::IncomingStream,
};
use nix::unistd::{Uid, User};
use tokio::net::UnixListener;

use super::error::Failure;
use crate::{
    api::error::{ApiError, ErrorKind},
    store::Author,
};

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

/// Lets root through and nobody else; what handlers get is the author.
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
    request.extensions_mut().insert(author(0));
    next.run(request).await
}

fn author(uid: u32) -> Author {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    Author {
        uid,
        name: user.map(|user| user.name).unwrap_or_default(),
    }
}
