//! Standard output and standard error: the only place that writes to them, but for the live view,
//! which has the whole terminal.
//!
//! Data goes to standard output; notes, errors and questions go to standard error.

use std::{
    io::{self, BufWriter, Write},
    os::fd::AsFd as _,
};

use ipblock_api::{error::Hinted, printable, printable_json};
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use super::view::{Tone, View, labelled};

/// The two streams, and how to write to them.
pub struct Output {
    data: Box<dyn Write>,
    messages: Box<dyn Write>,
    json: bool,
    view: View,
    color_messages: bool,
}

impl Output {
    /// Writes to the process's own streams. `color_messages` is colour for standard error;
    /// `view.color` is that for standard output.
    #[must_use]
    pub fn standard(json: bool, view: View, color_messages: bool) -> Self {
        Self::new(
            Box::new(BufWriter::new(io::stdout())),
            Box::new(io::stderr()),
            json,
            view,
            color_messages,
        )
    }

    /// Writes text without colours to the process's own streams.
    #[must_use]
    pub fn plain() -> Self {
        Self::standard(false, View::plain(Timestamp::now()), false)
    }

    /// Writes to any two streams.
    #[must_use]
    pub fn new(
        data: Box<dyn Write>,
        messages: Box<dyn Write>,
        json: bool,
        view: View,
        color_messages: bool,
    ) -> Self {
        Self {
            data,
            messages,
            json,
            view,
            color_messages,
        }
    }

    /// Whether data is printed as JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// How people see it.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Sets what "ago" and "in" are counted from, for what is printed next.
    pub fn set_now(&mut self, now: Timestamp) {
        self.view.now = now;
    }

    /// Prints data: as JSON when asked for, else as `human` renders it.
    pub fn show<T, F>(&mut self, value: &T, human: F) -> io::Result<()>
    where
        T: Serialize + ?Sized,
        F: FnOnce(&T, &View) -> String,
    {
        if self.json {
            serde_json::to_writer_pretty(PrintableJson(&mut self.data), value)?;
            writeln!(self.data)
        } else {
            let text = human(value, &self.view);
            self.data.write_all(text.as_bytes())
        }
    }

    /// Prints data as JSON in a line of its own, for scripts that read line by line.
    pub fn json_line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer(PrintableJson(&mut self.data), value)?;
        writeln!(self.data)
    }

    /// Prints data that has one form only, as it is.
    pub fn raw(&mut self, data: &[u8]) -> io::Result<()> {
        self.data.write_all(data)
    }

    /// Says something beside the data.
    ///
    /// Failing to say it is not worth failing for, here and in [`Self::report`]: there is nowhere
    /// left to say so.
    pub fn note(&mut self, text: &str) {
        // Keeps the order of data and notes on a terminal.
        let _ = self.data.flush();
        for line in text.split('\n') {
            let _ = writeln!(self.messages, "{}", printable(line));
        }
    }

    /// Says what failed, in the form `error: ...`, `hint: ...`.
    pub fn report(&mut self, error: &dyn Hinted) {
        let _ = self.data.flush();
        let mut view = self.view.clone();
        view.color = self.color_messages;
        let message = labelled(&view.paint(Tone::Bad, "error:"), 7, &error.to_string());
        let _ = self.messages.write_all(message.as_bytes());
        if let Some(hint) = error.hint() {
            let hint = labelled(&view.paint(Tone::Strong, "hint:"), 6, &hint);
            let _ = self.messages.write_all(hint.as_bytes());
        }
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
    }
}

/// Writes JSON on with what is not safe to print as `\uXXXX`. Each write is whole characters, as
/// `serde_json` makes them; anything else is passed on as it is.
struct PrintableJson<W>(W);

impl<W: Write> Write for PrintableJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(json) => self.0.write_all(printable_json(json).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The columns and rows of the terminal that standard output is, if it is one.
#[must_use]
pub fn terminal_size() -> Option<(usize, usize)> {
    let (width, height) = terminal_size::terminal_size_of(io::stdout())?;
    Some((usize::from(width.0), usize::from(height.0)))
}

/// Whether standard output is a pipe that is closed at the other end, or a terminal that is gone.
#[must_use]
pub fn nobody_reads() -> bool {
    let stdout = io::stdout();
    let mut looked_at = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    // What cannot be looked at is noticed when it is written to.
    poll(&mut looked_at, PollTimeout::ZERO).is_ok()
        && looked_at
            .iter()
            .any(|fd| fd.revents().is_some_and(|found| found.intersects(gone)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_from_outside_cannot_steer_a_terminal() {
        let mut written = Vec::new();
        let text = "\u{9b}31m\u{202e}\u{1b}ü";
        serde_json::to_writer_pretty(PrintableJson(&mut written), &[text]).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written, "[\n  \"\\u009b31m\\u202e\\u001bü\"\n]");
    }
}
