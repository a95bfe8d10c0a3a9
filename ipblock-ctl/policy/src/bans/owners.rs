//! The bans of one prefix.

use super::{Ban, Owned};
use crate::Origin;

/// The bans of one prefix by origin, each of another one; at least one ban.
///
/// With a shared pointer as its data, a single ban takes as little memory here as alone: nearly
/// every prefix has one.
#[derive(Debug)]
pub(super) enum Owners<T> {
    One(Ban<T>),
    /// Two or more.
    #[expect(clippy::box_collection, reason = "as small as one ban")]
    Many(Box<Vec<Ban<T>>>),
}

impl<T: Owned> Owners<T> {
    pub(super) fn as_slice(&self) -> &[Ban<T>] {
        match self {
            Self::One(ban) => std::slice::from_ref(ban),
            Self::Many(bans) => bans,
        }
    }

    pub(super) fn of(&self, origin: &Origin) -> Option<&Ban<T>> {
        let mut bans = self.as_slice().iter();
        bans.find(|ban| ban.info.origin() == origin)
    }

    /// Returns the ban that ends last; the first of several.
    pub(super) fn last_to_end(&self) -> Option<&Ban<T>> {
        let bans = self.as_slice().iter().rev();
        bans.max_by_key(|ban| ban.deadline)
    }

    pub(super) fn latest(&self) -> u64 {
        self.last_to_end().map_or(0, |ban| ban.deadline)
    }

    /// Returns these with a ban, and the one of its origin that it replaces.
    pub(super) fn with(self, new: Ban<T>) -> (Self, Option<Ban<T>>) {
        let mut bans = match self {
            Self::One(old) if old.info.origin() == new.info.origin() => {
                return (Self::One(new), Some(old));
            }
            owners => owners.into_vec(),
        };
        let found = bans.binary_search_by(|ban| ban.info.origin().cmp(new.info.origin()));
        let old = match found {
            Ok(place) => bans.get_mut(place).map(|ban| std::mem::replace(ban, new)),
            Err(place) => {
                bans.insert(place, new);
                None
            }
        };
        (Self::Many(Box::new(bans)), old)
    }

    /// Returns these without the ban of an origin, and that ban.
    pub(super) fn without(self, origin: &Origin) -> (Option<Self>, Option<Ban<T>>) {
        let mut bans = self.into_vec();
        let place = bans.iter().position(|ban| ban.info.origin() == origin);
        let old = place.map(|place| bans.remove(place));
        let is_one = bans.len() == 1;
        let left = match bans.pop_if(|_| is_one) {
            Some(only) => Some(Self::One(only)),
            None if bans.is_empty() => None,
            None => Some(Self::Many(Box::new(bans))),
        };
        (left, old)
    }

    fn into_vec(self) -> Vec<Ban<T>> {
        match self {
            Self::One(ban) => vec![ban],
            Self::Many(bans) => *bans,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn room_for_several_bans_costs_a_single_one_nothing() {
        assert_eq!(
            size_of::<Owners<Arc<Origin>>>(),
            size_of::<Ban<Arc<Origin>>>()
        );
    }
}
