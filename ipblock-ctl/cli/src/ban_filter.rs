//! The options of `bans` and `unban` that select bans.

use clap::Args;
use ipblock_api::types::BanFilter;
use ipblock_output::view::visible;
use ipblock_policy::Origin;

/// Which bans.
#[derive(Debug, Args)]
#[group(id = "filter", multiple = true)]
pub(crate) struct FilterArgs {
    /// Only bans of this origin
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<Origin>,
    /// Only bans with this text in their reason, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only bans that this user made: a name, or a user id
    #[arg(long, value_name = "USER")]
    by: Option<String>,
}

impl From<FilterArgs> for BanFilter {
    fn from(args: FilterArgs) -> Self {
        Self {
            origin: args.origin,
            reason: args.reason,
            by: args.by,
        }
    }
}

/// Returns the words after "bans" that name what is selected.
pub(crate) fn selected(only: &BanFilter) -> String {
    visible(&only.to_string())
}
