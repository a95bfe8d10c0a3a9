//! What the daemon, the store and the API call an alert.

use super::word::words;

words! {
    /// What an alert tells of.
    pub enum AlertKind {
        /// The first hit of a source in a window.
        First = "first",
        /// More packets of a source that an earlier alert told of.
        Aggregate = "aggregate",
    }
}
