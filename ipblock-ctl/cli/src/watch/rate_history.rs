//! Rates of named objects, with their history.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use ipblock_api::types::Count;
use ipblock_output::rates::{Rate, whole};

/// Number of rates for a sparkline: the width of a wide terminal.
const KEPT: usize = 120;

/// Eighths of a cell, from empty to full.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The counts of named objects over time.
#[derive(Debug, Default)]
pub(super) struct RateHistories {
    histories: HashMap<String, RateHistory>,
    looked: Option<Duration>,
}

/// The counts of one object.
#[derive(Debug, Default)]
pub(super) struct RateHistory {
    count: Count,
    rate: Option<Rate>,
    /// Packets per second, latest last.
    history: VecDeque<u64>,
}

impl RateHistories {
    /// Records counts at a time. Forgets objects that are missing.
    pub(super) fn look(&mut self, at: Duration, counts: impl IntoIterator<Item = (String, Count)>) {
        let elapsed = self.looked.map(|before| at.saturating_sub(before));
        let mut before = std::mem::take(&mut self.histories);
        for (name, count) in counts {
            let mut track = match before.remove(&name) {
                Some(mut track) => {
                    track.advance(count, elapsed);
                    track
                }
                None => RateHistory::default(),
            };
            track.count = count;
            self.histories.insert(name, track);
        }
        self.looked = Some(at);
    }

    /// Returns packets and bytes per second at the last reading; `None` before the second reading.
    pub(super) fn rate(&self, name: &str) -> Option<Rate> {
        self.histories.get(name)?.rate
    }

    /// Returns the last rates as bars, one cell each, relative to the highest; latest on the right.
    pub(super) fn sparkline(&self, name: &str, width: usize) -> String {
        let Some(track) = self.histories.get(name) else {
            return " ".repeat(width);
        };
        let skipped = track.history.len().saturating_sub(width);
        let shown: Vec<u64> = track.history.iter().skip(skipped).copied().collect();
        let highest = shown.iter().copied().max().unwrap_or_default();
        let empty = " ".repeat(width.saturating_sub(shown.len()));
        empty
            + &shown
                .into_iter()
                .map(|rate| bar(rate, highest))
                .collect::<String>()
    }
}

impl RateHistory {
    fn advance(&mut self, count: Count, elapsed: Option<Duration>) {
        let Some(elapsed) = elapsed else {
            return;
        };
        let rate = Rate::between(self.count, count, elapsed);
        self.rate = Some(rate);
        self.history.push_back(whole(rate.packets));
        if self.history.len() > KEPT {
            self.history.pop_front();
        }
    }
}

/// Every rate above 0 is visible.
fn bar(rate: u64, highest: u64) -> char {
    if rate == 0 || highest == 0 {
        return ' ';
    }
    let eighths = (u128::from(rate) * 8).div_ceil(u128::from(highest));
    let index = usize::try_from(eighths).unwrap_or(BARS.len());
    BARS.get(index).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(histories: &mut RateHistories, seconds: u64, packets: u64) {
        let count = Count {
            packets,
            bytes: packets * 60,
        };
        histories.look(Duration::from_secs(seconds), [("abuse".to_owned(), count)]);
    }

    fn rate(histories: &RateHistories) -> Option<u64> {
        histories.rate("abuse").map(|rate| whole(rate.packets))
    }

    #[test]
    fn a_rate_is_known_from_the_second_look_on() {
        let mut histories = RateHistories::default();
        look(&mut histories, 10, 100);
        assert_eq!(rate(&histories), None);
        look(&mut histories, 12, 140);
        assert_eq!(rate(&histories), Some(20));
        assert_eq!(
            histories.rate("abuse").map(|rate| whole(rate.bytes)),
            Some(1200)
        );
        assert_eq!(histories.rate("other"), None);
    }

    #[test]
    fn counts_that_go_back_give_no_rate_and_go_on_from_there() {
        let mut histories = RateHistories::default();
        for (seconds, packets, expected) in [(1, 500, None), (2, 3, Some(0)), (3, 10, Some(7))] {
            look(&mut histories, seconds, packets);
            assert_eq!(rate(&histories), expected, "at {seconds}");
        }
    }

    #[test]
    fn what_is_gone_is_forgotten_and_comes_back_as_new() {
        let mut histories = RateHistories::default();
        look(&mut histories, 1, 500);
        histories.look(Duration::from_secs(2), []);
        look(&mut histories, 3, 700);
        assert_eq!(rate(&histories), None);
    }

    #[test]
    fn a_sparkline_is_as_wide_as_asked_with_the_latest_on_the_right() {
        let mut histories = RateHistories::default();
        assert_eq!(histories.sparkline("abuse", 3), "   ");
        for (seconds, packets) in [(0, 0), (1, 80), (2, 80), (3, 90), (4, 91)] {
            look(&mut histories, seconds, packets);
        }
        assert_eq!(histories.sparkline("abuse", 6), "  █ ▁▁");
        assert_eq!(histories.sparkline("abuse", 2), "█▁");
        assert_eq!(histories.sparkline("abuse", 0), "");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut histories = RateHistories::default();
        for second in 0..1000 {
            look(&mut histories, second, second * 5);
        }
        assert_eq!(histories.histories["abuse"].history.len(), KEPT);
    }
}
