//! Devices that lie on each other: the kernel takes programs from below to above alone, and whatever
//! order things come in, both are filtered and no packet of a blocked source passes.

use std::{
    fs,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use aya::{Ebpf, EbpfLoader, programs::Xdp};
use ipblock::{api::types::InterfaceState, datapath::object::BPF_OBJECT};
use ipblock_common::names;
use ipblock_tests::{
    Bpffs, DEADLINE, Daemon, FrameReceiver, FrameSender, Netns, Privileged, VethOptions, VethPair,
    packet::{Frame, Ipv4, Mac, Payload},
    report_not_run, require_privileged, wait_for,
};

use crate::{
    answers::{GENERIC, NATIVE, OnInterface, apply, interface, program_on, status},
    scenario::{BLOCK, marked},
};

const BRIDGE: &str = "br0";
const BRIDGE_MAC: Mac = Mac([0x02, 0, 0, 0, 0x99, 1]);
const BLOCKED: &str = "203.0.113.7";
const OTHER: &str = "198.51.100.7";

/// A host with a bridge of two ports, `host0` and `host1`, whose other ends are `peer0` and `peer1`.
struct Bridged {
    daemon: Daemon,
    ports: Vec<VethPair>,
    host: Arc<Netns>,
    peer: Arc<Netns>,
}

impl Bridged {
    /// `None` where the kernel has no bridges.
    fn new(root: Privileged) -> anyhow::Result<Option<Self>> {
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

    fn add_port(&mut self, number: u8) -> anyhow::Result<()> {
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

    fn attach(&self, name: &str) -> anyhow::Result<()> {
        self.daemon.ctl(&["attach", name])?.ok().map(drop)
    }

    /// Both are attached, and the kernel says so.
    fn wait_until_attached(&self, names: &[&str]) -> anyhow::Result<()> {
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
    fn assert_crosses_filtered(&self, marker: u64) -> anyhow::Result<()> {
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

    /// As after a reboot: nothing is pinned, nothing attached, and the store remembers.
    fn reboot(&mut self, attached: &[&str]) -> anyhow::Result<()> {
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
}

#[test]
fn a_bridge_is_attached_after_its_ports_when_the_machine_starts() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(mut bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    bridged.attach("host0")?;
    bridged.attach(BRIDGE)?;
    bridged.assert_crosses_filtered(1)?;
    bridged.reboot(&["host0", BRIDGE])?;
    bridged.wait_until_attached(&["host0", BRIDGE])?;
    bridged.assert_crosses_filtered(3)
}

#[test]
fn a_port_that_is_made_anew_below_a_filtered_bridge_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(mut bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    bridged.attach("host0")?;
    bridged.attach(BRIDGE)?;
    for round in 0..3 {
        bridged.host.run(["ip", "link", "delete", "host0"])?;
        bridged.ports.retain(|port| port.host.interface != "host0");
        bridged.add_port(0)?;
        bridged.wait_until_attached(&["host0", BRIDGE])?;
        assert_eq!(
            program_on(&bridged.host, "host0")?.map(|on| on.mode),
            Some(NATIVE)
        );
        assert_eq!(
            program_on(&bridged.host, BRIDGE)?.map(|on| on.mode),
            Some(GENERIC)
        );
        bridged.assert_crosses_filtered(10 * round + 1)?;
    }
    Ok(())
}

/// What the socket has got until now.
fn drain(socket: &UdpSocket) -> anyhow::Result<u64> {
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

/// The bridge is off its filter for some milliseconds each time; the flood comes in by its other port,
/// which has no filter of its own.
#[test]
fn no_packet_of_a_blocked_source_passes_a_bridge_while_a_port_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    let host = &bridged.host;
    host.run(["ip", "addr", "add", "192.0.2.1/28", "dev", BRIDGE])?;
    host.run([
        "ip",
        "route",
        "add",
        "default",
        "via",
        "192.0.2.2",
        "dev",
        BRIDGE,
    ])?;
    let socket = host.enter(|| UdpSocket::bind("192.0.2.1:7777"))?;
    socket.set_nonblocking(true)?;
    let frame = |source: &str| -> Frame {
        let packet = Ipv4::from(source).to([192, 0, 2, 1].into());
        let packet = packet.with(Payload::udp(5000, 7777).marked(1));
        Frame::carrying(&packet).between(Mac([0x02, 0, 0, 0, 0, 9]), BRIDGE_MAC)
    };
    bridged.attach(BRIDGE)?;
    let sender = FrameSender::new(&bridged.peer, "peer1")?;
    let stop = AtomicBool::new(false);
    let (sent, passed) = thread::scope(|scope| -> anyhow::Result<(u64, u64)> {
        let flood = scope.spawn(|| -> anyhow::Result<u64> {
            let frames = [frame(BLOCKED)];
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                sent += sender.flood(&frames, 1000, Duration::from_secs(1))?;
            }
            Ok(sent)
        });
        let rounds = || -> anyhow::Result<u64> {
            let mut passed = 0;
            for _ in 0..10 {
                bridged.attach("host0")?;
                passed += drain(&socket)?;
                bridged.daemon.ctl(&["detach", "host0"])?.ok()?;
            }
            Ok(passed)
        };
        let passed = rounds();
        stop.store(true, Ordering::Relaxed);
        let sent = flood.join().expect("the flood panicked")?;
        Ok((sent, passed?))
    })?;
    println!("{sent} packets of a blocked source were sent, {passed} passed");
    assert!(sent > 10_000, "{sent}");
    let log = bridged.daemon.log();
    assert!(log.contains("attached below filtered devices"), "{log}");
    if log.contains("this kernel cannot hold them") {
        report_not_run("holding a bridge: this kernel is older than 6.6, packets may pass");
    } else {
        assert_eq!(passed, 0);
    }
    // What would have come through: others do, and the blocked one does without the filter.
    sender.send(&frame(OTHER))?;
    wait_for(DEADLINE, "another source to pass", || {
        (drain(&socket).ok()? == 1).then_some(())
    })?;
    bridged.daemon.ctl(&["detach", BRIDGE])?.ok()?;
    wait_for(DEADLINE, "the blocked source to pass", || {
        sender.send(&frame(BLOCKED)).ok()?;
        (drain(&socket).ok()? > 0).then_some(())
    })
}

fn foreign_program() -> anyhow::Result<Ebpf> {
    let mut object = EbpfLoader::new().load(BPF_OBJECT)?;
    program_of(&mut object).load()?;
    Ok(object)
}

fn program_of(object: &mut Ebpf) -> &mut Xdp {
    let program = object.program_mut(names::PROGRAM).unwrap();
    program.try_into().unwrap()
}

#[test]
fn a_foreign_program_on_the_bridge_is_named_and_stays() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    let mut object = foreign_program()?;
    let program = program_of(&mut object);
    let bpffs = Bpffs::mount(root)?;
    let pin = bpffs.path().join("foreign");
    program.pin(&pin)?;
    let pin = pin.to_str().unwrap();
    let on_bridge = ["ip", "link", "set", "dev", BRIDGE, "xdpgeneric"];
    bridged.host.run(on_bridge.iter().chain(&["pinned", pin]))?;
    let foreign = Some(OnInterface {
        mode: GENERIC,
        program: program.info()?.id().into(),
    });
    let output = bridged.daemon.ctl(&["attach", "host0"])?;
    assert_eq!(output.code, 3, "{output:?}");
    for said in [
        "`br0` above it runs XDP program",
        "not ipblock's",
        "ip link set dev br0 xdpgeneric off",
    ] {
        assert!(output.stderr.contains(said), "{said}: {output:?}");
    }
    assert_eq!(program_on(&bridged.host, BRIDGE)?, foreign);
    assert_eq!(program_on(&bridged.host, "host0")?, None);
    // What the hint says helps.
    bridged.host.run(on_bridge.iter().chain(&["off"]))?;
    bridged.attach("host0")
}

/// Every kind of device that lies on another one. Some kernels refuse a program below some of them,
/// some do not: either way both are filtered in the end.
#[test]
fn a_device_is_attached_below_whatever_lies_on_it() -> anyhow::Result<()> {
    let root = require_privileged!();
    for (kind, arguments) in [
        ("macvlan", &["mode", "bridge"][..]),
        ("vlan", &["id", "5"]),
        ("ipvlan", &[]),
        ("bond", &["mode", "active-backup"]),
    ] {
        let host = Arc::new(Netns::new(root)?);
        let peer = Arc::new(Netns::new(root)?);
        let _pair = VethPair::between(Arc::clone(&host), peer, VethOptions::default())?;
        let on: &[&str] = if kind == "bond" {
            &[]
        } else {
            &["link", "host0"]
        };
        let add = [
            &["ip", "link", "add"],
            on,
            &["name", "upper0", "type", kind],
            arguments,
        ]
        .concat();
        if let Err(error) = host.run(add) {
            report_not_run(&format!("a program below a {kind}: {error:#}"));
            continue;
        }
        if kind == "bond" {
            host.run(["ip", "link", "set", "host0", "down"])?;
            host.run(["ip", "link", "set", "host0", "master", "upper0"])?;
        }
        host.run(["ip", "link", "set", "upper0", "up"])?;
        let mut daemon = Daemon::in_netns(root, &host).start()?;
        apply(&daemon, BLOCK)?;
        daemon
            .ctl(&["attach", "upper0", "--mode", "generic"])?
            .ok()?;
        daemon.ctl(&["attach", "host0"])?.ok()?;
        let assert_both = |daemon: &Daemon| -> anyhow::Result<()> {
            for name in ["upper0", "host0"] {
                let shown = interface(daemon, name)?;
                assert_eq!(shown.state, InterfaceState::Attached, "{kind}: {shown:?}");
                assert!(program_on(&host, name)?.is_some(), "{kind}: {name}");
            }
            Ok(())
        };
        assert_both(&daemon)?;
        daemon.terminate()?;
        fs::remove_dir_all(daemon.bpffs().join("ipblock"))?;
        for name in ["upper0", "host0"] {
            wait_for(DEADLINE, "nothing to be attached", || {
                program_on(&host, name).ok()?.is_none().then_some(())
            })?;
        }
        daemon.start()?;
        assert_both(&daemon)?;
    }
    Ok(())
}
