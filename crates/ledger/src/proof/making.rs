//! Makes proof files of what a member's node holds. The node gives the parts, and no more code than that takes: in a page,
//! the module that is loaded when a proof is wanted puts them together.

use super::{
    Author, Claim, EntryClaim, EntryProof, ForkClaim, ForkProof, HistoryProof, LightChain, Older, Opened, ProofFile,
    StampClaim, StateProof,
};
use crate::bytes::{EntryId, Hash, HeaderHash, MemberId};
use crate::codec::{self, CodecError};
use crate::entry::{Entry, Lane, Signed};
use crate::genesis::Genesis;
use crate::merkle::ENTRIES;
use crate::op::Operation;
use crate::seal::{self, BodyKey, LaneKeys};
use crate::settle::{Header, Proof};
use crate::sorted::SortedMap;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a proof file can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// An entry, with what it says.
    Entry(EntryId),
    /// Whether somebody is a member.
    Member(MemberId),
    /// A document's stamp.
    Stamp(Hash),
    /// That a device of this member forked.
    Fork(MemberId),
}

/// What a proof file is made from. It may hold lane keys, so it never leaves the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// What it is to be about.
    pub subject: Subject,
    /// What the circle started from.
    pub genesis: Genesis,
    /// The headers that changed the witnesses, and the newest, without their cuts; none where the claim needs no header.
    pub headers: Vec<Proof>,
    /// All headers' hashes, by height, from the genesis on.
    pub hashes: Vec<HeaderHash>,
    /// Of the newest state: of a member theirs; of a stamp it and then who is named in it; else the author's device and member.
    pub records: Vec<StateProof>,
    /// Of an entry: all that its header settled; of a fork: both.
    pub entries: Vec<Signed>,
    /// Of an entry: the header that settled it.
    pub settled: Option<Header>,
    /// Of an entry, if it is to be shown: its body, and the keys of its epoch.
    pub opened: Option<(Vec<u8>, LaneKeys)>,
}

/// Why no proof file is made of these parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MakeError {
    /// They do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// They are not all, or not of each other.
    #[error("what a proof takes is not there")]
    Missing,
    /// The key is not the body's.
    #[error("the body does not open")]
    Sealed,
}

impl Parts {
    /// Reads parts, as a node of the same build has encoded them.
    ///
    /// # Errors
    /// [`MakeError::Codec`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MakeError> {
        Ok(codec::decode(bytes, bytes.len())?)
    }

    /// Puts a file together.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn make(&self) -> Result<ProofFile, MakeError> {
        let claim = match self.subject {
            Subject::Entry(id) => Claim::Entry(Box::new(self.entry(id)?)),
            Subject::Member(_) => Claim::Member(Box::new(self.record(0)?)),
            Subject::Stamp(_) => {
                Claim::Stamp(Box::new(StampClaim { stamp: self.record(0)?, members: self.records[1..].to_vec() }))
            }
            Subject::Fork(_) => Claim::Fork(Box::new(self.fork()?)),
        };
        let chain = match (&self.headers[..], &claim) {
            ([], Claim::Fork(_)) => LightChain { start: None, links: Vec::new() },
            (headers, _) => LightChain::new(None, headers, &self.hashes).ok_or(MakeError::Missing)?,
        };
        Ok(ProofFile { genesis: self.genesis.clone(), chain, claim })
    }

    fn record(&self, at: usize) -> Result<StateProof, MakeError> {
        self.records.get(at).cloned().ok_or(MakeError::Missing)
    }

    fn author(&self) -> Result<Author, MakeError> {
        Ok(Author { device: self.record(0)?, member: self.record(1)? })
    }

    fn fork(&self) -> Result<ForkClaim, MakeError> {
        let [one, other] = &self.entries[..] else { return Err(MakeError::Missing) };
        let fork = ForkProof::new(self.genesis.id(), one.clone(), other.clone()).ok_or(MakeError::Missing)?;
        Ok(ForkClaim { fork, author: if self.records.is_empty() { None } else { Some(self.author()?) } })
    }

    fn entry(&self, id: EntryId) -> Result<EntryClaim, MakeError> {
        let header = self.settled.as_ref().ok_or(MakeError::Missing)?;
        let (order, signed) = self.order(id, header)?;
        let place = order.iter().position(|one| *one == id).ok_or(MakeError::Missing)?;
        Ok(EntryClaim {
            author: self.author()?,
            settled: self.older(header)?,
            place: EntryProof::new(&order, place).ok_or(MakeError::Missing)?,
            opened: self.opened.as_ref().map(|(body, keys)| self.open(&signed.entry, body, keys)).transpose()?,
            signed: signed.clone(),
        })
    }

    /// That a header is before the newest; none for the newest itself.
    fn older(&self, header: &Header) -> Result<Option<Older>, MakeError> {
        let newest = self.hashes.len() as u64 - 1;
        if header.height == newest {
            return Ok(None);
        }
        let ancestry = HistoryProof::new(&self.hashes, header.height, newest).ok_or(MakeError::Missing)?;
        Ok(Some(Older { header: header.clone(), ancestry }))
    }

    /// What a header settled in its order, made again: by depth among what it settled, and by id; and one of it.
    fn order(&self, wanted: EntryId, header: &Header) -> Result<(Vec<EntryId>, &Signed), MakeError> {
        let (circle, mut depths, mut found) = (self.genesis.id(), SortedMap::default(), None);
        // What an entry builds on was taken before it.
        for signed in &self.entries {
            let (entry, id) = (&signed.entry, signed.entry.id(circle));
            let parents = entry.approves.iter().map(|head| head.id).chain([entry.prev]);
            let below = parents.filter_map(|parent| depths.get(&parent).copied()).max().unwrap_or(0);
            depths.insert(id, below + 1_u64);
            found = found.or((id == wanted).then_some(signed));
        }
        let mut settled: Vec<(u64, EntryId)> = depths.iter().map(|(id, depth)| (*depth, *id)).collect();
        settled.sort_unstable();
        let settled: Vec<EntryId> = settled.into_iter().map(|(_, id)| id).collect();
        if header.entries_root != ENTRIES.root(settled.iter().map(|id| &id.0)) {
            return Err(MakeError::Missing);
        }
        Ok((settled, found.ok_or(MakeError::Missing)?))
    }

    fn open(&self, entry: &Entry, body: &[u8], keys: &LaneKeys) -> Result<Opened, MakeError> {
        let lane_key = keys.lane(entry.lane).ok_or(MakeError::Sealed)?;
        let plain = seal::open_body(self.genesis.id(), entry, lane_key, body).map_err(|_| MakeError::Sealed)?;
        let key = BodyKey::of_body(lane_key, body).ok_or(MakeError::Sealed)?;
        Ok(Opened { reason: self.reason(entry, &plain, keys), body: body.to_vec(), key })
    }

    /// The key of a transfer's reason or a stamp's note, if there is one that opens.
    fn reason(&self, entry: &Entry, plain: &[u8], keys: &LaneKeys) -> Option<BodyKey> {
        let talk = keys.lane(Lane::Talk)?;
        let reason = match Operation::decode(plain) {
            Ok(Operation::Transfer { reason, .. } | Operation::Stamp { note: reason, .. })
                if entry.lane == Lane::State =>
            {
                reason
            }
            _ => return None,
        };
        let text = seal::open_reason(self.genesis.id(), entry.device, entry.seq, talk, &reason).ok()?;
        String::from_utf8(text).ok()?;
        BodyKey::of_reason(talk, &reason)
    }
}
