//! Standard output and standard error. Only this module writes to them, except for the live view,
//! which uses the whole terminal.
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

/// The two streams, with their settings.
pub struct Output {
    data: Box<dyn Write>,
    messages: Box<dyn Write>,
    json: bool,
    view: View,
    color_messages: bool,
}

impl Output {
    /// Writes to the process's own streams. `color_messages` enables colour on standard error,
    /// `view.color` on standard output.
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

    /// Writes to two given streams.
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

    /// Whether it prints data as JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the settings for people.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Sets the time that "ago" and "in" refer to, for the next output.
    pub fn set_now(&mut self, now: Timestamp) {
        self.view.now = now;
    }

    /// Prints data: as JSON if requested, else as `human` renders it.
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

    /// Prints data as JSON on its own line, for scripts that read line by line.
    pub fn json_line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer(PrintableJson(&mut self.data), value)?;
        writeln!(self.data)
    }

    /// Prints data that has only one form, unchanged.
    pub fn raw(&mut self, data: &[u8]) -> io::Result<()> {
        self.data.write_all(data)
    }

    /// Prints a note.
    ///
    /// Ignores errors, here and in [`Self::report`]: there is no other place to report them.
    pub fn note(&mut self, text: &str) {
        // Keeps the order of data and notes on a terminal.
        let _ = self.data.flush();
        for line in text.split('\n') {
            let _ = writeln!(self.messages, "{}", printable(line));
        }
    }

    /// Reports an error in the form `error: ...`, `hint: ...`.
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

    /// Flushes buffered data.
    pub fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
    }
}

/// Passes JSON on, with unsafe characters as `\uXXXX`. `serde_json` writes whole characters;
/// anything else is passed on unchanged.
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

/// Returns columns and rows of the terminal, if standard output is one.
#[must_use]
pub fn terminal_size() -> Option<(usize, usize)> {
    let (width, height) = terminal_size::terminal_size_of(io::stdout())?;
    Some((usize::from(width.0), usize::from(height.0)))
}

/// Whether standard output is a pipe that the reader has closed, or a terminal that is gone.
#[must_use]
pub fn nobody_reads() -> bool {
    let stdout = io::stdout();
    let mut looked_at = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    // If this cannot be checked, the next write fails.
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
