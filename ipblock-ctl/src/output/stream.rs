//! Standard output and standard error: the only place that writes to them, but for the live view,
//! which has the whole terminal.
//!
//! Data goes to standard output; notes, errors and questions go to standard error.

use std::{
    io::{self, BufWriter, Write},
    os::fd::AsFd as _,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use super::view::{Tone, View};

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

    /// Prints data: as JSON when asked for, else as `human` renders it.
    pub fn show<T, F>(&mut self, value: &T, human: F) -> io::Result<()>
    where
        T: Serialize + ?Sized,
        F: FnOnce(&T, &View) -> String,
    {
        if self.json {
            serde_json::to_writer_pretty(&mut self.data, value)?;
            writeln!(self.data)
        } else {
            let text = human(value, &self.view);
            self.data.write_all(text.as_bytes())
        }
    }

    /// Prints data as JSON in a line of its own, for scripts that read line by line.
    pub fn json_line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.data, value)?;
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
        let _ = writeln!(self.messages, "{text}");
    }

    /// Says what failed, in the form `error: ...`, `hint: ...`.
    pub fn report(&mut self, message: &str, hint: Option<&str>) {
        let _ = self.data.flush();
        let mut view = self.view.clone();
        view.color = self.color_messages;
        let error = labelled(&view.paint(Tone::Bad, "error:"), 7, message);
        let _ = self.messages.write_all(error.as_bytes());
        if let Some(hint) = hint {
            let hint = labelled(&view.paint(Tone::Strong, "hint:"), 6, hint);
            let _ = self.messages.write_all(hint.as_bytes());
        }
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
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

/// `label` before the first line, the other lines aligned with it.
fn labelled(label: &str, indent: usize, text: &str) -> String {
    let mut labelled = String::new();
    let mut start = format!("{label} ");
    for line in text.lines() {
        labelled.push_str(&start);
        labelled.push_str(line);
        labelled.push('\n');
        start = " ".repeat(indent);
    }
    labelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_first_are_aligned_with_it() {
        assert_eq!(labelled("hint:", 6, "one\ntwo"), "hint: one\n      two\n");
    }
}
