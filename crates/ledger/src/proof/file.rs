//! Proof files (`.ledgerno`): one claim with all that it takes to check it offline, for who holds nothing else.
//!
//! magic ‖ version ‖ canonical postcard of [`ProofFile`] ‖ BLAKE3 of all before, under a context of its own. The checksum
//! tells a damaged file from a forged one; what makes a claim hold is never the checksum.
//!
//! The contents are the genesis, whose hash is the circle's id; a [`LightChain`] from there (or from a pinned header) over
//! the changes of witnesses to a certified header, the file's *newest*; and a [`Claim`]. Records of the state are proven
//! under the newest header's state root, and an entry under the header that settled it, the newest or one before. What an
//! entry says is shown by the key of its body alone, which opens no other. Of members a record is shown whole: who gets a
//! file sees the points of who is named in it.
//!
//! [`ProofFile::check`] says what a file proves, as a value; words are for who shows them.

use super::{EntryProof, ForkProof, HistoryProof, LightChain, MAX_FORK, MAX_LIGHT_CHAIN, MAX_STATE_PROOF};
use super::{ProofError, StateProof, TrustError};
use crate::codec::{self, CodecError, encode};
use crate::entry::{MAX_PACKED, Signed};
use crate::genesis::{Genesis, GenesisError, MAX_GENESIS};
use crate::hash::{context, hash};
use crate::merkle::MAX_PATH;
use crate::seal::BodyKey;
use crate::settle::{Header, MAX_HEADER};
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a proof file starts with.
pub const MAGIC: [u8; 8] = *b"ledgerno";
/// The version of the format, the byte after [`MAGIC`].
pub const FILE_VERSION: u8 = 1;
/// The most bytes of a proof file.
pub const MAX_PROOF_FILE: usize = MAGIC.len() + 1 + MAX_GENESIS + MAX_LIGHT_CHAIN + MAX_CLAIM + CHECKSUM;

/// The most members whom one file names.
pub const MAX_NAMED: usize = 65;

const MAX_AUTHOR: usize = 2 * MAX_STATE_PROOF;
const MAX_CLAIM: usize =
    16 + MAX_PACKED + MAX_HEADER + 2 * MAX_PATH + MAX_AUTHOR + MAX_FORK + MAX_NAMED * MAX_PERSON + 64;
/// A member's record with its proof in a circle of any size.
const MAX_PERSON: usize = 4_096;
const CHECKSUM: usize = 32;

/// A claim with all that it takes to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofFile {
    /// What the circle started from.
    pub genesis: Genesis,
    /// The way to the newest header; without links only where the claim needs no header.
    pub chain: LightChain,
    /// What is claimed.
    pub claim: Claim,
}

/// What a proof file claims. Kinds are only ever added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// That the newest header is settled.
    Header,
    /// That a member is one, or somebody is none: a record of [`StateKey::Member`](crate::state::StateKey::Member).
    Member(Box<StateProof>),
    /// That a member's device wrote an entry, and when it was settled.
    Entry(Box<EntryClaim>),
    /// That a device forked.
    Fork(Box<ForkClaim>),
    /// That a document existed, and who vouched.
    Stamp(Box<StampClaim>),
}

/// A stamped document. Its record holds who vouched and when, so that one proof shows all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StampClaim {
    /// The record of [`StateKey::Stamp`](crate::state::StateKey::Stamp).
    pub stamp: StateProof,
    /// The records of who stamped it and then, in the record's order, of the first of those who vouched: at most
    /// [`MAX_NAMED`] in all, and otherwise all.
    pub members: Vec<StateProof>,
}

/// An entry, settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryClaim {
    /// The entry as its device signed it.
    pub signed: Signed,
    /// Whose device that is.
    pub author: Author,
    /// The header that settled it; none: the newest.
    pub settled: Option<Older>,
    /// That this header settled it.
    pub place: EntryProof,
    /// What it says, if that is shown.
    pub opened: Option<Opened>,
}

/// A header before the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Older {
    /// The header.
    pub header: Header,
    /// That it is before the newest.
    pub ancestry: HistoryProof,
}

/// Whose a device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The device's record.
    pub device: StateProof,
    /// Its member's.
    pub member: StateProof,
}

/// An entry's body with what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The sealed body.
    pub body: Vec<u8>,
    /// Its key.
    pub key: BodyKey,
    /// The key of a transfer's reason or a stamp's note.
    pub reason: Option<BodyKey>,
}

/// A fork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkClaim {
    /// Both entries.
    pub fork: ForkProof,
    /// Whose device it is; none where the file leads to no header.
    pub author: Option<Author>,
}

/// Why a proof file proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FileError {
    /// It does not start as one.
    #[error("this is no proof file")]
    NotOne,
    /// Of a format that this code does not know.
    #[error("version {0} of proof files is unknown")]
    Version(u8),
    /// Its checksum is another's: it was changed on its way, or cut.
    #[error("the file is damaged")]
    Damaged,
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Nothing starts from this genesis.
    #[error("the genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// No certified header, or one too many.
    #[error("the file does not lead to a header as its claim needs it")]
    NoHeader,
    /// The way to the newest header does not hold.
    #[error("the way to the header: {0}")]
    Trust(#[from] TrustError),
    /// A proof under a header does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Who is named is no member under the newest header.
    #[error("who is named is no member")]
    NoMember,
    /// The document was not stamped.
    #[error("the document is not stamped")]
    NotStamped,
    /// The body is not the entry's, or its key does not open it.
    #[error("the body is not what the entry holds, or does not open")]
    Body,
}

impl ProofFile {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(FILE_VERSION);
        bytes.extend_from_slice(&encode(self));
        let checksum = hash(context::PROOF_FILE, &[&bytes]);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Reads a file, of which no proof is checked yet.
    ///
    /// # Errors
    /// [`FileError::NotOne`], [`FileError::Version`], [`FileError::Damaged`] or [`FileError::Codec`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > MAX_PROOF_FILE {
            return Err(CodecError::TooLong { len: bytes.len(), max: MAX_PROOF_FILE }.into());
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(FileError::NotOne)?;
        let (version, rest) = rest.split_first().ok_or(FileError::Damaged)?;
        if *version != FILE_VERSION {
            return Err(FileError::Version(*version));
        }
        let (contents, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(FileError::Damaged)?;
        let before = &bytes[..bytes.len() - CHECKSUM];
        if hash(context::PROOF_FILE, &[before]) != *checksum {
            return Err(FileError::Damaged);
        }
        Ok(codec::decode(contents, MAX_PROOF_FILE)?)
    }
}
