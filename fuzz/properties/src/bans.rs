//! Overlapping bans, and the writes to the kernel's tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use arbitrary::{Result, Unstructured};
use ipblock_policy::{
    Origin,
    bans::{Ban, Bans, Change, NEVER, Write},
};
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
type Book = BTreeMap<(IpNet, Origin), u64>;

/// The kernel's table as a simple map.
type Table = BTreeMap<IpNet, u64>;

type Changes = Vec<Change<Origin>>;

/// After each write, an address that is banned before and after the change is banned. After all of
/// them, the kernel's tables have the right end for each address. And each change can be undone.
pub fn bans(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let (mut bans, mut book, mut table) = (Bans::default(), Book::new(), Table::new());
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

fn change(u: &mut Unstructured<'_>) -> Result<Changes> {
    let mut change = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let prefix = prefix(u)?;
        let deadline: u8 = u.arbitrary()?;
        // The same bytes choose the owner, so that seeds from before there were owners still count.
        let info = match deadline % 4 {
            0 | 1 => Origin::default(),
            2 => "fail2ban/sshd".parse().unwrap(),
            _ => "crowdsec".parse().unwrap(),
        };
        let deadline = match deadline {
            0..64 => {
                change.push(Change::End(prefix, info));
                continue;
            }
            64..72 => NEVER,
            _ => u64::from(deadline),
        };
        change.push(Change::Set(prefix, Ban { deadline, info }));
    }
    Ok(change)
}

/// Applies a change everywhere, and returns what undoes it.
fn put(bans: &mut Bans<Origin>, change: Changes, book: &mut Book, table: &mut Table) -> Changes {
    let old = book.clone();
    for change in &change {
        match change {
            Change::Set(prefix, ban) => book.insert((*prefix, ban.info.clone()), ban.deadline),
            Change::End(prefix, origin) => book.remove(&(*prefix, origin.clone())),
        };
    }
    let changed = bans.change(change);
    let prefixes: BTreeSet<IpNet> = old.keys().chain(book.keys()).map(|(net, _)| *net).collect();
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

fn check(bans: &Bans<Origin>, book: &Book, table: &Table, addresses: &[IpAddr]) {
    assert_eq!(bans.entries().collect::<Table>(), *table);
    let held = bans
        .each()
        .map(|(prefix, ban)| ((prefix, ban.info.clone()), ban.deadline));
    assert!(held.eq(book.iter().map(|(id, end)| (id.clone(), *end))));
    assert_eq!((bans.len(), bans.is_empty()), (book.len(), book.is_empty()));
    let prefixes: BTreeSet<IpNet> = book.keys().map(|(net, _)| *net).collect();
    assert_eq!(bans.prefixes(), prefixes.len());
    let live = book.values().filter(|end| **end > NOW).count();
    assert_eq!(bans.count_live(NOW), live);
    for (origin, count) in bans.count_by_origin(NOW) {
        let its = book
            .iter()
            .filter(|((_, its), end)| its == origin && **end > NOW);
        assert_eq!(its.count(), count, "{origin}");
    }
    let ended: BTreeSet<_> = bans
        .ended(NOW)
        .map(|(net, ban)| (net, ban.info.clone()))
        .collect();
    assert!(ended.iter().all(|id| book[id] <= NOW) && ended.len() + live == book.len());
    for address in addresses {
        let covering = book
            .iter()
            .filter(|((net, _), _)| Span::of(*net).holds(*address));
        let latest = covering.clone().map(|(_, end)| *end).max();
        assert_eq!(entry(table, *address), latest, "{address}");
        assert_eq!(bans.entry_for(*address), latest, "{address}");
        let lasting = bans.covering((*address).into(), NOW);
        let lasting = lasting.map(|(net, ban)| (Span::of(net).holds(*address), ban.deadline));
        let expected = latest.filter(|end| *end > NOW).map(|end| (true, end));
        assert_eq!(lasting, expected, "{address}");
        let around = bans.around((*address).into());
        let around: Vec<_> = around.map(|(net, owners)| (net, owners.len())).collect();
        assert!(
            around.is_sorted_by(|(inner, _), (outer, _)| inner.prefix_len() > outer.prefix_len())
        );
        assert_eq!(
            around.iter().map(|(_, owners)| owners).sum::<usize>(),
            covering.count()
        );
    }
    for whole in &prefixes {
        let is_inside = |net: &&IpNet| *net != whole && whole.contains(*net);
        let inside: BTreeSet<&IpNet> = prefixes.iter().filter(is_inside).collect();
        let found: Vec<IpNet> = bans.inside(*whole).map(|(net, _)| net).collect();
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), inside, "in {whole}");
        assert_eq!(found.len(), inside.len(), "in {whole}");
    }
    let next = bans.ending_next(NOW, 3, |_| true);
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
    live.any(|((net, _), _)| Span::of(*net).holds(address))
}

/// Returns what the kernel finds: only the longest prefix.
fn entry(table: &Table, address: IpAddr) -> Option<u64> {
    let holding = table
        .iter()
        .filter(|(net, _)| Span::of(**net).holds(address));
    let longest = holding.max_by_key(|(net, _)| net.prefix_len());
    longest.map(|(_, end)| *end)
}
