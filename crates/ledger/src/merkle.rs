//! Binary Merkle trees, one rule for all: the state, the entries of a checkpoint, the history of headers, a blob's chunks.
//!
//! A tree over n > 1 leaves splits them at the greatest power of two below n (so nothing is doubled when a level is
//! odd). A leaf is hashed under the tree's leaf context, a node under its node context, and the root binds the number of
//! leaves under a third; the empty tree has 32 zero bytes in place of a top. So no leaf passes for a node, and no proof
//! for a tree of another size. Nodes shared by a growing list never change: [`Mountains`] keeps just the tops of the
//! full subtrees and, bagging them from the right, gives the same root as the whole list.
//!
//! The state's keys are hashed and sorted, and each leaf is hash(key ‖ hash(salt of the leaf ‖ value)): neighbours that
//! prove an absence tell their keys' hashes and nothing of their values.

mod path;

pub use path::{MAX_PATH, Path};

use crate::bytes::Hash;
use crate::hash::{Context, Hashing, context, hash};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The three contexts under which one kind of tree is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    leaf: &'static Context,
    node: &'static Context,
    root: &'static Context,
}

/// The state's tree; its leaves are [`StateLeaf`]s.
pub const STATE: Tree = Tree { leaf: context::STATE_LEAF, node: context::STATE_NODE, root: context::STATE_ROOT };
/// The tree over the ids of a checkpoint's entries in settled order.
pub const ENTRIES: Tree =
    Tree { leaf: context::ENTRIES_LEAF, node: context::ENTRIES_NODE, root: context::ENTRIES_ROOT };
/// The tree over all headers; the genesis, by the circle's id, is leaf 0, so a header's index is its height.
pub const HISTORY: Tree = Tree { leaf: context::MMR_LEAF, node: context::MMR_NODE, root: context::MMR_ROOT };
/// The tree over the sealed chunks of a blob.
pub const BLOB: Tree = Tree { leaf: context::BLOB_LEAF, node: context::BLOB_NODE, root: context::BLOB_ROOT };

/// In place of the top of an empty tree.
const NOTHING: Hash = Hash([0; 32]);

impl Tree {
    fn leaf(&self, bytes: &[u8]) -> Hash {
        Hash(hash(self.leaf, &[bytes]))
    }

    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        Hash(hash(self.node, &[&left.0, &right.0]))
    }

    fn seal(&self, count: u64, top: &Hash) -> Hash {
        Hash(hash(self.root, &[&count.to_le_bytes(), &top.0]))
    }

    /// The root over leaves in their given order.
    pub fn root<'a>(&self, leaves: impl IntoIterator<Item = &'a [u8; 32]>) -> Hash {
        let mut leaf = Hashing::new(self.leaf);
        let hashes: Vec<Hash> = leaves.into_iter().map(|bytes| Hash(leaf.hash(&[bytes]))).collect();
        self.seal(hashes.len() as u64, &self.top(&hashes))
    }

    /// The top over leaves that are hashed already.
    fn top(&self, hashes: &[Hash]) -> Hash {
        match hashes {
            [] => NOTHING,
            [only] => *only,
            several => top_of(&mut Hashing::new(self.node), several),
        }
    }
}

fn top_of(node: &mut Hashing, hashes: &[Hash]) -> Hash {
    if let [only] = hashes {
        return *only;
    }
    let (left, right) = hashes.split_at(split(hashes.len() as u64) as usize);
    let (left, right) = (top_of(node, left), top_of(node, right));
    Hash(node.hash(&[&left.0, &right.0]))
}

/// Where a tree over `count` > 1 leaves is split: the greatest power of two below `count`.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// A growing tree, of which only the tops of its full subtrees are kept. Stored is only the one over headers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mountains {
    #[serde(skip, default = "history")]
    tree: Tree,
    count: u64,
    /// From the greatest subtree to the smallest, one for each bit set in `count`.
    peaks: Vec<Hash>,
}

fn history() -> Tree {
    HISTORY
}

impl Mountains {
    /// Without leaves.
    pub fn new(tree: Tree) -> Self {
        Mountains { tree, count: 0, peaks: Vec::new() }
    }

    /// Goes on from kept peaks; `None` when their number does not fit `count`.
    pub fn resume(tree: Tree, count: u64, peaks: Vec<Hash>) -> Option<Self> {
        (count.count_ones() as usize == peaks.len()).then_some(Mountains { tree, count, peaks })
    }

    /// Adds a leaf at the right.
    pub fn push(&mut self, leaf: &[u8; 32]) {
        let mut top = self.tree.leaf(leaf);
        // Each bit set at the low end is a full subtree as great as the one just completed.
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                top = self.tree.node(&left, &top);
            }
        }
        self.peaks.push(top);
        self.count += 1;
    }

    /// The number of leaves.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The tops of the full subtrees, the greatest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root: the peaks bagged from the right.
    pub fn root(&self) -> Hash {
        let top = self.peaks.iter().rev().copied().reduce(|right, left| self.tree.node(&left, &right));
        self.tree.seal(self.count, &top.unwrap_or(NOTHING))
    }
}

/// The hash by which a state key is sorted and looked up. Unsalted, so that whoever knows a key can check its absence.
pub fn state_key(encoded: &[u8]) -> Hash {
    Hash(hash(context::STATE_KEY, &[encoded]))
}

/// What hides a state value: told with a proof of that value, it tells nothing of the other leaves.
pub fn leaf_salt(salt: &[u8; 32], key: &Hash) -> Hash {
    Hash(hash(context::STATE_SALT, &[salt, &key.0]))
}

/// A state value under its leaf's salt.
pub fn state_value(leaf_salt: &Hash, value: &[u8]) -> Hash {
    Hash(hash(context::STATE_VALUE, &[&leaf_salt.0, value]))
}

/// A leaf of the state's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateLeaf {
    /// See [`state_key`].
    pub key: Hash,
    /// See [`state_value`].
    pub value: Hash,
}

impl StateLeaf {
    /// A key with its value, hidden by the circle's salt.
    pub fn new(salt: &[u8; 32], key: &[u8], value: &[u8]) -> Self {
        let key = state_key(key);
        StateLeaf { key, value: state_value(&leaf_salt(salt, &key), value) }
    }

    /// The bytes that stand in the tree.
    pub fn bytes(&self) -> [u8; 32] {
        hash(context::STATE_PAIR, &[&self.key.0, &self.value.0])
    }
}

/// The root of the state: the leaves sorted by their keys' hashes.
pub fn state_root(mut leaves: Vec<StateLeaf>) -> Hash {
    leaves.sort_unstable();
    let leaves: Vec<[u8; 32]> = leaves.iter().map(StateLeaf::bytes).collect();
    STATE.root(&leaves)
}

#[cfg(test)]
mod tests;
