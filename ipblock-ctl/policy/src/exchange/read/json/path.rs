//! Places in a JSON document: `.values[].properties.addressPrefixes[]`.

use std::{fmt, str::FromStr};

use crate::text::excerpt;

/// Maximum number of steps: `serde_json` reads no deeper document.
const MAX_STEPS: usize = 128;

/// One step from a value to a value inside of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::exchange::read) enum Step {
    /// To the value of a key.
    Key(Box<str>),
    /// To each element of an array.
    Each,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each => f.write_str("[]"),
            Self::Key(key) if is_plain(key) => write!(f, ".{key}"),
            Self::Key(key) => write!(f, "[{}]", serde_json::Value::from(&**key)),
        }
    }
}

/// Whether a key needs no quotes.
fn is_plain(key: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !key.is_empty() && key.bytes().all(is_word)
}

/// Where in a JSON document the addresses are: keys as `.key` or `["key"]`, and `[]` for each element
/// of an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonPath {
    pub(in crate::exchange::read) steps: Vec<Step>,
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As jq writes it: `.[]`.
        if !matches!(self.steps.first(), Some(Step::Key(key)) if is_plain(key)) {
            f.write_str(".")?;
        }
        self.steps.iter().try_for_each(|step| step.fmt(f))
    }
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        if !rest.is_empty() && !rest.starts_with(['.', '[']) {
            rest = push_key(rest, &mut steps)?;
        }
        while !rest.is_empty() {
            if let Some(bracket) = rest.strip_prefix(".[").or(rest.strip_prefix('[')) {
                rest = push_bracket(bracket, &mut steps)?;
            } else if rest == "." && steps.is_empty() {
                rest = "";
            } else if let Some(key) = rest.strip_prefix('.') {
                rest = push_key(key, &mut steps)?;
            } else {
                return Err(format!("`.` or `[` is missing before `{}`", excerpt(rest)));
            }
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("a path has at most {MAX_STEPS} steps"));
        }
        Ok(Self { steps })
    }
}

fn push_key<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (key, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if key.is_empty() {
        return Err("a key is missing: write for example .data[].ip".to_owned());
    }
    if key.contains([']', '"', '*', '?', '(', '@']) {
        let key = excerpt(key);
        return Err(format!("`{key}` is not a key: write [\"{key}\"] if it is"));
    }
    steps.push(Step::Key(key.into()));
    Ok(rest)
}

/// Reads what follows `[`.
fn push_bracket<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    if let Some(rest) = text.strip_prefix(']').or(text.strip_prefix("*]")) {
        steps.push(Step::Each);
        return Ok(rest);
    }
    if text.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let key = values.next().and_then(Result::ok);
        let rest = text.get(values.byte_offset()..).unwrap_or_default();
        if let (Some(key), Some(rest)) = (key, rest.strip_prefix(']')) {
            steps.push(Step::Key(key.into()));
            return Ok(rest);
        }
    }
    let quoted = text
        .strip_prefix('\'')
        .and_then(|text| text.split_once("']"));
    if let Some((key, rest)) = quoted.filter(|(key, _)| !key.contains('\'')) {
        steps.push(Step::Key(key.into()));
        return Ok(rest);
    }
    let inside = text.split(']').next().unwrap_or_default();
    Err(format!(
        "`[{}]` is not a step: write [] for each element, or [\"key\"]",
        excerpt(inside)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_printed() {
        for (text, printed) in [
            (
                ".values[].properties.addressPrefixes[]",
                ".values[].properties.addressPrefixes[]",
            ),
            ("$.data[*].ipAddress", ".data[].ipAddress"),
            ("data[].ip", ".data[].ip"),
            (".[]", ".[]"),
            ("[]", ".[]"),
            (".", "."),
            ("", "."),
            (".[\"a.b\"][]", ".[\"a.b\"][]"),
            ("['a b'].c", ".[\"a b\"].c"),
            (r#".x["q\"]"]"#, r#".x["q\"]"]"#),
        ] {
            let path: JsonPath = text.parse().unwrap();
            assert_eq!(path.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(path), "{text}");
        }
        for text in [
            "..a", ".a.", ".a[0]", ".a[1:2]", ".a[", ".a[]b", ".a[\"b]", ".a.*", "?(@.x)", ".a[?]",
        ] {
            assert!(text.parse::<JsonPath>().is_err(), "{text}");
        }
    }
}
