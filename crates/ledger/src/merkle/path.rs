//! Proofs of presence: the way from one leaf, or from some that stand side by side, to the root.

use super::{NOTHING, Tree, split};
use crate::bytes::Hash;
use alloc::vec::Vec;
use core::ops::Range;
use serde::{Deserialize, Serialize};

/// The most bytes of an encoded [`Path`] of one or two leaves: each has at most 64 subtrees beside it.
pub const MAX_PATH: usize = 10 + 10 + 2 + 2 * 64 * 32;

/// The way from neighbouring leaves to the root. Together with its leaves it holds under a root in one form only: the
/// root binds the number of leaves; place and number say which subtrees are left out, and each of these stands here by
/// its top, once, from the left to the right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The place of the first of its leaves, from 0.
    pub index: u64,
    /// The number of leaves in the tree.
    pub count: u64,
    /// The tops of the greatest subtrees without any of its leaves, from the left.
    pub siblings: Vec<Hash>,
}

impl Tree {
    /// Proves that the leaves at `places` are in the tree over `leaves`. `None` when there are none at those places; a
    /// path of no leaves is one of the empty tree.
    pub fn prove(&self, leaves: &[[u8; 32]], places: Range<usize>) -> Option<Path> {
        let proven = leaves.get(places.clone())?;
        if proven.is_empty() && !leaves.is_empty() {
            return None;
        }
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| self.leaf(leaf)).collect();
        let (index, count) = (places.start as u64, leaves.len() as u64);
        let mut siblings = Vec::new();
        self.leave_out(&hashes, places, &mut siblings);
        Some(Path { index, count, siblings })
    }

    /// Notes the tops of the greatest subtrees that hold none of the places.
    fn leave_out(&self, hashes: &[Hash], places: Range<usize>, siblings: &mut Vec<Hash>) {
        match hashes {
            [] => {}
            _ if places.is_empty() => siblings.push(self.top(hashes)),
            [_] => {}
            _ => {
                let at = split(hashes.len() as u64) as usize;
                let (left, right) = hashes.split_at(at);
                self.leave_out(left, places.start.min(at)..places.end.min(at), siblings);
                self.leave_out(right, places.start.saturating_sub(at)..places.end.saturating_sub(at), siblings);
            }
        }
    }
}

impl Path {
    /// Whether `leaves` stand side by side from this place on, under this root.
    pub fn holds(&self, tree: &Tree, leaves: &[[u8; 32]], root: &Hash) -> bool {
        self.top(tree, leaves).is_some_and(|top| tree.seal(self.count, &top) == *root)
    }

    fn top(&self, tree: &Tree, leaves: &[[u8; 32]]) -> Option<Hash> {
        let end = self.index.checked_add(leaves.len() as u64)?;
        if leaves.is_empty() {
            return (self.count == 0 && self.index == 0 && self.siblings.is_empty()).then_some(NOTHING);
        }
        if end > self.count {
            return None;
        }
        let mut climb = Climb { tree, leaves: leaves.iter(), siblings: self.siblings.iter() };
        let top = climb.top(self.count, self.index..end)?;
        climb.siblings.as_slice().is_empty().then_some(top)
    }
}

/// What is still to be used of a path and its leaves.
struct Climb<'a> {
    tree: &'a Tree,
    leaves: core::slice::Iter<'a, [u8; 32]>,
    siblings: core::slice::Iter<'a, Hash>,
}

impl Climb<'_> {
    /// The top of a subtree of `count` > 0 leaves, of which those at `places` are known; at most 64 calls deep.
    fn top(&mut self, count: u64, places: Range<u64>) -> Option<Hash> {
        if places.is_empty() {
            return self.siblings.next().copied();
        }
        if count == 1 {
            return self.leaves.next().map(|leaf| self.tree.leaf(leaf));
        }
        let at = split(count);
        let left = self.top(at, places.start.min(at)..places.end.min(at))?;
        let right = self.top(count - at, places.start.saturating_sub(at)..places.end.saturating_sub(at))?;
        Some(self.tree.node(&left, &right))
    }
}
