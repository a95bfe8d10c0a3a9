//! Many short texts in one allocation, for large edits.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

/// A list of texts; in JSON an array of strings. A text takes its bytes and eight more, while each
/// `String` is an allocation of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedTexts {
    all: String,
    /// The end of each text in `all`.
    ends: Vec<usize>,
}

impl PackedTexts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }

    /// Returns their number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = self.all.get(start..end).unwrap_or_default();
            start = end;
            text
        })
    }
}

impl<S: AsRef<str>> FromIterator<S> for PackedTexts {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut all = Self::default();
        for text in texts {
            all.push(text.as_ref());
        }
        all
    }
}

impl Serialize for PackedTexts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for PackedTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = PackedTexts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut sequence: A,
            ) -> Result<PackedTexts, A::Error> {
                let mut texts = PackedTexts::default();
                while sequence.next_element_seed(Next(&mut texts))?.is_some() {}
                Ok(texts)
            }
        }

        deserializer.deserialize_seq(All)
    }
}

/// Appends one text without a temporary `String`.
struct Next<'t>(&'t mut PackedTexts);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_an_array_of_strings_in_json() {
        let texts: PackedTexts = ["192.0.2.1", "", "a \"note\""].into_iter().collect();
        let json = serde_json::to_string(&texts).unwrap();
        assert_eq!(json, r#"["192.0.2.1","","a \"note\""]"#);
        assert_eq!(serde_json::from_str::<PackedTexts>(&json).unwrap(), texts);
        assert_eq!(
            texts.iter().collect::<Vec<_>>(),
            ["192.0.2.1", "", "a \"note\""]
        );
        assert_eq!(texts.len(), 3);
    }

    #[test]
    fn what_is_no_string_is_refused() {
        let error = serde_json::from_str::<PackedTexts>(r#"["192.0.2.1",7]"#).unwrap_err();
        assert!(error.to_string().contains("expected a string"), "{error}");
    }
}
