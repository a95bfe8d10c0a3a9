//! The fewest of the entries that give the same answers.

use ipblock_common::ClassId;

use crate::prefix::{Bits, Prefix};

/// A part of the address space that entries seen so far answer for.
struct Tile<B> {
    prefix: Prefix<B>,
    /// The entry, by position, that holds exactly this part, and its class; `None` where several
    /// longer ones do.
    entry: Option<(usize, ClassId)>,
}

/// Leaves out entries that longer ones hide altogether, and unites halves of the same class.
///
/// `entries` are sorted, each with another class than the entry around it. That still holds
/// afterwards: classes only gain members on the way down, so a class never comes back below one
/// that was left out; and two halves have the same entry around them.
pub(super) fn entries<B: Bits>(all: Vec<(Prefix<B>, ClassId)>) -> Vec<(Prefix<B>, ClassId)> {
    let mut kept: Vec<_> = all.into_iter().map(Some).collect();
    // Disjoint, the leftmost on top: backwards, whatever lies inside a prefix comes before it.
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

/// Whether tiles leave no address of `prefix`. Takes those inside away, which are hidden from
/// what comes; when they leave nothing, one tile stands for them.
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

/// When the leftmost tile is an entry of `class` and the other half of a prefix: that prefix, and
/// the position of the tile's entry.
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
