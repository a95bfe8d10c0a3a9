//! Ways to reach the daemon: streams of bytes, and who is at the other end of each.
//!
//! A transport accepts connections and vouches for a [`Principal`]. `connections::serve` does the rest, the
//! same for each of them, and nothing beyond knows what a connection is made of.

pub(super) mod unix;

use std::{
    future::{Future, ready},
    io,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::principal::{Origin, Principal};

/// Who has made a connection, as far as that is known without waiting.
pub(super) enum Identity {
    /// This principal.
    Known(Principal),
    /// [`Transport::look_up`] says it; until then the connection is of this origin.
    Asked(Origin),
}

/// A listener.
pub(super) trait Transport: Send + Sync + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// What the log calls it.
    const NAME: &'static str;

    /// The next connection. A future that is dropped loses none.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// Who has made it. Must not block: no other connection is accepted meanwhile.
    fn identify(&self, io: &Self::Io) -> Identity;

    /// Who has made it, however long that takes; none closes the connection. Starts when it is first polled.
    /// Only for [`Identity::Asked`].
    fn look_up(
        &self,
        _io: Self::Io,
    ) -> impl Future<Output = Option<(Self::Io, Principal)>> + Send + 'static {
        ready(None)
    }
}
