//! Answers of `check`.

use ipblock_api::types::{
    Action, BanEnd, Check, CheckBan, CheckEntry, CheckRule, Origin, Past, PastBan, Reason,
    RuleOrigin,
};
use jiff::ToSpan as _;

use super::now;

pub(crate) fn checks() -> Vec<Check> {
    let rule = |name: &str, action, matched: &str, excepted_by: Option<&str>| CheckRule {
        name: name.to_owned(),
        action,
        matched: matched.to_owned(),
        excepted_by: excepted_by.map(str::to_owned),
        expires: None,
        note: String::new(),
        since: None,
        entries: Vec::new(),
        except_entries: Vec::new(),
        packets: None,
        last_hit: None,
    };
    let check = |address: &str, verdict, reason, rules| Check {
        address: address.to_owned(),
        zone: "default".to_owned(),
        verdict,
        reason,
        rules,
        allowed_by: None,
        allow_entries: Vec::new(),
        banned_by: None,
        banned_until: None,
        bans: Vec::new(),
        past: Vec::new(),
        kernel_agrees: Some(true),
        panic_off_until: None,
    };
    let mut ending = rule("abuse", Action::Block, "192.0.2.0/24", None);
    ending.expires = Some(now() + 2.hours());
    let block = check(
        "192.0.2.7",
        Some(Action::Block),
        Reason::Rule,
        vec![
            rule("abuse", Action::Block, "192.0.2.0/24", None),
            rule("watch", Action::Warn, "192.0.2.0/25", None),
            rule("geo", Action::Block, "192.0.0.0/16", Some("192.0.2.7/32")),
        ],
    );
    let mut allowed = check("192.0.2.130", None, Reason::Allow, vec![ending]);
    allowed.allowed_by = Some("192.0.2.128/25".to_owned());
    let warn = check(
        "203.0.113.9",
        Some(Action::Warn),
        Reason::Rule,
        vec![rule("scanners", Action::Warn, "203.0.113.0/24", None)],
    );
    let mut banned = check(
        "198.51.100.7",
        Some(Action::Block),
        Reason::Ban,
        vec![rule("scanners", Action::Warn, "198.51.100.0/24", None)],
    );
    banned.banned_by = Some("198.51.100.0/26".to_owned());
    banned.banned_until = Some(now() + 90.seconds());
    allowed.banned_by = Some("192.0.2.130/32".to_owned());
    let mut default = check("2001:db8::1", None, Reason::Default, Vec::new());
    default.kernel_agrees = Some(false);
    vec![block, allowed, warn, banned, default]
}

/// An answer with all that can be known.
pub(crate) fn dossier() -> Check {
    let mut check = checks().remove(0);
    if let Some(rule) = check.rules.first_mut() {
        rule.note = "as reported by the NOC".to_owned();
        rule.since = Some(RuleOrigin {
            revision: 7,
            time: now() - 72.hours(),
            author: "uid 1000 (ada)".to_owned(),
        });
        rule.entries = vec![CheckEntry {
            list: Some("spamhaus-drop".to_owned()),
            note: "SBL123456".to_owned(),
            source: Some("file spamhaus/drop.txt".to_owned()),
        }];
        rule.packets = Some(12_345);
        rule.last_hit = Some(now() - 3.seconds());
    }
    if let Some(rule) = check.rules.last_mut() {
        rule.except_entries = vec![CheckEntry {
            list: None,
            note: "partner, until the move".to_owned(),
            source: None,
        }];
    }
    check.reason = Reason::Ban;
    check.banned_by = Some("192.0.2.0/25".to_owned());
    check.banned_until = Some(now() + 2.hours());
    check.bans = vec![
        CheckBan {
            prefix: "192.0.2.0/25".to_owned(),
            origin: Origin::default(),
            reason: "ssh scan, 4000 attempts in an hour".to_owned(),
            author: "uid 1000 (ada)".to_owned(),
            time: now() - 3.hours(),
            until: Some(now() + 2.hours()),
            packets: Some(4_321),
            last_hit: Some(now() - 3.seconds()),
        },
        CheckBan {
            prefix: "192.0.2.7/32".to_owned(),
            origin: "crowdsec".parse().expect("an origin"),
            reason: String::new(),
            author: "uid 0 (root)".to_owned(),
            time: now() - 1.hours(),
            until: Some(now() + 1.hours()),
            packets: Some(0),
            last_hit: None,
        },
    ];
    check.past = vec![Past::Ban(PastBan {
        prefix: "192.0.2.7/32".to_owned(),
        origin: "fail2ban/sshd".parse().expect("an origin"),
        reason: "4 failures".to_owned(),
        author: "uid 0 (root)".to_owned(),
        since: now() - 50.hours(),
        ended: now() - 26.hours(),
        how: BanEnd::Unbanned,
        by: Some("uid 1000 (ada)".to_owned()),
    })];
    check
}
