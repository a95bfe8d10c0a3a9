//! `unban`.

use std::io;

use clap::Args;
use ipblock_api::{
    client::Client,
    types::{UnbanRequest, Unbanned},
};
use ipblock_output::{bans::render_unbanned, number::counted};

use super::{
    arguments::{Addresses, each, unbanned_addresses},
    ban_filter::{FilterArgs, selected},
    error::{CliError, OK},
    extracted::TextArgs,
    line_reader::from_input,
    lines::{self, How},
    prompt::choose,
    session::{Session, somebody_is_there},
};

/// End bans at once
///
/// Each prefix is named as it was banned. The bans of all origins end, unless --origin, --reason or
/// --by selects some. What is not banned is said so and is no error; so is what another ban still
/// covers.
///
/// --all ends the selected bans of every address. On a terminal it says how many they are, and asks.
///
/// With `-` addresses are read as they come, as `ban -` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl unban 192.0.2.7
  ipblock-ctl unban 192.0.2.7 --origin fail2ban/sshd
  ipblock-ctl unban --origin fail2ban/sshd --all
  ipblock-ctl unban 203.0.113.0/24 --inside
  ipblock-ctl unban - < addresses.txt")]
pub(crate) struct UnbanArgs {
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(
        value_name = "A",
        required_unless_present = "all",
        conflicts_with = "all",
        value_parser = unbanned_addresses
    )]
    addresses: Vec<Addresses>,
    /// Also end the bans inside of the prefixes
    #[arg(long, conflicts_with = "all")]
    inside: bool,
    /// End the bans of every address that --origin, --reason or --by selects
    #[arg(long, requires = "filter")]
    all: bool,
    #[command(flatten)]
    only: FilterArgs,
    #[command(flatten)]
    text: TextArgs,
}

pub(crate) async fn run(args: UnbanArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = UnbanRequest {
        addresses: each(args.addresses)?,
        inside: args.inside,
        all: args.all,
        only: args.only.into(),
        dry_run: false,
    };
    args.text.check(&request.addresses)?;
    if from_input(&request.addresses)? {
        let ask = async |client: &Client, addresses| {
            let part = UnbanRequest {
                addresses,
                ..request.clone()
            };
            client.unban(&part).await
        };
        // `unban` never needs force.
        let selected = selected(&request.only);
        let show =
            |unbanned: &Unbanned, session: &mut Session<'_>| show(unbanned, &selected, session);
        let how = How {
            reading: args.text.reading(),
            all: None,
            force: true,
        };
        return lines::stream(how, session, ask, show).await;
    }
    if request.all && !is_meant(&request, session).await? {
        session.note("nothing was changed");
        return Ok(OK);
    }
    let unbanned = session.client.unban(&request).await?;
    show(&unbanned, &selected(&request.only), session)?;
    session.note_mapped(&request.addresses);
    Ok(OK)
}

/// Asks on a terminal whether that many bans are to end.
async fn is_meant(request: &UnbanRequest, session: &mut Session<'_>) -> Result<bool, CliError> {
    if !somebody_is_there() {
        return Ok(true);
    }
    let look = UnbanRequest {
        dry_run: true,
        ..request.clone()
    };
    let count = session.client.unban(&look).await?.removed;
    if count == 0 {
        return Ok(true);
    }
    let bans = counted(count, "ban", "bans");
    let question = format!("This ends {bans}{}. Go on? [y/n]", selected(&request.only));
    let answer = choose(
        &mut io::stdin().lock(),
        &mut io::stderr(),
        &question,
        &["y", "n"],
    )?;
    Ok(answer == Some("y"))
}

fn show(unbanned: &Unbanned, selected: &str, session: &mut Session<'_>) -> Result<(), CliError> {
    session.show(unbanned, |unbanned, _| render_unbanned(unbanned, selected))?;
    Ok(session.output.flush()?)
}
