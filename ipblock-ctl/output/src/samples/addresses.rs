//! Values with addresses: allow lists, exceptions, named lists, bans.

use ipblock_api::types::{
    AllowInfo, BanChange, BanInfo, Banned, BannedPrefix, EntryState, ExceptionInfo, ListContent,
    ListEntry, ListInfo, Origin, SourceKind, SourceText,
};
use jiff::{SignedDuration, ToSpan as _};

use super::{now, texts};

pub(crate) fn allow() -> Vec<AllowInfo> {
    vec![
        AllowInfo {
            address: "192.0.2.128/25".to_owned(),
            zone: None,
            note: "the office".to_owned(),
            state: EntryState::Deployed,
        },
        AllowInfo {
            address: "@partners".to_owned(),
            zone: Some("dmz".to_owned()),
            note: String::new(),
            state: EntryState::Added,
        },
    ]
}

pub(crate) fn exceptions() -> Vec<ExceptionInfo> {
    let exception = |rule: &str, address: &str, note: &str, state| ExceptionInfo {
        rule: rule.to_owned(),
        address: address.to_owned(),
        note: note.to_owned(),
        state,
    };
    let long = "customer 4711 has moved here until the end of the year, ask before removing it";
    vec![
        exception("abuse", "192.0.2.7/32", "ticket 42", EntryState::Deployed),
        exception("scanners", "@partners", "", EntryState::Added),
        exception("scanners", "2001:db8:1:2::/64", long, EntryState::Changed),
        exception("abuse", "192.0.2.128/25", "", EntryState::Removed),
    ]
}

fn file(path: Option<&str>) -> SourceText {
    path.map(|path| (SourceKind::File, path))
        .into_iter()
        .collect()
}

pub(crate) fn lists() -> Vec<ListInfo> {
    let list = |name: &str, path: Option<&str>, entries, used_by: &[&str], state| ListInfo {
        name: name.to_owned(),
        source: file(path),
        entries,
        used_by: texts(used_by),
        state,
        problem: None,
        last_read: path.map(|_| now() - SignedDuration::from_mins(5)),
    };
    let users = ["rule spam", "rule scanners", "rule watch", "allow"];
    vec![
        list(
            "drop",
            Some("spamhaus/drop.txt"),
            1_234_567,
            &users,
            EntryState::Deployed,
        ),
        list(
            "office",
            None,
            2,
            &["allow", "allow of zone dmz"],
            EntryState::Changed,
        ),
        list("partners", None, 1, &[], EntryState::Added),
    ]
}

pub(crate) fn list() -> ListContent {
    let entry = |address: &str, note: &str| ListEntry {
        address: address.to_owned(),
        note: note.to_owned(),
    };
    ListContent {
        name: "drop".to_owned(),
        source: file(Some("spamhaus/drop.txt")),
        entries: vec![
            entry("192.0.2.0/24", "SBL123456"),
            entry("2001:db8::/32", ""),
        ],
        total: 2,
        used_by: texts(&["rule spam", "allow"]),
        state: EntryState::Deployed,
        problem: None,
        last_read: Some(now() - SignedDuration::from_mins(5)),
    }
}

pub(crate) fn bans() -> Vec<BanInfo> {
    let ban =
        |prefix: &str, seconds_left: Option<i32>, reason: &str, packets: Option<u64>| BanInfo {
            prefix: prefix.parse().expect("a prefix"),
            origin: Origin::default(),
            until: seconds_left.map(|left| now() + left.seconds()),
            seconds_left: seconds_left.map(|left| u64::from(left.unsigned_abs())),
            reason: reason.to_owned(),
            packets,
            last_hit: packets
                .filter(|packets| *packets > 0)
                .map(|_| now() - 3.seconds()),
            author: "root".to_owned(),
            time: now() - 10.seconds(),
        };
    vec![
        ban(
            "192.0.2.7/32",
            Some(3590),
            "ssh scan, 4000 attempts in an hour, seen on three hosts",
            Some(4321),
        ),
        ban("203.0.113.0/24", Some(700_000), "", Some(0)),
        ban("2001:db8:85a3:8d3::/64", None, "ticket 42", None),
    ]
}

pub(crate) fn banned() -> Banned {
    let bans = bans().into_iter();
    Banned {
        added: 2,
        moved: 1,
        unchanged: 0,
        warnings: texts(&["on the allow list, so it passes all the same: 203.0.113.0/28"]),
        bans: bans
            .map(|ban| BannedPrefix {
                prefix: ban.prefix,
                origin: Origin::default(),
                until: Some(now() + 2.hours()),
                change: BanChange::Added,
                was: None,
                reason: String::new(),
            })
            .collect(),
    }
}
