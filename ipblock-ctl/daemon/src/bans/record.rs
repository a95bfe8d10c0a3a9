//! The entry of a request in the log and in the audit trail.

use ipblock_api::types::BanChange;
use ipblock_datapath::clock::Now;
use ipblock_policy::{Origin, text::printable};
use ipblock_store::{AuditEntry, Author, Ban};
use ipnet::IpNet;
use jiff::Timestamp;

use super::{stored::BanUpdate, warnings::named};

/// Maximum of prefixes in a line of the log or of the audit trail; the store has all of them.
pub(super) const NAMED: usize = 20;

/// The change of one prefix, and the previous end of its ban.
pub(super) struct Done {
    pub(super) prefix: IpNet,
    pub(super) change: BanChange,
    pub(super) was: Option<Timestamp>,
}

/// Describes removed bans: their prefixes, and what selected them.
pub(super) fn removed(changes: &[BanUpdate], selection: &str) -> String {
    let mut prefixes: Vec<IpNet> = changes.iter().map(BanUpdate::prefix).collect();
    prefixes.dedup();
    let mut owners: Vec<&Origin> = changes.iter().map(BanUpdate::origin).collect();
    owners.sort_unstable();
    owners.dedup();
    let named = named(&prefixes, NAMED);
    match owners.as_slice() {
        [one] if one.is_manual() && selection.is_empty() => named,
        _ if !selection.is_empty() => format!("{named}: the bans{}", printable(selection)),
        owners => {
            let shown: Vec<&str> = owners
                .iter()
                .take(NAMED)
                .map(|owner| owner.as_str())
                .collect();
            let more = owners.len() - shown.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{named}: the bans of {}{more}", shown.join(", "))
        }
    }
}

/// Describes the changed prefixes, with a line for each kind of change.
pub(super) fn summary(done: &[Done], ban: &Ban) -> String {
    let wall = ban.end.as_ref().map(|end| end.wall);
    let end = moment(wall);
    let reason = match &*printable(&ban.reason) {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    let owner = if ban.origin.is_manual() {
        String::new()
    } else {
        format!(" ({})", ban.origin)
    };
    let line = |change| {
        let of_it: Vec<&Done> = done.iter().filter(|done| done.change == change).collect();
        let first = of_it.first()?;
        let prefixes: Vec<IpNet> = of_it.iter().map(|done| done.prefix).collect();
        let prefixes = named(&prefixes, NAMED);
        // Many prefixes had many different ends.
        let was = match of_it.len() {
            1 => format!(" from {}", moment(first.was)),
            _ => String::new(),
        };
        Some(match change {
            BanChange::Added if wall.is_none() => format!("{prefixes}{owner} permanently{reason}"),
            BanChange::Added => format!("{prefixes}{owner} until {end}{reason}"),
            BanChange::Prolonged => format!("prolonged {prefixes}{owner}{was} to {end}{reason}"),
            BanChange::Shortened => format!("shortened {prefixes}{owner}{was} to {end}{reason}"),
            BanChange::Reason => format!("gave {prefixes}{owner} another reason{reason}"),
            BanChange::Unchanged => return None,
        })
    };
    let lines = [
        BanChange::Added,
        BanChange::Prolonged,
        BanChange::Shortened,
        BanChange::Reason,
    ];
    lines
        .into_iter()
        .filter_map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn moment(end: Option<Timestamp>) -> String {
    end.map_or("permanent".to_owned(), |end| format!("{end:.0}"))
}

pub(super) fn audit(author: &Author, what: &str, detail: &str, now: &Now) -> AuditEntry {
    AuditEntry {
        time: now.wall,
        author: author.clone(),
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ipblock_store::End;

    use super::*;
    use crate::end_times::some_moment;

    #[test]
    fn a_summary_names_what_became_of_each_prefix() {
        let done = |prefix: &str, change, was: Option<&str>| Done {
            prefix: prefix.parse().unwrap(),
            change,
            was: was.map(|was| was.parse().unwrap()),
        };
        let all = [
            done("192.0.2.1/32", BanChange::Added, None),
            done(
                "192.0.2.2/32",
                BanChange::Prolonged,
                Some("2026-01-01T00:00:00Z"),
            ),
            done("192.0.2.3/32", BanChange::Shortened, None),
            done("192.0.2.4/32", BanChange::Unchanged, None),
            done("192.0.2.5/32", BanChange::Reason, None),
            done("192.0.2.6/32", BanChange::Reason, None),
        ];
        let ban = Ban {
            origin: Origin::default(),
            end: Some(End {
                wall: "2026-01-02T00:00:00Z".parse().unwrap(),
                boot: None,
            }),
            reason: "two\nlines".to_owned(),
            time: some_moment().wall,
            author: Author::daemon(),
        };
        assert_eq!(
            summary(&all, &ban),
            "192.0.2.1/32 until 2026-01-02T00:00:00Z: two\\nlines\n\
             prolonged 192.0.2.2/32 from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z: two\\nlines\n\
             shortened 192.0.2.3/32 from permanent to 2026-01-02T00:00:00Z: two\\nlines\n\
             gave 192.0.2.5/32 192.0.2.6/32 another reason: two\\nlines"
        );
        let ban = Ban {
            end: None,
            reason: String::new(),
            ..ban
        };
        assert_eq!(summary(&all[..1], &ban), "192.0.2.1/32 permanently");
        let ban = Ban {
            origin: "crowdsec".parse().unwrap(),
            ..ban
        };
        assert_eq!(
            summary(&all[1..2], &ban),
            "prolonged 192.0.2.2/32 (crowdsec) from 2026-01-01T00:00:00Z to permanent"
        );
    }

    #[test]
    fn what_was_removed_names_its_owners() {
        let end = |prefix: &str, origin: &str| {
            BanUpdate::End(prefix.parse().unwrap(), origin.parse().unwrap())
        };
        let manual = [end("192.0.2.1/32", "manual"), end("192.0.2.2/32", "manual")];
        assert_eq!(removed(&manual, ""), "192.0.2.1/32 192.0.2.2/32");
        let several = [
            end("192.0.2.1/32", "crowdsec"),
            end("192.0.2.1/32", "manual"),
        ];
        assert_eq!(
            removed(&several, ""),
            "192.0.2.1/32: the bans of crowdsec, manual"
        );
        assert_eq!(
            removed(&several[..1], " of origin crowdsec"),
            "192.0.2.1/32: the bans of origin crowdsec"
        );
    }
}
