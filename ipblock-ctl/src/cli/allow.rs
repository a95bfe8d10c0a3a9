//! `allow list`, `allow add`, `allow remove`.

use clap::{Args, Subcommand};

use super::{
    arguments::{StageArgs, address},
    error::{CliError, OK},
    session::Session,
    stage::stage,
};
use crate::{
    output::allow::render,
    policy::{ZoneName, edit::Edit},
};

#[derive(Debug, Subcommand)]
pub(crate) enum AllowCommand {
    /// List what is allowed, in all zones or in one
    List {
        /// Only what holds in this zone: its own entries and the global ones
        #[arg(long)]
        zone: Option<ZoneName>,
    },
    Add(AddArgs),
    Remove(RemoveArgs),
}

/// Stage addresses for an allow list: they pass, whatever rules and bans say
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists
    #[arg(value_name = "A", required = true, value_parser = address)]
    addresses: Vec<String>,
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
    #[arg(value_name = "A", required = true, value_parser = address)]
    addresses: Vec<String>,
    /// The zone's own list, instead of the one for all zones
    #[arg(long)]
    zone: Option<ZoneName>,
    #[command(flatten)]
    stage: StageArgs,
}

pub(crate) async fn run(command: AllowCommand, session: &mut Session<'_>) -> Result<u8, CliError> {
    match command {
        AllowCommand::List { zone } => list(zone.as_ref(), session).await,
        AllowCommand::Add(args) => {
            let edit = Edit::AddAllow {
                zone: args.zone.map(String::from),
                addresses: args.addresses,
                note: args.note.unwrap_or_default(),
            };
            stage(vec![edit], &args.stage, session).await
        }
        AllowCommand::Remove(args) => {
            let edit = Edit::RemoveAllow {
                zone: args.zone.map(String::from),
                addresses: args.addresses,
            };
            stage(vec![edit], &args.stage, session).await
        }
    }
}

async fn list(zone: Option<&ZoneName>, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut entries = session.client.allow().await?;
    if let Some(zone) = zone {
        let holds_there = |of: Option<&str>| of.is_none_or(|of| of == zone.as_str());
        entries.retain(|entry| holds_there(entry.zone.as_deref()));
    }
    session.show(&entries, |entries, view| render(entries, view))?;
    Ok(OK)
}
