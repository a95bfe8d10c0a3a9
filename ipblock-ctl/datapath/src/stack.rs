//! The order of stacked interfaces.
//!
//! The kernel refuses an XDP program on a device if the device directly above it has one, and
//! accepts the other order (net/core/dev.c, `dev_xdp_attach`). So programs are attached from the
//! lowest device to the highest.

use std::collections::{BTreeMap, BTreeSet};

/// The neighbours of one interface in the stack, as indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The interface.
    pub index: u32,
    /// The bridge, bond or similar that it is a port of.
    pub master: Option<u32>,
    /// The device below it, as for a VLAN device or a macvlan.
    pub lower: Option<u32>,
}

/// The maximum height of a stack: the kernel allows 8 (`MAX_NEST_DEV`).
const MAX_HEIGHT: usize = 8;

/// Returns for each interface the maximum number of others below it; 0 if there is none.
#[must_use]
pub fn heights(layers: &[Layer]) -> BTreeMap<u32, usize> {
    let mut heights: BTreeMap<u32, usize> = layers.iter().map(|layer| (layer.index, 0)).collect();
    // Bounded, because data from another namespace may contain a cycle.
    for _ in 0..MAX_HEIGHT {
        let mut grows = false;
        for (lower, upper) in layers.iter().flat_map(edges) {
            let below = heights.get(&lower).copied().unwrap_or(0);
            if let Some(height) = heights.get_mut(&upper)
                && *height <= below
            {
                *height = below + 1;
                grows = true;
            }
        }
        if !grows {
            break;
        }
    }
    heights
}

/// Returns the indexes of the interfaces directly above one.
#[must_use]
pub fn above(index: u32, layers: &[Layer]) -> BTreeSet<u32> {
    let edges = layers.iter().flat_map(edges);
    edges
        .filter(|(lower, upper)| *lower == index && upper != lower)
        .map(|(_, upper)| upper)
        .collect()
}

/// Pairs of a lower and an upper interface.
fn edges(layer: &Layer) -> impl Iterator<Item = (u32, u32)> {
    let to_master = layer.master.map(|master| (layer.index, master));
    let from_lower = layer.lower.map(|lower| (lower, layer.index));
    to_master.into_iter().chain(from_lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(index: u32, master: Option<u32>, lower: Option<u32>) -> Layer {
        Layer {
            index,
            master,
            lower,
        }
    }

    /// Indexes, lowest first.
    fn order(layers: &[Layer]) -> Vec<u32> {
        let heights = heights(layers);
        let mut order: Vec<u32> = layers.iter().map(|layer| layer.index).collect();
        order.sort_by_key(|index| heights[index]);
        order
    }

    #[test]
    fn ports_come_before_their_bridge_and_that_before_its_vlan() {
        // br0.5 (1), br0 (2), bond0 (3), eth0 (4), eth1 (5), a tap (6).
        let layers = [
            layer(1, None, Some(2)),
            layer(2, None, None),
            layer(3, Some(2), None),
            layer(4, Some(3), None),
            layer(5, Some(3), None),
            layer(6, Some(2), None),
        ];
        assert_eq!(order(&layers), [4, 5, 6, 3, 2, 1]);
        assert_eq!(above(4, &layers), BTreeSet::from([3]));
        assert_eq!(above(2, &layers), BTreeSet::from([1]));
        assert_eq!(above(1, &layers), BTreeSet::new());
    }

    #[test]
    fn several_devices_lie_on_one() {
        // A parent (9) with a macvlan (3) and a VLAN device (4) that is a port of a bridge (2).
        let layers = [
            layer(2, None, None),
            layer(3, None, Some(9)),
            layer(4, Some(2), Some(9)),
            layer(9, None, None),
        ];
        assert_eq!(above(9, &layers), BTreeSet::from([3, 4]));
        assert_eq!(order(&layers), [9, 3, 4, 2]);
    }

    #[test]
    fn interfaces_that_do_not_touch_stay_in_their_order() {
        let layers = [
            layer(3, None, None),
            layer(1, None, None),
            layer(2, None, None),
        ];
        assert_eq!(order(&layers), [3, 1, 2]);
    }

    #[test]
    fn a_ring_and_a_device_on_itself_come_to_an_end() {
        let layers = [
            layer(1, None, Some(2)),
            layer(2, None, Some(1)),
            layer(3, None, Some(3)),
        ];
        assert_eq!(order(&layers).len(), 3);
        assert_eq!(above(3, &layers), BTreeSet::new());
    }

    #[test]
    fn a_lower_device_that_is_not_known_changes_nothing() {
        assert_eq!(heights(&[layer(1, Some(7), Some(8))])[&1], 1);
        assert_eq!(above(8, &[layer(1, None, Some(8))]), BTreeSet::from([1]));
    }
}
