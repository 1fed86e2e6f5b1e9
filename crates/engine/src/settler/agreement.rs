//! Settling with other witnesses: this engine's part in the agreement on the next height.
//!
//! While this device votes with others, a [`Round`] of the next height is open. The leader proposes, what it proposes is
//! checked and notarized, and votes are counted as `ledger::settle` says; here it is seen to that this witness's bundle is
//! durable before the votes that it permits are said, that a bundle is said on entering a view and at each retry, and that
//! timers run only while the witness holds something unsettled, has nothing left to sync, and hears Q − 1 others. A
//! phone that wakes for a minute hears nobody at first, so it nullifies nothing that came while it slept. What is left to sync
//! is waited for only so long at a height: one peer that answers late or never could else hold every view up for good.
//!
//! After a restart nothing is signed until another node was asked for this witness's newest bundle. One with a vote that the
//! disk does not know means that the disk was rolled back: the vote key is retired, and never signs again. Others keep
//! bundles in memory: nobody has to remember, for a witness whose disk was rolled back counts as a liar.

use super::saying::Closing;
use super::{GATHER_MS, fitting};
use crate::engine::{Engine, Event, Output, Peer};
use crate::wire::Brief;
use ledgerno_ledger::bytes::{HeaderHash, Signature, VoteKey};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Head;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::mutant::{Mutant, is_on};
use ledgerno_ledger::settle::{
    Ballot, Block, Bundle, Evidence, Header, Next, Proposal, Refusal, Round, SignedVote, Taken, Vote, Voter,
};
use ledgerno_ledger::sorted::SortedMap;

/// The time for the first view, in milliseconds; it doubles with each view.
const VIEW_MS: u64 = 2_000;
/// The longest time for a view.
const MAX_VIEW_MS: u64 = 60_000;
/// The first pause before the bundle is said again; it doubles.
const BEAT_MS: u64 = 1_000;
/// The longest such pause.
const MAX_BEAT_MS: u64 = 8_000;
/// How often the bundle is said again at one height, once it is known that the circle has two histories.
const MAX_DIVIDED_BEATS: u32 = 16;
/// For how long a witness counts as heard: longer than the longest pause.
const HEARD_MS: u64 = 20_000;
/// For how long after enough others are heard at a height what is left to sync holds its views up.
const SYNC_MS: u64 = 10_000;
/// The most headers of one height that are kept: those proposed, the one that this witness notarized, and the one that a
/// quorum did. Others' bundles hold what their votes name.
const MAX_CANDIDATES: usize = 4;
/// The most votes against each other that are remembered.
const MAX_EVIDENCE: usize = 8;
/// The most bytes of the own bundle on the disk, where it may have more than can be said.
pub(crate) const MAX_STORED: usize = 1 << 20;
/// The record of the own bundle.
pub(crate) const BUNDLE: &str = "bundle";
/// The record of a vote key that signs no more.
pub(crate) const RETIRED: &str = "retired";

/// See the module.
#[derive(Default)]
pub(crate) struct Agreement {
    /// At a witness among several.
    pub(crate) open: Option<Open>,
    /// The newest bundle of each witness, for who connects.
    pub(crate) bundles: SortedMap<VoteKey, Bundle>,
    /// The own bundle as it was on the disk at the start.
    pub(super) stored: Option<Bundle>,
    retired: Option<VoteKey>,
    /// Another node was asked for the own newest bundle, or this engine has nothing behind it.
    pub(crate) caught_up: bool,
    /// When a reply was last said: what is old is answered at most once a beat.
    pub(crate) replied: Option<u64>,
    /// Votes are said to everybody: the witnesses' own topic does not reach enough of them.
    pub(super) wide: bool,
    /// At the last height that was voted on here, a quorum was heard on the witnesses' own topic.
    pub(crate) reaches: bool,
    pub(super) closing: Option<Closing>,
    /// The nearest certificate of a height after the next, and who said it.
    pub(super) early: Option<(Brief, Peer)>,
    evidence: Vec<Evidence>,
}

/// The agreement on one height.
pub(crate) struct Open {
    pub(crate) height: u64,
    place: u8,
    pub(crate) round: Round<HeaderHash, Signature>,
    pub(super) candidates: Vec<Candidate>,
    /// When other witnesses were heard.
    pub(super) heard: SortedMap<VoteKey, u64>,
    /// Which of them on their own topic.
    pub(super) near: SortedMap<VoteKey, ()>,
    beat_at: Option<u64>,
    beats: u32,
    /// When the bundle is said of a view that was entered by a notarization.
    pub(super) tell_at: Option<u64>,
    /// Since when the time for this view runs.
    since: Option<u64>,
    /// Since when Q − 1 others are heard.
    hears: Option<u64>,
}

/// A header that was proposed or notarized.
pub(super) struct Candidate {
    pub(super) hash: HeaderHash,
    pub(super) header: Header,
    pub(super) cut: Vec<Head>,
    /// The view in which its leader proposed it, justified, if it is to be notarized.
    proposed: Option<u64>,
    again: bool,
    /// Once it was checked.
    block: Option<Block>,
}

impl Open {
    fn view_ms(&self) -> u64 {
        VIEW_MS.saturating_mul(1 << self.round.view().min(6)).min(MAX_VIEW_MS)
    }

    fn candidate(&mut self, hash: &HeaderHash) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|one| one.hash == *hash)
    }

    fn due(&self) -> Option<u64> {
        let over = self.since.filter(|_| !self.round.voter().nullified()).map(|since| since + self.view_ms());
        over.into_iter().chain(self.beat_at).chain(self.tell_at).min()
    }

    /// Keeps a header that a quorum names, if another witness's bundle holds it.
    fn keep_from(&mut self, hash: &HeaderHash, bundles: &SortedMap<VoteKey, Bundle>) {
        if self.candidate(hash).is_none()
            && let Some((header, cut)) = in_bundles(hash, bundles)
        {
            self.keep(header, cut, None, true);
        }
    }

    /// Keeps a header; the oldest that neither a quorum nor this witness notarized makes room.
    fn keep(&mut self, header: &Header, cut: &[Head], proposed: Option<u64>, again: bool) {
        let hash = header.hash();
        if let Some(known) = self.candidate(&hash) {
            known.proposed = proposed.or(known.proposed);
            known.again |= again;
            return;
        }
        let notarized = [self.round.notarized().map(|(_, hash, _)| *hash), self.round.voter().notarized()];
        if self.candidates.len() >= MAX_CANDIDATES
            && let Some(at) = self.candidates.iter().position(|one| !notarized.contains(&Some(one.hash)))
        {
            self.candidates.remove(at);
        }
        self.candidates.push(Candidate {
            hash,
            header: header.clone(),
            cut: cut.to_vec(),
            proposed,
            again,
            block: None,
        });
    }
}

/// A header with its cut, as a witness's bundle holds it.
fn in_bundles<'a>(hash: &HeaderHash, bundles: &'a SortedMap<VoteKey, Bundle>) -> Option<(&'a Header, &'a [Head])> {
    bundles.values().flat_map(Bundle::headers).find(|(header, _)| header.hash() == *hash)
}

impl Agreement {
    pub(crate) fn due(&self) -> Option<u64> {
        let closing = self.closing.as_ref().map(Closing::due);
        self.open.as_ref().and_then(Open::due).into_iter().chain(closing).min()
    }

    /// The own bundle of a height, as it was written last.
    pub(crate) fn stored_for(&self, height: u64) -> Option<&Bundle> {
        self.stored.as_ref().filter(|stored| stored.height == height)
    }
}

impl Engine {
    /// Takes back the own bundle; false if it is none. One of version 1 ends before the header that was voted for.
    pub(crate) fn restore_bundle(&mut self, bytes: &[u8]) -> bool {
        let read = codec::decode(bytes, MAX_STORED).or_else(|_| codec::decode(&[bytes, &[0]].concat(), MAX_STORED));
        self.agreement.stored = read.ok();
        self.agreement.stored.is_some()
    }

    /// Takes back that a vote key was retired; false if it is none.
    pub(crate) fn restore_retired(&mut self, bytes: &[u8]) -> bool {
        self.agreement.retired = codec::decode(bytes, 32).ok();
        self.agreement.retired.is_some()
    }

    /// Opens the next height, if this device votes on it with others.
    pub(crate) fn open_height(&mut self) {
        let height = self.chain.height() + 1;
        if let Some(open) = self.agreement.open.take() {
            // Enough witnesses were heard on their own topic: it does for the next height too.
            self.agreement.reaches = open.near.len() + 1 >= self.chain.witnesses().quorum();
            self.agreement.wide &= !self.agreement.reaches;
        }
        self.agreement.bundles.retain(|_, bundle| bundle.height >= height);
        let witnesses = self.chain.witnesses();
        let Some(place) = self.vote_key().and_then(|key| witnesses.place(&key)) else { return };
        if witnesses.all().len() < 2 || self.vote_key() == self.agreement.retired {
            return;
        }
        let quorum = witnesses.quorum();
        let stored = self.agreement.stored.take_if(|stored| stored.height <= height);
        let stored = stored.filter(|stored| stored.height == height && Some(stored.key) == self.vote_key());
        let voter = stored.as_ref().map_or_else(Voter::default, |stored| {
            Voter::from_record(stored.view, stored.own.iter().map(SignedVote::ballot))
        });
        let round = Round::new(quorum, voter);
        let mut open = Open {
            height,
            place,
            round,
            candidates: Vec::new(),
            heard: SortedMap::new(),
            near: SortedMap::new(),
            beat_at: None,
            beats: 0,
            tell_at: None,
            since: None,
            hears: None,
        };
        if let Some(stored) = &stored {
            for (header, cut) in stored.headers() {
                open.keep(header, cut, None, false);
            }
            for (ballot, voices) in stored.quorums() {
                open.round.learn(ballot, voices.clone());
            }
            for vote in &stored.own {
                open.round.take(place, vote.ballot(), vote.signature);
            }
        }
        self.agreement.open = Some(open);
    }

    pub(crate) fn vote_key(&self) -> Option<VoteKey> {
        self.vote_secret().map(VoteSecret::key)
    }

    /// Whether this device votes on the next height with others.
    pub(crate) fn votes_with_others(&self) -> bool {
        self.agreement.open.is_some()
    }

    /// Whether it is this device's turn to propose.
    pub(super) fn leads(&self) -> bool {
        let Some(open) = &self.agreement.open else { return false };
        let leader = self.chain.witnesses().leader(open.height, open.round.view());
        self.agreement.caught_up && leader.map(|leader| leader.vote_key) == self.vote_key()
    }

    /// Something may be unsettled, or no longer: sets the timers of a witness, alone or with others.
    pub(crate) fn note_unsettled(&mut self, now: u64) {
        let unsettled = self.dag.unsettled() > 0;
        let proposes =
            self.leads() && self.agreement.open.as_ref().is_some_and(|open| open.round.voter().notarized().is_none());
        self.settler.note(unsettled && (self.settles() || proposes), now);
        if let Some(open) = &mut self.agreement.open {
            if !unsettled {
                (open.beat_at, open.tell_at, open.since) = (None, None, None);
            } else if open.beat_at.is_none() && (self.conflict.is_none() || open.beats < MAX_DIVIDED_BEATS) {
                open.beat_at = Some(now.saturating_add(BEAT_MS));
            }
        }
    }

    /// Proposes, as the leader of this view.
    pub(crate) fn propose(&mut self, now: u64) {
        if !self.leads() {
            return;
        }
        let Some(open) = &self.agreement.open else { return };
        let hash = match open.round.next() {
            None => return,
            Some(Next::Again(hash)) => {
                if self.check_candidate(&hash, now).is_err() {
                    return;
                }
                hash
            }
            Some(Next::New) => {
                let Some(block) = self.next_block(now) else { return };
                let hash = block.header.hash();
                let Some(open) = &mut self.agreement.open else { return };
                open.keep(&block.header, &block.cut, None, false);
                if let Some(candidate) = open.candidate(&hash) {
                    candidate.block = Some(block);
                }
                hash
            }
        };
        let ballot = self.agreement.open.as_mut().and_then(|open| open.round.notarize(hash));
        self.go_on(ballot.into_iter().collect(), now);
    }

    /// Checks a candidate, if it was not; an error is kept from being said twice by the caller.
    fn check_candidate(&mut self, hash: &HeaderHash, now: u64) -> Result<(), Refusal> {
        let Some(candidate) = self.agreement.open.as_mut().and_then(|open| open.candidate(hash)) else {
            return Err(Refusal::Missing(Vec::new()));
        };
        if candidate.block.is_some() {
            return Ok(());
        }
        let (header, cut, mut again) = (candidate.header.clone(), candidate.cut.clone(), candidate.again);
        // What a quorum notarized was in time.
        again |= self.agreement.open.as_ref().and_then(|open| open.round.notarized()).is_some_and(|one| one.1 == *hash);
        self.let_in(&cut, now);
        let opener = self.opener().ok_or(Refusal::NotFolded)?;
        let block = self.chain.check_proposal(&self.dag, opener, (&header, &cut), again, now)?;
        if let Some(candidate) = self.agreement.open.as_mut().and_then(|open| open.candidate(hash)) {
            candidate.block = Some(block);
        }
        Ok(())
    }

    /// Takes a proposal whose bundle was taken: notarizes it, now or once its entries are here.
    pub(crate) fn take_proposal(&mut self, proposal: &Proposal, now: u64) -> bool {
        let is_again = proposal.is_again();
        let proposed = (is_again || fitting::fits_again(proposal)).then_some(proposal.bundle.view);
        let Some(open) = &mut self.agreement.open else { return true };
        open.keep(&proposal.header, &proposal.cut, proposed, is_again);
        let is_whole = self.notarize_proposed(now);
        // Its votes may have been here before it.
        self.go_on(Vec::new(), now);
        is_whole
    }

    /// Notarizes what was proposed in this view, if it holds; false if entries are missing.
    pub(crate) fn notarize_proposed(&mut self, now: u64) -> bool {
        let Some(open) = &self.agreement.open else { return true };
        if !self.agreement.caught_up || open.round.voter().notarized().is_some() {
            return true;
        }
        let view = open.round.view();
        let Some(hash) = open.candidates.iter().find(|one| one.proposed == Some(view)).map(|one| one.hash) else {
            return true;
        };
        match self.check_candidate(&hash, now) {
            Ok(()) => {
                let ballot = self.agreement.open.as_mut().and_then(|open| open.round.notarize(hash));
                self.go_on(ballot.into_iter().collect(), now);
                true
            }
            Err(Refusal::Missing(_) | Refusal::NoBody(_)) => false,
            // Not in time yet, perhaps; the view's time runs.
            Err(_) => true,
        }
    }

    /// Takes votes of the open height whose signatures hold.
    pub(crate) fn take_votes(&mut self, height: u64, votes: &[SignedVote], now: u64) {
        for vote in votes {
            let Some(place) = self.chain.witnesses().place(&vote.key) else { continue };
            let Some(open) = self.agreement.open.as_mut().filter(|open| open.height == height) else { return };
            if let Taken::Against(held, signature) = open.round.take(place, vote.ballot(), vote.signature) {
                let SignedVote { key, .. } = *vote;
                let held = SignedVote { kind: held.kind, view: held.view, header: held.header, key, signature };
                let evidence = Evidence::of(height, held, *vote);
                self.keep_evidence(evidence, now);
            }
        }
    }

    /// Whoever holds evidence writes it, so that its author leaves the witnesses; of several entries the first counts.
    fn keep_evidence(&mut self, evidence: Option<Evidence>, now: u64) {
        if let Some(evidence) = evidence
            && self.agreement.evidence.len() < MAX_EVIDENCE
            && !self.agreement.evidence.iter().any(|known| known.one.key == evidence.one.key)
        {
            self.agreement.evidence.push(evidence);
            // Who may not write tells the log, and others hold it too.
            self.accuse(evidence, now).ok();
            self.outputs.push_back(Output::Event(Event::Evidence(Box::new(evidence))));
        }
    }

    /// Witnesses that were found to lie since the start, by two votes each.
    pub fn evidence(&self) -> &[Evidence] {
        &self.agreement.evidence
    }

    /// Takes what a bundle that holds tells of quorums.
    pub(crate) fn learn(&mut self, bundle: &Bundle, now: u64) {
        let Some(open) = self.agreement.open.as_mut().filter(|open| open.height == bundle.height) else { return };
        if let Some(one) = &bundle.notarization {
            open.keep(&one.header, &one.cut, None, true);
        }
        let before = open.round.view();
        let own: Vec<_> =
            bundle.quorums().filter_map(|(ballot, voices)| open.round.learn(ballot, voices.clone())).collect();
        self.entered(before, now);
        self.take_votes(bundle.height, &bundle.own, now);
        self.go_on(own, now);
    }

    /// The view may have changed: its time starts anew.
    fn entered(&mut self, before: u64, now: u64) {
        if let Some(open) = &mut self.agreement.open
            && open.round.view() != before
        {
            open.since = None;
            self.note_unsettled(now);
        }
    }

    /// Casts own votes, goes on as far as all votes allow, and says what came of it once the bundle is durable.
    pub(crate) fn go_on(&mut self, mut own: Vec<Ballot<HeaderHash>>, now: u64) {
        if !self.agreement.caught_up {
            return;
        }
        let Some(secret) = self.vote_secret().cloned() else { return };
        let Agreement { open: Some(open), bundles, stored, .. } = &mut self.agreement else { return };
        let (height, before) = (open.height, open.round.view());
        let told = stored.as_ref().map_or(0, |stored| stored.view);
        let mut cast = Vec::new();
        loop {
            for Ballot { view, kind, header } in own {
                let vote = Vote { kind, circle: self.circle, height, view, header }.cast(&secret);
                open.round.take(open.place, vote.ballot(), vote.signature);
                cast.push(vote);
            }
            let Open { round, candidates, .. } = &mut *open;
            own = round
                .advance(|hash| candidates.iter().any(|one| one.hash == *hash) || in_bundles(hash, bundles).is_some());
            if let Some(hash) = open.round.notarized().map(|(_, hash, _)| *hash) {
                open.keep_from(&hash, bundles);
            }
            if own.is_empty() {
                break;
            }
        }
        let view = open.round.view();
        let proposes = cast.len() == 1 && view == before && self.leads();
        self.entered(before, now);
        if !cast.is_empty() || view > told {
            self.say_own(&cast, view > told, proposes, now);
        }
        self.settle_certified(now);
        if view != before {
            self.notarize_proposed(now);
        }
    }

    /// Settles the open height if a quorum finalized a header that is held whole.
    pub(crate) fn settle_certified(&mut self, now: u64) {
        let Agreement { open: Some(open), bundles, .. } = &mut self.agreement else { return };
        let Some((ballot, voices)) = open.round.certificate() else { return };
        let Some(hash) = ballot.header else { return };
        open.keep_from(&hash, bundles);
        if let Some(candidate) = self.agreement.open.as_mut().and_then(|open| open.candidate(&hash)) {
            // A quorum found it in time.
            candidate.again = true;
        }
        match self.check_candidate(&hash, now) {
            Ok(()) => {}
            Err(_) => return,
        }
        let block =
            self.agreement.open.as_mut().and_then(|open| open.candidate(&hash)).and_then(|one| one.block.take());
        let Some(block) = block else { return };
        let proof = self.chain.prove(&block, ballot.view, &voices);
        // Whose header it is tells everybody; another one only if it hears of none.
        let (height, say) = (proof.height(), self.say_proof(&proof));
        let place = self.agreement.open.as_ref().map_or(0, |open| open.place);
        let (says, later) = if Some(block.header.proposer) == self.device() { (say, None) } else { (None, say) };
        self.adopt_and_write(block, proof, says.into_iter().collect(), now);
        self.agreement.closing = Some(Closing::new(height, later, place, now));
        self.retry_awaited(now);
    }

    /// A time that [`Agreement::due`] named is reached.
    pub(crate) fn beat(&mut self, now: u64) {
        let Some(due) = self.agreement.open.as_ref().and_then(Open::due).filter(|due| *due <= now) else { return };
        if self.dag.cut().is_empty() {
            if let Some(open) = &mut self.agreement.open {
                (open.beat_at, open.tell_at, open.since) = (None, None, None);
            }
            return;
        }
        // A tick that comes much too late woke somebody up: what ran meanwhile does not count.
        let overslept = now.saturating_sub(due) > HEARD_MS && !is_on(Mutant::TimersRunAsleep);
        if let Some(open) = self.agreement.open.as_mut().filter(|_| overslept) {
            (open.since, open.hears) = (None, None);
        }
        let runs = self.timer_runs(now);
        let Some(open) = &mut self.agreement.open else { return };
        if !runs {
            open.since = None;
        }
        let is_over = open.since.is_some_and(|since| now >= since.saturating_add(open.view_ms()));
        if runs && open.since.is_none() {
            open.since = Some(now);
        }
        if is_over && let Some(ballot) = open.round.nullify() {
            self.say_leaders_votes(now);
            self.go_on(vec![ballot], now);
        }
        let Some(open) = &mut self.agreement.open else { return };
        if open.beat_at.is_some_and(|at| at <= now) {
            let pause = BEAT_MS.saturating_mul(1 << open.beats.min(6)).min(MAX_BEAT_MS);
            let is_second = open.beats > 0;
            (open.beats, open.beat_at) = (open.beats.saturating_add(1), Some(now.saturating_add(pause)));
            // Votes for a history that others do not take bring nobody on.
            open.beat_at.take_if(|_| self.conflict.is_some() && open.beats >= MAX_DIVIDED_BEATS);
            open.tell_at = None;
            self.agreement.wide |= is_second || open.near.len() + 1 < self.chain.witnesses().quorum();
            self.say_bundle(now);
            self.note_unsettled(now);
        } else if open.tell_at.take_if(|at| *at <= now).is_some() {
            self.say_bundle(now);
        }
    }

    /// Whether the time for a view may run: Q − 1 other witnesses are heard, and nothing is left to sync, or was waited for.
    fn timer_runs(&mut self, now: u64) -> bool {
        let (caught_up, exchanges) = (self.agreement.caught_up, self.is_exchanging());
        let Some(open) = &mut self.agreement.open else { return false };
        if is_on(Mutant::TimersRunAsleep) {
            return true;
        }
        let heard = open.heard.values().filter(|at| now.saturating_sub(**at) <= HEARD_MS).count();
        if !caught_up || heard + 1 < self.chain.witnesses().quorum() {
            open.hears = None;
            return false;
        }
        let hears = *open.hears.get_or_insert(now);
        !exchanges || now.saturating_sub(hears) >= SYNC_MS
    }

    /// Starts the time for the view, if it may run and does not.
    pub(crate) fn mind_timer(&mut self, now: u64) {
        let runs = self.dag.unsettled() > 0 && self.timer_runs(now);
        if let Some(open) = self.agreement.open.as_mut().filter(|open| runs && open.since.is_none()) {
            open.since = Some(now);
        }
    }

    /// The own newest bundle as another node has it. Its votes hold; that it is newer only they can say.
    pub(crate) fn compare_own(&mut self, theirs: &Bundle, now: u64) {
        let own = self.own_bundle();
        let newer = match own.as_ref().or(self.agreement.stored.as_ref()) {
            Some(own) => theirs.has_votes_unknown_to(own),
            None => theirs.height > self.chain.height() && !theirs.own.is_empty(),
        };
        if newer && self.agreement.retired != Some(theirs.key) {
            self.agreement.retired = Some(theirs.key);
            self.agreement.open = None;
            self.write(
                Vec::new(),
                vec![(RETIRED.to_owned(), Some(codec::encode(&theirs.key)))],
                Vec::new(),
                Vec::new(),
                now,
            );
            self.outputs.push_back(Output::Event(Event::VoteRetired(theirs.key)));
        }
    }

    /// Another node told all the bundles that it keeps: this witness may sign.
    pub(crate) fn caught_up(&mut self, now: u64) {
        if !std::mem::replace(&mut self.agreement.caught_up, true) {
            // What it learned meanwhile it may finalize now.
            let own = self.agreement.open.as_ref().map(|open| open.round.voter().ballots().collect());
            self.go_on(own.unwrap_or_default(), now);
            self.note_unsettled(now);
            self.notarize_proposed(now);
        }
    }

    /// The own vote key is retired: its disk was rolled back.
    pub fn is_vote_retired(&self) -> bool {
        self.agreement.retired.is_some() && self.agreement.retired == self.vote_key()
    }
}

/// How long a proposer waits for company: as one who settles alone.
const _: () = assert!(GATHER_MS < BEAT_MS);
