//! What the daemon, the store and the API call an alert.

use super::word::words;

words! {
    /// The kind of an alert.
    pub enum AlertKind {
        /// The first hit of a source in a window.
        First = "first",
        /// The other packets of a source that an earlier alert reported.
        Aggregate = "aggregate",
    }
}
