//! `cargo xtask test --vm` and `--package`: a virtual machine with Debian 12 and its stock kernel.
//!
//! [`image`] creates its disk, [`machine`] starts it with a job, [`suites`] and [`package`] are the
//! jobs. xtask/guest contains what runs inside.

mod image;
mod machine;
pub(crate) mod package;
pub(crate) mod suites;
mod workshop;
