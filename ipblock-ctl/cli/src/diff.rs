//! `diff`.

use ipblock_output::changes::render_diff;

use super::{
    error::{CliError, OK},
    session::Session,
};

pub(crate) async fn run(session: &mut Session<'_>) -> Result<u8, CliError> {
    let diff = session.wait("comparing", session.client.diff()).await?;
    session.show(&diff, render_diff)?;
    Ok(OK)
}
