//! Reads edits from a request.
//!
//! serde reads an internally tagged value into a tree first, because the tag may be anywhere. For
//! an import of a million addresses that tree would be the largest object in the daemon. If the tag
//! comes first, as all clients write it, the rest can be read as a stream.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::{Edit, Import};

/// Reads an array of edits; for `#[serde(deserialize_with)]`.
pub fn edits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Edit>, D::Error> {
    struct All;

    impl<'de> Visitor<'de> for All {
        type Value = Vec<Edit>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of edits")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Edit>, A::Error> {
            let mut edits = Vec::new();
            while let Some(One(edit)) = sequence.next_element()? {
                edits.push(edit);
            }
            Ok(edits)
        }
    }

    deserializer.deserialize_seq(All)
}

struct One(Edit);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = One;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an edit")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<One, A::Error> {
                let mut others = Map::new();
                if let Some(first) = fields.next_key::<String>()? {
                    let value: Value = fields.next_value()?;
                    if first == "edit" && value == "import" {
                        let rest = MapAccessDeserializer::new(fields);
                        return Import::deserialize(rest).map(|import| One(Edit::Import(import)));
                    }
                    others.insert(first, value);
                }
                while let Some((field, value)) = fields.next_entry::<String, Value>()? {
                    if others.contains_key(&field) {
                        return Err(A::Error::custom(format!("duplicate field `{field}`")));
                    }
                    others.insert(field, value);
                }
                let edit = Edit::deserialize(Value::Object(others));
                edit.map(One).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> serde_json::Result<Vec<Edit>> {
        edits(&mut serde_json::Deserializer::from_str(json))
    }

    #[test]
    fn the_tag_may_stand_anywhere() {
        for json in [
            r#"[{"edit":"import","into":"@feed","addresses":["192.0.2.1"],"replace":true}]"#,
            r#"[{"into":"@feed","addresses":["192.0.2.1"],"edit":"import","replace":true}]"#,
        ] {
            let import = Edit::Import(Import {
                into: "@feed".to_owned(),
                addresses: ["192.0.2.1"].into_iter().collect(),
                notes: Vec::new(),
                replace: true,
            });
            assert_eq!(read(json).unwrap(), [import], "{json}");
        }
        let remove = r#"[{"names":["abuse"],"edit":"remove_rules"}]"#;
        let names = vec!["abuse".to_owned()];
        assert_eq!(read(remove).unwrap(), [Edit::RemoveRules { names }]);
    }

    #[test]
    fn what_is_no_edit_is_refused_as_serde_refuses_it() {
        for (json, problem) in [
            (
                r#"[{"edit":"import","into":"a"}]"#,
                "missing field `addresses`",
            ),
            (
                r#"[{"edit":"import","into":"a","x":1}]"#,
                "unknown field `x`",
            ),
            (
                r#"[{"edit":"set_list","list":"a","file":"b","x":1}]"#,
                "unknown field `x`",
            ),
            (r#"[{"edit":"nope"}]"#, "unknown variant `nope`"),
            (r#"[{"names":["a"]}]"#, "missing field `edit`"),
            (
                r#"[{"edit":"remove_rules","names":[],"names":[]}]"#,
                "duplicate field `names`",
            ),
            (r"[7]", "expected an edit"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }
}
