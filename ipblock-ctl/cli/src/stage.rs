//! Stages edits, and deploys them at once if requested.

use ipblock_api::{
    client::ClientError,
    error::ErrorKind,
    types::{DeployRequest, DiscardQuery, EditRequest, Staged},
};
use ipblock_output::{changes::render_staged, number::counted};
use ipblock_policy::edit::Edit;

use super::{
    arguments::StageArgs,
    deploy::{deploy, show_deployed},
    error::{CliError, OK},
    session::Session,
};

/// Stages `edits`, all or none, and reports the next step or deploys.
pub(crate) async fn stage(
    edits: Vec<Edit>,
    args: &StageArgs,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    let own = edits.len();
    let staged = send(edits, args.force, session).await?;
    finish(&staged, own, args, session).await
}

/// Stages `edits` without a report.
pub(crate) async fn send(
    edits: Vec<Edit>,
    force: bool,
    session: &Session<'_>,
) -> Result<Staged, ClientError> {
    let request = EditRequest { edits, force };
    session.wait("staging", session.client.edit(&request)).await
}

/// Reports the staged edits and the next step, or deploys. `own` is the number of sent edits.
///
/// JSON output is one value: what is staged, or what was deployed.
pub(crate) async fn finish(
    staged: &Staged,
    own: usize,
    args: &StageArgs,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    if !args.deploy {
        session.show(staged, render_staged)?;
        session.note(&next_step(staged.staged));
        return Ok(OK);
    }
    if !session.output.is_json() {
        session.show(staged, render_staged)?;
    }
    let own = u64::try_from(own).unwrap_or(u64::MAX);
    let before = staged.staged.saturating_sub(own);
    if before > 0 {
        let edits = counted(before, "edit that was", "edits that were");
        session.note(&format!("deploys {edits} staged before, too"));
    }
    let request = DeployRequest {
        comment: args.comment.clone().unwrap_or_default(),
        confirm_within: args.confirm_within,
        force: args.force,
        wide: args.wide,
        all: args.with_others,
        ..DeployRequest::default()
    };
    match deploy(request, session).await {
        Ok(deployed) => show_deployed(&deployed, session)?,
        Err(source) => {
            let taken_back = taken_back(staged, before, &source, session).await;
            return Err(CliError::NotDeployed { source, taken_back });
        }
    }
    Ok(OK)
}

/// Discards edits whose deploy the daemon refused, and returns whether that was possible. Otherwise
/// they would be part of the next deploy of any operator. `before` edits were staged earlier.
async fn taken_back(
    staged: &Staged,
    before: u64,
    refusal: &ClientError,
    session: &Session<'_>,
) -> bool {
    let is_refusal = matches!(refusal, ClientError::Api(error) if matches!(
        error.kind,
        ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::NotFound
    ));
    if !is_refusal || staged.undo.is_none() {
        return false;
    }
    let query = DiscardQuery {
        undo: staged.undo,
        rules: None,
    };
    let left = session.client.discard(&query).await;
    left.is_ok_and(|left| left.staged == before)
}

fn next_step(staged: u64) -> String {
    if staged == 0 {
        return "nothing is staged: this is what is deployed".to_owned();
    }
    let edits = counted(staged, "edit", "edits");
    format!("staged ({edits}). next: ipblock-ctl diff, then ipblock-ctl deploy")
}
