//! `alerts`.

use std::{io, time::Duration};

use clap::Args;
use ipblock_api::types::{AlertInfo, AlertQuery, Alerts};
use ipblock_output::{
    alerts::{Columns, render},
    number::counted,
    stream::{nobody_reads, terminal_size},
};
use ipblock_policy::RuleName;
use tokio::time::{Instant, interval, sleep, timeout};

use super::{
    arguments::address,
    error::{CliError, OK},
    outage::{Outage, RETRY, is_passing},
    session::Session,
    since::{Since, parse_since},
};

/// The daemon's default number of alerts.
const DEFAULT_LIMIT: u32 = 1000;
/// Alerts that are shown before the wait for new ones.
const BEFORE_NEW_ONES: u32 = 10;
/// The daemon's maximum number of alerts.
const MAX_LIMIT: u32 = 100_000;
/// How long the daemon waits for a new alert before it answers without one, in seconds.
const WAIT: u64 = 20;
/// A daemon that takes longer counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(WAIT + 25);
/// How often to check whether standard output still has a reader.
const LOOK: Duration = Duration::from_secs(1);

/// Show what hit rules that alert, oldest first
///
/// Warn rules alert, and so do block rules with --alert: at the first packet of a source in a window,
/// and at its end when there were more, which is then told with their number.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl alerts --since 2h
  ipblock-ctl alerts --rule scanners --source 203.0.113.0/24
  ipblock-ctl alerts --follow
  ipblock-ctl alerts --follow --json | jq .source     # one object a line")]
pub(crate) struct AlertsArgs {
    /// No older ones: 30m, 2h, 7d, "2026-12-01 18:00" (local time), 2026-12-01T18:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_since)]
    since: Option<Since>,
    /// Those of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<RuleName>,
    /// Those of sources in this address, prefix or range FROM-TO
    #[arg(long, value_name = "A", value_parser = address)]
    source: Option<String>,
    /// Show at most N of the newest alerts [default: 1000; 10 with --follow]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_LIMIT.into()))]
    limit: Option<u32>,
    /// Go on with new ones as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

impl AlertsArgs {
    fn query(&self) -> AlertQuery {
        AlertQuery {
            since: self.since.as_ref().map(|since| since.at),
            rule: self.rule.as_ref().map(ToString::to_string),
            source: self.source.clone(),
            limit: self.limit,
            ..AlertQuery::default()
        }
    }
}

pub(crate) async fn run(args: &AlertsArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    if let Some(reading) = args
        .since
        .as_ref()
        .and_then(|since| since.reading.as_deref())
    {
        session.note(reading);
    }
    if args.follow {
        return follow(args, session).await;
    }
    let Alerts { alerts, .. } = session.client.alerts(&args.query()).await?;
    if alerts.is_empty() {
        session.note(&nothing(args));
    } else if session.output.is_json() {
        print_lines(&alerts, session)?;
    } else {
        session.show(&alerts, |alerts, view| render(alerts, view))?;
    }
    if args.limit.is_none() && alerts.len() as u64 >= u64::from(DEFAULT_LIMIT) {
        let shown = counted(alerts.len() as u64, "alert", "alerts");
        session.note(&format!("the newest {shown}: --limit shows more"));
    }
    Ok(OK)
}

fn nothing(args: &AlertsArgs) -> String {
    let rule = args.rule.as_ref().map(|rule| format!(" of rule {rule}"));
    let source = args.source.as_ref().map(|source| format!(" from {source}"));
    let since = args
        .since
        .as_ref()
        .map(|since| format!(" since {:.0}", since.at));
    let limits = [rule, source, since].into_iter().flatten();
    format!("no alerts{}", limits.collect::<String>())
}

fn print_lines(alerts: &[AlertInfo], session: &mut Session<'_>) -> Result<(), CliError> {
    for alert in alerts {
        session.output.json_line(alert)?;
    }
    Ok(())
}

/// Prints the existing alerts, then each new one.
async fn follow(args: &AlertsArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut query = args.query();
    if query.limit.is_none() {
        query.limit = Some(match query.since {
            Some(_) => MAX_LIMIT,
            None => BEFORE_NEW_ONES,
        });
    }
    let columns = Columns::stream(terminal_size().map(|(width, _)| width));
    let before = session.client.alerts(&query).await?;
    if !session.output.is_json() {
        let titles = columns.titles(session.output.view());
        session.output.raw(titles.as_bytes())?;
    }
    if before.alerts.is_empty() {
        // A mistyped name of a rule has no other visible effect.
        session.note(&format!("{}; waiting for new ones", nothing(args)));
    }
    print_now(&before.alerts, &columns, session)?;
    let mut query = AlertQuery {
        after: Some(before.last),
        wait: Some(WAIT),
        since: None,
        limit: None,
        ..query
    };
    let mut outage = Outage::default();
    loop {
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = timeout(PATIENCE, session.client.alerts(&query)) => answer,
            () = wait_until_nobody_reads() => {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
        };
        match answer {
            Ok(Ok(new)) => {
                outage.is_over(session);
                print_now(&new.alerts, &columns, session)?;
                // Even if it is smaller: a restored store numbers from its own last id.
                query.after = Some(new.last);
                // Prevents a busy loop if the daemon does not wait.
                if !new.alerts.is_empty() || asked.elapsed() > RETRY {
                    continue;
                }
            }
            Ok(Err(error)) if !is_passing(&error) => return Err(error.into()),
            Ok(Err(error)) => outage.goes_on(&error.to_string(), session),
            Err(_elapsed) => outage.goes_on("ipblockd does not answer", session),
        }
        sleep(RETRY).await;
    }
}

fn print_now(
    alerts: &[AlertInfo],
    columns: &Columns,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    if session.output.is_json() {
        print_lines(alerts, session)?;
    } else {
        for alert in alerts {
            let row = columns.row(alert, session.output.view());
            session.output.raw(row.as_bytes())?;
        }
    }
    Ok(session.output.flush()?)
}

/// Without this, a closed pipe would be noticed only at the next alert, perhaps much later.
async fn wait_until_nobody_reads() {
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        if nobody_reads() {
            return;
        }
    }
}
