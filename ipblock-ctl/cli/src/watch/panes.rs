//! The parts of the live view: a title with the names of the columns, and a line per object.

use std::{fmt::Write as _, time::Duration};

use ipblock_api::types::ZoneStatus;
use ipblock_output::{
    Tone, View,
    alerts::destination,
    number::{bytes, short},
    rates,
    table::{cut, fit_list},
    time::{relative, span},
    top,
    view::visible,
};
use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

use super::{model::Model, rate_history::RateHistories};

/// Width of a rate or a count.
const NUMBER: usize = 9;
/// Width of `block` and its title.
const ACTION: usize = 6;
/// Width of a relative time.
const AGO: usize = 10;
/// Width of a time of day.
const TIME: usize = 8;
/// A narrower sparkline is not useful.
const MIN_SPARKLINE: usize = 8;
/// Maximum width of a name.
const MAX_NAME: usize = 24;

/// Text with its tone, in parts.
pub(super) type Parts = Vec<(String, Tone)>;

/// Formats a relative time in few columns.
fn ago(time: Option<Timestamp>, view: &View) -> String {
    time.map_or("never".to_owned(), |time| relative(view.now, time))
}

/// Returns `text` cut or padded to `width` columns.
fn left(text: &str, width: usize) -> String {
    let text = cut(&visible(text), width);
    let padding = " ".repeat(width.saturating_sub(text.width()));
    text + &padding
}

fn right(text: &str, width: usize) -> String {
    let padding = " ".repeat(width.saturating_sub(text.width()));
    padding + text
}

fn plain(text: String) -> Parts {
    vec![(text, Tone::Plain)]
}

/// Returns a line that there is nothing to show, and why.
fn nothing(model: &Model, text: &str) -> Vec<Parts> {
    let text = match model.filter.as_str() {
        "" => text.to_owned(),
        filter => format!("no match for `{}`", visible(filter)),
    };
    vec![vec![(text, Tone::Faint)]]
}

/// Divides `width` between names, required columns of numbers, and a sparkline.
fn name_and_sparkline(names: usize, needed: usize, width: usize) -> (usize, usize) {
    let room = width.saturating_sub(needed);
    let name = names.clamp("ZONE".len(), MAX_NAME).min(room);
    match room.saturating_sub(name + 1) {
        narrow if narrow < MIN_SPARKLINE => (name, 0),
        wide => (name, wide),
    }
}

/// Packets per second of each zone, by verdict; the sparkline shows dropped ones.
pub(super) fn zones(model: &Model, width: usize) -> (String, Vec<Parts>) {
    let zones = model.zones();
    let longest = zones.iter().map(|zone| zone.name.width()).max();
    let needed = 3 * (NUMBER + 1);
    let (name, sparkline) = name_and_sparkline(longest.unwrap_or(0), needed, width);
    let mut title = left("ZONE", name);
    for column in ["passed/s", "warned/s", "dropped/s"] {
        let _ = write!(title, " {}", right(column, NUMBER));
    }
    if sparkline > 0 {
        let _ = write!(title, " {}", left("dropped", sparkline));
    }
    let line = |zone: &ZoneStatus| {
        let rate = |histories: &RateHistories| {
            let rate = histories.rate(&zone.name).map(|rate| rate.packets);
            format!(" {}", right(&rates::rate_text(rate), NUMBER))
        };
        vec![
            (left(&zone.name, name), Tone::Plain),
            (rate(&model.passed), Tone::Plain),
            (rate(&model.warned), Tone::Caution),
            (rate(&model.dropped), Tone::Bad),
            (
                format!(" {}", model.dropped.sparkline(&zone.name, sparkline)),
                Tone::Plain,
            ),
        ]
    };
    (title, zones.iter().map(line).collect())
}

/// Packets per second of each rule, and their total number.
pub(super) fn rules(model: &Model, width: usize, view: &View) -> (String, Vec<Parts>) {
    let rules = model.sorted_rules();
    let heading = format!("RULE (by {})", model.sort.word());
    let longest = rules.iter().map(|rule| rule.name.width());
    let longest = longest.chain([heading.width()]).max();
    let has_bytes = width >= 60;
    let has_ago = width >= 90;
    let mut needed = ACTION + 1 + 2 * (NUMBER + 1);
    if has_bytes {
        needed += NUMBER + 1;
    }
    if has_ago {
        needed += AGO + 1;
    }
    let (name, sparkline) = name_and_sparkline(longest.unwrap_or(0), needed, width);
    let mut title = format!(
        "{} {} {} {}",
        left(&heading, name),
        left("action", ACTION),
        right("packets/s", NUMBER),
        right("packets", NUMBER),
    );
    if has_bytes {
        let _ = write!(title, " {}", right("bytes", NUMBER));
    }
    if has_ago {
        let _ = write!(title, " {}", right("last hit", AGO));
    }
    if sparkline > 0 {
        let _ = write!(title, " {}", left("packets/s", sparkline));
    }
    if rules.is_empty() {
        return (title, nothing(model, "no rules deployed"));
    }
    let lines = rules.into_iter().map(|rule| {
        let rate = model.rules.rate(&rule.name).map(|rate| rate.packets);
        let mut rest = format!(
            " {} {}",
            right(&rates::rate_text(rate), NUMBER),
            right(&short(rule.packets), NUMBER),
        );
        if has_bytes {
            let _ = write!(rest, " {}", right(&bytes(rule.bytes), NUMBER));
        }
        if has_ago {
            let _ = write!(rest, " {}", right(&ago(rule.last_hit, view), AGO));
        }
        let _ = write!(rest, " {}", model.rules.sparkline(&rule.name, sparkline));
        vec![
            (format!("{} ", left(&rule.name, name)), Tone::Plain),
            (left(rule.action.as_str(), ACTION), rule.action.into()),
            (rest, Tone::Plain),
        ]
    });
    (title, lines.collect())
}

/// The sources that hit most.
pub(super) fn sources(model: &Model, width: usize, view: &View) -> (String, Vec<Parts>) {
    let sources = model.sources();
    let longest = longest_source(model).max("TOP SOURCE".len());
    let address = longest.min(width.saturating_sub(NUMBER + 1));
    let has_ago = width > address + NUMBER + AGO + 2;
    let mut title = format!(
        "{} {}",
        left("TOP SOURCE", address),
        right("packets", NUMBER)
    );
    if has_ago {
        let _ = write!(title, " {} rules", right("last hit", AGO));
    }
    let title = cut_end(&title, width);
    if sources.is_empty() {
        return (title, nothing(model, "none has hit"));
    }
    let lines = sources.into_iter().map(|source| {
        let packets = right(&short(source.packets), NUMBER);
        let mut text = format!("{} {packets}", left(&source.source.to_string(), address));
        if has_ago {
            let _ = write!(text, " {} ", right(&ago(source.last_hit, view), AGO));
            let room = width.saturating_sub(text.width());
            if room > 3 {
                text += &fit_list(&top::rules(source), room);
            }
        }
        plain(text)
    });
    (title, lines.collect())
}

/// Returns the width of the longest address among the sources.
fn longest_source(model: &Model) -> usize {
    let sources = model.sources().into_iter();
    let lengths = sources.map(|source| source.source.to_string().width());
    lengths.max().unwrap_or(0)
}

/// Returns the minimum width of the sources.
pub(super) fn sources_width(model: &Model) -> usize {
    longest_source(model) + NUMBER + 2
}

/// The bans that end next.
pub(super) fn bans(model: &Model, width: usize, at: Duration) -> (String, Vec<Parts>) {
    let bans = model.bans(at);
    let longest = bans.iter().map(|(ban, _)| ban.prefix.to_string().width());
    let prefix = longest.max().unwrap_or(0).max("BAN, NEXT TO END".len());
    let prefix = prefix.min(width.saturating_sub(TIME));
    let title = format!(
        "{} {}",
        left("BAN, NEXT TO END", prefix),
        right("left", TIME - 1)
    );
    if bans.is_empty() {
        return (title, nothing(model, "none ends"));
    }
    let lines = bans.into_iter().map(|(ban, seconds)| {
        let left_over = right(&span(seconds), TIME - 1);
        let mut text = format!("{} {left_over} ", left(&ban.prefix.to_string(), prefix));
        let room = width.saturating_sub(text.width());
        if room > 3 {
            let owner = if ban.origin.is_manual() {
                String::new()
            } else {
                format!("{} ", ban.origin)
            };
            text += &cut((owner + &visible(&ban.reason)).trim_end(), room);
        }
        plain(text)
    });
    (title, lines.collect())
}

/// The newest alerts.
pub(super) fn alerts(model: &Model, width: usize, view: &View) -> (String, Vec<Parts>) {
    let alerts = model.alerts();
    let rules = if width >= 100 {
        MAX_NAME
    } else {
        14.min(width / 4)
    };
    let title = format!(
        "{} {} {} {} source -> destination",
        left("ALERT", TIME),
        left("rules", rules),
        left("action", ACTION),
        right("packets", NUMBER),
    );
    if alerts.is_empty() {
        return (title, nothing(model, "no alerts"));
    }
    let lines = alerts.into_iter().map(|alert| {
        let time = alert.time.to_zoned(view.time_zone.clone());
        let today = time.date() == view.now.to_zoned(view.time_zone.clone()).date();
        let format = if today { "%H:%M:%S" } else { "%m-%d" };
        let time = time.strftime(format).to_string();
        let names: Vec<String> = alert.rules.iter().map(|rule| visible(rule)).collect();
        vec![
            (
                format!(
                    "{} {} ",
                    left(&time, TIME),
                    left(&fit_list(&names, rules), rules)
                ),
                Tone::Plain,
            ),
            (left(alert.action.as_str(), ACTION), alert.action.into()),
            (
                format!(
                    " {} {} -> {}",
                    right(&short(alert.packets), NUMBER),
                    alert.source,
                    destination(alert)
                ),
                Tone::Plain,
            ),
        ]
    });
    (title, lines.collect())
}

/// Returns the start of `text` that fits, without a mark: titles are clear without one.
fn cut_end(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}
