//! `panic-off`.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    time::{clock, relative},
    view::{Tone, View},
};

/// The end of `panic-off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CalledOff {
    /// `None` if dropping is enabled.
    pub until: Option<Timestamp>,
}

/// Renders the present state, and the command to change it.
#[must_use]
pub fn render(called_off: &CalledOff, view: &View) -> String {
    let Some(until) = called_off.until else {
        return "dropping goes on\n".to_owned();
    };
    format!(
        "{} until {} ({})\nto drop again at once: ipblock-ctl panic-off --end\n",
        view.paint(Tone::Bad, "nothing is dropped"),
        clock(until, &view.time_zone),
        relative(view.now, until),
    )
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;
    use crate::samples;

    #[test]
    fn it_says_until_when_and_how_to_end_it() {
        let until = Some(samples::now() + 10.minutes());
        insta::assert_snapshot!(render(&CalledOff { until }, &samples::view()), @r"
        nothing is dropped until 2026-10-01 12:10:00 +00:00 (in 10m)
        to drop again at once: ipblock-ctl panic-off --end
        ");
        insta::assert_snapshot!(render(&CalledOff { until: None }, &samples::view()), @"dropping goes on");
    }
}
