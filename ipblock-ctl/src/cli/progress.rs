//! How far long work has come: on standard error, when that is a terminal.

use std::{io::BufRead, time::Duration};

use indicatif::{ProgressBar, ProgressBarIter, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// A line that is gone when this is dropped. Nothing is shown off a terminal or beside JSON.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work of unknown length.
    pub(crate) fn spinner(output: &Output, what: String) -> Self {
        let bar = bar(output, None, "{spinner} {msg}");
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Reading something, of so many bytes where that is known.
    pub(crate) fn reading(output: &Output, what: String, bytes: Option<u64>) -> Self {
        let template = match bytes {
            Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}",
            None => "{spinner} {msg} {bytes}",
        };
        let bar = bar(output, bytes, template);
        bar.set_message(what);
        Self(bar)
    }

    /// `input`, counted as it is read.
    pub(crate) fn counted<R: BufRead>(&self, input: R) -> ProgressBarIter<R> {
        self.0.wrap_read(input)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn bar(output: &Output, length: Option<u64>, template: &str) -> ProgressBar {
    if output.is_json() {
        return ProgressBar::hidden();
    }
    // Draws on terminals only.
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // A bar in another style still tells how far it is.
        Err(_) => bar,
    }
}
