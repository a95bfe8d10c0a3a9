//! The whole counter state of a zone, and the difference of two states.

use std::fmt::Write as _;

use ipblock_common::{
    ClassCount, ClassId, Count, Outcome, Totals,
    ban::{BanHit, SLOTS_PER_BLOCK},
};

/// Every counter that the program writes, summed over CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) totals: Totals,
    /// By class id; element 0 is what bans dropped.
    pub(crate) classes: Vec<ClassCount>,
    /// By slot; element 0 is what bans without a slot of their own dropped.
    pub(crate) bans: Vec<BanHit>,
}

impl Counters {
    /// Nothing counted, for ids below `classes`.
    pub(crate) fn zero(classes: usize) -> Self {
        Self {
            totals: Totals::default(),
            classes: vec![ClassCount::default(); classes],
            bans: vec![BanHit::default(); SLOTS_PER_BLOCK as usize],
        }
    }

    /// Adds one packet.
    pub(crate) fn add(&mut self, outcome: Outcome, class: Option<(ClassId, u64)>, bytes: u64) {
        let one = Count { packets: 1, bytes };
        self.totals[outcome] += one;
        if let Some((id, last_hit)) = class {
            let class = &mut self.classes[id as usize];
            class.count += one;
            class.last_hit = last_hit;
        }
    }

    /// Adds one packet that a ban dropped.
    pub(crate) fn add_banned(&mut self, slot: u32, last_hit: u64) {
        let hit = &mut self.bans[slot as usize];
        hit.packets += 1;
        hit.last_hit = last_hit;
    }

    /// Returns one line per counter that differs from the expectation, or `None`.
    pub(crate) fn difference(&self, actual: &Self) -> Option<String> {
        let mut lines = String::new();
        for ((name, expected), (_, actual)) in self.rows().into_iter().zip(actual.rows()) {
            if expected != actual {
                let row = format!("{name:<18} {expected:>40} {actual:>40}");
                writeln!(lines, "{row}").unwrap();
            }
        }
        (!lines.is_empty()).then(|| {
            format!(
                "{:<18} {:>40} {:>40}\n{lines}",
                "counter", "expected", "actual"
            )
        })
    }

    fn rows(&self) -> Vec<(String, String)> {
        let totals = Outcome::ALL.map(|outcome| {
            let Count { packets, bytes } = self.totals[outcome];
            (
                format!("total {outcome:?}"),
                format!("{packets} packets, {bytes} bytes"),
            )
        });
        let classes = self.classes.iter().enumerate().map(|(id, class)| {
            let ClassCount {
                count: Count { packets, bytes },
                last_hit,
            } = class;
            (
                format!("class {id}"),
                format!("{packets} packets, {bytes} bytes, hit {last_hit}"),
            )
        });
        let bans = self.bans.iter().enumerate().map(|(slot, hit)| {
            let BanHit { packets, last_hit } = hit;
            (
                format!("ban {slot}"),
                format!("{packets} packets, hit {last_hit}"),
            )
        });
        totals.into_iter().chain(classes).chain(bans).collect()
    }
}

#[test]
fn a_difference_names_each_counter_that_is_off() {
    let mut expected = Counters::zero(3);
    let mut actual = expected.clone();
    assert_eq!(expected.difference(&actual), None);
    expected.add(Outcome::Dropped, Some((2, 5)), 60);
    actual.add(Outcome::Passed, None, 60);
    let difference = expected.difference(&actual).unwrap();
    let names: Vec<&str> = difference
        .lines()
        .map(|line| line[..18].trim_end())
        .collect();
    assert_eq!(
        names,
        ["counter", "total Passed", "total Dropped", "class 2"]
    );
}
