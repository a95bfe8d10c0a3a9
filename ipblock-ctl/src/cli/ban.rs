//! `ban`.

use clap::Args;

use super::{
    arguments::address_or_input,
    error::{BAD_INPUT, CliError, OK},
    expiry::ExpiryArgs,
    lines::{self, Lines},
    session::Session,
};
use crate::{
    api::types::{BanRequest, Banned},
    output::bans::render_banned,
};

/// Block addresses at once, for a time
///
/// A ban is in force and on disk when the command returns; nothing is staged. It needs an end:
/// --for, --until or --permanent. Repeating a ban moves its end. Addresses on an allow list pass all
/// the same.
///
/// With `-` addresses are read as they come, one a line: the first field of each. Blank lines and
/// lines that begin with # are skipped. A bad line is told, and the others are banned.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl ban 192.0.2.7 --for 2h --reason 'ssh scan'
  ipblock-ctl ban 198.51.100.0/24 @scanners --until 2030-12-01
  ipblock-ctl ban 2001:db8::7 --v6-prefix 64 --for 7d
  tail -F offenders.txt | ipblock-ctl ban - --for 1h")]
pub(crate) struct BanArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = address_or_input)]
    addresses: Vec<String>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Kept with each of them
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Widen longer IPv6 prefixes to this length; an IPv6 customer usually has a /64
    #[arg(long, value_name = "LENGTH", value_parser = clap::value_parser!(u8).range(1..=128))]
    v6_prefix: Option<u8>,
    /// Allow what newly bans 1 % of an address family or more; no other guard
    #[arg(long)]
    wide: bool,
    /// Allow whatever is refused for safety, such as banning 0.0.0.0/0
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: BanArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let Some(expires) = args.expiry.expiry() else {
        return Err(CliError::Usage {
            message: "a ban needs an end".to_owned(),
            hint: "write --for 2h, --until 2030-12-01, or --permanent".to_owned(),
        });
    };
    if let Some(reading) = args.expiry.reading() {
        session.note(reading);
    }
    let from_input = lines::from_input(&args.addresses)?;
    let mut request = BanRequest {
        addresses: args.addresses,
        expires,
        reason: args.reason.unwrap_or_default(),
        v6_prefix: args.v6_prefix,
        force: args.force,
        wide: args.wide,
    };
    if !from_input {
        let banned = session.client.ban(&request).await?;
        show(&banned, session)?;
        return Ok(OK);
    }
    let mut lines = Lines::of_standard_input();
    while let Some(batch) = lines.batch(session).await? {
        let mut parts = vec![lines.sound(batch, args.force, session)];
        while let Some(part) = parts.pop() {
            request.addresses = lines::addresses(&part);
            if part.is_empty() {
                continue;
            }
            match session.client.ban(&request).await {
                Ok(banned) => show(&banned, session)?,
                Err(error) => parts.extend(lines.refused(part, error, session)?),
            }
        }
    }
    Ok(if lines.all_good() { OK } else { BAD_INPUT })
}

fn show(banned: &Banned, session: &mut Session<'_>) -> Result<(), CliError> {
    session.show(banned, render_banned)?;
    for warning in &banned.warnings {
        session.note(&format!("warning: {warning}"));
    }
    Ok(session.output.flush()?)
}
