//! Lists that copies of a ruleset share.
//!
//! A ruleset is copied for each edit and for each side of a comparison, and elements are nearly all
//! of it. So copies share their elements until one changes them, and shared lists are equal without
//! a comparison.

use std::{
    ops::{Deref, DerefMut},
    slice,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A list whose clones share it. A change copies it first, unless it is not shared.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SharedVec<T>(Arc<Vec<T>>);

impl<T> SharedVec<T> {
    /// Whether both are the same list in memory. Different ones may still be equal.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for SharedVec<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for SharedVec<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: PartialEq> PartialEq for SharedVec<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

impl<T: Eq> Eq for SharedVec<T> {}

impl<T> Deref for SharedVec<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Clone> DerefMut for SharedVec<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<Vec<T>> for SharedVec<T> {
    fn from(list: Vec<T>) -> Self {
        Self(Arc::new(list))
    }
}

impl<T> FromIterator<T> for SharedVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<'a, T> IntoIterator for &'a SharedVec<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_the_list_until_it_is_changed() {
        let list: SharedVec<u8> = vec![1, 2].into();
        let mut copy = list.clone();
        assert!(copy.is_same(&list));
        assert_eq!(copy, list);
        copy.push(3);
        assert!(!copy.is_same(&list));
        assert_eq!(
            (list.as_slice(), copy.as_slice()),
            (&[1, 2][..], &[1, 2, 3][..])
        );
    }

    #[test]
    fn a_list_that_nothing_else_has_is_changed_in_place() {
        let mut list: SharedVec<u8> = Vec::with_capacity(2).into();
        let place = list.as_ptr();
        list.push(1);
        assert_eq!(list.as_ptr(), place);
    }
}
