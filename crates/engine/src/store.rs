//! What an engine keeps: an append-only log of entries and settled headers in the order in which they were taken, and a
//! few records by name. Replaying the log gives the engine back.

use crate::settler::agreement;
use crate::{acts, epoch};
use ledgerno_ledger::codec::{self, CodecError};
use ledgerno_ledger::entry::{MAX_PACKED, Packed};
use ledgerno_ledger::settle::{MAX_PROOF, Proof};
use serde::{Deserialize, Serialize};

pub use crate::snapshot::{MAX_SNAPSHOT, NoSnapshot, RECORD as SNAPSHOT, window};

/// The most bytes of one item of the log: the longest entry, or a settled header with the longest cut. A store must take
/// it; one that refused a header would stop the settlement for good.
pub const MAX_ITEM: usize = 4 + if MAX_PROOF > MAX_PACKED { MAX_PROOF } else { MAX_PACKED };

/// Whether a record is one that only an engine with lane keys makes and reads: what is left behind with them.
pub fn goes_with_keys(name: &str) -> bool {
    let kinds = [epoch::RECORD, acts::VOTE, agreement::BUNDLE, agreement::RETIRED, SNAPSHOT];
    kinds.iter().any(|kind| name.starts_with(kind))
}

/// One item of the log.
#[expect(clippy::large_enum_variant, reason = "read from the log and taken apart at once")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// An entry that the DAG took.
    Entry(Packed),
    /// A settled header that was checked and adopted.
    Proof(Proof),
}

/// An [`Item`] that is only to be written: the same bytes, without a copy of what they are of.
#[derive(Serialize)]
enum ItemRef<'a> {
    Entry(&'a Packed),
    Proof(&'a Proof),
}

/// An entry's bytes in the log.
pub(crate) fn entry_item(packed: &Packed) -> Vec<u8> {
    codec::encode(&ItemRef::Entry(packed))
}

/// A settled header's bytes in the log.
pub(crate) fn proof_item(proof: &Proof) -> Vec<u8> {
    codec::encode(&ItemRef::Proof(proof))
}

impl Item {
    /// Its bytes in the log.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Item::Entry(packed) => entry_item(packed),
            Item::Proof(proof) => proof_item(proof),
        }
    }

    /// Reads an item of the log.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_ITEM)
    }
}

/// The stored log does not replay: it was damaged, or another version wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// An item is no item.
    #[error("item {at} of the log is damaged: {error}")]
    Damaged {
        /// Its place, from 0.
        at: usize,
        /// What is wrong.
        error: CodecError,
    },
    /// An item that was taken once is refused now.
    #[error("item {at} of the log does not fit what is before it: {why}")]
    DoesNotFit {
        /// Its place, from 0.
        at: usize,
        /// What is wrong.
        why: String,
    },
    /// An item was let go, and no snapshot stands for it.
    #[error("item {at} of the log was let go, and no snapshot stands for it")]
    LetGo {
        /// Its place, from 0.
        at: usize,
    },
    /// The snapshot is not started from, and the log was not given whole: it must be, for a full replay.
    #[error(transparent)]
    Snapshot(#[from] NoSnapshot),
    /// A record is no such record.
    #[error("the record {name} is damaged")]
    Record {
        /// Its name.
        name: String,
    },
}
