//! `check`: one paragraph per address.

use std::fmt::Write as _;

use ipblock_api::types::{
    Action, BanEnd, Check, CheckBan, CheckEntry, CheckRule, Past, Reason, RuleOrigin, verdict,
};
use jiff::Timestamp;

use super::{
    number::counted,
    table::{Cell, Column, Table},
    time::{clock, relative},
    view::{Tone, View, visible},
};

/// Renders verdict, reason, and whether the kernel agrees, for each address.
#[must_use]
pub fn render(checks: &[Check], view: &View) -> String {
    let off = checks.iter().find_map(|check| check.panic_off_until);
    let off = off.map(|until| called_off(until, view));
    let paragraphs = checks.iter().map(|check| paragraph(check, view));
    let paragraphs: Vec<String> = off.into_iter().chain(paragraphs).collect();
    paragraphs.join("\n")
}

/// Renders the note above all answers, because `panic-off` overrides each of them.
fn called_off(until: Timestamp, view: &View) -> String {
    let line = format!(
        "panic-off until {} ({}): nothing is dropped now, whatever is said below",
        clock(until, &view.time_zone),
        relative(view.now, until)
    );
    view.paint(Tone::Bad, &line) + "\n"
}

fn paragraph(check: &Check, view: &View) -> String {
    let word = verdict::word(check.verdict);
    let (word, tone) = match check.verdict {
        Some(action) if action.drops() => (word.to_owned(), action.into()),
        Some(action) => (format!("{word} (passes)"), action.into()),
        None => (word.to_owned(), Tone::Good),
    };
    let address = view.paint(Tone::Strong, &check.address);
    let mut text = format!(
        "{address} in zone {}: {}\n",
        check.zone,
        view.paint(tone, &word)
    );
    let _ = writeln!(text, "  why     {}", why(check));
    entries(&mut text, &check.allow_entries);
    for ban in &check.bans {
        ban_lines(&mut text, ban, view);
    }
    // An older daemon names one ban alone.
    let only = check.banned_by.as_ref().filter(|_| check.bans.is_empty());
    if let Some(prefix) = only {
        let end = match check.banned_until {
            Some(until) => format!("ends {}", relative(view.now, until)),
            None => "never ends".to_owned(),
        };
        let _ = writeln!(text, "  ban     {prefix}, {end}");
    }
    for rule in &check.rules {
        let _ = writeln!(text, "  rule    {}", rule_line(check, rule, view));
        rule_details(&mut text, rule, view);
    }
    for past in &check.past {
        past_lines(&mut text, past, view);
    }
    let kernel = match check.kernel_agrees {
        None => "not asked: this is what is staged".to_owned(),
        Some(true) => "agrees".to_owned(),
        Some(false) => view.paint(
            Tone::Bad,
            "DISAGREES: its maps give another answer (ipblock-ctl status)",
        ),
    };
    let _ = writeln!(text, "  kernel  {kernel}");
    text
}

fn why(check: &Check) -> String {
    match check.reason {
        Reason::Rule => match check.verdict {
            Some(action) => decisive(action),
            None => "the rules let it pass".to_owned(),
        },
        Reason::Ban => "a ban covers it; rules do not count".to_owned(),
        Reason::Allow => match &check.allowed_by {
            Some(entry) => format!("the allow list holds {entry}; rules and bans do not count"),
            None => "an allow list holds it; rules and bans do not count".to_owned(),
        },
        Reason::Default if check.rules.iter().all(|rule| rule.excepted_by.is_some()) => {
            "no rule matches: the zone's default decides".to_owned()
        }
        Reason::Default => "no block rule matches: the zone's default decides".to_owned(),
    }
}

/// Explains which rule decides, and that no stronger one matches.
fn decisive(action: Action) -> String {
    let stronger = Action::ALL.into_iter().filter(|other| *other < action);
    let stronger: Vec<_> = stronger.map(Action::as_str).collect();
    match stronger.as_slice() {
        [] => format!("a {action} rule matches"),
        stronger => format!(
            "a {action} rule matches, and no {} rule",
            stronger.join(" or ")
        ),
    }
}

/// Adds a line below the one that it explains.
fn detail(text: &mut String, line: &str) {
    let _ = writeln!(text, "            {line}");
}

fn entries(text: &mut String, entries: &[CheckEntry]) {
    for entry in entries {
        let mut line = match (&entry.list, &entry.source) {
            (Some(list), Some(source)) => format!("in list {list}, from {source}"),
            (Some(list), None) => format!("in list {list}"),
            // Nothing to add to the line above.
            (None, _) if entry.note.is_empty() => continue,
            (None, _) => "its entry".to_owned(),
        };
        if !entry.note.is_empty() {
            let _ = write!(line, ": {}", visible(&entry.note));
        }
        detail(text, &line);
    }
}

fn rule_details(text: &mut String, rule: &CheckRule, view: &View) {
    entries(text, &rule.entries);
    entries(text, &rule.except_entries);
    if !rule.note.is_empty() {
        detail(text, &format!("note: {}", visible(&rule.note)));
    }
    if let Some(RuleOrigin {
        revision,
        time,
        author,
    }) = &rule.since
    {
        let when = relative(view.now, *time);
        let author = visible(author);
        detail(
            text,
            &format!("since revision {revision}, {when}, by {author}"),
        );
    }
    if let Some(packets) = rule.packets {
        detail(text, &counted_hits(packets, rule.last_hit, view));
    }
}

fn counted_hits(packets: u64, last_hit: Option<Timestamp>, view: &View) -> String {
    let packets = counted(packets, "packet", "packets");
    match last_hit {
        Some(last) => format!("{packets}, the last {}", relative(view.now, last)),
        None => packets,
    }
}

fn ban_lines(text: &mut String, ban: &CheckBan, view: &View) {
    let end = match ban.until {
        Some(until) => format!(
            "until {} ({})",
            clock(until, &view.time_zone),
            relative(view.now, until)
        ),
        None => "permanent".to_owned(),
    };
    let _ = writeln!(text, "  ban     {} ({}), {end}", ban.prefix, ban.origin);
    if !ban.reason.is_empty() {
        detail(text, &format!("reason: {}", visible(&ban.reason)));
    }
    let when = relative(view.now, ban.time);
    detail(text, &format!("since {when}, by {}", visible(&ban.author)));
    if let Some(packets) = ban.packets {
        detail(text, &counted_hits(packets, ban.last_hit, view));
    }
}

fn past_lines(text: &mut String, past: &Past, view: &View) {
    let Past::Ban(ban) = past;
    let how = match (ban.how, &ban.by) {
        (BanEnd::Expired, _) => "its time was over".to_owned(),
        (BanEnd::Unbanned, Some(by)) => format!("unbanned by {}", visible(by)),
        (BanEnd::Unbanned, None) => "unbanned".to_owned(),
    };
    let ended = relative(view.now, ban.ended);
    let _ = writeln!(
        text,
        "  past    ban {} ({}), ended {ended}",
        ban.prefix, ban.origin
    );
    if !ban.reason.is_empty() {
        detail(text, &format!("reason: {}", visible(&ban.reason)));
    }
    let when = relative(view.now, ban.since);
    detail(text, &format!("since {when}, by {}", visible(&ban.author)));
    detail(text, &how);
}

/// Renders a line for each answer, for many addresses. Only the first part of a
/// stream has titles and the note about `panic-off`.
#[must_use]
pub fn render_lines(checks: &[Check], is_first: bool, view: &View) -> String {
    let off = checks.iter().find_map(|check| check.panic_off_until);
    let off = off
        .filter(|_| is_first)
        .map(|until| called_off(until, view));
    let titles = ["ADDRESS", "ZONE", "VERDICT", "WHY", "BY", "UNTIL"];
    let titles = titles.map(|title| Column::left(if is_first { title } else { "" }));
    let mut table = Table::new(&titles);
    for check in checks {
        let (by, until) = decided_by(check);
        let verdict = verdict::word(check.verdict);
        let tone = match check.verdict {
            Some(action) => action.into(),
            None => Tone::Good,
        };
        let why = match check.kernel_agrees {
            Some(false) => "kernel DISAGREES",
            _ => check.reason.as_str(),
        };
        table.row(vec![
            check.address.as_str().into(),
            check.zone.as_str().into(),
            Cell::toned(verdict, tone),
            why.into(),
            by.into(),
            until
                .map_or("-".to_owned(), |until| clock(until, &view.time_zone))
                .into(),
        ]);
    }
    off.unwrap_or_default() + &table.render(view)
}

/// Returns what decides, and its end.
fn decided_by(check: &Check) -> (String, Option<Timestamp>) {
    match check.reason {
        Reason::Ban => {
            let by = check.banned_by.clone().unwrap_or_default();
            let owner = check.bans.first().map(|ban| format!(" ({})", ban.origin));
            (by + &owner.unwrap_or_default(), check.banned_until)
        }
        Reason::Allow => (check.allowed_by.clone().unwrap_or_default(), None),
        Reason::Rule => {
            let rules = check.rules.iter();
            let mut rules = rules.filter(|rule| rule.excepted_by.is_none());
            let rule = rules.find(|rule| Some(rule.action) == check.verdict);
            rule.map_or(("-".to_owned(), None), |rule| {
                (format!("{}: {}", rule.name, rule.matched), rule.expires)
            })
        }
        Reason::Default => ("-".to_owned(), None),
    }
}

fn rule_line(check: &Check, rule: &CheckRule, view: &View) -> String {
    let action = view.paint(rule.action.into(), rule.action.as_str());
    let mut line = format!("{} ({action})", rule.name);
    match &rule.excepted_by {
        Some(exception) => {
            let _ = write!(
                line,
                " would match {}, spared by exception {exception}",
                rule.matched
            );
        }
        None if matches!(check.reason, Reason::Allow | Reason::Ban) => {
            let _ = write!(line, " would match {}", rule.matched);
        }
        None => {
            let counts_only = !rule.action.drops() && check.verdict.is_some_and(Action::drops);
            let counts = if counts_only { " (counts only)" } else { "" };
            let _ = write!(line, " matches {}{counts}", rule.matched);
        }
    }
    if let Some(end) = rule.expires {
        let _ = write!(line, ", ends {}", relative(view.now, end));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn every_reason_reads_as_a_paragraph() {
        insta::assert_snapshot!(render(&samples::checks(), &samples::view()));
    }

    #[test]
    fn all_that_is_known_reads_well_at_80_columns() {
        let text = render(&[samples::dossier()], &samples::view());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        insta::assert_snapshot!(text);
        insta::assert_json_snapshot!(samples::dossier());
    }

    #[test]
    fn many_addresses_are_a_line_each() {
        let mut checks = samples::checks();
        checks.push(samples::dossier());
        insta::assert_snapshot!(render_lines(&checks, true, &samples::view()));
        let untitled = render_lines(&checks, false, &samples::view());
        assert_eq!(untitled.lines().count(), checks.len());
    }

    #[test]
    fn panic_off_stands_above_a_block_verdict() {
        let view = samples::view();
        let mut checks = samples::checks();
        checks.truncate(1);
        checks[0].panic_off_until = Some(view.now);
        let text = render(&checks, &view);
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("panic-off until "), "{text}");
        assert!(first.contains("nothing is dropped now"), "{text}");
    }

    #[test]
    fn check_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::checks()[..2]);
    }
}
