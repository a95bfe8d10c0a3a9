//! Messages of one kind: shows the first ones and counts the others.

use ipblock_output::{Output, number::grouped};
use ipblock_policy::Diagnostic;

/// Number of messages that are shown.
pub(crate) const SHOWN: u64 = 20;

/// Shows the first messages of a command and counts all of them.
#[derive(Debug, Default)]
pub(crate) struct Capped {
    shown: u64,
    more: u64,
    /// Whether all are shown; `None` if the command has no flag for that.
    all: Option<bool>,
}

impl Capped {
    /// Shows all messages, or the first ones.
    pub(crate) const fn new(all: Option<bool>) -> Self {
        Self {
            shown: 0,
            more: 0,
            all,
        }
    }

    /// Counts a message. Returns whether it is one of the first.
    fn is_shown(&mut self) -> bool {
        let is_shown = self.all == Some(true) || self.shown < SHOWN;
        self.shown += u64::from(is_shown);
        self.more += u64::from(!is_shown);
        is_shown
    }

    /// Shows an error, or counts it.
    pub(crate) fn report(&mut self, error: &Diagnostic, output: &mut Output) {
        if self.is_shown() {
            output.report(error);
        }
    }

    /// Shows a note, or counts it.
    pub(crate) fn note(&mut self, message: &str, output: &mut Output) {
        if self.is_shown() {
            output.note(message);
        }
    }

    /// Counts messages without their text.
    pub(crate) const fn count(&mut self, more: u64) {
        self.more = self.more.saturating_add(more);
    }

    /// Reports the number of messages that were not shown; `what` ends the sentence: `were
    /// refused`. Then the next messages are the first ones again.
    pub(crate) fn finish(&mut self, what: &str, output: &mut Output) {
        let more = self.more;
        (self.shown, self.more) = (0, 0);
        if more == 0 {
            return;
        }
        let all = match self.all {
            Some(false) => "; --all shows them",
            _ => "",
        };
        output.note(&format!("and {} more {what}{all}", grouped(more)));
    }
}
