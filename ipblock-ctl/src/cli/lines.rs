//! Addresses from standard input, one a line, in batches as they come.

use std::{
    io::{self, BufRead, Read as _},
    thread,
    time::Duration,
};

use ipnet::IpNet;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{error::CliError, session::Session};
use crate::{
    api::{
        client::ClientError,
        error::{ErrorKind, Needs},
    },
    policy::{
        At,
        address::{covered_family, parse_elements},
        amount::Sum,
    },
};

/// Lines of one request at most.
const BATCH: usize = 5_000;
/// How long a complete line waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes of a line that are looked at: more than the longest range of IPv6 addresses.
const MAX_LINE: u64 = 4096;

/// The argument that stands for standard input.
const INPUT: &str = "-";

/// Whether addresses come from standard input.
pub(crate) fn from_input(arguments: &[String]) -> Result<bool, CliError> {
    if arguments.len() > 1 && arguments.iter().any(|argument| argument == INPUT) {
        return Err(CliError::Usage {
            message: "`-` stands alone: addresses come from standard input or from arguments"
                .to_owned(),
            hint: "leave the other addresses out, or the `-`".to_owned(),
        });
    }
    Ok(arguments.first().is_some_and(|argument| argument == INPUT))
}

/// An address and the line that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    number: u64,
    address: String,
}

/// The addresses of lines.
pub(crate) fn addresses(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.address.clone()).collect()
}

/// Standard input, read on a thread of its own: nothing else can wait for a pipe and a clock.
pub(crate) struct Lines {
    lines: mpsc::Receiver<io::Result<Line>>,
    all_good: bool,
}

impl Lines {
    pub(crate) fn of_standard_input() -> Self {
        let (sender, lines) = mpsc::channel(BATCH);
        // It ends with its input, or with the process.
        thread::spawn(move || {
            read(io::stdin().lock(), |line| {
                sender.blocking_send(line).is_ok()
            });
        });
        Self {
            lines,
            all_good: true,
        }
    }

    /// Whether every line so far was taken.
    pub(crate) fn all_good(&self) -> bool {
        self.all_good
    }

    /// What is there once something is; `None` at the end.
    pub(crate) async fn batch(
        &mut self,
        session: &mut Session<'_>,
    ) -> Result<Option<Vec<Line>>, CliError> {
        let failed = |source| CliError::File {
            verb: "read",
            path: INPUT.into(),
            source,
        };
        session.output.flush()?;
        let Some(first) = self.lines.recv().await else {
            return Ok(None);
        };
        let mut batch = vec![first.map_err(failed)?];
        let deadline = Instant::now() + GATHER;
        while batch.len() < BATCH
            && let Ok(Some(line)) = timeout_at(deadline, self.lines.recv()).await
        {
            batch.push(line.map_err(failed)?);
        }
        Ok(Some(batch))
    }

    /// The lines that hold addresses; the others are told. Together they never are all addresses of
    /// a family, unless that is forced.
    pub(crate) fn sound(
        &mut self,
        mut batch: Vec<Line>,
        force: bool,
        session: &mut Session<'_>,
    ) -> Vec<Line> {
        let mut prefixes = Vec::new();
        batch.retain(|line| match parse_elements(&line.address) {
            Ok(elements) => {
                prefixes.extend(elements.iter().filter_map(below_a_family));
                true
            }
            Err(error) => {
                let message = format!("line {}: {error}", line.number);
                session.output.report(&message, error.hint.as_deref());
                self.all_good = false;
                false
            }
        });
        // One line with all of them is refused by the daemon, and told by its number.
        if !force && let Some(family) = covered_family(|| prefixes.iter().copied()) {
            let number = |line: Option<&Line>| line.map_or(0, |line| line.number);
            let message = format!(
                "lines {} to {}: together they are {family}, and none of them was sent",
                number(batch.first()),
                number(batch.last())
            );
            session
                .output
                .report(&message, Some("pass --force if that is meant"));
            self.all_good = false;
            return Vec::new();
        }
        batch
    }

    /// What to send in the place of refused lines: its halves, so that one bad line does not keep the
    /// others; a single line is told.
    pub(crate) fn refused(
        &mut self,
        mut lines: Vec<Line>,
        error: ClientError,
        session: &mut Session<'_>,
    ) -> Result<Vec<Vec<Line>>, CliError> {
        let first = lines.first().map_or(0, |line| line.number);
        let by_content = matches!(&error, ClientError::Api(error) if matches!(
            error.kind,
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict
        ));
        if !by_content {
            session.note(&format!(
                "line {first} and all after it were not carried out"
            ));
            return Err(error.into());
        }
        let is_sum = matches!(&error, ClientError::Api(error) if error.needs == Some(Needs::Wide));
        if lines.len() > 1 && is_sum && !lines.iter().any(is_wide) {
            let last = lines.last().map_or(0, |line| line.number);
            let message = format!("lines {first} to {last}: {error}; none of them was banned");
            session.output.report(&message, error.hint().as_deref());
            self.all_good = false;
            return Ok(Vec::new());
        }
        if lines.len() > 1 {
            let second = lines.split_off(lines.len() / 2);
            // The last is taken first.
            return Ok(vec![second, lines]);
        }
        let message = format!("line {first}: {error}");
        session.output.report(&message, error.hint().as_deref());
        self.all_good = false;
        Ok(Vec::new())
    }
}

/// Whether a line alone is too much to ban unasked. Lists are not looked into.
fn is_wide(line: &Line) -> bool {
    let elements = parse_elements(&line.address)
        .unwrap_or_default()
        .into_iter();
    let prefixes = elements.filter_map(|element| match element {
        At::Prefix(prefix) => Some(prefix),
        At::List(_) => None,
    });
    Sum::of_prefixes(prefixes).is_wide()
}

fn below_a_family(element: &At) -> Option<IpNet> {
    match element {
        At::Prefix(prefix) => Some(*prefix).filter(|prefix| prefix.prefix_len() > 0),
        At::List(_) => None,
    }
}

/// Hands over the first field of each line until the input ends or nobody takes it.
fn read(mut input: impl BufRead, mut take: impl FnMut(io::Result<Line>) -> bool) {
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        number += 1;
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                take(Err(error));
                return;
            }
        }
        if bytes.last() != Some(&b'\n')
            && let Err(error) = input.skip_until(b'\n')
        {
            take(Err(error));
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some(address) = text.split_whitespace().next() else {
            continue;
        };
        let line = Line {
            number,
            address: address.to_owned(),
        };
        if !address.starts_with('#') && !take(Ok(line)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        read(text, |line| {
            let line = line.expect("a line");
            lines.push((line.number, line.address));
            true
        });
        lines
    }

    #[test]
    fn the_first_field_of_each_line_is_its_address() {
        let text = b"192.0.2.1\n\n  # a comment\n192.0.2.2 scan\t3 times\r\n\t2001:db8::1";
        let expected = [(1, "192.0.2.1"), (4, "192.0.2.2"), (5, "2001:db8::1")];
        assert_eq!(
            lines_of(text),
            expected.map(|(number, address)| (number, address.to_owned()))
        );
    }

    #[test]
    fn an_endless_line_is_one_line() {
        let text = format!("192.0.2.1 {}\n192.0.2.2\n", "x".repeat(100_000));
        let expected = [(1, "192.0.2.1".to_owned()), (2, "192.0.2.2".to_owned())];
        assert_eq!(lines_of(text.as_bytes()), expected);
    }

    #[test]
    fn input_is_one_argument_alone() {
        let arguments = |list: &[&str]| -> Vec<String> {
            list.iter().map(|&argument| argument.to_owned()).collect()
        };
        assert!(from_input(&arguments(&["-"])).expect("alone"));
        assert!(!from_input(&arguments(&["192.0.2.1"])).expect("no input"));
        assert!(from_input(&arguments(&["192.0.2.1", "-"])).is_err());
    }
}
