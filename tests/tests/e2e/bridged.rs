//! A host with a filtered bridge, for tests of stacked devices.

use std::{
    fs,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ipblock_api::types::InterfaceState;
use ipblock_tests::{
    DEADLINE, Daemon, FrameReceiver, FrameSender, Netns, Privileged, VethOptions, VethPair,
    packet::{Frame, Ipv4, Mac, Payload},
    report_not_run, wait_for,
};

use crate::{
    answers::{apply, interface, program_on, status},
    scenario::{BLOCK, marked},
};

pub(crate) const BRIDGE: &str = "br0";
const BRIDGE_MAC: Mac = Mac([0x02, 0, 0, 0, 0x99, 1]);
pub(crate) const BLOCKED: &str = "203.0.113.7";
pub(crate) const OTHER: &str = "198.51.100.7";

/// A host with a bridge of two ports, `host0` and `host1`, whose other ends are `peer0` and `peer1`.
pub(crate) struct Bridged {
    pub(crate) daemon: Daemon,
    pub(crate) ports: Vec<VethPair>,
    pub(crate) host: Arc<Netns>,
    pub(crate) peer: Arc<Netns>,
}

impl Bridged {
    /// `None` where the kernel has no bridges.
    pub(crate) fn new(root: Privileged) -> anyhow::Result<Option<Self>> {
        let host = Arc::new(Netns::new(root)?);
        let peer = Arc::new(Netns::new(root)?);
        let mac = BRIDGE_MAC.to_string();
        let bridge = [
            "ip",
            "link",
            "add",
            "name",
            BRIDGE,
            "address",
            &mac,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ];
        if let Err(error) = host.run(bridge) {
            report_not_run(&format!("a filtered bridge with ports: {error:#}"));
            return Ok(None);
        }
        host.run(["ip", "link", "set", BRIDGE, "up"])?;
        let daemon = Daemon::in_netns(root, &host).start()?;
        apply(&daemon, BLOCK)?;
        let mut bridged = Self {
            daemon,
            ports: Vec::new(),
            host,
            peer,
        };
        for number in 0..2 {
            bridged.add_port(number)?;
        }
        Ok(Some(bridged))
    }

    pub(crate) fn add_port(&mut self, number: u8) -> anyhow::Result<()> {
        let options = VethOptions {
            number,
            ..VethOptions::default()
        };
        let (host, peer) = (Arc::clone(&self.host), Arc::clone(&self.peer));
        let pair = VethPair::between(host, peer, options)?;
        let name = &pair.host.interface;
        self.host.run(["ip", "addr", "flush", "dev", name])?;
        self.host
            .run(["ip", "link", "set", name, "master", BRIDGE])?;
        self.ports.push(pair);
        Ok(())
    }

    pub(crate) fn attach(&self, name: &str) -> anyhow::Result<()> {
        self.daemon.ctl(["attach", name])?.ok().map(drop)
    }

    /// Both are attached, and the kernel says so.
    pub(crate) fn wait_until_attached(&self, names: &[&str]) -> anyhow::Result<()> {
        wait_for(DEADLINE, &format!("{names:?} to be attached"), || {
            let are = names.iter().all(|name| {
                interface(&self.daemon, name)
                    .is_ok_and(|shown| shown.state == InterfaceState::Attached)
            });
            are.then_some(())
        })
        .map_err(|error| error.context(format!("{:?}", status(&self.daemon))))?;
        for name in names {
            assert!(program_on(&self.host, name)?.is_some(), "{name}");
        }
        assert_eq!(status(&self.daemon)?.problems, Vec::<String>::new());
        Ok(())
    }

    /// A blocked source does not cross the bridge from `host0` to `host1`, another does.
    pub(crate) fn assert_crosses_filtered(&self, marker: u64) -> anyhow::Result<()> {
        let sender = FrameSender::new(&self.peer, "peer0")?;
        let receiver = FrameReceiver::new(&self.peer, "peer1")?;
        let to_all = Mac([0xff; 6]);
        for (source, marker) in [(BLOCKED, marker), (OTHER, marker + 1)] {
            let frame = marked(source, marker).between(Mac([0x02, 0, 0, 0, 0, 9]), to_all);
            for _ in 0..3 {
                sender.send(&frame)?;
            }
        }
        receiver.wait_for_count(marker + 1, 3, DEADLINE)?;
        assert_eq!(
            receiver.count(marker),
            0,
            "a blocked source crossed the bridge"
        );
        Ok(())
    }

    /// Simulates a reboot: no pins, no attachments, but a store that remembers.
    pub(crate) fn reboot(&mut self, attached: &[&str]) -> anyhow::Result<()> {
        self.daemon.terminate()?;
        fs::remove_dir_all(self.daemon.bpffs().join("ipblock"))?;
        for name in attached {
            wait_for(DEADLINE, &format!("{name} to run no program"), || {
                let on = program_on(&self.host, name).ok()?;
                on.is_none().then_some(())
            })?;
        }
        self.daemon.start()
    }

    /// A socket of the host behind the bridge, which does not wait.
    pub(crate) fn listen(&self) -> anyhow::Result<UdpSocket> {
        let host = &self.host;
        let (address, gateway) = ("192.0.2.1/28", "192.0.2.2");
        host.run(["ip", "addr", "add", address, "dev", BRIDGE])?;
        host.run([
            "ip", "route", "add", "default", "via", gateway, "dev", BRIDGE,
        ])?;
        let socket = host.enter(|| UdpSocket::bind("192.0.2.1:7777"))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// Sends packets of a blocked source to the host by the port that has no filter of its own.
pub(crate) struct BlockedFlood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl BlockedFlood {
    pub(crate) fn start(bridged: &Bridged) -> anyhow::Result<Self> {
        let sender = FrameSender::new(&bridged.peer, "peer1")?;
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let frames = [to_bridge(BLOCKED)];
            while !stopped.load(Ordering::Relaxed) {
                let sent = sender.flood(&frames, 1000, Duration::from_secs(1))?;
                count.fetch_add(sent, Ordering::Relaxed);
            }
            Ok(())
        });
        let thread = Some(thread);
        Ok(Self { stop, sent, thread })
    }

    /// Waits until this number of further packets is sent.
    pub(crate) fn wait_for_more(&self, packets: u64) -> anyhow::Result<()> {
        let until = self.sent.load(Ordering::Relaxed) + packets;
        wait_for(DEADLINE, "packets to be sent", || {
            (self.sent.load(Ordering::Relaxed) >= until).then_some(())
        })
    }

    /// Ends it; returns the number of sent packets.
    pub(crate) fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the flood panicked")?;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

impl Drop for BlockedFlood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A packet of a source for [`Bridged::listen`].
pub(crate) fn to_bridge(source: &str) -> Frame {
    let packet = Ipv4::from(source).to([192, 0, 2, 1].into());
    let packet = packet.with(Payload::udp(5000, 7777).marked(1));
    Frame::carrying(&packet).between(Mac([0x02, 0, 0, 0, 0, 9]), BRIDGE_MAC)
}

/// Returns what the socket has received so far.
pub(crate) fn drain(socket: &UdpSocket) -> anyhow::Result<u64> {
    let mut buffer = [0; 64];
    let mut count = 0;
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => count += 1,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(count),
            Err(error) => return Err(error.into()),
        }
    }
}
