//! What the daemon holds in memory: the deployed and the staged ruleset, live generations,
//! interfaces and the base of all counters.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_datapath::{
    AlertEvents, AttachMode, Generation, HitTable, PanicOff, PinDirectory, PinLock, PinnedLink,
    SharedMapIds, SharedPins, clock::Now,
};
use ipblock_policy::{DefaultVerdict, RuleId, Ruleset, ZoneName, compile::CompiledClass, document};
use ipblock_store::{AskedMode, Confirmation, Store, StoredRuleset};
use tokio::sync::watch;

use super::{
    alerts::{Alerts, book::Book},
    attach::rest::Rest,
    bans::live::LiveBans,
    compiled::CompiledRulesets,
    connections::places::Places,
    counts::Counts,
    drift::report::Drift,
    durations::Durations,
    ends,
    feeds::followed::Followed,
    guard::sources::Sources,
    metrics::record::Record,
    settings::Settings,
    sinks::Sinks,
};

/// The daemon's service: everything that a request can ask for is a method of it.
pub struct Service {
    pub(super) settings: Settings,
    pub(super) pins: PinDirectory,
    pub(super) _pin_lock: Option<PinLock>,
    pub(super) store: Store,
    /// Whom a change must not cut off.
    pub(super) guard: Sources,
    /// See [`super::changing::Changing`].
    pub(super) change: Mutex<()>,
    /// Held for writing only while a change is put in force, so that reading never waits for a
    /// build, and never sees half a switch.
    pub(super) state: RwLock<State>,
    /// Which maps every generation's program has to use.
    pub(super) shared_maps: SharedMapIds,
    /// Where they are pinned.
    pub(super) shared_pins: SharedPins,
    /// Taken after `state` where both are needed, and never held while anything is built: a ban
    /// waits for no deploy. What may newly drop an address is judged and comes into force while this
    /// is held (decision 0017).
    pub(super) bans: Mutex<LiveBans>,
    /// Rulesets as they were compiled last. Held while one is compiled, and nothing else is taken
    /// meanwhile.
    pub(super) compiled: Mutex<CompiledRulesets>,
    /// As `bans`.
    pub(super) alerts: Mutex<Alerts>,
    /// Where alerts go.
    pub(super) sinks: Sinks,
    /// Taken by whoever tells of them.
    pub(super) alert_events: Mutex<Option<AlertEvents>>,
    /// Who hits.
    pub(super) hits: HitTable,
    /// Whether all dropping was called off.
    pub(super) panic_off: PanicOff,
    /// Whether requests that wait for something should end: the daemon stops.
    pub(super) is_stopping: watch::Sender<bool>,
    /// What this process has done, for metrics.
    pub(super) record: Record,
    /// Connections to the socket.
    pub(super) places: Arc<Places>,
}

/// What is in force, and what is being edited.
#[derive(Default)]
pub(super) struct State {
    /// The deployed revision; 0 before the first deploy.
    pub(super) revision: u64,
    pub(super) deployed: Arc<Ruleset>,
    pub(super) staged: Option<StagedSet>,
    /// Shared with whoever asks one for long: nothing waits for them.
    pub(super) zones: BTreeMap<ZoneName, Arc<LiveZone>>,
    pub(super) interfaces: BTreeMap<String, InterfaceRecord>,
    /// Links whose device was renamed or went to another network namespace.
    pub(super) moved: Vec<MovedLink>,
    /// Interfaces below filtered ones that could not be attached, and are not tried again yet.
    pub(super) rests: BTreeMap<String, Rest>,
    /// Generations of a change that was undone, and whose program could not be taken off every link:
    /// they still judge and count.
    pub(super) lingering: Vec<(ZoneName, LiveZone)>,
    /// What generations that are gone stood for.
    pub(super) book: Book,
    /// Counts of generations that are gone, as the store has them.
    pub(super) base: Counts,
    /// Ends of rules that were given as durations.
    pub(super) durations: Durations,
    /// How far the wall clock was from the boot clock when the deadlines of rules were reckoned, in
    /// nanoseconds.
    pub(super) wall_offset: i128,
    /// Set while the deployed revision awaits confirmation.
    pub(super) confirmation: Option<Confirmation>,
    /// The ruleset that comes back unless it is confirmed. None too where the store cannot tell it.
    pub(super) previous: Option<Arc<Ruleset>>,
    /// Why an unconfirmed revision is still in force although its time is over.
    pub(super) rollback_problem: Option<String>,
    /// Why metrics are not served although they are to be.
    pub(super) metrics_problem: Option<String>,
    /// Deployed lists that follow a source.
    pub(super) followed: Followed,
    /// Where the kernel is not as it should be.
    pub(super) drift: Drift,
    /// What went wrong at the start and is not mended by itself.
    pub(super) start_problems: Vec<String>,
}

/// The staged ruleset.
#[derive(Clone, Debug)]
pub(super) struct StagedSet {
    pub(super) ruleset: Arc<Ruleset>,
    /// The revision that the edits started from.
    pub(super) base: u64,
    /// How many edits.
    pub(super) edits: u64,
}

/// A zone with its generation in force.
pub(super) struct LiveZone {
    pub(super) generation: Generation,
    /// What its classes stand for, as recorded when it was built.
    pub(super) classes: Arc<[CompiledClass]>,
    pub(super) default: DefaultVerdict,
    pub(super) ipv4_entries: u64,
    pub(super) ipv6_entries: u64,
    /// Entries by rule, for `rule list`.
    pub(super) rule_entries: HashMap<RuleId, u64>,
}

/// An interface that the filter is to be on.
#[derive(Debug)]
pub(super) struct InterfaceRecord {
    pub(super) zone: ZoneName,
    /// The mode that was asked for.
    pub(super) asked: AskedMode,
    pub(super) attached: AttachedState,
}

/// A link whose device does not have the name here any more by which it was attached.
#[derive(Debug)]
pub(super) struct MovedLink {
    pub(super) zone: ZoneName,
    pub(super) link: PinnedLink,
}

/// Whether the filter is on an interface.
#[derive(Debug)]
pub(super) enum AttachedState {
    /// It is, in this mode.
    Attached {
        link: PinnedLink,
        mode: AttachMode,
        /// Why native mode is not used although it was wished for.
        fallback: Option<String>,
    },
    /// There is no such interface.
    Absent,
    /// It could not be attached.
    Failed(String),
}

impl Service {
    pub(super) fn bans(&self) -> MutexGuard<'_, LiveBans> {
        self.bans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn alerts(&self) -> MutexGuard<'_, Alerts> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the store has; nothing of the kernel yet.
    pub(super) fn load(store: &Store) -> Result<Self, ApiError> {
        let revision = store
            .deployed_revision()?
            .map_or(0, |revision| revision.number);
        let deployed = stored_ruleset(store, revision)?;
        let staged = match store.staged()? {
            Some(staged) => Some(StagedSet {
                ruleset: Arc::new(from_stored(&staged.ruleset)?),
                base: staged.base,
                edits: staged.edits,
            }),
            None => None,
        };
        // One of another revision was prepared and has not reached a link, or its finishing tells.
        let confirmation = store
            .confirmation()?
            .filter(|trial| trial.revision == revision);
        let previous = confirmation
            .as_ref()
            .and_then(|trial| previous_ruleset(store, trial.trial.previous));
        Ok(Self {
            revision,
            deployed: Arc::new(deployed),
            staged,
            confirmation,
            previous,
            durations: Durations(store.rule_durations()?),
            wall_offset: ends::wall_offset(&Now::read()),
            base: Counts::load(store)?,
            ..Self::default()
        })
    }

    /// Id of the program that a zone's interfaces should run.
    pub(super) fn program_of(&self, zone: &ZoneName) -> Option<u32> {
        self.zones
            .get(zone)
            .map(|live| live.generation.program_id())
    }

    /// The links that are on a device, under whatever name and in whatever namespace.
    pub(super) fn links(&self) -> impl Iterator<Item = &PinnedLink> {
        let interfaces = self.interfaces.values();
        let attached = interfaces.filter_map(|record| match &record.attached {
            AttachedState::Attached { link, .. } => Some(link),
            AttachedState::Absent | AttachedState::Failed(_) => None,
        });
        attached.chain(self.moved.iter().map(|moved| &moved.link))
    }

    /// The same to be switched, with their zones, and the zones as they are.
    pub(super) fn links_and_zones(
        &mut self,
    ) -> (
        impl Iterator<Item = (&ZoneName, &mut PinnedLink)>,
        &BTreeMap<ZoneName, Arc<LiveZone>>,
    ) {
        let interfaces = self.interfaces.values_mut();
        let attached = interfaces.filter_map(|record| match &mut record.attached {
            AttachedState::Attached { link, .. } => Some((&record.zone, link)),
            AttachedState::Absent | AttachedState::Failed(_) => None,
        });
        let moved = self.moved.iter_mut();
        let moved = moved.map(|moved| (&moved.zone, &mut moved.link));
        (attached.chain(moved), &self.zones)
    }

    /// Every generation that may judge packets, with its zone.
    pub(super) fn judging(&self) -> impl Iterator<Item = (&ZoneName, &LiveZone)> {
        let lingering = self.lingering.iter().map(|(name, live)| (name, live));
        let zones = self.zones.iter().map(|(name, live)| (name, &**live));
        zones.chain(lingering)
    }

    /// Whether edits that lead to this ruleset, from what is deployed now, change nothing.
    pub(super) fn is_as_deployed(&self, edited: &Ruleset) -> bool {
        let staged = self.staged.as_ref();
        staged.is_some_and(|staged| staged.base == self.revision) && *self.deployed == *edited
    }

    /// The ruleset with staged edits applied.
    pub(super) fn edited(&self) -> &Arc<Ruleset> {
        match &self.staged {
            Some(staged) => &staged.ruleset,
            None => &self.deployed,
        }
    }
}

/// The ruleset that comes back. What is damaged is told when it is to come back, and keeps no daemon
/// from starting.
fn previous_ruleset(store: &Store, revision: u64) -> Option<Arc<Ruleset>> {
    if revision == 0 {
        return Some(Arc::default());
    }
    let stored = store.ruleset(revision).ok()?;
    from_stored(&stored).ok().map(Arc::new)
}

/// The form in which the store keeps a ruleset.
pub(super) fn to_stored(ruleset: &Ruleset) -> StoredRuleset {
    StoredRuleset {
        toml: document::print(ruleset),
        ids: ruleset
            .rules
            .iter()
            .map(|rule| (rule.name.clone(), rule.id))
            .collect(),
    }
}

/// The ruleset of a revision; 0: none, as before the first deploy.
pub(super) fn stored_ruleset(store: &Store, revision: u64) -> Result<Ruleset, ApiError> {
    match revision {
        0 => Ok(Ruleset::default()),
        number => from_stored(&store.ruleset(number)?),
    }
}

/// A ruleset as the store has kept it.
pub(super) fn from_stored(stored: &StoredRuleset) -> Result<Ruleset, ApiError> {
    // What was once accepted with --force is accepted again.
    let mut ruleset = document::parse(&stored.toml, "the state store", true)?;
    for rule in &mut ruleset.rules {
        rule.id = *stored.ids.get(&rule.name).ok_or_else(|| {
            let message = format!("the state store knows no identity of rule `{}`", rule.name);
            ApiError::new(ErrorKind::Failed, message)
                .with_hint("restore the state directory from a backup")
        })?;
    }
    Ok(ruleset)
}
