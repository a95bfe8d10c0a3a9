//! The harness of privileged tests: namespaces, veth pairs, bpffs, frames, raw sockets and a
//! daemon.
//!
//! Everything here cleans up in `Drop`, even if a test panics. What needs root takes a
//! [`Privileged`] token, so that no test can forget to require it. The harness is independent of
//! maps and rules: the prog-run tests have their own fixture, and the end-to-end tests use
//! [`Daemon`]. [`many_sources`] and [`source_pool`] run any XDP program for measurements; [`page`]
//! reads documentation with executable commands.

mod as_user;
mod binaries;
pub mod bpf;
mod bpffs;
pub mod countries;
mod ctl;
mod daemon;
mod fault;
mod leftovers;
pub mod many_sources;
mod netns;
mod offload;
pub mod own_stack;
pub mod packet;
pub mod page;
mod pinned;
mod privilege;
pub mod random;
mod raw_socket;
pub mod source_pool;
mod terminal;
mod veth;
mod wait;
mod webhook;

pub use as_user::as_user;
pub use binaries::{Binaries, binaries};
pub use bpf::freeze_map;
pub use bpffs::{Bpffs, TinyDisk};
pub use ctl::{Arguments, CtlOutput};
pub use daemon::{Daemon, DaemonBuilder};
pub use fault::FaultFile;
pub use leftovers::left_behind;
pub use netns::Netns;
pub use pinned::{Pinned, pinned_under};
pub use privilege::{CannotRun, Privileged, report_not_run};
pub use raw_socket::{FrameReceiver, FrameSender};
pub use terminal::{Ended, Size, Terminal};
pub use veth::{End, VethOptions, VethPair};
pub use wait::{DEADLINE, patience, wait_for};
pub use webhook::{Mood, Taken, WebhookReceiver};
