//! Enumerations whose values have one word each: on the command line, in ruleset files, in JSON, in the
//! store and in messages.

/// Declares such an enumeration, and what reads and writes its words.
///
/// `or "auto" in asked` adds a module for an option of it: there the word means `None`.
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$about:meta])* $variant:ident = $word:literal,)+
        }
        or $none:literal in $module:ident
    ) => {
        $crate::words! {
            $(#[$meta])*
            pub enum $name {
                $($(#[$about])* $variant = $word,)+
            }
        }

        #[doc = concat!("An option of [`", stringify!($name), "`]; none is `", $none, "`.")]
        pub mod $module {
            use super::$name;

            /// Every value with its word.
            pub const WORDS: &[(Option<$name>, &str)] =
                &[(None, $none), $((Some($name::$variant), $word)),+];

            /// The word for a value.
            #[must_use]
            pub fn word(value: Option<$name>) -> &'static str {
                value.map_or($none, $name::as_str)
            }

            /// Returns the value of a word.
            pub fn parse(text: &str) -> Result<Option<$name>, String> {
                let found = WORDS.iter().find(|(_, word)| *word == text);
                let none_of = || $crate::word::none_of(text, &[$none, $($word),+]);
                found.map(|(value, _)| *value).ok_or_else(none_of)
            }

            /// For `#[serde(with)]`.
            pub fn serialize<S: ::serde::Serializer>(
                value: &Option<$name>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.serialize_str(word(*value))
            }

            /// For `#[serde(with)]`.
            pub fn deserialize<'de, D: ::serde::Deserializer<'de>>(
                from: D,
            ) -> Result<Option<$name>, D::Error> {
                let text = <String as ::serde::Deserialize>::deserialize(from)?;
                parse(&text).map_err(::serde::de::Error::custom)
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$about:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Every value with its word.
            pub const WORDS: [(Self, &'static str); [$($word),+].len()] =
                [$((Self::$variant, $word)),+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.into_iter().find(|value| value.as_str() == text);
                found.ok_or_else(|| $crate::word::none_of(text, &[$($word),+]))
            }
        }
    };
}

pub use words;

/// What is wrong with a text that is not one of these words.
#[must_use]
pub fn none_of(text: &str, words: &[&str]) -> String {
    let text = super::text::excerpt(text);
    let (last, others) = words.split_last().unwrap_or((&"", &[]));
    format!("`{text}` is none of `{}` and `{last}`", others.join("`, `"))
}
