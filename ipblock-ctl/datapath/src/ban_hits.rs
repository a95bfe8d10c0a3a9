//! Counters of bans: which slot of the kernel's map counts for which prefix.
//!
//! The kernel alone writes the counts. A ban's packets are what its slot has counted since the ban
//! got it; the count at that moment is in a map that only user space uses. A slot gets
//! another ban only after no entry refers to it, and after the packets that were judged by such an
//! entry are counted. So no packet counts for another ban.

use std::{
    collections::HashMap,
    mem,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::{
    maps::{MapData, MapType, PerCpuArray},
    util::nr_cpus,
};
use ipblock_common::{
    BanHits,
    ban::{BanBase, BanHit, SHARED_SLOT, SLOTS_PER_BLOCK},
    limits, names,
};
use ipnet::IpNet;

use super::{
    error::DatapathError,
    mapped_array::MappedArray,
    maps::{MMAPABLE, Shape, map_error, open_map, open_words},
};

/// Returns the required shapes of the maps.
pub(super) fn shapes() -> [Shape; 2] {
    let array = |name, kind, value, entries, flags| Shape {
        name,
        kind,
        key: size_of::<u32>(),
        value,
        entries,
        flags,
    };
    let slots = slots();
    [
        array(
            names::BAN_HITS,
            MapType::PerCpuArray,
            size_of::<BanHits>(),
            slots / SLOTS_PER_BLOCK,
            0,
        ),
        array(
            names::BAN_HIT_BASES,
            MapType::Array,
            size_of::<BanBase>(),
            slots,
            MMAPABLE,
        ),
    ]
}

/// The number of slots on this machine.
fn slots() -> u32 {
    let cpus = nr_cpus().ok().and_then(|cpus| u32::try_from(cpus).ok());
    limits::ban_slots(cpus.unwrap_or(u32::MAX))
}

/// Words in an element of the map of bases: see [`BanBase`].
const WORDS: usize = size_of::<BanBase>() / size_of::<u64>();

/// The packets that a ban dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BanCount {
    /// Packets since the ban began.
    pub packets: u64,
    /// The last hit, for [`Now::hit_time`](super::clock::Now::hit_time); 0 if there was none since
    /// the ban has its slot.
    pub last_hit_ns: u64,
}

/// Slots whose bans are gone. They can be used again after [`settle`](super::settle).
#[derive(Debug)]
pub struct RestingSlots {
    slots: Vec<u32>,
    /// The value of [`Counters::round`] at the time.
    round: u64,
}

/// The maps and the owners of slots.
pub(super) struct Counters {
    hits: PerCpuArray<MapData, BanHits>,
    bases: MappedArray<AtomicU64>,
    slots: HashMap<IpNet, u32>,
    /// The owner of each slot up to the highest that has been used.
    owners: Vec<Option<IpNet>>,
    /// Slots in use before, with no owner and no entry.
    free: Vec<u32>,
    /// Slots whose owners are gone, and whose last packets may not be counted yet.
    resting: Vec<u32>,
    /// Number of slots.
    limit: u32,
    /// Whether the owners are known. Otherwise entries may refer to any slot, and none is given out.
    is_known: bool,
    /// Whether entries of the tables may keep their slots: the counts are those of their bans.
    may_adopt: bool,
    /// How often all owners were forgotten.
    round: u64,
}

impl Counters {
    /// Opens the maps. If they are new, the slots of existing entries mean nothing.
    pub(super) fn open(directory: &Path, are_new: bool) -> Result<Self, DatapathError> {
        let limit = slots();
        let words = index(limit).saturating_mul(WORDS);
        Ok(Self {
            hits: open_map(directory, names::BAN_HITS)?,
            bases: open_words(directory, names::BAN_HIT_BASES, words)?,
            slots: HashMap::new(),
            owners: Vec::new(),
            free: Vec::new(),
            resting: Vec::new(),
            limit,
            is_known: false,
            may_adopt: !are_new,
            round: 0,
        })
    }

    /// Returns the slot of a prefix, [`SHARED_SLOT`] if it has none of its own.
    pub(super) fn slot_of(&self, prefix: IpNet) -> u32 {
        self.slots.get(&prefix).copied().unwrap_or(SHARED_SLOT)
    }

    /// Returns the owner of a slot.
    pub(super) fn owner_of(&self, slot: u32) -> Option<IpNet> {
        *self.owners.get(index(slot))?
    }

    /// Takes over the slots of entries that a previous process wrote. Of entries with the same slot
    /// only the first keeps it.
    pub(super) fn adopt(&mut self, entries: impl Iterator<Item = (IpNet, u32)>) {
        if !mem::take(&mut self.may_adopt) {
            return;
        }
        for (prefix, slot) in entries {
            let is_a_slot = slot != SHARED_SLOT && slot < self.limit;
            if is_a_slot && self.owner_of(slot).is_none() && !self.slots.contains_key(&prefix) {
                self.own(prefix, slot);
            }
        }
    }

    /// Forgets all owners: every ban gets another slot.
    pub(super) fn forget_all(&mut self) {
        self.slots.clear();
        self.owners.clear();
        self.free.clear();
        self.resting.clear();
        self.is_known = false;
        self.may_adopt = false;
        self.round += 1;
    }

    /// Whether the owners are known.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Declares the owners known: entries refer only to slots of their owners, and all other packets
    /// are counted.
    pub(super) fn know(&mut self) {
        let free = (1..self.limit).filter(|slot| self.owner_of(*slot).is_none());
        // The lowest first.
        self.free = free.collect::<Vec<_>>().into_iter().rev().collect();
        self.is_known = true;
    }

    /// Gives a slot to a prefix whose ban has already dropped `packets`, and returns it. Without a
    /// free one, or if the map cannot be read, the ban counts in [`SHARED_SLOT`].
    pub(super) fn take(&mut self, prefix: IpNet, packets: u64) -> u32 {
        if !self.is_known {
            return SHARED_SLOT;
        }
        let Some(&slot) = self.free.last() else {
            return SHARED_SLOT;
        };
        let Ok(before) = self.block(BanHits::block_of(slot)) else {
            return SHARED_SLOT;
        };
        self.set_base(
            slot,
            BanBase {
                before: before.slot(slot).packets,
                carried: packets,
            },
        );
        self.free.pop();
        self.own(prefix, slot);
        slot
    }

    fn own(&mut self, prefix: IpNet, slot: u32) {
        if self.owners.len() <= index(slot) {
            self.owners.resize(index(slot) + 1, None);
        }
        if let Some(owner) = self.owners.get_mut(index(slot)) {
            *owner = Some(prefix);
            self.slots.insert(prefix, slot);
        }
    }

    /// Ends the count of a prefix that has no entry any more.
    pub(super) fn release(&mut self, prefix: IpNet) {
        let Some(slot) = self.slots.remove(&prefix) else {
            return;
        };
        if let Some(owner) = self.owners.get_mut(index(slot)) {
            *owner = None;
        }
        self.resting.push(slot);
    }

    /// Returns every prefix with a slot.
    pub(super) fn owners(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.slots.keys().copied()
    }

    /// Takes out the slots that [`Counters::release`] has collected.
    pub(super) fn resting(&mut self) -> Option<RestingSlots> {
        (!self.resting.is_empty()).then(|| RestingSlots {
            slots: mem::take(&mut self.resting),
            round: self.round,
        })
    }

    /// Makes slots usable again.
    pub(super) fn rested(&mut self, rested: RestingSlots) {
        if rested.round == self.round {
            self.free.extend(rested.slots);
        }
    }

    /// Returns what a ban has dropped, or `None` if it has no slot.
    pub(super) fn count(&self, prefix: IpNet) -> Result<Option<BanCount>, DatapathError> {
        let Some(&slot) = self.slots.get(&prefix) else {
            return Ok(None);
        };
        let block = self.block(BanHits::block_of(slot))?;
        Ok(Some(self.since_base(slot, *block.slot(slot))))
    }

    /// Returns the counts of all owners in one element of the map; `None` behind the last element.
    pub(super) fn counts_of_block(
        &self,
        block: u32,
    ) -> Result<Option<Vec<(IpNet, BanCount)>>, DatapathError> {
        let first = block.saturating_mul(SLOTS_PER_BLOCK);
        let Some(owners) = self
            .owners
            .get(index(first)..)
            .filter(|left| !left.is_empty())
        else {
            return Ok(None);
        };
        let hits = self.block(block)?;
        let owners = (first..first + SLOTS_PER_BLOCK).zip(owners);
        let owned = owners.filter_map(|(slot, owner)| Some((slot, (*owner)?)));
        let counts = owned.map(|(slot, owner)| (owner, self.since_base(slot, *hits.slot(slot))));
        Ok(Some(counts.collect()))
    }

    fn since_base(&self, slot: u32, hit: BanHit) -> BanCount {
        let base = self.base(slot);
        let since = hit.packets.wrapping_sub(base.before);
        BanCount {
            packets: since.wrapping_add(base.carried),
            // Otherwise it is the last hit of an earlier ban.
            last_hit_ns: if since == 0 { 0 } else { hit.last_hit },
        }
    }

    fn base(&self, slot: u32) -> BanBase {
        let words = self.bases.words().iter().skip(index(slot) * WORDS);
        let mut words = words.map(|word| word.load(Ordering::Relaxed));
        let mut next = || words.next().unwrap_or_default();
        BanBase {
            before: next(),
            carried: next(),
        }
    }

    fn set_base(&self, slot: u32, base: BanBase) {
        let words = self.bases.words().iter().skip(index(slot) * WORDS);
        for (word, value) in words.zip([base.before, base.carried]) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Returns what the slots of an element have counted since the map was created, on all CPUs.
    fn block(&self, block: u32) -> Result<BanHits, DatapathError> {
        let cpus = self.hits.get(&block, 0);
        let cpus = cpus.map_err(|error| map_error(names::BAN_HITS, error))?;
        let mut sum = BanHits::default();
        for cpu in cpus.iter() {
            for slot in 0..SLOTS_PER_BLOCK {
                let (sum, hit) = (sum.slot_mut(slot), cpu.slot(slot));
                sum.packets += hit.packets;
                sum.last_hit = sum.last_hit.max(hit.last_hit);
            }
        }
        Ok(sum)
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
