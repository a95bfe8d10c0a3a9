//! `restore`: the restored ruleset and other data.

use std::fmt::Write as _;

use ipblock_api::types::{Applied, Restored, RestoredBans};

use super::{
    changes::{push_cautions, push_labelled, render_diff},
    number::{counted, grouped},
    view::{Tone, View},
};

/// Renders the result of a restore, or of its dry run.
#[must_use]
pub fn render_restored(applied: &Applied, view: &View) -> String {
    let same = applied.diff.rules.is_empty() && applied.diff.other.is_empty();
    let mut text = if same {
        let mut text = "the rules are the same\n".to_owned();
        // Cautions about bans do not depend on the diff.
        push_cautions(&mut text, &applied.diff, view);
        text
    } else {
        render_diff(&applied.diff, view)
    };
    if let Some(restored) = &applied.restored {
        text.push_str(&rest(restored));
    }
    if let Some(deployed) = &applied.deployed {
        let done = format!("restored: revision {} is in force", deployed.revision);
        let _ = writeln!(text, "{}", view.paint(Tone::Good, &done));
        for warning in &deployed.warnings {
            push_labelled(&mut text, view, Tone::Caution, "warning:", warning);
        }
    }
    text
}

/// Renders bans, counters, history and staged edits, one line each.
fn rest(restored: &Restored) -> String {
    let Restored {
        bans,
        packets,
        dropped,
        revision,
        staged,
    } = restored;
    let mut text = format!("bans       {}\n", ban_change(bans));
    let _ = writeln!(
        text,
        "counters   go back to {}, {} dropped (now {}, {} dropped)",
        counted(packets.after, "packet", "packets"),
        grouped(dropped.after),
        grouped(packets.before),
        grouped(dropped.before),
    );
    let _ = if revision.before == revision.after {
        writeln!(text, "history    ends with revision {}", revision.after)
    } else {
        writeln!(
            text,
            "history    ends with revision {} (now {})",
            revision.after, revision.before
        )
    };
    if (staged.before, staged.after) != (0, 0) {
        let _ = writeln!(
            text,
            "staged     {} (now {})",
            counted(staged.after, "edit", "edits"),
            grouped(staged.before)
        );
    }
    text
}

fn ban_change(bans: &RestoredBans) -> String {
    let mut parts = Vec::new();
    if bans.added > 0 {
        parts.push(format!("+{}", counted(bans.added, "ban", "bans")));
    }
    if bans.removed > 0 {
        parts.push(format!("-{}", counted(bans.removed, "ban", "bans")));
    }
    if bans.changed > 0 {
        parts.push(format!("{} changed", counted(bans.changed, "ban", "bans")));
    }
    if parts.is_empty() {
        "the same".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use ipblock_api::types::{BeforeAfter, Diff};

    use super::*;
    use crate::samples;

    fn number(before: u64, after: u64) -> BeforeAfter {
        BeforeAfter { before, after }
    }

    fn applied(restored: Restored) -> Applied {
        Applied {
            diff: Diff::default(),
            changed: restored.changes_anything(),
            deployed: None,
            restored: Some(restored),
        }
    }

    #[test]
    fn a_restore_says_what_becomes_of_bans_counters_and_history() {
        let restored = Restored {
            bans: RestoredBans {
                added: 1,
                removed: 1,
                changed: 0,
            },
            packets: number(25_000, 10),
            dropped: number(15, 5),
            revision: number(21, 20),
            staged: number(2, 0),
        };
        let mut applied = applied(restored);
        assert!(applied.changed);
        applied.deployed = Some(samples::deployed());
        insta::assert_snapshot!(render_restored(&applied, &samples::view()), @"
        the rules are the same
        bans       +1 ban, -1 ban
        counters   go back to 10 packets, 5 dropped (now 25,000, 15 dropped)
        history    ends with revision 20 (now 21)
        staged     0 edits (now 2)
        restored: revision 8 is in force
        ");
    }

    #[test]
    fn a_restore_that_changes_nothing_says_so() {
        let restored = Restored {
            packets: number(10, 10),
            revision: number(20, 20),
            ..Restored::default()
        };
        let applied = applied(restored);
        assert!(!applied.changed);
        insta::assert_snapshot!(render_restored(&applied, &samples::view()), @"
        the rules are the same
        bans       the same
        counters   go back to 10 packets, 0 dropped (now 10, 0 dropped)
        history    ends with revision 20
        ");
    }
}
