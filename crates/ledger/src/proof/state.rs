//! Records of the state, present or absent.
//!
//! The state's leaves are sorted by the hashes of their keys. Presence is key, value and the record's salt (which hides
//! this record alone), with the way to the root. Absence is shown by the neighbours: the two leaves side by side between
//! which the key's hash would stand, or the first or the last leaf alone where it would stand before or behind all, or
//! none of an empty state.

use super::ProofError;
use crate::bytes::{DeviceId, Hash, MemberId};
use crate::codec::{self, CodecError, encode};
use crate::merkle::{MAX_PATH, Path, STATE, StateLeaf, leaf_salt, state_key, state_value};
use crate::state::{Device, Member, State, StateKey};
use alloc::vec::Vec;
use core::ops::Range;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most bytes of a record's value that is proven.
pub const MAX_VALUE: usize = 65_536;
/// The most bytes of an encoded [`StateProof`].
pub const MAX_STATE_PROOF: usize = MAX_KEY + 1 + 3 + MAX_VALUE + 2 * 64 + MAX_PATH;
/// The most bytes of an encoded [`StateKey`].
const MAX_KEY: usize = 128;

/// What a state says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// There is a record.
    Present {
        /// Its canonical value.
        value: Vec<u8>,
        /// What hides it.
        salt: Hash,
    },
    /// There is none.
    Absent {
        /// The leaves between which it would stand; one at the end of the tree, none of an empty state.
        neighbours: Vec<StateLeaf>,
    },
}

/// Shows what a state says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    /// Of what it is.
    pub key: StateKey,
    /// What it shows.
    pub finding: Finding,
    /// The way to the root.
    pub path: Path,
}

impl StateProof {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a proof, of which nothing is checked yet.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_STATE_PROOF)
    }

    /// Checks it under a header's state root: the record's value, or `None` if there is none.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, root: &Hash) -> Result<Option<&[u8]>, ProofError> {
        let key = state_key(&encode(&self.key));
        match &self.finding {
            Finding::Present { value, salt } => {
                let leaf = StateLeaf { key, value: state_value(salt, value) };
                self.lead(&[leaf.bytes()], root)?;
                Ok(Some(value))
            }
            Finding::Absent { neighbours } => {
                if !self.encloses(neighbours, &key) {
                    return Err(ProofError::NotEnclosed);
                }
                let leaves: Vec<[u8; 32]> = neighbours.iter().map(StateLeaf::bytes).collect();
                self.lead(&leaves, root)?;
                Ok(None)
            }
        }
    }

    fn lead(&self, leaves: &[[u8; 32]], root: &Hash) -> Result<(), ProofError> {
        if self.path.holds(&STATE, leaves, root) { Ok(()) } else { Err(ProofError::NotUnderRoot) }
    }

    fn encloses(&self, neighbours: &[StateLeaf], key: &Hash) -> bool {
        let Path { index, count, .. } = self.path;
        match neighbours {
            [] => count == 0,
            [only] => index == 0 && *key < only.key || index.checked_add(1) == Some(count) && only.key < *key,
            [before, behind] => before.key < *key && *key < behind.key,
            _ => false,
        }
    }

    /// Checks it under a header's state root as one of this key, and reads the record; `None` if there is none.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn read<T: DeserializeOwned + Serialize>(&self, root: &Hash, key: &StateKey) -> Result<Option<T>, ProofError> {
        if self.key != *key {
            return Err(ProofError::Other);
        }
        let value = self.check(root)?;
        value.map(|value| codec::decode(value, MAX_VALUE).map_err(|_| ProofError::Unreadable)).transpose()
    }

    /// As [`StateProof::read`], of a member.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn member(&self, root: &Hash, id: MemberId) -> Result<Option<Member>, ProofError> {
        self.read(root, &StateKey::Member(id))
    }

    /// As [`StateProof::read`], of a device.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn device(&self, root: &Hash, id: DeviceId) -> Result<Option<Device>, ProofError> {
        self.read(root, &StateKey::Device(id))
    }
}

/// A state laid out to make proofs from, at one height.
#[derive(Clone, Debug)]
pub struct StateTree {
    salt: [u8; 32],
    /// Sorted by leaf.
    records: Vec<(StateLeaf, Vec<u8>)>,
    leaves: Vec<[u8; 32]>,
}

impl StateTree {
    /// Of a state, with the circle's salt.
    pub fn of(state: &State, salt: [u8; 32]) -> Self {
        Self::new(state.records(), salt)
    }

    /// Of records, each key once, with the circle's salt.
    pub fn new(records: impl IntoIterator<Item = (StateKey, Vec<u8>)>, salt: [u8; 32]) -> Self {
        let leaf = |(key, value): (StateKey, Vec<u8>)| (StateLeaf::new(&salt, &key.encode(), &value), value);
        let mut records: Vec<_> = records.into_iter().map(leaf).collect();
        records.sort_unstable();
        let leaves = records.iter().map(|(leaf, _)| leaf.bytes()).collect();
        StateTree { salt, records, leaves }
    }

    /// The root.
    pub fn root(&self) -> Hash {
        STATE.root(&self.leaves)
    }

    /// Shows what the state says of a key.
    pub fn prove(&self, key: StateKey) -> StateProof {
        let hashed = state_key(&key.encode());
        let (finding, places) = match self.records.binary_search_by(|(leaf, _)| leaf.key.cmp(&hashed)) {
            Ok(at) => {
                let value = self.records[at].1.clone();
                (Finding::Present { value, salt: leaf_salt(&self.salt, &hashed) }, at..at + 1)
            }
            Err(at) => {
                let places: Range<usize> = at.saturating_sub(1)..(at + 1).min(self.records.len());
                let neighbours = self.records[places.clone()].iter().map(|(leaf, _)| *leaf).collect();
                (Finding::Absent { neighbours }, places)
            }
        };
        // The places are of this tree.
        let nowhere = || Path { index: 0, count: 0, siblings: Vec::new() };
        StateProof { key, finding, path: STATE.prove(&self.leaves, places).unwrap_or_else(nowhere) }
    }
}
