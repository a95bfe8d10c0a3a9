//! `top`.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use ipblock_api::types::{TopBy, TopQuery};
use ipblock_output::top::{BOUND, render};

use super::{
    arguments::limit,
    error::{CliError, OK},
    session::Session,
};

/// List the sources that hit rules or bans, most first
///
/// The kernel keeps the 65,536 sources that hit last, over all zones; one that made room for another
/// starts anew. Counts are exact up to 64 hits in a tick of a CPU (1 to 10 ms), and estimates beyond.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl top
  ipblock-ctl top --by bytes --limit 5")]
pub(crate) struct TopArgs {
    /// What counts
    #[arg(long, value_name = "WHAT", default_value = "packets", value_parser = by_parser())]
    by: TopBy,
    /// Show at most N sources
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = limit)]
    limit: u32,
}

fn by_parser() -> impl TypedValueParser<Value = TopBy> {
    PossibleValuesParser::new(TopBy::ALL.map(TopBy::as_str)).try_map(|text| text.parse::<TopBy>())
}

pub(crate) async fn run(args: &TopArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let query = TopQuery {
        by: args.by,
        limit: Some(args.limit),
    };
    let top = session.client.top(&query).await?;
    if top.is_empty() {
        if session.output.is_json() {
            session.show(&top, |_, _| String::new())?;
        }
        session.note("no source has hit a rule or a ban");
        return Ok(OK);
    }
    session.show(&top, |top, view| render(top, view))?;
    session.note(BOUND);
    Ok(OK)
}
