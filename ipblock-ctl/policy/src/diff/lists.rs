//! What changes in named lists.

use rustc_hash::FxHashSet;

use super::changed_elements;
use crate::{
    name::ListName,
    ruleset::{At, Element, List},
    source::SourceKind,
    text::{counted, grouped},
};

/// Number of prefixes that are added to a list and removed from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListDiff {
    /// Prefixes that are only in the new list.
    pub more: usize,
    /// Prefixes that are only in the old list.
    pub fewer: usize,
}

/// Compares the content of two lists, without notes and order.
#[must_use]
pub fn diff_lists(old: &List, new: &List) -> ListDiff {
    if old.elements == new.elements {
        return ListDiff::default();
    }
    let set = |list: &List| -> FxHashSet<_> {
        let elements = list.elements.iter();
        elements.map(|element| element.prefix).collect()
    };
    let (old, new) = (set(old), set(new));
    ListDiff {
        more: new.difference(&old).count(),
        fewer: old.difference(&new).count(),
    }
}

impl ListDiff {
    /// `3 prefixes more, 1 fewer`.
    #[must_use]
    pub fn in_words(self) -> String {
        let prefixes = |count| counted(count, "prefix", "prefixes");
        match (self.more, self.fewer) {
            (0, 0) => "the same prefixes".to_owned(),
            (more, 0) => format!("{} more", prefixes(more)),
            (0, fewer) => format!("{} fewer", prefixes(fewer)),
            (more, fewer) => format!("{} more, {} fewer", prefixes(more), grouped(fewer)),
        }
    }
}

/// Returns a line for the source and one for the content.
pub(super) fn changes(name: &ListName, old: Option<&List>, new: Option<&List>) -> Vec<String> {
    let Some(new) = new else {
        return vec![format!("list `{name}`: removed")];
    };
    let mut lines = Vec::new();
    let field = format!("list `{name}`");
    match old {
        None if new.is_followed() => {
            lines.push(format!("{field}: added, read from {}", new.source));
        }
        None => lines.push(format!("{field}: added")),
        Some(old) if old.source != new.source => {
            let kind = new.source.kind().or(old.source.kind());
            let key = kind.map_or("source", SourceKind::key);
            lines.push(format!("{field}: {key}: {} -> {}", old.source, new.source));
        }
        Some(_) => {}
    }
    let nothing = List::default();
    let old = old.unwrap_or(&nothing);
    if old.elements == new.elements {
        return lines;
    }
    let counts = diff_lists(old, new);
    let field = match counts {
        ListDiff { more: 0, fewer: 0 } => field,
        counts => format!("{field}: {}", counts.in_words()),
    };
    lines.extend(changed_elements(
        &field,
        &as_elements(old),
        &as_elements(new),
    ));
    lines
}

fn as_elements(list: &List) -> Vec<Element> {
    let elements = list.elements.iter().map(|element| Element {
        at: At::Prefix(element.prefix),
        note: element.note.clone(),
    });
    elements.collect()
}
