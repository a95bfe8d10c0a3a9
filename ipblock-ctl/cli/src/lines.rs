//! Addresses from standard input, in batches as they arrive.

use std::{io, thread, time::Duration};

use clap::Args;
use ipblock_api::{
    client::{Client, ClientError},
    error::{ErrorKind, Needs},
};
use ipblock_policy::{
    At, Diagnostic,
    address::{covered_family, parse_elements},
    amount::Sum,
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
    line_reader::{Line, Read, Reading, read, refused},
    outage::{Outage, RETRY, is_passing},
    session::Session,
};

/// Maximum of addresses per request.
const BATCH: usize = 5_000;
/// How long a complete line waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// How long a daemon may be unavailable in the middle of a stream.
const PATIENCE: Duration = Duration::from_mins(5);

const MINUTE: Duration = Duration::from_mins(1);
const REFUSED: &str = "were refused";

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

fn below_a_family(element: &At) -> Option<IpNet> {
    match element {
        At::Prefix(prefix) => Some(*prefix).filter(|prefix| prefix.prefix_len() > 0),
        At::List(_) => None,
    }
}
