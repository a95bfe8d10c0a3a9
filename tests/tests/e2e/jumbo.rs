//! Frames that span several buffers: native XDP on an MTU above a page works only with `xdp.frags`.

use ipblock_tests::{
    Daemon, VethOptions, VethPair,
    packet::{CTAG, Frame},
    require_privileged,
};

use crate::{
    answers::{NATIVE, apply, count_of, program_on},
    scenario::{Scene, count, marked},
};

const LENGTH: usize = 8000;

#[test]
fn a_frame_of_8000_bytes_is_judged_and_counted_in_full() -> anyhow::Result<()> {
    let root = require_privileged!();
    let jumbo = VethOptions {
        mtu: 9000,
        ..VethOptions::default()
    };
    let pair = VethPair::new(root, jumbo)?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface))
        .start()?;
    let scene = Scene::of(daemon, pair)?;
    let on = program_on(&scene.pair.host.netns, scene.interface())?;
    assert_eq!(on.map(|on| on.mode), Some(NATIVE));
    apply(
        &scene.daemon,
        r#"
        [[rule]]
        name = "abuse"
        action = "block"
        match = ["203.0.113.0/24", "2001:db8:b::/48"]
        "#,
    )?;

    let long = |source, marker| marked(source, marker).padded(LENGTH);
    let blocked: [Frame; 3] = [
        long("203.0.113.7", 1),
        long("2001:db8:b::7", 2),
        marked("203.0.113.8", 3).tagged(&[CTAG]).padded(LENGTH),
    ];
    let free = [long("198.51.100.7", 4), long("2001:db8:1::7", 5)];
    scene.send(&blocked, 2)?;
    scene.send(&free, 2)?;
    let counters = scene.judged(10)?;
    assert_eq!(scene.receiver.counts(), [(4, 2), (5, 2)].into());
    assert_eq!(count_of(&counters, "abuse"), count(&blocked, 2));
    assert_eq!(counters.totals.dropped.bytes, 6 * LENGTH as u64);
    assert_eq!(counters.totals.passed, count(&free, 2));
    Ok(())
}
