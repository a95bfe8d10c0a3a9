//! The stored form of an edit: all of it, or only its kind if it is large.

use std::{
    fmt,
    io::{self, Write},
};

use ipblock_policy::edit::Edit;
use serde::{
    Deserializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// Maximum size of a completely stored edit, in bytes of JSON. The staged ruleset and the summary
/// show the effect of a larger one.
const LARGEST: usize = 64 << 10;

/// Maximum size of a text that is kept of a larger one, in bytes: names are shorter.
const LONGEST_TEXT: usize = 256;

/// Returns an edit in its stored form; a large one becomes `{"edit": "import", "into": "@feed",
/// "omitted_bytes": n}`.
pub(crate) fn stored_edit(edit: &Edit) -> serde_json::Result<Value> {
    let mut head = Head::default();
    serde_json::to_writer(&mut head, edit)?;
    if head.written <= LARGEST {
        return serde_json::from_slice(&head.bytes);
    }
    let mut stored = texts_in(&head.bytes);
    stored.insert("omitted_bytes".to_owned(), head.written.into());
    Ok(stored.into())
}

/// Returns the first fields of an object that is cut off, as far as they are short texts: the kind
/// of an edit and the names in it precede its addresses.
fn texts_in(json: &[u8]) -> Map<String, Value> {
    struct Texts(Map<String, Value>);

    impl<'de> Visitor<'de> for &mut Texts {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an edit")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
            while let Some((name, value)) = fields.next_entry::<String, Value>()? {
                if value
                    .as_str()
                    .is_some_and(|text| text.len() <= LONGEST_TEXT)
                {
                    self.0.insert(name, value);
                }
            }
            Ok(())
        }
    }

    let mut texts = Texts(Map::new());
    // The error says where the text is cut off.
    let _cut = serde_json::Deserializer::from_slice(json).deserialize_map(&mut texts);
    texts.0
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
    use serde_json::json;

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
    fn a_large_edit_is_kept_as_its_names_and_size() {
        let edit = import(6_000);
        let bytes = serde_json::to_string(&edit).unwrap().len();
        assert!(bytes > LARGEST);
        assert_eq!(
            stored_edit(&edit).unwrap(),
            json!({"edit": "import", "into": "@feed", "omitted_bytes": bytes})
        );
    }
}
