//! `deploy`, `confirm` and `discard`.

use std::io;

use clap::Args;
use ipblock_api::{
    client::ClientError,
    error::{ApiError, ErrorKind},
    types::{DeployRequest, Deployed, DiscardQuery},
};
use ipblock_output::{
    changes::{render_deployed, render_staged},
    history::render_confirmed,
};

use ipblock_policy::RuleName;

use super::{
    arguments::DeployFlags,
    error::{CliError, OK},
    prompt::choose,
    session::{Session, somebody_is_there},
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
  ipblock-ctl deploy --confirm-within 60s      # then look, then confirm
  ipblock-ctl deploy abuse scanners            # only what is staged of these rules")]
pub(crate) struct DeployArgs {
    /// Only the edits of these rules; all others stay staged [default: everything]
    #[arg(value_name = "RULE")]
    rules: Vec<RuleName>,
    /// Deploy what others staged, too; on a terminal without it, the command asks
    #[arg(long, alias = "with-others")]
    all: bool,
    #[command(flatten)]
    flags: DeployFlags,
}

/// Forget what is staged
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl discard
  ipblock-ctl discard abuse scanners           # only what is staged of these rules")]
pub(crate) struct DiscardArgs {
    /// Only the edits of these rules; all others stay staged [default: everything]
    #[arg(value_name = "RULE")]
    rules: Vec<RuleName>,
}

pub(crate) async fn run(args: DeployArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = DeployRequest {
        all: args.all,
        rules: args.rules.into_iter().map(String::from).collect(),
        ..args.flags.into()
    };
    let deployed = deploy(request, session).await?;
    show_deployed(&deployed, session)?;
    Ok(OK)
}

/// Deploys. Asks first if edits of others would be deployed, too.
pub(crate) async fn deploy(
    mut request: DeployRequest,
    session: &mut Session<'_>,
) -> Result<Deployed, ClientError> {
    loop {
        let deploy = session.client.deploy(&request);
        let refused = match session.wait(DEPLOYING, deploy).await {
            Ok(deployed) => return Ok(deployed),
            Err(refused) => refused,
        };
        let Some(staged) = refused.needs_all() else {
            return Err(refused);
        };
        if !somebody_is_there() {
            return Err(refused);
        }
        session.output.note(&refused.to_string());
        if !is_wanted().unwrap_or(false) {
            let stopped = "stopped, nothing was deployed";
            return Err(ApiError::new(ErrorKind::Conflict, stopped).into());
        }
        request.all = true;
        request.staged = Some(staged);
    }
}

/// Asks whether edits of others, which were just listed, are to be deployed.
fn is_wanted() -> io::Result<bool> {
    let (mut input, mut messages) = (io::stdin().lock(), io::stderr());
    let question = "Deploy all of it? [y/n]";
    let answer = choose(
        &mut input,
        &mut messages,
        question,
        &["y", "n", "yes", "no"],
    )?;
    Ok(matches!(answer, Some("y" | "yes")))
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

pub(crate) async fn discard(args: DiscardArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let names: Vec<_> = args.rules.into_iter().map(String::from).collect();
    let query = DiscardQuery {
        rules: Some(names.join(",")).filter(|names| !names.is_empty()),
        undo: None,
    };
    let staged = session.client.discard(&query).await?;
    session.show(&staged, render_staged)?;
    Ok(OK)
}
