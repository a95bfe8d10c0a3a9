//! Two zones under traffic in which every packet is accounted for.

use std::{collections::BTreeSet, fs, os::unix::process::ExitStatusExt as _, sync::Arc};

use anyhow::Context as _;
use ipblock_api::types::{InterfaceState, Status};
use ipblock_common::ABI_VERSION;
use ipblock_tests::{
    DEADLINE, Daemon, DaemonBuilder, FrameReceiver, Privileged, VethOptions, VethPair, wait_for,
};
use nix::sys::signal::Signal;

use crate::{
    answers::{
        apply, check, counters, judged, let_through, live_generations, pinned_generations,
        program_on, rule, status,
    },
    flood::Flood,
    scenario::marked,
};

/// A zone with its interface, and a sender without pauses.
struct Lane {
    zone: &'static str,
    pair: VethPair,
    receiver: FrameReceiver,
    flood: Flood,
}

/// A daemon with two zones, each under a flood. Fields are dropped in this order.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    lanes: Vec<Lane>,
    /// Maximum number of changes of the blocked source. Each may judge the two shifting sources of
    /// one round differently.
    shifts: u64,
    /// Number of generated rulesets.
    made: u64,
    /// Frames that were sent to other interfaces, from the first blocked and from the unblocked
    /// source.
    besides: [u64; 2],
}

/// One more pair between the same namespaces.
fn join(pair: &VethPair, number: u8) -> anyhow::Result<VethPair> {
    let [host, peer] = [&pair.host, &pair.peer].map(|end| Arc::clone(&end.netns));
    let options = VethOptions {
        number,
        ..VethOptions::default()
    };
    VethPair::between(host, peer, options)
}

/// The fate of the flood.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Packets that were sent.
    pub(crate) packets: u64,
    /// Packets that had to be dropped throughout.
    pub(crate) blocked: u64,
}

const BLOCKED: [&str; 2] = ["203.0.113.7", "2001:db8:b::7"];
const EXCEPTED: &str = "203.0.113.9";
const FREE: &str = "198.51.100.7";
const BANNED: &str = "198.51.100.200";
/// Any ruleset of a stage blocks exactly one of them, depending on its side.
const SHIFTING: [&str; 2] = ["203.0.113.70", "203.0.113.71"];

/// Sources by marker.
const SOURCES: [(&str, u64); 7] = [
    (BLOCKED[0], 1),
    (BLOCKED[1], 2),
    (EXCEPTED, 3),
    (FREE, 4),
    (SHIFTING[0], 5),
    (SHIFTING[1], 6),
    (BANNED, 7),
];

impl Stage {
    /// Starts with a first ruleset in force and both floods running.
    pub(crate) fn new(root: Privileged) -> anyhow::Result<Self> {
        Self::with(root, |daemon| daemon)
    }

    /// As [`Stage::new`], with a differently configured daemon.
    pub(crate) fn with(
        root: Privileged,
        with: impl FnOnce(DaemonBuilder) -> DaemonBuilder,
    ) -> anyhow::Result<Self> {
        let first = VethPair::new(root, VethOptions::default())?;
        let second = join(&first, 1)?;
        let builder = Daemon::in_netns(root, &first.host.netns)
            .interface(format!("{}=native", first.host.interface));
        let daemon = with(builder).start()?;
        let mut stage = Self {
            daemon,
            lanes: Vec::new(),
            shifts: 0,
            made: 0,
            besides: [0; 2],
        };
        let ruleset = stage.next_ruleset(0);
        apply(&stage.daemon, &ruleset)?;
        let second_interface = &second.host.interface;
        let attach = [
            "attach",
            second_interface,
            "--mode",
            "native",
            "--zone",
            "dmz",
        ];
        stage.daemon.ctl(attach)?.ok()?;
        let ban = ["ban", BANNED, "--permanent", "--reason", "all the while"];
        stage.daemon.ctl(ban)?.ok()?;
        let frames: Vec<_> = SOURCES
            .map(|(source, marker)| marked(source, marker))
            .into();
        for (zone, pair) in [("default", first), ("dmz", second)] {
            stage.lanes.push(Lane {
                zone,
                receiver: pair.receiver()?,
                flood: Flood::start(&pair, &frames)?,
                pair,
            });
        }
        Ok(stage)
    }

    /// The veth pair of the zone `default`.
    pub(crate) fn pair(&self) -> &VethPair {
        &self.lanes[0].pair
    }

    /// Returns another ruleset that blocks this side's shifting source and has unique classes.
    pub(crate) fn next_ruleset(&mut self, side: usize) -> String {
        self.made += 1;
        format!(
            r#"
            [zone.dmz]
            default = "pass"

            [[rule]]
            name = "number-{number}"
            action = "warn"
            match = ["192.0.2.{host}/32", "192.0.2.192/26"]

            [[rule]]
            name = "abuse"
            action = "block"
            match = ["203.0.113.0/26", "2001:db8:b::/48"]
            except = ["{EXCEPTED}"]

            [[rule]]
            name = "shifting"
            action = "block"
            match = ["{shifting}"]
            "#,
            number = self.made,
            host = 128 + self.made % 64,
            shifting = SHIFTING[side],
        )
    }

    /// Returns another ruleset that blocks the other side's, with at most this number of changes of
    /// side.
    pub(crate) fn other_ruleset(&mut self, side: usize, shifts: u64) -> String {
        self.may_shift(shifts);
        self.next_ruleset(1 - side)
    }

    /// Returns the side whose shifting source is blocked, as in the kernel.
    pub(crate) fn side(&self) -> anyhow::Result<usize> {
        let answers = check(&self.daemon, &SHIFTING)?;
        let blocked: BTreeSet<&str> = answers
            .iter()
            .filter(|answer| !answer.rules.is_empty())
            .map(|answer| answer.address.as_str())
            .collect();
        let sides = SHIFTING.iter().position(|source| blocked.contains(source));
        assert_eq!(blocked.len(), 1, "{answers:?}");
        sides.context("no side is blocked")
    }

    /// Records at most this number of further changes of side.
    pub(crate) fn may_shift(&mut self, times: u64) {
        self.shifts += times;
    }

    /// Waits until the daemon was killed with `SIGKILL`, and starts it again.
    pub(crate) fn restart_killed(&mut self) -> anyhow::Result<()> {
        // The end of a daemon that was killed during its start was noticed already.
        if self.daemon.pid().is_some() {
            let ended = wait_for(DEADLINE, "the daemon to be killed", || {
                self.daemon.ended().transpose()
            })??;
            assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32), "{ended}");
        }
        self.daemon.fault().clear()?;
        self.daemon.start()
    }

    /// Connects the host and its peer with one more pair, which is not attached yet.
    pub(crate) fn another_pair(&self, number: u8) -> anyhow::Result<VethPair> {
        join(self.pair(), number)
    }

    /// Sends a blocked and an unblocked frame over another pair. Only the second arrives.
    pub(crate) fn assert_filtered(&mut self, pair: &VethPair) -> anyhow::Result<()> {
        let (sender, receiver) = (pair.sender()?, pair.receiver()?);
        sender.send(&marked(BLOCKED[0], 1))?;
        sender.send(&marked(FREE, 4))?;
        receiver.wait_for_count(4, 1, DEADLINE)?;
        assert_eq!(receiver.counts(), [(4, 1)].into());
        self.besides = self.besides.map(|sent| sent + 1);
        Ok(())
    }

    /// Waits until the floods have continued for this number of rounds.
    pub(crate) fn flow(&self, rounds: u64) -> anyhow::Result<()> {
        let mut lanes = self.lanes.iter();
        lanes.try_for_each(|lane| lane.flood.wait_for_more(rounds))
    }

    /// Asserts that the daemon's report, the pins and the programs on interfaces agree, without any
    /// extra object.
    pub(crate) fn converged(&self) -> anyhow::Result<Status> {
        let now = status(&self.daemon)?;
        assert_eq!(now.problems, Vec::<String>::new());
        assert_eq!(pinned_generations(&self.daemon)?, live_generations(&now));
        let mut attached = BTreeSet::new();
        for interface in now.zones.iter().flat_map(|zone| &zone.interfaces) {
            assert_eq!(interface.state, InterfaceState::Attached, "{interface:?}");
            attached.insert(interface.name.clone());
        }
        assert_eq!(self.names("links")?, attached);
        assert_eq!(
            self.names("shared")?,
            BTreeSet::from([ABI_VERSION.to_string()])
        );
        for lane in &self.lanes {
            let host = &lane.pair.host;
            assert!(attached.contains(&host.interface), "{attached:?}");
            let program = program_on(&host.netns, &host.interface)?;
            assert!(program.is_some(), "{} runs no program", host.interface);
        }
        let sources = SOURCES.map(|(source, _)| source);
        for answer in check(&self.daemon, &sources)? {
            assert!(answer.kernel_agrees == Some(true), "{answer:?}");
        }
        Ok(now)
    }

    fn names(&self, directory: &str) -> anyhow::Result<BTreeSet<String>> {
        let path = self.daemon.bpffs().join("ipblock").join(directory);
        let entries = fs::read_dir(&path).with_context(|| path.display().to_string())?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// Ends the floods and accounts for all their packets: no packet to be dropped has arrived, no
    /// other packet was lost, each was judged once, and each counter is exact.
    pub(crate) fn finish(self) -> anyhow::Result<Flow> {
        let Self {
            daemon,
            lanes,
            shifts,
            besides,
            ..
        } = self;
        let mut rounds = Vec::new();
        let mut receivers = Vec::new();
        // Pairs stay: a removed interface would lose its packets.
        let mut pairs = Vec::new();
        for lane in lanes {
            rounds.push((lane.zone, lane.flood.stop()?));
            receivers.push(lane.receiver);
            pairs.push(lane.pair);
        }
        let all: u64 = rounds.iter().map(|(_, rounds)| rounds).sum();
        let sent = all * SOURCES.len() as u64 + besides.iter().sum::<u64>();
        let found = wait_for(DEADLINE, "every frame to be judged", || {
            let counters = counters(&daemon).ok()?;
            (judged(&counters.totals) >= sent).then_some(counters)
        })
        .map_err(|error| error.context(format!("{sent} sent, {:?}", counters(&daemon))))?;
        assert_eq!(judged(&found.totals), sent);
        wait_for(DEADLINE, "what was let through to arrive", || {
            let arrived: u64 = receivers
                .iter()
                .flat_map(|receiver| receiver.counts().into_values())
                .sum();
            (arrived + besides[1] == let_through(&found.totals)).then_some(())
        })?;
        let mut shifted = 0;
        for ((zone, rounds), receiver) in rounds.iter().zip(&receivers) {
            assert_eq!(receiver.lost()?, 0, "frames that the test did not see");
            let arrived = |marker| receiver.count(marker);
            assert_eq!([arrived(1), arrived(2), arrived(7)], [0, 0, 0], "{zone}");
            assert_eq!([arrived(3), arrived(4)], [*rounds, *rounds], "{zone}");
            let passed = arrived(5) + arrived(6);
            // One of the two passes in each round, except in rounds during a change.
            assert!(
                passed.abs_diff(*rounds) <= shifts,
                "{zone}: {passed} of {rounds} rounds, {shifts} changes"
            );
            shifted += 2 * rounds - passed;
        }
        assert_eq!(rule(&found, "abuse").packets, 2 * all + besides[0]);
        assert_eq!(rule(&found, "abuse").excepted, all);
        assert_eq!(rule(&found, "shifting").packets, shifted);
        assert_eq!(found.bans.packets, all);
        let blocked = 3 * all + shifted + besides[0];
        assert_eq!(found.totals.dropped.packets, blocked);
        Ok(Flow {
            packets: sent,
            blocked,
        })
    }
}
