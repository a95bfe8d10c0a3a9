//! Overlapping bans, and the writes to the kernel's tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use arbitrary::{Result, Unstructured};
use ipblock_policy::bans::{Ban, Bans, NEVER, Write};
use ipnet::IpNet;

use crate::{
    rulesets::prefix,
    span::{Span, boundaries},
};

/// The time of the questions.
const NOW: u64 = 100;

/// Changes that one input may make.
const CHANGES: usize = 8;

/// The bans as a simple map.
type Book = BTreeMap<IpNet, u64>;

type Change = Vec<(IpNet, Option<Ban<()>>)>;

/// After each write, an address that is banned before and after the change is banned. After all of
/// them, the kernel's tables have the right end for each address. And each change can be undone.
pub fn bans(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let (mut bans, mut book, mut table) = (Bans::default(), Book::new(), Book::new());
    for _ in 0..CHANGES {
        let Ok(change) = change(&mut bytes) else {
            return;
        };
        if change.is_empty() {
            return;
        }
        let was = book.clone();
        let before = put(&mut bans, change, &mut book, &mut table);
        if before.is_empty() {
            continue;
        }
        // Undone, and repeated.
        let (after, undo) = (book.clone(), before);
        let redo = put(&mut bans, undo, &mut book, &mut table);
        assert_eq!(book, was);
        put(&mut bans, redo, &mut book, &mut table);
        assert_eq!(book, after);
    }
}

fn change(u: &mut Unstructured<'_>) -> Result<Change> {
    let mut change = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let prefix = prefix(u)?;
        let deadline: u8 = u.arbitrary()?;
        let ban = match deadline {
            0..64 => None,
            64..72 => Some(NEVER),
            _ => Some(u64::from(deadline)),
        };
        change.push((prefix, ban.map(|deadline| Ban { deadline, info: () })));
    }
    Ok(change)
}

/// Applies a change everywhere, and returns what undoes it.
fn put(bans: &mut Bans<()>, change: Change, book: &mut Book, table: &mut Book) -> Change {
    let old = book.clone();
    for (prefix, ban) in &change {
        match ban {
            Some(ban) => book.insert(*prefix, ban.deadline),
            None => book.remove(prefix),
        };
    }
    let changed = bans.change(change);
    let prefixes: BTreeSet<IpNet> = old.keys().chain(book.keys()).copied().collect();
    let addresses = boundaries(prefixes);
    let stays = |address: &IpAddr| is_banned(&old, *address) && is_banned(book, *address);
    let banned: Vec<IpAddr> = addresses.iter().copied().filter(stays).collect();
    for write in &changed.writes {
        match *write {
            Write::Set(prefix, deadline) => drop(table.insert(prefix, deadline)),
            Write::Remove(prefix) => {
                assert!(table.remove(&prefix).is_some(), "{prefix} was not there");
            }
        }
        for address in &banned {
            let entry = entry(table, *address);
            assert!(
                entry.is_some_and(|end| end > NOW),
                "{address} is free after {write:?}"
            );
        }
    }
    check(bans, book, table, &addresses);
    changed.before
}

fn check(bans: &Bans<()>, book: &Book, table: &Book, addresses: &[IpAddr]) {
    assert_eq!(bans.entries().collect::<Book>(), *table);
    let held = bans.iter().map(|(prefix, ban)| (prefix, ban.deadline));
    assert_eq!(held.collect::<Book>(), *book);
    assert_eq!((bans.len(), bans.is_empty()), (book.len(), book.is_empty()));
    let live = book.values().filter(|end| **end > NOW).count();
    assert_eq!(bans.count_live(NOW), live);
    let ended: BTreeSet<IpNet> = bans.ended(NOW).collect();
    assert!(ended.iter().all(|prefix| book[prefix] <= NOW) && ended.len() + live == book.len());
    for address in addresses {
        let covering = book
            .iter()
            .filter(|(net, _)| Span::of(**net).holds(*address));
        let latest = covering.map(|(_, end)| *end).max();
        assert_eq!(entry(table, *address), latest, "{address}");
        assert_eq!(bans.entry_for(*address), latest, "{address}");
        let lasting = bans.covering((*address).into(), NOW);
        let lasting = lasting.map(|(net, ban)| (Span::of(net).holds(*address), ban.deadline));
        let expected = latest.filter(|end| *end > NOW).map(|end| (true, end));
        assert_eq!(lasting, expected, "{address}");
    }
    for whole in book.keys() {
        let is_inside = |net: &&IpNet| *net != whole && whole.contains(*net);
        let inside: BTreeSet<&IpNet> = book.keys().filter(is_inside).collect();
        let found: Vec<IpNet> = bans.inside(*whole).map(|(net, _)| net).collect();
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), inside, "in {whole}");
        assert_eq!(found.len(), inside.len(), "in {whole}");
    }
    let next = bans.ending_next(NOW, 3);
    let ends = |end: &u64| *end > NOW && *end != NEVER;
    let mut ends: Vec<u64> = book.values().copied().filter(ends).collect();
    ends.sort_unstable();
    ends.truncate(3);
    assert_eq!(
        next.iter().map(|(_, ban)| ban.deadline).collect::<Vec<_>>(),
        ends
    );
}

fn is_banned(book: &Book, address: IpAddr) -> bool {
    let mut live = book.iter().filter(|(_, end)| **end > NOW);
    live.any(|(net, _)| Span::of(*net).holds(address))
}

/// Returns what the kernel finds: only the longest prefix.
fn entry(table: &Book, address: IpAddr) -> Option<u64> {
    let holding = table
        .iter()
        .filter(|(net, _)| Span::of(**net).holds(address));
    let longest = holding.max_by_key(|(net, _)| net.prefix_len());
    longest.map(|(_, end)| *end)
}
