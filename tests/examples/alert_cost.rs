//! The cost of alerts and hits in nanoseconds per packet, by rule and number of sources.
//!
//! `cargo run -p ipblock-tests --example alert_cost [NAME=OBJECT]...`, as root. Each `OBJECT` is
//! the BPF object of another build, whose block and warn rules are measured too. All variants take
//! turns, round after round, so that other load on the machine affects all of them. The table shows
//! medians and quartiles over the rounds, minus the cost of the measurement itself.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{
    env, fs,
    hint::black_box,
    os::fd::{AsFd as _, OwnedFd},
};

use anyhow::Context as _;
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, LpmTrie, RingBuf, lpm_trie::Key},
    programs::Xdp,
};
use ipblock_common::{AlertRate, AlertSettings, Class, ClassVerdict, names};
use ipblock_datapath::object::{BPF_OBJECT, load_program};
use ipblock_tests::{
    many_sources::{self, Runner},
    packet::{Frame, Ipv4, Payload},
};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

const ROUNDS: u32 = 61;
/// Runs of one variant in one round.
const REPEAT: u32 = 250_000;
const SOURCES: [u32; 3] = [1, 1000, 1_000_000];
const SECOND: u64 = 1_000_000_000;

/// A measured variant: a rule that all sources hit.
struct Variant {
    name: String,
    verdict: ClassVerdict,
    /// `None` measures the overhead.
    ebpf: Option<Ebpf>,
    runners: Vec<Runner>,
    /// By number of sources, then by round.
    times: [Vec<f64>; SOURCES.len()],
    _nothing: Option<OwnedFd>,
}

/// How a rule alerts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alert {
    Off,
    On,
    /// With a rate that is permanently used up.
    UsedUp,
}

fn main() -> anyhow::Result<()> {
    stay_on_this_cpu()?;
    let mut variants = vec![Variant::nothing()?];
    for argument in env::args().skip(1) {
        let (name, path) = argument.split_once('=').context("NAME=OBJECT")?;
        let object = fs::read(path).with_context(|| path.to_owned())?;
        for (rule, verdict) in [("block", ClassVerdict::Block), ("warn", ClassVerdict::Warn)] {
            let name = format!("{rule}, {name}");
            variants.push(Variant::new(name, &object, verdict, Alert::Off)?);
        }
    }
    for (name, verdict, alert) in [
        ("block", ClassVerdict::Block, Alert::Off),
        ("block, alert = true", ClassVerdict::Block, Alert::On),
        ("warn without alerts", ClassVerdict::Warn, Alert::Off),
        ("warn", ClassVerdict::Warn, Alert::On),
        ("warn, rate used up", ClassVerdict::Warn, Alert::UsedUp),
    ] {
        variants.push(Variant::new(name.to_owned(), BPF_OBJECT, verdict, alert)?);
    }
    for round in 0..=ROUNDS {
        for (place, sources) in SOURCES.into_iter().enumerate() {
            // Go on where the last round ended.
            let first = many_sources::FIRST_SOURCE + round * REPEAT % sources;
            let packet = Ipv4::from_source(first.into()).with(Payload::udp(5000, 53));
            let frame = Frame::carrying(&packet).padded(60);
            for variant in &mut variants {
                // The first round warms up.
                variant.run(place, &frame, round > 0)?;
            }
        }
    }
    print(&variants);
    Ok(())
}

/// CPUs differ, and each has its own budget of hits.
fn stay_on_this_cpu() -> anyhow::Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &here)?)
}

impl Variant {
    fn nothing() -> anyhow::Result<Self> {
        let nothing = many_sources::nothing()?;
        let runners = SOURCES.map(|sources| Runner::new(nothing.as_fd(), sources));
        Ok(Self {
            name: "measuring itself".to_owned(),
            verdict: ClassVerdict::Block,
            ebpf: None,
            runners: runners.into_iter().collect::<Result<_, _>>()?,
            times: Default::default(),
            _nothing: Some(nothing),
        })
    }

    fn new(
        name: String,
        object: &[u8],
        verdict: ClassVerdict,
        alert: Alert,
    ) -> anyhow::Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(names::CLASSES, 2)
            .map_max_entries(names::CLASS_COUNTS, 2)
            .load(object)?;
        let class = Class {
            verdict: verdict.number(),
            alert: (alert != Alert::Off).into(),
            ..Class::default()
        };
        let map = ebpf.map_mut(names::CLASSES).context(names::CLASSES)?;
        Array::<_, Class>::try_from(map)?.set(1, class, 0)?;
        let map = ebpf.map_mut(names::IPV4).context(names::IPV4)?;
        let key = Key::new(8, [10, 0, 0, 0]);
        LpmTrie::<_, [u8; 4], u32>::try_from(map)?.insert(&key, 1, 0)?;
        if alert != Alert::Off {
            let map = ebpf
                .map_mut(names::ALERT_SETTINGS)
                .context(names::ALERT_SETTINGS)?;
            let settings = AlertSettings {
                window: 60 * SECOND,
                rate: 1000,
            };
            Array::<_, AlertSettings>::try_from(map)?.set(0, settings, 0)?;
        }
        if alert == Alert::UsedUp {
            let map = ebpf.map_mut(names::ALERT_RATE).context(names::ALERT_RATE)?;
            let rate = AlertRate {
                second: u64::MAX / SECOND,
                used: 1000,
            };
            Array::<_, AlertRate>::try_from(map)?.set(0, rate, 0)?;
        }
        let program: &mut Xdp = ebpf
            .program_mut(names::PROGRAM)
            .context(names::PROGRAM)?
            .try_into()?;
        load_program(program)?;
        let fd = program.fd()?.as_fd();
        let runners = SOURCES.map(|sources| Runner::new(fd, sources));
        Ok(Self {
            name,
            verdict,
            runners: runners.into_iter().collect::<Result<_, _>>()?,
            ebpf: Some(ebpf),
            times: Default::default(),
            _nothing: None,
        })
    }

    /// Runs a round for one number of sources.
    fn run(&mut self, place: usize, frame: &Frame, counts: bool) -> anyhow::Result<()> {
        let verdict = if self.verdict == ClassVerdict::Block {
            1
        } else {
            2
        };
        let (Some(runner), Some(times)) = (self.runners.get(place), self.times.get_mut(place))
        else {
            return Ok(());
        };
        let time = runner.run(frame.bytes(), REPEAT, verdict)?;
        if counts {
            times.push(time);
        }
        // As the daemon does it.
        if let Some(map) = self
            .ebpf
            .as_mut()
            .and_then(|ebpf| ebpf.map_mut(names::ALERT_EVENTS))
        {
            let mut events = RingBuf::try_from(map)?;
            while let Some(event) = events.next() {
                black_box(&*event);
            }
        }
        Ok(())
    }

    /// Returns nanoseconds per packet, minus the overhead, by round.
    fn net(&self, place: usize, nothing: &Self) -> Vec<f64> {
        let own = self.times.get(place).into_iter().flatten();
        let others = nothing.times.get(place).into_iter().flatten();
        own.zip(others).map(|(own, other)| own - other).collect()
    }
}

/// The lower quartile, the median and the upper quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    [1, 2, 3].map(|quarter| values.get(last * quarter / 4).copied().unwrap_or(f64::NAN))
}

/// Prints one row per variant: nanoseconds, and the ratio to a block rule in the same round.
fn print(variants: &[Variant]) {
    let Some((nothing, measured)) = variants.split_first() else {
        return;
    };
    let Some(block) = measured.iter().find(|variant| variant.name == "block") else {
        return;
    };
    println!("| rule | 1 source | 1,000 sources | 1,000,000 sources |");
    println!("| --- | --- | --- | --- |");
    for variant in measured {
        let cells = (0..SOURCES.len()).map(|place| {
            let net = variant.net(place, nothing);
            let base = block.net(place, nothing);
            let ratios = net.iter().zip(base).map(|(net, base)| net / base).collect();
            let [low, middle, high] = quartiles(net);
            let [_, ratio, _] = quartiles(ratios);
            format!("{middle:.0} ({low:.0}-{high:.0}), x{ratio:.2}")
        });
        println!(
            "| {} | {} |",
            variant.name,
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    let itself = nothing
        .times
        .iter()
        .map(|times| quartiles(times.clone())[1]);
    let itself: Vec<String> = itself.map(|time| format!("{time:.0}")).collect();
    println!("\nMeasuring itself takes {} ns.", itself.join(", "));
}
