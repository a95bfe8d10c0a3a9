//! Earlier revisions compared with each other, and what became of one.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{Diff, RevisionEvent, RevisionInfo},
};

use crate::{changes::history::history_entry, state::Service};

/// Entries of the audit trail per read.
const AUDIT_PAGE: u32 = 64;

/// Maximum of events in an answer; the oldest are omitted.
const MAX_EVENTS: usize = 100;

impl Service {
    /// Returns the differences from one revision to another, or to the deployed one.
    pub(crate) fn diff_of_revisions(&self, from: u64, to: Option<u64>) -> Result<Diff, ApiError> {
        let to = to.unwrap_or_else(|| self.read().rulesets.revision());
        let before = Arc::new(self.revision_ruleset(from)?);
        let after = Arc::new(self.revision_ruleset(to)?);
        Ok(self.plan(before, after)?.to_diff())
    }

    /// Returns what a revision changed, and what became of it.
    pub(crate) fn revision_info(&self, number: &str) -> Result<RevisionInfo, ApiError> {
        let Ok(number) = number.parse::<u64>() else {
            let message = format!("`{number}` is not the number of a revision");
            return Err(ApiError::new(ErrorKind::Invalid, message)
                .with_hint("`ipblock-ctl history` numbers them"));
        };
        let revisions = self.store.revisions()?;
        let kept: Vec<u64> = revisions.iter().map(|revision| revision.number).collect();
        let entry = revisions
            .into_iter()
            .filter_map(history_entry)
            .find(|entry| entry.revision == number);
        let Some(entry) = entry else {
            // The same error as of any other use of its number.
            self.revision_ruleset(number)?;
            let message = format!("revision {number} was not deployed yet");
            return Err(ApiError::new(ErrorKind::NotFound, message));
        };
        let (events, previous) = self.events_of(number)?;
        // The ruleset of the one before may be deleted, as only the newest are kept.
        let previous = previous
            .filter(|previous| *previous == 0 || kept.contains(previous))
            .or_else(|| kept.iter().copied().filter(|kept| *kept < number).max())
            .unwrap_or_default();
        Ok(RevisionInfo {
            entry,
            previous,
            events,
            diff: self.diff_of_revisions(previous, Some(number))?,
        })
    }

    /// Returns what the audit trail has about a revision, oldest first, and the revision that was
    /// in force before it was deployed.
    fn events_of(&self, number: u64) -> Result<(Vec<RevisionEvent>, Option<u64>), ApiError> {
        let mut events = Vec::new();
        let (mut is_deployed, mut before) = (false, None);
        loop {
            let page = self.store.audit_page(before, AUDIT_PAGE)?;
            for found in page.entries {
                let entry = found.entry;
                let Some(revision) = revision_in(&entry.what, &entry.detail) else {
                    continue;
                };
                if revision == number && events.len() < MAX_EVENTS {
                    is_deployed |= entry.what == "deploy";
                    events.push(RevisionEvent {
                        time: entry.time,
                        author: entry.author.to_string(),
                        what: entry.what,
                    });
                } else if is_deployed && entry.what != "confirm" {
                    events.reverse();
                    return Ok((events, Some(revision)));
                }
            }
            before = page.last;
            if before.is_none() {
                events.reverse();
                return Ok((events, None));
            }
        }
    }
}

/// Returns the revision that an entry of the audit trail is about.
fn revision_in(what: &str, detail: &str) -> Option<u64> {
    if !matches!(what, "deploy" | "confirm" | "rollback" | "restore") {
        return None;
    }
    let number = detail.strip_prefix("revision ")?;
    number.split([',', ':', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_audit_trail_names_its_revision() {
        for (what, detail, revision) in [
            ("deploy", "revision 7", Some(7)),
            ("deploy", "revision 7: revision 8", Some(7)),
            (
                "deploy",
                "revision 7, to be confirmed until 2026-01-01T00:00:00Z: x",
                Some(7),
            ),
            ("rollback", "revision 0", Some(0)),
            ("ban", "revision 7", None),
            ("deploy", "7", None),
        ] {
            assert_eq!(revision_in(what, detail), revision, "{what} {detail}");
        }
    }
}
