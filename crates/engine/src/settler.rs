//! When to settle. Whoever proposes waits a moment after the first unsettled entry, so that a burst of writes makes one
//! header. A sole witness settles it alone, in view 0; among several the header is put to the vote ([`agreement`]). What
//! others settled is checked against the own DAG and fold; what does not hold is refused, and said. Of two certified
//! headers of one height both are kept and said to everybody, nothing is shown as *settled* any more, and neither is
//! chosen. Whose headers do not follow ours is asked for those below, where the two histories part.

pub(crate) mod agreement;
mod fitting;
mod hearing;
pub(crate) mod saying;

use crate::engine::{Engine, Event, Output, Peer, Then};
use crate::history::Place;
use crate::store::proof_item;
use crate::wire::{Topic, Votes};
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Head;
use ledgerno_ledger::mutant::{Mutant, is_on};
use ledgerno_ledger::settle::{Block, MAX_PROOF, Opener, Proof, Refusal};

/// How long the first unsettled entry waits for company, in milliseconds.
const GATHER_MS: u64 = 150;

/// The settling timer of a witness: it runs only while something is unsettled.
#[derive(Debug, Default)]
pub struct Settler {
    due: Option<u64>,
}

impl Settler {
    /// Something may be unsettled now, or no longer.
    pub fn note(&mut self, unsettled: bool, now: u64) {
        self.due = match (unsettled, self.due) {
            (false, _) => None,
            (true, Some(due)) => Some(due),
            (true, None) => Some(now.saturating_add(GATHER_MS)),
        };
    }

    /// When it wants to be woken.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Whether it is time; then the timer starts anew.
    pub fn ring(&mut self, now: u64) -> bool {
        let rings = self.due.is_some_and(|due| now >= due);
        if rings {
            self.due = None;
        }
        rings
    }
}

/// What became of a settled header from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is settled here now, or was.
    Settled,
    /// Entries or headers are missing; it is looked at again when some came.
    Waits,
    /// It does not hold, and a person was told.
    Refused,
}

/// A settled header that waits for entries or for headers before it.
pub(crate) struct Awaited {
    proof: Proof,
    from: Peer,
    /// Its votes hold, and only entries are missing: those are taken whatever else bounds them.
    certified: bool,
}

/// The record of a header that is certified beside ours.
pub(crate) const CONFLICT: &str = "conflict";

impl Engine {
    pub(crate) fn opener(&self) -> Option<&dyn Opener> {
        self.seat.keyring().map(|keyring| keyring as &dyn Opener)
    }

    /// Whether this device is the sole witness.
    pub(crate) fn settles(&self) -> bool {
        self.vote_secret().is_some_and(|vote| self.chain.is_sole_witness(vote.key()))
    }

    /// Settles what is held whole; nobody else has to be asked. The timer goes on only if more can be settled: a fork's
    /// other branch may stay unsettled until somebody builds on it.
    pub(crate) fn settle(&mut self, now: u64) {
        if !self.settles() {
            return self.propose(now);
        }
        let Some(block) = self.next_block(now) else { return };
        let Some(vote) = self.vote_secret() else { return };
        let proof = self.chain.certify(&block, vote);
        let say = self.say_proof(&proof);
        self.adopt_and_write(block, proof, say.into_iter().chain([Then::Offer]).collect(), now);
        if self.settles() {
            self.settler.note(self.can_settle_more(), now);
        }
    }

    /// Gossip of a settled header, to everybody; one over the bound is found by sync.
    pub(crate) fn say_proof(&self, proof: &Proof) -> Option<Then> {
        if is_on(Mutant::CertificateNotForwarded) {
            return None;
        }
        saying::say(&self.brief(proof), Topic::Votes)
    }

    /// Checks a settled header. Branches of a forked device that were held back are let in once a certified cut names
    /// them; they are written before the header.
    fn check(&mut self, proof: &Proof, now: u64) -> Result<Block, Refusal> {
        let checked = self.chain.check(&self.dag, self.opener(), proof, now);
        match &checked {
            Err(Refusal::Missing(heads)) if self.let_in(heads, now) => {
                self.chain.check(&self.dag, self.opener(), proof, now)
            }
            _ => checked,
        }
    }

    /// Lets branches in that were held back and that a cut names; whether there were any.
    pub(crate) fn let_in(&mut self, heads: &[Head], now: u64) -> bool {
        let ids: Vec<EntryId> = heads.iter().map(|head| head.id).collect();
        let named = self.dag.name(&ids);
        let any = !named.is_empty();
        if any {
            let named = self.took(&named);
            self.write_entries(named, Vec::new(), Vec::new(), now);
        }
        any
    }

    /// Takes back a settled header from the log.
    pub(crate) fn replay_proof(&mut self, proof: Proof) -> Result<(), String> {
        let block = match self.chain.check(&self.dag, self.opener(), &proof, u64::MAX) {
            Err(Refusal::BadCertificate(_)) if self.unvoted.may_lack(proof.height()) => {
                self.chain.check_again(&self.dag, self.opener(), &proof)
            }
            checked => checked,
        };
        let block = block.map_err(|why| why.to_string())?;
        // What waited for it follows in the log, but nothing waits in a replay.
        self.adopt(block, proof);
        self.durable_height = self.chain.height();
        Ok(())
    }

    /// Takes a settled header from outside: checked against the own DAG and fold, not believed.
    pub(crate) fn take_proof(&mut self, proof: Proof, from: Peer, now: u64) -> Heard {
        let heard = self.hear_proof(proof, from, now);
        if heard == Heard::Settled {
            self.retry_awaited(now);
        }
        heard
    }

    /// Looks again at the header that waits, for entries came or headers before it.
    pub(crate) fn retry_awaited(&mut self, now: u64) {
        if let Some(Awaited { proof, from, .. }) = self.awaited.take() {
            self.hear_proof(proof, from, now);
        }
        self.retry_early(now);
    }

    fn hear_proof(&mut self, proof: Proof, from: Peer, now: u64) -> Heard {
        match self.check(&proof, now) {
            Ok(block) => {
                self.adopt_and_write(block, proof, Vec::new(), now);
                Heard::Settled
            }
            Err(Refusal::Known(_)) => Heard::Settled,
            Err(Refusal::Missing(_) | Refusal::NoBody(_)) => {
                self.awaited = Some(Awaited { proof, from, certified: true });
                Heard::Waits
            }
            Err(Refusal::Ahead(_)) => {
                // Nothing of it was checked, so it takes no certified one's place.
                if !self.awaits_certified() {
                    self.awaited = Some(Awaited { proof, from, certified: false });
                }
                Heard::Waits
            }
            Err(Refusal::Conflict { .. }) if self.gives_way_to(&proof, now) => Heard::Refused,
            Err(why @ Refusal::Void(_)) => {
                // No lie, so nobody is alarmed; whoever shows it hears of the renewal.
                self.outputs.push_back(Output::Event(Event::Refused { height: proof.height(), why, from }));
                self.say_renewed(now);
                Heard::Refused
            }
            Err(why) => {
                if matches!(why, Refusal::BadCertificate(_) | Refusal::WrongPrev) {
                    self.look_below(from, now);
                }
                if matches!(why, Refusal::Conflict { .. }) && self.conflict.is_none() {
                    self.divided(&proof, now);
                }
                self.refuse(proof.height(), why, from);
                Heard::Refused
            }
        }
    }

    /// Another header is certified beside ours. Everybody hears both, once, and is given it who was not as far then: on
    /// either side nobody may know of the other.
    fn divided(&mut self, theirs: &Proof, now: u64) {
        let ours = self.proof_at(theirs.height()).filter(|_| theirs.height() <= self.given_height());
        let ours = ours.map(|ours| Votes::Proof(Box::new(ours.clone())));
        let both = ours.into_iter().chain([Votes::Proof(Box::new(theirs.clone()))]);
        let says = both.filter_map(|proof| saying::say(&proof, Topic::Votes)).chain([Then::Offer]).collect();
        let record = (CONFLICT.to_owned(), Some(theirs.encode()));
        self.write(Vec::new(), vec![record], Vec::new(), says, now);
        self.conflict = Some(theirs.clone());
    }

    /// Whether a header that the witnesses settled waits for entries.
    pub(crate) fn awaits_certified(&self) -> bool {
        self.awaited.as_ref().is_some_and(|awaited| awaited.certified)
    }

    pub(crate) fn refuse(&mut self, height: u64, why: Refusal, from: Peer) {
        const REMEMBERED: usize = 8;
        // Of one height two times say nothing new: their bound is the clock.
        let is_said = |(at, said): &(u64, Refusal)| {
            *at == height && (*said == why || matches!((said, &why), (Refusal::Time { .. }, Refusal::Time { .. })))
        };
        if self.refused.len() < REMEMBERED && !self.refused.iter().any(is_said) {
            self.refused.push((height, why.clone()));
            self.outputs.push_back(Output::Event(Event::Refused { height, why, from }));
            self.outputs.push_back(Output::Event(Event::Changed));
        }
    }

    /// Settled headers that were refused since the start, with the reason.
    pub fn refusals(&self) -> &[(u64, Refusal)] {
        &self.refused
    }

    /// Takes back a header that is certified beside ours; false if it is none.
    pub(crate) fn restore_conflict(&mut self, bytes: &[u8]) -> bool {
        self.conflict = codec::decode(bytes, MAX_PROOF).ok();
        self.conflict.is_some()
    }

    /// A header that is certified beside ours at its height: more witnesses lie than are borne. From then on nothing is
    /// shown as settled.
    pub fn conflict(&self) -> Option<&Proof> {
        self.conflict.as_ref()
    }

    pub(crate) fn adopt_and_write(&mut self, block: Block, proof: Proof, then: Vec<Then>, now: u64) {
        let mut log = if is_on(Mutant::CertificateNotKept) { Vec::new() } else { vec![proof_item(&proof)] };
        let place = Place::new(self.items, log.first().map_or(0, Vec::len));
        self.history.add_header(place, block.header.time);
        let taken = self.adopt(block, proof);
        let taken = self.took(&taken);
        log.extend(self.log_items(&taken));
        let spent = self.spent_votes();
        self.write(log, spent, taken, then, now);
        self.settled_more(now);
    }

    /// What follows once more is settled.
    pub(crate) fn settled_more(&mut self, now: u64) {
        self.open_height();
        // Votes of this height that are on their way have their answer: it is settled.
        if self.votes_with_others() {
            self.agreement.replied = Some(now);
        }
        self.note_unsettled(now);
        self.after_settled(now);
        if self.votes_with_others() && !self.agreement.caught_up {
            self.sync_all(now);
        }
        self.snapshot_if_due(now);
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// Goes on to a block; returns what was taken because it settled what that waited for.
    pub(crate) fn adopt(&mut self, block: Block, proof: Proof) -> Vec<EntryId> {
        let (height, hash) = (block.header.height, block.header.hash());
        self.unsaved += block.order.len();
        for (at, id) in block.order.iter().enumerate() {
            let verdict = block.verdicts.get(at).map(|(_, verdict)| *verdict);
            self.history.settle(id, height, at, verdict);
        }
        let taken = self.chain.adopt(&mut self.dag, block, proof.clone());
        self.proofs.push(proof);
        self.compare_settled(height, hash);
        taken
    }
}
