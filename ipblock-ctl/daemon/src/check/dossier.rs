//! What is known of a verdict: the entry that matched with its list and note, who brought the rule
//! and when, and what rules and bans counted.

use ipblock_api::{
    error::ApiError,
    types::{Check, CheckEntry, CheckRule, RuleOrigin},
};
use ipblock_policy::{At, Element, Rule, Ruleset, ZoneName};
use ipnet::IpNet;

use crate::{end_times::to_millisecond, generations::counts::Counts, state::Service};

/// Maximum of entries that are listed for one prefix: the same one can be in many lists.
const SHOWN: usize = 20;

/// What a page of answers has in common.
pub(super) struct Dossier<'a> {
    service: &'a Service,
    ruleset: &'a Ruleset,
    zone: &'a ZoneName,
    counts: Counts,
}

impl<'a> Dossier<'a> {
    pub(super) fn open(
        service: &'a Service,
        ruleset: &'a Ruleset,
        zone: &'a ZoneName,
    ) -> Result<Self, ApiError> {
        let counts = service.read().generations.counts()?;
        Ok(Self {
            service,
            ruleset,
            zone,
            counts,
        })
    }

    /// Adds what is known to an answer.
    pub(super) fn complete(&self, check: &mut Check) -> Result<(), ApiError> {
        for found in &mut check.rules {
            let mut rules = self.ruleset.rules.iter();
            if let Some(rule) = rules.find(|rule| rule.name.as_str() == found.name) {
                self.complete_rule(rule, found)?;
            }
        }
        if let Some(allowed_by) = prefix(check.allowed_by.as_deref()) {
            let of_zone = self.ruleset.zone(self.zone).unwrap_or_default().allow;
            let elements = self.ruleset.allow.iter().chain(of_zone.iter());
            check.allow_entries = self.entries(elements, allowed_by);
        }
        Ok(())
    }

    fn complete_rule(&self, rule: &Rule, found: &mut CheckRule) -> Result<(), ApiError> {
        found.note.clone_from(&rule.note);
        let counts = self.counts.rule(rule.id);
        found.packets = Some(counts.packets);
        found.last_hit = counts.last_hit;
        if let Some(matched) = prefix(Some(&found.matched)) {
            found.entries = self.entries(rule.matches.iter(), matched);
        }
        if let Some(excepted_by) = prefix(found.excepted_by.as_deref()) {
            found.except_entries = self.entries(rule.except.iter(), excepted_by);
        }
        let first = self.service.store.first_revision_with(rule.id)?;
        found.since = first.map(|revision| RuleOrigin {
            revision: revision.number,
            time: to_millisecond(revision.time),
            author: revision.author.to_string(),
        });
        Ok(())
    }

    /// Returns the entries of this prefix, those in lists included.
    fn entries<'e>(
        &self,
        elements: impl Iterator<Item = &'e Element>,
        prefix: IpNet,
    ) -> Vec<CheckEntry> {
        let found = elements.flat_map(|element| match &element.at {
            At::Prefix(at) if *at == prefix => vec![CheckEntry {
                list: None,
                note: element.note.to_string(),
                source: None,
            }],
            At::Prefix(_) => Vec::new(),
            At::List(name) => {
                let Some(list) = self.ruleset.lists.get(name) else {
                    return Vec::new();
                };
                let entries = list.elements.iter().filter(|entry| entry.prefix == prefix);
                let kind = list.source.kind();
                let source = kind.map(|kind| format!("{} {}", kind.key(), list.source.text()));
                let entries = entries.map(|entry| CheckEntry {
                    list: Some(name.to_string()),
                    note: entry.note.to_string(),
                    source: source.clone(),
                });
                entries.collect()
            }
        });
        found.take(SHOWN).collect()
    }
}

fn prefix(text: Option<&str>) -> Option<IpNet> {
    text?.parse().ok()
}
