//! Entries of a header, and headers before it.

use super::ProofError;
use crate::bytes::{EntryId, HeaderHash};
use crate::entry::Anchor;
use crate::merkle::{ENTRIES, HISTORY, Path};
use crate::settle::Header;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Shows that a header settled an entry. Encoded it has at most [`MAX_PATH`](crate::merkle::MAX_PATH) bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryProof(pub Path);

impl EntryProof {
    /// Of the entry at a place of a header's settled order; `None` when there is none.
    pub fn new(order: &[EntryId], place: usize) -> Option<Self> {
        let leaves: Vec<[u8; 32]> = order.iter().map(|id| id.0).collect();
        ENTRIES.prove(&leaves, place..place.checked_add(1)?).map(EntryProof)
    }

    /// Whether the header settled the entry.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, header: &Header, id: &EntryId) -> Result<(), ProofError> {
        if self.0.count != u64::from(header.entries) {
            return Err(ProofError::Other);
        }
        if self.0.holds(&ENTRIES, &[id.0], &header.entries_root) { Ok(()) } else { Err(ProofError::NotUnderRoot) }
    }
}

/// Shows that a header, or the genesis, is among those before another header. Encoded it has at most
/// [`MAX_PATH`](crate::merkle::MAX_PATH) bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProof(pub Path);

impl HistoryProof {
    /// Of the header at `height`, before one that is at `newer`. `hashes` are those of all headers by height from the
    /// genesis on, up to `newer` at least. `None` when these are not there.
    pub fn new(hashes: &[HeaderHash], height: u64, newer: u64) -> Option<Self> {
        let before = hashes.get(..usize::try_from(newer).ok()?)?;
        let leaves: Vec<[u8; 32]> = before.iter().map(|hash| hash.0).collect();
        let place = usize::try_from(height).ok()?;
        HISTORY.prove(&leaves, place..place.checked_add(1)?).map(HistoryProof)
    }

    /// Whether `older` is before the header.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, header: &Header, older: Anchor) -> Result<(), ProofError> {
        if self.0.count != header.height || self.0.index != older.height {
            return Err(ProofError::Other);
        }
        let holds = self.0.holds(&HISTORY, &[older.hash.0], &header.history_root);
        if holds { Ok(()) } else { Err(ProofError::NotUnderRoot) }
    }
}
