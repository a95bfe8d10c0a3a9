//! The kernel side: generations of maps and program, links to interfaces, counters.
//!
//! Only this crate imports aya. It never makes decisions: `policy` decides what a generation
//! contains, the daemon decides which generation is in force.

pub mod alerts;
mod ban_filter;
mod ban_hits;
pub mod bans;
pub mod bpffs;
mod capabilities;
pub mod clock;
pub mod device;
pub mod error;
pub mod features;
pub mod generation;
mod held_pin;
pub mod hits;
pub mod hold;
pub mod in_the_way;
pub mod inspect;
pub mod interface;
pub mod kernel_log;
pub mod link;
pub mod lookup_maps;
mod mapped_array;
mod maps;
pub mod netlink;
pub mod object;
pub mod panic_off;
pub mod pin_lock;
pub mod pins;
pub mod routes;
pub mod shared_maps;
pub mod stack;
mod sys;
pub mod tables;
mod trust;

pub use alerts::{AlertEvents, AlertTables};
pub use ban_hits::{BanCount, RestingSlots};
pub use bans::BanTables;
pub use bpffs::DEFAULT_BPFFS;
pub use capabilities::{CAPABILITIES, missing_capabilities};
pub use error::{DatapathError, mount_command};
pub use generation::{Generation, GenerationPlan, KernelCounts};
pub use held_pin::PutRight;
pub use hits::HitTable;
pub use hold::Hold;
pub use in_the_way::InTheWay;
pub use interface::Interface;
pub use link::{Attachment, MovedPin, PinnedLink};
pub use lookup_maps::Lookup;
pub use panic_off::PanicOff;
pub use pin_lock::PinLock;
pub use pins::PinDirectory;
pub use shared_maps::{SharedMapIds, SharedMaps, SharedPins};
pub use sys::settle;
