//! Why the daemon does not start.

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_datapath::DatapathError;
use ipblock_policy::Hinted;
use ipblock_store::StoreError;
use thiserror::Error;

/// Why the daemon does not start. The kernel continues to filter.
#[derive(Debug, Error)]
pub enum StartError {
    /// The state store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel side.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// Everything else.
    #[error(transparent)]
    Other(#[from] ApiError),
    /// The pins belong to another state directory.
    #[error(
        "the filter pinned under {pins} was made from another state directory than {state_dir}; it \
         keeps filtering"
    )]
    OtherStore {
        /// The directory of the pins.
        pins: String,
        /// The state directory given.
        state_dir: String,
    },
}

impl StartError {
    /// Whether the daemon lacks permissions.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        match self {
            Self::Store(error) => error.is_not_permitted(),
            Self::Datapath(error) => error.is_not_permitted(),
            Self::Other(error) => error.kind == ErrorKind::NotPermitted,
            Self::OtherStore { .. } => false,
        }
    }
}

impl Hinted for StartError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Datapath(error) => error.hint(),
            Self::Other(error) => error.hint(),
            Self::OtherStore { pins, .. } => Some(format!(
                "start with the --state-dir that it was made from, or put a backup of that in place; \
                 to give its rules up, end the ipblockd that looks after it, stop filtering with \
                 `rm -r {pins}`, and start again"
            )),
        }
    }
}
