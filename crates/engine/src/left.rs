//! Who left: a member who was removed, a device that was given up. Whoever folds the state gives them what was settled until
//! then, so that they learn it, and nothing after; what they wrote is taken as ever, and is void. A relay without keys
//! does not know of it.

use crate::engine::{Engine, Output, Peer};
use crate::wire::{ANSWER_BYTES, Answer, Ask, No};
use ledgerno_ledger::bytes::{DeviceId, EntryId, MemberId};
use ledgerno_ledger::op::Operation;
use ledgerno_ledger::settle::Proof;

/// So many of a device's newest entries are looked through for the one that gave another up.
const LOOKED_THROUGH: usize = 256;

impl Engine {
    /// The height that settled that a peer left; none for who is in, or not known to have left.
    pub(crate) fn left_at(&self, peer: &Peer) -> Option<u64> {
        let (state, admission) = (self.chain.state()?, self.dag.admission(peer)?);
        if self.keepers.contains(peer) {
            return None;
        }
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
