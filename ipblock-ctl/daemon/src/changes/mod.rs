//! From a ruleset that is wanted to one that is in force: plan it, judge it, carry it out.

mod amounts;
pub(crate) mod applied;
pub(crate) mod asked;
pub(crate) mod compile_cache;
pub(crate) mod deploy;
pub(crate) mod execute;
mod history;
pub(crate) mod plan;
