//! Turns a source address into a judgement.

use aya_ebpf::{
    bindings::xdp_action::{self, XDP_DROP, XDP_PASS},
    helpers::bpf_ktime_get_boot_ns,
};
use aya_log_ebpf::debug;
use ipblock_common::{
    Class, ClassId, ClassVerdict, Outcome,
    class::{self, NO_CLASS},
};

use crate::{
    account, alert,
    bans::Bannable,
    essential::Spared,
    frame::Frame,
    hits,
    maps::{self, CLASSES},
    packet::{IpHeader, Malformed},
    source::Source,
    tables::Classified,
};

/// A source that can be judged.
pub(crate) trait Judged: Source + Classified + Bannable + Spared {}

impl<S: Source + Classified + Bannable + Spared> Judged for S {}

/// The action on a packet, and the total that counts it.
pub(crate) struct Judgement {
    pub(crate) action: xdp_action::Type,
    pub(crate) outcome: Outcome,
}

impl Judgement {
    #[inline(always)]
    pub(crate) const fn pass(outcome: Outcome) -> Self {
        Self {
            action: XDP_PASS,
            outcome,
        }
    }

    const DROP: Self = Self {
        action: XDP_DROP,
        outcome: Outcome::Dropped,
    };

    /// The judgement while `panic-off` is in force. The class or ban that matched has already
    /// counted the packet.
    #[inline(always)]
    pub(crate) fn called_off(self) -> Self {
        Self::pass(match self.outcome {
            Outcome::Dropped => Outcome::Passed,
            other => other,
        })
    }
}

/// Judges a packet by its source: an allow list passes it, then a ban drops it, then the class
/// decides. Counts the packet for its source's class or for bans, and alerts if a rule asks for it.
#[inline(always)]
pub(crate) fn judge<S: Judged>(frame: &Frame<'_>, header: &IpHeader<S>) -> Judgement {
    let source = header.source;
    let Some((id, class)) = find_class(source) else {
        if let Some(slot) = source.find_ban() {
            return judge_banned(frame, source, slot);
        }
        return judge_by_default(frame, header, Outcome::Passed);
    };
    let verdict = ClassVerdict::from_number(class.verdict);
    if verdict != ClassVerdict::Allow
        && let Some(slot) = source.find_ban()
    {
        return judge_banned(frame, source, slot);
    }
    let now = account::class(frame, id);
    if matches!(verdict, ClassVerdict::Block | ClassVerdict::Warn) {
        hits::count(frame, || source.key(id), now);
        if class.alert != 0 {
            alert::see(frame, header.offset, &source.key(id), now);
        }
    }
    match verdict {
        ClassVerdict::Allow => Judgement::pass(Outcome::Allowed),
        ClassVerdict::Block => Judgement::DROP,
        ClassVerdict::Warn => judge_by_default(frame, header, Outcome::Warned),
        ClassVerdict::Default => judge_by_default(frame, header, Outcome::Passed),
    }
}

#[inline(always)]
fn judge_banned(frame: &Frame<'_>, source: impl Judged, slot: u32) -> Judgement {
    let now = account::class(frame, NO_CLASS);
    account::ban(slot, now);
    hits::count(frame, || source.key(NO_CLASS), now);
    Judgement::DROP
}

/// Judges a packet with an unreadable source. The zone's policy applies only where the host's own
/// stack would refuse the packet too.
#[inline(always)]
pub(crate) fn judge_malformed(frame: &Frame<'_>, why: Malformed) -> Judgement {
    debug!(frame.ctx(), "malformed frame of {} bytes", frame.len());
    let is_dropped = why == Malformed::Tags || maps::malformed_is_drop();
    Judgement {
        action: if is_dropped { XDP_DROP } else { XDP_PASS },
        outcome: Outcome::Malformed,
    }
}

/// Applies the zone's default. `passed` is the outcome if the default passes the packet.
#[inline(always)]
fn judge_by_default<S: Judged>(
    frame: &Frame<'_>,
    header: &IpHeader<S>,
    passed: Outcome,
) -> Judgement {
    if maps::default_is_drop() && !S::is_essential(frame, header.offset) {
        return Judgement::DROP;
    }
    Judgement::pass(passed)
}

/// Returns the class in force for a source, or `None` if no rule matches it (any longer).
#[inline(always)]
fn find_class(source: impl Judged) -> Option<(ClassId, &'static Class)> {
    // SAFETY: the helper takes no argument.
    let now = || unsafe { bpf_ktime_get_boot_ns() };
    class::in_force(source.find_class(), |id| CLASSES.get(id), now)
}
