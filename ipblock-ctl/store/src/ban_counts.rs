//! Checkpoints of what each ban has dropped. While the kernel has the counter, its count is the
//! true one.

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Store, StoreError, value::Stored};

/// What the bans of a prefix have dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BanCounts {
    /// Packets.
    pub packets: u64,
    /// When the last one was dropped.
    pub last_hit: Option<Timestamp>,
}

impl Store {
    /// Returns the last checkpoint of every prefix that is banned, unordered.
    pub fn ban_counts(&self) -> Result<Vec<(IpNet, BanCounts)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT prefix, packets, last_hit FROM ban_count
                 WHERE prefix IN (SELECT prefix FROM ban UNION SELECT prefix FROM owned_ban)",
            )?;
            let rows = statement.query_map([], |row| {
                let prefix: Stored<IpNet> = row.get(0)?;
                let packets: Stored<u64> = row.get(1)?;
                let last_hit: Option<Stored<Timestamp>> = row.get(2)?;
                let counts = BanCounts {
                    packets: packets.0,
                    last_hit: last_hit.map(|time| time.0),
                };
                Ok((prefix.0, counts))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Replaces the checkpoints of these prefixes, which must be banned.
    pub fn save_ban_counts(&self, counts: &[(IpNet, BanCounts)]) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut save = transaction
                .prepare_cached("INSERT OR REPLACE INTO ban_count VALUES (?1, ?2, ?3)")?;
            for (prefix, counts) in counts {
                save.execute((
                    prefix.to_string(),
                    Stored(counts.packets),
                    counts.last_hit.map(Stored),
                ))?;
            }
            Ok(())
        })
    }

    /// Removes checkpoints of bans that a build without them has removed. Returns their number.
    pub fn forget_counts_of_gone_bans(&self) -> Result<usize, StoreError> {
        self.write(|transaction| {
            let forget = "DELETE FROM ban_count WHERE prefix NOT IN (
                SELECT prefix FROM ban UNION SELECT prefix FROM owned_ban)";
            Ok(transaction.execute(forget, [])?)
        })
    }
}

/// Removes the checkpoints of those prefixes that are not banned any more: another ban begins at 0.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    prefixes: impl IntoIterator<Item = String>,
) -> rusqlite::Result<()> {
    let mut forget = transaction.prepare_cached(
        "DELETE FROM ban_count WHERE prefix = ?1
             AND NOT EXISTS (SELECT 1 FROM ban WHERE prefix = ?1)
             AND NOT EXISTS (SELECT 1 FROM owned_ban WHERE prefix = ?1)",
    )?;
    for prefix in prefixes {
        forget.execute([prefix])?;
    }
    Ok(())
}
