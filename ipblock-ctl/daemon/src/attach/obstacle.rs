//! Who wants an interface attached, and what is in the way.

use ipblock_datapath::DatapathError;
use ipblock_policy::ZoneName;

/// Who wants an interface to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An operator, now.
    Once,
    /// The daemon, again and again.
    EachSecond,
}

/// Why an interface does not run its zone's generation.
pub(super) enum Obstacle {
    /// There is no such interface.
    Absent,
    /// The zone has no generation.
    NoZone(ZoneName),
    /// It failed not long ago, and to try costs other packets.
    Resting,
    /// The kernel.
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
