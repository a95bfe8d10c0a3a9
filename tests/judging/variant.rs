//! The compared programs, each behind a program that changes the source.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, PerCpuArray},
    programs::Xdp,
};
use ipblock_common::{Class, ClassVerdict, Outcome, Totals, names};
use ipblock_datapath::{
    Generation, GenerationPlan, Lookup, PinDirectory, SharedMaps, kernel_log,
    object::{BPF_OBJECT, load_program},
};
use ipblock_policy::compile::{CompiledZone, DEFAULT_CAPACITY};
use ipblock_tests::{
    Bpffs, Privileged, bpf,
    source_pool::{Front, SourcePool},
};
use ipnet::IpNet;

use super::traffic::Traffic;

/// A measured program, and the counter of its packets.
pub(crate) struct Variant {
    program: OwnedFd,
    counts: Counts,
}

enum Counts {
    /// A program that counts nothing.
    Nobody,
    Generation(Box<Generation>),
    Object(Box<Ebpf>),
}

/// The place for building generations: its own bpffs, which is dropped last.
pub(crate) struct Workshop {
    pub(crate) pins: PinDirectory,
    shared: SharedMaps,
    last: u64,
    bpffs: Bpffs,
}

impl Workshop {
    pub(crate) fn new(root: Privileged) -> Result<Self> {
        let bpffs = Bpffs::mount(root)?;
        let pins = PinDirectory::create(bpffs.path())?;
        Ok(Self {
            shared: SharedMaps::open_or_create(&pins)?,
            pins,
            last: 0,
            bpffs,
        })
    }

    /// Returns a directory for other pins.
    pub(crate) fn directory(&self) -> &Path {
        self.bpffs.path()
    }

    /// Builds and pins a generation as the daemon does.
    pub(crate) fn build(&mut self, zone: &CompiledZone, lookup: Lookup) -> Result<Generation> {
        self.last += 1;
        let plan = GenerationPlan {
            number: self.last,
            store_id: [0; 16],
            zone,
            capacity: DEFAULT_CAPACITY,
            log_level: kernel_log::Level::Off,
            lookup,
        };
        Ok(Generation::build(&self.pins, &self.shared.ids, &plan)?)
    }

    /// The program of a generation that was built here.
    pub(crate) fn program(&self, generation: &Generation) -> Result<OwnedFd> {
        let directory = self.pins.generation(generation.number());
        bpf::open_pin(&directory.join("program"))
    }

    /// Removes everything that was built; the kernel frees what is not open.
    pub(crate) fn clear(&self) -> Result<()> {
        for number in self.pins.generation_numbers()? {
            self.pins.remove_generation(number)?;
        }
        Ok(())
    }
}

impl Variant {
    /// The overhead: a program that returns the verdict at once.
    pub(crate) fn empty(traffic: Traffic) -> Result<Self> {
        Ok(Self {
            program: bpf::always(traffic.verdict().try_into()?)?,
            counts: Counts::Nobody,
        })
    }

    pub(crate) fn generation(
        workshop: &mut Workshop,
        zone: &CompiledZone,
        lookup: Lookup,
    ) -> Result<Self> {
        let generation = workshop.build(zone, lookup)?;
        Ok(Self {
            program: workshop.program(&generation)?,
            counts: Counts::Generation(Box::new(generation)),
        })
    }

    /// ipblock's program with a plain hash in place of the tries: the key of a full-length prefix is
    /// the same in both.
    pub(crate) fn hash(directory: &Path, hosts: &[IpNet]) -> Result<Self> {
        let (name, key) = match hosts.first() {
            Some(IpNet::V6(_)) => (names::IPV6, 20),
            _ => (names::IPV4, 8),
        };
        let map = bpf::create_map(bpf::HASH, key, 4, hosts.len())?;
        let class = 1_u32.to_ne_bytes();
        for host in hosts {
            bpf::update(map.as_fd(), &hash_key(*host), &class)?;
        }
        let pin = directory.join(name);
        bpf::pin(map.as_fd(), &pin)?;
        let mut ebpf = EbpfLoader::new()
            .map_pin_path(name, pin.as_path())
            .map_max_entries(names::CLASSES, 2)
            .map_max_entries(names::CLASS_COUNTS, 2)
            .load(BPF_OBJECT)?;
        std::fs::remove_file(&pin)?;
        let block = Class {
            verdict: ClassVerdict::Block.number(),
            ..Class::default()
        };
        let classes = ebpf.map_mut(names::CLASSES).context(names::CLASSES)?;
        Array::<_, Class>::try_from(classes)?.set(1, block, 0)?;
        let program: &mut Xdp = ebpf
            .program_mut(names::PROGRAM)
            .context(names::PROGRAM)?
            .try_into()?;
        load_program(program)?;
        Ok(Self {
            program: program.fd()?.as_fd().try_clone_to_owned()?,
            counts: Counts::Object(Box::new(ebpf)),
        })
    }

    /// The program behind one that draws from the pool.
    pub(crate) fn front(&self, pool: &Arc<SourcePool>) -> Result<Front> {
        Front::new(self.program.as_fd(), pool)
    }

    /// Runs the frame `repeat` times, after half as many unmeasured runs: the programs take turns,
    /// so each finds the caches of the previous one. Asserts that every packet was judged
    /// correctly; returns nanoseconds per packet.
    pub(crate) fn run(
        &self,
        front: &Front,
        frame: &[u8],
        runs: u32,
        traffic: Traffic,
    ) -> Result<f64> {
        let before = self.judged(traffic)?;
        let warm_up = runs / 2;
        front.run(frame, warm_up, traffic.verdict())?;
        let time = front.run(frame, runs, traffic.verdict())?;
        let (right, all) = self.judged(traffic)?;
        if !matches!(self.counts, Counts::Nobody) {
            let counted = (right - before.0, all - before.1);
            let runs = u64::from(warm_up + runs);
            ensure!(
                counted == (runs, runs),
                "of {runs} packets {} were counted, {} of them as they should be",
                counted.1,
                counted.0
            );
        }
        Ok(time)
    }

    /// Returns how many packets were judged correctly, and their total number.
    fn judged(&self, traffic: Traffic) -> Result<(u64, u64)> {
        let totals = match &self.counts {
            Counts::Nobody => Totals::default(),
            Counts::Generation(generation) => generation.counts()?.totals,
            Counts::Object(ebpf) => {
                let map = ebpf.map(names::TOTALS).context(names::TOTALS)?;
                let mut totals = Totals::default();
                for of_cpu in PerCpuArray::<_, Totals>::try_from(map)?.get(&0, 0)?.iter() {
                    totals += *of_cpu;
                }
                totals
            }
        };
        Ok(judged(&totals, traffic))
    }
}

/// Returns the packets of these totals that were judged correctly, and all.
pub(crate) fn judged(totals: &Totals, traffic: Traffic) -> (u64, u64) {
    let right = match traffic {
        Traffic::Clean => Outcome::Passed,
        Traffic::Attack => Outcome::Dropped,
    };
    let all = totals.iter().map(|(_, count)| count.packets).sum();
    (totals[right].packets, all)
}

/// Prefix length in the order of this machine, then the address.
fn hash_key(host: IpNet) -> Vec<u8> {
    let mut key = u32::from(host.prefix_len()).to_ne_bytes().to_vec();
    match host {
        IpNet::V4(net) => key.extend(net.addr().octets()),
        IpNet::V6(net) => key.extend(net.addr().octets()),
    }
    key
}
