//! `bans`.

use std::cmp::Ordering;

use clap::{Args, ValueEnum};
use ipblock_api::types::{BanInfo, BansQuery};
use ipblock_output::bans::render_list;

use super::{
    error::{CliError, OK},
    session::Session,
};

/// List the bans in force, with the time that is left of each
#[derive(Debug, Args)]
pub(crate) struct BansArgs {
    /// Sort by this: addresses and texts from the lowest or A to Z, soonest to end or longest there
    /// first
    #[arg(long, value_name = "COLUMN", default_value = "prefix")]
    sort: SortKey,
    /// Reverse the order
    #[arg(long)]
    reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SortKey {
    Prefix,
    Until,
    Reason,
    Author,
    Time,
}

impl SortKey {
    /// The title of its column in the table.
    const fn title(self) -> &'static str {
        match self {
            Self::Prefix => "PREFIX",
            Self::Until => "UNTIL",
            Self::Reason => "REASON",
            Self::Author => "BY",
            Self::Time => "SINCE",
        }
    }
}

pub(crate) async fn run(args: &BansArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut bans = session.client.bans(BansQuery::default()).await?;
    bans.sort_by(|a, b| compare(a, b, args.sort));
    if args.reverse {
        bans.reverse();
    }
    let sorted_by = args.sort.title();
    session.show(&bans, |bans, view| render_list(bans, sorted_by, view))?;
    Ok(OK)
}

fn compare(a: &BanInfo, b: &BanInfo, key: SortKey) -> Ordering {
    match key {
        SortKey::Prefix => a.prefix.cmp(&b.prefix),
        SortKey::Until => {
            let end = |ban: &BanInfo| (ban.until.is_none(), ban.until);
            end(a).cmp(&end(b))
        }
        SortKey::Reason => a.reason.cmp(&b.reason),
        SortKey::Author => a.author.cmp(&b.author),
        SortKey::Time => a.time.cmp(&b.time),
    }
}
