//! What says that an entry is let through: it means the opposite of what is read.

use super::collect::Collector;

const PROBLEM: &str = "an entry that is let through";
const HINT: &str =
    "add it with ipblock-ctl exception add RULE ADDRESS or ipblock-ctl allow add ADDRESS";

const EXCEPTED: [&str; 12] = [
    "allowed",
    "allowlist",
    "allowlisted",
    "except",
    "exception",
    "exclude",
    "excluded",
    "ignore",
    "negate",
    "negated",
    "whitelist",
    "whitelisted",
];
const ACTIONS: [&str; 6] = [
    "action",
    "decision",
    "disposition",
    "policy",
    "target",
    "verdict",
];

/// Whether a column or key of this name, in snake case, may say so.
pub(super) fn concerns(name: &str) -> bool {
    EXCEPTED.contains(&name) || ACTIONS.contains(&name)
}

/// Whether what stands under such a name does.
pub(super) fn says_so(name: &str, value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let is_true = || matches!(value.as_str(), "true" | "1" | "yes" | "y" | "t");
    EXCEPTED.contains(&name) && is_true()
        || ACTIONS.contains(&name)
            && matches!(
                value.as_str(),
                "accept" | "allow" | "ignore" | "pass" | "permit" | "whitelist"
            )
}

/// Refuses such an entry.
pub(super) fn refuse(line: u64, text: &str, out: &mut Collector) {
    out.refuse(line, text, PROBLEM, Some(HINT));
}
