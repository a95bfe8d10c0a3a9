//! The sources with the most hits.

use ipblock_api::types::{TopBy, TopInfo, TopQuery};
use ipblock_tests::{packet::Frame, require_privileged};

use crate::{
    answers::deploy,
    scenario::{BLOCK, OVERLAPPING, Scene, marked},
    told::Asker,
};

fn query(by: TopBy) -> TopQuery {
    TopQuery {
        by,
        ..TopQuery::default()
    }
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

#[test]
fn sources_are_added_up_by_prefix_and_told_apart_by_rule() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), OVERLAPPING)?;
    let frames = [
        marked("203.0.113.65", 1),
        marked("203.0.113.66", 2),
        marked("203.0.113.7", 3),
        marked("198.51.100.7", 4),
    ];
    scene.send(&frames, 2)?;
    scene.judged(8)?;
    let rows = |command: &str| -> anyhow::Result<Vec<String>> {
        let top = scene.daemon.ctl_json(command)?;
        let rows = top.as_array().cloned().unwrap_or_default();
        let text = |row: &serde_json::Value| {
            let shown = row["prefix"].as_str().or(row["source"].as_str());
            let sources = row["sources"].as_u64().unwrap_or(1);
            format!("{} {sources} {}", shown.unwrap_or_default(), row["packets"])
        };
        Ok(rows.iter().map(text).collect())
    };
    assert_eq!(
        rows("top --by-prefix 24,64")?,
        ["203.0.113.0/24 3 6", "198.51.100.0/24 1 2"]
    );
    let watched = rows("top --rule watch")?;
    assert_eq!(watched.len(), 3, "{watched:?}");
    assert!(!watched.contains(&"203.0.113.7 1 2".to_owned()));
    assert_eq!(
        rows("top --rule watch --by-prefix 16")?,
        ["203.0.0.0/16 2 4", "198.51.0.0/16 1 2"]
    );
    assert_eq!(scene.daemon.ctl("top --rule nothing")?.code, 2);
    Ok(())
}
