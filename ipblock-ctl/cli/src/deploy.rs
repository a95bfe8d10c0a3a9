//! `deploy`, `confirm` and `discard`.

use clap::Args;
use ipblock_api::types::Deployed;
use ipblock_output::{
    changes::{render_deployed, render_staged},
    history::render_confirmed,
};

use super::{
    arguments::DeployFlags,
    error::{CliError, OK},
    session::Session,
};

/// What to do after a deploy that will be rolled back.
pub(crate) const CONFIRM_NEXT: &str = "see that everything works, then: ipblock-ctl confirm";

/// The description of a deploy while it runs.
pub(crate) const DEPLOYING: &str = "deploying";

/// Put what is staged in force
///
/// Every packet gets the verdict of the old ruleset or of the new one, never a mixture.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl deploy --comment 'ticket 42'
  ipblock-ctl deploy --confirm-within 60s      # then look, then confirm")]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    flags: DeployFlags,
}

pub(crate) async fn run(args: DeployArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = args.flags.into();
    let deployed = session
        .wait(DEPLOYING, session.client.deploy(&request))
        .await?;
    show_deployed(&deployed, session)?;
    Ok(OK)
}

/// Prints the result of a deploy, and the next step.
pub(crate) fn show_deployed(
    deployed: &Deployed,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    session.show(deployed, render_deployed)?;
    if deployed.confirm_deadline.is_some() {
        session.note(CONFIRM_NEXT);
    }
    Ok(())
}

pub(crate) async fn confirm(session: &mut Session<'_>) -> Result<u8, CliError> {
    let confirmed = session.client.confirm().await?;
    session.show(&confirmed, render_confirmed)?;
    Ok(OK)
}

pub(crate) async fn discard(session: &mut Session<'_>) -> Result<u8, CliError> {
    let staged = session.client.discard().await?;
    session.show(&staged, render_staged)?;
    Ok(OK)
}
