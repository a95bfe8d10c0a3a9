//! From a wanted ruleset to one in force: plan, judge, execute.

mod amounts;
pub(crate) mod applied;
pub(crate) mod asked;
pub(crate) mod compile_cache;
pub(crate) mod deploy;
pub(crate) mod execute;
mod history;
pub(crate) mod plan;
mod revisions;
