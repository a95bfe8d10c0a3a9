//! `panic-off`: it must work without the daemon, so it talks to the kernel directly.

use std::path::{Path, PathBuf};

use clap::Args;
use ipblock_api::{
    client::ClientError,
    error::{ApiError, ErrorKind},
};
use ipblock_datapath::{DatapathError, PanicOff, PinDirectory, clock::Now};
use ipblock_output::{
    Output,
    panic_off::{CalledOff, render},
};
use ipblock_policy::Diagnostic;
use jiff::{SignedDuration, Timestamp};
use nix::unistd::geteuid;

use super::{
    bpffs::BpffsOption,
    error::{CliError, OK},
    expiry::parse_duration,
};

/// From this number of seconds on, `--force` is needed: a host must not be forgotten like this.
const LONG: u64 = 24 * 60 * 60;

/// Stop all dropping at once, for a while
///
/// From the next packet on everything passes, in all zones, also when the daemon is dead. Dropping
/// begins again by itself. Rules and bans stay as they are, and go on counting what they match. Needs
/// root. Where several daemons pin, all of them are meant, unless --bpffs names one.
#[derive(Debug, Args)]
pub(crate) struct PanicOffArgs {
    /// For how long: 90s, 15m, 2h
    #[arg(
        long = "for",
        value_name = "DURATION",
        value_parser = parse_duration,
        allow_hyphen_values = true,
        default_value = "10m"
    )]
    duration: u64,
    /// Allow more than a day
    #[arg(long)]
    force: bool,
    /// Drop again at once
    #[arg(long, conflicts_with = "duration")]
    end: bool,
    #[command(flatten)]
    place: BpffsOption,
}

pub(crate) fn run(args: &PanicOffArgs, output: &mut Output) -> Result<u8, CliError> {
    if !geteuid().is_root() {
        return Err(CliError::NeedsRoot { what: "panic-off" });
    }
    if args.duration > LONG && !args.force && !args.end {
        let days = args.duration.div_ceil(LONG);
        let message = format!("nothing would be dropped for {days} days");
        let refused = ApiError::new(ErrorKind::Conflict, message);
        let hint = "give at most --for 24h and repeat it when it is needed longer, or pass --force";
        return Err(ClientError::Api(refused.with_hint(hint)).into());
    }
    let now = Now::read();
    let until = (!args.end).then(|| end_of(args.duration, now.wall));
    let until_ns = until.map_or(0, |end| now.deadline_ns(end));
    call_off(args.place.everywhere(), until_ns)
        .map_err(|error| CliError::Kernel(Diagnostic::of(&error)))?;
    output.show(&CalledOff { until }, render)?;
    Ok(OK)
}

/// Saturates at the end of the calendar.
fn end_of(seconds: u64, now: Timestamp) -> Timestamp {
    let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// Disables dropping in every filter that is pinned at one of these places. An error at one place
/// does not affect the others.
fn call_off(places: Vec<PathBuf>, until_ns: u64) -> Result<(), DatapathError> {
    let mut told = 0;
    let mut failed = None;
    for place in &places {
        match tell(place, until_ns) {
            Ok(filters) => told += filters,
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(error),
        None if told == 0 => Err(DatapathError::NoFilter { places }),
        None => Ok(()),
    }
}

/// Returns the number of filters pinned there, which have all been set.
fn tell(bpffs: &Path, until_ns: u64) -> Result<usize, DatapathError> {
    let mut filters = PanicOff::all(&PinDirectory::at(bpffs)?)?;
    for filter in &mut filters {
        filter.set(until_ns)?;
    }
    Ok(filters.len())
}
