//! Progress of long work: on standard error, if that is a terminal.

use std::{
    io::{self, BufRead, IsTerminal as _},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressBarIter, ProgressDrawTarget, ProgressStyle};
use ipblock_output::Output;

/// Shorter work shows no spinner.
const PATIENCE: Duration = Duration::from_millis(300);

/// Interval of a spinner.
const TICK: Duration = Duration::from_millis(100);

/// A line that disappears when this is dropped. Shows nothing without a terminal or with JSON.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Shows the line after a delay, unless the sender is dropped first.
    later: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Work of unknown length: shown with its duration, once that is long.
    ///
    /// A thread shows it, so that it turns during computations as well as during requests.
    pub(crate) fn spinner(output: &Output, what: impl Into<String>) -> Self {
        let bar = styled(ProgressBar::hidden(), "{spinner} {msg} {elapsed}");
        bar.set_message(what.into());
        if !is_shown(output) {
            return Self { bar, later: None };
        }
        let (done, is_done) = mpsc::channel();
        let shown = bar.clone();
        let thread = thread::spawn(move || {
            if is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        });
        let later = Some((done, thread));
        Self { bar, later }
    }

    /// Reading an input, with its size in bytes if known.
    pub(crate) fn reading(output: &Output, what: String, bytes: Option<u64>) -> Self {
        let template = match bytes {
            Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}",
            None => "{spinner} {msg} {bytes}",
        };
        let bar = if is_shown(output) {
            ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let bar = styled(bar, template);
        bar.set_message(what);
        Self { bar, later: None }
    }

    /// Returns `input` with a count of the bytes read.
    pub(crate) fn counted<R: BufRead>(&self, input: R) -> ProgressBarIter<R> {
        self.bar.wrap_read(input)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.later.take() {
            drop(done);
            // It only draws; the code below removes the line.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

fn is_shown(output: &Output) -> bool {
    !output.is_json() && io::stderr().is_terminal()
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // A bar in the default style still shows the progress.
        Err(_) => bar,
    }
}
