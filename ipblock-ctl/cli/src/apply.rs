//! `apply`.

use std::path::PathBuf;

use clap::Args;
use ipblock_api::types::ApplyRequest;
use ipblock_output::changes::render_applied;

use super::{
    arguments::DeployFlags,
    deploy::{CONFIRM_NEXT, DEPLOYING},
    error::{CliError, OK, WOULD_CHANGE},
    session::{Session, read_ruleset},
};

/// Make a ruleset file the deployed ruleset
///
/// Stages what differs and deploys it, in one. Refused while other edits are staged. A rule of
/// the same name keeps its counters.
///
/// Refused without --force: a file that removes all rules or more than half of the entries, and one
/// that was exported from another revision than the deployed one (its key `revision` says which).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl apply rules.toml --dry-run
  ipblock-ctl apply rules.toml --comment 'ticket 42'
  ipblock-ctl export | ssh other ipblock-ctl apply -")]
pub(crate) struct ApplyArgs {
    /// The ruleset as TOML or JSON; - for standard input
    file: PathBuf,
    /// Only show what would change; exit 6 if anything would
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    deploy: DeployFlags,
}

pub(crate) async fn run(args: ApplyArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let (ruleset, file) = read_ruleset(&args.file)?;
    let request = ApplyRequest {
        ruleset,
        file,
        dry_run: args.dry_run,
        deploy: args.deploy.into(),
    };
    let what = if args.dry_run { "comparing" } else { DEPLOYING };
    let applied = session.wait(what, session.client.apply(&request)).await?;
    session.show(&applied, render_applied)?;
    let deployed = applied.deployed.as_ref();
    if deployed.is_some_and(|deployed| deployed.confirm_deadline.is_some()) {
        session.note(CONFIRM_NEXT);
    }
    Ok(if args.dry_run && applied.changed {
        WOULD_CHANGE
    } else {
        OK
    })
}
