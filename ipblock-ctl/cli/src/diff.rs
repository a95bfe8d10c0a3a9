//! `diff`.

use clap::Args;
use ipblock_api::types::DiffQuery;
use ipblock_output::changes::{render_diff, render_revisions};

use super::{
    error::{CliError, OK, WOULD_CHANGE},
    session::Session,
};

/// Show what a deploy would change, or how revisions differ
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl diff                 # what is staged
  ipblock-ctl diff 7               # from revision 7 to the deployed one
  ipblock-ctl diff 7 9             # from revision 7 to revision 9")]
pub(crate) struct DiffArgs {
    /// Compare from this revision, in place of what is staged; 0 is the state before the first
    #[arg(value_name = "REV")]
    from: Option<u64>,
    /// Compare to this revision [default: the deployed one]
    #[arg(value_name = "REV")]
    to: Option<u64>,
    /// Exit with 6 if there is any difference or conflict
    #[arg(long)]
    exit_code: bool,
}

pub(crate) async fn run(args: &DiffArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let query = DiffQuery {
        from: args.from,
        to: args.to,
    };
    let diff = session
        .wait("comparing", session.client.diff(query))
        .await?;
    let differs = !(diff.rules.is_empty() && diff.other.is_empty() && diff.conflicts.is_empty());
    match args.from {
        None => session.show(&diff, render_diff)?,
        Some(_) => session.show(&diff, render_revisions)?,
    }
    Ok(if args.exit_code && differs {
        WOULD_CHANGE
    } else {
        OK
    })
}
