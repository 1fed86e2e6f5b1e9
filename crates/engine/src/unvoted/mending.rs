//! Votes that do not hold are fetched anew. A peer that is far enough is asked for the headers from that height on, by the
//! question for headers. Those that follow on each other, are the ones that are settled here and have votes that hold take
//! the places of theirs in the log. Once they are durable all is checked on from there, as it lies in the store, so the next
//! bad height is found, and mended, in its turn.
//!
//! Of the votes a quorum is kept, no more. So they take no more room than what they replace, which a store wants
//! ([`Output::Replace`]); only those of a view past 127 may, beside a lie that named one below. Such ones are not taken.
//!
//! Who brought the bad ones is not asked, nor is one again that answered wrongly or did not know, till it is gone and comes
//! back. Who is busy or silent is asked again after the next comparison with it, and others meanwhile.

use crate::engine::{Engine, Output, Peer, Then};
use crate::store::proof_item;
use crate::wire::{Answer, Ask};
use ledgerno_ledger::settle::{Proof, Witnesses, cut_hash};

/// The most headers that are taken of an answer; an honest one has no more.
const MOST: usize = 320;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    /// The question that is out, and who is asked.
    asked: Option<(u64, Peer)>,
    /// Those below came anew since the start. If one is bad all the same, the store is to blame.
    upto: u64,
}

/// Whether a peer is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mends {
    #[default]
    Asked,
    /// Not till it was compared with.
    Later,
    /// Not while it stays connected.
    Never,
}

impl Mends {
    /// The peer was compared with.
    pub fn compared(&mut self) {
        if *self == Mends::Later {
            *self = Mends::Asked;
        }
    }
}

impl Engine {
    /// There may be somebody to ask who was not before.
    pub(crate) fn look_for_votes(&mut self) {
        if self.unvoted.spoiled.is_some() {
            self.unchecked.wake(0);
        }
    }

    /// A peer is gone, or back.
    pub(crate) fn part_mending(&mut self, peer: &Peer) {
        self.mending.asked.take_if(|(_, asked)| asked == peer);
        self.look_for_votes();
    }

    /// Whether a peer is asked from now on.
    pub(super) fn set_mends(&mut self, peer: &Peer, mends: Mends) {
        if let Some(session) = self.sessions.get_mut(peer) {
            session.mends = mends;
        }
    }

    /// Asks for the headers from a height on whose votes do not hold.
    pub(super) fn mend(&mut self, height: u64) {
        self.unchecked.pause();
        if self.mending.asked.is_some() || height < self.mending.upto {
            return;
        }
        // Of who connects to it a keeper hears no height.
        let compares = self.device().is_some();
        let mut peers = self.sessions.iter();
        let peer = peers.find(|(_, one)| one.mends == Mends::Asked && (one.height() >= height || !compares));
        let Some(peer) = peer.map(|(peer, _)| *peer) else { return };
        self.next_ask += 1;
        self.mending.asked = Some((self.next_ask, peer));
        self.outputs.push_back(Output::Ask { to: peer, no: self.next_ask, ask: Ask::Headers { from: height } });
    }

    /// Whether an answer was to that.
    pub(crate) fn votes_came(&mut self, no: u64, answer: Option<&Answer>) -> bool {
        let Some((_, peer)) = self.mending.asked.take_if(|(asked, _)| *asked == no) else { return false };
        let first = self.unvoted.spoiled.and_then(|height| Some((height, self.chain.witnesses_at(height)?)));
        let Some((mut height, voters)) = first else { return true };
        let came: &[Proof] = if let Some(Answer::Headers { proofs, .. }) = answer { proofs } else { &[] };
        let (mut items, mut by) = (Vec::new(), Vec::new());
        for proof in came.iter().take(MOST) {
            let (true, Some(place)) = (self.is_voted(height, voters, proof), self.history.header(height)) else {
                break;
            };
            let mut proof = proof.clone();
            proof.checkpoint.certificate.votes.truncate(voters.quorum());
            let item = proof_item(&proof);
            if item.len() > place.len as usize {
                break;
            }
            items.push(place.item.into());
            by.push(item);
            // Of what is in memory too.
            if let Some(ours) = self.proofs.iter_mut().find(|ours| ours.height() == height) {
                *ours = proof;
            }
            height += 1;
        }
        if items.is_empty() {
            let is_busy = matches!(answer, None | Some(Answer::No(_)));
            self.set_mends(&peer, if is_busy { Mends::Later } else { Mends::Never });
            self.look_for_votes();
        } else {
            self.mending.upto = height;
            let no = self.alter_log(Then::Mended);
            self.outputs.push_back(Output::Replace { no, items, by });
        }
        true
    }

    /// Whether this is the header that is settled here at a height, by these voters, and its votes hold. It says nothing
    /// else, as ours does not: where others vote next, or by a renewal, votes are checked at once.
    fn is_voted(&self, height: u64, voters: &Witnesses, proof: &Proof) -> bool {
        let header = &proof.checkpoint.header;
        self.chain.hash_at(height) == Some(header.hash())
            && header.cut_hash == cut_hash(&proof.cut)
            && header.witnesses == voters.hash()
            && proof.witnesses.is_none()
            && proof.renewal.is_none()
            && self.without_votes(proof).is_none()
    }

    /// They are in the log: all is checked on from there.
    pub(crate) fn mended(&mut self) {
        self.unvoted.spoiled = None;
        self.remembered_proofs.clear();
        self.unchecked.wake(0);
    }
}
