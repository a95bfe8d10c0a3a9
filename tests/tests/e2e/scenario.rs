//! The usual stage: a host with `ipblockd`, and a peer that sends to it.

use ipblock_api::types::{Count, Counters};
use ipblock_tests::{
    DEADLINE, Daemon, DaemonBuilder, FrameReceiver, FrameSender, Privileged, VethOptions, VethPair,
    packet::{Frame, Ipv4, Ipv6, Payload},
    wait_for,
};

use crate::answers::{apply, counters, judged, let_through};

/// A ruleset with one rule, `abuse`.
pub(crate) const BLOCK: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/24"]
"#;

/// Two rules that overlap, of which one has an exception.
pub(crate) const OVERLAPPING: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/24"]
except = ["203.0.113.9"]

[[rule]]
name = "watch"
action = "warn"
match = ["203.0.113.64/26", "198.51.100.0/24"]
"#;

/// A daemon on the host's end of a veth pair. Fields are dropped in this order.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) sender: FrameSender,
    pub(crate) receiver: FrameReceiver,
    pub(crate) pair: VethPair,
}

impl Scene {
    /// With the filter on the host's interface in this mode: `native`, `generic` or `auto`.
    pub(crate) fn attached(root: Privileged, mode: &str) -> anyhow::Result<Self> {
        Self::attached_with(root, mode, |daemon| daemon)
    }

    /// As [`Scene::attached`], natively and with this ruleset in force.
    pub(crate) fn filtering(root: Privileged, ruleset: &str) -> anyhow::Result<Self> {
        let scene = Self::attached(root, "native")?;
        apply(&scene.daemon, ruleset)?;
        Ok(scene)
    }

    /// As [`Scene::attached`], with a differently configured daemon.
    pub(crate) fn attached_with(
        root: Privileged,
        mode: &str,
        with: impl FnOnce(DaemonBuilder) -> DaemonBuilder,
    ) -> anyhow::Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let interface = format!("{}={mode}", pair.host.interface);
        let builder = Daemon::in_netns(root, &pair.host.netns).interface(interface);
        Self::of(with(builder).start()?, pair)
    }

    /// With the filter on no interface.
    pub(crate) fn detached(root: Privileged) -> anyhow::Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
        Self::of(daemon, pair)
    }

    /// Of a daemon that runs already.
    pub(crate) fn of(daemon: Daemon, pair: VethPair) -> anyhow::Result<Self> {
        Ok(Self {
            daemon,
            sender: pair.sender()?,
            receiver: pair.receiver()?,
            pair,
        })
    }

    /// The host's interface.
    pub(crate) fn interface(&self) -> &str {
        &self.pair.host.interface
    }

    /// Sends every frame `times` times.
    pub(crate) fn send(&self, frames: &[Frame], times: u64) -> anyhow::Result<()> {
        for _ in 0..times {
            for frame in frames {
                self.sender.send(frame)?;
            }
        }
        Ok(())
    }

    /// Waits until `sent` frames, over the whole test, are judged and the passed ones have arrived.
    /// Returns the counters: what has not arrived by then never does.
    ///
    /// Every packet is in exactly one total, so this also asserts that none was counted twice.
    pub(crate) fn judged(&self, sent: u64) -> anyhow::Result<Counters> {
        let mut last = None;
        let found = wait_for(DEADLINE, &format!("{sent} frames to be judged"), || {
            last = counters(&self.daemon).ok();
            last.take_if(|counters| judged(&counters.totals) == sent)
        });
        let found = found.map_err(|error| error.context(format!("counters: {last:?}")))?;
        let passed = let_through(&found.totals);
        wait_for(DEADLINE, &format!("{passed} frames to arrive"), || {
            let arrived: u64 = self.receiver.counts().values().sum();
            (arrived + self.receiver.unmarked() == passed).then_some(())
        })
        .map_err(|error| error.context(format!("arrived: {:?}", self.receiver.counts())))?;
        assert_eq!(self.receiver.lost()?, 0, "frames that the test did not see");
        Ok(found)
    }
}

/// A UDP packet from an address of either family, with a marker.
pub(crate) fn marked(source: &str, marker: u64) -> Frame {
    let payload = Payload::udp(5000, 53).marked(marker);
    if source.contains(':') {
        Frame::carrying(&Ipv6::from(source).with(payload))
    } else {
        Frame::carrying(&Ipv4::from(source).with(payload))
    }
}

/// Returns the counts after each frame was sent `times` times.
pub(crate) fn count<'a>(frames: impl IntoIterator<Item = &'a Frame>, times: u64) -> Count {
    let mut count = Count::default();
    for frame in frames {
        count.packets += times;
        count.bytes += times * frame.len() as u64;
    }
    count
}
