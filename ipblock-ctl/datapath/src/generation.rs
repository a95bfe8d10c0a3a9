//! Generations: a program with its own maps, built, filled and pinned before it is attached.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, PerCpuArray},
    programs::Xdp,
};
use ipblock_common::{
    ABI_VERSION, Class, ClassCount, ClassId, Count, GenerationMeta, Totals, class::NO_CLASS, names,
};
use ipblock_fault::{Step, reach};
use ipblock_policy::{DefaultVerdict, MalformedPolicy, compile::CompiledZone};

use super::{
    clock::Now,
    error::DatapathError,
    held_pin::{self, HeldPin, PutRight},
    kernel_log,
    lookup_maps::{self, Lookup, LookupMaps},
    maps::{map_error, no_such_map, open_map},
    object::{self, BPF_OBJECT, object_sha256},
    pins::{META, PinDirectory},
    shared_maps::{self, SharedMapIds},
    sys,
};

/// Pin of the program.
const PROGRAM: &str = "program";

/// The input of a build.
#[derive(Debug)]
pub struct GenerationPlan<'a> {
    /// Unique number within the state directory.
    pub number: u64,
    /// Identity of the state store.
    pub store_id: [u8; 16],
    /// The zone that it judges by.
    pub zone: &'a CompiledZone,
    /// Maximum of entries, both families together.
    pub capacity: u32,
    /// Diagnostics that the program writes.
    pub log_level: kernel_log::Level,
    /// Whether entries are in tables or tries.
    pub lookup: Lookup,
}

/// A pinned generation, opened.
pub struct Generation {
    meta: GenerationMeta,
    program: OwnedFd,
    program_id: u32,
    /// Ids of the maps that the program uses.
    map_ids: Vec<u32>,
    /// Its pins, [`META`] last.
    pins: Vec<HeldPin>,
    /// `None` for another ABI, of which only the layout of the counters is known, or if a map is
    /// missing.
    lookup: Option<LookupMaps>,
    class_counts: PerCpuArray<MapData, ClassCount>,
    totals: PerCpuArray<MapData, Totals>,
}

/// The counts of a generation since it was built, summed over CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Indexed by class id.
    pub classes: Vec<ClassCount>,
    /// Per outcome.
    pub totals: Totals,
}

impl KernelCounts {
    /// Returns what bans dropped: the element of `NO_CLASS`.
    #[must_use]
    pub fn bans(&self) -> Count {
        let of_no_class = self.classes.get(NO_CLASS as usize);
        of_no_class.map_or_else(Count::default, |counted| counted.count)
    }
}

impl Generation {
    /// Loads, fills and pins a generation that uses these shared maps. Attaches nothing; leaves
    /// nothing behind on an error.
    pub fn build(
        pins: &PinDirectory,
        shared: &SharedMapIds,
        plan: &GenerationPlan<'_>,
    ) -> Result<Self, DatapathError> {
        let entries = plan.zone.entry_count();
        if entries > plan.capacity as usize {
            return Err(DatapathError::Capacity {
                entries,
                capacity: plan.capacity,
            });
        }
        let directory = pins.generation(plan.number);
        let built = Self::load_and_pin(pins, &directory, plan).and_then(|built| {
            // aya uses the pinned maps, and creates its own map where there is no pin.
            if built.uses(shared) {
                return Ok(built);
            }
            Err(DatapathError::StrangePin {
                path: pins.shared(),
                problem: "it holds other maps than those that were opened".to_owned(),
            })
        });
        if built.is_err() {
            // The cause is more important. The next start removes an unfinished generation.
            pins.remove_generation(plan.number).ok();
        }
        built
    }

    fn load_and_pin(
        pins: &PinDirectory,
        directory: &Path,
        plan: &GenerationPlan<'_>,
    ) -> Result<Self, DatapathError> {
        let seed = RandomState::new().hash_one(plan.number);
        let content = lookup_maps::Content::of(plan.zone, plan.lookup, seed);
        let mut object = load(pins, plan, &content)?;
        reach(Step::GenerationLoaded);
        content.fill(&mut object)?;
        fill_classes(&mut object, plan.zone)?;
        reach(Step::GenerationFilled);

        let pin_failed =
            |error: aya::pin::PinError| DatapathError::pin(directory, std::io::Error::other(error));
        fs::create_dir(directory).map_err(|source| DatapathError::pin(directory, source))?;
        content.pin_layout(directory)?;
        reach(Step::GenerationMapPinned);
        for name in MAP_NAMES.into_iter().chain(lookup_maps::names()) {
            let map = object.map(name).ok_or_else(|| no_such_map(name))?;
            let path = directory.join(name);
            map.pin(&path).map_err(pin_failed)?;
            // The maps must not change from now on, not even by root; the program still counts.
            let frozen = sys::open_pin(&path).and_then(sys::freeze);
            frozen.map_err(|source| DatapathError::pin(path, source))?;
        }
        program_of(&mut object)?
            .pin(directory.join(PROGRAM))
            .map_err(pin_failed)?;
        reach(Step::GenerationProgramPinned);
        write_meta(directory, plan)?;
        reach(Step::GenerationPinned);
        Self::open(directory)
    }

    /// Opens a pinned generation, or returns `None` if it was never finished.
    pub fn open_pinned(pins: &PinDirectory, number: u64) -> Result<Option<Self>, DatapathError> {
        let directory = pins.generation(number);
        if !directory.join(META).exists() {
            return Ok(None);
        }
        Self::open(&directory).map(Some)
    }

    fn open(directory: &Path) -> Result<Self, DatapathError> {
        let meta: Array<_, GenerationMeta> = open_map(directory, META)?;
        let meta = meta.get(&0, 0).map_err(|error| map_error(META, error))?;
        let path = directory.join(PROGRAM);
        let pin_failed = |source| DatapathError::pin(path.clone(), source);
        let program = sys::open_pin(&path).map_err(pin_failed)?;
        let (program_id, map_ids) = sys::program_and_maps(&program).map_err(pin_failed)?;
        let pins = HeldPin::open_all(directory, pin_names())?;
        let is_of_program = |name: &str| {
            let mut pins = pins.iter();
            pins.any(|pin| pin.name() == name && map_ids.contains(&pin.id()))
        };
        // The counters of another map would not belong to this program.
        if let Some(name) = MAP_NAMES.into_iter().find(|name| !is_of_program(name)) {
            return Err(not_of_program(directory.join(name)));
        }
        let is_readable = meta.abi == ABI_VERSION && lookup_maps::names().all(is_of_program);
        let lookup = is_readable
            .then(|| LookupMaps::open(directory).ok())
            .flatten();
        Ok(Self {
            meta,
            program,
            program_id,
            map_ids,
            pins,
            lookup,
            class_counts: open_map(directory, names::CLASS_COUNTS)?,
            totals: open_map(directory, names::TOTALS)?,
        })
    }

    /// Returns the generation's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.meta.number
    }

    /// Returns the generation's metadata.
    #[must_use]
    pub fn meta(&self) -> &GenerationMeta {
        &self.meta
    }

    /// Whether its program uses these shared maps.
    #[must_use]
    pub fn uses(&self, shared: &SharedMapIds) -> bool {
        shared.0.iter().all(|id| self.map_ids.contains(id))
    }

    /// Whether all its maps are known: they have this ABI, and the pins are the maps that the
    /// program uses. Of other generations only the counters are known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lookup.is_some()
    }

    /// Whether this build, with this log level and these shared maps, would load the same program
    /// with the same ABI.
    #[must_use]
    pub fn is_current(&self, log_level: kernel_log::Level, shared: &SharedMapIds) -> bool {
        self.is_whole()
            && self.uses(shared)
            && self.meta.object_sha256 == object_sha256()
            && self.meta.log_level == u32::from(log_level.number())
    }

    /// Returns the kernel's id of the program.
    #[must_use]
    pub fn program_id(&self) -> u32 {
        self.program_id
    }

    /// Restores pins that were removed or replaced.
    #[must_use]
    pub fn put_pins_right(&self) -> PutRight {
        held_pin::put_all_right(&self.pins)
    }

    pub(super) fn program_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Reads all counters. They are final once no link runs the program and [`super::settle`] has
    /// returned.
    pub fn counts(&self) -> Result<KernelCounts, DatapathError> {
        let mut counts = KernelCounts::default();
        for per_cpu in self.class_counts.iter() {
            let per_cpu = per_cpu.map_err(|error| map_error(names::CLASS_COUNTS, error))?;
            let mut sum = ClassCount::default();
            for count in per_cpu.iter() {
                sum.count += count.count;
                sum.last_hit = sum.last_hit.max(count.last_hit);
            }
            counts.classes.push(sum);
        }
        let per_cpu = self
            .totals
            .get(&0, 0)
            .map_err(|error| map_error(names::TOTALS, error))?;
        for totals in per_cpu.iter() {
            counts.totals += *totals;
        }
        Ok(counts)
    }

    /// Returns the class in force at `now` for an address, and follows expiry as the program does.
    /// `None` if no class covers it, and for a generation of another ABI.
    pub fn class_in_force(
        &self,
        address: IpAddr,
        now: &Now,
    ) -> Result<Option<(ClassId, Class)>, DatapathError> {
        match &self.lookup {
            Some(maps) => maps.class_in_force(address, now.boot_ns),
            None => Ok(None),
        }
    }
}

/// Returns every pin of a generation of this ABI. [`META`] is last: it means that the others exist.
fn pin_names() -> impl Iterator<Item = &'static str> {
    let maps = MAP_NAMES.into_iter().chain(lookup_maps::names());
    maps.chain([lookup_maps::LAYOUT, PROGRAM, META])
}

fn not_of_program(path: PathBuf) -> DatapathError {
    DatapathError::StrangePin {
        path,
        problem: "it is not the map that the program uses".to_owned(),
    }
}

/// Maps that are pinned under their own names.
const MAP_NAMES: [&str; 2] = [names::CLASS_COUNTS, names::TOTALS];

/// Creates the maps in the sizes that the zone needs, opens the pinned shared maps, and loads the
/// program.
fn load(
    pins: &PinDirectory,
    plan: &GenerationPlan<'_>,
    content: &lookup_maps::Content<'_>,
) -> Result<Ebpf, DatapathError> {
    let zone = plan.zone;
    let classes = u32::try_from(zone.classes.len().max(1)).unwrap_or(u32::MAX);
    let default_drop = u8::from(zone.default == DefaultVerdict::Drop);
    let malformed_drop = u8::from(zone.malformed == MalformedPolicy::Drop);
    let log_level = plan.log_level.number();
    let mut loader = EbpfLoader::new();
    for name in shared_maps::names() {
        loader.map_pin_path(name, pins.shared().join(name));
    }
    content.lay_out(&mut loader);
    let mut object = loader
        // The program has no relocations against kernel types, and to parse the kernel's types
        // takes long.
        .btf(None)
        .map_max_entries(names::CLASSES, classes)
        .map_max_entries(names::CLASS_COUNTS, classes)
        .override_global(names::GENERATION, &plan.number, true)
        .override_global(names::DEFAULT_DROP, &default_drop, true)
        .override_global(names::MALFORMED_DROP, &malformed_drop, true)
        .override_global(kernel_log::LEVEL, &log_level, true)
        .load(BPF_OBJECT)
        .map_err(|error| DatapathError::Load(Box::new(error)))?;
    object::load_program(program_of(&mut object)?)?;
    Ok(object)
}

fn program_of(object: &mut Ebpf) -> Result<&mut Xdp, DatapathError> {
    object
        .program_mut(names::PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| no_such_map(names::PROGRAM))
}

fn fill_classes(object: &mut Ebpf, zone: &CompiledZone) -> Result<(), DatapathError> {
    let failed = |error| map_error(names::CLASSES, error);
    let now = Now::read();
    let map = object
        .map_mut(names::CLASSES)
        .ok_or_else(|| no_such_map(names::CLASSES))?;
    let mut classes = Array::<_, Class>::try_from(map).map_err(failed)?;
    for (id, class) in (0..).zip(zone.classes.iter()) {
        let value = Class {
            valid_until: class.valid_until.map_or(0, |end| now.deadline_ns(end)),
            next: class.next,
            verdict: class.verdict.number(),
            alert: class.alert.into(),
            ..Class::default()
        };
        classes.set(id, value, 0).map_err(failed)?;
    }
    Ok(())
}

fn write_meta(directory: &Path, plan: &GenerationPlan<'_>) -> Result<(), DatapathError> {
    let failed = |error| map_error(META, error);
    let mut map = Array::<_, GenerationMeta>::create(1, 0).map_err(failed)?;
    let meta = GenerationMeta {
        abi: ABI_VERSION,
        log_level: plan.log_level.number().into(),
        number: plan.number,
        object_sha256: object_sha256(),
        store_id: plan.store_id,
    };
    map.set(0, meta, 0).map_err(failed)?;
    let path = directory.join(META);
    map.pin(&path)
        .map_err(|error| DatapathError::pin(path, std::io::Error::other(error)))
}
