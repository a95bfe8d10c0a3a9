//! The unix socket: every user of this host may connect, and the kernel reports the user.

mod credentials;
mod login;
mod socket;
mod users;

use std::{
    future::Future,
    io,
    path::Path,
    sync::{Arc, LazyLock},
};

use ipblock_api::routes::Right;
use tokio::net::{UnixListener, UnixStream};

use self::{credentials::supplementary_groups, login::login_uid, users::Users};
use super::{
    super::{
        person::Person,
        principal::{Origin, Principal},
    },
    Identity, Transport,
};

pub use self::socket::SocketError;
pub(crate) use self::socket::require_free;
pub(crate) use self::users::Listed;

/// Cached, so that a slow user database never delays root.
static NAME_OF_ROOT: LazyLock<Arc<str>> = LazyLock::new(|| users::name_of(0));

/// The socket, with the lookups of its users.
pub(crate) struct UnixSocket {
    listener: UnixListener,
    users: Users,
}

impl UnixSocket {
    /// Binds the socket, and replaces that of a dead daemon.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        let listener = socket::listen(path)?;
        Ok(Self::with_users(listener, Listed::look_up))
    }

    /// Returns a socket with this function for lookups of users.
    pub(crate) fn with_users(listener: UnixListener, look_up: fn(u32) -> Listed) -> Self {
        Self {
            listener,
            users: Users::new(look_up),
        }
    }
}

impl Users {
    /// Returns who logged in and acts as this user, if that is another one.
    fn person(&self, stream: &UnixStream, user: u32) -> Option<Person> {
        let uid = login_uid(stream).filter(|uid| *uid != user)?;
        Some(Person::new(uid, self.look_up_name(uid)))
    }
}

impl Transport for UnixSocket {
    type Io = UnixStream;

    const NAME: &'static str = "socket";

    async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }

    /// The kernel's report is enough for root, and if it reports no user. The name of the person who
    /// became root is only looked up: a change waits for it.
    fn identify(&self, stream: &UnixStream) -> Identity {
        match stream.peer_cred() {
            Ok(credentials) if credentials.uid() == 0 => Identity::Known(Principal {
                origin: Origin::Unix { uid: 0 },
                name: Arc::clone(&NAME_OF_ROOT),
                person: self.users.person(stream, 0),
                right: Some(Right::Change),
            }),
            Ok(credentials) => Identity::Asked(Origin::Unix {
                uid: credentials.uid(),
            }),
            Err(_) => Identity::Known(Principal::without_rights(Origin::Unidentified)),
        }
    }

    /// Combines the kernel's report with the database's entries about that user.
    fn look_up(
        &self,
        stream: UnixStream,
    ) -> impl Future<Output = Option<(UnixStream, Principal)>> + Send + 'static {
        let users = self.users.clone();
        async move {
            let Ok(credentials) = stream.peer_cred() else {
                let unknown = Principal::without_rights(Origin::Unidentified);
                return Some((stream, unknown));
            };
            let person = users.person(&stream, credentials.uid());
            let listed = users.look_up(credentials.uid()).await?;
            let mut groups = supplementary_groups(&stream).unwrap_or_default();
            groups.push(credentials.gid());
            let principal = Principal {
                origin: Origin::Unix {
                    uid: credentials.uid(),
                },
                name: Arc::clone(&listed.name),
                person,
                right: listed.right_of(&groups),
            };
            Some((stream, principal))
        }
    }
}
