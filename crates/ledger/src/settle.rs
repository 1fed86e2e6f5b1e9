//! The settlement: at each height, the witnesses agree on one header over a cut of the DAG.
//!
//! Per height one agreement on a header, in views 0, 1, 2, …, by W witnesses of equal weight of whom at most B lie;
//! Q = ⌊(W + B) / 2⌋ + 1 of them are a quorum, and any two quorums share an honest witness. (The Simplex family, one value
//! a height.) [`Witnesses`] says who votes; [`Vote`] is what they sign.
//!
//! - [`Voter`]: what a witness may sign. It *notarizes* at most one header a view, *finalizes* what a quorum notarized,
//!   and *nullifies* a view whose time is over; the last two exclude each other.
//! - [`Tally`]: Q votes of distinct witnesses make a notarization, a nullification, or a [`Certificate`].
//! - [`Round`]: the views of a height: who leads, what may be proposed, how one jumps past a view.
//! - [`Bundle`]: what is told of an open height, and kept on the disk before the votes that it permits are sent.
//! - [`Chain`]: one node's settled history. It makes the next header, checks others' against its own DAG and its own fold,
//!   and believes no root that it can compute.
//!
//! [`Evidence`] is two votes that no honest witness casts. The witnesses of the next height follow from the state; a header
//! names them by hash. A sole witness notarizes and finalizes alone, in view 0.

mod bundle;
mod chain;
mod round;
mod tally;
mod vote;
mod voter;

pub use bundle::{Bundle, BundleError, MAX_BUNDLE, Notarization, Nullification, Proposal};
#[cfg(test)]
use chain::plan;
pub use chain::{Block, Chain, Opener, Refusal, Root, SettleError, Settled, Unfit, Voted};
pub use round::{Next, Round, justified};
pub use tally::{Taken, Tally, Voices};
pub use vote::{
    Certificate, CertificateError, Evidence, MAX_WITNESSES, Renewal, SignedVote, Vote, VoteKind, Witness, Witnesses,
};
pub use voter::{Ballot, MAX_FINALIZES, Voter};

use crate::bytes::{CircleId, DeviceId, Hash, HeaderHash};
use crate::codec::direct::direct;
use crate::codec::{self, CodecError, encode_directly, encode_list};
use crate::dag::MAX_CUT;
use crate::entry::Head;
use crate::hash::{context, hash};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The version of the header format.
pub const VERSION: u8 = 1;
/// The most bytes of an encoded [`Header`].
pub const MAX_HEADER: usize = 512;
/// The most bytes of an encoded [`Proof`].
pub const MAX_PROOF: usize =
    MAX_HEADER + 512 + MAX_WITNESSES * (32 + 64) + MAX_CUT * (32 + 10 + 32) + MAX_WITNESSES * (32 + 32 + 1);

/// What the witnesses agree on at one height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub version: u8,
    /// The circle.
    pub circle: CircleId,
    /// From 1; the genesis is height 0.
    pub height: u64,
    /// The header before this one; at height 1 the circle's id.
    pub prev: HeaderHash,
    /// The witness's device that made it.
    pub proposer: DeviceId,
    /// The proposer's clock in milliseconds since 1970, but not before the previous header's time.
    pub time: u64,
    /// See [`cut_hash`].
    pub cut_hash: Hash,
    /// How many entries it settles.
    pub entries: u32,
    /// The root over their ids in settled order.
    pub entries_root: Hash,
    /// The root over all headers before this one; the circle's id is the first.
    pub history_root: Hash,
    /// The root of the state after its entries.
    pub state_root: Hash,
    /// See [`Witnesses::hash`]: who votes on the next height.
    pub witnesses: Hash,
}

impl Header {
    /// Its hash, by which the next header and all votes name it.
    pub fn hash(&self) -> HeaderHash {
        HeaderHash(hash(context::HEADER, &[&encode_directly(self)]))
    }
}

/// The hash by which a header names its cut.
pub fn cut_hash(cut: &[Head]) -> Hash {
    Hash(hash(context::CUT, &[&encode_list(cut)]))
}

/// A header and the votes that settle it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What is settled.
    pub header: Header,
    /// By whom.
    pub certificate: Certificate,
}

/// What travels of a settled height: the checkpoint with its cut. Encoded it has at most [`MAX_PROOF`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Header and certificate.
    pub checkpoint: Checkpoint,
    /// The cut, sorted by device.
    pub cut: Vec<Head>,
    /// Who votes on the next height, if those are others than voted on this: whoever does not fold learns it from here.
    pub witnesses: Option<Witnesses>,
    /// What made another witness than the header before says settle this one.
    pub renewal: Option<Renewal>,
}

direct! { Header {
    version: u8, circle: CircleId, height: u64, prev: HeaderHash, proposer: DeviceId, time: u64, cut_hash: Hash, entries: u32,
    entries_root: Hash, history_root: Hash, state_root: Hash, witnesses: Hash,
} }
direct! { Checkpoint { header: Header, certificate: Certificate } }
direct! { Proof {
    checkpoint: Checkpoint, cut: Vec<Head>, witnesses: Option<Witnesses>, renewal: Option<Renewal>,
} }

impl Proof {
    /// Whether its header is the one of its height among these hashes.
    pub fn is_at(&self, hashes: &[HeaderHash]) -> bool {
        let at = usize::try_from(self.height()).ok().and_then(|height| hashes.get(height));
        at.is_some_and(|at| *at == self.checkpoint.header.hash())
    }

    /// The height that it settles.
    pub fn height(&self) -> u64 {
        self.checkpoint.header.height
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_directly(self)
    }

    /// Reads a proof; nothing of it is checked.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_directly(bytes, MAX_PROOF)
    }
}

#[cfg(test)]
mod round_tests;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
