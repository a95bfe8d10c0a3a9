//! Decides when to alert: once for a source and its rules in a window, and again for the rest when
//! it ends.
//!
//! The kernel announces a source's first packet in a window per class, and counts the others. This
//! module works with rules instead of classes, so a window continues over deploys. The next alert
//! reports what the kernel counted, exactly once. The module is pure: time is an argument, and a
//! function reads the kernel's windows.
//!
//! All times are nanoseconds of the kernel's coarse monotonic clock.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use ipblock_common::{AlertEvent, AlertWindow, SourceKey};
use ipblock_policy::{Action, RuleId, ZoneName};

/// Delay between the end of a window and its check. The kernel's coarse clock lags by a tick; after
/// this delay the next packet certainly opens a new window.
const MARGIN: u64 = 50_000_000;

/// Maximum of windows per call, so that other threads do not wait long. The others stay due for the
/// next call.
const MOST_AT_ONCE: usize = 2_000;

/// Number of windows after which a source without packets is forgotten.
const MEMORY: u64 = 5;

/// The subject of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) zone: ZoneName,
    pub(super) source: IpAddr,
    /// The alerting rules, sorted; never empty.
    pub(super) rules: Arc<[RuleId]>,
}

/// The other fields of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Particulars {
    pub(super) action: Action,
    pub(super) interface: u32,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) destination_port: Option<u16>,
}

/// An alert to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) subject: Subject,
    pub(super) particulars: Particulars,
    /// Whether it is the first of a window.
    pub(super) is_first: bool,
    pub(super) time: u64,
    pub(super) packets: u64,
}

/// Every source with a recent alert.
#[derive(Debug)]
pub(super) struct Episodes {
    window: u64,
    /// Maximum of sources.
    most: usize,
    next: u64,
    by_id: HashMap<u64, Episode>,
    by_source: HashMap<(ZoneName, IpAddr), Vec<u64>>,
    /// When each must be checked again.
    due: BTreeSet<(u64, u64)>,
    /// The quiet ones among these: a full table needs one of them for every announced packet.
    quiet: BTreeSet<(u64, u64)>,
}

/// A source and its rules, from the first alert until some windows after the last packet.
#[derive(Debug)]
struct Episode {
    subject: Subject,
    particulars: Particulars,
    told_at: u64,
    due_at: u64,
    /// Packets that no alert has reported yet.
    pending: u64,
    windows: Vec<Window>,
    /// Whether the last window ended without a further packet.
    is_quiet: bool,
}

/// The state of one of the kernel's windows.
#[derive(Clone, Copy, Debug)]
struct Window {
    key: SourceKey,
    start: u64,
    /// Packets of the window that are reported or pending.
    counted: u64,
}

impl Episodes {
    /// Returns an empty table for at most `most` sources.
    pub(super) fn new(window: u64, most: usize) -> Self {
        Self {
            window,
            most,
            next: 0,
            by_id: HashMap::new(),
            by_source: HashMap::new(),
            due: BTreeSet::new(),
            quiet: BTreeSet::new(),
        }
    }

    /// Forgets all sources.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.window, self.most);
    }

    /// Returns the alert for a packet that the kernel announced, if there is one.
    pub(super) fn announced(
        &mut self,
        event: &AlertEvent,
        subject: Subject,
        particulars: Particulars,
    ) -> Option<Told> {
        let Some((id, mut episode)) = self.take(&subject, &event.source) else {
            self.begin(event, subject.clone(), particulars);
            return Some(Told {
                subject,
                particulars,
                is_first: true,
                time: event.start,
                packets: 1,
            });
        };
        episode.take_in(event);
        episode.particulars = particulars;
        let is_over = event.start >= episode.told_at.saturating_add(self.window);
        let told = is_over.then(|| episode.tell(episode.is_quiet, event.start));
        self.put(id, episode);
        told
    }

    /// Returns the alerts for windows that have ended at `now`. `look` returns the kernel's window
    /// of a key.
    pub(super) fn ended<E>(
        &mut self,
        now: u64,
        mut look: impl FnMut(&SourceKey) -> Result<Option<AlertWindow>, E>,
    ) -> Result<Vec<Told>, E> {
        let mut all = Vec::new();
        for _ in 0..MOST_AT_ONCE {
            let Some(&(_, id)) = self.due.first().filter(|(due_at, _)| *due_at <= now) else {
                break;
            };
            let Some(mut episode) = self.remove(id) else {
                self.due.pop_first();
                continue;
            };
            if episode.is_quiet {
                continue;
            }
            let looked = episode.look_after(now, self.window, &mut look);
            if looked.is_ok() && episode.pending > 0 {
                all.push(episode.tell(false, now));
            } else if looked.is_ok() {
                episode.is_quiet = true;
            }
            self.put(id, episode);
            looked?;
        }
        Ok(all)
    }

    /// Returns when the next check is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due_at, _)| *due_at)
    }

    /// Removes and returns the episode of this packet. It has the same rules, or it has all of the
    /// packet's rules and either knows its class or still continues.
    fn take(&mut self, subject: &Subject, key: &SourceKey) -> Option<(u64, Episode)> {
        let source = (subject.zone.clone(), subject.source);
        let ids = self.by_source.get(&source)?;
        let found = || ids.iter().filter_map(|id| Some((*id, self.by_id.get(id)?)));
        let holds = |episode: &Episode| {
            let rules = &episode.subject.rules;
            subject.rules.iter().all(|rule| rules.contains(rule))
        };
        let same = found().find(|(_, it)| it.subject.rules == subject.rules);
        let known = || found().find(|(_, it)| holds(it) && it.knows(key));
        let wider = || found().find(|(_, it)| holds(it) && !it.is_quiet);
        let (id, _) = same.or_else(known).or_else(wider)?;
        Some((id, self.remove(id)?))
    }

    fn begin(&mut self, event: &AlertEvent, subject: Subject, particulars: Particulars) {
        if self.by_id.len() >= self.most && !self.forget_one_that_is_quiet() {
            return;
        }
        let id = self.next;
        self.next += 1;
        let episode = Episode {
            subject,
            particulars,
            told_at: event.start,
            due_at: 0,
            pending: 0,
            windows: vec![Window::opened_by(event)],
            is_quiet: false,
        };
        self.put(id, episode);
    }

    /// Returns whether there was one. The one with the earliest check has been quiet for the
    /// longest time.
    fn forget_one_that_is_quiet(&mut self) -> bool {
        let found = self.quiet.first().map(|(_, id)| *id);
        found.and_then(|id| self.remove(id)).is_some()
    }

    fn remove(&mut self, id: u64) -> Option<Episode> {
        let episode = self.by_id.remove(&id)?;
        self.due.remove(&(episode.due_at, id));
        self.quiet.remove(&(episode.due_at, id));
        let source = (episode.subject.zone.clone(), episode.subject.source);
        if let Some(ids) = self.by_source.get_mut(&source) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_source.remove(&source);
            }
        }
        Some(episode)
    }

    fn put(&mut self, id: u64, mut episode: Episode) {
        let windows = if episode.is_quiet { MEMORY } else { 1 };
        let length = self.window.saturating_mul(windows);
        episode.due_at = episode
            .told_at
            .saturating_add(length)
            .saturating_add(MARGIN);
        self.due.insert((episode.due_at, id));
        if episode.is_quiet {
            self.quiet.insert((episode.due_at, id));
        }
        let source = (episode.subject.zone.clone(), episode.subject.source);
        self.by_source.entry(source).or_default().push(id);
        self.by_id.insert(id, episode);
    }
}

impl Episode {
    fn knows(&self, key: &SourceKey) -> bool {
        self.windows.iter().any(|window| window.key == *key)
    }

    /// Counts an announced packet, and the previous window in the event.
    fn take_in(&mut self, event: &AlertEvent) {
        self.pending += 1;
        let known = self.windows.iter_mut().find(|it| it.key == event.source);
        let Some(window) = known else {
            // An earlier window of this class is unknown here, or completely reported.
            self.windows.push(Window::opened_by(event));
            return;
        };
        if window.start == event.previous_start {
            self.pending += event.previous_packets.saturating_sub(window.counted);
        }
        *window = Window::opened_by(event);
    }

    /// Counts what the kernel has counted. If the kernel has ended a window meanwhile, its next
    /// event contains the count. Forgets windows that the kernel has evicted, and windows of
    /// classes from earlier deploys that no packet hits any more.
    fn look_after<E>(
        &mut self,
        now: u64,
        length: u64,
        look: &mut impl FnMut(&SourceKey) -> Result<Option<AlertWindow>, E>,
    ) -> Result<(), E> {
        let mut kept = Vec::with_capacity(self.windows.len());
        let mut more = 0;
        for (place, mut window) in self.windows.iter().copied().enumerate() {
            let Some(found) = look(&window.key)? else {
                continue;
            };
            let has_moved_on = found.start != window.start;
            if !has_moved_on {
                more += found.packets.saturating_sub(window.counted);
                window.counted = window.counted.max(found.packets);
            }
            let is_newest = place + 1 == self.windows.len();
            let end = window.start.saturating_add(length).saturating_add(MARGIN);
            let is_open = end > now;
            if is_newest || is_open || has_moved_on {
                kept.push(window);
            }
        }
        self.windows = kept;
        self.pending += more;
        Ok(())
    }

    /// Reports all pending packets and starts a new window.
    fn tell(&mut self, is_first: bool, now: u64) -> Told {
        self.told_at = now;
        self.is_quiet = false;
        Told {
            subject: self.subject.clone(),
            particulars: self.particulars,
            is_first,
            time: now,
            packets: std::mem::take(&mut self.pending),
        }
    }
}

impl Window {
    fn opened_by(event: &AlertEvent) -> Self {
        Self {
            key: event.source,
            start: event.start,
            counted: 1,
        }
    }
}

#[cfg(test)]
mod tests;
