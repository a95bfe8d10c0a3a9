//! Views of named lists and of exceptions, including staged edits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ipblock_api::{
    error::ApiError,
    types::{EntryState, ExceptionInfo, ListContent, ListEntry, ListInfo, ListQuery},
};
use ipblock_policy::{
    List, ListName, Rule, RuleId, Ruleset, SharedVec, SourceText, address::parse_prefixes,
    edit::no_such_list,
};
use ipnet::IpNet;
use serde::Serialize;

use crate::{
    answers::{Array, Refusal, Sink},
    connections::Room,
    feeds::{self, Followed},
    state::{Service, State},
    views::{RULE_ROOM, each_changed, entry_state, room_to_compare},
};

impl Service {
    /// `GET /v1/exceptions`: rule by rule; those with a staged removal come last in each.
    pub(crate) fn exceptions(&self, room: &mut Room) -> Result<impl Serialize + use<>, Refusal> {
        let (before, after, _) = both(&self.read());
        room.need((before.rules.len() + after.rules.len()) * RULE_ROOM)?;
        let old: BTreeMap<RuleId, &Rule> =
            before.rules.iter().map(|rule| (rule.id, rule)).collect();
        let kept: BTreeSet<RuleId> = after.rules.iter().map(|rule| rule.id).collect();
        let gone = before.rules.iter().filter(|rule| !kept.contains(&rule.id));
        let pairs = after.rules.iter().map(|rule| {
            let old = old.get(&rule.id).map(|old| old.except.clone());
            (rule, old.unwrap_or_default(), rule.except.clone())
        });
        let pairs: Vec<_> = pairs
            .chain(gone.map(|rule| (rule, rule.except.clone(), SharedVec::default())))
            .map(|(rule, old, new)| (rule.name.clone(), old, new))
            .collect();
        room.keep(0);
        let rows = pairs.len() * RULE_ROOM;
        room.need(rows + room_to_compare(pairs.iter().map(|(_, old, new)| (old, new))))?;
        Ok(Array::new(move |sink: Sink<'_, ExceptionInfo>| {
            for (rule, old, new) in &pairs {
                let gone_on = each_changed(old, new, |address, note, state| {
                    sink(ExceptionInfo {
                        rule: rule.to_string(),
                        address,
                        note,
                        state,
                    })
                });
                if gone_on.is_break() {
                    break;
                }
            }
            Ok(())
        }))
    }

    /// `GET /v1/lists`.
    pub(crate) fn lists(&self) -> impl Serialize + use<> {
        let (before, after, followed) = both(&self.read());
        Array::new(move |sink: Sink<'_, ListInfo>| {
            let names: BTreeSet<_> = before.lists.keys().chain(after.lists.keys()).collect();
            let lists = names.into_iter().filter_map(|name| {
                let (list, used_by, state) = list(&before, &after, name)?;
                Some(ListInfo {
                    name: name.to_string(),
                    source: SourceText::from(&list.source),
                    entries: list.elements.len() as u64,
                    used_by,
                    state,
                    problem: feeds::problem(&followed, name),
                    last_read: feeds::last_read(&followed, name),
                })
            });
            for list in lists {
                if sink(list).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// `GET /v1/lists/{name}`.
    pub(crate) fn list(
        &self,
        name: &str,
        query: &ListQuery,
    ) -> Result<impl Serialize + use<>, ApiError> {
        let (before, after, followed) = both(&self.read());
        let parsed: Option<ListName> = name.parse().ok();
        let (problem, last_read) = match &parsed {
            Some(name) => (
                feeds::problem(&followed, name),
                feeds::last_read(&followed, name),
            ),
            None => (None, None),
        };
        let wanted = query.address.as_deref().map(parse_prefixes).transpose()?;
        let limit = query.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let found = parsed.and_then(|name| list(&before, &after, &name));
        let (list, used_by, state) = found.ok_or_else(|| no_such_list(name, &after))?;
        let elements = list.elements.clone();
        let total = elements.len() as u64;
        let entries = Array::new(move |sink: Sink<'_, ListEntry>| {
            let is_wanted = |prefix: &IpNet| match &wanted {
                None => true,
                Some(wanted) => wanted
                    .iter()
                    .any(|other| prefix.contains(other) || other.contains(prefix)),
            };
            let found = elements.iter().filter(|element| is_wanted(&element.prefix));
            for element in found.take(limit) {
                let entry = ListEntry {
                    address: element.prefix.to_string(),
                    note: element.note.to_string(),
                };
                if sink(entry).is_break() {
                    break;
                }
            }
            Ok(())
        });
        Ok(ListContent {
            name: name.to_owned(),
            source: SourceText::from(&list.source),
            entries,
            total,
            used_by,
            state,
            problem,
            last_read,
        })
    }
}

fn both(state: &State) -> (Arc<Ruleset>, Arc<Ruleset>, Followed) {
    let (before, after) = (
        Arc::clone(state.rulesets.deployed()),
        Arc::clone(state.rulesets.edited()),
    );
    (before, after, state.followed.clone())
}

/// Returns a list in its staged form, or the deployed one if its removal is staged.
fn list<'a>(
    before: &'a Ruleset,
    after: &'a Ruleset,
    name: &ListName,
) -> Option<(&'a List, Vec<String>, EntryState)> {
    let (old, new) = (before.lists.get(name), after.lists.get(name));
    let users = after.users_of(name);
    Some((new.or(old)?, users, entry_state(old, new)))
}
