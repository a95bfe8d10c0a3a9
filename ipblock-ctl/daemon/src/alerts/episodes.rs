//! When a person is told: once for a source and its rules in a window, and of the rest when it ends.
//!
//! The kernel announces a source's first packet in a window per class, and counts the others. This is
//! where classes have become rules, so that the window goes on over deploys, and where what the kernel
//! counted is told once, by whichever alert comes next. Pure: time is an argument, the kernel's
//! windows are read through a function.
//!
//! All times are nanoseconds of the kernel's coarse monotonic clock.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use ipblock_common::{AlertEvent, AlertWindow, SourceKey};
use ipblock_policy::{Action, RuleId, ZoneName};

/// How long after its end a window is looked at: the kernel's coarse clock lags by a tick, and then
/// the next packet opens a new window for certain.
const MARGIN: u64 = 50_000_000;

/// Windows that are looked after in one call, so that nobody waits long behind it. The others are due
/// still at the next one.
const MOST_AT_ONCE: usize = 2_000;

/// Windows after which a source that came no more is forgotten.
const MEMORY: u64 = 5;

/// Whom an alert tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) zone: ZoneName,
    pub(super) source: IpAddr,
    /// Those that alert, sorted; never empty.
    pub(super) rules: Arc<[RuleId]>,
}

/// What an alert says beside that.
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

/// Every source that was told of not long ago.
#[derive(Debug)]
pub(super) struct Episodes {
    window: u64,
    /// How many are kept.
    most: usize,
    next: u64,
    by_id: HashMap<u64, Episode>,
    by_source: HashMap<(ZoneName, IpAddr), Vec<u64>>,
    /// When each is to be looked at again.
    due: BTreeSet<(u64, u64)>,
    /// Of these, the quiet ones: a full table is asked for one of them with every announced packet.
    quiet: BTreeSet<(u64, u64)>,
}

/// A source and its rules, from the first alert until some windows after the last packet.
#[derive(Debug)]
struct Episode {
    subject: Subject,
    particulars: Particulars,
    told_at: u64,
    due_at: u64,
    /// Packets that no alert has told of yet.
    pending: u64,
    windows: Vec<Window>,
    /// The last window ended without a packet more.
    is_quiet: bool,
}

/// What is known of one of the kernel's windows.
#[derive(Clone, Copy, Debug)]
struct Window {
    key: SourceKey,
    start: u64,
    /// Packets of it that are told, or pending.
    counted: u64,
}

impl Episodes {
    /// None yet; at most `most` are kept.
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

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.window, self.most);
    }

    /// What to tell of a packet that the kernel announced.
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

    /// What to tell of windows that have ended at `now`. `look` returns the kernel's window of a key.
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

    /// When something is to be looked at next.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due_at, _)| *due_at)
    }

    /// The episode that this packet belongs to, taken out: the one of the same rules, else one whose
    /// rules hold all of the packet's, and that knows its class or still goes on.
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

    /// Whether there was one. Those that are looked at soonest went quiet longest ago.
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

    /// Counts an announced packet, and what it says of the window before.
    fn take_in(&mut self, event: &AlertEvent) {
        self.pending += 1;
        let known = self.windows.iter_mut().find(|it| it.key == event.source);
        let Some(window) = known else {
            // Of an earlier window of this class nothing is known here, or all of it is told.
            self.windows.push(Window::opened_by(event));
            return;
        };
        if window.start == event.previous_start {
            self.pending += event.previous_packets.saturating_sub(window.counted);
        }
        *window = Window::opened_by(event);
    }

    /// Counts what the kernel has counted. Of a window that the kernel has ended meanwhile its next
    /// event tells; one that it keeps no more is forgotten, and so are those of classes of earlier
    /// deploys that nothing falls into any more.
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

    /// Tells of all that is pending; a new window begins.
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
