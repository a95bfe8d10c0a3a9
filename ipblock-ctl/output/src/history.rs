//! `history`, `confirm` and `audit`.

use std::fmt::Write as _;

use ipblock_api::types::{AuditInfo, Confirmed, HistoryEntry, RevisionInfo, RevisionState};
use jiff::Timestamp;

use super::{
    changes::render_revisions,
    number::{counted, grouped},
    table::{Cell, Column, Table, cut, wrapped},
    view::{Tone, View, visible},
};

/// Minimum width of a comment.
const MIN_COMMENT_WIDTH: usize = 12;

/// The form of a time.
const SECONDS: &str = "%Y-%m-%d %H:%M:%S";

/// Renders one line per revision.
#[must_use]
pub fn render_history(revisions: &[HistoryEntry], view: &View) -> String {
    if revisions.is_empty() {
        return "nothing was deployed yet\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::right("REV"),
        Column::left("STATE"),
        Column::left("TIME"),
        Column::left("AUTHOR"),
        Column::right("RULES"),
        Column::right("ENTRIES"),
        Column::left("COMMENT"),
    ]);
    let time = if view.is_whole() {
        SECONDS
    } else {
        "%Y-%m-%d %H:%M"
    };
    for revision in revisions {
        let (state, tone) = state(revision.state);
        table.row(vec![
            Cell::from(revision.revision.to_string()),
            Cell::toned(&one_word(state, view), tone),
            Cell::from(local(revision.time, time, view)),
            Cell::from(revision.author.clone()),
            Cell::from(grouped(revision.rules)),
            Cell::from(grouped(revision.entries)),
            Cell::from(String::new()),
        ]);
    }
    let room = view.width.saturating_sub(table.width_before_last());
    let comments = revisions.iter().map(|revision| {
        let comment = visible(&revision.comment);
        Cell::from(cut(&comment, room.max(MIN_COMMENT_WIDTH)))
    });
    table.set_last_column(comments.collect());
    table.render(view)
}

/// Returns the state in one word for scripts.
fn one_word(state: &str, view: &View) -> String {
    if view.is_whole() {
        return state.replace(' ', "-");
    }
    state.to_owned()
}

const fn state(state: RevisionState) -> (&'static str, Tone) {
    match state {
        RevisionState::Deployed => ("deployed", Tone::Good),
        RevisionState::AwaitingConfirmation => ("unconfirmed", Tone::Caution),
        RevisionState::Superseded => ("superseded", Tone::Faint),
        RevisionState::RolledBack => ("rolled back", Tone::Bad),
    }
}

/// Renders one revision: what it changed, who deployed it and when.
#[must_use]
pub fn render_revision(revision: &RevisionInfo, view: &View) -> String {
    let entry = &revision.entry;
    let (state, tone) = state(entry.state);
    let name = view.paint(Tone::Strong, &format!("revision {}", entry.revision));
    let mut text = format!(
        "{name}: {}, {}, {}\n",
        view.paint(tone, state),
        counted(entry.rules, "rule", "rules"),
        counted(entry.entries, "entry", "entries"),
    );
    let made = local(entry.time, SECONDS, view);
    let _ = writeln!(text, "by {} at {made}", visible(&entry.author));
    if !entry.comment.is_empty() {
        let _ = writeln!(text, "comment: {}", visible(&entry.comment));
    }
    for event in &revision.events {
        let done = match event.what.as_str() {
            "deploy" => "deployed",
            "confirm" => "confirmed",
            "rollback" => "put in force again",
            what => what,
        };
        let at = local(event.time, SECONDS, view);
        let (done, who) = (visible(done), visible(&event.author));
        let _ = writeln!(text, "  {at}  {done} by {who}");
    }
    let _ = match revision.previous {
        0 => writeln!(text, "\nit was the first:"),
        previous => writeln!(
            text,
            "\ncompared with revision {previous}, which it replaced:"
        ),
    };
    text + &render_revisions(&revision.diff, view)
}

/// Renders what was confirmed.
#[must_use]
pub fn render_confirmed(confirmed: &Confirmed, view: &View) -> String {
    let done = view.paint(
        Tone::Good,
        &format!("confirmed revision {}", confirmed.revision),
    );
    format!("{done}: it stays\n")
}

/// Renders one line per entry, with its further lines below.
#[must_use]
pub fn render_audit(entries: &[AuditInfo], view: &View) -> String {
    if entries.is_empty() {
        return "nothing was done yet\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::left("TIME"),
        Column::left("WHO"),
        Column::left("WHAT"),
        Column::left("DETAIL"),
    ]);
    let row = |entry: &AuditInfo, detail: &str| {
        vec![
            Cell::from(local(entry.time, SECONDS, view)),
            Cell::from(&entry.author),
            Cell::from(&entry.what),
            Cell::from(detail),
        ]
    };
    // The width of the columns before the details.
    let mut heads = table.clone();
    for entry in entries {
        heads.row(row(entry, ""));
    }
    let room = view.width.saturating_sub(heads.width_before_last());
    for entry in entries {
        // Complete, because here operators look for exact details.
        let named = entry.prefixes.iter().map(ToString::to_string);
        let beyond: Vec<String> = named
            .filter(|prefix| !entry.detail.contains(prefix.as_str()))
            .collect();
        let beyond = match beyond.join(" ").as_str() {
            "" => String::new(),
            beyond => format!("among them {beyond}"),
        };
        if view.is_whole() {
            // One line, for scripts.
            let detail = [entry.detail.as_str(), beyond.as_str()];
            let lines: Vec<_> = detail.iter().flat_map(|text| text.lines()).collect();
            table.row(row(entry, &visible(&lines.join("; "))));
            continue;
        }
        let lines: Vec<String> = entry
            .detail
            .lines()
            .chain(beyond.lines())
            .flat_map(|line| wrapped(&visible(line), room.max(MIN_COMMENT_WIDTH)))
            .collect();
        let mut lines = lines.iter();
        table.row(row(entry, lines.next().map_or("", String::as_str)));
        for line in lines {
            table.row(vec!["".into(), "".into(), "".into(), line.into()]);
        }
    }
    table.render(view)
}

fn local(time: Timestamp, form: &str, view: &View) -> String {
    let local = time.to_zoned(view.time_zone.clone());
    local.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;
    use crate::samples;

    fn revisions() -> Vec<HistoryEntry> {
        let entry = |revision: u64, state, author: &str, comment: &str| HistoryEntry {
            revision,
            time: samples::now() - (20 - i64::try_from(revision).expect("small")).hours(),
            author: author.to_owned(),
            comment: comment.to_owned(),
            rules: 3,
            entries: 70_044 + revision,
            state,
        };
        vec![
            entry(9, RevisionState::AwaitingConfirmation, "uid 0 (root)", ""),
            entry(
                8,
                RevisionState::RolledBack,
                "uid 1001",
                "block the scanners of last night, and what the weekly report said about them",
            ),
            entry(
                7,
                RevisionState::Superseded,
                "uid 0 (ipblockd)",
                "list feed",
            ),
        ]
    }

    #[test]
    fn history_is_a_table_of_80_columns() {
        insta::assert_snapshot!(render_history(&revisions(), &samples::view()));
    }

    #[test]
    fn history_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(revisions());
    }

    #[test]
    fn the_audit_trail_is_a_table_of_80_columns() {
        let entries = [
            AuditInfo {
                time: samples::now(),
                author: "uid 0 (root)".to_owned(),
                what: "stage".to_owned(),
                detail: "rule abuse: added, block 3 prefixes\nallow list: 1 entry added".to_owned(),
                prefixes: Vec::new(),
            },
            AuditInfo {
                time: samples::now(),
                author: "uid 0 (root)".to_owned(),
                what: "ban".to_owned(),
                detail: "192.0.2.1/32 192.0.2.2/32 and 480 more until 2026-12-01T00:00:00Z"
                    .to_owned(),
                prefixes: ["192.0.2.1/32", "203.0.113.9/32"]
                    .map(|prefix| prefix.parse().expect("a prefix"))
                    .into(),
            },
            AuditInfo {
                time: samples::now() - 1.hours(),
                author: "uid 0 (ipblockd)".to_owned(),
                what: "rollback".to_owned(),
                detail: "revision 6".to_owned(),
                prefixes: Vec::new(),
            },
        ];
        insta::assert_snapshot!(render_audit(&entries, &samples::view()));
    }
}
