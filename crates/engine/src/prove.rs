//! Proof files about what is settled here, made by a member: see [`ledgerno_ledger::proof`].
//!
//! The node gives the [`Parts`], the ledger puts them together. Each file leads from the genesis over the changes of witnesses to the newest header, and proves records of the state under
//! that header. Only what is durable is proven: a witness that told a header and forgot it would settle another.

use crate::engine::{Engine, Seat};
use crate::keyring::Keyring;
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash, MemberId};
use ledgerno_ledger::entry::Signed;
use ledgerno_ledger::proof::{MAX_NAMED, MakeError, Parts, ProofFile, StateProof, StateTree, Subject};
use ledgerno_ledger::settle::{Opener, Proof};
use ledgerno_ledger::state::{State, StateKey, Verdict, VoidReason};

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

impl From<MakeError> for ProveError {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Sealed => ProveError::Sealed,
            MakeError::Codec(_) | MakeError::Missing => ProveError::NotHeld,
        }
    }
}

/// What proof files of one moment are made from.
struct Moment<'a> {
    engine: &'a Engine,
    state: &'a State,
    keyring: &'a Keyring,
    tree: StateTree,
}

impl Engine {
    /// The parts of a proof file of what was written and settled here; or the driver is asked first for what is needed and
    /// not in memory: then it is [`ProveError::NotHeld`], and [`Event::Changed`](crate::Event::Changed) says when to try
    /// again.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove(&mut self, subject: Subject) -> Result<Parts, ProveError> {
        match subject {
            Subject::Entry(id) => {
                self.bring(&id);
                self.entry_parts(&id, true)
            }
            Subject::Member(id) => self.member_parts(id),
            Subject::Stamp(document) => self.stamp_parts(document),
            Subject::Fork(id) => {
                let member = self.members().into_iter().find(|member| member.id == id).ok_or(ProveError::NoFork)?;
                let forked = |device: &DeviceId| self.branches(device).map(|both| (*device, both));
                let (device, both) = member.devices.iter().find_map(forked).ok_or(ProveError::NoFork)?;
                self.bring_all(&both);
                self.fork_parts(device)
            }
        }
    }

    /// That an entry was written by a member's device, and when it was settled; with what it says, if it is to be shown.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_entry(&self, id: &EntryId, open: bool) -> Result<ProofFile, ProveError> {
        Ok(self.entry_parts(id, open)?.make()?)
    }

    /// What the newest state says of a member: their record, or that there is none.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_member(&self, id: MemberId) -> Result<ProofFile, ProveError> {
        Ok(self.member_parts(id)?.make()?)
    }

    /// That a document was stamped, by whom and when, and who vouched for it.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_stamp(&self, document: Hash) -> Result<ProofFile, ProveError> {
        Ok(self.stamp_parts(document)?.make()?)
    }

    /// That a device forked.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_fork(&self, device: DeviceId) -> Result<ProofFile, ProveError> {
        Ok(self.fork_parts(device)?.make()?)
    }

    fn entry_parts(&self, id: &EntryId, open: bool) -> Result<Parts, ProveError> {
        let moment = Moment::new(self)?;
        let packed = self.packed(id).filter(|_| self.may_give(id)).ok_or(ProveError::NotHeld)?;
        let settled = self.history.settled(id).ok_or(ProveError::NotSettled)?;
        if let Some(Verdict::Void(why)) = settled.verdict {
            return Err(ProveError::Void(why));
        }
        let entry = &packed.signed.entry;
        let mut parts = moment.parts(Subject::Entry(*id), moment.author(entry.device)?)?;
        let header = self.proof_at(settled.height).ok_or(ProveError::NotHeld)?;
        parts.settled = Some(header.checkpoint.header.clone());
        for row in self.history.settled_at(settled.height) {
            parts.entries.push(self.signed(&row.id)?);
        }
        if open {
            let keys = moment.keyring.of(&entry.epoch).ok_or(ProveError::Sealed)?;
            parts.opened = Some((packed.body.clone().ok_or(ProveError::Sealed)?, keys.clone()));
        }
        Ok(parts)
    }

    fn member_parts(&self, id: MemberId) -> Result<Parts, ProveError> {
        let moment = Moment::new(self)?;
        moment.parts(Subject::Member(id), vec![moment.tree.prove(StateKey::Member(id))])
    }

    fn stamp_parts(&self, document: Hash) -> Result<Parts, ProveError> {
        let moment = Moment::new(self)?;
        let stamped = moment.state.stamped(&document).ok_or(ProveError::NotStamped)?;
        let members = [stamped.by].into_iter().chain(stamped.vouched.iter().map(|vouched| vouched.member));
        let keys = members.take(MAX_NAMED).map(StateKey::Member);
        let records = [StateKey::Stamp(document)].into_iter().chain(keys).map(|key| moment.tree.prove(key)).collect();
        moment.parts(Subject::Stamp(document), records)
    }

    fn fork_parts(&self, device: DeviceId) -> Result<Parts, ProveError> {
        let [one, other] = self.branches(&device).ok_or(ProveError::NoFork)?;
        let both = vec![self.signed(&one)?, self.signed(&other)?];
        if !self.may_give(&one) || !self.may_give(&other) {
            return Err(ProveError::NotHeld);
        }
        // Who knows no member proves it of the device alone.
        let of = Subject::Fork(MemberId([0; 32]));
        let by = |moment: Moment| moment.parts(of, moment.author(device)?);
        let mut parts = Moment::new(self).and_then(by).unwrap_or_else(|_| self.bare(of));
        parts.entries = both;
        Ok(parts)
    }

    /// Two entries of a device for one place.
    fn branches(&self, device: &DeviceId) -> Option<[EntryId; 2]> {
        let mut first: Vec<(u32, EntryId)> = Vec::new();
        for (_, row) in self.history.of(device) {
            match first.iter().find(|(seq, id)| *seq == row.seq && *id != row.id) {
                Some((_, other)) => return Some([row.id, *other]),
                None => first.push((row.seq, row.id)),
            }
        }
        None
    }

    fn signed(&self, id: &EntryId) -> Result<Signed, ProveError> {
        self.packed(id).map(|packed| packed.signed.clone()).ok_or(ProveError::NotHeld)
    }

    fn bare(&self, subject: Subject) -> Parts {
        Parts {
            subject,
            genesis: self.genesis.clone(),
            headers: Vec::new(),
            hashes: Vec::new(),
            records: Vec::new(),
            entries: Vec::new(),
            settled: None,
            opened: None,
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
        Ok(Moment { engine, state, keyring, tree: StateTree::of(state, keyring.salt()) })
    }

    fn parts(&self, subject: Subject, records: Vec<StateProof>) -> Result<Parts, ProveError> {
        let (engine, height) = (self.engine, self.engine.chain.height());
        let mut parts = engine.bare(subject);
        for height in 0..=height {
            parts.hashes.push(engine.chain.hash_at(height).ok_or(ProveError::NotHeld)?);
        }
        let all = engine.turns.iter().chain(&engine.proofs);
        let needed =
            all.filter(|proof| proof.height() == height || proof.witnesses.is_some() || proof.renewal.is_some());
        parts.headers.extend(needed.map(|proof| Proof { cut: Vec::new(), ..proof.clone() }));
        parts.records = records;
        Ok(parts)
    }

    fn author(&self, device: DeviceId) -> Result<Vec<StateProof>, ProveError> {
        let member = self.state.device(&device).ok_or(ProveError::NotMember)?.member;
        self.state.member(&member).ok_or(ProveError::NotMember)?;
        Ok(vec![self.tree.prove(StateKey::Device(device)), self.tree.prove(StateKey::Member(member))])
    }
}
