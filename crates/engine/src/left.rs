//! Who left: a member who was removed, a device that was given up. Whoever folds the state gives them what was settled until
//! then, so that they learn it, and nothing after; what they wrote is taken as ever, and is void.
//!
//! A relay without keys folds nothing. It learns of them from any member's device that chose it: that one tells, once while
//! it runs, the records of all who left, each proven under a header that the relay holds too. So it learns those records,
//! with their names and balances, and no others; nobody can tell it that somebody left who did not.

use crate::engine::{Engine, Output, Peer, Seat, Then};
use crate::wire::{ANSWER_BYTES, Answer, Ask, MAX_LEFT, No};
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash, MemberId};
use ledgerno_ledger::codec;
use ledgerno_ledger::op::Operation;
use ledgerno_ledger::proof::{StateProof, StateTree};
use ledgerno_ledger::settle::{Opener, Proof};
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_ledger::state::StateKey;
use serde::{Deserialize, Serialize};

/// The record of who is known to have left, where no state is folded.
pub(crate) const RECORD: &str = "left";
/// The most bytes of the record: every member and device that there may be.
const MAX_RECORD: usize = 4 * 1024 * 1024;

/// So many of a device's newest entries are looked through for the one that gave another up.
const LOOKED_THROUGH: usize = 256;

/// Who is known to have left, where no state is folded; and up to which height they are given what was settled.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Left {
    members: SortedMap<MemberId, u64>,
    devices: SortedMap<DeviceId, u64>,
}

/// Of whom a relay was told, and of whom it is being told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    done: Vec<StateKey>,
    asked: Vec<StateKey>,
}

impl Engine {
    /// Takes the record back; false if it is none.
    pub(crate) fn restore_left(&mut self, bytes: &[u8]) -> bool {
        codec::decode(bytes, MAX_RECORD).map(|left| self.left = left).is_ok()
    }

    /// The next question that tells a relay who left; none if it was told.
    pub(crate) fn leavers_for(&mut self, peer: Peer) -> Option<Ask> {
        let (Seat::Member { keyring, .. }, Some(state)) = (&self.seat, self.chain.state()) else { return None };
        let height = self.chain.height();
        if !self.keepers.contains(&peer) || self.durable_height < height {
            return None;
        }
        let removed = state.members().filter(|(_, member)| member.removed.is_some());
        let retired = state.devices().filter(|(_, device)| device.retired);
        let keys = removed.map(|(id, _)| StateKey::Member(*id)).chain(retired.map(|(id, _)| StateKey::Device(*id)));
        let told = self.told.get_or_insert_with(peer, Told::default);
        told.asked = keys.filter(|key| !told.done.contains(key)).take(MAX_LEFT).collect();
        if told.asked.is_empty() {
            return None;
        }
        let tree = StateTree::of(state, keyring.salt());
        Some(Ask::Left { height, proofs: told.asked.iter().map(|key| tree.prove(*key)).collect() })
    }

    /// A relay was told, and is not told again.
    pub(crate) fn told(&mut self, peer: &Peer) {
        if let Some(told) = self.told.get_mut(peer) {
            told.done.append(&mut told.asked);
        }
    }

    /// A member tells who left.
    pub(crate) fn hear_left(&mut self, no: u64, height: u64, proofs: &[StateProof], now: u64) {
        let header = self.proof_at(height).map(|proof| &proof.checkpoint.header);
        let root = header.filter(|_| height <= self.durable_height).map(|header| header.state_root);
        let known = |left: &Left| (left.members.len(), left.devices.len());
        let before = known(&self.left);
        let answer = match root {
            None => Answer::No(No::Busy),
            Some(_) if self.chain.state().is_some() => Answer::Kept,
            Some(root) if proofs.iter().all(|proof| self.learn_left(&root, height, proof)) => Answer::Kept,
            Some(_) => Answer::No(No::Malformed),
        };
        // Who tells again and again makes nobody write.
        let is_new = known(&self.left) != before;
        let records = if is_new { vec![(RECORD.to_owned(), Some(codec::encode(&self.left)))] } else { Vec::new() };
        self.write(Vec::new(), records, Vec::new(), vec![Then::Say(Output::Answer { no, answer })], now);
    }

    /// Whether a record is under the root and says that somebody left, who is known here.
    fn learn_left(&mut self, root: &Hash, height: u64, proof: &StateProof) -> bool {
        match proof.key {
            StateKey::Member(id) => {
                let removed = proof.member(root, id).ok().flatten().and_then(|member| member.removed);
                let known = removed.filter(|_| self.dag.members().any(|member| *member == id));
                known.map(|at| self.left.members.insert(id, at)).is_some()
            }
            StateKey::Device(id) => {
                let retired = proof.device(root, id).ok().flatten().filter(|device| device.retired);
                let known = retired.filter(|_| self.dag.admission(&id).is_some());
                // When is not in the record: not after this header.
                known.map(|_| self.left.devices.get_or_insert_with(id, || height)).is_some()
            }
            _ => false,
        }
    }

    /// The height that settled that a peer left; none for who is in, or not known to have left.
    pub(crate) fn left_at(&self, peer: &Peer) -> Option<u64> {
        let admission = self.dag.admission(peer)?;
        if self.keepers.contains(peer) {
            return None;
        }
        let Some(state) = self.chain.state() else {
            let left = self.left.members.get(&admission.member);
            return left.or_else(|| self.left.devices.get(peer)).copied();
        };
        let removed = state.member(&admission.member).and_then(|member| member.removed);
        let is_retired = || state.device(peer).is_some_and(|device| device.retired);
        removed.or_else(|| is_retired().then(|| self.retired_at(peer, &admission.member)))
    }

    /// The height that settled a device's retirement; the newest, if the entry is not at hand.
    fn retired_at(&self, retired: &DeviceId, member: &MemberId) -> u64 {
        let state = self.chain.state();
        let devices = state.into_iter().flat_map(|state| state.devices());
        let ids = devices
            .filter(|(_, device)| device.member == *member)
            .flat_map(|(id, _)| self.history.of(id).rev().take(LOOKED_THROUGH).map(|(_, row)| row.id));
        let retires = |id: &EntryId| matches!(self.operation(id), Some(Operation::Retire(of)) if of == *retired);
        let heights = ids.filter(retires).filter_map(|id| self.history.settled(&id)).map(|settled| settled.height);
        heights.min().unwrap_or(self.chain.height())
    }

    /// Of entries those that a peer is given: who left, what was settled until then.
    pub(crate) fn entries_for(&self, peer: &Peer, mut ids: Vec<EntryId>) -> Vec<EntryId> {
        if let Some(until) = self.left_at(peer) {
            ids.retain(|id| self.history.settled(id).is_some_and(|settled| settled.height <= until));
        }
        ids
    }

    /// Likewise of settled headers, and whether there are more.
    pub(crate) fn headers_for(&self, peer: &Peer, mut proofs: Vec<Proof>, more: bool) -> (Vec<Proof>, bool) {
        let Some(until) = self.left_at(peer) else { return (proofs, more) };
        proofs.retain(|proof| proof.height() <= until);
        let reaches = proofs.last().is_none_or(|last| last.height() >= until);
        (proofs, more && !reaches)
    }

    /// Answers who left, by what was settled until a height.
    pub(crate) fn answer_left(&mut self, peer: &Peer, no: u64, ask: Ask, until: u64) {
        let ids = match &ask {
            Ask::Ranges(ranges) => self.ids_in(ranges),
            Ask::Entries(ids) => ids.iter().filter(|id| self.is_durable(id) && self.may_give(id)).copied().collect(),
            _ => Vec::new(),
        };
        let answer = match ask {
            Ask::Ranges(_) | Ask::Entries(_) => {
                let (entries, left) = self.pack(self.entries_for(peer, ids), ANSWER_BYTES);
                Answer::Entries { entries, more: !left.is_empty() }
            }
            Ask::Settled { from, skip, to } if from <= until => self.settled_answer(from, skip, to.min(until)),
            Ask::Headers { from } => {
                let (proofs, more) = self.proofs_from(from);
                let (proofs, more) = self.headers_for(peer, proofs, more);
                Answer::Headers { proofs, more }
            }
            _ => Answer::No(No::NotAdmitted),
        };
        self.outputs.push_back(Output::Answer { no, answer });
    }
}
