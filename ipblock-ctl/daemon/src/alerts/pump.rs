//! Passes the kernel's announcements to the sinks and the store.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ipblock_common::AlertEvent;
use ipblock_datapath::{AlertEvents, clock::Now};
use ipblock_policy::AlertKind;
use ipblock_store::{Alert, Store, StoreError};
use jiff::Timestamp;
use nix::net::if_::if_indextoname;
use tracing::{debug, error, warn};

use super::{
    AlertDesk, address,
    classes::{GenerationClass, RuleBook},
    desk::Alerts,
    episodes::{Particulars, Subject, Told},
    query::alert_info,
};
use crate::attach::interfaces::AttachedState;
use crate::state::{SharedState, State};

/// Maximum pause of the pump: the end of a window is reported at most this much later.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Events within this time are handled together, and cost one write to disk.
const GATHERING: Duration = Duration::from_millis(50);

/// Maximum of events that are handled together.
const BATCH: usize = 4096;

/// Maximum of batches in a row, enough for a full ring buffer. Otherwise events that arrive faster
/// than they are handled would delay the end.
const BATCHES: usize = 4;

impl AlertDesk {
    /// Reports announcements until it should stop, and then the remaining ones.
    pub(crate) fn pump(&self, state: &SharedState, store: &Store, stop: &AtomicBool) {
        let events = self.events.lock();
        let Some(mut events) = events.unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        while !stop.load(Ordering::Relaxed) {
            events.wait(LONGEST_REST);
            thread::sleep(GATHERING);
            self.tell_all_or_log(&mut events, state, store);
        }
        self.tell_all_or_log(&mut events, state, store);
    }

    /// Limits a panic to one iteration: alerts continue.
    fn tell_all_or_log(&self, events: &mut AlertEvents, state: &SharedState, store: &Store) {
        let told = catch_unwind(AssertUnwindSafe(|| self.tell_all(events, state, store)));
        if told.is_err() {
            error!("telling of alerts failed: a defect in ipblockd");
        }
    }

    /// Deletes alerts that are too old.
    pub(crate) fn prune(&self, store: &Store) -> Result<(), StoreError> {
        store.prune_alerts(self.config.retention(), Timestamp::now())
    }

    /// Makes all alerts that are due now.
    fn tell_all(&self, events: &mut AlertEvents, state: &SharedState, store: &Store) {
        for _ in 0..BATCHES {
            let batch: Vec<AlertEvent> = events.take(BATCH).collect();
            self.tell_of(&batch, state, store);
            if batch.len() < BATCH {
                return;
            }
        }
    }

    fn tell_of(&self, events: &[AlertEvent], state: &SharedState, store: &Store) {
        let state = state.read();
        let mut engine = self.engine();
        let now = Now::read();
        let is_due = engine.episodes.next_due();
        if events.is_empty() && is_due.is_none_or(|due| now.monotonic_ns < due) {
            return;
        }
        let rules = state.rule_book();
        let totals_before = engine.totals;
        let told = engine.take_in(events, &state, &rules, &now);
        let mut id = last_id(&engine, &now);
        let interfaces = interface_names(&state);
        let alerts: Vec<Alert> = told
            .into_iter()
            .map(|told| {
                id += 1;
                alert(id, &told, &rules, &interfaces, &now)
            })
            .collect();
        drop(rules);
        drop(state);
        for alert in &alerts {
            engine.totals.reported += alert.packets;
        }
        let (epoch, totals) = (engine.epoch.clone(), engine.totals);
        // Neither requests nor people wait for the disk.
        drop(engine);
        if alerts.is_empty() && totals == totals_before {
            // Sources became quiet: there is nothing to report or to write.
            return;
        }
        if !alerts.is_empty() {
            let told = alerts.iter().cloned().map(alert_info).collect();
            self.sinks.offer(&told);
        }
        let retention = self.config.retention();
        let added = store.add_alerts(&alerts, &epoch, totals, retention, now.wall);
        if let Err(error) = added {
            warn!(alerts = alerts.len(), %error, "alerts are reported and not in the history");
        }
        if !alerts.is_empty() {
            self.engine().last.send_replace(id);
        }
    }
}

impl Alerts {
    fn take_in(
        &mut self,
        events: &[AlertEvent],
        state: &State,
        rules: &RuleBook<'_>,
        now: &Now,
    ) -> Vec<Told> {
        let mut all = Vec::new();
        for event in events {
            let Some(found) = state.class_of(&event.source) else {
                debug!(
                    generation = event.source.generation,
                    "a packet of a generation that is not known any more"
                );
                self.totals.lost += 1;
                continue;
            };
            let Some((subject, particulars)) = resolve(event, &found, rules) else {
                // A deploy after the announcement disabled alerts of its rules.
                continue;
            };
            all.extend(self.episodes.announced(event, subject, particulars));
        }
        let tables = &self.tables;
        let ended = self
            .episodes
            .ended(now.monotonic_ns, |key| tables.window(key));
        match ended {
            Ok(ended) => all.extend(ended),
            Err(error) => warn!(%error, "the windows of alerts cannot be read"),
        }
        all
    }
}

/// Ids ascend and start with the time. If the daemon is killed after a sink got an alert and before
/// the store did, the id is not reused.
fn last_id(engine: &Alerts, now: &Now) -> u64 {
    let time = u64::try_from(now.wall.as_microsecond()).unwrap_or(0);
    time.max(*engine.last.borrow())
}

/// Converts an event to the operator's terms; `None` if no rule of its class alerts any more.
fn resolve(
    event: &AlertEvent,
    found: &GenerationClass<'_>,
    rules: &RuleBook<'_>,
) -> Option<(Subject, Particulars)> {
    let alerting = rules.alerting(found.class);
    if alerting.is_empty() {
        return None;
    }
    let family = event.source.family;
    let subject = Subject {
        zone: found.zone.clone(),
        source: address(family, event.source.address),
        rules: alerting,
    };
    let particulars = Particulars {
        action: found.action(),
        interface: event.interface,
        destination: address(family, event.destination),
        protocol: event.protocol,
        destination_port: (event.has_port != 0).then_some(event.destination_port),
    };
    Some((subject, particulars))
}

fn alert(
    id: u64,
    told: &Told,
    rules: &RuleBook<'_>,
    interfaces: &HashMap<u32, String>,
    now: &Now,
) -> Alert {
    let Particulars {
        action,
        interface,
        destination,
        protocol,
        destination_port,
    } = told.particulars;
    let ids = told.subject.rules.iter();
    let names = ids.map(|id| rules.name(*id).unwrap_or_else(|| format!("rule {}", id.0)));
    Alert {
        id,
        time: now.hit_time(told.time).unwrap_or(now.wall),
        kind: if told.is_first {
            AlertKind::First
        } else {
            AlertKind::Aggregate
        },
        zone: told.subject.zone.to_string(),
        interface: match interfaces.get(&interface) {
            Some(name) => name.clone(),
            None => name_of_interface(interface),
        },
        rules: names.collect(),
        action,
        source: told.subject.source,
        destination,
        protocol,
        destination_port,
        packets: told.packets,
    }
}

fn interface_names(state: &State) -> HashMap<u32, String> {
    let interfaces = state.interfaces.records();
    interfaces
        .filter_map(|(name, record)| match &record.attached {
            AttachedState::Attached { link, .. } => Some((link.index?, name.clone())),
            _ => None,
        })
        .collect()
}

/// Returns the name of an interface that is not attached (any more), such as a member of a bond.
fn name_of_interface(index: u32) -> String {
    match if_indextoname(index) {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => format!("interface {index}"),
    }
}
