//! `bans`.

use std::cmp::Ordering;

use clap::{Args, ValueEnum};
use ipblock_api::types::{BanInfo, BansQuery};
use ipblock_output::bans::render_list;

use super::{
    error::{CliError, OK},
    session::Session,
    sort::{SortArgs, SortKey},
};

/// List the bans in force, with the time that is left of each
#[derive(Debug, Args)]
pub(crate) struct BansArgs {
    #[command(flatten)]
    order: SortArgs<Column>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Column {
    #[default]
    Prefix,
    Until,
    Reason,
    Author,
    Time,
}

impl SortKey for Column {
    type Row = BanInfo;

    const HELP: &'static str = "Sort by this column: addresses and texts from the lowest or A to Z, \
                                soonest to end or longest there first [default: prefix]";

    fn sort(self, bans: &mut [BanInfo]) {
        bans.sort_by(|a, b| compare(a, b, self));
    }
}

impl Column {
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
    // Bans that are equal in another column stay in this order.
    Column::default().sort(&mut bans);
    args.order.apply(&mut bans);
    let sorted_by = args.order.sort.unwrap_or_default().title();
    session.show(&bans, |bans, view| render_list(bans, sorted_by, view))?;
    Ok(OK)
}

fn compare(a: &BanInfo, b: &BanInfo, key: Column) -> Ordering {
    match key {
        Column::Prefix => a.prefix.cmp(&b.prefix),
        Column::Until => {
            let end = |ban: &BanInfo| (ban.until.is_none(), ban.until);
            end(a).cmp(&end(b))
        }
        Column::Reason => a.reason.cmp(&b.reason),
        Column::Author => a.author.cmp(&b.author),
        Column::Time => a.time.cmp(&b.time),
    }
}
