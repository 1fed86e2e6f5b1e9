//! Proofs: what a settled header binds, shown to who holds nothing but that header.
//!
//! A [`StateProof`] shows a record of the state after a header, or that there is none; an [`EntryProof`] that a header
//! settled an entry; a [`HistoryProof`] that a header is among those before another. Each is checked against one root
//! and has exactly one form in which it holds: a proof with any bit changed is refused. What a proof says is only as
//! good as the header that it is checked against: a [`LightChain`] leads to the newest from one that is known. A
//! [`ForkProof`] and an [`Evidence`](crate::settle::Evidence) need no header. A [`ProofFile`] carries a claim with all of
//! these that it needs, and says what it proves.
//!
//! Proofs of a state with some thousands of records take some hundred bytes; how many at most stands at each
//! (`MAX_…`), and is checked before anything is read.

mod file;
mod fork;
mod light;
mod making;
mod proven;
mod state;
mod tree;

pub use file::{
    Author, Claim, EntryClaim, FILE_VERSION, FileError, ForkClaim, MAGIC, MAX_NAMED, MAX_PROOF_FILE, Older, Opened,
    ProofFile, StampClaim,
};
pub use fork::{ForkProof, MAX_FORK};
pub use light::{LightChain, Link, MAX_LIGHT_CHAIN, Pinned, Trust, TrustError};
pub use making::{MakeError, Parts, Subject};
pub use proven::{Content, Limit, Person, Proven, Rests, Statement, Voucher};
pub use state::{Finding, MAX_STATE_PROOF, MAX_VALUE, StateProof, StateTree};
pub use tree::{EntryProof, HistoryProof};

use crate::codec::CodecError;
use thiserror::Error;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It is of something else than what was asked.
    #[error("the proof is of another record, place or height")]
    Other,
    /// It does not lead to the root.
    #[error("the proof does not lead to the root")]
    NotUnderRoot,
    /// The neighbours do not enclose the key that is said to be absent.
    #[error("the neighbours do not enclose the key")]
    NotEnclosed,
    /// The record is proven, and is none of its kind.
    #[error("the record does not read")]
    Unreadable,
    /// Of a format that this code does not know.
    #[error("an entry of an unknown version")]
    Version,
    /// A signature does not hold, or its key is none.
    #[error("a signature does not hold")]
    Signature,
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod light_tests;
#[cfg(test)]
mod tests;
