//! What is said about votes, as it comes in: settled headers, proposals, bundles and single votes, from gossip or as the
//! answer to a question. What is of the next height is checked against its witnesses, and counted by a witness; the newest
//! bundle of each is kept by who hears it, for who connects. What is of an older height or view is answered with what is
//! newer; what is of a later height shows that something is to be synced.

use super::Heard;
use crate::engine::{Engine, Peer};
use crate::wire::{ANSWER_BYTES, Answer, Before, Brief, PlacedVote, Topic, Votes};
use core::cmp::Ordering;
use ledgerno_ledger::codec;
use ledgerno_ledger::mutant::{Mutant, is_on};
use ledgerno_ledger::settle::{Bundle, Checkpoint, Proof, Proposal, SignedVote, VoteKind};

/// What is old is answered at most this often, in milliseconds.
const REPLY_MS: u64 = 500;

impl Engine {
    /// Gossip about votes came, on the witnesses' topic or on everybody's.
    pub(crate) fn hear_votes(&mut self, votes: Votes, topic: Topic, from: Peer, now: u64) {
        let lacks = match votes {
            Votes::Proof(proof) => {
                self.is_said(proof.height());
                self.take_proof(*proof, from, now) == Heard::Waits
            }
            Votes::Brief(brief) => self.hear_brief(*brief, from, now),
            Votes::Proposal(proposal) => self.hear_proposal(&proposal, topic, now),
            Votes::Opening(brief) => self.hear_opening(*brief, topic, now),
            Votes::Bundle(bundle) => self.hear_bundle(&bundle, Some(topic), now),
            Votes::Vote { height, vote } => self.hear_vote(height, vote, topic, now),
        };
        if lacks {
            self.sync(from, now);
        }
        self.mind_timer(now);
    }

    /// Whether something is to be synced: one of a later height waits unread, for others may vote on it.
    fn hear_brief(&mut self, brief: Brief, from: Peer, now: u64) -> bool {
        let (height, next) = (brief.height(), self.chain.height() + 1);
        self.is_said(height);
        if height > next {
            let nearest = self.agreement.early.as_ref().map_or(u64::MAX, |(early, _)| early.height());
            if height <= nearest || nearest <= next {
                self.agreement.early = Some((brief, from));
            }
            return true;
        }
        // Of a height that is settled here only another header says anything new.
        let before = self.before(height).zip(self.chain.witnesses_at(height));
        let proof = before.and_then(|(before, witnesses)| brief.proof(before, witnesses));
        proof.is_some_and(|proof| self.take_proof(proof, from, now) == Heard::Waits)
    }

    /// What the next header says of those before it, and what one said that is settled here and at hand.
    fn before(&self, height: u64) -> Option<Before> {
        let (prev, history_root) = if height > self.chain.height() {
            (self.chain.head().hash, self.chain.history_root())
        } else {
            let ours = &self.proof_at(height)?.checkpoint.header;
            (ours.prev, ours.history_root)
        };
        Some(Before { circle: self.circle, prev, history_root })
    }

    /// Looks again at what came too early, once it is next.
    pub(super) fn retry_early(&mut self, now: u64) {
        let next = self.chain.height() + 1;
        if let Some((brief, from)) = self.agreement.early.take_if(|(brief, _)| brief.height() <= next) {
            self.hear_brief(brief, from, now);
        }
    }

    /// Whether something is to be synced.
    fn hear_vote(&mut self, height: u64, vote: PlacedVote, topic: Topic, now: u64) -> bool {
        match height.cmp(&(self.chain.height() + 1)) {
            Ordering::Greater => return true,
            Ordering::Less => self.reply(Some(topic), now),
            Ordering::Equal => {
                let vote = vote.vote(self.chain.witnesses()).filter(|_| self.votes_with_others());
                if let Some(vote) = vote.filter(|vote| vote.holds(self.circle, height)) {
                    self.heard_witness(vote.key, Some(topic), now);
                    self.take_votes(height, &[vote], now);
                    self.go_on(Vec::new(), now);
                }
            }
        }
        false
    }

    /// A bundle came, on a topic or as an answer. Whether something is to be synced.
    fn hear_bundle(&mut self, bundle: &Bundle, topic: Option<Topic>, now: u64) -> bool {
        match bundle.height.cmp(&(self.chain.height() + 1)) {
            Ordering::Greater => {
                let holds = |vote: &SignedVote| vote.key == bundle.key && vote.holds(self.circle, bundle.height);
                if Some(bundle.key) == self.vote_key() && bundle.own.iter().all(holds) {
                    self.compare_own(bundle, now);
                }
                return true;
            }
            Ordering::Less => {
                self.reply(topic, now);
                return false;
            }
            Ordering::Equal => {}
        }
        if bundle.check(self.circle, self.chain.witnesses()).is_err() {
            return false;
        }
        if Some(bundle.key) == self.vote_key() {
            self.compare_own(bundle, now);
        }
        let tells = |known: &Bundle| {
            let holds_more = bundle.voted.is_some() && known.voted.is_none();
            bundle.is_newer_than(known) || holds_more && !known.is_newer_than(bundle)
        };
        // One that anybody could have made takes no true one's place.
        if bundle.shows_its_view() && self.agreement.bundles.get(&bundle.key).is_none_or(tells) {
            self.agreement.bundles.insert(bundle.key, bundle.clone());
        }
        if !self.votes_with_others() {
            return false;
        }
        self.heard_witness(bundle.key, topic, now);
        if self.agreement.open.as_ref().is_some_and(|open| open.round.view() > bundle.view) {
            self.reply(topic, now);
        }
        self.learn(bundle, now);
        // Whoever says a bundle holds something unsettled; and a certificate whose header is not held whole is found by sync.
        let is_certified = self.agreement.open.as_ref().is_some_and(|open| open.round.certificate().is_some());
        is_certified || self.dag.unsettled() == 0 && bundle.height == self.chain.height() + 1
    }

    fn hear_proposal(&mut self, proposal: &Proposal, topic: Topic, now: u64) -> bool {
        let bundle = proposal.whole_bundle();
        let lacks = self.hear_bundle(&bundle, Some(topic), now);
        let is_next = proposal.bundle.height == self.chain.height() + 1;
        if lacks || !is_next || !self.votes_with_others() {
            return lacks;
        }
        // Its bundle was checked as it is kept, or is refused again here.
        let known = self.agreement.bundles.get(&bundle.key);
        let holds = known == Some(&bundle) || bundle.check(self.circle, self.chain.witnesses()).is_ok();
        holds && proposal.check(self.chain.witnesses()).is_ok() && !self.take_proposal(proposal, now)
    }

    /// A proposal whose bundle is told by its vote alone.
    fn hear_opening(&mut self, brief: Brief, topic: Topic, now: u64) -> bool {
        let height = brief.height();
        match height.cmp(&(self.chain.height() + 1)) {
            Ordering::Greater => return true,
            Ordering::Less => {
                self.reply(Some(topic), now);
                return false;
            }
            Ordering::Equal => {}
        }
        let proof = self.before(height).and_then(|before| brief.proof(before, self.chain.witnesses()));
        let Some(Proof { checkpoint: Checkpoint { header, certificate }, cut, .. }) = proof else { return false };
        let [(key, signature)] = certificate.votes[..] else { return false };
        let view = certificate.view;
        let vote = SignedVote { kind: VoteKind::Notarize, view, header: Some(certificate.header), key, signature };
        let (notarization, nullifications) = (None, Vec::new());
        let bundle =
            Bundle { height, key, view, certificate: None, notarization, nullifications, own: vec![vote], voted: None };
        self.hear_proposal(&Proposal { header, cut, bundle }, topic, now)
    }

    /// Whether a peer is asked for the bundles that it keeps: by a witness after a restart, and on connecting while a height
    /// is open.
    pub(crate) fn wants_bundles(&self, is_first: bool) -> bool {
        let is_open = is_first && self.votes_with_others() && self.dag.unsettled() > 0;
        self.vote_key().is_some() && (is_open || !self.agreement.caught_up)
    }

    /// A peer told the bundles that it keeps. Whoever connects while a height is open says its own too.
    pub(crate) fn take_bundles(&mut self, peer: Peer, bundles: &[Box<Bundle>], now: u64) {
        for bundle in bundles {
            self.hear_bundle(bundle, None, now);
        }
        if self.listens(&peer) || !self.sessions.keys().any(|peer| self.listens(peer)) {
            self.caught_up(now);
        }
        if self.votes_with_others() && self.dag.unsettled() > 0 {
            self.say_bundle(now);
        }
        self.mind_timer(now);
    }

    /// Whether a peer hears all votes: a witness, or a relay. Others hear those that are said to everybody.
    fn listens(&self, peer: &Peer) -> bool {
        let witnesses = self.chain.witnesses();
        self.keepers.contains(peer) || witnesses.all().iter().any(|witness| witness.device == *peer)
    }

    /// Answers what is old with what is newer: the newest settled header, and the own bundle.
    fn reply(&mut self, topic: Option<Topic>, now: u64) {
        if self.vote_key().is_none() || is_on(Mutant::NoBundleInReply) || !self.may_reply(now) {
            return;
        }
        self.agreement.wide |= topic == Some(Topic::Votes);
        if let Some(newest) = self.proofs.last().filter(|_| !is_on(Mutant::CertificateNotForwarded)) {
            self.tell(&Votes::Proof(Box::new(newest.clone())), now);
        }
        self.say_bundle(now);
    }

    /// Whether what is old may be answered now; then not again for a while.
    pub(crate) fn may_reply(&mut self, now: u64) -> bool {
        let rests = self.agreement.replied.is_none_or(|at| now.saturating_sub(at) >= REPLY_MS);
        if rests {
            self.agreement.replied = Some(now);
        }
        rests
    }

    /// The newest bundle of each witness, as it was heard.
    pub fn bundles(&self) -> Vec<Bundle> {
        self.agreement.bundles.values().cloned().collect()
    }

    /// The newest bundles that are kept, as many as an answer takes.
    pub(crate) fn kept_bundles(&self) -> Answer {
        let mut bytes = 0;
        let own = self.agreement.stored_for(self.chain.height() + 1);
        let all = self.agreement.bundles.values().chain(own);
        let fits = all.take_while(|bundle| {
            bytes += codec::encode(*bundle).len();
            bytes <= ANSWER_BYTES
        });
        // A boxed one, so that a false length reserves no room for bundles.
        Answer::Bundles(fits.cloned().map(Box::new).collect())
    }
}
