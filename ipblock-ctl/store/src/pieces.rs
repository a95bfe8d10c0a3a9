//! Large texts in pieces. Similar rulesets share their common pieces, so a small edit of a large
//! ruleset writes only what it changes.
//!
//! The content of a text determines its cuts, which are at ends of lines. An insertion or deletion
//! moves only the cuts next to it.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::{
    TransactionError, schema,
    value::{Digest, Stored, digest},
};

/// Smaller texts are not cut. Every piece except the last has at least this size.
const SMALLEST: usize = 16 << 10;
/// Maximum size of a piece, unless a line is longer.
const LARGEST: usize = 256 << 10;
/// One of this number of line ends is a cut.
const CUT_ONE_IN: u128 = 1024;

/// Returns the pieces of a text, or nothing if it is not cut.
pub(super) fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > SMALLEST
        && let Some((piece, after)) = end_of_piece(rest).and_then(|end| rest.split_at_checked(end))
    {
        pieces.push(piece);
        rest = after;
    }
    if !pieces.is_empty() && !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

fn end_of_piece(text: &str) -> Option<usize> {
    let mut end = SMALLEST;
    loop {
        let line = text.get(end..).map_or_else(
            // In the middle of a character: cut after the end of this line.
            || text.bytes().skip(end).position(|byte| byte == b'\n'),
            |rest| rest.find('\n'),
        )?;
        end += line + 1;
        if end > LARGEST || is_cut(text.as_bytes().get(..end)?) {
            return Some(end);
        }
    }
}

/// Whether the last bytes make this a cut.
fn is_cut(before: &[u8]) -> bool {
    let Some(last) = before.last_chunk::<16>() else {
        return false;
    };
    let last = u128::from_le_bytes(*last);
    // An address and its length have up to sixteen bytes. The upper bits of the product depend on
    // all of them.
    let product = last.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (product >> 64).is_multiple_of(CUT_ONE_IN)
}

/// Returns the digests of pieces, in order.
pub(super) fn digests(pieces: &[&str]) -> Vec<Digest> {
    let pieces = pieces.iter();
    pieces.map(|piece| digest([piece.as_bytes()])).collect()
}

/// Records the pieces of a ruleset's text, and stores the new ones.
pub(super) fn save(
    transaction: &Transaction<'_>,
    ruleset: i64,
    pieces: &[&str],
    digests: &[Digest],
) -> Result<(), TransactionError> {
    let mut known = transaction.prepare_cached("SELECT id FROM piece WHERE sha256 = ?1")?;
    let mut store =
        transaction.prepare_cached("INSERT INTO piece (sha256, size, text) VALUES (?1, ?2, ?3)")?;
    let mut place = transaction.prepare_cached("INSERT INTO ruleset_piece VALUES (?1, ?2, ?3)")?;
    for (position, (text, sha256)) in (0_i64..).zip(pieces.iter().zip(digests)) {
        let id: Option<i64> = known.query_row([sha256], |row| row.get(0)).optional()?;
        let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let id = match id {
            Some(id) => id,
            None => store.insert((sha256, Stored(size), text))?,
        };
        place.execute((ruleset, position, id))?;
    }
    Ok(schema::mark_pieces(transaction)?)
}

/// Appends a ruleset's pieces to `text`, checks each against its digest, and returns the digests.
pub(super) fn load(
    connection: &Connection,
    ruleset: i64,
    text: &mut String,
) -> Result<Vec<Digest>, TransactionError> {
    let mut statement = connection.prepare_cached(
        "SELECT sha256, text FROM ruleset_piece JOIN piece ON id = piece
         WHERE ruleset = ?1 ORDER BY place",
    )?;
    let mut rows = statement.query([ruleset])?;
    let mut digests = Vec::new();
    while let Some(row) = rows.next()? {
        let sha256: Digest = row.get(0)?;
        let piece = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if digest([piece.as_bytes()]) != sha256 {
            return Err(TransactionError::Damaged(format!(
                "a piece of stored ruleset {ruleset} is not what was written"
            )));
        }
        text.push_str(piece);
        digests.push(sha256);
    }
    Ok(digests)
}

/// Rejects a damaged piece: a ruleset that is stored later could use it.
pub(super) fn require_all(connection: &Connection) -> Result<(), TransactionError> {
    let mut statement = connection.prepare("SELECT id, sha256, text FROM piece")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, sha256): (i64, Digest) = (row.get(0)?, row.get(1)?);
        let text = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        if digest([text.as_bytes()]) != sha256 {
            let problem = format!("stored piece {id} is not what was written");
            return Err(TransactionError::Damaged(problem));
        }
    }
    Ok(())
}

/// Deletes pieces that no ruleset contains.
pub(super) fn release(transaction: &Transaction<'_>) -> Result<(), TransactionError> {
    transaction
        .prepare_cached(
            "DELETE FROM piece
             WHERE NOT EXISTS (SELECT 1 FROM ruleset_piece WHERE piece = piece.id)",
        )?
        .execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn hosts(count: u32) -> Vec<String> {
        let hosts = (0..count).map(|number| number.wrapping_mul(0x9e37_79b1));
        hosts
            .map(|bits| format!("    \"{}/32\",\n", std::net::Ipv4Addr::from(bits)))
            .collect()
    }

    #[test]
    fn pieces_are_the_text_and_of_bounded_size() {
        let wide = "ü".repeat(SMALLEST) + "\n";
        for text in [
            String::new(),
            "x".repeat(3 * LARGEST),
            hosts(100_000).concat(),
            "the same\n".repeat(100_000),
            wide.repeat(20),
        ] {
            let pieces = cut(&text);
            if pieces.is_empty() {
                continue;
            }
            assert_eq!(pieces.concat(), text);
            let (last, others) = pieces.split_last().unwrap();
            assert!(!last.is_empty());
            for piece in others {
                assert!((SMALLEST..LARGEST + wide.len()).contains(&piece.len()));
            }
        }
        assert!(cut(&"x\n".repeat(SMALLEST / 2)).is_empty());
        assert!(cut(&hosts(100_000).concat()).len() > 20);
    }

    #[test]
    fn a_line_that_comes_or_goes_changes_the_pieces_beside_it_alone() {
        let lines = hosts(100_000);
        let text = lines.concat();
        let before: BTreeSet<_> = cut(&text).into_iter().collect();
        for place in [0, 1, 50_000, 99_999] {
            let mut edited = lines.clone();
            edited.remove(place);
            let without = edited.concat();
            edited.insert(place, "    \"192.0.2.0/24\",\n".to_owned());
            let with = edited.concat();
            for after in [&without, &with] {
                let after = cut(after).into_iter();
                let new = after.filter(|piece| !before.contains(piece)).count();
                assert!((1..=4).contains(&new), "{new} new pieces at {place}");
            }
        }
    }
}
