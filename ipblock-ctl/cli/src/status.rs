//! `status`.

use ipblock_output::status::render;

use super::{
    error::{CliError, OK},
    session::Session,
};

pub(crate) async fn run(session: &mut Session<'_>) -> Result<u8, CliError> {
    let status = session.client.status().await?;
    session.show(&status, render)?;
    Ok(OK)
}
