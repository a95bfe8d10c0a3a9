//! `check`.

use clap::Args;
use ipblock_api::types::CheckRequest;
use ipblock_output::check::render;
use ipblock_policy::ZoneName;

use super::{
    arguments::{Addresses, addresses, each},
    error::{CliError, OK},
    session::Session,
};

/// Say what happens to an address, and why
///
/// Names the allow entry, every rule that matches and every exception that spares it, and says
/// whether the kernel's maps give the same answer. It looks at what is deployed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl check 192.0.2.7
  ipblock-ctl check 192.0.2.7 2001:db8::1 --zone dmz
  ipblock-ctl check 198.51.100.0/24 --json")]
pub(crate) struct CheckArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists
    #[arg(value_name = "A", required = true, value_parser = addresses)]
    addresses: Vec<Addresses>,
    /// Only this zone
    #[arg(long)]
    zone: Option<ZoneName>,
}

pub(crate) async fn run(args: CheckArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = CheckRequest {
        addresses: each(args.addresses)?,
        zone: args.zone.map(String::from),
    };
    let checks = session.client.check(&request).await?;
    session.show(&checks, |checks, view| render(checks, view))?;
    session.output.flush()?;
    session.note_mapped(&request.addresses);
    Ok(OK)
}
