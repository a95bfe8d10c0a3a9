//! `deploy` and `discard`.

use clap::Args;

use super::{
    error::{CliError, OK},
    session::Session,
};
use crate::{
    api::types::DeployRequest,
    output::changes::{render_deployed, render_staged},
};

/// Put what is staged in force
///
/// Every packet gets the verdict of the old ruleset or of the new one, never a mixture.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// Kept with the revision
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Allow what is refused for safety
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: DeployArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = DeployRequest {
        comment: args.comment.unwrap_or_default(),
        force: args.force,
    };
    let deployed = session.client.deploy(&request).await?;
    session.show(&deployed, render_deployed)?;
    Ok(OK)
}

pub(crate) async fn discard(session: &mut Session<'_>) -> Result<u8, CliError> {
    let staged = session.client.discard().await?;
    session.show(&staged, render_staged)?;
    session.note("nothing is staged now");
    Ok(OK)
}
