//! An unavailable daemon: commands that run until they are stopped wait for it.

use std::time::Duration;

use ipblock_api::{
    client::ClientError,
    error::{ApiError, ErrorKind},
};

use super::session::Session;

/// Delay before the next request after a failure.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// Whether a later attempt may succeed: the daemon is down, restarting, or failed this time.
pub(crate) const fn is_passing(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Unreachable { .. }
            | ClientError::Silent { .. }
            | ClientError::Lost { .. }
            | ClientError::Api(ApiError {
                kind: ErrorKind::Failed,
                ..
            })
    )
}

/// Reports once that the daemon is unavailable, and once that it is back.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    lasts: bool,
}

impl Outage {
    /// A request failed.
    pub(crate) fn goes_on(&mut self, problem: &str, session: &mut Session<'_>) {
        if !self.lasts {
            session.output.note(&format!("{problem}; retrying"));
        }
        self.lasts = true;
    }

    /// A request succeeded.
    pub(crate) fn is_over(&mut self, session: &mut Session<'_>) {
        if self.lasts {
            session.output.note("ipblockd answers again");
        }
        self.lasts = false;
    }
}
