//! The prefixes of audit entries about bans: all of them, while the detail of an entry has only a
//! few.
//!
//! There is one row per entry. All rows together have a maximum size: the oldest rows are deleted
//! first, and each row is deleted with its entry. A prefix takes 5 bytes (IPv4) or 17 (IPv6): one
//! byte for family and length, then the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::Transaction;

use super::{
    AuditEntry, AuditMatch, AuditPage, Author, Limits, Store, StoreError, TransactionError,
    value::Stored,
};

/// Added to the length of an IPv6 prefix: IPv4 has lengths up to 32.
const IPV6: u8 = 64;

/// Maximum of prefixes that are listed for a matching entry.
const NAMED: usize = 10;

impl Store {
    /// Searches the newest `rows` entries before number `before`. Returns those with a prefix that
    /// overlaps one of `wanted`, newest first.
    pub fn audit_about(
        &self,
        wanted: &[IpNet],
        before: Option<i64>,
        rows: u32,
    ) -> Result<AuditPage, StoreError> {
        let overlaps = |prefix: &IpNet| {
            let mut wanted = wanted.iter();
            wanted.any(|wanted| wanted.contains(prefix) || prefix.contains(wanted))
        };
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT time, uid, author, what, detail, prefixes, number
                 FROM audit LEFT JOIN audit_prefixes ON entry = number
                 WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )?;
            let mut rows = statement.query((before.unwrap_or(i64::MAX), rows))?;
            let mut page = AuditPage::default();
            while let Some(row) = rows.next()? {
                page.last = Some(row.get(6)?);
                let detail = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
                let stored = row.get_ref(5)?.as_blob_or_null();
                let stored = stored.map_err(rusqlite::Error::from)?;
                let named: Vec<IpNet> = match stored {
                    Some(bytes) => decoded(bytes).filter(overlaps).take(NAMED).collect(),
                    None => mentioned(detail).filter(overlaps).take(NAMED).collect(),
                };
                if named.is_empty() {
                    continue;
                }
                let time: Stored<Timestamp> = row.get(0)?;
                page.entries.push(AuditMatch {
                    entry: AuditEntry {
                        time: time.0,
                        author: Author::from_columns(row, 1)?,
                        what: row.get(3)?,
                        detail: detail.to_owned(),
                    },
                    prefixes: named,
                });
            }
            Ok(page)
        })
    }
}

/// Records the prefixes of the entry with this number.
pub(super) fn record(
    transaction: &Transaction<'_>,
    entry: i64,
    prefixes: &[IpNet],
    limits: &Limits,
) -> Result<(), TransactionError> {
    let encoded = encoded(prefixes);
    let size = u64::try_from(encoded.len()).unwrap_or(u64::MAX);
    transaction
        .prepare_cached("INSERT INTO audit_prefixes VALUES (?1, ?2, ?3)")?
        .execute((entry, Stored(size), encoded))?;
    // Small entries only from time to time, because it reads all rows.
    if size > limits.audit_prefix_bytes / 1_024 || entry % i64::from(limits.audit_slack) == 0 {
        prune(transaction, limits)?;
    }
    Ok(())
}

fn prune(transaction: &Transaction<'_>, limits: &Limits) -> Result<(), TransactionError> {
    transaction
        .prepare_cached(
            "DELETE FROM audit_prefixes WHERE entry <= (
                 SELECT entry FROM (
                     SELECT entry, sum(size) OVER (ORDER BY entry DESC) AS kept
                     FROM audit_prefixes)
                 WHERE kept > ?1 ORDER BY entry DESC LIMIT 1)",
        )?
        .execute([Stored(limits.audit_prefix_bytes)])?;
    Ok(())
}

fn encoded(prefixes: &[IpNet]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(prefixes.len() * 5);
    for prefix in prefixes {
        match prefix {
            IpNet::V4(net) => {
                bytes.push(net.prefix_len());
                bytes.extend(net.addr().octets());
            }
            IpNet::V6(net) => {
                bytes.push(IPV6 + net.prefix_len());
                bytes.extend(net.addr().octets());
            }
        }
    }
    bytes
}

/// Decodes the prefixes in a row, up to the first invalid byte. Only searches depend on them.
fn decoded(mut bytes: &[u8]) -> impl Iterator<Item = IpNet> {
    std::iter::from_fn(move || {
        let (&tag, rest) = bytes.split_first()?;
        let (address, length, rest) = if tag < IPV6 {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::V4(Ipv4Addr::from(*octets)), tag, rest)
        } else {
            let (octets, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::V6(Ipv6Addr::from(*octets)), tag - IPV6, rest)
        };
        bytes = rest;
        IpNet::new(address, length).ok()
    })
}

/// Returns the addresses and prefixes in a text.
fn mentioned(text: &str) -> impl Iterator<Item = IpNet> {
    let around = |c: char| !c.is_ascii_alphanumeric() && c != ':';
    text.split_whitespace().filter_map(move |word| {
        let word = word.trim_matches(around);
        let address = |word: &str| word.parse::<IpAddr>().ok().map(IpNet::from);
        let prefix = word.parse().ok().or_else(|| address(word));
        prefix.or_else(|| address(word.trim_end_matches(':')))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_found_in_details() {
        let text = "rule abuse: match: +203.0.113.0/24, -198.51.100.7/32; 192.0.2.1: x 2001:db8::";
        let found: Vec<String> = mentioned(text).map(|prefix| prefix.to_string()).collect();
        assert_eq!(
            found,
            [
                "203.0.113.0/24",
                "198.51.100.7/32",
                "192.0.2.1/32",
                "2001:db8::/128"
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(addresses: Vec<(IpAddr, u8)>) {
            let nets = addresses.into_iter().map(|(address, length)| {
                let most = IpNet::from(address).max_prefix_len();
                IpNet::new(address, length % (most + 1)).unwrap()
            });
            let nets: Vec<IpNet> = nets.collect();
            prop_assert_eq!(decoded(&encoded(&nets)).collect::<Vec<_>>(), nets);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(decoded(&bytes).count() <= bytes.len());
        }
    }
}
