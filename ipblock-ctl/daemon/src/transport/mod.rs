//! Transports: byte streams to the daemon, and the identity of each peer.
//!
//! A transport accepts connections and determines a [`Principal`]. `connections::serve` does the
//! rest, the same for each transport; the code behind it is independent of them.

pub(super) mod unix;

use std::{
    future::{Future, ready},
    io,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::principal::{Origin, Principal};

/// The principal of a connection, as far as known without waiting.
pub(super) enum Identity {
    /// This principal.
    Known(Principal),
    /// [`Transport::look_up`] returns it; until then the connection has this origin.
    Asked(Origin),
}

/// A listener.
pub(super) trait Transport: Send + Sync + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Its name in the log.
    const NAME: &'static str;

    /// Accepts the next connection. Cancellation loses no connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// Identifies the peer. Must not block: no other connection is accepted meanwhile.
    fn identify(&self, io: &Self::Io) -> Identity;

    /// Looks the peer up, which may take long; `None` closes the connection. Starts when it is
    /// first polled. Only for [`Identity::Asked`].
    fn look_up(
        &self,
        _io: Self::Io,
    ) -> impl Future<Output = Option<(Self::Io, Principal)>> + Send + 'static {
        ready(None)
    }
}
