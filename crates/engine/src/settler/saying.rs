//! What a witness says about votes, and to whom.
//!
//! Votes go to the witnesses' own topic, to which only they and relays listen, for the others need nothing but the
//! certificate. Who votes says it to everybody there to whom it is linked, and relays hand it on; a witness that is linked to
//! a relay hands nothing on, for most hear each vote from its author, and the rest from the relay. The first proposal of a
//! height leaves out what any node at the height before knows, and stands for its bundle.
//!
//! Where that topic links too few of those who vote, they would wait for each other; so whoever has to repeat itself,
//! having heard less than a quorum there, says it to everybody too, and so does who hears such a one, until the height is
//! settled. The certificate is said to everybody by the witness whose header it is, and by another one only after
//! a pause in which it heard none. On entering a view by a notarization the vote alone tells it to those who are in the
//! view; the bundle follows if the height is then still open.

use super::agreement::{BUNDLE, Candidate};
use crate::engine::{Engine, Output, Then};
use crate::wire::{Brief, MAX_GOSSIP, PlacedVote, Topic, Votes};
use ledgerno_ledger::bytes::{HeaderHash, Signature, VoteKey};
use ledgerno_ledger::codec;
use ledgerno_ledger::mutant::{Mutant, is_on};
use ledgerno_ledger::settle::{
    Ballot, Bundle, Certificate, Checkpoint, MAX_BUNDLE, Notarization, Nullification, Proof, Proposal, SignedVote,
    Vote, VoteKind,
};

/// The most nullifications said in a bundle: the newest.
const MAX_NULLIFICATIONS: usize = 64;
/// How long after entering a view by a notarization the bundle is said, if the height is still open.
const ENTER_MS: u64 = 400;
/// How long a witness waits for the certificate that another one says to everybody.
const CLOSE_MS: u64 = 1_000;

/// The last height that was settled here by votes, and what is left to be said of it.
pub(super) struct Closing {
    height: u64,
    at: u64,
    /// Its certificate, until it is said to everybody.
    later: Option<Then>,
}

impl Closing {
    /// The later, the later the own place is among the witnesses: of several that heard no certificate one says it.
    pub(super) fn new(height: u64, later: Option<Then>, place: u8, now: u64) -> Self {
        Closing { height, at: now.saturating_add(CLOSE_MS + CLOSE_MS / 4 * u64::from(place)), later }
    }

    pub(super) fn due(&self) -> u64 {
        self.at
    }
}

impl Engine {
    /// Whether votes are to reach this node: it votes with others, or keeps the circle for who is away. The driver joins
    /// [`Topic::Witnesses`] while it is so.
    pub fn hears_witnesses(&self) -> bool {
        self.witness_count() > 1 && (self.is_keeper() || self.vote_secret().is_some())
    }

    /// Whether votes that came are handed on to other nodes: by a relay, and by a witness that is linked to none. The driver
    /// tells the network.
    pub fn hands_votes_on(&self) -> bool {
        self.is_keeper() || !self.keepers.iter().any(|peer| self.sessions.contains_key(peer))
    }

    /// Another witness was heard at the open height, on this topic if it was gossip. What it says to everybody is answered
    /// so.
    pub(super) fn heard_witness(&mut self, key: VoteKey, topic: Option<Topic>, now: u64) {
        let own = self.vote_key();
        let Some(open) = self.agreement.open.as_mut().filter(|_| Some(key) != own) else { return };
        open.heard.insert(key, now);
        if topic == Some(Topic::Witnesses) {
            open.near.insert(key, ());
        }
        self.agreement.wide |= topic == Some(Topic::Votes);
    }

    /// Writes the own bundle, and says after it: the proposal, the bundle on entering a view, or single votes.
    pub(super) fn say_own(&mut self, cast: &[SignedVote], entered: bool, proposes: bool, now: u64) {
        let Some(bundle) = self.own_bundle() else { return };
        let Some(place) = self.chain.witnesses().place(&bundle.key) else { return };
        let vote = |vote| Votes::Vote { height: bundle.height, vote: PlacedVote::of(vote, place) };
        let mut says = Vec::new();
        if let Some(proposal) = proposes.then(|| self.opening(&bundle).or_else(|| self.proposal(&bundle))).flatten() {
            says.push(proposal);
        } else if entered && !cast.iter().any(|vote| vote.kind == VoteKind::Finalize) {
            // Its votes of the views that it left are in no bundle.
            says.extend(cast.iter().filter(|vote| !bundle.own.contains(vote)).map(vote));
            says.push(in_room(bundle.clone()));
        } else {
            says.extend(cast.iter().map(vote));
            if let Some(open) = self.agreement.open.as_mut().filter(|_| entered) {
                open.tell_at = Some(now.saturating_add(ENTER_MS));
            }
        }
        let then = says.iter().flat_map(|votes| self.saying(votes)).collect();
        let record = (BUNDLE.to_owned(), Some(codec::encode(&bundle)));
        self.agreement.stored = Some(bundle);
        self.write(Vec::new(), vec![record], Vec::new(), then, now);
    }

    /// What this witness keeps of the open height. It may have more than [`MAX_BUNDLE`] bytes.
    pub(crate) fn own_bundle(&self) -> Option<Bundle> {
        let open = self.agreement.open.as_ref()?;
        let secret = self.vote_secret()?;
        let notarization = open.round.notarized().and_then(|(view, hash, voices)| {
            let candidate = open.candidates.iter().find(|one| one.hash == *hash)?;
            let (header, cut) = (candidate.header.clone(), candidate.cut.clone());
            Some(Notarization { view: *view, header, cut, voices: voices.clone() })
        });
        let nullified = open.round.nullified();
        let newest = nullified.len().saturating_sub(MAX_NULLIFICATIONS);
        let nullification =
            |(view, voices): &(u64, Vec<(u8, Signature)>)| Nullification { view: *view, voices: voices.clone() };
        let cast = |Ballot { view, kind, header }| {
            Vote { kind, circle: self.circle, height: open.height, view, header }.cast(secret)
        };
        let mut own: Vec<SignedVote> = open.round.voter().ballots().map(cast).collect();
        own.sort_unstable();
        let is_told = |hash: &HeaderHash| open.round.notarized().is_some_and(|(_, notarized, _)| notarized == hash);
        let voted = self.notarized().filter(|one| !is_told(&one.hash));
        Some(Bundle {
            height: open.height,
            key: secret.key(),
            view: open.round.view(),
            certificate: self.newest_checkpoint(),
            notarization,
            nullifications: nullified[newest..].iter().map(nullification).collect(),
            own,
            voted: voted.map(|one| (one.header.clone(), one.cut.clone())),
        })
    }

    fn newest_checkpoint(&self) -> Option<Checkpoint> {
        let kept = !is_on(Mutant::CertificateNotForwarded);
        self.proofs.last().filter(|_| kept).map(|proof| proof.checkpoint.clone())
    }

    /// The header that is notarized here in this view.
    fn notarized(&self) -> Option<&Candidate> {
        let open = self.agreement.open.as_ref()?;
        let hash = open.round.voter().notarized()?;
        open.candidates.iter().find(|one| one.hash == hash)
    }

    /// The own proposal of this view, if there is one.
    fn proposal(&self, bundle: &Bundle) -> Option<Votes> {
        let Candidate { header, cut, .. } = self.notarized()?;
        let (header, cut) = (header.clone(), cut.clone());
        let bundle = Bundle { voted: None, ..bundle.clone() };
        Some(Votes::Proposal(Box::new(Proposal { header, cut, bundle })))
    }

    /// The own proposal, if its bundle holds nothing but the vote for it, and it changes no witnesses.
    fn opening(&self, bundle: &Bundle) -> Option<Votes> {
        let Candidate { header, cut, hash, .. } = self.notarized()?;
        let witnesses = self.chain.witnesses();
        let ([vote], 0) = (&bundle.own[..], bundle.view) else { return None };
        if header.witnesses != witnesses.hash() {
            return None;
        }
        let certificate = Certificate { header: *hash, view: 0, votes: vec![(vote.key, vote.signature)] };
        let checkpoint = Checkpoint { header: header.clone(), certificate };
        let proof = Proof { checkpoint, cut: cut.clone(), witnesses: None, renewal: None };
        Some(Votes::Opening(Box::new(Brief::of(&proof, witnesses)?)))
    }

    /// Says where this witness stands: what it proposes, or its bundle. It is durable: only what was written is said.
    pub(crate) fn say_bundle(&mut self, now: u64) {
        let Some(bundle) = self.own_bundle().filter(|_| self.agreement.caught_up) else { return };
        let proposal = self.leads().then(|| self.proposal(&bundle)).flatten();
        let votes = proposal.unwrap_or_else(|| in_room(bundle));
        self.tell(&votes, now);
    }

    /// Says how the leader of a view that comes to nothing voted in it: if it showed others another header, they hold the
    /// evidence.
    pub(super) fn say_leaders_votes(&mut self, now: u64) {
        let Some(open) = &self.agreement.open else { return };
        let (height, view, witnesses) = (open.height, open.round.view(), self.chain.witnesses());
        let leader = witnesses.leader(height, view).map(|leader| leader.vote_key);
        let told = leader.and_then(|key| Some((self.agreement.bundles.get(&key)?, witnesses.place(&key)?)));
        let Some((bundle, place)) = told else { return };
        let votes = bundle.own.iter().filter(|vote| vote.view == view);
        let votes: Vec<_> = votes.map(|vote| Votes::Vote { height, vote: PlacedVote::of(vote, place) }).collect();
        for vote in votes {
            self.tell(&vote, now);
        }
    }

    /// Says to the witnesses what is durable here.
    pub(super) fn tell(&mut self, votes: &Votes, now: u64) {
        let says: Vec<Then> = self.saying(votes).collect();
        for say in says {
            self.once_durable(say, now);
        }
    }

    /// Gossip to the witnesses, and to everybody where that does not reach them.
    fn saying(&self, votes: &Votes) -> impl Iterator<Item = Then> + use<> {
        let near = say(votes, Topic::Witnesses);
        near.into_iter().chain(self.agreement.wide.then(|| say(votes, Topic::Votes)).flatten())
    }

    /// A settled header as it is gossiped: with the places of who voted, where that says the same.
    pub(crate) fn brief(&self, proof: &Proof) -> Votes {
        let is_next = proof.height() == self.chain.height() + 1;
        let brief = is_next.then(|| Brief::of(proof, self.chain.witnesses())).flatten();
        brief.map_or_else(|| Votes::Proof(Box::new(proof.clone())), |brief| Votes::Brief(Box::new(brief)))
    }

    /// Everybody hears the certificate of a height.
    pub(super) fn is_said(&mut self, height: u64) {
        if let Some(closing) = self.agreement.closing.as_mut().filter(|closing| height >= closing.height) {
            closing.later = None;
        }
    }

    /// Whether a height was settled by votes a moment ago.
    pub(crate) fn is_closing(&self) -> bool {
        self.agreement.closing.is_some()
    }

    /// A while after a height was settled by votes: who has not heard is told.
    pub(crate) fn close(&mut self, now: u64) {
        let Some(closing) = self.agreement.closing.take_if(|closing| closing.at <= now) else { return };
        let is_newest = closing.height == self.chain.height();
        if let Some(say) = closing.later.filter(|_| is_newest) {
            self.once_durable(say, now);
        }
        self.once_durable(Then::Offer, now);
    }
}

/// A bundle as it is said. Where there is no room for two cuts, the one that a quorum notarized is told.
fn in_room(mut bundle: Bundle) -> Votes {
    if codec::encode(&bundle).len() > MAX_BUNDLE {
        bundle.voted = None;
    }
    Votes::Bundle(Box::new(bundle))
}

/// Gossip about votes; what is over the bound is found by sync.
pub(crate) fn say(votes: &Votes, topic: Topic) -> Option<Then> {
    let bytes = votes.to_bytes();
    (bytes.len() <= MAX_GOSSIP).then_some(Then::Say(Output::Publish { topic, bytes }))
}
