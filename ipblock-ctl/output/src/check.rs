//! `check`: one paragraph per address.

use std::fmt::Write as _;

use ipblock_api::types::{Action, Check, CheckRule, Reason, verdict};
use jiff::Timestamp;

use super::{
    time::{clock, relative},
    view::{Tone, View},
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
    if let Some(prefix) = &check.banned_by {
        let end = match check.banned_until {
            Some(until) => format!("ends {}", relative(view.now, until)),
            None => "never ends".to_owned(),
        };
        let _ = writeln!(text, "  ban     {prefix}, {end}");
    }
    for rule in &check.rules {
        let _ = writeln!(text, "  rule    {}", rule_line(check, rule, view));
    }
    let kernel = if check.kernel_agrees {
        "agrees".to_owned()
    } else {
        view.paint(
            Tone::Bad,
            "DISAGREES: its maps give another answer (ipblock-ctl status)",
        )
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
