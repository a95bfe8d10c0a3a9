//! `check`.

use std::cell::Cell;

use clap::Args;
use ipblock_api::{
    client::Client,
    types::{Action, Check, CheckRequest},
};
use ipblock_output::check::{render, render_lines};
use ipblock_policy::ZoneName;

use super::{
    arguments::{Addresses, addresses_or_input, each},
    error::{CliError, DROPPED, OK},
    extracted::TextArgs,
    line_reader::from_input,
    lines::{self, How},
    session::Session,
};

/// Answers beyond this number are a line each.
const PARAGRAPHS: usize = 20;

/// Say what happens to an address, and why
///
/// Names the bans, the allow entry, every rule that matches and every exception that spares it, with
/// their lists, notes, authors and hits, and the bans that ended in the last 30 days. Says whether
/// the kernel's maps give the same answer. It looks at what is deployed, or with --staged at what is
/// staged.
///
/// With `-` addresses are read as they come, as `ban -` does. Then, and for more than 20 addresses,
/// each has a line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl check 192.0.2.7
  ipblock-ctl check 192.0.2.7 2001:db8::1 --zone dmz
  ipblock-ctl check 198.51.100.0/24 --json
  ipblock-ctl check - < addresses.txt
  ipblock-ctl check 192.0.2.7 --exit-code || echo dropped")]
pub(crate) struct CheckArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = addresses_or_input)]
    addresses: Vec<Addresses>,
    /// Only this zone
    #[arg(long)]
    zone: Option<ZoneName>,
    /// Look at what is staged: what a deploy would do to the addresses
    #[arg(long)]
    staged: bool,
    /// End with exit code 10 if an address is dropped
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    text: TextArgs,
}

pub(crate) async fn run(args: CheckArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = CheckRequest {
        addresses: each(args.addresses)?,
        zone: args.zone.map(String::from),
        staged: args.staged,
    };
    args.text.check(&request.addresses)?;
    let code = |drops: bool| {
        if args.exit_code && drops { DROPPED } else { OK }
    };
    if from_input(&request.addresses)? {
        let ask = async |client: &Client, addresses| {
            let part = CheckRequest {
                addresses,
                ..request.clone()
            };
            client.check(&part).await
        };
        let (is_first, drops) = (Cell::new(true), Cell::new(false));
        let show = |checks: &Vec<Check>, session: &mut Session<'_>| {
            drops.set(drops.get() || checks.iter().any(is_dropped));
            let titled = is_first.replace(false);
            session.show(checks, |checks, view| render_lines(checks, titled, view))?;
            Ok(session.output.flush()?)
        };
        let how = How {
            reading: args.text.reading(),
            all: None,
            // It changes nothing.
            force: true,
        };
        let read = lines::stream(how, session, ask, show).await?;
        return Ok(if read == OK { code(drops.get()) } else { read });
    }
    let checks = session.client.check(&request).await?;
    session.show(&checks, |checks, view| {
        if checks.len() > PARAGRAPHS {
            render_lines(checks, true, view)
        } else {
            render(checks, view)
        }
    })?;
    session.output.flush()?;
    session.note_mapped(&request.addresses);
    Ok(code(checks.iter().any(is_dropped)))
}

fn is_dropped(check: &Check) -> bool {
    check.verdict.is_some_and(Action::drops)
}
