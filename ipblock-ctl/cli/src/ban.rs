//! `ban`.

use std::io;

use clap::Args;
use ipblock_api::{
    client::Client,
    types::{BanRequest, Banned},
};
use ipblock_output::bans::render_banned;
use ipblock_policy::{
    Hinted as _, Origin,
    exchange::{self, ReadError},
};

use super::{
    arguments::{Addresses, banned_addresses, each},
    capped::Capped,
    error::{CliError, OK},
    expiry::ExpiryArgs,
    extracted::{ExtractArgs, confirmed, found},
    input::{Bounded, MAX_IMPORT},
    line_reader::{INPUT, from_input},
    lines::{self, How, StreamArgs},
    session::Session,
};

/// Block addresses at once, for a time
///
/// A ban is in force and on disk when the command returns; nothing is staged. It needs an end:
/// --for, --until or --permanent. A second ban of the same prefix can prolong the first one and give
/// it another reason; only --shorten makes it end earlier. Addresses on an allow list pass all the
/// same.
///
/// A ban belongs to an origin, and a prefix can have a ban of each. It is banned until the last of
/// them ends. A program that bans names itself, such as `--origin fail2ban/sshd`: then it never
/// changes or ends a ban that somebody else made.
///
/// With `-` addresses are read as they come, one or several a line, separated by white space or
/// commas. Blank lines and what follows # are skipped. A bad line is reported, and the others are
/// banned. When the daemon restarts, the command waits for it, for 5 minutes at most. gzip is unpacked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl ban 192.0.2.7 --for 2h --reason 'ssh scan'
  ipblock-ctl ban 198.51.100.0/24 @scanners --until 2030-12-01
  ipblock-ctl ban 2001:db8::7 --v6-prefix 64 --for 7d
  ipblock-ctl ban 192.0.2.7 --permanent --origin fail2ban/sshd
  tail -F offenders.txt | ipblock-ctl ban - --for 1h
  ipblock-ctl ban - --for 1d --extract < report.eml")]
pub(crate) struct BanArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = banned_addresses)]
    addresses: Vec<Addresses>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Kept with each of them; without it a ban that is prolonged keeps its reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The owner of the bans [default: manual]
    #[arg(
        long,
        value_name = "ORIGIN",
        default_value_t,
        hide_default_value = true
    )]
    origin: Origin,
    /// Also shorten bans of this origin that end later
    #[arg(long)]
    shorten: bool,
    /// Widen longer IPv6 prefixes to this length; an IPv6 customer usually has a /64
    #[arg(long, value_name = "LENGTH", value_parser = clap::value_parser!(u8).range(1..=128))]
    v6_prefix: Option<u8>,
    /// Allow what newly bans 1 % of an address family or more; no other guard
    #[arg(long)]
    wide: bool,
    /// Allow whatever is refused for safety, such as banning 0.0.0.0/0
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    text: ExtractArgs,
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
    let request = BanRequest {
        addresses: each(args.addresses)?,
        expires,
        origin: args.origin,
        reason: args.reason.unwrap_or_default(),
        v6_prefix: args.v6_prefix,
        shorten: args.shorten,
        force: args.force,
        wide: args.wide,
    };
    args.text.check(&request.addresses)?;
    if from_input(&request.addresses)? {
        let ask = async |client: &Client, addresses| {
            let part = BanRequest {
                addresses,
                ..request.clone()
            };
            client.ban(&part).await
        };
        if args.text.extract && !args.text.yes {
            return dry_run(args.stream, session).await;
        }
        let how = How {
            reading: args.text.reading(),
            all: Some(args.stream.all),
            force: args.force,
        };
        return lines::stream(how, session, ask, show).await;
    }
    let banned = session.client.ban(&request).await?;
    show(&banned, session)?;
    session.note_mapped(&request.addresses);
    Ok(OK)
}

/// Shows what `--extract` finds in standard input, and bans nothing.
async fn dry_run(stream: StreamArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let parsed = exchange::extract(Bounded::new(io::stdin().lock(), MAX_IMPORT));
    let parsed = parsed.map_err(|error| match error {
        ReadError::Io(source) => CliError::File {
            verb: "read",
            path: INPUT.into(),
            source,
        },
        error => CliError::Usage {
            message: format!("standard input: {error}"),
            hint: error.hint().unwrap_or_default(),
        },
    })?;
    let mut refused = Capped::new(Some(stream.all));
    for refusal in &parsed.refused {
        let (line, text, problem) = (refusal.line, &refusal.text, &refusal.problem);
        let message = format!("not taken: line {line}: `{text}`: {problem}");
        refused.note(&message, session.output);
    }
    refused.count(parsed.more_refused);
    refused.finish("were not taken", session.output);
    let found = found(&parsed, session).await?;
    confirmed(&found, stream.all, false, "", session)?;
    session.show(&found, |_, _| String::new())?;
    Err(CliError::Unconfirmed { verb: "banned" })
}

fn show(banned: &Banned, session: &mut Session<'_>) -> Result<(), CliError> {
    session.show(banned, render_banned)?;
    for warning in &banned.warnings {
        session.note(&format!("warning: {warning}"));
    }
    Ok(session.output.flush()?)
}
