//! `bans`, and the results of `ban` and `unban`.

use std::fmt::{Display, Write as _};

use ipblock_api::types::{BanChange, BanInfo, Banned, BannedPrefix, Origin, OriginCount, Unbanned};
use jiff::Timestamp;

use super::{
    number::{counted, grouped},
    table::{Cell, Column, Table, cut},
    time::{clock, relative, span},
    view::{View, visible},
};

/// Maximum of prefixes that are listed one by one.
const NAMED: usize = 10;

/// Width of the reason, if necessary at the cost of other columns.
const GOOD_REASON_WIDTH: usize = 20;

/// Minimum width of the reason.
const MIN_REASON_WIDTH: usize = 12;

/// Renders one line per ban. Always shows the column that they are sorted by. `selected` names what
/// was asked for, if not every ban.
#[must_use]
pub fn render_list(bans: &[BanInfo], sorted_by: &str, selected: &str, view: &View) -> String {
    if bans.is_empty() && !selected.is_empty() {
        return format!("no bans{selected}\n");
    }
    if bans.is_empty() {
        return "nothing is banned\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::left("PREFIX"),
        Column::left("ORIGIN"),
        Column::left("LEFT"),
        Column::left("UNTIL"),
        Column::left("BY"),
        Column::left("SINCE"),
        Column::right("PACKETS"),
        Column::left("LAST HIT"),
        Column::left("REASON"),
    ]);
    for ban in bans {
        let end = |text: &dyn Fn() -> Option<String>| text().unwrap_or_else(|| "-".to_owned());
        table.row(vec![
            ban.prefix.to_string().into(),
            ban.origin.to_string().into(),
            ban.seconds_left.map_or("permanent".to_owned(), span).into(),
            end(&|| Some(clock(ban.until?, &view.time_zone))).into(),
            ban.author.as_str().into(),
            view.when(ban.time).into(),
            end(&|| ban.packets.map(grouped)).into(),
            end(&|| Some(view.when(ban.last_hit?))).into(),
            "".into(),
        ]);
    }
    // One owner on a terminal: the same word in every line.
    let is_manual = bans.iter().all(|ban| ban.origin.is_manual()) && sorted_by != "ORIGIN";
    if is_manual && !view.is_whole() {
        table.drop_columns(&["ORIGIN"], view);
    }
    let is_without = bans.iter().all(|ban| ban.reason.is_empty()) && sorted_by != "REASON";
    let needed = if is_without { 0 } else { GOOD_REASON_WIDTH };
    for title in ["LAST HIT", "SINCE", "BY", "UNTIL", "PACKETS"] {
        let tight = table.width_before_last() + needed > view.width;
        if tight && sorted_by != title {
            table.drop_columns(&[title], view);
        }
    }
    if is_without && !view.is_whole() {
        table.drop_columns(&["REASON"], view);
        return table.render(view);
    }
    let room = view.width.saturating_sub(table.width_before_last());
    let reasons = bans.iter().map(|ban| {
        let reason = cut(&visible(&ban.reason), room.max(MIN_REASON_WIDTH));
        Cell::from(reason)
    });
    table.set_last_column(reasons.collect());
    table.render(view)
}

/// Renders what was banned, and until when; many bans as counts.
#[must_use]
pub fn render_banned(banned: &Banned, view: &View) -> String {
    let all = banned.added + banned.moved + banned.unchanged;
    if all == 0 {
        return "banned nothing\n".to_owned();
    }
    if all <= NAMED as u64 {
        return banned.bans.iter().map(|ban| line(ban, view)).collect();
    }
    let mut text = String::new();
    let changed = banned.added + banned.moved;
    if changed > 0 {
        // All changed ones have the same end.
        let is_changed = |ban: &&BannedPrefix| ban.change != BanChange::Unchanged;
        let end = banned.bans.iter().find(is_changed);
        let end = end.map_or(String::new(), |ban| format!(" {}", end_of(ban.until, view)));
        let prefixes = counted(changed, "prefix", "prefixes");
        let _ = writeln!(text, "banned {prefixes}{end}");
    }
    if banned.moved > 0 {
        let moved = counted(banned.moved, "was", "were");
        let _ = writeln!(text, "{moved} banned before: another end or reason now");
    }
    if banned.unchanged > 0 {
        let unchanged = counted(banned.unchanged, "is", "are");
        let _ = writeln!(
            text,
            "{unchanged} banned as long or longer already, unchanged, with the reasons from before"
        );
    }
    text
}

fn line(ban: &BannedPrefix, view: &View) -> String {
    let (prefix, end) = (prefix_of(ban.prefix, &ban.origin), end_of(ban.until, view));
    let from_to = |verb: &str| {
        let was = ban
            .was
            .map_or("permanent".to_owned(), |was| clock(was, &view.time_zone));
        let to = match ban.until {
            Some(until) => format!(
                "{} ({})",
                clock(until, &view.time_zone),
                relative(view.now, until)
            ),
            None => "permanent".to_owned(),
        };
        format!("{prefix}: {verb} from {was} to {to}\n")
    };
    let shown = |end: Option<Timestamp>| end.map(|end| clock(end, &view.time_zone));
    match ban.change {
        BanChange::Prolonged if shown(ban.was) == shown(ban.until) => {
            format!("{prefix}: banned {end} already, prolonged by less than a second\n")
        }
        BanChange::Added => format!("banned {prefix} {end}\n"),
        BanChange::Prolonged => from_to("prolonged"),
        BanChange::Shortened => from_to("shortened"),
        BanChange::Reason => format!("{prefix}: banned {end} already, with another reason now\n"),
        BanChange::Unchanged if ban.reason.is_empty() => {
            format!("{prefix}: banned {end} already, unchanged\n")
        }
        BanChange::Unchanged => format!(
            "{prefix}: banned {end} already, unchanged; its reason stays `{}`\n",
            visible(&ban.reason)
        ),
    }
}

/// Returns a prefix, with its owner unless that is a person.
fn prefix_of(prefix: impl Display, origin: &Origin) -> String {
    if origin.is_manual() {
        prefix.to_string()
    } else {
        format!("{prefix} ({origin})")
    }
}

/// Returns `until … (in 2h)`, or `permanently`.
fn end_of(until: Option<Timestamp>, view: &View) -> String {
    match until {
        Some(until) => format!(
            "until {} ({})",
            clock(until, &view.time_zone),
            relative(view.now, until)
        ),
        None => "permanently".to_owned(),
    }
}

/// Returns the owners of removed bans, with their numbers if they are several; nothing for the bans
/// of people alone.
fn owners(origins: &[OriginCount]) -> String {
    match origins {
        [] => String::new(),
        [only] if only.origin.is_manual() => String::new(),
        [only] => format!(" of origin {}", only.origin),
        origins => {
            let shown = origins.iter().take(NAMED);
            let shown: Vec<String> = shown
                .map(|of| format!("{} ({})", of.origin, grouped(of.bans)))
                .collect();
            let more = match origins.len().saturating_sub(NAMED) {
                0 => "",
                _ => " and others",
            };
            format!(" of the origins {}{more}", shown.join(", "))
        }
    }
}

/// Renders the number of removed bans, prefixes without one, and what is still dropped. `selected`
/// names what was asked for, if not every ban.
#[must_use]
pub fn render_unbanned(unbanned: &Unbanned, selected: &str) -> String {
    let mut text = String::new();
    if unbanned.removed > 0 || unbanned.not_banned.is_empty() {
        let gone = counted(unbanned.removed, "ban", "bans");
        let _ = writeln!(text, "removed {gone}{}", owners(&unbanned.origins));
    }
    for prefix in &unbanned.not_banned {
        let which = if selected.is_empty() {
            " of its own"
        } else {
            selected
        };
        let _ = writeln!(text, "{prefix} had no ban{which}");
    }
    for still in &unbanned.still_banned {
        let _ = if still.prefix == still.by {
            writeln!(
                text,
                "{} is still banned, by origin {}",
                still.prefix, still.origin
            )
        } else {
            let by = prefix_of(still.by, &still.origin);
            writeln!(text, "{} is still banned by {by}", still.prefix)
        };
    }
    if unbanned.more_still_banned > 0 {
        let more = grouped(unbanned.more_still_banned);
        let _ = writeln!(text, "and {more} more: `ipblock-ctl bans` lists them");
    }
    text
}

#[cfg(test)]
mod tests {
    use ipblock_api::types::{RemovedBan, StillBanned};

    use super::*;
    use crate::{samples, view::WHOLE};

    #[test]
    fn bans_are_a_table_of_80_columns() {
        let text = render_list(&samples::bans(), "PREFIX", "", &samples::view());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_wide_terminal_shows_who_and_when() {
        let mut view = samples::view();
        view.width = 140;
        insta::assert_snapshot!(render_list(&samples::bans(), "PREFIX", "", &view));
    }

    #[test]
    fn off_a_terminal_a_reason_adds_no_column() {
        let mut view = samples::view();
        view.width = WHOLE;
        let titles = |bans: &[BanInfo]| {
            let text = render_list(bans, "PREFIX", "", &view);
            let titles = text.lines().next().unwrap().split_whitespace();
            titles.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut bans = samples::bans();
        let with = titles(&bans);
        for ban in &mut bans {
            ban.reason.clear();
        }
        assert_eq!(with, titles(&bans));
        assert_eq!(
            with.join(" "),
            "PREFIX ORIGIN LEFT UNTIL BY SINCE PACKETS LAST HIT REASON"
        );
    }

    #[test]
    fn a_long_reason_is_whole_off_a_terminal() {
        let mut view = samples::view();
        view.width = WHOLE;
        let mut bans = samples::bans();
        bans[0].reason = "r".repeat(250);
        assert!(render_list(&bans, "PREFIX", "", &view).contains(&bans[0].reason));
    }

    #[test]
    fn the_column_that_bans_are_sorted_by_is_shown() {
        let text = render_list(&samples::bans(), "SINCE", "", &samples::view());
        assert!(text.contains("SINCE"), "{text}");
    }

    #[test]
    fn no_bans_are_said() {
        assert_eq!(
            render_list(&[], "PREFIX", "", &samples::view()),
            "nothing is banned\n"
        );
        assert_eq!(
            render_list(&[], "PREFIX", " of origin crowdsec", &samples::view()),
            "no bans of origin crowdsec\n"
        );
    }

    #[test]
    fn bans_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::bans()[1..]);
    }

    #[test]
    fn what_was_banned_is_shown_with_its_old_and_new_end() {
        let mut banned = samples::banned();
        let later = banned.bans[0].until;
        let mut text = String::new();
        for (change, until, was) in [
            (BanChange::Added, later, None),
            (BanChange::Added, None, None),
            (BanChange::Prolonged, later, Some(samples::now())),
            (BanChange::Prolonged, None, later),
            (BanChange::Prolonged, later, later),
            (BanChange::Shortened, later, None),
            (BanChange::Unchanged, None, None),
            (BanChange::Unchanged, later, later),
            (BanChange::Reason, later, later),
        ] {
            for ban in &mut banned.bans {
                (ban.change, ban.until, ban.was) = (change, until, was);
            }
            banned.bans.truncate(1);
            text += &render_banned(&banned, &samples::view());
        }
        banned.bans[0].change = BanChange::Unchanged;
        banned.bans[0].reason = "court order".to_owned();
        text += &render_banned(&banned, &samples::view());
        (banned.added, banned.moved, banned.unchanged) = (4000, 17, 1);
        banned.bans[0].change = BanChange::Added;
        text += &render_banned(&banned, &samples::view());
        (banned.added, banned.moved, banned.unchanged) = (0, 1, 4000);
        text += &render_banned(&banned, &samples::view());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn ban_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::banned());
    }

    #[test]
    fn what_unban_did_not_free_is_told() {
        let net = |text: &str| text.parse().expect("a prefix");
        let removed = |origin: &str, reason: &str| RemovedBan {
            prefix: net("192.0.2.9/32"),
            origin: origin.parse().expect("an origin"),
            until: None,
            reason: reason.to_owned(),
        };
        let of = |origin: &str, bans| OriginCount {
            origin: origin.parse().expect("an origin"),
            bans,
        };
        let mut unbanned = Unbanned {
            removed: 2,
            origins: vec![of("crowdsec", 1), of("manual", 1)],
            bans: vec![removed("manual", ""), removed("crowdsec", "scan")],
            more_still_banned: 1_200,
            not_banned: vec![net("198.51.100.9/32")],
            still_banned: vec![
                StillBanned {
                    prefix: net("203.0.113.7/32"),
                    by: net("203.0.113.0/24"),
                    origin: Origin::default(),
                },
                StillBanned {
                    prefix: net("192.0.2.9/32"),
                    by: net("192.0.2.9/32"),
                    origin: "fail2ban/sshd".parse().expect("an origin"),
                },
            ],
        };
        insta::assert_snapshot!(render_unbanned(&unbanned, ""));
        insta::assert_json_snapshot!(unbanned);
        let text = render_unbanned(&unbanned, " of origin crowdsec");
        let none = "198.51.100.9/32 had no ban of origin crowdsec\n";
        assert!(text.contains(none), "{text}");
        unbanned.origins = vec![of("fail2ban/sshd", 2)];
        let text = render_unbanned(&unbanned, "");
        assert!(
            text.starts_with("removed 2 bans of origin fail2ban/sshd\n"),
            "{text}"
        );
        unbanned.origins = vec![of("manual", 2)];
        let text = render_unbanned(&unbanned, "");
        assert!(text.starts_with("removed 2 bans\n"), "{text}");
    }

    #[test]
    fn a_ban_of_nothing_is_said() {
        let nothing = render_banned(&Banned::default(), &samples::view());
        assert_eq!(nothing, "banned nothing\n");
    }
}
