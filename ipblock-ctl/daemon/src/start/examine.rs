//! The checks of a start before its first write. A daemon that refuses to start has changed
//! nothing: no file, no row, no pin, and no map of a filter that may belong to another daemon.

use std::collections::BTreeSet;

use ipblock_datapath::{
    DatapathError, Generation, PinDirectory, PinLock, PinnedLink, clock, clock::Now, shared_maps,
};
use ipblock_store::{AlertEpoch, GenerationState, Store, StoreView};

use crate::{
    bans::stored_bans, metrics::Record, rulesets::stored_ruleset, settings::Settings,
    start::error::StartError, state::State,
};

/// Checks everything that a start needs, and rejects what it could not start with. The store is
/// opened later: that is the first write.
pub(crate) fn examine(settings: &Settings) -> Result<StoreView, StartError> {
    let look = Store::look(&settings.state_dir)?;
    let pins = PinDirectory::examine(&settings.bpffs)?;
    let pinned = own_generations(&pins, look.store(), settings)?;
    let running = programs_on_links(&pins)?;
    let alert_counts = shared_maps::examine(&pins)?;
    if let Some(store) = look.store() {
        require_readable(store, alert_counts)?;
        require_countable(store, &pinned, &running)?;
    }
    // Last, because a problem of the store is more important to report.
    PinLock::take(&pins)?;
    Ok(look)
}

/// Returns the complete pinned generations, all of which must belong to this store.
fn own_generations(
    pins: &PinDirectory,
    store: Option<&Store>,
    settings: &Settings,
) -> Result<Vec<Generation>, StartError> {
    let mut own = Vec::new();
    for number in pins.generation_numbers()? {
        match Generation::open_pinned(pins, number) {
            Ok(Some(generation)) => {
                if store.map(Store::store_id) != Some(generation.meta().store_id) {
                    return Err(StartError::OtherStore {
                        pins: pins.root().display().to_string(),
                        state_dir: settings.state_dir.display().to_string(),
                    });
                }
                own.push(generation);
            }
            Err(error @ DatapathError::NotPermitted { .. }) => return Err(error.into()),
            // Its build was interrupted; or it may be on a link, where it is replaced, and its pins
            // are removed.
            Ok(None) | Err(_) => {}
        }
    }
    Ok(own)
}

/// Returns the programs on our links.
pub(crate) fn programs_on_links(pins: &PinDirectory) -> Result<BTreeSet<u32>, DatapathError> {
    let mut programs = BTreeSet::new();
    for interface in pins.linked_interfaces()? {
        if let Some(link) = PinnedLink::open(pins, &interface)? {
            programs.insert(link.program);
        }
    }
    let moved = PinnedLink::open_moved(pins)?.into_iter();
    programs.extend(moved.map(|moved| moved.link.program));
    Ok(programs)
}

/// Reads everything that a start reads from the store.
fn require_readable(store: &Store, alert_counts: Option<u32>) -> Result<(), StartError> {
    State::load(store)?;
    stored_bans(store, &Now::read())?;
    Record::begin(store)?;
    store.interfaces()?;
    store.prepared_revisions()?;
    store.last_alert()?;
    if let Some(map) = alert_counts {
        store.alert_totals(&AlertEpoch {
            boot_id: clock::boot_id().to_owned(),
            map,
        })?;
    }
    Ok(())
}

/// Reads the classes of generations that are adopted, undone or finished.
fn require_countable(
    store: &Store,
    pinned: &[Generation],
    running: &BTreeSet<u32>,
) -> Result<(), StartError> {
    for recorded in store.open_generations()? {
        let of_number = |found: &&Generation| found.number() == recorded.number;
        let Some(generation) = pinned.iter().find(of_number) else {
            store.checkpoint_of(recorded.number)?;
            continue;
        };
        store.generation_classes(recorded.number)?;
        let is_unfinished = recorded.state == GenerationState::Built;
        if is_unfinished && running.contains(&generation.program_id()) {
            stored_ruleset(store, recorded.revision)?;
        }
    }
    Ok(())
}
