//! The start: adopts pins, finishes or undoes what was interrupted, and puts the deployed ruleset
//! in force. The filter works throughout.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use ipblock_api::error::ApiError;
use ipblock_common::ABI_VERSION;
use ipblock_datapath::{Generation, PinDirectory, PinLock, PinnedLink, SharedMaps, clock::Now};
use ipblock_fault::{Step, reach};
use ipblock_policy::{Ruleset, ZoneName, compile::compile};
use ipblock_store::GenerationState;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::{
    alerts::AlertDesk,
    attach::unfiltered,
    backup::remove_left_aside,
    bans::LiveBans,
    changing::Changing,
    generations::{LiveZone, fresh::Fresh},
    guard::Sources,
    metrics::Record,
    rulesets::Snapshot,
    settings::Settings,
    start::{error::StartError, examine::examine},
    state::{Service, SharedState, State},
};

/// The complete pinned generations, by number.
type Pinned = BTreeMap<u64, Generation>;

impl Service {
    /// Opens the store, adopts pins, and puts the deployed ruleset in force. If it cannot start, it
    /// refuses before it changes anything.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let store = examine(&settings)?.open()?;
        // On a full disk the daemon starts without this.
        match store.forget_unused_durations() {
            Ok(0) => {}
            Ok(count) => info!(count, "cleared away ends of rules that are gone"),
            Err(error) => warn!(%error, "ends of rules that are gone stay in the store"),
        }
        if let Err(error) = store.forget_counts_of_gone_bans() {
            warn!(%error, "counts of bans that are gone stay in the store");
        }
        remove_left_aside(&settings.state_dir);
        let pins = PinDirectory::create(&settings.bpffs)?;
        let pin_lock = PinLock::take(&pins)?;
        unfiltered::cover(&pins, &store)?;
        let shared = SharedMaps::open_or_create(&pins)?;
        let bans = LiveBans::load(shared.bans, &store)?;
        let state = State::load(&store)?;
        let record = Record::begin(&store)?;
        let alerts = AlertDesk::open(
            shared.alerts,
            shared.events,
            shared.hits,
            &store,
            &settings.alerts,
        )?;
        let service = Self {
            guard: Sources::new("/", settings.ssh_ports.clone()),
            settings,
            pins,
            _pin_lock: pin_lock,
            store,
            change: Mutex::new(()),
            state: SharedState::new(state),
            shared_maps: shared.ids,
            alerts,
            panic_off: shared.panic_off,
            shared_pins: shared.pins,
            is_stopping: watch::Sender::new(false),
            bans: Mutex::new(bans),
            compile_cache: Mutex::default(),
            record,
            places: Arc::default(),
        };
        reach(Step::StartOpened);
        let changing = service.begin_start();
        let mut pinned = service.open_pinned()?;
        // Before a new program is attached.
        service.fill_ban_tables();
        reach(Step::StartBansFilled);
        let unfinished = service.undo_what_reached_no_link(&mut pinned)?;
        reach(Step::StartUndone);
        service.adopt_generations(&changing, &mut pinned)?;
        service.adopt_moved()?;
        service.adopt_links()?;
        reach(Step::StartAdopted);
        service.finish(&changing, unfinished, &mut pinned)?;
        reach(Step::StartFinished);
        service.build_missing_and_outdated(&changing)?;
        reach(Step::StartBuilt);
        service.attach_remembered(&changing)?;
        unfiltered::let_go(&service.pins, |_| Ok(true))?;
        reach(Step::StartAttached);
        service.remove_orphans()?;
        reach(Step::StartCleared);
        drop(changing);
        // From here on it is consistent.
        drop(service.begin_change());
        Ok(service)
    }

    /// Opens every pinned generation, and removes those whose build was interrupted.
    fn open_pinned(&self) -> Result<Pinned, StartError> {
        let mut pinned = Pinned::new();
        for number in self.pins.generation_numbers()? {
            match Generation::open_pinned(&self.pins, number) {
                Ok(Some(generation)) => {
                    if generation.meta().store_id != self.store.store_id() {
                        return Err(StartError::OtherStore {
                            pins: self.pins.root().display().to_string(),
                            state_dir: self.settings.state_dir.display().to_string(),
                        });
                    }
                    pinned.insert(number, generation);
                }
                Ok(None) => {
                    info!(generation = number, "removing an unfinished generation");
                    self.unpin(number);
                }
                // It may be on a link: it is replaced there, and its pins are removed at the end.
                Err(error) => warn!(generation = number, %error, "cannot be taken over"),
            }
        }
        Ok(pinned)
    }

    /// Adopts every live generation that is pinned. After a reboot there is none: then the last
    /// checkpoint is added to the base.
    fn adopt_generations(
        &self,
        changing: &Changing<'_>,
        pinned: &mut Pinned,
    ) -> Result<(), StartError> {
        for recorded in self.store.open_generations()? {
            if recorded.state != GenerationState::Live {
                continue;
            }
            if let Some(generation) = pinned.remove(&recorded.number) {
                let deployed = Arc::clone(self.read().rulesets.deployed());
                let live = self.live_zone(generation, &recorded, &deployed)?;
                let mut state = self.write();
                state.generations.adopt(changing, recorded.zone, live);
            } else {
                info!(generation = recorded.number, zone = %recorded.zone,
                    "not in the kernel any more: counting on from the last checkpoint");
                self.store.fold_checkpoint(recorded.number)?;
            }
        }
        let mut state = self.write();
        Ok(state.generations.reload_base(changing, &self.store)?)
    }

    /// Combines a pinned generation with its data in the store.
    pub(crate) fn live_zone(
        &self,
        generation: Generation,
        recorded: &ipblock_store::Generation,
        ruleset: &Ruleset,
    ) -> Result<LiveZone, StartError> {
        let rule_entries = compile(ruleset, &recorded.zone, Timestamp::now())
            .map(|zone| zone.rule_entries().into_iter().collect())
            .unwrap_or_default();
        Ok(LiveZone {
            generation,
            classes: self.store.generation_classes(recorded.number)?.into(),
            default: recorded.default,
            ipv4_entries: recorded.ipv4_entries,
            ipv6_entries: recorded.ipv6_entries,
            rule_entries,
        })
    }

    /// Adopts the pinned links of remembered interfaces, whatever program they run.
    fn adopt_links(&self) -> Result<(), StartError> {
        for interface in self.store.interfaces()? {
            if let Err(error) = self.adopt_link(&interface) {
                warn!(interface = %interface.name, %error, "its link cannot be taken over yet");
            }
        }
        Ok(())
    }

    /// Builds and puts in force what zones lack: everything at the first start and after a reboot,
    /// a new program after an upgrade.
    fn build_missing_and_outdated(&self, changing: &Changing<'_>) -> Result<(), StartError> {
        let deployed = Arc::clone(self.read().rulesets.deployed());
        let mut outdated = BTreeSet::new();
        for name in deployed.zone_names() {
            let why = match self.read().generations.of_zone(&name) {
                Some(live)
                    if live
                        .generation
                        .is_current(self.settings.bpf_log, &self.shared_maps) =>
                {
                    info!(zone = %name, generation = live.generation.number(),
                        "taken over: same program, same ABI, nothing loaded");
                    continue;
                }
                Some(live) if live.generation.meta().abi != ABI_VERSION => "another ABI",
                Some(live) if !live.generation.is_whole() => "maps of it are not pinned",
                Some(_) => "another program",
                None => "none in the kernel",
            };
            info!(zone = %name, why, "to be built");
            outdated.insert(name);
        }
        Ok(self.build_anew(changing, &outdated)?)
    }

    /// Builds generations of the deployed revision for these zones and puts them in force. A
    /// failure is reported and tried again; the other zones, and this zone's generation in the
    /// kernel, continue.
    pub(crate) fn build_anew(
        &self,
        changing: &Changing<'_>,
        zones: &BTreeSet<ZoneName>,
    ) -> Result<(), ApiError> {
        let Snapshot {
            revision, deployed, ..
        } = self.rulesets();
        let mut fresh = BTreeMap::new();
        for name in zones {
            match self.build_for(changing, &deployed, name, revision) {
                Ok(built) => {
                    info!(zone = %name, generation = built.number(), "built");
                    fresh.insert(name.clone(), built);
                }
                Err(error) => self.could_not_build(name, &error),
            }
        }
        let names: Vec<ZoneName> = fresh.keys().cloned().collect();
        let put = self.replace_generations(changing, fresh);
        if let Err(error) = &put {
            for name in &names {
                self.could_not_build(name, error);
            }
        }
        put
    }

    /// Tried repeatedly, but reported once.
    fn could_not_build(&self, zone: &ZoneName, error: &ApiError) {
        let why = error.to_string();
        let known = self.write().drift.unbuilt.insert(zone.clone(), why.clone());
        if known.as_ref() != Some(&why) {
            error!(%zone, %error, "cannot be built");
        }
    }

    /// Compiles, builds and records a zone's generation for a revision.
    pub(crate) fn build_for(
        &self,
        changing: &Changing<'_>,
        ruleset: &Arc<Ruleset>,
        name: &ZoneName,
        revision: u64,
    ) -> Result<Fresh<'_>, ApiError> {
        let now = Now::read();
        let ruleset = self.read().rulesets.as_of(ruleset, &now);
        let compiled = compile(&ruleset, name, now.wall)?;
        let fresh = self.build(changing, &compiled)?;
        fresh.record(&self.store, name, &compiled, revision)?;
        Ok(fresh)
    }

    /// Attaches every remembered interface, and those of `--interface`, to its zone's generation. A
    /// failure does not affect the others: `status` shows it.
    fn attach_remembered(&self, changing: &Changing<'_>) -> Result<(), StartError> {
        self.remember_links_without_an_interface()?;
        for interface in &self.settings.interfaces {
            self.store.add_interface(interface)?;
        }
        Ok(self.put_all_on(changing, self.store.interfaces()?)?)
    }

    /// A link that the store does not know (after a restore from a backup, for example) still
    /// filters: it is managed in the zone whose generation it runs.
    fn remember_links_without_an_interface(&self) -> Result<(), StartError> {
        let known: BTreeSet<String> = {
            let interfaces = self.store.interfaces()?.into_iter();
            interfaces.map(|interface| interface.name).collect()
        };
        for name in self.pins.linked_interfaces()? {
            if known.contains(&name) {
                continue;
            }
            let Some(link) = PinnedLink::open(&self.pins, &name)? else {
                continue;
            };
            if link.index.is_none() {
                link.detach()?;
                continue;
            }
            let zone = {
                let state = self.read();
                let mut zones = state.generations.zones().iter();
                zones
                    .find(|(_, live)| live.generation.program_id() == link.program)
                    .map(|(zone, _)| zone.clone())
                    .unwrap_or_default()
            };
            warn!(interface = %name, zone = %zone, "filtered and not remembered: taken over");
            self.store.add_interface(&ipblock_store::Interface {
                name,
                mode: None,
                zone,
            })?;
        }
        Ok(())
    }

    /// Removes pins of unused generations.
    fn remove_orphans(&self) -> Result<(), StartError> {
        let live: BTreeSet<u64> = {
            let state = self.read();
            let zones = state.generations.zones().values();
            zones.map(|zone| zone.generation.number()).collect()
        };
        for number in self.pins.generation_numbers()? {
            if !live.contains(&number) {
                info!(generation = number, "removing an old generation");
                self.unpin(number);
            }
        }
        Ok(self.pins.remove_other_shared()?)
    }
}
