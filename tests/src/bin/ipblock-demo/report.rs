//! The table: what was sent, what arrived, what the counters say, and whether that is right.

use std::fmt::Write as _;

use crate::{
    case::{Case, Outcome},
    counters::{Counters, TOTALS},
    scenario::SOURCE_WIDTH,
};

/// Room for the rules of a line.
pub(crate) const RULES_WIDTH: usize = 17;

/// What the reader has to know.
const LEGEND: &str = "\
ok: arrived, and packets, bytes and excepted of each rule and total, are exactly
as they should be, and no other counter moved. \"not abuse\": spared by the
exception of that rule, which counts it as excepted.

";

/// What was seen of one [`Case`].
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) case: Case,
    /// Frames sent, received behind the filter, and counters that moved meanwhile.
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) counted: Counters,
}

/// What was seen over the whole run, besides its lines.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Frames received behind the filter in the end, late ones included.
    pub(crate) arrived: u64,
    /// Counters that moved between the first frame and the last.
    pub(crate) counted: Counters,
    /// Frames that the demo did not send.
    pub(crate) strangers: u64,
}

impl Observation {
    fn source(&self) -> String {
        self.case
            .source
            .map_or_else(|| "(ARP)".to_owned(), |source| source.to_string())
    }

    fn should_arrive(&self) -> u64 {
        if self.case.outcome == Outcome::Dropped {
            0
        } else {
            self.sent
        }
    }

    /// Everything that is not as it should be.
    fn deviations(&self) -> Vec<String> {
        let mut deviations = arrival(self.arrived, self.should_arrive());
        deviations.extend(self.counted.deviations(&self.case.counters(self.sent)));
        deviations
    }
}

fn arrival(arrived: u64, should: u64) -> Vec<String> {
    let differs = arrived != should;
    differs
        .then(|| format!("{arrived} arrived, should be {should}"))
        .into_iter()
        .collect()
}

/// The table, with what is wrong below it, and whether all is as it should be.
pub(crate) fn render(observations: &[Observation], run: &Run) -> (String, bool) {
    let mut text = LEGEND.to_owned();
    text.push_str(&line(
        "source", "frame", "rules", "sent", "arrived", "counted", "ok",
    ));
    let mut wrong = Vec::new();
    let (mut sent, mut should_arrive, mut expected) = (0, 0, Counters::default());
    for seen in observations {
        let deviations = seen.deviations();
        let framing = seen.case.framing.name();
        text.push_str(&line(
            &seen.source(),
            framing,
            &seen.case.rules(),
            &seen.sent.to_string(),
            &seen.arrived.to_string(),
            &in_totals(&seen.counted, ", "),
            yes_or_no(&deviations),
        ));
        let named = |deviation| format!("{} {framing}: {deviation}", seen.source());
        wrong.extend(deviations.into_iter().map(named));
        sent += seen.sent;
        should_arrive += seen.should_arrive();
        expected.add_all(&seen.case.counters(seen.sent));
    }

    let mut deviations = arrival(run.arrived, should_arrive);
    deviations.extend(run.counted.deviations(&expected));
    if run.strangers != 0 {
        deviations.push(format!("{} frames that nobody sent", run.strangers));
    }
    text.push_str(&line(
        "all",
        "",
        "",
        &sent.to_string(),
        &run.arrived.to_string(),
        &run.counted.packets().to_string(),
        yes_or_no(&deviations),
    ));
    let _ = writeln!(text, "{sent} sent = {}", in_totals(&run.counted, " + "));
    wrong.extend(
        deviations
            .iter()
            .map(|deviation| format!("all: {deviation}")),
    );

    for line in &wrong {
        let _ = writeln!(text, "WRONG {line}");
    }
    (text, wrong.is_empty())
}

fn yes_or_no(deviations: &[String]) -> &'static str {
    if deviations.is_empty() { "yes" } else { "NO" }
}

/// The totals that moved, with their packets.
fn in_totals(counted: &Counters, separator: &str) -> String {
    let parts: Vec<String> = TOTALS
        .iter()
        .map(|total| (counted.total(total), total))
        .filter(|(packets, _)| *packets != 0)
        .map(|(packets, total)| format!("{packets} {total}"))
        .collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(separator)
    }
}

fn line(
    source: &str,
    framing: &str,
    rules: &str,
    sent: &str,
    arrived: &str,
    counted: &str,
    ok: &str,
) -> String {
    format!(
        "{source:SOURCE_WIDTH$}  {framing:5}  {rules:RULES_WIDTH$}  {sent:>5}  {arrived:>7}  \
         {counted:11}  {ok}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{countries::CountryTable, scenario::Scenario};

    fn perfect() -> (Vec<Observation>, Run) {
        let scenario = Scenario::new(&CountryTable::small("test").unwrap()).unwrap();
        let observations: Vec<_> = (200..)
            .zip(scenario.cases)
            .map(|(sent, case)| Observation {
                sent,
                arrived: if case.outcome == Outcome::Dropped {
                    0
                } else {
                    sent
                },
                counted: case.counters(sent),
                case,
            })
            .collect();
        let mut counted = Counters::default();
        for seen in &observations {
            counted.add_all(&seen.counted);
        }
        let run = Run {
            arrived: observations.iter().map(|seen| seen.arrived).sum(),
            counted,
            strangers: 0,
        };
        (observations, run)
    }

    #[test]
    fn a_right_run_is_all_yes_and_eighty_columns_wide() {
        let (observations, run) = perfect();
        let (text, ok) = render(&observations, &run);
        assert!(ok, "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(!text.contains("NO") && !text.contains("WRONG"), "{text}");
        let both = text.lines().find(|line| line.starts_with("203.0.113.90"));
        assert_eq!(
            both.unwrap(),
            "203.0.113.90          plain  abuse, watch         216        0  216 dropped  yes"
        );
        let last = text.lines().last().unwrap();
        assert!(
            last.contains(" sent = ") && last.contains(" non_ip"),
            "{last}"
        );
    }

    #[test]
    fn a_dropped_frame_that_arrives_is_wrong_in_its_line_and_in_the_last() {
        let (mut observations, mut run) = perfect();
        observations[0].arrived = 1;
        run.arrived += 1;
        let (text, ok) = render(&observations, &run);
        assert!(!ok);
        assert_eq!(text.matches("  NO\n").count(), 2, "{text}");
        let wrong = "WRONG 203.0.113.7 plain: 1 arrived, should be 0\n";
        assert!(text.contains(wrong), "{text}");
    }

    #[test]
    fn a_counter_that_moves_without_reason_is_wrong() {
        let (mut observations, run) = perfect();
        observations[4]
            .counted
            .add("rules watch excepted".to_owned(), 1);
        let (text, ok) = render(&observations, &run);
        assert!(!ok);
        let wrong = "plain: rules watch excepted: counted 1, should be 0\n";
        assert!(text.contains(wrong), "{text}");
    }

    #[test]
    fn frames_that_nobody_sent_are_wrong() {
        let (observations, mut run) = perfect();
        run.strangers = 2;
        let (text, ok) = render(&observations, &run);
        assert!(
            !ok && text.ends_with("WRONG all: 2 frames that nobody sent\n"),
            "{text}"
        );
    }

    #[test]
    fn frames_that_no_counter_saw_are_shown_as_such() {
        assert_eq!(in_totals(&Counters::default(), ", "), "nothing");
    }
}
