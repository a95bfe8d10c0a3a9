//! What keeps a rule's count, and what resets it.

use std::collections::BTreeMap;

use ipblock_api::types::{Count, Counters};
use ipblock_tests::{packet::Frame, require_privileged};

use crate::{
    answers::{apply, count_of, counters, deploy, rule, status},
    scenario::{OVERLAPPING, Scene, count, marked},
};

/// A scene with the ruleset deployed, and frames from sources of each kind.
struct Counted {
    scene: Scene,
    blocked: Frame,
    excepted: Frame,
    /// In the block rule and in the warn rule.
    both: Frame,
    warned: Frame,
    sent: u64,
}

impl Counted {
    fn new(root: ipblock_tests::Privileged) -> anyhow::Result<Self> {
        let scene = Scene::attached(root, "native")?;
        apply(&scene.daemon, OVERLAPPING)?;
        Ok(Self {
            scene,
            blocked: marked("203.0.113.7", 1),
            excepted: marked("203.0.113.9", 2),
            both: marked("203.0.113.70", 3),
            warned: marked("198.51.100.7", 4),
            sent: 0,
        })
    }

    /// Sends each frame `times` times and waits until all are judged.
    fn send(&mut self, times: u64) -> anyhow::Result<()> {
        let frames = [&self.blocked, &self.excepted, &self.both, &self.warned];
        self.scene.send(&frames.map(Clone::clone), times)?;
        self.sent += frames.len() as u64 * times;
        self.scene.judged(self.sent).map(drop)
    }

    /// Asserts the counts of the rules after each frame was sent `times` times.
    fn assert_counts(&self, block: &str, times: u64) -> anyhow::Result<()> {
        let counters = counters(&self.scene.daemon)?;
        let expected = count([&self.blocked, &self.both], times);
        assert_eq!(count_of(&counters, block), expected);
        assert_eq!(rule(&counters, block).excepted, times);
        let expected = count([&self.both, &self.warned], times);
        assert_eq!(count_of(&counters, "watch"), expected);
        assert_eq!(rule(&counters, "watch").excepted, 0);
        // The rule list shows the same.
        let rules = self.scene.daemon.ctl_json("rule list")?;
        let of_list: BTreeMap<&str, u64> = rules.as_array().map_or(BTreeMap::new(), |rules| {
            let rules = rules.iter();
            rules
                .map(|rule| {
                    (
                        rule["name"].as_str().unwrap(),
                        rule["packets"].as_u64().unwrap(),
                    )
                })
                .collect()
        });
        assert_eq!(of_list, [(block, 2 * times), ("watch", 2 * times)].into());
        Ok(())
    }
}

#[test]
fn every_matching_rule_counts_and_a_spared_packet_is_counted_as_excepted() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut counted = Counted::new(root)?;
    counted.send(3)?;
    counted.assert_counts("abuse", 3)?;
    let totals = counters(&counted.scene.daemon)?.totals;
    assert_eq!(totals.dropped, count([&counted.blocked, &counted.both], 3));
    assert_eq!(totals.warned, count([&counted.warned], 3));
    assert_eq!(totals.passed, count([&counted.excepted], 3));
    Ok(())
}

#[test]
fn edits_and_renames_keep_a_count() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut counted = Counted::new(root)?;
    counted.send(2)?;
    let edit = |arguments: &[&str], counted: &Counted| {
        deploy(
            &counted.scene.daemon,
            [&["rule", "edit"], arguments].concat(),
        )
    };
    edit(&["abuse", "--add-match", "192.0.2.128/25"], &counted)?;
    counted.assert_counts("abuse", 2)?;
    edit(&["abuse", "--rename", "abuse-2026"], &counted)?;
    counted.assert_counts("abuse-2026", 2)?;
    counted.send(1)?;
    counted.assert_counts("abuse-2026", 3)?;
    edit(&["abuse-2026", "--disable"], &counted)?;
    counted.assert_counts("abuse-2026", 3)?;
    edit(&["abuse-2026", "--enable", "--note", "ticket 42"], &counted)?;
    counted.send(1)?;
    counted.assert_counts("abuse-2026", 4)?;
    assert_eq!(status(&counted.scene.daemon)?.revision, 5);
    Ok(())
}

#[test]
fn a_promoted_rule_keeps_what_it_counted_as_a_warn() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut counted = Counted::new(root)?;
    counted.send(2)?;
    deploy(&counted.scene.daemon, "rule promote watch")?;
    counted.send(2)?;
    counted.assert_counts("abuse", 4)?;
    assert_eq!(counted.scene.receiver.counts(), [(2, 4), (4, 2)].into());
    Ok(())
}

#[test]
fn a_rule_that_is_removed_and_added_again_starts_at_0() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut counted = Counted::new(root)?;
    counted.send(2)?;
    let daemon = &counted.scene.daemon;
    let add = "rule add abuse --action block --match 203.0.113.0/24 --except 203.0.113.9";
    deploy(daemon, "rule remove abuse")?;
    let left = counters(daemon)?;
    assert_eq!(left.rules.len(), 1);
    assert_eq!(left.totals.dropped.packets, 4);
    deploy(daemon, add)?;
    assert_eq!(count_of(&counters(daemon)?, "abuse"), Count::default());
    assert_eq!(rule(&counters(daemon)?, "abuse").excepted, 0);

    // Also when both are staged together and deployed as one.
    counted.send(1)?;
    let daemon = &counted.scene.daemon;
    assert_eq!(count_of(&counters(daemon)?, "abuse").packets, 2);
    daemon.ctl("rule remove abuse")?.ok()?;
    deploy(daemon, add)?;
    assert_eq!(count_of(&counters(daemon)?, "abuse"), Count::default());
    assert_eq!(count_of(&counters(daemon)?, "watch").packets, 6);
    Ok(())
}

#[test]
fn in_an_applied_file_the_same_name_is_the_same_rule() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut counted = Counted::new(root)?;
    counted.send(2)?;
    // In another order, with other matches, between other rules.
    let (first, second) = OVERLAPPING.split_once("\n\n").unwrap();
    let other = "[[rule]]\nname = \"other\"\naction = \"block\"\nmatch = [\"192.0.2.128/25\"]\n";
    apply(
        &counted.scene.daemon,
        &format!("{second}\n{other}\n{first}\n"),
    )?;
    let now = counters(&counted.scene.daemon)?;
    assert_eq!(count_of(&now, "other"), Count::default());
    assert_eq!(count_of(&now, "abuse").packets, 4);
    apply(&counted.scene.daemon, OVERLAPPING)?;
    counted.assert_counts("abuse", 2)?;
    counted.send(1)?;
    counted.assert_counts("abuse", 3)
}

#[test]
fn restarts_and_detaching_keep_every_count() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut counted = Counted::new(root)?;
    counted.send(2)?;
    let before = counts(&counted.scene)?;
    counted.scene.daemon.restart()?;
    assert_eq!(counts(&counted.scene)?, before);
    counted.scene.daemon.kill()?;
    counted.scene.daemon.start()?;
    assert_eq!(counts(&counted.scene)?, before);
    let interface = counted.scene.interface().to_owned();
    for command in ["detach", "attach"] {
        counted.scene.daemon.ctl([command, &interface])?.ok()?;
        assert_eq!(counts(&counted.scene)?, before);
    }
    counted.send(1)?;
    counted.assert_counts("abuse", 3)
}

/// The counters without the times of last hits: those come from two clocks that are not read at
/// the same instant.
fn counts(scene: &Scene) -> anyhow::Result<Counters> {
    let mut counters = counters(&scene.daemon)?;
    for rule in &mut counters.rules {
        assert!(rule.last_hit.take().is_some(), "{rule:?}");
    }
    Ok(counters)
}
