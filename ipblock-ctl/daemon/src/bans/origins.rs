//! The number of bans of each origin, for metrics.

use std::collections::BTreeSet;

use ipblock_policy::Origin;

/// Maximum of origins with a series of their own, as long as this daemon runs: scripts choose
/// origins, and each one would be another series.
const SERIES: usize = 50;

/// The label of all other origins. No origin of that name has a series of its own.
const OTHER: &str = "other";

/// The origins that have a series of their own. They keep it when their bans have ended.
#[derive(Debug, Default)]
pub(super) struct Labels(BTreeSet<Origin>);

impl Labels {
    /// Returns the number of bans of each origin that has a series, and of all others.
    pub(super) fn of(&mut self, mut counts: Vec<(&Origin, usize)>) -> Vec<(String, u64)> {
        // Those with the most bans get the free series.
        counts.sort_by_key(|(origin, count)| (std::cmp::Reverse(*count), *origin));
        for (origin, _) in &counts {
            if self.0.len() < SERIES && origin.as_str() != OTHER {
                self.0.insert((*origin).clone());
            }
        }
        let (own, others): (Vec<_>, Vec<_>) = counts
            .into_iter()
            .partition(|(origin, _)| self.0.contains(origin));
        let count_of = |label: &Origin| {
            let found = own.iter().find(|(origin, _)| *origin == label);
            found.map_or(0, |(_, count)| *count as u64)
        };
        let mut series: Vec<(String, u64)> = self
            .0
            .iter()
            .map(|label| (label.to_string(), count_of(label)))
            .collect();
        if !others.is_empty() {
            let others: usize = others.iter().map(|(_, count)| count).sum();
            series.push((OTHER.to_owned(), others as u64));
        }
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_cannot_make_more_series_than_there_are_places() {
        let mut labels = Labels::default();
        let mut seen = BTreeSet::new();
        let manual = Origin::default();
        for round in 0..5 {
            let origins: Vec<Origin> = (0..40)
                .map(|number| format!("script/{round}-{number}").parse().unwrap())
                .chain(["other".parse().unwrap()])
                .collect();
            let counts = origins.iter().map(|origin| (origin, 1));
            let series = labels.of(counts.chain([(&manual, 7)]).collect());
            assert!(series.contains(&("manual".to_owned(), 7)), "{series:?}");
            let all: u64 = series.iter().map(|(_, count)| count).sum();
            assert_eq!(all, 48);
            seen.extend(series.into_iter().map(|(label, _)| label));
        }
        assert_eq!(seen.len(), SERIES + 1);
        let none = labels.of(Vec::new());
        assert!(none.contains(&("manual".to_owned(), 0)), "{none:?}");
        assert_eq!(none.len(), SERIES);
    }
}
