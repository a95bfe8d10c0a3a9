//! Messages of one kind: shows the first ones and counts the others.

use ipblock_output::{Output, number::grouped};
use ipblock_policy::Diagnostic;

/// Number of messages that are shown.
const SHOWN: u64 = 20;

/// Shows the first messages of a command and counts all of them.
#[derive(Debug, Default)]
pub(crate) struct Capped {
    messages: u64,
}

impl Capped {
    /// Counts a message. Returns whether it is one of the first.
    fn is_shown(&mut self) -> bool {
        self.messages = self.messages.saturating_add(1);
        self.messages <= SHOWN
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
        self.messages = self.messages.saturating_add(more);
    }

    /// Reports the number of messages that were not shown; `what` ends the sentence: `were
    /// refused`.
    pub(crate) fn finish(&self, what: &str, output: &mut Output) {
        let more = self.messages.saturating_sub(SHOWN);
        if more > 0 {
            output.note(&format!("and {} more {what}", grouped(more)));
        }
    }
}
