//! IPv4-mapped addresses in edits are read as IPv4, and the answer says so.

use super::Edit;
use crate::address::read_as_ipv4;

/// Returns a remark about the IPv4-mapped addresses in an edit, if there are any.
pub(super) fn remark(edit: &Edit) -> Option<String> {
    read_as_ipv4(addresses(edit))
}

fn addresses(edit: &Edit) -> Vec<&str> {
    let lists: Vec<&[String]> = match edit {
        Edit::AddRule(rule) => vec![&rule.matches, &rule.except],
        Edit::EditRule(change) => vec![
            &change.add_match,
            &change.remove_match,
            &change.add_except,
            &change.remove_except,
        ],
        Edit::AddAllow { addresses, .. }
        | Edit::RemoveAllow { addresses, .. }
        | Edit::AddException { addresses, .. }
        | Edit::RemoveException { addresses, .. }
        | Edit::AddToList { addresses, .. }
        | Edit::RemoveFromList { addresses, .. } => vec![addresses],
        Edit::SetList { addresses, .. } => addresses.iter().map(Vec::as_slice).collect(),
        Edit::EditException { old, new, .. } => return vec![old, new],
        Edit::ReplaceRule { .. }
        | Edit::RemoveRules { .. }
        | Edit::RemoveList { .. }
        | Edit::SetZone { .. }
        | Edit::RemoveZone { .. }
        | Edit::Import(_) => Vec::new(),
    };
    lists.into_iter().flatten().map(String::as_str).collect()
}
