//! How values are stored in columns.
//!
//! - Numbers: SQLite's integers are `i64`. A `u64` beyond `i64::MAX` is stored as `i64::MAX`. So a
//!   counter saturates instead of going backwards or failing a deploy: 2^63 bytes are 23 years at
//!   100 Gbit/s. Sequence numbers never come near.
//! - Times: microseconds since 1970, which can represent every [`Timestamp`]. Finer parts are cut
//!   off.
//! - Enumerations: the words of the CLI and the TOML.

use ipblock_policy::{DefaultVerdict, MalformedPolicy, Origin, RuleId, RuleName, ZoneName};
use jiff::Timestamp;
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use sha2::{Digest as _, Sha256};

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// Returns the digest of parts, including their boundaries.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hash.update(length.to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A value in the form of its column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<T>(pub(super) T);

impl ToSql for Stored<u64> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Stored<u64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        match u64::try_from(number) {
            Ok(number) => Ok(Self(number)),
            Err(_) => Err(FromSqlError::OutOfRange(number)),
        }
    }
}

impl ToSql for Stored<RuleId> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Stored<RuleId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Stored::<u64>::column_result(value).map(|number| Self(RuleId(number.0)))
    }
}

impl ToSql for Stored<Timestamp> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for Stored<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let time = Timestamp::from_microsecond(value.as_i64()?);
        time.map(Self).map_err(FromSqlError::other)
    }
}

macro_rules! stored_name {
    ($($type:ty),*) => {$(
        impl ToSql for Stored<&$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.as_str().into())
            }
        }

        impl FromSql for Stored<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let name = value.as_str()?.parse::<$type>();
                name.map(Self).map_err(FromSqlError::other)
            }
        }
    )*};
}

stored_name!(Origin, RuleName, ZoneName);

/// An enumeration that is stored as words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// Every variant with its word. Never change a word: stores contain it.
    const WORDS: &'static [(Self, &'static str)];
}

impl<T: Word> ToSql for Stored<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let found = T::WORDS.iter().find(|(variant, _)| *variant == self.0);
        match found {
            Some((_, word)) => Ok((*word).into()),
            None => Err(rusqlite::Error::ToSqlConversionFailure(
                "a variant without a word".into(),
            )),
        }
    }
}

impl<T: Word> FromSql for Stored<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let found = T::WORDS.iter().find(|(_, word)| *word == text);
        match found {
            Some((variant, _)) => Ok(Self(*variant)),
            None => Err(FromSqlError::Other(
                format!("`{text}` is not a known word").into(),
            )),
        }
    }
}

impl Word for DefaultVerdict {
    const WORDS: &'static [(Self, &'static str)] = &Self::WORDS;
}

impl Word for MalformedPolicy {
    const WORDS: &'static [(Self, &'static str)] = &Self::WORDS;
}
