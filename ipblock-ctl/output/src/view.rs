//! What a rendering depends on besides the value: width, colour, the clock.

use ipblock_api::{
    printable,
    types::{Action, EntryState},
};
use jiff::{Timestamp, tz::TimeZone};

/// Columns when the terminal does not say.
pub const DEFAULT_WIDTH: usize = 80;

/// The width of what is not a terminal: nothing is cut, and a table has the same columns whatever
/// its rows hold, so that scripts can count them.
pub const WHOLE: usize = usize::MAX;

/// How to render for people.
#[derive(Clone, Debug)]
pub struct View {
    /// Columns to stay within where that can be done: at least [`DEFAULT_WIDTH`] on a terminal,
    /// [`WHOLE`] elsewhere.
    pub width: usize,
    /// Whether escape sequences for colour are written.
    pub color: bool,
    /// What "ago" and "in" are counted from.
    pub now: Timestamp,
    /// The zone that times are shown in.
    pub time_zone: TimeZone,
}

/// What a piece of text conveys. The text conveys it too: colour never stands alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Titles.
    Strong,
    /// Of less interest.
    Faint,
    /// As it should be; passes.
    Good,
    /// Worth a look; warns.
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

    /// Whether every column is shown, uncut.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.width == WHOLE
    }

    /// The line below a table with marks that says what they mean; empty where words stand for them.
    #[must_use]
    pub fn legend(&self) -> String {
        if self.is_whole() {
            String::new()
        } else {
            format!("{}\n", self.paint(Tone::Faint, MARKS))
        }
    }

    /// `text` in its tone, when colour is on.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.escape() {
            Some(escape) if self.color && !text.is_empty() => format!("{escape}{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// The mark before something staged; empty for what is as deployed.
#[must_use]
pub const fn state_mark(state: EntryState) -> &'static str {
    match state {
        EntryState::Deployed => "",
        EntryState::Added => "+",
        EntryState::Changed => "~",
        EntryState::Removed => "-",
    }
}

/// What the marks mean; stands below a table that has some.
const MARKS: &str = "+ added, ~ changed, - removed: staged, not yet deployed";

/// Text from elsewhere, on one line and safe to show.
#[must_use]
pub fn visible(text: &str) -> String {
    printable(text).into_owned()
}

/// Text from elsewhere, safe to show, behind `label` of `indent` columns: its lines after the first
/// are aligned with it.
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
