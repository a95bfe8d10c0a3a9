//! Reduces the entries to the fewest with the same result.

use ipblock_common::ClassId;

use crate::prefix::{Bits, Prefix};

/// A part of the address space that the entries so far decide.
struct Tile<B> {
    prefix: Prefix<B>,
    /// The entry, by position, that covers exactly this part, and its class; `None` if several
    /// longer ones do.
    entry: Option<(usize, ClassId)>,
}

/// Removes entries that longer ones hide completely, and merges halves with the same class.
///
/// `entries` are sorted, and each has another class than the entry around it. This is still true
/// afterwards. Classes only gain members from an outer prefix to an inner one, so a class cannot
/// appear again below one that was removed. And both halves have the same entry around them.
pub(super) fn entries<B: Bits>(all: Vec<(Prefix<B>, ClassId)>) -> Vec<(Prefix<B>, ClassId)> {
    let mut kept: Vec<_> = all.into_iter().map(Some).collect();
    // Disjoint, the leftmost on top. The walk goes backwards, so the content of a prefix comes
    // before it.
    let mut tiles: Vec<Tile<B>> = Vec::new();
    for position in (0..kept.len()).rev() {
        let Some((mut prefix, class)) = kept.get(position).copied().flatten() else {
            continue;
        };
        if cover(&mut tiles, prefix) {
            set(&mut kept, position, None);
            continue;
        }
        while let Some((parent, upper)) = upper_half(&tiles, prefix, class) {
            tiles.pop();
            set(&mut kept, upper, None);
            prefix = parent;
        }
        set(&mut kept, position, Some((prefix, class)));
        let entry = Some((position, class));
        tiles.push(Tile { prefix, entry });
    }
    kept.into_iter().flatten().collect()
}

fn set<T>(kept: &mut [Option<T>], position: usize, value: Option<T>) {
    if let Some(entry) = kept.get_mut(position) {
        *entry = value;
    }
}

/// Whether tiles cover all of `prefix`. Removes the tiles inside, which hide them from later
/// entries; if they cover everything, one tile replaces them.
fn cover<B: Bits>(tiles: &mut Vec<Tile<B>>, prefix: Prefix<B>) -> bool {
    if tiles.last().is_some_and(|tile| tile.prefix.covers(prefix)) {
        return true;
    }
    let mut uncovered = Some(prefix.first);
    let mut gap = false;
    while let Some(tile) = tiles.pop_if(|tile| prefix.covers(tile.prefix)) {
        gap |= uncovered != Some(tile.prefix.first);
        uncovered = tile.prefix.last().next();
    }
    let covered = !gap && uncovered == prefix.last().next();
    if covered {
        let entry = None;
        tiles.push(Tile { prefix, entry });
    }
    covered
}

/// If the leftmost tile is an entry of `class` and the other half of a prefix, returns that prefix
/// and the position of the tile's entry.
fn upper_half<B: Bits>(
    tiles: &[Tile<B>],
    lower: Prefix<B>,
    class: ClassId,
) -> Option<(Prefix<B>, usize)> {
    let tile = tiles.last()?;
    let (position, upper_class) = tile.entry?;
    let parent = lower.parent()?;
    let halves = parent.halves()?;
    (upper_class == class && halves == [lower, tile.prefix]).then_some((parent, position))
}
