//! `top`.

use std::time::Duration;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use ipblock_api::types::{TopBy, TopInfo, TopQuery};
use ipblock_output::{
    View,
    stream::terminal_size,
    time::{clock, span},
    top::{BOUND, render},
};
use ipblock_policy::RuleName;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{
    arguments::limit,
    block::print_block,
    counters::parse_interval,
    error::{CliError, OK},
    outage::{Outage, is_passing},
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
  ipblock-ctl top --by bytes --limit 5
  ipblock-ctl top --rule scanners --by-prefix 24,64
  ipblock-ctl top --watch")]
pub(crate) struct TopArgs {
    /// What counts
    #[arg(long, value_name = "WHAT", default_value = "packets", value_parser = by_parser())]
    by: TopBy,
    /// Show at most N sources
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = limit)]
    limit: u32,
    /// Only hits of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<RuleName>,
    /// Add up the sources of each prefix: the length for IPv4, and that for IPv6 [default: 64]
    #[arg(long, value_name = "24,64", value_parser = prefix_lengths)]
    by_prefix: Option<(u8, u8)>,
    /// Go on until Ctrl-C: in place on a terminal, with --json one object a line
    #[arg(long, short)]
    watch: bool,
    /// How often to look: 1s, 5s, 1m; 1s unless said otherwise
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_interval,
        allow_hyphen_values = true,
        requires = "watch"
    )]
    interval: Option<u64>,
}

/// The sources at one time, as a line of JSON.
#[derive(Serialize)]
struct Reading<'a> {
    time: Timestamp,
    top: &'a [TopInfo],
}

fn by_parser() -> impl TypedValueParser<Value = TopBy> {
    PossibleValuesParser::new(TopBy::ALL.map(TopBy::as_str)).try_map(|text| text.parse::<TopBy>())
}

/// Parses `24` or `24,64`.
fn prefix_lengths(text: &str) -> Result<(u8, u8), String> {
    let (v4, v6) = text.split_once(',').unwrap_or((text, "64"));
    let length = |text: &str, most| {
        let length = text.trim().parse().ok();
        length.filter(|length: &u8| *length <= most)
    };
    let lengths = length(v4, 32).zip(length(v6, 128));
    lengths.ok_or_else(|| "write two prefix lengths, for IPv4 and for IPv6, as in 24,64".to_owned())
}

pub(crate) async fn run(args: &TopArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let query = TopQuery {
        by: args.by,
        limit: Some(args.limit),
        rule: args.rule.as_ref().map(ToString::to_string),
        v4_prefix: args.by_prefix.map(|(v4, _)| v4),
        v6_prefix: args.by_prefix.map(|(_, v6)| v6),
    };
    if args.watch {
        return watch(&query, args.interval.unwrap_or(1), session).await;
    }
    let top = session.client.top(&query).await?;
    if top.is_empty() {
        if session.output.is_json() {
            session.show(&top, |_, _| String::new())?;
        }
        session.note(&nothing(&query));
        return Ok(OK);
    }
    session.show(&top, |top, view| render(top, view))?;
    session.note(BOUND);
    Ok(OK)
}

fn nothing(query: &TopQuery) -> String {
    match &query.rule {
        Some(rule) => format!("no source has hit rule {rule}"),
        None => "no source has hit a rule or a ban".to_owned(),
    }
}

async fn watch(query: &TopQuery, interval: u64, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut outage = Outage::default();
    let mut rows_above = None;
    loop {
        let asked = Instant::now();
        match session.client.top(query).await {
            Ok(top) => {
                outage.is_over(session);
                rows_above = Some(print(&top, query, interval, rows_above, session)?);
            }
            Err(error) if rows_above.is_some() && is_passing(&error) => {
                outage.goes_on(&error.to_string(), session);
                // The screen now has more than the block.
                rows_above = Some(0);
            }
            Err(error) => return Err(error.into()),
        }
        sleep_until(asked + Duration::from_secs(interval)).await;
    }
}

fn print(
    top: &[TopInfo],
    query: &TopQuery,
    interval: u64,
    rows_above: Option<usize>,
    session: &mut Session<'_>,
) -> Result<usize, CliError> {
    let output = &mut *session.output;
    let time = Timestamp::now();
    if output.is_json() {
        output.json_line(&Reading { time, top })?;
        output.flush()?;
        return Ok(0);
    }
    let view = View {
        now: time,
        width: terminal_size().map_or(output.view().width, |(width, _)| width),
        ..output.view().clone()
    };
    let table = if top.is_empty() {
        format!("{}\n", nothing(query))
    } else {
        render(top, &view)
    };
    let block = format!(
        "{}, every {}\n{table}",
        clock(time, &view.time_zone),
        span(interval)
    );
    Ok(print_block(&block, "ipblock-ctl top", rows_above, output)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_prefixes_are_one_or_two_numbers() {
        assert_eq!(prefix_lengths("24"), Ok((24, 64)));
        assert_eq!(prefix_lengths("16, 48"), Ok((16, 48)));
        for text in ["", "33", "24,129", "24,64,1", "a", "-1"] {
            assert!(prefix_lengths(text).is_err(), "{text}");
        }
    }
}
