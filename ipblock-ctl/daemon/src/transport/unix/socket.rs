//! The unix socket: checked before a start changes anything, and bound when the start is done.

use std::{
    fs, io,
    os::unix::{fs::FileTypeExt as _, net::UnixStream},
    path::{Path, PathBuf},
};

use ipblock_policy::Hinted;
use nix::{
    fcntl::AT_FDCWD,
    sys::stat::{FchmodatFlags, Mode, fchmodat},
    unistd::{AccessFlags, access},
};
use thiserror::Error;
use tokio::net::UnixListener;

/// Why the socket cannot be created.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The operating system refused.
    #[error("socket {path}: {source}", path = .path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process listens on it.
    #[error("socket {path}: another process answers there", path = .path.display())]
    InUse {
        /// Its path.
        path: PathBuf,
    },
    /// A file of another kind exists there, and is kept.
    #[error("socket {path}: a file that is not a socket has this name", path = .path.display())]
    Taken {
        /// Its path.
        path: PathBuf,
    },
}

impl Hinted for SocketError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::InUse { .. } => "stop it, or give another --socket",
            Self::Taken { .. } => "give another --socket, or move the file away",
            Self::Io { .. } if self.is_not_permitted() => {
                "run ipblockd as root, or give a --socket where its user may make files"
            }
            Self::Io { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl SocketError {
    /// Whether this process lacks the permission to create it.
    pub(crate) fn is_not_permitted(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Rejects a path at which no socket can be created. A socket without an answer belongs to a dead
/// daemon. Changes nothing.
pub(crate) fn require_free(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::Taken {
                path: path.to_owned(),
            });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(_) | Err(_) => {}
    }
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::InUse {
            path: path.to_owned(),
        });
    }
    // The directory, or the one in which it will be created.
    let mut directories = path.ancestors().skip(1).map(|directory| {
        if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        }
    });
    let Some(directory) = directories.find(|directory| directory.exists()) else {
        return Ok(());
    };
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| failed(errno.into()))
}

/// Binds the socket.
pub(super) fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    require_free(path)?;
    let failed = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // All users may connect; the peer's credentials authorise every request. Links are not
    // followed: otherwise a user with write access to the directory could make any file writable
    // for all.
    let everyone = Mode::from_bits_truncate(0o666);
    fchmodat(AT_FDCWD, path, everyone, FchmodatFlags::NoFollowSymlink)
        .map_err(|errno| failed(errno.into()))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::PermissionsExt as _, net::UnixListener as Blocking};

    use super::*;

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_open_to_everyone() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("run/socket");
        drop(listen(&path)?);
        let _listener = listen(&path)?;
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o666);
        Ok(())
    }

    #[test]
    fn what_is_not_a_dead_daemons_socket_stays() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("file");
        fs::write(&file, "precious")?;
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link)?;
        for taken in [&file, &link, &directory.path().to_owned()] {
            let error = require_free(taken).expect_err("a file");
            assert!(matches!(error, SocketError::Taken { .. }), "{error}");
        }
        assert_eq!(fs::read_to_string(&file)?, "precious");
        let path = directory.path().join("socket");
        let _other = Blocking::bind(&path)?;
        let error = require_free(&path).expect_err("a socket");
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        assert_eq!(
            error.hint().as_deref(),
            Some("stop it, or give another --socket")
        );
        Ok(())
    }
}
