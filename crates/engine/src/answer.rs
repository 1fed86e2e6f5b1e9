//! Sync as the asked side. Answered are admitted devices and the relays that this device chose; a stranger may only hand
//! in what admits it, or ask for the parcel whose address an invite's secret tells.

use crate::engine::{Engine, Output, Peer, Then};
use crate::session::{MAX_IDS, MAX_RANGES};
use crate::settler::Heard;
use crate::wire::{ANSWER_BYTES, Answer, Ask, MAX_LEFT, No, Topic};
use ledgerno_ledger::bytes::{EntryId, Hash};
use ledgerno_ledger::check;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Admission, Invite, Packed};
use ledgerno_ledger::mutant::{Mutant, is_on};
use ledgerno_ledger::settle::Proof;

/// The most guests at once.
const MAX_GUESTS: usize = 64;

/// Whether a question asks for no more than may be gathered: each device once, so never more than what is held.
fn is_bounded(ask: &Ask) -> bool {
    match ask {
        Ask::Ranges(ranges) => ranges.len() <= MAX_RANGES && ranges.is_sorted_by(|one, next| one.device < next.device),
        Ask::Entries(ids) => ids.len() <= MAX_IDS,
        Ask::Left { proofs, .. } => proofs.len() <= MAX_LEFT,
        _ => true,
    }
}

impl Engine {
    /// A peer asks; `no` is the driver's number for the answer, which may come later.
    pub fn asked(&mut self, peer: Peer, no: u64, ask: Ask, now: u64) {
        if !self.is_known(&peer) || !is_bounded(&ask) || !self.reads_for(peer, no, &ask) {
            self.answer_now(peer, no, ask, now);
        }
    }

    fn is_known(&self, peer: &Peer) -> bool {
        self.dag.admission(peer).is_some() || self.keepers.contains(peer) || self.guests.contains_key(peer)
    }

    /// Answers a question by what is in memory, and what was read for it.
    pub(crate) fn answer_now(&mut self, peer: Peer, no: u64, ask: Ask, now: u64) {
        let known = self.is_known(&peer);
        if let Some(until) = self.left_at(&peer)
            && is_bounded(&ask)
            && !matches!(ask, Ask::Frontier { .. } | Ask::Devices { .. } | Ask::Give { .. } | Ask::GetParcel { .. })
        {
            return self.answer_left(&peer, no, ask, until);
        }
        match ask {
            Ask::Knock(admission) => self.knocked(peer, no, &admission, now),
            Ask::GetParcel { address } => self.give_parcel(no, &address, now),
            Ask::Give { entries, proofs } => self.given(peer, no, entries, proofs, known, now),
            _ if !known => self.answer(no, Answer::No(No::NotAdmitted)),
            Ask::Frontier { digest, height } => self.once_durable(Then::Frontier { no, peer, digest, height }, now),
            Ask::Devices { bits, buckets, nonce } => {
                let fits = bits <= crate::frontier::MAX_BITS && buckets.len() <= 1 << bits;
                let answer = if fits {
                    Answer::Devices(self.frontier.places(bits, &buckets, &nonce))
                } else {
                    Answer::No(No::Malformed)
                };
                self.answer(no, answer);
            }
            Ask::Branches { device } => {
                let ids = self.branch_ids(&device);
                self.answer(no, Answer::Branches(ids));
            }
            ask if !is_bounded(&ask) => self.answer(no, Answer::No(No::Malformed)),
            Ask::Ranges(ranges) => {
                let ids = self.ids_in(&ranges);
                self.answer_entries(no, ids);
            }
            Ask::Entries(ids) => {
                let ids = ids.into_iter().filter(|id| self.is_durable(id) && self.may_give(id)).collect();
                self.answer_entries(no, ids);
            }
            Ask::Snapshot { pinned, hash, at } => {
                let answer = self.give_chunk(peer, (pinned, hash, at), now);
                self.answer(no, answer);
            }
            Ask::Settled { from, skip, to } => {
                let answer = self.settled_answer(from, skip, to);
                self.answer(no, answer);
            }
            Ask::Headers { from } if self.gives_later(from) => self.answer(no, Answer::No(No::Busy)),
            Ask::Headers { from } => {
                let (proofs, more) = self.proofs_from(from);
                self.answer(no, Answer::Headers { proofs, more });
            }
            Ask::Bundles => {
                let answer = self.kept_bundles();
                self.once_durable(Then::Say(Output::Answer { no, answer }), now);
            }
            Ask::Erased { bits, buckets } => {
                let answer = self.erased_answer(bits, &buckets).unwrap_or(Answer::No(No::Malformed));
                self.once_durable(Then::Say(Output::Answer { no, answer }), now);
            }
            Ask::Left { height, proofs } => self.hear_left(no, height, &proofs, now),
            Ask::PutKeybox { sealed } => self.put_keybox(peer, no, sealed, now),
            Ask::PutParcel { address, invite, parcel } => self.put_parcel(peer, no, address, invite, parcel, now),
        }
    }

    /// Tells which relays may ask: the ones that this device chose.
    pub fn set_keepers(&mut self, keepers: Vec<Peer>) {
        self.keepers = keepers;
    }

    /// Answers with as many of these as fit; later, if what was asked for may not be given on yet.
    fn answer_entries(&mut self, no: u64, ids: Vec<EntryId>) {
        let answer = if ids.is_empty() && !self.unchecked.is_empty() {
            Answer::No(No::Busy)
        } else {
            let (entries, left) = self.pack(ids, ANSWER_BYTES);
            Answer::Entries { entries, more: !left.is_empty() }
        };
        self.answer(no, answer);
    }

    fn answer(&mut self, no: u64, answer: Answer) {
        self.outputs.push_back(Output::Answer { no, answer });
    }

    pub(crate) fn answer_frontier(&mut self, no: u64, peer: Peer, digest: Hash, height: u64, now: u64) {
        let own = self.durable_height.min(self.left_at(&peer).unwrap_or(u64::MAX));
        let same = self.frontier.digest() == digest;
        let answer = if same {
            if self.is_archive() { Answer::SameKept { height: own } } else { Answer::Same { height: own } }
        } else {
            let bits = self.frontier.bits();
            Answer::Differ { height: own, bits, buckets: self.frontier.buckets(bits) }
        };
        self.answer(no, answer);
        // Whoever is ahead of us gives; a member need not wait for that.
        if height > own && self.device().is_some() {
            self.sync(peer, now);
        }
    }

    /// Takes what is given, spreads what was new, and answers once all of it is durable.
    fn given(&mut self, peer: Peer, no: u64, entries: Vec<Packed>, proofs: Vec<Proof>, known: bool, now: u64) {
        // A stranger brings its own chain, which begins with its admission; anything else would use our pools.
        if !known
            && !entries
                .first()
                .is_some_and(|first| first.signed.entry.device == peer && first.signed.entry.admission.is_some())
        {
            return self.answer(no, Answer::No(No::NotAdmitted));
        }
        if self.awaits_snapshot(now) {
            return self.answer(no, Answer::No(No::Busy));
        }
        let intake = self.take(entries, Vec::new(), now);
        self.spread(&intake.taken, now);
        self.spread(&intake.erased, now);
        let (mut waits, from) = (false, self.chain.height());
        for proof in proofs {
            let before = self.chain.height();
            let say = self.say_proof(&proof);
            waits |= self.take_proof(proof, peer, now) == Heard::Waits;
            if self.chain.height() > before
                && let Some(say) = say
            {
                self.once_durable(say, now);
            }
        }
        if waits {
            self.sync(peer, now);
        }
        self.offer_settled(from, now);
        let refused = intake.refused + intake.waiting;
        let answer = if intake.held == 0 && refused > 0 && self.dag.admission(&peer).is_none() {
            Answer::No(No::NotAdmitted)
        } else {
            Answer::Held { entries: intake.held, refused, height: self.chain.height() }
        };
        self.once_durable(Then::Say(Output::Answer { no, answer }), now);
    }

    /// Offers headers that came by no gossip, from a height on. Others may have heard their gossip too early to take it, and
    /// do not hear the same twice.
    pub(crate) fn offer_settled(&mut self, from: u64, now: u64) {
        if self.chain.height() > from && !is_on(Mutant::CertificateNotForwarded) {
            self.once_durable(Then::Offer, now);
        }
    }

    /// Gossips entries that came by no gossip, once they are durable.
    pub(crate) fn spread(&mut self, taken: &[EntryId], now: u64) {
        for id in taken {
            let packed = self.dag.get(id).or_else(|| self.erased.left.get(id));
            let Some(bytes) = packed.map(codec::encode) else { continue };
            self.once_durable(Then::Say(Output::Publish { topic: Topic::Entries, bytes }), now);
        }
    }

    /// Lets a device in as a guest: one that the DAG would admit now.
    fn knocked(&mut self, peer: Peer, no: u64, admission: &Admission, now: u64) {
        let answer = match self.may_come(peer, admission, now) {
            Err(why) => Answer::No(why),
            Ok(()) if self.guests.len() >= MAX_GUESTS => Answer::No(No::Busy),
            Ok(()) => {
                self.guests.insert(peer, ());
                Answer::Kept
            }
        };
        self.answer(no, answer);
    }

    fn may_come(&self, device: Peer, admission: &Admission, now: u64) -> Result<(), No> {
        check::check_admission(self.circle, device, admission).map_err(|_| No::NotAdmitted)?;
        match &admission.invited {
            None if self.dag.members().any(|member| *member == admission.member) => Ok(()),
            None => Err(No::NotAdmitted),
            Some(invited) if self.dag.admission(&invited.invite.issuer).is_none() => Err(No::NotAdmitted),
            Some(invited) if now > invited.invite.expiry => Err(No::Expired),
            Some(invited) if self.used(&invited.invite) >= invited.invite.uses => Err(No::UsedUp),
            Some(_) => Ok(()),
        }
    }

    fn put_parcel(&mut self, peer: Peer, no: u64, address: Hash, invite: Invite, parcel: Vec<u8>, now: u64) {
        let kept = if invite.issuer == peer && self.dag.admission(&peer).is_some() && invite.check(self.circle) {
            self.mailbox.put(address, invite, parcel, now)
        } else {
            Err(No::NotAdmitted)
        };
        match kept {
            Ok(records) => {
                let then = vec![Then::Say(Output::Answer { no, answer: Answer::Kept })];
                self.write_entries(Vec::new(), records, then, now);
            }
            Err(why) => self.answer(no, Answer::No(why)),
        }
    }

    fn give_parcel(&mut self, no: u64, address: &Hash, now: u64) {
        let (mailbox, invited) = (&mut self.mailbox, &self.invited);
        let given = mailbox.get(address, |invite| invited.get(&invite.key).copied().unwrap_or(0), now);
        let answer = given.parcel.map_or_else(Answer::No, Answer::Parcel);
        self.write_entries(Vec::new(), given.changes, vec![Then::Say(Output::Answer { no, answer })], now);
    }
}
