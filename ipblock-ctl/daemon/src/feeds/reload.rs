//! Reads the sources of lists when an operator asks for it.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{ReloadRequest, Reloaded},
};
use ipblock_policy::{List, ListName, Ruleset, edit};

use super::problem;
use crate::{caller::Caller, state::Service};

impl Service {
    /// Reads the source of one deployed list, or of all that have one, and deploys what changed. The
    /// guards are those of a source that changes by itself.
    pub(crate) fn reload_lists(
        &self,
        request: &ReloadRequest,
        caller: &Caller,
    ) -> Result<Vec<Reloaded>, ApiError> {
        self.require_confirmed()?;
        let deployed = Arc::clone(self.read().rulesets.deployed());
        let lists: Vec<(&ListName, &List)> = match &request.list {
            Some(name) => vec![self.deployed_list(name, &deployed)?],
            None => deployed.lists.iter().collect(),
        };
        let mut reloaded = Vec::new();
        for (name, list) in lists {
            let Some(opened) = self.open(name, list) else {
                if request.list.is_none() {
                    continue;
                }
                let message = format!("list `{name}` is kept by hand: it has no source to read");
                return Err(ApiError::new(ErrorKind::Conflict, message)
                    .with_hint("`ipblock-ctl list list` names the sources of lists"));
            };
            let seen = opened.feed.look().map_err(|error| error.to_string());
            self.reread(name, &opened, &seen);
            let state = self.read();
            let now = state.rulesets.deployed().lists.get(name);
            reloaded.push(Reloaded {
                name: name.to_string(),
                before: list.elements.len() as u64,
                entries: now.map_or(0, |now| now.elements.len() as u64),
                changed: now != Some(list),
                problem: problem(&state.followed, name),
            });
        }
        let names: Vec<_> = reloaded.iter().map(|list| list.name.as_str()).collect();
        if !names.is_empty() {
            self.audit(
                &caller.author,
                "list-reload",
                &format!("list {}", names.join(", ")),
            );
        }
        Ok(reloaded)
    }

    fn deployed_list<'d>(
        &self,
        name: &str,
        deployed: &'d Ruleset,
    ) -> Result<(&'d ListName, &'d List), ApiError> {
        let parsed: Option<ListName> = name.parse().ok();
        let found = parsed
            .as_ref()
            .and_then(|name| deployed.lists.get_key_value(name));
        found.ok_or_else(|| {
            let is_staged = parsed.is_some_and(|name| {
                let state = self.read();
                state.rulesets.edited().lists.contains_key(&name)
            });
            if is_staged {
                let message = format!("list `{name}` is not deployed yet, only staged");
                return ApiError::new(ErrorKind::Conflict, message)
                    .with_hint("its source was read when it was staged: ipblock-ctl deploy");
            }
            edit::no_such_list(name, deployed).into()
        })
    }
}
