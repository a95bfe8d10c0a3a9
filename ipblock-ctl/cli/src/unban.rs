//! `unban`.

use clap::Args;
use ipblock_api::{
    client::Client,
    types::{UnbanRequest, Unbanned},
};
use ipblock_output::bans::render_unbanned;

use super::{
    arguments::{Addresses, each, unbanned_addresses},
    error::{CliError, OK},
    lines,
    session::Session,
};

/// End bans at once
///
/// Each prefix is named as it was banned. What is not banned is said so and is no error; so is what
/// another ban still covers.
///
/// With `-` addresses are read as they come, as `ban -` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl unban 192.0.2.7
  ipblock-ctl unban 203.0.113.0/24 --inside
  ipblock-ctl unban - < addresses.txt")]
pub(crate) struct UnbanArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = unbanned_addresses)]
    addresses: Vec<Addresses>,
    /// Also end the bans inside of the prefixes
    #[arg(long)]
    inside: bool,
}

pub(crate) async fn run(args: UnbanArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let addresses = each(args.addresses)?;
    if lines::from_input(&addresses)? {
        let ask = async |client: &Client, addresses| {
            let inside = args.inside;
            client.unban(&UnbanRequest { addresses, inside }).await
        };
        // `unban` never needs force.
        return lines::stream(true, session, ask, show).await;
    }
    let request = UnbanRequest {
        addresses,
        inside: args.inside,
    };
    let unbanned = session.client.unban(&request).await?;
    show(&unbanned, session)?;
    session.note_mapped(&request.addresses);
    Ok(OK)
}

fn show(unbanned: &Unbanned, session: &mut Session<'_>) -> Result<(), CliError> {
    session.show(unbanned, render_unbanned)?;
    Ok(session.output.flush()?)
}
