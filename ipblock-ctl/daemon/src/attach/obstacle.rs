//! Who requests an attachment, and what prevents it.

use ipblock_datapath::DatapathError;
use ipblock_policy::ZoneName;

/// Who requests an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An operator, now.
    Once,
    /// The daemon, every second.
    EachSecond,
}

/// Why an interface does not run its zone's generation.
pub(super) enum Obstacle {
    /// The interface does not exist.
    Absent,
    /// The zone has no generation.
    NoZone(ZoneName),
    /// An attempt failed recently, and another one would cost packets of other devices.
    Resting,
    /// An error of the kernel.
    Datapath(DatapathError),
}

impl From<DatapathError> for Obstacle {
    fn from(error: DatapathError) -> Self {
        match error {
            DatapathError::NoInterface { .. } => Self::Absent,
            error => Self::Datapath(error),
        }
    }
}
