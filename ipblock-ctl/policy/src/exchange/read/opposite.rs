//! Recognises entries that are allowed: they mean the opposite of an address to block.

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

/// Whether a column or key with this name, in snake case, may contain this.
pub(super) fn concerns(name: &str) -> bool {
    EXCEPTED.contains(&name) || ACTIONS.contains(&name)
}

/// Whether the value of such a name says this.
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

/// Rejects such an entry.
pub(super) fn refuse(line: u64, text: &str, out: &mut Collector) {
    out.refuse(line, text, PROBLEM, Some(HINT));
}
