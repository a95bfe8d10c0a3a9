//! `allow list`, `allow add`, `allow remove`.

use clap::{Args, Subcommand, ValueEnum};
use ipblock_api::types::AllowInfo;
use ipblock_output::allow::render;
use ipblock_policy::{ZoneName, edit::Edit};

use super::{
    arguments::{Addresses, StageArgs, addresses, addresses_or_input, each},
    error::{CliError, OK},
    gather::each_or_input,
    session::Session,
    sort::{SortArgs, SortKey, by_address, by_state, by_text},
    stage::stage,
};

#[derive(Debug, Subcommand)]
pub(crate) enum AllowCommand {
    #[command(aliases = ["ls", "show"])]
    List(ListArgs),
    Add(AddArgs),
    #[command(aliases = ["rm", "del", "delete"])]
    Remove(RemoveArgs),
}

/// List what is allowed, in all zones or in one
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only what holds in this zone: its own entries and the global ones
    #[arg(long)]
    zone: Option<ZoneName>,
    #[command(flatten)]
    order: SortArgs<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Address,
    Zone,
    Note,
    State,
}

impl SortKey for Column {
    type Row = AllowInfo;

    const HELP: &'static str = "Sort by this column: addresses by number, what is staged first, the \
                                others from A to Z [default: the global list, then zone by zone, \
                                in the order in which they were added]";

    fn sort(self, entries: &mut [AllowInfo]) {
        match self {
            Self::Address => entries.sort_by_cached_key(|entry| by_address(&entry.address)),
            // Entries for all zones come first.
            Self::Zone => entries.sort_by(|a, b| a.zone.cmp(&b.zone)),
            Self::Note => entries.sort_by_cached_key(|entry| by_text(&entry.note)),
            Self::State => entries.sort_by_key(|entry| by_state(entry.state)),
        }
    }
}

/// Stage addresses for an allow list: they pass, whatever rules and bans say
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = addresses_or_input)]
    addresses: Vec<Addresses>,
    /// The zone's own list, instead of the one for all zones
    #[arg(long)]
    zone: Option<ZoneName>,
    /// Kept with each of them
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage the removal of addresses from an allow list
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists
    #[arg(value_name = "A", required = true, value_parser = addresses)]
    addresses: Vec<Addresses>,
    /// The zone's own list, instead of the one for all zones
    #[arg(long)]
    zone: Option<ZoneName>,
    #[command(flatten)]
    stage: StageArgs,
}

pub(crate) async fn run(command: AllowCommand, session: &mut Session<'_>) -> Result<u8, CliError> {
    match command {
        AllowCommand::List(args) => list(&args, session).await,
        AllowCommand::Add(args) => {
            let edit = Edit::AddAllow {
                zone: args.zone.map(String::from),
                addresses: each_or_input(args.addresses, session)?,
                note: args.note.unwrap_or_default(),
            };
            stage(vec![edit], &args.stage, session).await
        }
        AllowCommand::Remove(args) => {
            let edit = Edit::RemoveAllow {
                zone: args.zone.map(String::from),
                addresses: each(args.addresses)?,
            };
            stage(vec![edit], &args.stage, session).await
        }
    }
}

async fn list(args: &ListArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut entries = session.client.allow().await?;
    if let Some(zone) = &args.zone {
        let holds_there = |of: Option<&str>| of.is_none_or(|of| of == zone.as_str());
        entries.retain(|entry| holds_there(entry.zone.as_deref()));
    }
    args.order.apply(&mut entries);
    session.show(&entries, |entries, view| render(entries, view))?;
    Ok(OK)
}
