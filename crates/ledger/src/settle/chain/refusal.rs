//! Why a header is not made, or not taken.

use super::super::CertificateError;
use crate::bytes::{DeviceId, EntryId, HeaderHash};
use crate::dag::CutError;
use crate::entry::Head;
use alloc::vec::Vec;

/// Why no header can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The device is no witness's.
    #[error("{0:?} is no witness")]
    NoWitness(DeviceId),
    /// Without the lane keys, or a state folded from the genesis on, the next state is not known.
    #[error("the state is not folded here")]
    NotFolded,
    /// A state body is not held, or the keys of the epoch that this entry started.
    #[error("the state body of {0:?}, or the key of its epoch, is missing")]
    NoBody(EntryId),
    /// The last height there is.
    #[error("there is no next height")]
    LastHeight,
    /// The cut of the DAG is none: a fault of this node.
    #[error("the own cut: {0}")]
    Cut(#[from] CutError),
}

/// Which of a header's hashes is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Of the cut that came with it.
    Cut,
    /// Over its entries.
    Entries,
    /// Over the headers before it.
    History,
    /// Of the state.
    State,
    /// Of the next witnesses.
    Witnesses,
}

/// Why a settled header from outside is not adopted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not wrong: it is settled here already.
    #[error("height {0} is settled here already")]
    Known(u64),
    /// Not wrong yet: headers between are missing. It was not looked at.
    #[error("height {0} is not the next")]
    Ahead(u64),
    /// Not wrong yet: entries of the cut are not held, or what they build on.
    #[error("{} entries of the cut are missing", .0.len())]
    Missing(Vec<Head>),
    /// Two certificates for one height: more witnesses lie than are borne.
    #[error("two headers are certified at height {height}")]
    Conflict {
        /// The height.
        height: u64,
        /// What is settled here.
        ours: HeaderHash,
        /// What is certified as well.
        theirs: HeaderHash,
    },
    /// Settled by a sole witness that was lost, beyond the header over which the founder named another.
    #[error("height {0} was settled by a witness that had been replaced")]
    Void(u64),
    /// Of a format that this code does not know.
    #[error("version {0} of headers is unknown")]
    Version(u8),
    /// Of another circle.
    #[error("the header is of another circle")]
    WrongCircle,
    /// The votes do not settle it.
    #[error(transparent)]
    BadCertificate(#[from] CertificateError),
    /// It does not follow the header before it.
    #[error("the header does not follow the one before it")]
    WrongPrev,
    /// Its proposer is no witness.
    #[error("the proposer is no witness")]
    WrongProposer,
    /// The founder did not sign the renewal, it is for another header, or there was more than one witness.
    #[error("the renewal of the witness does not hold")]
    BadRenewal,
    /// Its time is before the previous header's, or too far ahead.
    #[error("the header's time {time} is not from {from} to {to}")]
    Time {
        /// What it says.
        time: u64,
        /// The previous header's.
        from: u64,
        /// The own clock and the circle's bound, or the previous header's.
        to: u64,
    },
    /// Its cut is none.
    #[error(transparent)]
    BadCut(CutError),
    /// It says another number of entries.
    #[error("the header says {says} entries, and there are {are}")]
    WrongCount {
        /// What it says.
        says: u32,
        /// What is new below its cut.
        are: usize,
    },
    /// One of its hashes is not what was computed here.
    #[error("the header's {which:?} hash is wrong")]
    WrongRoot {
        /// Which.
        which: Root,
    },
    /// A state body is not held, or the keys of the epoch that this entry started.
    #[error("the state body of {0:?}, or the key of its epoch, is missing")]
    NoBody(EntryId),
    /// Without the state no header is notarized.
    #[error("the state is not folded here")]
    NotFolded,
}
