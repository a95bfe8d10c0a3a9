//! The harness fulfils the assumptions of the tests that use it.
#![cfg(test)]

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    thread,
    time::Duration,
};

use ipblock_tests::{
    Bpffs, DEADLINE, Netns, VethOptions, VethPair,
    packet::{CTAG, Frame, Ipv4, Ipv6, Payload, STAG},
    require_privileged,
};

fn marked(marker: u64) -> Frame {
    Frame::carrying(&Ipv4::from("203.0.113.9").with(Payload::udp(5000, 53).marked(marker)))
}

#[test]
fn frames_arrive_as_they_were_sent() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let (sender, receiver) = (pair.sender()?, pair.receiver()?);
    let ipv6 = Ipv6::from("2001:db8:1::9").with(Payload::tcp(5000, 80).marked(2));
    sender.send(&marked(1).tagged(&[STAG, CTAG]))?;
    sender.send(&Frame::carrying(&ipv6))?;
    sender.send(&marked(3).padded(1514))?;
    sender.send(&Frame::of_type(0x88cc, &[0; 46]))?;
    sender.send(&marked(4))?;
    receiver.wait_for_count(4, 1, DEADLINE)?;
    assert_eq!(receiver.counts(), [(1, 1), (2, 1), (3, 1), (4, 1)].into());
    assert_eq!(receiver.unmarked(), 1);
    Ok(())
}

#[test]
fn a_frame_longer_than_the_mtu_is_refused() -> anyhow::Result<()> {
    let root = require_privileged!();
    let small = VethPair::new(root, VethOptions::default())?;
    let error = small.sender()?.send(&marked(1).padded(1519)).unwrap_err();
    assert!(format!("{error:#}").contains("EMSGSIZE"), "{error:#}");

    let jumbo = VethPair::new(
        root,
        VethOptions {
            mtu: 9000,
            ..VethOptions::default()
        },
    )?;
    let receiver = jumbo.receiver()?;
    jumbo.sender()?.send(&marked(1).padded(8000))?;
    receiver.wait_for_count(1, 1, DEADLINE)
}

#[test]
fn a_flood_is_counted_to_the_last_frame() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let (sender, receiver) = (pair.sender()?, pair.receiver()?);
    let frames = [marked(1), marked(2), marked(3)];
    let sent = sender.flood(&frames, 10_000, DEADLINE)?;
    assert_eq!(sent, 10_000);
    receiver.wait_for_count(1, 3334, DEADLINE)?;
    receiver.wait_for_count(2, 3333, DEADLINE)?;
    receiver.wait_for_count(3, 3333, DEADLINE)?;
    assert_eq!(receiver.lost()?, 0);
    Ok(())
}

#[test]
fn the_network_says_nothing_by_itself() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let receiver = pair.receiver()?;
    // Long enough for packets that a kernel sends at once and a second later.
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(receiver.unmarked(), 0);
    Ok(())
}

#[test]
fn the_stacks_reach_each_other_over_several_pairs() -> anyhow::Result<()> {
    let root = require_privileged!();
    let first = VethPair::new(root, VethOptions::default())?;
    let second = VethPair::between(
        first.host.netns.clone(),
        Netns::new(root)?.into(),
        VethOptions {
            number: 1,
            live_neighbours: true,
            ..VethOptions::default()
        },
    )?;
    for pair in [&first, &second] {
        let (host, peer) = (&pair.host, &pair.peer);
        let addresses: [(SocketAddr, SocketAddr); 2] = [
            ((host.ipv4, 0).into(), (peer.ipv4, 0).into()),
            ((host.ipv6, 0).into(), (peer.ipv6, 0).into()),
        ];
        for (at_host, at_peer) in addresses {
            let listener = host.netns.enter(|| UdpSocket::bind(at_host))?;
            let socket = peer.netns.enter(|| UdpSocket::bind(at_peer))?;
            listener.set_read_timeout(Some(DEADLINE))?;
            socket.send_to(b"hello", listener.local_addr()?)?;
            let mut buffer = [0; 16];
            let (length, from) = listener.recv_from(&mut buffer)?;
            assert_eq!(
                (&buffer[..length], from),
                (&b"hello"[..], socket.local_addr()?)
            );
        }
    }
    Ok(())
}

#[test]
fn nothing_stays_behind_after_a_panic() {
    let root = require_privileged!();
    let mut made: Vec<PathBuf> = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let netns = Netns::new(root).unwrap();
        let bpffs = Bpffs::mount(root).unwrap();
        made.extend([netns.path(), bpffs.path().to_owned()]);
        assert!(made.iter().all(|path| path.exists()));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(mounts.contains(&format!("{} bpf ", made[1].display())));
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(made.len(), 2);
    assert!(made.iter().all(|path| !path.exists()), "{made:?}");
}
