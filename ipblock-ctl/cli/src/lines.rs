//! Addresses from standard input, in batches as they arrive.

use std::{
    io::{self, BufRead, Read as _},
    thread,
    time::Duration,
};

use clap::Args;
use ipblock_api::{
    client::{Client, ClientError},
    error::{ErrorKind, Needs},
};
use ipblock_output::view::visible;
use ipblock_policy::{
    At, Diagnostic, Hinted,
    address::{
        AddressError, addresses_in_text, addresses_of_line, covered_family, parse_elements,
        unmarked_note,
    },
    amount::Sum,
    exchange::{ReadError, refuse_binary, unpack_error, unpacked},
};
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use super::{
    capped::Capped,
    error::{BAD_INPUT, CONFLICT, CliError, OK},
    outage::{Outage, RETRY, is_passing},
    session::Session,
};

/// Maximum of addresses per request.
const BATCH: usize = 5_000;
/// How long a complete line waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// Maximum length of a line in bytes; a longer one is rejected, because an address might be
/// truncated.
const MAX_LINE: u64 = 64 << 10;
/// How long a daemon may be unavailable in the middle of a stream.
const PATIENCE: Duration = Duration::from_mins(5);

const MINUTE: Duration = Duration::from_mins(1);
const REFUSED: &str = "were refused";

/// Some editors write it at the start of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The argument for standard input.
pub(crate) const INPUT: &str = "-";

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

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// One or several addresses a line, and a note.
    Lines,
    /// Any text with addresses in it.
    Text,
}

/// How a stream is read and reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) reading: Reading,
    /// Whether every rejected line is shown, not only the first ones of a minute; `None` if the
    /// command has no flag for that.
    pub(crate) all: Option<bool>,
    /// Whether what is refused for safety is sent.
    pub(crate) force: bool,
}

/// What commands take that read addresses from standard input.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct StreamArgs {
    /// With -, show every refused line, not only the first 20
    #[arg(long)]
    pub(crate) all: bool,
}

/// An address with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    number: u64,
    address: String,
    /// Text after the addresses, at the line's first address.
    note: Option<String>,
}

/// The result of a read: an address, or the error of a line.
type Read = Result<Line, Diagnostic>;

/// Sends the addresses of standard input as they arrive, and shows each answer. Returns the exit
/// code.
///
/// A daemon that has answered once may restart. Then unacknowledged addresses are sent again, which
/// changes nothing if they were handled.
pub(crate) async fn stream<T>(
    how: How,
    session: &mut Session<'_>,
    ask: impl AsyncFn(&Client, Vec<String>) -> Result<T, ClientError>,
    show: impl Fn(&T, &mut Session<'_>) -> Result<(), CliError>,
) -> Result<u8, CliError> {
    let mut lines = Lines::of_standard_input(how);
    while let Some(batch) = lines.batch(session).await? {
        let mut parts = vec![lines.sound(batch, session)];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match lines.sent(&part, session, &ask).await {
                Ok(answer) => {
                    show(&answer, session)?;
                    session.note_mapped(part.iter().map(|line| &line.address));
                }
                Err(error) => parts.extend(lines.refused(part, error, session)?),
            }
        }
    }
    lines.rejected.finish(REFUSED, session.output);
    Ok(lines.exit_code)
}

/// Reads standard input in its own thread, because no other call can wait for both a pipe and a
/// timer.
struct Lines {
    input: mpsc::Receiver<Result<Read, CliError>>,
    how: How,
    rejected: Capped,
    /// When the first of `rejected` was shown.
    rejected_since: Instant,
    /// The exit code of rejections; bad input has priority over a refusal for safety.
    exit_code: u8,
    has_answered: bool,
    has_noted: bool,
    outage: Outage,
}

impl Lines {
    fn of_standard_input(how: How) -> Self {
        let (sender, input) = mpsc::channel(BATCH);
        // It ends with its input, or with the process.
        thread::spawn(move || {
            read(io::stdin().lock(), how.reading, |line| {
                sender.blocking_send(line).is_ok()
            });
        });
        Self {
            input,
            how,
            rejected: Capped::new(how.all),
            rejected_since: Instant::now(),
            exit_code: OK,
            has_answered: false,
            has_noted: false,
            outage: Outage::default(),
        }
    }

    /// Returns what has arrived as soon as there is something; `None` at the end.
    async fn batch(&mut self, session: &mut Session<'_>) -> Result<Option<Vec<Read>>, CliError> {
        session.output.flush()?;
        let Some(first) = self.input.recv().await else {
            return Ok(None);
        };
        let mut batch = vec![first?];
        let deadline = Instant::now() + GATHER;
        while batch.len() < BATCH
            && let Ok(Some(line)) = timeout_at(deadline, self.input.recv()).await
        {
            batch.push(line?);
        }
        Ok(Some(batch))
    }

    /// Returns the addresses of a batch, and reports rejected lines. Unless forced, together they
    /// never cover a whole family.
    fn sound(&mut self, batch: Vec<Read>, session: &mut Session<'_>) -> Vec<Line> {
        let force = self.how.force;
        let mut lines = Vec::with_capacity(batch.len());
        let mut prefixes = Vec::new();
        for read in batch {
            match read.and_then(|line| Ok((elements(&line)?, line))) {
                Ok((elements, line)) => {
                    if let Some(note) = line.note.as_ref().filter(|_| !self.has_noted) {
                        session.note(&format!(
                            "line {}: `{note}` after the addresses is not kept, nor is such text \
                             of other lines; --reason keeps one text for all",
                            line.number
                        ));
                        self.has_noted = true;
                    }
                    prefixes.extend(elements.iter().filter_map(below_a_family));
                    lines.push(line);
                }
                Err(refused) => self.reject(&refused, session),
            }
        }
        // The daemon refuses a line with the whole family, and the error has its number.
        if !force && let Some(family) = covered_family(|| prefixes.iter().copied()) {
            let number = |line: Option<&Line>| line.map_or(0, |line| line.number);
            let message = format!(
                "lines {} to {}: together they are {family}, and none of them was sent",
                number(lines.first()),
                number(lines.last())
            );
            let error = Diagnostic::new(message).with_hint("pass --force if that is meant");
            session.output.report(&error);
            self.refused_with(CONFLICT);
            return Vec::new();
        }
        lines
    }

    /// Reports a rejected line, or a word of a text that is not taken. A stream may last for days, so
    /// the first ones of each minute are shown.
    fn reject(&mut self, refused: &Diagnostic, session: &mut Session<'_>) {
        if self.rejected_since.elapsed() > MINUTE {
            self.rejected.finish(REFUSED, session.output);
            self.rejected_since = Instant::now();
        }
        if self.how.reading == Reading::Text {
            let message = format!("not taken: {refused}");
            self.rejected.note(&message, session.output);
        } else {
            self.rejected.report(refused, session.output);
            self.exit_code = BAD_INPUT;
        }
    }

    /// Sends lines, and repeats that while a daemon that has answered before is unavailable.
    async fn sent<T>(
        &mut self,
        lines: &[Line],
        session: &mut Session<'_>,
        ask: &impl AsyncFn(&Client, Vec<String>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut away_since = None;
        loop {
            let addresses = lines.iter().map(|line| line.address.clone()).collect();
            // A stream lasts for hours; the remaining time of a ban is relative to the request.
            session.output.set_now(Timestamp::now());
            let answer = ask(&session.client, addresses).await;
            let Some(error) = answer.as_ref().err().filter(|error| is_passing(error)) else {
                self.has_answered = true;
                self.outage.is_over(session);
                return answer;
            };
            let since = *away_since.get_or_insert_with(Instant::now);
            if !self.has_answered || since.elapsed() > PATIENCE {
                return answer;
            }
            self.outage.goes_on(&error.to_string(), session);
            sleep(RETRY).await;
        }
    }

    /// Returns what to send instead of refused lines: their halves, so that one bad line does not
    /// block the others. Reports a single line.
    fn refused(
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
            let mut refused = Diagnostic::of(&error).at(format_args!("lines {first} to {last}"));
            refused.message.push_str("; none of them was banned");
            session.output.report(&refused);
            self.refused_with(error.exit_code());
            return Ok(Vec::new());
        }
        if lines.len() > 1 {
            let second = lines.split_off(lines.len() / 2);
            // The last one is sent first.
            return Ok(vec![second, lines]);
        }
        self.rejected
            .report(&refused(first, &error), session.output);
        self.refused_with(error.exit_code());
        Ok(Vec::new())
    }

    fn refused_with(&mut self, exit_code: u8) {
        if self.exit_code != BAD_INPUT {
            self.exit_code = exit_code;
        }
    }
}

/// Whether a single line needs confirmation to be banned. Does not resolve lists.
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

/// Returns the elements of a line's address.
fn elements(line: &Line) -> Result<Vec<At>, Diagnostic> {
    parse_elements(&line.address).map_err(|error| refused(line.number, &error))
}

/// Returns the error for the line with this number.
fn refused(number: u64, error: &dyn Hinted) -> Diagnostic {
    Diagnostic::of(error).at(format_args!("line {number}"))
}

fn below_a_family(element: &At) -> Option<IpNet> {
    match element {
        At::Prefix(prefix) => Some(*prefix).filter(|prefix| prefix.prefix_len() > 0),
        At::List(_) => None,
    }
}

/// Returns the beginning of a note, for a message.
fn shown(note: &str) -> String {
    const SHOWN: usize = 40;
    visible(note).chars().take(SHOWN).collect()
}

/// Passes on the content of each line until the input ends or the receiver is gone. Rejects a bad
/// line completely.
fn read(input: impl BufRead, how: Reading, mut take: impl FnMut(Result<Read, CliError>) -> bool) {
    let failed = |source: io::Error| match source.get_ref() {
        // Damaged gzip data.
        Some(inner) if inner.is::<ReadError>() => {
            let error = unpack_error(source);
            CliError::Usage {
                message: format!("standard input: {error}; the lines before were read"),
                hint: error.hint.unwrap_or_default(),
            }
        }
        _ => CliError::File {
            verb: "read",
            path: INPUT.into(),
            source,
        },
    };
    let mut input = match unpacked(input) {
        Ok(input) => input,
        Err(error) => {
            take(Err(failed(error)));
            return;
        }
    };
    let begin = input.fill_buf().map_err(failed);
    let is_text = begin.and_then(|begin| {
        refuse_binary(begin).map_err(|error| CliError::Usage {
            message: format!("standard input: {error}"),
            hint: error.hint.unwrap_or_default(),
        })
    });
    if let Err(error) = is_text {
        take(Err(error));
        return;
    }
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        number += 1;
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                take(Err(failed(error)));
                return;
            }
        }
        let is_cut = bytes.len() as u64 == MAX_LINE && bytes.last() != Some(&b'\n');
        if is_cut {
            if let Err(error) = input.skip_until(b'\n') {
                take(Err(failed(error)));
                return;
            }
            let error = Diagnostic::new(format!("longer than {MAX_LINE} bytes"))
                .with_hint("write fewer addresses a line");
            if !take(Ok(Err(refused(number, &error)))) {
                return;
            }
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        if how == Reading::Text {
            let goes_on = addresses_in_text(text).into_iter().all(|found| {
                let found = found.map_err(|error| refused(number, &error));
                take(Ok(found.map(|address| Line {
                    number,
                    address,
                    note: None,
                })))
            });
            if !goes_on {
                return;
            }
            continue;
        }
        let pieces: Result<Vec<_>, AddressError> = addresses_of_line(text).into_iter().collect();
        let goes_on = match pieces {
            Err(error) => take(Ok(Err(refused(number, &error)))),
            Ok(pieces) => {
                let mut note = unmarked_note(text).map(shown);
                pieces.into_iter().all(|address| {
                    let address = address.into_owned();
                    let note = note.take();
                    take(Ok(Ok(Line {
                        number,
                        address,
                        note,
                    })))
                })
            }
        };
        if !goes_on {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each address with its line; the error of a line has 0.
    fn lines_of(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        read(text, Reading::Lines, |line| {
            lines.push(match line.expect("a line") {
                Ok(line) => (line.number, line.address),
                Err(refused) => (0, refused.to_string()),
            });
            true
        });
        lines
    }

    #[test]
    fn every_address_of_a_line_is_read_and_comments_are_not() {
        let text = b"192.0.2.1 seen twice\n\n  # a comment\n198.51.100.7 203.0.113.0/25\t2001:db8:bad::5\r\n\
            192.0.2.2,192.0.2.3 # scan\n; 192.0.2.4\n\t2001:db8::1";
        let expected = [
            (1, "192.0.2.1"),
            (4, "198.51.100.7"),
            (4, "203.0.113.0/25"),
            (4, "2001:db8:bad::5"),
            (5, "192.0.2.2"),
            (5, "192.0.2.3"),
            (7, "2001:db8::1"),
        ];
        assert_eq!(
            lines_of(text),
            expected.map(|(number, address)| (number, address.to_owned()))
        );
    }

    #[test]
    fn a_line_with_a_bad_address_is_refused_as_a_whole() {
        let lines = lines_of(b"192.0.2.1 192.0.2.300\n192.0.2.2\n");
        let refused = &lines[0].1;
        assert!(refused.starts_with("line 1: `192.0.2.300`"), "{refused}");
        assert_eq!(lines[1..], [(2, "192.0.2.2".to_owned())]);
    }

    #[test]
    fn what_is_not_text_is_named_and_nothing_of_it_is_read() {
        for (bytes, what) in [
            (
                &b"\x1f\x8b\x08\0\0\n192.0.2.1\n"[..],
                "gzip data that is damaged",
            ),
            (b"\xff\xfe1\x009\x002\0", "text in UTF-16"),
            (b"192.0.2.1\n\0\x07\x08", "binary data"),
        ] {
            let mut taken = Vec::new();
            read(bytes, Reading::Lines, |line| {
                taken.push(line);
                true
            });
            let [Err(error)] = taken.as_slice() else {
                panic!("{taken:?}");
            };
            assert!(error.to_string().contains(what), "{error}");
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
            assert_eq!(error.exit_code(), BAD_INPUT);
        }
    }

    #[test]
    fn an_end_of_an_entry_is_reported_as_not_kept() {
        let mut notes = Vec::new();
        read(
            &b"192.0.2.1 timeout 60 comment \"x\"\n"[..],
            Reading::Lines,
            |line| {
                notes.push(line.expect("input").expect("a line").note);
                true
            },
        );
        assert_eq!(notes, [Some("timeout 60 comment \"x\"".to_owned())]);
    }

    #[test]
    fn an_endless_line_is_refused_and_the_next_one_is_read() {
        let text = format!("192.0.2.1 {}\n192.0.2.2\n", "192.0.2.3 ".repeat(10_000));
        let lines = lines_of(text.as_bytes());
        let refused = "line 1: longer than 65536 bytes";
        assert_eq!(lines[0], (0, refused.to_owned()));
        assert_eq!(lines[1..], [(2, "192.0.2.2".to_owned())]);
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
