//! What an engine keeps: an append-only log of entries and settled headers in the order in which they were taken, and a
//! few records by name. Replaying the log gives the engine back.

use crate::settler::agreement;
use crate::{acts, epoch};
use ledgerno_ledger::codec::direct::{Direct, Input, write_len};
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

/// What an item begins with: the variant's number.
const ENTRY: u8 = 0;
const PROOF: u8 = 1;

/// An entry's bytes in the log.
pub(crate) fn entry_item(packed: &Packed) -> Vec<u8> {
    entry_item_of(&packed.encode())
}

fn entry_item_of(entry: &[u8]) -> Vec<u8> {
    let mut item = Vec::with_capacity(4 + entry.len());
    item.push(ENTRY);
    write_len(entry.len(), &mut item);
    item.extend_from_slice(entry);
    item
}

/// A settled header's bytes in the log.
pub(crate) fn proof_item(proof: &Proof) -> Vec<u8> {
    let mut item = Vec::with_capacity(PROOF_BYTES);
    item.push(PROOF);
    proof.write(&mut item);
    item
}

/// Room in bytes for a usual settled header.
const PROOF_BYTES: usize = 4_096;

/// An entry as it lies in the log, of which nothing is read yet. Inside a message it is what an entry is: its bytes with
/// their length before them, which is the log's item but for the first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryItem(Vec<u8>);

impl EntryItem {
    /// Of an entry.
    pub fn new(packed: &Packed) -> Self {
        EntryItem(entry_item(packed))
    }

    /// The entry's canonical bytes, which nobody has read.
    pub fn entry(&self) -> &[u8] {
        // After the item's kind there is a length of one to three bytes.
        let counted = self.0.get(1..).unwrap_or_default();
        let len = counted.iter().take(3).take_while(|byte| **byte & 0x80 != 0).count() + 1;
        counted.get(len..).unwrap_or_default()
    }

    /// How long the item is.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty, as none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The item.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Direct for EntryItem {
    const LEAST: usize = 1 + Packed::LEAST;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.get(1..).unwrap_or_default());
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        let entry = input.take_counted()?;
        if entry.len() > MAX_PACKED {
            return Err(CodecError::TooLong { len: entry.len(), max: MAX_PACKED });
        }
        // Else a message of nothing but lengths would be a list that is many times as long.
        if entry.len() < Packed::LEAST {
            return Err(CodecError::Malformed);
        }
        Ok(EntryItem(entry_item_of(entry)))
    }
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
