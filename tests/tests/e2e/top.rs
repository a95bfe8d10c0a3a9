//! The sources with the most hits.

use ipblock_api::types::{TopBy, TopInfo, TopQuery};
use ipblock_tests::{packet::Frame, require_privileged};

use crate::{
    answers::deploy,
    scenario::{BLOCK, Scene, marked},
    told::Asker,
};

fn query(by: TopBy) -> TopQuery {
    TopQuery { by, limit: None }
}

/// Source, rules, whether a ban dropped some, packets and bytes.
fn shown(top: &[TopInfo]) -> Vec<(String, Vec<&str>, bool, u64, u64)> {
    let shown = top.iter().map(|info| {
        (
            info.source.to_string(),
            info.rules.iter().map(String::as_str).collect(),
            info.banned,
            info.packets,
            info.bytes,
        )
    });
    shown.collect()
}

#[test]
fn the_top_are_those_that_hit_most_by_packets_or_by_bytes() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let asker = Asker::new(&scene.daemon)?;
    let (few, many) = (marked("203.0.113.7", 1), marked("203.0.113.8", 2));
    let few = few.padded(1_000);
    let banned = marked("2001:db8::66", 3);
    let clean = marked("198.51.100.7", 4);
    scene.daemon.ctl("ban 2001:db8::66/128 --for 1h")?.ok()?;
    scene.send(std::slice::from_ref(&few), 2)?;
    scene.send(std::slice::from_ref(&many), 5)?;
    scene.send(std::slice::from_ref(&banned), 3)?;
    scene.send(std::slice::from_ref(&clean), 9)?;
    scene.judged(19)?;
    let bytes = |frame: &Frame, times: u64| times * frame.len() as u64;
    let few = || ("203.0.113.7".to_owned(), vec!["abuse"], false, 2, 2_000);
    let many = || {
        let bytes = bytes(&many, 5);
        ("203.0.113.8".to_owned(), vec!["abuse"], false, 5, bytes)
    };
    let banned = || {
        (
            "2001:db8::66".to_owned(),
            vec![],
            true,
            3,
            bytes(&banned, 3),
        )
    };
    let top = asker.top(&query(TopBy::Packets))?;
    assert_eq!(shown(&top), [many(), banned(), few()]);
    assert!(top.iter().all(|info| info.last_hit.is_some()));
    let top = asker.top(&query(TopBy::Bytes))?;
    assert_eq!(shown(&top), [few(), many(), banned()]);
    let one = TopQuery {
        limit: Some(1),
        ..query(TopBy::Packets)
    };
    assert_eq!(shown(&asker.top(&one)?), [many()]);

    // Over a deploy counts continue, and rules have their present names.
    deploy(
        &scene.daemon,
        "rule edit abuse --rename bad --add-match 192.0.2.99",
    )?;
    scene.send(&[marked("203.0.113.8", 2)], 1)?;
    scene.judged(20)?;
    let top = asker.top(&one)?;
    assert_eq!(
        (top[0].packets, &top[0].rules),
        (6, &vec!["bad".to_owned()])
    );
    Ok(())
}
