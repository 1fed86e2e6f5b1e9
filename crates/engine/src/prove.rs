//! Proof files about what is settled here, made by a member: see [`ledgerno_ledger::proof`].
//!
//! Each leads from the genesis over the changes of witnesses to the newest header, and proves records of the state under
//! that header. Only what is durable is proven: a witness that told a header and forgot it would settle another.

use crate::engine::{Engine, Seat};
use crate::keyring::Keyring;
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash, HeaderHash, MemberId};
use ledgerno_ledger::entry::{Entry, Lane, Packed};
use ledgerno_ledger::merkle::ENTRIES;
use ledgerno_ledger::op::Operation;
use ledgerno_ledger::proof::{
    Author, Claim, EntryClaim, EntryProof, ForkClaim, ForkProof, HistoryProof, LightChain, MAX_NAMED, Older, Opened,
    ProofFile, StampClaim, StateTree,
};
use ledgerno_ledger::seal::{self, BodyKey};
use ledgerno_ledger::settle::Opener;
use ledgerno_ledger::state::{State, StateKey, Verdict, VoidReason};
use std::collections::HashMap;

/// Why no proof file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// This node holds no keys, or nothing is settled for it to prove.
    #[error("this node cannot prove what is settled")]
    NoState,
    /// The entry is not held here, or what it was settled with is not.
    #[error("the entry is not held here")]
    NotHeld,
    /// Not yet.
    #[error("the entry is not settled")]
    NotSettled,
    /// It changed nothing.
    #[error("the entry is void: {0}")]
    Void(VoidReason),
    /// Its author is no member now.
    #[error("the author is no member")]
    NotMember,
    /// Its body was erased, or the key is not held.
    #[error("the body does not open here")]
    Sealed,
    /// No settled stamp of the document.
    #[error("the document is not stamped")]
    NotStamped,
    /// The device did not fork, as far as is known here.
    #[error("the device has not forked")]
    NoFork,
}

/// What proof files of one moment are made from.
struct Moment<'a> {
    engine: &'a Engine,
    keyring: &'a Keyring,
    state: &'a State,
    tree: StateTree,
    height: u64,
    /// By height, from the genesis on.
    hashes: Vec<HeaderHash>,
}

impl Engine {
    /// That an entry was written by a member's device, and when it was settled; with what it says, if it is to be shown.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_entry(&self, id: &EntryId, open: bool) -> Result<ProofFile, ProveError> {
        let moment = Moment::new(self)?;
        let packed = self.packed(id).filter(|_| self.may_give(id)).ok_or(ProveError::NotHeld)?;
        let settled = self.history.settled(id).ok_or(ProveError::NotSettled)?;
        if let Some(Verdict::Void(why)) = settled.verdict {
            return Err(ProveError::Void(why));
        }
        let claim = EntryClaim {
            signed: packed.signed.clone(),
            author: moment.author(packed.signed.entry.device)?,
            settled: moment.older(settled.height)?,
            place: moment.place(id, settled.height)?,
            opened: if open { Some(moment.opened(packed)?) } else { None },
        };
        moment.file(Claim::Entry(Box::new(claim)))
    }

    /// What the newest state says of a member: their record, or that there is none.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_member(&self, id: MemberId) -> Result<ProofFile, ProveError> {
        let moment = Moment::new(self)?;
        let proof = moment.tree.prove(StateKey::Member(id));
        moment.file(Claim::Member(Box::new(proof)))
    }

    /// That a document was stamped, by whom and when, and who vouched for it.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_stamp(&self, document: Hash) -> Result<ProofFile, ProveError> {
        let moment = Moment::new(self)?;
        let stamped = moment.state.stamped(&document).ok_or(ProveError::NotStamped)?;
        let members = [stamped.by].into_iter().chain(stamped.vouched.iter().map(|vouched| vouched.member));
        let members = members.take(MAX_NAMED).map(|id| moment.tree.prove(StateKey::Member(id))).collect();
        let stamp = moment.tree.prove(StateKey::Stamp(document));
        moment.file(Claim::Stamp(Box::new(StampClaim { stamp, members })))
    }

    /// That a device forked.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_fork(&self, device: DeviceId) -> Result<ProofFile, ProveError> {
        let mut places: Vec<(u32, EntryId)> = self.history.of(&device).map(|(_, row)| (row.seq, row.id)).collect();
        places.sort_unstable();
        let both = places.windows(2).find(|pair| pair[0].0 == pair[1].0).ok_or(ProveError::NoFork)?;
        let given = |(_, id): &(u32, EntryId)| self.packed(id).filter(|_| self.may_give(id));
        let signed = |at: usize| both.get(at).and_then(given).map(|packed| packed.signed.clone());
        let (one, other) = signed(0).zip(signed(1)).ok_or(ProveError::NotHeld)?;
        let fork = ForkProof::new(self.circle, one, other).ok_or(ProveError::NoFork)?;
        let with_author = Moment::new(self).and_then(|moment| Ok((moment.author(device)?, moment)));
        match with_author {
            Ok((author, moment)) => moment.file(Claim::Fork(Box::new(ForkClaim { fork, author: Some(author) }))),
            Err(_) => {
                let chain = LightChain { start: None, links: Vec::new() };
                let claim = Claim::Fork(Box::new(ForkClaim { fork, author: None }));
                Ok(ProofFile { genesis: self.genesis.clone(), chain, claim })
            }
        }
    }
}

impl<'a> Moment<'a> {
    fn new(engine: &'a Engine) -> Result<Self, ProveError> {
        let Seat::Member { keyring, .. } = &engine.seat else { return Err(ProveError::NoState) };
        let (state, height) = (engine.chain.state().ok_or(ProveError::NoState)?, engine.chain.height());
        if height == 0 {
            return Err(ProveError::NoState);
        }
        if engine.durable_height < height {
            return Err(ProveError::NotSettled);
        }
        let hashes = (0..=height).map(|height| engine.chain.hash_at(height)).collect::<Option<_>>();
        let tree = StateTree::of(state, keyring.salt());
        Ok(Moment { engine, keyring, state, tree, height, hashes: hashes.ok_or(ProveError::NotHeld)? })
    }

    fn file(&self, claim: Claim) -> Result<ProofFile, ProveError> {
        let chain = LightChain::new(None, self.engine.turns.iter().chain(&self.engine.proofs), &self.hashes)
            .ok_or(ProveError::NotHeld)?;
        Ok(ProofFile { genesis: self.engine.genesis.clone(), chain, claim })
    }

    fn author(&self, device: DeviceId) -> Result<Author, ProveError> {
        let member = self.state.device(&device).ok_or(ProveError::NotMember)?.member;
        self.state.member(&member).ok_or(ProveError::NotMember)?;
        let prove = |key| self.tree.prove(key);
        Ok(Author { device: prove(StateKey::Device(device)), member: prove(StateKey::Member(member)) })
    }

    /// The header at a height, and that it is before the newest; none for the newest itself.
    fn older(&self, height: u64) -> Result<Option<Older>, ProveError> {
        if height == self.height {
            return Ok(None);
        }
        let proof = self.engine.proof_at(height).ok_or(ProveError::NotHeld)?;
        let ancestry = HistoryProof::new(&self.hashes, height, self.height).ok_or(ProveError::NotHeld)?;
        Ok(Some(Older { header: proof.checkpoint.header.clone(), ancestry }))
    }

    /// That the header at a height settled an entry. Its order is made again: by depth among what it settled, and by id.
    fn place(&self, id: &EntryId, height: u64) -> Result<EntryProof, ProveError> {
        let mut depths: HashMap<EntryId, u64> = HashMap::new();
        // What an entry builds on was taken before it.
        for one in self.engine.history.settled_at(height).map(|row| &row.id) {
            let entry = &self.engine.packed(one).ok_or(ProveError::NotHeld)?.signed.entry;
            let parents = entry.approves.iter().map(|head| head.id).chain([entry.prev]);
            let below = parents.filter_map(|parent| depths.get(&parent).copied()).max().unwrap_or(0);
            depths.insert(*one, below + 1);
        }
        let mut settled: Vec<(u64, EntryId)> = depths.into_iter().map(|(id, depth)| (depth, id)).collect();
        settled.sort_unstable();
        let settled: Vec<EntryId> = settled.into_iter().map(|(_, id)| id).collect();
        let header = self.engine.proof_at(height).map(|proof| &proof.checkpoint.header);
        let root = ENTRIES.root(settled.iter().map(|id| &id.0));
        if header.is_none_or(|header| header.entries_root != root) {
            return Err(ProveError::NotHeld);
        }
        let at = settled.iter().position(|one| one == id).ok_or(ProveError::NotHeld)?;
        EntryProof::new(&settled, at).ok_or(ProveError::NotHeld)
    }

    fn opened(&self, packed: &Packed) -> Result<Opened, ProveError> {
        let entry = &packed.signed.entry;
        let body = packed.body.clone().ok_or(ProveError::Sealed)?;
        let lane_key = self.keyring.key(entry.epoch, entry.lane).ok_or(ProveError::Sealed)?;
        let plain = seal::open_body(self.engine.circle, entry, lane_key, &body).map_err(|_| ProveError::Sealed)?;
        let key = BodyKey::of_body(lane_key, &body).ok_or(ProveError::Sealed)?;
        Ok(Opened { reason: self.reason(entry, &plain), body, key })
    }

    /// The key of a transfer's reason or a stamp's note, if there is one that opens.
    fn reason(&self, entry: &Entry, plain: &[u8]) -> Option<BodyKey> {
        let talk = self.keyring.key(entry.epoch, Lane::Talk)?;
        let reason = match Operation::decode(plain) {
            Ok(Operation::Transfer { reason, .. } | Operation::Stamp { note: reason, .. })
                if entry.lane == Lane::State =>
            {
                reason
            }
            _ => return None,
        };
        let text = seal::open_reason(self.engine.circle, entry.device, entry.seq, talk, &reason).ok()?;
        String::from_utf8(text).ok()?;
        BodyKey::of_reason(talk, &reason)
    }
}
