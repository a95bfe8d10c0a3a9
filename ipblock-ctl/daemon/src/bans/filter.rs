//! Selects bans by owner, reason and author.

use ipblock_api::types::{BanFilter, BansQuery};
use ipblock_policy::Origin;
use ipblock_store::Ban;

/// A filter in the form that is compared.
#[derive(Debug)]
pub(super) struct Filter {
    asked: BanFilter,
    /// The wanted part of a reason in lower case.
    reason: Option<String>,
}

impl Filter {
    pub(super) fn new(asked: BanFilter) -> Self {
        let reason = asked.reason.as_ref().map(|reason| reason.to_lowercase());
        Self { asked, reason }
    }

    pub(super) fn of_query(query: &BansQuery) -> Self {
        Self::new(BanFilter {
            origin: query.origin.clone(),
            reason: query.reason.clone(),
            by: query.by.clone(),
        })
    }

    pub(super) fn fits(&self, ban: &Ban) -> bool {
        let of_origin = |origin: &Origin| ban.origin == *origin;
        let has_reason = |text: &String| ban.reason.to_lowercase().contains(text);
        self.asked.origin.as_ref().is_none_or(of_origin)
            && self.reason.as_ref().is_none_or(has_reason)
            && self.asked.by.as_ref().is_none_or(|by| is_by(ban, by))
    }
}

/// Whether the author has this name, this user id, or is shown so in tables.
fn is_by(ban: &Ban, by: &str) -> bool {
    let author = &ban.author;
    let has_uid = |uid: u32| uid.to_string() == by;
    author.name == by || author.uid.is_some_and(has_uid) || author.to_string() == by
}

#[cfg(test)]
mod tests {
    use ipblock_store::Author;

    use super::*;
    use crate::end_times::some_moment;

    #[test]
    fn a_ban_fits_if_it_fits_every_given_part() {
        let ban = Ban {
            origin: "fail2ban/sshd".parse().unwrap(),
            end: None,
            reason: "Brute force".to_owned(),
            time: some_moment().wall,
            author: Author::user(1_000, "ada"),
        };
        let fits = |origin: &str, reason: &str, by: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let asked = BanFilter {
                origin: given(origin).map(|origin| origin.parse().unwrap()),
                reason: given(reason),
                by: given(by),
            };
            Filter::new(asked).fits(&ban)
        };
        for (origin, reason, by) in [
            ("", "", ""),
            ("fail2ban/sshd", "", ""),
            ("fail2ban/sshd", "brute FORCE", "ada"),
            ("", "force", "1000"),
            ("", "", "uid 1000 (ada)"),
        ] {
            assert!(fits(origin, reason, by), "{origin} {reason} {by}");
        }
        for (origin, reason, by) in [
            ("fail2ban", "", ""),
            ("manual", "", "ada"),
            ("fail2ban/sshd", "scan", ""),
            ("", "", "ad"),
            ("", "", "100"),
            ("", "force", "root"),
        ] {
            assert!(!fits(origin, reason, by), "{origin} {reason} {by}");
        }
    }
}
