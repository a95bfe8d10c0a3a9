//! Why a command failed, its message and its exit code.

use std::{
    io,
    path::{Path, PathBuf},
};

use ipblock_api::client::ClientError;
use ipblock_policy::{Diagnostic, Hinted, address::AddressError};
use thiserror::Error;

/// Success.
pub(crate) const OK: u8 = 0;
/// Failure.
pub(crate) const FAILED: u8 = 1;
/// Usage, bad input, or an unknown name.
pub(crate) const BAD_INPUT: u8 = 2;
/// Conflict, or refused for safety.
pub(crate) const CONFLICT: u8 = 3;
/// Not permitted.
pub(crate) const NOT_PERMITTED: u8 = 5;
/// `apply --dry-run` would change something.
pub(crate) const WOULD_CHANGE: u8 = 6;
/// `check --exit-code`: an address is dropped.
pub(crate) const DROPPED: u8 = 10;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// The daemon, or the connection to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The edits were staged, but the deploy after it failed.
    #[error("{source}")]
    NotDeployed {
        /// The error.
        source: ClientError,
        /// Whether the edits were discarded; else they stay staged.
        taken_back: bool,
    },
    /// An address argument.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// Standard output cannot be written to.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// The operating system did not provide an event loop.
    #[error("cannot start: {source}")]
    Runtime {
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// `read`, `write`.
        verb: &'static str,
        /// The file; `-` for standard input.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A different file with that name exists.
    #[error("{} exists and is not a backup", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A request to the kernel without the daemon failed.
    #[error(transparent)]
    Kernel(Diagnostic),
    /// Only root may do this.
    #[error("not permitted: {what} needs root")]
    NeedsRoot {
        /// The command.
        what: &'static str,
    },
    /// The arguments cannot be used.
    #[error("{message}")]
    Usage {
        /// The problem.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// The operator cancelled.
    #[error("stopped, nothing was staged")]
    Stopped,
    /// What was found in a text was not confirmed.
    #[error("nothing is {verb} without --yes")]
    Unconfirmed {
        /// `staged`, `banned`.
        verb: &'static str,
    },
    /// The editor failed, or could not be started.
    #[error("the editor `{editor}` {problem}")]
    Editor {
        /// The command.
        editor: String,
        /// What happened.
        problem: String,
    },
    /// An edited rule was rejected; the text is kept.
    #[error("{source}")]
    EditRefused {
        /// Why.
        source: ClientError,
        /// The rule.
        rule: String,
        /// The path of the text.
        kept: PathBuf,
    },
    /// The operator cancelled after an edited rule was rejected; the text is kept.
    #[error("stopped, nothing was staged")]
    EditStopped {
        /// The rule.
        rule: String,
        /// The path of the text.
        kept: PathBuf,
    },
}

impl Hinted for CliError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            Self::NotDeployed { source, taken_back } => {
                let staged = if *taken_back {
                    "nothing of it stays staged: give the whole command again to try again"
                } else {
                    "the edits stay staged: `ipblock-ctl deploy` tries again, \
                     `ipblock-ctl discard` forgets all that is staged"
                };
                Some(match source.hint() {
                    Some(hint) => format!("{hint}\n{staged}"),
                    None => staged.to_owned(),
                })
            }
            Self::Address(error) => error.hint(),
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Exists { .. } => {
                Some("give another name, or pass --force to replace it".to_owned())
            }
            Self::Unconfirmed { .. } => {
                Some("look at what was found, then give the command again with --yes".to_owned())
            }
            Self::Kernel(error) => error.hint(),
            Self::NeedsRoot { what } => Some(format!("sudo ipblock-ctl {what}")),
            Self::Editor { .. } => {
                Some("set EDITOR, or edit with flags: ipblock-ctl rule edit --help".to_owned())
            }
            Self::EditStopped { rule, kept } => Some(kept_text(rule, kept)),
            Self::EditRefused { source, rule, kept } => {
                let kept = kept_text(rule, kept);
                Some(match source.hint() {
                    Some(hint) => format!("{hint}\n{kept}"),
                    None => kept,
                })
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => Some(
                "look whether it is the right file, or whether what feeds a pipe ends; split a large \
                 one, or put its addresses into list files"
                    .to_owned(),
            ),
            Self::File { verb: "read", path, .. } if is_url(path) => Some(format!(
                "addresses of the internet are not read here: curl -fsSL {} | ipblock-ctl import - \
                 --into RULE",
                path.display()
            )),
            Self::Output(_) | Self::Runtime { .. } | Self::File { .. } | Self::Stopped => None,
        }
    }
}

/// Whether a file has the name of a document on the internet.
fn is_url(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["http://", "https://", "ftp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

impl CliError {
    /// Returns the exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Client(source)
            | Self::NotDeployed { source, .. }
            | Self::EditRefused { source, .. } => source.exit_code(),
            // The reader has closed the pipe because it has read enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => OK,
            Self::Output(_) | Self::Runtime { .. } | Self::Editor { .. } | Self::Kernel(_) => {
                FAILED
            }
            Self::NeedsRoot { .. } => NOT_PERMITTED,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::InvalidData
                | io::ErrorKind::FileTooLarge
                | io::ErrorKind::IsADirectory => BAD_INPUT,
                _ => FAILED,
            },
            Self::Address(_) | Self::Usage { .. } => BAD_INPUT,
            Self::Stopped
            | Self::Unconfirmed { .. }
            | Self::EditStopped { .. }
            | Self::Exists { .. } => CONFLICT,
        }
    }

    /// Whether there is no message: the reader of standard output is gone.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Explains where the text of a rejected rule is, and how to continue with it.
pub(crate) fn kept_text(rule: &str, kept: &Path) -> String {
    let kept = kept.display();
    format!(
        "your text is kept in {kept}\nto go on with it: ipblock-ctl rule edit {rule} --from {kept}"
    )
}
