//! Present and past changes: `diff`, staged edits, `deploy`, `apply`.

use std::fmt::Write as _;

use ipblock_api::types::{
    Applied, ConflictInfo, Deployed, Diff, RuleChange, RuleChangeKind, Staged, StagedEditInfo,
};

use super::{
    number::{counted, grouped, grouped_text},
    table::wrapped,
    time::{clock, relative, span},
    view::{Tone, View, visible},
};

/// The filter also judges replies to this host's own connections, which operators easily forget.
const STATELESS: &str = "stateless: replies to this host's own connections are dropped too";

/// Renders what a deploy would change.
#[must_use]
pub fn render_diff(diff: &Diff, view: &View) -> String {
    if diff.rules.is_empty() && diff.other.is_empty() {
        let nothing = if diff.edits.is_empty() {
            "nothing staged: "
        } else {
            ""
        };
        let mut text = format!("{nothing}no difference from what is deployed\n");
        push_edits(&mut text, &diff.edits, view);
        return text;
    }
    let mut text = render_changes(diff, view);
    push_edits(&mut text, &diff.edits, view);
    for conflict in &diff.conflicts {
        push_conflict(&mut text, conflict, view);
    }
    text
}

/// Renders how two revisions differ.
#[must_use]
pub fn render_revisions(diff: &Diff, view: &View) -> String {
    if diff.rules.is_empty() && diff.other.is_empty() {
        return "no difference\n".to_owned();
    }
    render_changes(diff, view)
}

fn render_changes(diff: &Diff, view: &View) -> String {
    let mut text = String::new();
    for rule in &diff.rules {
        push_rule(&mut text, rule, view);
    }
    push_other(&mut text, &diff.other, view);
    let blocked = &diff.addresses.newly_blocked;
    let _ = writeln!(
        text,
        "\naddresses  {} newly blocked\n           {} newly passed",
        grouped_text(blocked),
        grouped_text(&diff.addresses.newly_passed),
    );
    let _ = writeln!(
        text,
        "entries    {} before, {} after",
        grouped(diff.entries.before),
        grouped(diff.entries.after)
    );
    push_cautions(&mut text, diff, view);
    if blocked != "0" {
        push_labelled(&mut text, view, Tone::Faint, "note:", STATELESS);
    }
    text
}

pub(super) fn push_cautions(text: &mut String, diff: &Diff, view: &View) {
    for warning in &diff.warnings {
        push_labelled(text, view, Tone::Caution, "warning:", warning);
    }
    for peer in &diff.cut_peers {
        push_labelled(text, view, Tone::Bad, "cuts:", peer);
    }
}

/// Renders the authors of edits: one line per person.
fn push_edits(text: &mut String, edits: &[StagedEditInfo], view: &View) {
    for line in edits_by_author(edits) {
        push_labelled(text, view, Tone::Faint, "staged:", &line);
    }
}

/// Returns the authors of edits with their number of edits: one text per person.
fn edits_by_author(edits: &[StagedEditInfo]) -> Vec<String> {
    let mut people: Vec<(&str, u64)> = Vec::new();
    for edit in edits {
        match people.iter_mut().find(|(who, _)| *who == edit.author) {
            Some((_, count)) => *count += 1,
            None => people.push((&edit.author, 1)),
        }
    }
    let lines = people.into_iter();
    lines
        .map(|(who, count)| format!("{} by {}", counted(count, "edit", "edits"), visible(who)))
        .collect()
}

fn push_conflict(text: &mut String, conflict: &ConflictInfo, view: &View) {
    let line = format!("{}: {}", conflict.subject, conflict.problem);
    push_labelled(text, view, Tone::Bad, "conflict:", &line);
    for (side, lines) in [
        ("staged", &conflict.staged),
        ("deployed", &conflict.deployed),
    ] {
        for line in lines {
            let _ = writeln!(text, "    {side}: {}", visible(line));
        }
    }
}

/// Renders lists, zones and allow lists, with the settings of a new object below it.
fn push_other(text: &mut String, lines: &[String], view: &View) {
    let mut new = None;
    for line in lines {
        let (subject, said) = line.split_once(": ").unwrap_or((line, ""));
        if new == Some(subject) {
            push_detail(text, said, view);
            continue;
        }
        let change = match said.split(',').next() {
            Some("added") => RuleChangeKind::Added,
            Some("removed") => RuleChangeKind::Removed,
            _ => RuleChangeKind::Changed,
        };
        new = (change == RuleChangeKind::Added).then_some(subject);
        let (mark, _) = mark_and_word(change, view);
        let _ = writeln!(text, "{mark} {}", visible(line));
    }
}

fn mark_and_word(change: RuleChangeKind, view: &View) -> (String, &'static str) {
    let (mark, word, tone) = match change {
        RuleChangeKind::Added => ("+", "added", Tone::Good),
        RuleChangeKind::Changed => ("~", "changed", Tone::Caution),
        RuleChangeKind::Removed => ("-", "removed", Tone::Bad),
    };
    (view.paint(tone, mark), word)
}

fn push_rule(text: &mut String, rule: &RuleChange, view: &View) {
    let (mark, word) = mark_and_word(rule.change, view);
    let _ = writeln!(text, "{mark} rule {}: {word}", rule.name);
    for line in &rule.detail {
        push_detail(text, line, view);
    }
}

/// Renders an indented detail in several lines if necessary: lists of addresses are long.
fn push_detail(text: &mut String, line: &str, view: &View) {
    let mut indent = "    ";
    for part in wrapped(&visible(line), view.width.saturating_sub(6)) {
        let _ = writeln!(text, "{indent}{part}");
        indent = "      ";
    }
}

pub(super) fn push_labelled(text: &mut String, view: &View, tone: Tone, label: &str, line: &str) {
    let label = view.paint(tone, label);
    let _ = writeln!(text, "{label} {}", visible(line));
}

/// Renders the result of staging.
#[must_use]
pub fn render_staged(staged: &Staged, _view: &View) -> String {
    let mut text = String::new();
    for line in &staged.done {
        let _ = writeln!(text, "{}", visible(line));
    }
    text
}

/// Renders the result of a deploy.
#[must_use]
pub fn render_deployed(deployed: &Deployed, view: &View) -> String {
    if !deployed.changed {
        return format!(
            "nothing to do: revision {} is deployed\n",
            deployed.revision
        );
    }
    let done = view.paint(
        Tone::Good,
        &format!("deployed revision {}", deployed.revision),
    );
    let mut text = format!(
        "{done}: {}, {} (built in {}, switched in {})\n",
        counted(deployed.rules, "rule", "rules"),
        counted(deployed.entries, "entry", "entries"),
        milliseconds(deployed.build_ms),
        milliseconds(deployed.switch_ms),
    );
    text.push_str(&edits_taken_along(deployed));
    if let Some(edits) = deployed.still_staged.filter(|edits| *edits > 0) {
        let _ = writeln!(text, "still staged: {}", counted(edits, "edit", "edits"));
    }
    text.push_str(&confirmation(deployed, view));
    for warning in &deployed.warnings {
        push_labelled(&mut text, view, Tone::Caution, "warning:", warning);
    }
    text
}

/// Returns the authors of the deployed edits.
fn edits_taken_along(deployed: &Deployed) -> String {
    let authors = edits_by_author(&deployed.edits);
    if authors.is_empty() {
        return String::new();
    }
    format!("with {}\n", authors.join(", "))
}

/// Explains the rollback of a deploy that must be confirmed.
fn confirmation(deployed: &Deployed, view: &View) -> String {
    let Some(deadline) = deployed.confirm_deadline else {
        return String::new();
    };
    let label = view.paint(Tone::Caution, "to be confirmed:");
    format!(
        "{label} it is rolled back automatically {} ({})\n",
        relative(view.now, deadline),
        clock(deadline, &view.time_zone)
    )
}

fn milliseconds(ms: u64) -> String {
    match ms {
        0 => "under 1 ms".to_owned(),
        1..10_000 => format!("{} ms", grouped(ms)),
        ms => span(ms / 1000),
    }
}

/// Renders the result of an apply, or of its dry run.
#[must_use]
pub fn render_applied(applied: &Applied, view: &View) -> String {
    if !applied.changed {
        return "nothing to do: the file says what is deployed\n".to_owned();
    }
    let mut text = render_diff(&applied.diff, view);
    if let Some(deployed) = &applied.deployed {
        text.push_str(&render_deployed(deployed, view));
    }
    text
}

/// Renders the result of a rollback, or of its dry run.
#[must_use]
pub fn render_rolled_back(revision: u64, applied: &Applied, view: &View) -> String {
    if !applied.changed {
        return format!("nothing to do: revision {revision} is deployed\n");
    }
    let mut text = if applied.diff.rules.is_empty() && applied.diff.other.is_empty() {
        "no difference in rules\n".to_owned()
    } else {
        render_diff(&applied.diff, view)
    };
    if let Some(deployed) = &applied.deployed {
        text.push_str(&render_deployed(deployed, view));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_diff_marks_what_changes() {
        insta::assert_snapshot!(render_diff(&samples::diff(), &samples::view()));
    }

    #[test]
    fn a_long_list_of_addresses_goes_on_below() {
        let mut diff = samples::diff();
        let addresses: Vec<_> = (10..20).map(|n| format!("+198.51.100.{n}/32")).collect();
        diff.rules.truncate(1);
        diff.rules[0].detail = vec![format!("match: {} and 10 more", addresses.join(", "))];
        let text = render_diff(&diff, &samples::view());
        let lines: Vec<_> = text.lines().take(5).collect();
        assert!(lines.iter().all(|line| line.len() <= 80), "{text}");
        insta::assert_snapshot!(lines.join("\n"), @"
        + rule scanners: added
            match: +198.51.100.10/32, +198.51.100.11/32, +198.51.100.12/32,
              +198.51.100.13/32, +198.51.100.14/32, +198.51.100.15/32,
              +198.51.100.16/32, +198.51.100.17/32, +198.51.100.18/32, +198.51.100.19/32
              and 10 more
        ");
    }

    #[test]
    fn a_new_list_or_zone_is_marked_as_new_once() {
        let diff = Diff {
            other: [
                "allow: +192.0.2.7/32",
                "zone `dmz`: added",
                "zone `dmz`: default: pass -> drop",
                "zone `lan`: removed",
                "list `feed`: added, read from feed.txt",
                "list `feed`: 2 prefixes more: +192.0.2.1/32, +192.0.2.2/32",
                "list `office`: 1 prefix fewer: -198.51.100.0/24",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Diff::default()
        };
        let text = render_diff(&diff, &samples::view());
        let (changes, _) = text.split_once("\n\n").expect("changes, then counts");
        insta::assert_snapshot!(changes, @"
        ~ allow: +192.0.2.7/32
        + zone `dmz`: added
            default: pass -> drop
        - zone `lan`: removed
        + list `feed`: added, read from feed.txt
            2 prefixes more: +192.0.2.1/32, +192.0.2.2/32
        ~ list `office`: 1 prefix fewer: -198.51.100.0/24
        ");
    }

    #[test]
    fn a_conflict_shows_both_sides() {
        let mut diff = samples::diff();
        diff.conflicts = vec![ConflictInfo {
            subject: "rule abuse".to_owned(),
            problem: "changed on both sides".to_owned(),
            staged: vec!["match: +192.0.2.0/24".to_owned()],
            deployed: vec!["removed".to_owned()],
        }];
        let text = render_diff(&diff, &samples::view());
        let (_, conflict) = text.split_once("conflict:").expect("it is shown");
        insta::assert_snapshot!(conflict, @r"
         rule abuse: changed on both sides
            staged: match: +192.0.2.0/24
            deployed: removed
        ");
    }

    #[test]
    fn a_deploy_on_trial_says_until_when() {
        let mut deployed = samples::deployed();
        deployed.confirm_deadline = Some(samples::now() + jiff::ToSpan::seconds(60));
        let text = render_deployed(&deployed, &samples::view());
        let (_, trial) = text.split_once('\n').expect("two lines");
        insta::assert_snapshot!(
            trial,
            @"to be confirmed: it is rolled back automatically in 1m (2026-10-01 12:01:00 +00:00)"
        );
    }

    #[test]
    fn nothing_staged_is_said() {
        insta::assert_snapshot!(
            render_diff(&Diff::default(), &samples::view()),
            @"nothing staged: no difference from what is deployed"
        );
    }

    #[test]
    fn edits_that_undo_each_other_are_staged_all_the_same() {
        let diff = Diff {
            edits: samples::diff().edits,
            ..Diff::default()
        };
        let text = render_diff(&diff, &samples::view());
        assert!(
            text.starts_with("no difference from what is deployed\nstaged: "),
            "{text}"
        );
    }

    #[test]
    fn diff_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::diff());
    }

    #[test]
    fn a_deploy_says_what_is_in_force() {
        let mut deployed = samples::deployed();
        let deployed_text = render_deployed(&deployed, &samples::view());
        assert_eq!(
            deployed_text,
            "deployed revision 8: 3 rules, 70,044 entries (built in 212 ms, switched in under 1 ms)\n"
        );
        deployed.changed = false;
        let nothing = render_deployed(&deployed, &samples::view());
        assert_eq!(nothing, "nothing to do: revision 8 is deployed\n");
    }

    #[test]
    fn an_apply_shows_the_change_and_the_deploy() {
        let mut applied = Applied {
            diff: samples::diff(),
            changed: true,
            deployed: Some(samples::deployed()),
            restored: None,
        };
        let text = render_applied(&applied, &samples::view());
        assert!(text.starts_with("+ rule scanners: added\n"), "{text}");
        assert!(text.contains("\ndeployed revision 8: "), "{text}");
        applied.changed = false;
        let text = render_applied(&applied, &samples::view());
        assert_eq!(text, "nothing to do: the file says what is deployed\n");
    }
}
