//! Nanoseconds of CPU for a whole frame: sent by a veth's peer, received, filtered, delivered.
//!
//! Each filter has its own pair of namespaces, so that all of them take turns. The kernel creates
//! the frames (live frames of `BPF_PROG_TEST_RUN`), which leave by `XDP_TX`; the receiving side
//! runs in softirqs of the same CPU. The arrivals at the interface and at its UDP socket are
//! asserted.

use std::{collections::BTreeMap, fs, net::UdpSocket, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use ipblock_policy::{
    ZoneName,
    compile::{CompiledZone, compile},
};
use ipblock_tests::{
    Privileged, VethOptions, VethPair, bpf,
    packet::{Frame, Ipv4, Payload},
    source_pool::{PoolSender, SOURCES, SourcePool},
    wait_for,
};
use ipnet::IpNet;
use jiff::Timestamp;
use nix::{
    net::if_::if_nametoindex,
    sys::socket::{setsockopt, sockopt},
};

use crate::{
    judging::{
        Family,
        case::Effort,
        statistics::Quartiles,
        traffic::Traffic,
        variant::Workshop,
        workload::{Workload, listed},
    },
    path_filters::{Filter, InForce},
    report::Passage,
    say,
};

const PORT: u16 = 5353;
/// For frames that wait in the receiving queue when the sender has returned.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A filter on its own pair, with senders for each traffic. Fields are dropped in this order.
struct Path {
    filter: Filter,
    in_force: InForce,
    frame: Frame,
    senders: Vec<(Traffic, PoolSender)>,
    /// Frames go to this socket, which is full most of the time.
    _socket: UdpSocket,
    pair: VethPair,
}

/// The counters of a namespace.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    /// At the interface.
    received: u64,
    /// After every filter.
    delivered: u64,
}

pub(crate) fn measure(root: Privileged, effort: Effort, cpu: usize) -> Result<Vec<Passage>> {
    let Some(ruleset) = Workload::Hosts100k.ruleset(Family::Ipv4)? else {
        return Ok(Vec::new());
    };
    let zone = compile(&ruleset, &ZoneName::default(), Timestamp::UNIX_EPOCH)?;
    let hosts = listed(&ruleset);
    let mut workshop = Workshop::new(root)?;
    let mut paths = Vec::new();
    for filter in Filter::ALL {
        say(&format!("whole path, {}", filter.name()));
        if let Some(why) = filter.missing() {
            say(&format!("left out: {why}"));
            continue;
        }
        match Path::lay(root, &mut workshop, filter, &zone, &hosts) {
            // Its kernel modules may be missing.
            Err(error) if filter.is_of_others() => say(&format!("left out: {error:#}")),
            path => paths.push(path.with_context(|| filter.name())?),
        }
    }
    say("whole path, in turns");
    let softirqs = Softirqs::of(cpu)?;
    let mut times: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    // The first round warms up.
    for round in 0..=effort.rounds {
        for (place, path) in paths.iter().enumerate() {
            for (kind, (traffic, sender)) in path.senders.iter().enumerate() {
                let time = path
                    .send(*traffic, sender, effort.runs, &softirqs)
                    .with_context(|| format!("{}, {}", path.filter.name(), traffic.name()))?;
                if round > 0 {
                    times.entry((place, kind)).or_default().push(time);
                }
            }
        }
    }
    let mut passages = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        for (kind, (traffic, _)) in path.senders.iter().enumerate() {
            passages.push(Passage {
                filter: path.filter.name(),
                traffic: *traffic,
                ns: Quartiles::of(times.get(&(place, kind)).map_or(&[], Vec::as_slice)),
            });
        }
    }
    Ok(passages)
}

impl Path {
    fn lay(
        root: Privileged,
        workshop: &mut Workshop,
        filter: Filter,
        zone: &CompiledZone,
        hosts: &[IpNet],
    ) -> Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let host = &pair.host;
        // Frames that are redirected to a veth are taken only by one that has NAPI, as with XDP.
        host.enable_gro()?;
        let address = (host.ipv4, PORT);
        let socket = host.netns.enter(|| {
            for conf in ["all", &host.interface] {
                fs::write(format!("/proc/sys/net/ipv4/conf/{conf}/rp_filter"), "0")?;
            }
            let socket = UdpSocket::bind(address)?;
            setsockopt(&socket, sockopt::RcvBuf, &0)?;
            anyhow::Ok(socket)
        })?;
        let in_force = filter.put_in_force(host, workshop, zone, hosts)?;
        let payload = Payload::udp(5000, PORT);
        let packet = Ipv4::from("192.0.2.2").to(host.ipv4);
        let frame = Frame::carrying(&packet.with(payload))
            .between(pair.peer.mac, host.mac)
            .padded(60);
        let mut senders = Vec::new();
        for traffic in filter.traffic() {
            let sources = traffic.sources(Family::Ipv4, zone, hosts, SOURCES)?;
            let pool = Arc::new(SourcePool::new(frame.bytes(), &sources)?);
            senders.push((*traffic, PoolSender::new(&pool)?));
        }
        Ok(Self {
            filter,
            in_force,
            frame,
            senders,
            _socket: socket,
            pair,
        })
    }

    /// Sends `count` frames and asserts their fate; returns nanoseconds per frame.
    fn send(
        &self,
        traffic: Traffic,
        sender: &PoolSender,
        count: u32,
        softirqs: &Softirqs,
    ) -> Result<f64> {
        let judged_before = self.in_force.judged(traffic)?;
        let before = self.arrived()?;
        let softirqs_before = softirqs.cpu_time()?;
        let peer = &self.pair.peer;
        let own = peer.netns.enter(|| {
            let interface = if_nametoindex(peer.interface.as_str())?;
            let before = bpf::cpu_time()?;
            sender.send(self.frame.bytes(), interface, count)?;
            anyhow::Ok(bpf::cpu_time()? - before)
        })?;
        let mut arrived = before;
        let wanted = u64::from(count);
        let delivered = if self.filter.delivers(traffic) {
            wanted
        } else {
            0
        };
        let found = |arrived: Arrived| {
            (
                arrived.received - before.received,
                arrived.delivered - before.delivered,
            )
        };
        wait_for(ARRIVAL, "all frames", || {
            arrived = self.arrived().ok()?;
            let found = found(arrived);
            (found.0 >= wanted && found.1 >= delivered).then_some(())
        })
        .with_context(|| format!("{count} were sent: {before:?}, {arrived:?}"))?;
        let time = own + softirqs.cpu_time()? - softirqs_before;
        let found = found(arrived);
        ensure!(
            found == (wanted, delivered),
            "{count} frames were sent, {} received and {} delivered, not {delivered}",
            found.0,
            found.1
        );
        let judged = self.in_force.judged(traffic)? - judged_before;
        ensure!(
            self.filter != Filter::Ipblock || judged == wanted,
            "{judged} of {count} packets were counted as they should be"
        );
        Ok(time / f64::from(count))
    }

    fn arrived(&self) -> Result<Arrived> {
        let host = &self.pair.host;
        host.netns.enter(|| {
            let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
            let prefix = format!("{}:", host.interface);
            let received = devices
                .lines()
                .find_map(|line| line.trim_start().strip_prefix(&prefix))
                .and_then(|counts| counts.split_whitespace().nth(1))
                .context("no such interface")?;
            let snmp = fs::read_to_string("/proc/thread-self/net/snmp")?;
            // A line of names, then a line of numbers.
            let mut ip = snmp.lines().filter(|line| line.starts_with("Ip:"));
            let (names, numbers) = (ip.next().unwrap_or(""), ip.next().unwrap_or(""));
            let delivered = names
                .split_whitespace()
                .zip(numbers.split_whitespace())
                .find_map(|(name, number)| (name == "InDelivers").then_some(number))
                .context("no InDelivers")?;
            anyhow::Ok(Arrived {
                received: received.parse()?,
                delivered: delivered.parse()?,
            })
        })
    }
}

/// The thread that handles a CPU's softirqs if there are many.
struct Softirqs {
    statistics: String,
}

impl Softirqs {
    fn of(cpu: usize) -> Result<Self> {
        let name = format!("ksoftirqd/{cpu}\n");
        for process in fs::read_dir("/proc")? {
            let path = process?.path();
            if fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm == name) {
                let statistics = path.join("schedstat").display().to_string();
                return Ok(Self { statistics });
            }
        }
        anyhow::bail!("no thread {}", name.trim_end())
    }

    /// Returns its CPU time so far, in nanoseconds.
    fn cpu_time(&self) -> Result<f64> {
        let text = fs::read_to_string(&self.statistics)?;
        let first = text.split_whitespace().next().context("no time")?;
        Ok(first.parse()?)
    }
}
