//! `history`, `rollback` and `audit`.

use clap::{Args, Subcommand};
use ipblock_api::types::{AuditQuery, RollbackRequest};
use ipblock_output::{
    changes::render_rolled_back,
    history::{render_audit, render_history, render_revision},
};

use super::{
    arguments::{address, limit},
    deploy::DEPLOYING,
    error::{CliError, OK, WOULD_CHANGE},
    session::Session,
};

/// List the revisions that were deployed, newest first, or show one of them
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  ipblock-ctl history --limit 5
  ipblock-ctl history show 7"
)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    /// Show at most N revisions
    #[arg(short = 'n', long, value_name = "N", value_parser = limit)]
    limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Show what a revision changed, who deployed it and when, and what became of it
    Show {
        /// The revision, as `history` numbers it
        #[arg(value_name = "REV")]
        revision: u64,
    },
}

/// Put the ruleset of an earlier revision in force again
///
/// Rules keep their counters. Edits that are staged stay staged.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The revision, as `history` numbers it; 0 for the state before the first deploy
    #[arg(value_name = "REV")]
    revision: Option<u64>,
    /// Only show what would change; exit 6 if anything would
    #[arg(long)]
    dry_run: bool,
    /// Allow what newly drops 1 % of an address family or more; no other guard
    #[arg(long)]
    wide: bool,
    /// Allow whatever is refused for safety
    #[arg(long)]
    force: bool,
}

/// List who did what and when, newest first
///
/// With an address: who banned it, ended its ban, or named it in an edit. The audit trail keeps all
/// prefixes of bans, up to 64 MiB, also when the bans are gone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl audit --limit 200
  ipblock-ctl audit 203.0.113.9")]
pub(crate) struct AuditArgs {
    /// Only what has to do with this address, prefix or range FROM-TO
    #[arg(value_name = "A", value_parser = address)]
    address: Option<String>,
    /// Show at most N entries
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: u32,
}

pub(crate) async fn history(args: &HistoryArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    if let Some(HistoryCommand::Show { revision }) = args.command {
        let shown = session
            .wait("comparing", session.client.revision(revision))
            .await?;
        session.show(&shown, render_revision)?;
        return Ok(OK);
    }
    let mut revisions = session.client.history().await?;
    revisions.truncate(args.limit.map_or(usize::MAX, |limit| limit as usize));
    session.show(&revisions, |revisions, view| {
        render_history(revisions, view)
    })?;
    Ok(OK)
}

pub(crate) async fn rollback(
    args: &RollbackArgs,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    let Some(revision) = args.revision else {
        return Err(without_revision(session).await?);
    };
    let request = RollbackRequest {
        revision,
        dry_run: args.dry_run,
        force: args.force,
        wide: args.wide,
    };
    let what = if args.dry_run { "comparing" } else { DEPLOYING };
    let applied = session
        .wait(what, session.client.rollback(&request))
        .await?;
    session.show(&applied, |applied, view| {
        render_rolled_back(revision, applied, view)
    })?;
    Ok(if args.dry_run && applied.changed {
        WOULD_CHANGE
    } else {
        OK
    })
}

/// Returns the error of a rollback without a number: the hint has that of the revision before.
async fn without_revision(session: &Session<'_>) -> Result<CliError, CliError> {
    let deployed = session.client.status().await?.revision;
    let hint = if deployed == 0 {
        "nothing was deployed yet".to_owned()
    } else {
        let previous = session.client.revision(deployed).await?.previous;
        format!(
            "before revision {deployed}, which is deployed, revision {previous} was: \
             ipblock-ctl rollback {previous}; `ipblock-ctl history` lists all"
        )
    };
    Ok(CliError::Usage {
        message: "rollback needs the number of a revision".to_owned(),
        hint,
    })
}

pub(crate) async fn audit(args: &AuditArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let query = AuditQuery {
        address: args.address.clone(),
        limit: args.limit,
    };
    let entries = session.client.audit(&query).await?;
    session.show(&entries, |entries, view| match &args.address {
        Some(address) if entries.is_empty() => format!("no entry that is kept names {address}\n"),
        _ => render_audit(entries, view),
    })?;
    Ok(OK)
}
