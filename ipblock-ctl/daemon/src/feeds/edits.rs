//! Sources of lists in an edit or an applied ruleset.

use ipblock_api::error::ApiError;
use ipblock_policy::{
    Hinted, List, ListElement, ListName, Ruleset, edit, shrink::is_shrunk, text::counted,
};
use tracing::warn;

use super::feed::{FeedError, Opened};
use crate::state::Service;

impl Service {
    /// Reads the sources of lists that are unread, because an edit has just set them.
    ///
    /// Returns a line per list about what was read.
    pub(crate) fn read_unread_lists(&self, ruleset: &mut Ruleset) -> Result<Vec<String>, ApiError> {
        let mut said = Vec::new();
        for (name, list) in &mut ruleset.lists {
            let Some(opened) = self.open(name, list).filter(|_| list.is_unread()) else {
                continue;
            };
            let fetched = opened.feed.fetch();
            let (_, elements) = fetched.map_err(|error| error.of_list(name))?;
            let prefixes = counted(elements.len(), "prefix", "prefixes");
            said.push(format!("list {name}: {prefixes} read from {}", list.source));
            list.elements = elements.into();
        }
        Ok(said)
    }

    /// Reads the source of every list in an applied ruleset. If its content is not good, keeps the
    /// last good content, if the ruleset has one, and returns a line about that.
    pub(crate) fn read_applied_lists(
        &self,
        after: &mut Ruleset,
        before: &Ruleset,
        force: bool,
    ) -> Result<Vec<String>, ApiError> {
        let mut kept = Vec::new();
        let mut read_any = false;
        for (name, list) in &mut after.lists {
            let Some(opened) = self.open(name, list) else {
                continue;
            };
            read_any = true;
            let deployed = before.lists.get(name).filter(|old| old.follows_as(list));
            let good = deployed.unwrap_or(list).clone();
            let read = opened.feed.fetch().and_then(|(_, elements)| {
                if !force {
                    self.require_not_shrunk(name, &opened, &good, &elements)?;
                }
                Ok(elements)
            });
            match read {
                Ok(elements) => list.elements = elements.into(),
                Err(error) if list.is_unread() => return Err(error.of_list(name)),
                Err(error) => {
                    let line = keeps(name, &good, &error.in_one_line());
                    warn!("{line}");
                    kept.push(line);
                    *list = good;
                }
            }
        }
        if read_any && !force {
            edit::require_no_new_danger(before, after)?;
        }
        Ok(kept)
    }

    /// Refuses content that has lost too much since the last good one.
    pub(crate) fn require_not_shrunk(
        &self,
        name: &ListName,
        opened: &Opened,
        good: &List,
        elements: &[ListElement],
    ) -> Result<(), FeedError> {
        let (before, now) = (good.elements.len(), elements.len());
        let max_shrink = self.settings.max_shrink;
        if !is_shrunk(before, now, max_shrink) {
            return Ok(());
        }
        let before = counted(before, "prefix", "prefixes");
        let percent = max_shrink * 100.0;
        let problem = format!("has shrunk from {before} to {now}, by more than {percent} %");
        let hint = format!("if that is right: ipblock-ctl list accept {name}");
        Err(FeedError::new(opened.feed.place(), problem).with_hint(hint))
    }
}

/// Describes a list whose source is not followed at the moment.
pub(crate) fn keeps(name: &ListName, good: &List, why: &str) -> String {
    let content = counted(good.elements.len(), "prefix", "prefixes");
    format!("list {name} keeps the {content} read last: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_lose_its_share_and_not_a_prefix_more() {
        assert!(!is_shrunk(100, 50, 0.5));
        assert!(is_shrunk(100, 49, 0.5));
        assert!(!is_shrunk(0, 1, 0.5));
        assert!(is_shrunk(10, 9, 0.0));
        assert!(!is_shrunk(10, 1, 1.0));
    }
}
