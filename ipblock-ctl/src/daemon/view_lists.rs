//! What the daemon shows of named lists and of exceptions, staged edits applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    feeds::{self, Feeds},
    state::{Service, State},
    view::{changed_elements, entry_state},
};
use crate::{
    api::{
        error::ApiError,
        types::{EntryState, ExceptionInfo, ListContent, ListEntry, ListInfo},
    },
    policy::{List, ListName, Rule, RuleId, Ruleset, edit::no_such_list},
};

impl Service {
    /// `GET /v1/exceptions`: rule by rule, those that are staged to go last in each.
    #[must_use]
    pub fn exceptions(&self) -> Vec<ExceptionInfo> {
        let (before, after, _) = both(&self.read());
        let old: BTreeMap<RuleId, &Rule> =
            before.rules.iter().map(|rule| (rule.id, rule)).collect();
        let kept: BTreeSet<RuleId> = after.rules.iter().map(|rule| rule.id).collect();
        let gone = before.rules.iter().filter(|rule| !kept.contains(&rule.id));
        let pairs = after.rules.iter().map(|rule| {
            let old = old.get(&rule.id).map_or(&[][..], |old| &old.except);
            (rule, old, &rule.except[..])
        });
        pairs
            .chain(gone.map(|rule| (rule, &rule.except[..], &[][..])))
            .flat_map(|(rule, old, new)| {
                changed_elements(old, new).map(|(address, note, state)| ExceptionInfo {
                    rule: rule.name.to_string(),
                    address,
                    note,
                    state,
                })
            })
            .collect()
    }

    /// `GET /v1/lists`.
    #[must_use]
    pub fn lists(&self) -> Vec<ListInfo> {
        let (before, after, feeds) = both(&self.read());
        let names: BTreeSet<_> = before.lists.keys().chain(after.lists.keys()).collect();
        let lists = names.into_iter().filter_map(|name| {
            let (list, used_by, state) = list(&before, &after, name)?;
            Some(ListInfo {
                name: name.to_string(),
                file: list.file.as_ref().map(ToString::to_string),
                entries: list.elements.len() as u64,
                used_by,
                state,
                problem: feeds::problem(&feeds, name),
            })
        });
        lists.collect()
    }

    /// `GET /v1/lists/{name}`.
    pub fn list(&self, name: &str) -> Result<ListContent, ApiError> {
        let (before, after, feeds) = both(&self.read());
        let parsed: Option<ListName> = name.parse().ok();
        let problem = parsed
            .as_ref()
            .and_then(|name| feeds::problem(&feeds, name));
        let found = parsed.and_then(|name| list(&before, &after, &name));
        let (list, used_by, state) = found.ok_or_else(|| no_such_list(name, &after))?;
        let entries = list.elements.iter().map(|element| ListEntry {
            address: element.prefix.to_string(),
            note: element.note.to_string(),
        });
        Ok(ListContent {
            name: name.to_owned(),
            file: list.file.as_ref().map(ToString::to_string),
            entries: entries.collect(),
            used_by,
            state,
            problem,
        })
    }
}

fn both(state: &State) -> (Arc<Ruleset>, Arc<Ruleset>, Feeds) {
    let (before, after) = (Arc::clone(&state.deployed), Arc::clone(state.edited()));
    (before, after, state.feeds.clone())
}

/// A list as it is staged, or as it is deployed where it is staged to go.
fn list<'a>(
    before: &'a Ruleset,
    after: &'a Ruleset,
    name: &ListName,
) -> Option<(&'a List, Vec<String>, EntryState)> {
    let (old, new) = (before.lists.get(name), after.lists.get(name));
    let users = after.users_of(name);
    Some((new.or(old)?, users, entry_state(old, new)))
}
