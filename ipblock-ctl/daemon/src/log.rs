//! The daemon's log: to the journal with fields, to standard error as text or as JSON.
//!
//! Two targets are separate, so that they can be selected or filtered. `audit` (INFO) is the audit
//! trail, from the code that records it in the store. `alert` (WARN) has one event per alert, from
//! the log sink. The target of every other event is its module, which text does not show.

use std::{
    io::{self, IsTerminal as _},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
};

use ipblock_datapath::kernel_log;
use ipblock_policy::text::printable;
use tracing::{Metadata, field::Field};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::MakeExt as _,
    filter::filter_fn,
    fmt::{self, MakeWriter, format::Writer},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::settings::{LogFormat, Settings};

/// Targets that text shows.
const APART: [&str; 2] = ["audit", "alert"];

/// The variable in which systemd identifies the file behind standard error.
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// A layer below the filter.
type Output = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts the log of this process. `IPBLOCK_LOG` selects what is logged, if set.
pub fn start(settings: &Settings) {
    let unless_set = match settings.bpf_log {
        kernel_log::Level::Off => "info",
        // The program's records have this level, and the name of its crate as their target.
        kernel_log::Level::Debug => "info,ipblock=debug",
    };
    let filter =
        EnvFilter::try_from_env("IPBLOCK_LOG").unwrap_or_else(|_| EnvFilter::new(unless_set));
    let output = match settings.log_format {
        LogFormat::Auto => journal().unwrap_or_else(text),
        LogFormat::Text => text(),
        LogFormat::Json => json(),
    };
    tracing_subscriber::registry()
        .with(output)
        .with(filter)
        .init();
}

/// Returns the journal, if standard error leads there and it can be reached.
fn journal() -> Option<Output> {
    let stream = std::env::var(JOURNAL_STREAM).ok()?;
    let stderr = io::stderr().as_fd().try_clone_to_owned().ok()?;
    let stderr = std::fs::File::from(stderr).metadata().ok()?;
    if !is_stream(&stream, stderr.dev(), stderr.ino()) {
        return None;
    }
    let journal = tracing_journald::layer().ok()?;
    let levels = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    };
    let journal = journal
        .with_syslog_identifier("ipblockd".to_owned())
        .with_field_prefix(Some("IPBLOCK".to_owned()))
        .with_priority_mappings(levels);
    Some(journal.boxed())
}

/// Whether `JOURNAL_STREAM` identifies this file (systemd.exec(5)).
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

/// Lines for people.
fn text() -> Output {
    text_to(io::stderr, io::stderr().is_terminal())
}

fn text_to<W>(writer: W, colour: bool) -> Output
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let lines = || {
        fmt::layer()
            .with_writer(writer.clone())
            .with_ansi(colour)
            .fmt_fields(fmt::format::debug_fn(field).delimited(" "))
    };
    let apart = lines().with_filter(filter_fn(is_apart));
    let ordinary = lines()
        .with_target(false)
        .with_filter(filter_fn(|event| !is_apart(event)));
    apart.and_then(ordinary).boxed()
}

/// Writes a field, or the message of an event. Values come from outside: the name of an interface,
/// a note, an answer of another program.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", printable(&value)),
        name => write!(writer, "{name}={}", printable(&value)),
    }
}

fn is_apart(event: &Metadata<'_>) -> bool {
    APART.contains(&event.target())
}

/// Writes one JSON object per line, with the fields of the event next to its time, level and
/// target.
fn json() -> Output {
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stderr)
        .boxed()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        sync::{Arc, Mutex},
    };

    use tracing::{debug, info, warn};

    use super::*;

    /// Returns the lines of the text log without their times.
    fn logged(what: impl FnOnce()) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(Mutex::new(File::create(file.path()).unwrap()));
        let open = move || writer.lock().unwrap().try_clone().unwrap();
        let log = tracing_subscriber::registry()
            .with(text_to(open, false))
            .with(EnvFilter::new("info"));
        tracing::subscriber::with_default(log, what);
        let text = fs::read_to_string(file.path()).unwrap();
        let lines = text
            .lines()
            .map(|line| line.split_once(' ').unwrap().1.to_owned());
        lines.collect()
    }

    #[test]
    fn text_shows_the_targets_that_stand_apart_and_no_others() {
        let lines = logged(|| {
            info!(revision = 7, "deployed");
            info!(target: "audit", what = "deploy", "deploy by uid 0");
            debug!(target: "audit", "not this one");
            warn!(target: "alert", packets = 1, "192.0.2.1 hit scan");
        });
        assert_eq!(
            lines,
            [
                " INFO deployed revision=7",
                " INFO audit: deploy by uid 0 what=\"deploy\"",
                " WARN alert: 192.0.2.1 hit scan packets=1",
            ]
        );
    }

    #[test]
    fn text_from_outside_neither_steers_a_terminal_nor_begins_a_line() {
        let log = logged(|| {
            let interface = "e\u{1b}[31m\u{202e}\n0";
            warn!(%interface, name = interface, "{interface} is down");
        });
        assert_eq!(
            log,
            [
                " WARN e\\u{1b}[31m\\u{202e}\\n0 is down interface=e\\u{1b}[31m\\u{202e}\\n0 \
                 name=\"e\\u{1b}[31m\\u{202e}\\n0\""
            ]
        );
    }

    #[test]
    fn standard_error_is_the_journal_only_when_it_is_the_very_file() {
        assert!(is_stream("8:1234", 8, 1234));
        assert!(!is_stream("8:1234", 8, 12));
        assert!(!is_stream("8:1234", 9, 1234));
        assert!(!is_stream("", 8, 1234));
    }
}
