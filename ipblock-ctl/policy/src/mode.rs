//! The two ways of being on an interface.

use super::word::words;

words! {
    /// How the filter is attached.
    pub enum Mode {
        /// In the driver.
        Native = "native",
        /// In the stack, after the driver built an skb: slower.
        Generic = "generic",
    }
    or "auto" in asked
}

/// The mode that is asked for; none: native where the driver can, generic otherwise.
pub type AskedMode = Option<Mode>;

impl Mode {
    /// What it means, for `--help`.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Native => "In the driver: fast",
            Self::Generic => "In the network stack: works everywhere, slower",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[test]
    fn a_value_has_one_word_everywhere() {
        assert_eq!(Mode::WORDS.map(|(mode, _)| mode), Mode::ALL);
        for (mode, word) in Mode::WORDS {
            assert_eq!((mode.as_str(), mode.to_string().as_str()), (word, word));
            assert_eq!(word.parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), word);
            assert_eq!(serde_json::from_value::<Mode>(word.into()).unwrap(), mode);
        }
        let refused = "e\n0".parse::<Mode>().unwrap_err();
        assert_eq!(refused, "`e\\n0` is none of `native` and `generic`");
    }

    #[test]
    fn none_has_a_word_too() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Asked(#[serde(with = "asked")] AskedMode);

        assert_eq!(asked::WORDS.len(), Mode::ALL.len() + 1);
        for (mode, word) in asked::WORDS {
            assert_eq!(asked::word(*mode), *word);
            assert_eq!(asked::parse(word).as_ref(), Ok(mode));
            let json = serde_json::to_value(Asked(*mode)).unwrap();
            assert_eq!(json, *word);
            assert_eq!(serde_json::from_value::<Asked>(json).unwrap(), Asked(*mode));
        }
        let refused = asked::parse("fast").unwrap_err();
        assert_eq!(refused, "`fast` is none of `auto`, `native` and `generic`");
    }
}
