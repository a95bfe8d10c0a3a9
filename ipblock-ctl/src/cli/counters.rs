//! `counters`.

use super::{
    error::{CliError, OK},
    session::Session,
};
use crate::output::counters::render;

pub(crate) async fn run(session: &mut Session<'_>) -> Result<u8, CliError> {
    let counters = session.client.counters().await?;
    session.show(&counters, render)?;
    Ok(OK)
}
