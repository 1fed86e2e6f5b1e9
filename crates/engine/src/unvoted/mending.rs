//! Votes that do not hold are fetched anew. A peer that is far enough is asked for the headers from that height on, by the
//! question for headers. Those that follow on each other, are the ones that are settled here and have votes that hold take
//! the places of theirs in the log. Once they are durable all is checked on from there, as it lies in the store, so the next
//! bad height is found, and mended, in its turn.
//!
//! Of the votes a quorum is kept, no more. So they take no more room than what they replace, which a store wants
//! ([`Output::Replace`]); only those of a view past 127 may, beside a lie that named one below. Such ones are not taken.
//!
//! Who brought the bad ones is not asked, nor is one again that answered wrongly or did not know, and who is busy or silent
//! only a few times, each later; till it is gone and comes back.

use crate::engine::{Engine, Output, Peer, Then};
use crate::store::proof_item;
use crate::wire::{Answer, Ask};
use ledgerno_ledger::settle::{Checkpoint, Proof, cut_hash};
use ledgerno_ledger::sorted::SortedMap;

/// The most headers that are taken of an answer; an honest one has no more.
const MOST: usize = 320;
/// Who answered nothing so often is asked no more while it stays connected; for what is wrong, at once.
const STRIKES: u8 = 7;
/// The pause after somebody answered nothing, in milliseconds; it doubles.
const PAUSE_MS: u64 = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    /// The question that is out, and who is asked.
    asked: Option<(u64, Peer)>,
    strikes: SortedMap<Peer, u8>,
    /// Nobody is asked before this.
    after: u64,
    /// Those below came anew since the start. If one is bad all the same, the store is to blame.
    upto: u64,
}

impl Mending {
    fn strikes(&self, peer: &Peer) -> u8 {
        self.strikes.get(peer).copied().unwrap_or(0)
    }

    fn strike(&mut self, peer: Peer, strikes: u8) {
        let all = self.strikes(&peer).saturating_add(strikes);
        self.strikes.insert(peer, all);
    }
}

impl Engine {
    /// Looks for who may be asked, if there is anything to ask for.
    pub(crate) fn look_for_votes(&mut self, now: u64) {
        if self.unvoted.spoiled.is_some() {
            self.unchecked.wake(now);
        }
    }

    /// A peer is gone, or back: whatever was held against it is forgotten.
    pub(crate) fn mending_part(&mut self, peer: &Peer) {
        self.mending.strikes.remove(peer);
        self.mending.asked.take_if(|(_, asked)| asked == peer);
        self.look_for_votes(0);
    }

    /// A peer is not asked while it stays connected.
    pub(super) fn mends_not_by(&mut self, peer: Peer) {
        if self.sessions.contains_key(&peer) {
            self.mending.strike(peer, STRIKES);
        }
    }

    /// Asks for the headers from a height on whose votes do not hold.
    pub(super) fn mend(&mut self, height: u64, now: u64) {
        self.unchecked.pause();
        let (mending, compares) = (&self.mending, self.device().is_some());
        if mending.asked.is_some() || height < mending.upto {
            return;
        }
        // Of who connects to it a keeper hears no height.
        let is_far = self.sessions.iter().filter(|(_, one)| one.height() >= height || !compares).map(|(peer, _)| *peer);
        let Some(peer) = is_far.min_by_key(|peer| mending.strikes(peer)) else { return };
        if mending.strikes(&peer) >= STRIKES {
            return;
        }
        if now < mending.after {
            return self.unchecked.wake(mending.after);
        }
        self.next_ask += 1;
        self.mending.asked = Some((self.next_ask, peer));
        self.outputs.push_back(Output::Ask { to: peer, no: self.next_ask, ask: Ask::Headers { from: height } });
    }

    /// Whether an answer was to that.
    pub(crate) fn votes_came(&mut self, no: u64, answer: Option<&Answer>, now: u64) -> bool {
        let Some((_, peer)) = self.mending.asked.take_if(|(asked, _)| *asked == no) else { return false };
        let Some(first) = self.unvoted.spoiled else { return true };
        let came: &[Proof] = if let Some(Answer::Headers { proofs, .. }) = answer { proofs } else { &[] };
        let (mut items, mut by) = (Vec::new(), Vec::new());
        for (height, proof) in (first..).zip(came.iter().take(MOST)) {
            let Some((item, proof)) = self.voted_anew(height, proof) else { break };
            by.push(proof_item(&proof));
            items.push(item);
            self.replace_proof(proof);
        }
        if items.is_empty() {
            let is_away = matches!(answer, None | Some(Answer::No(_)));
            if is_away {
                self.mending.after = now.saturating_add(PAUSE_MS << self.mending.strikes(&peer).min(STRIKES));
            }
            self.mending.strike(peer, if is_away { 1 } else { STRIKES });
            self.look_for_votes(now);
        } else {
            self.mending.upto = first + items.len() as u64;
            let no = self.alter_log(Then::Mended);
            self.outputs.push_back(Output::Replace { no, items, by });
        }
        true
    }

    /// A header by right votes, and which item of the log it takes the place of; `None` if it is not the one that is settled
    /// here, or does not hold, or nothing is wrong with ours. Who votes next or was renewed no header of a run says, but the
    /// last, whose votes were checked.
    fn voted_anew(&self, height: u64, proof: &Proof) -> Option<(u64, Proof)> {
        let Checkpoint { header, certificate } = &proof.checkpoint;
        let (hash, voters) = (self.chain.hash_at(height)?, self.chain.witnesses_at(height)?);
        let is_ours = header.hash() == hash && header.cut_hash == cut_hash(&proof.cut);
        let is_plain = proof.witnesses.is_none() && proof.renewal.is_none() && header.witnesses == voters.hash();
        let holds = || certificate.check(self.circle, height, hash, voters).is_ok();
        if !self.unvoted.may_lack(height) || !is_ours || !is_plain || !holds() {
            return None;
        }
        let mut proof = proof.clone();
        proof.checkpoint.certificate.votes.truncate(voters.quorum());
        let place = self.history.header(height)?;
        (proof_item(&proof).len() <= place.len as usize).then(|| (place.item.into(), proof))
    }

    /// They are in the log: all is checked on from there.
    pub(crate) fn mended(&mut self, now: u64) {
        self.unvoted.spoiled = None;
        self.unchecked.wake(now);
        let record = self.unvoted.record();
        self.write(Vec::new(), vec![record], Vec::new(), Vec::new(), now);
    }
}
