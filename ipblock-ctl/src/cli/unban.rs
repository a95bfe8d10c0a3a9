//! `unban`.

use clap::Args;

use super::{
    arguments::address_or_input,
    error::{BAD_INPUT, CliError, OK},
    lines::{self, Lines},
    session::Session,
};
use crate::{
    api::types::{UnbanRequest, Unbanned},
    output::bans::render_unbanned,
};

/// End bans at once
///
/// Each prefix is named as it was banned. What is not banned is said so and is no error; so is what
/// another ban still covers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl unban 192.0.2.7
  ipblock-ctl unban - < addresses.txt")]
pub(crate) struct UnbanArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = address_or_input)]
    addresses: Vec<String>,
}

pub(crate) async fn run(args: UnbanArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let from_input = lines::from_input(&args.addresses)?;
    let mut request = UnbanRequest {
        addresses: args.addresses,
    };
    if !from_input {
        let unbanned = session.client.unban(&request).await?;
        show(&unbanned, session)?;
        return Ok(OK);
    }
    let mut lines = Lines::of_standard_input();
    while let Some(batch) = lines.batch(session).await? {
        // Nothing that is unbanned needs force.
        let mut parts = vec![lines.sound(batch, true, session)];
        while let Some(part) = parts.pop() {
            request.addresses = lines::addresses(&part);
            if part.is_empty() {
                continue;
            }
            match session.client.unban(&request).await {
                Ok(unbanned) => show(&unbanned, session)?,
                Err(error) => parts.extend(lines.refused(part, error, session)?),
            }
        }
    }
    Ok(if lines.all_good() { OK } else { BAD_INPUT })
}

fn show(unbanned: &Unbanned, session: &mut Session<'_>) -> Result<(), CliError> {
    session.show(unbanned, render_unbanned)?;
    Ok(session.output.flush()?)
}
