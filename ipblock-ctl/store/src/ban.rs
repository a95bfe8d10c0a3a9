//! A ban, as it is stored.

use ipblock_policy::{Origin, bans::Owned};
use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use super::{Author, End, value::Stored};

/// The particulars of a ban without its prefix. Bans of one request share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ban {
    /// The owner.
    pub origin: Origin,
    /// The end; `None` if it never ends.
    pub end: Option<End>,
    /// The reason, as the operator wrote it.
    pub reason: String,
    /// When it was first made.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
}

impl Owned for Ban {
    fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl FromSql for Stored<IpNet> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let prefix = value.as_str()?.parse::<IpNet>();
        prefix.map(Self).map_err(FromSqlError::other)
    }
}
