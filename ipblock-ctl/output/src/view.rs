//! The settings of a rendering: width, colour, time.

use ipblock_api::{
    printable,
    types::{Action, EntryState},
};
use jiff::{Timestamp, tz::TimeZone};

use super::time::relative;

/// Width if the terminal does not report it.
pub const DEFAULT_WIDTH: usize = 80;

/// Width without a terminal: nothing is cut. A table has the same columns whatever its rows
/// contain, so that scripts can count them.
pub const WHOLE: usize = usize::MAX;

/// The settings of a rendering for people.
#[derive(Clone, Debug)]
pub struct View {
    /// Maximum width where possible: at least [`DEFAULT_WIDTH`] on a terminal, [`WHOLE`] elsewhere.
    pub width: usize,
    /// Whether to write escape sequences for colour.
    pub color: bool,
    /// The time that "ago" and "in" refer to.
    pub now: Timestamp,
    /// The time zone of displayed times.
    pub time_zone: TimeZone,
}

/// The meaning of a piece of text. The text has the same meaning without colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Titles.
    Strong,
    /// Less important.
    Faint,
    /// Good; passes.
    Good,
    /// Needs attention; warns.
    Caution,
    /// Broken; blocks.
    Bad,
}

impl Tone {
    const fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\x1b[1m"),
            Self::Faint => Some("\x1b[2m"),
            Self::Good => Some("\x1b[32m"),
            Self::Caution => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
        }
    }
}

impl From<Action> for Tone {
    fn from(action: Action) -> Self {
        if action.drops() {
            Self::Bad
        } else {
            Self::Caution
        }
    }
}

impl View {
    /// 80 columns, no colour, UTC.
    #[must_use]
    pub const fn plain(now: Timestamp) -> Self {
        Self {
            width: DEFAULT_WIDTH,
            color: false,
            now,
            time_zone: TimeZone::UTC,
        }
    }

    /// Whether every column is shown, and nothing is cut.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.width == WHOLE
    }

    /// Returns a time for a table: relative for people, one word for scripts.
    #[must_use]
    pub fn when(&self, time: Timestamp) -> String {
        if self.is_whole() {
            format!("{time:.0}")
        } else {
            relative(self.now, time)
        }
    }

    /// Returns the line below a table that explains its marks; empty if words replace them.
    #[must_use]
    pub fn legend(&self) -> String {
        if self.is_whole() {
            String::new()
        } else {
            format!("{}\n", self.paint(Tone::Faint, MARKS))
        }
    }

    /// Returns `text` in its tone, if colour is on.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.escape() {
            Some(escape) if self.color && !text.is_empty() => format!("{escape}{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Returns the mark of a staged object; empty if it equals the deployed one.
#[must_use]
pub const fn state_mark(state: EntryState) -> &'static str {
    match state {
        EntryState::Deployed => "",
        EntryState::Added => "+",
        EntryState::Changed => "~",
        EntryState::Removed => "-",
    }
}

/// Explains the marks below a table with some.
const MARKS: &str = "+ added, ~ changed, - removed: staged, not yet deployed";

/// Returns text from outside on one line, safe to show.
#[must_use]
pub fn visible(text: &str) -> String {
    printable(text).into_owned()
}

/// Returns text from outside, safe to show, after `label` of `indent` columns. Its further lines
/// are aligned with the first.
#[must_use]
pub fn labelled(label: &str, indent: usize, text: &str) -> String {
    let mut labelled = String::new();
    let mut start = format!("{label} ");
    for line in text.lines() {
        labelled.push_str(&start);
        labelled.push_str(&printable(line));
        labelled.push('\n');
        start = " ".repeat(indent);
    }
    labelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_written_only_when_it_is_on() {
        let mut view = View::plain(Timestamp::UNIX_EPOCH);
        assert_eq!(view.paint(Tone::Bad, "block"), "block");
        view.color = true;
        assert_eq!(view.paint(Tone::Bad, "block"), "\x1b[31mblock\x1b[0m");
        assert_eq!(view.paint(Tone::Plain, "block"), "block");
    }

    #[test]
    fn lines_after_the_first_are_aligned_with_it() {
        assert_eq!(
            labelled("hint:", 6, "one\n\x1b[2Jtwo"),
            "hint: one\n      \\u{1b}[2Jtwo\n"
        );
    }
}
