//! The stored form of an edit: all of it, or only its kind if it is large.

use std::io::{self, Write};

use ipblock_policy::edit::Edit;
use serde_json::{Value, json};

/// Maximum size of a completely stored edit, in bytes of JSON. The staged ruleset and the summary
/// show the effect of a larger one.
const LARGEST: usize = 64 << 10;

/// Returns an edit in its stored form; a large one becomes `{"edit": "import", "omitted_bytes":
/// n}`.
pub(crate) fn stored_edit(edit: &Edit) -> serde_json::Result<Value> {
    let mut head = Head::default();
    serde_json::to_writer(&mut head, edit)?;
    if head.written <= LARGEST {
        return serde_json::from_slice(&head.bytes);
    }
    // Serde writes the tag first: `{"edit":"import",...`.
    let name = head.bytes.split(|byte| *byte == b'"').nth(3);
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    Ok(json!({"edit": name, "omitted_bytes": head.written}))
}

/// Keeps the beginning of what is written and counts all of it.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    written: usize,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LARGEST.saturating_sub(self.bytes.len());
        let kept = bytes.get(..bytes.len().min(room)).unwrap_or(bytes);
        self.bytes.extend_from_slice(kept);
        self.written += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::edit::Import;

    use crate::rulesets::stored_edit::*;

    fn import(addresses: usize) -> Edit {
        Edit::Import(Import {
            into: "@feed".to_owned(),
            addresses: vec!["192.0.2.1"; addresses].into_iter().collect(),
            notes: Vec::new(),
            replace: false,
        })
    }

    #[test]
    fn a_small_edit_is_kept_whole() {
        let edit = import(5_000);
        assert_eq!(
            stored_edit(&edit).unwrap(),
            serde_json::to_value(&edit).unwrap()
        );
    }

    #[test]
    fn a_large_edit_is_kept_as_its_name_and_size() {
        let edit = import(6_000);
        let bytes = serde_json::to_string(&edit).unwrap().len();
        assert!(bytes > LARGEST);
        assert_eq!(
            stored_edit(&edit).unwrap(),
            json!({"edit": "import", "omitted_bytes": bytes})
        );
    }
}
