//! `status`.

use super::{
    error::{CliError, OK},
    session::Session,
};
use crate::output::status::render;

pub(crate) async fn run(session: &mut Session<'_>) -> Result<u8, CliError> {
    let status = session.client.status().await?;
    session.show(&status, render)?;
    Ok(OK)
}
