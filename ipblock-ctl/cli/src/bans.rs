//! `bans`.

use std::cmp::Ordering;

use clap::{Args, ValueEnum};
use ipblock_api::types::{BanFilter, BanInfo, BansQuery};
use ipblock_output::bans::render_list;

use super::{
    arguments::{Addresses, banned_addresses, each},
    ban_filter::{FilterArgs, selected},
    error::{CliError, OK},
    session::Session,
    sort::{SortArgs, SortKey},
};

/// List the bans in force, with the time that is left of each
///
/// A prefix has a line for each origin that has banned it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl bans
  ipblock-ctl bans 192.0.2.7
  ipblock-ctl bans --origin fail2ban/sshd --sort until")]
pub(crate) struct BansArgs {
    /// Only bans that cover one of these or lie inside of one: addresses, prefixes, ranges, @lists
    #[arg(value_name = "ADDRESS", value_parser = banned_addresses)]
    addresses: Vec<Addresses>,
    #[command(flatten)]
    only: FilterArgs,
    #[command(flatten)]
    order: SortArgs<Column>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Column {
    #[default]
    Prefix,
    Origin,
    Until,
    Reason,
    Author,
    Time,
    Packets,
    LastHit,
}

impl SortKey for Column {
    type Row = BanInfo;

    const HELP: &'static str = "Sort by this column: addresses and texts from the lowest or A to Z, \
                                soonest to end, longest there, most packets or latest hit first \
                                [default: prefix]";

    fn sort(self, bans: &mut [BanInfo]) {
        bans.sort_by(|a, b| compare(a, b, self));
    }
}

impl Column {
    /// The title of its column in the table.
    const fn title(self) -> &'static str {
        match self {
            Self::Prefix => "PREFIX",
            Self::Origin => "ORIGIN",
            Self::Until => "UNTIL",
            Self::Reason => "REASON",
            Self::Author => "BY",
            Self::Time => "SINCE",
            Self::Packets => "PACKETS",
            Self::LastHit => "LAST HIT",
        }
    }
}

pub(crate) async fn run(args: BansArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let addresses = each(args.addresses)?;
    let only = BanFilter::from(args.only);
    let query = BansQuery {
        limit: None,
        addresses: (!addresses.is_empty()).then(|| addresses.join(",")),
        origin: only.origin.clone(),
        reason: only.reason.clone(),
        by: only.by.clone(),
    };
    let mut bans = session.client.bans(&query).await?;
    // Bans that are equal in another column stay in this order.
    Column::default().sort(&mut bans);
    args.order.apply(&mut bans);
    let sorted_by = args.order.sort.unwrap_or_default().title();
    let at = match addresses.as_slice() {
        [] => String::new(),
        addresses => format!(" at {}", addresses.join(" ")),
    };
    let selected = selected(&only) + &at;
    session.show(&bans, |bans, view| {
        render_list(bans, sorted_by, &selected, view)
    })?;
    Ok(OK)
}

fn compare(a: &BanInfo, b: &BanInfo, key: Column) -> Ordering {
    match key {
        Column::Prefix => (a.prefix, &a.origin).cmp(&(b.prefix, &b.origin)),
        Column::Origin => a.origin.cmp(&b.origin),
        Column::Until => {
            let end = |ban: &BanInfo| (ban.until.is_none(), ban.until);
            end(a).cmp(&end(b))
        }
        Column::Reason => a.reason.cmp(&b.reason),
        Column::Author => a.author.cmp(&b.author),
        Column::Time => a.time.cmp(&b.time),
        // A ban without a counter comes last.
        Column::Packets => b.packets.cmp(&a.packets),
        Column::LastHit => b.last_hit.cmp(&a.last_hit),
    }
}
