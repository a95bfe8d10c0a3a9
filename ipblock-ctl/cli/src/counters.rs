//! `counters`.

use std::time::Duration;

use clap::Args;
use ipblock_api::types::Counters;
use ipblock_output::{
    View,
    counters::{Earlier, render, render_rates},
    stream::terminal_size,
    time::{clock, span},
};
use ipblock_policy::duration;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{
    block::print_block,
    error::{CliError, OK},
    outage::{Outage, is_passing},
    session::Session,
};

/// Show hits of each rule, and totals
///
/// With --watch also what came a second since the look before, until Ctrl-C: in place on a terminal,
/// elsewhere one block after the other, and with --json one object a line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl counters
  ipblock-ctl counters --watch --interval 5s
  ipblock-ctl counters --watch --json >> counters.jsonl")]
pub(crate) struct CountersArgs {
    /// Go on, with rates
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

/// Counters at one time, as a line of JSON.
#[derive(Serialize)]
struct Reading<'a> {
    /// The time.
    time: Timestamp,
    #[serde(flatten)]
    counters: &'a Counters,
}

pub(crate) fn parse_interval(text: &str) -> Result<u64, String> {
    duration::whole_seconds(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(args: &CountersArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    if args.watch {
        return watch(args.interval.unwrap_or(1), session).await;
    }
    let counters = session.client.counters().await?;
    session.show(&counters, render)?;
    Ok(OK)
}

async fn watch(interval: u64, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut before: Option<(Counters, Instant)> = None;
    let mut outage = Outage::default();
    let mut rows_above = 0;
    loop {
        let asked = Instant::now();
        match session.client.counters().await {
            Ok(counters) => {
                let looked = Instant::now();
                outage.is_over(session);
                let earlier = before.as_ref().map(|(counters, at)| Earlier {
                    counters,
                    elapsed: looked - *at,
                });
                rows_above = print(&counters, earlier, interval, rows_above, session)?;
                before = Some((counters, looked));
            }
            // An error at the first read more likely means a wrong name than an unavailable daemon.
            Err(error) if before.is_some() && is_passing(&error) => {
                outage.goes_on(&error.to_string(), session);
                // The screen now has more than the block.
                rows_above = 0;
            }
            Err(error) => return Err(error.into()),
        }
        sleep_until(asked + Duration::from_secs(interval)).await;
    }
}

/// Prints one reading. On a terminal it replaces the previous one of `rows_above` rows. Returns its
/// number of rows.
fn print(
    counters: &Counters,
    earlier: Option<Earlier<'_>>,
    interval: u64,
    rows_above: usize,
    session: &mut Session<'_>,
) -> Result<usize, CliError> {
    let output = &mut *session.output;
    let time = Timestamp::now();
    if output.is_json() {
        output.json_line(&Reading { time, counters })?;
        output.flush()?;
        return Ok(0);
    }
    let size = terminal_size();
    let view = View {
        now: time,
        width: size.map_or(output.view().width, |(width, _)| width),
        ..output.view().clone()
    };
    let block = format!(
        "{}, every {}\n{}",
        clock(time, &view.time_zone),
        span(interval),
        render_rates(counters, earlier, &view)
    );
    let above = earlier.map(|_| rows_above);
    Ok(print_block(&block, "ipblock-ctl counters", above, output)?)
}
