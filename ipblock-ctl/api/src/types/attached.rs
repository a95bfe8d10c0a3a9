//! The answer to an attach.

use serde::{Deserialize, Serialize};

use super::InterfaceStatus;

/// The actual attachment, and what was forced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The interface.
    #[serde(flatten)]
    pub interface: InterfaceStatus,
    /// The zone that it belongs to now.
    #[serde(default)]
    pub zone: String,
    /// What would have been refused without `force`, one line each.
    #[serde(default)]
    pub warnings: Vec<String>,
}
