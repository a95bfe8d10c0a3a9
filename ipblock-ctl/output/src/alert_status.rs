//! The part of `status` about alerts: counts of packets, and the state of each sink.

use std::fmt::Write as _;

use ipblock_api::types::{AlertStatus, SinkState, SinkStatus};

use super::{
    number::{grouped, short},
    table::{Cell, Column, Table},
    time::span,
    view::{Tone, View, visible},
};

/// Renders packets, then a line per sink; a single line if there were no packets and every sink
/// works.
#[must_use]
pub fn render_alerts(alerts: &AlertStatus, view: &View) -> String {
    let title = view.paint(Tone::Strong, "alerts");
    if alerts.seen == 0 && alerts.sinks.iter().all(is_quiet) {
        let sinks: Vec<&str> = alerts.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let sinks = match sinks.as_slice() {
            [] => "no sinks".to_owned(),
            sinks => format!("sinks: {}", visible(&sinks.join(", "))),
        };
        return format!("{title}: no packet so far; {sinks}\n");
    }
    let mut text = format!(
        "{title}: one for each source and its rules in {}, at most {} a second\n",
        span(alerts.window),
        grouped(alerts.rate)
    );
    let lost = format!("{} lost", short(alerts.lost));
    let lost = match alerts.lost {
        0 => lost,
        _ => view.paint(Tone::Caution, &lost),
    };
    let _ = writeln!(
        text,
        "  packets     {} seen: {} reported, {} suppressed, {lost}",
        short(alerts.seen),
        short(alerts.reported),
        short(alerts.suppressed),
    );
    let mut table = Table::new(&[Column::left(""); 5]);
    for (index, sink) in alerts.sinks.iter().enumerate() {
        let label = if index == 0 { "  sinks     " } else { "" };
        let (state, tone) = state_of(sink);
        table.row(vec![
            label.into(),
            sink.name.as_str().into(),
            sink.kind.as_str().into(),
            counts_of(sink).into(),
            Cell::toned(state, tone),
        ]);
    }
    text.push_str(&table.render(view));
    if !alerts.sinks.is_empty() {
        let note = "              sinks: alerts since the daemon's start; packets: over restarts";
        let _ = writeln!(text, "{}", view.paint(Tone::Faint, note));
    }
    text
}

/// Whether a sink works and has nothing to report.
fn is_quiet(sink: &SinkStatus) -> bool {
    sink.state == SinkState::Ok && sink.delivered + sink.lost + sink.queued == 0
}

fn counts_of(sink: &SinkStatus) -> String {
    let mut counts = format!("{} delivered", short(sink.delivered));
    for (count, word) in [(sink.lost, "lost"), (sink.queued, "queued")] {
        if count > 0 {
            let _ = write!(counts, ", {} {word}", short(count));
        }
    }
    counts
}

/// Returns a word. The problems of the status explain why a sink fails.
const fn state_of(sink: &SinkStatus) -> (&'static str, Tone) {
    match sink.state {
        SinkState::Ok => ("ok", Tone::Good),
        SinkState::Failing => ("FAILING", Tone::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn where_nothing_alerts_one_line_is_enough() {
        let mut status = AlertStatus::default();
        let view = samples::view();
        assert_eq!(
            render_alerts(&status, &view),
            "alerts: no packet so far; no sinks\n"
        );
        status.sinks = samples::alert_status().sinks;
        for sink in &mut status.sinks {
            (sink.delivered, sink.lost, sink.queued) = (0, 0, 0);
        }
        let lines = |status: &AlertStatus| render_alerts(status, &view).lines().count();
        assert_eq!(lines(&status), 6, "one fails");
        status.sinks.pop();
        assert_eq!(
            render_alerts(&status, &view),
            "alerts: no packet so far; sinks: log, archive\n"
        );
        status.seen = 1;
        assert_eq!(lines(&status), 5);
    }
}
