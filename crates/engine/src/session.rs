//! Sync with one peer, as the asking side. A session goes: compare frontiers; where they differ, compare the devices of
//! the buckets that differ; fetch what the peer has more, give what it lacks; compare again, until both hold the same;
//! then the settled headers likewise. Where much is missing that is settled, that is asked for first, by height (`bulk`).
//! It runs when something happened (a link, a write, an entry without its ancestors),
//! never by the clock, but to try again after a failure.
//!
//! The two need not end up the same: one may refuse what the other holds, or lie. So only what is new here counts as
//! progress, a session without any rests after a few rounds, and tries again a few times, each later. What the other holds
//! of the own device is told by that device's place alone; entries that somebody refuses never hide that ours arrived.

use crate::bulk::Assigned;
use crate::engine::{Engine, Event, Output, Peer, Then};
use crate::settler::Heard;
use crate::unvoted::mending::Mends;
use crate::wire::{Answer, Ask, BATCH_BYTES, No, Range};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::entry::Admission;
use std::collections::VecDeque;

mod compare;

/// Rounds of a session that may pass without anything new before it rests.
const MAX_IDLE_ROUNDS: u8 = 3;
/// How often a session that ended with a difference tries again by itself, unless own entries are among it.
const MAX_STALEMATES: u32 = 6;
/// The first pause after a failure, in milliseconds; it doubles.
const RETRY_MS: u64 = 1_000;
/// The longest pause.
const MAX_RETRY_MS: u64 = 60_000;
/// The most ids in one question.
pub(crate) const MAX_IDS: usize = 1_024;
/// So far below the own newest header one looks for what stands in its place.
const MAX_BELOW: u64 = 256;
/// The most ranges in one question.
pub(crate) const MAX_RANGES: usize = 4_096;

/// A session's memory.
#[derive(Debug, Default)]
pub struct Session {
    /// The question that is out, and what it was about.
    out: Option<(u64, Step)>,
    /// What is still to be asked in this round.
    plan: VecDeque<Step>,
    /// Something happened meanwhile: another round.
    again: bool,
    /// How many entries were durable when the frontiers were compared.
    upto: usize,
    nonce: [u8; 16],
    /// The peer's settled height, as last heard.
    height: u64,
    /// Rounds without anything new.
    idle_rounds: u8,
    /// A difference is left that asking further now does not lessen.
    unfinished: bool,
    /// How often in a row it ended so.
    stalemates: u32,
    /// It was asked for the bundles that it keeps, if there was something to ask.
    greeted: bool,
    /// The peer said that this device is not admitted, and was given what admits it.
    introduced: bool,
    /// Frontiers are compared once all that was taken is durable: less would look like a difference.
    waits: bool,
    /// It waited so: what was taken meanwhile is for the next time, or a busy disk would keep it waiting for ever.
    waited: bool,
    /// It was told that another header is certified beside one of ours, and was far enough to judge it.
    warned: bool,
    /// It was asked which entries are erased, when so many were here, and when.
    erased: Option<(usize, u64)>,
    /// Headers from below are asked for next, and at which own height they were asked for.
    below: bool,
    looked_below: Option<u64>,
    /// Whether it is asked for votes in the place of bad ones.
    pub(crate) mends: Mends,
    failures: u32,
    retry_at: Option<u64>,
}

/// One question of a round.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Compare,
    Devices { bits: u8, buckets: Vec<u16> },
    Fetch { ranges: Vec<Range> },
    Branches { device: DeviceId },
    FetchIds { ids: Vec<EntryId> },
    Give { ranges: Vec<Range> },
    GiveIds { ids: Vec<EntryId> },
    Knock { admission: Box<Admission> },
    Headers,
    GiveHeaders,
    Bundles,
    Settled,
    Snapshot,
    Leavers,
    Erased { bits: u8, known: usize, at: u64 },
}

impl Session {
    /// When it wants to try again.
    pub fn due(&self) -> Option<u64> {
        self.retry_at
    }

    /// The peer's settled height, as last heard; 0 if it never was.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Whether nothing is under way.
    pub fn rests(&self) -> bool {
        self.out.is_none() && !self.waits && self.retry_at.is_none()
    }

    /// Whether it goes on when more is settled.
    pub fn waits_for_settled(&self) -> bool {
        self.waits && matches!(self.plan.front(), Some(Step::Settled | Step::Snapshot))
    }

    /// There is another right to come by than the one that was shown.
    pub fn present_anew(&mut self) {
        self.introduced = false;
    }

    fn fail(&mut self, now: u64) {
        self.out = None;
        self.waits = false;
        self.plan.clear();
        self.retry_at = Some(now.saturating_add(pause_after(self.failures)));
        self.failures = self.failures.saturating_add(1);
    }

    /// The plan is done: rests, or tries again later what is left.
    fn end(&mut self, all_sent: bool, now: u64) {
        if !std::mem::take(&mut self.unfinished) {
            self.stalemates = 0;
        } else if self.stalemates < MAX_STALEMATES || !all_sent {
            self.retry_at = Some(now.saturating_add(pause_after(self.stalemates)));
            self.stalemates = self.stalemates.saturating_add(1);
        }
    }
}

fn pause_after(failures: u32) -> u64 {
    RETRY_MS.saturating_mul(1 << failures.min(6)).min(MAX_RETRY_MS)
}

impl Engine {
    /// A link to a node of the circle stands. A keeper waits to be asked.
    pub fn connected(&mut self, peer: Peer, now: u64) {
        self.sessions.insert(peer, Session::default());
        self.part(&peer);
        if self.device().is_some() {
            self.sync(peer, now);
        }
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// As [`Engine::connected`], if that was not said before.
    pub fn met(&mut self, peer: Peer, now: u64) {
        if !self.sessions.contains_key(&peer) {
            self.connected(peer, now);
        }
    }

    /// The last link to a node is gone.
    pub fn disconnected(&mut self, peer: Peer) {
        self.sessions.remove(&peer);
        self.part(&peer);
        self.guests.remove(&peer);
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// Nothing comes of what was asked of a peer.
    fn part(&mut self, peer: &Peer) {
        self.earlier.part(peer);
        self.part_mending(peer);
        let is_waited_for = self.joining.part(peer) || self.is_newcomer();
        self.bulk.part(peer, is_waited_for);
    }

    /// Whether a question is out.
    pub(crate) fn is_exchanging(&self) -> bool {
        self.sessions.values().any(|session| session.out.is_some() || session.waits)
    }

    /// Whether anything is being exchanged.
    pub fn is_syncing(&self) -> bool {
        self.sessions.values().any(|session| !session.rests())
    }

    pub(crate) fn sync_all(&mut self, now: u64) {
        let peers: Vec<Peer> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.sync(peer, now);
        }
    }

    /// Starts a session, or lets the one under way know that there is more.
    pub fn sync(&mut self, peer: Peer, now: u64) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.out.is_some() || session.waits {
            session.again = true;
            return;
        }
        session.stalemates = 0;
        self.begin(peer, now);
    }

    /// A session's pause is over.
    pub(crate) fn retry(&mut self, peer: Peer, now: u64) {
        if self.sessions.get(&peer).is_some_and(|session| session.out.is_none() && !session.waits) {
            self.begin(peer, now);
        }
    }

    fn begin(&mut self, peer: Peer, now: u64) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        (session.retry_at, session.idle_rounds, session.unfinished) = (None, 0, false);
        session.plan = VecDeque::from([Step::Compare]);
        self.step(peer, now);
    }

    /// Asks the next question of the plan.
    fn step(&mut self, peer: Peer, now: u64) {
        let all_sent = self.sent >= self.own.len();
        loop {
            let Some(session) = self.sessions.get_mut(&peer) else { return };
            let Some(step) = session.plan.pop_front() else {
                if !std::mem::take(&mut session.again) {
                    return session.end(all_sent, now);
                }
                (session.idle_rounds, session.stalemates, session.unfinished) = (0, 0, false);
                session.plan.push_back(Step::Compare);
                continue;
            };
            if matches!(step, Step::Compare) && !std::mem::take(&mut session.waited) && self.is_writing() {
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.plan.push_front(step);
                    session.waits = true;
                }
                self.once_durable(Then::Resume(peer), now);
                return;
            }
            let height = self.sessions.get(&peer).map_or(0, |session| session.height);
            if matches!(step, Step::Settled | Step::Snapshot) {
                match self.assigned(peer, &step, height, now) {
                    Assigned::Ask(ask) => return self.ask(peer, step, ask),
                    Assigned::Done => continue,
                    Assigned::Wait => {}
                }
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.plan.push_front(step);
                    session.waits = true;
                }
                return;
            }
            if self.reads_to_give(peer, &step, height) {
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.plan.push_front(step);
                    session.waits = true;
                }
                return;
            }
            if let Some(ask) = self.ask_of(peer, &step) {
                return self.ask(peer, step, ask);
            }
            if let Step::Compare = step {
                // Nothing may be compared now; `now` only matters to a retry.
                let Some(session) = self.sessions.get_mut(&peer) else { return };
                session.fail(now);
                return;
            }
        }
    }

    /// What a peer is asked for of settled history.
    fn assigned(&mut self, peer: Peer, step: &Step, height: u64, now: u64) -> Assigned {
        match step {
            Step::Snapshot if self.joining.waits(&peer) => Assigned::Wait,
            Step::Snapshot if !self.may_join(&peer, height) && self.awaits_snapshot(now) => Assigned::Wait,
            Step::Snapshot => self.ask_snapshot(peer, height).map_or(Assigned::Done, Assigned::Ask),
            _ => self.assign(peer, height),
        }
    }

    fn ask(&mut self, peer: Peer, step: Step, ask: Ask) {
        self.next_ask += 1;
        let no = self.next_ask;
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.out = Some((no, step));
        }
        self.asked.insert(no, peer);
        self.outputs.push_back(Output::Ask { to: peer, no, ask });
    }

    /// Goes on asking for what is settled, or with what comes after that.
    pub(crate) fn resume_settled(&mut self, peer: Peer, now: u64) {
        if let Some(session) = self.sessions.get_mut(&peer).filter(|session| session.waits_for_settled()) {
            session.waits = false;
            self.step(peer, now);
        }
    }

    /// What was to be given could not be read.
    pub(crate) fn failed(&mut self, peer: Peer, now: u64) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.fail(now);
        }
    }

    /// All that was taken is durable, or what is to be given is read.
    pub(crate) fn resume(&mut self, peer: Peer, now: u64) {
        if let Some(session) = self.sessions.get_mut(&peer).filter(|session| session.waits) {
            (session.waits, session.waited) = (false, true);
            self.step(peer, now);
        }
    }

    /// The question of a step; none if there is nothing to ask any more.
    fn ask_of(&mut self, peer: Peer, step: &Step) -> Option<Ask> {
        let durable = self.durable;
        match step {
            Step::Compare => {
                let nonce = self.random.bytes();
                let session = self.sessions.get_mut(&peer)?;
                (session.upto, session.nonce) = (durable, nonce);
                Some(Ask::Frontier { digest: self.frontier.digest(), height: self.durable_height })
            }
            Step::Devices { bits, buckets } => {
                Some(Ask::Devices { bits: *bits, buckets: buckets.clone(), nonce: self.sessions.get(&peer)?.nonce })
            }
            Step::Fetch { ranges } => {
                let ranges = self.still_missing(ranges);
                (!ranges.is_empty()).then_some(Ask::Ranges(ranges))
            }
            Step::Branches { device } => Some(Ask::Branches { device: *device }),
            Step::FetchIds { ids } => (!ids.is_empty()).then(|| Ask::Entries(ids.clone())),
            Step::Give { ranges } => self.give(peer, self.ids_in(ranges), |ids| Step::GiveIds { ids }),
            Step::GiveIds { ids } => self.give(peer, ids.clone(), |ids| Step::GiveIds { ids }),
            Step::Knock { admission } => Some(Ask::Knock(admission.clone())),
            Step::Headers => {
                let (own, session) = (self.chain.height(), self.sessions.get_mut(&peer)?);
                let below = std::mem::take(&mut session.below);
                let from = if below { own.saturating_sub(MAX_BELOW).max(1) } else { own + 1 };
                (below || session.height > own).then_some(Ask::Headers { from })
            }
            Step::Bundles => {
                let is_first = !std::mem::replace(&mut self.sessions.get_mut(&peer)?.greeted, true);
                self.wants_bundles(is_first).then_some(Ask::Bundles)
            }
            Step::Settled | Step::Snapshot => None,
            Step::Leavers => self.leavers_for(peer),
            Step::Erased { bits, known, at } => {
                // Once, whatever becomes of it: who never answers it keeps no session going.
                self.sessions.get_mut(&peer)?.erased = Some((*known, *at));
                Some(Ask::Erased { bits: *bits, buckets: self.erased.buckets(*bits) })
            }
            // The certificate is on its way to everybody; what was missed is offered then.
            Step::GiveHeaders if self.is_closing() => None,
            Step::GiveHeaders => {
                let (proofs, more) = self.proofs_from(self.sessions.get(&peer)?.height.saturating_add(1));
                let (mut proofs, more) = self.headers_for(&peer, proofs, more);
                let session = self.sessions.get_mut(&peer)?;
                session.height = session.height.saturating_add(proofs.len() as u64);
                if more {
                    session.plan.push_front(Step::GiveHeaders);
                } else if !session.warned {
                    proofs.extend(self.conflict.clone());
                }
                (!proofs.is_empty()).then_some(Ask::Give { entries: Vec::new(), proofs })
            }
        }
    }

    /// A batch of entries to give; what does not fit is put back into the plan.
    fn give(&mut self, peer: Peer, ids: Vec<EntryId>, rest: impl Fn(Vec<EntryId>) -> Step) -> Option<Ask> {
        let ids = self.entries_for(&peer, ids);
        let (entries, left) = self.pack(ids, BATCH_BYTES);
        if !left.is_empty() {
            self.sessions.get_mut(&peer)?.plan.push_front(rest(left));
        }
        (!entries.is_empty()).then_some(Ask::Give { entries, proofs: Vec::new() })
    }

    /// An answer came, or none will (`None`).
    pub fn answered(&mut self, no: u64, answer: Option<Answer>, now: u64) {
        let answer_to = answer.as_ref();
        if self.parcel_answered(no, answer_to, now)
            || self.fetched(no, answer_to)
            || self.earlier_came(no, answer_to)
            || self.votes_came(no, answer_to)
        {
            return;
        }
        let Some(peer) = self.asked.remove(&no) else { return };
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let Some((_, step)) = session.out.take_if(|(out, _)| *out == no) else { return };
        if matches!(step, Step::Compare) {
            session.mends.compared();
            self.look_for_votes();
        }
        if matches!(step, Step::Settled) && !matches!(answer, Some(Answer::Settled(_))) {
            self.not_by_hash(peer, answer.as_ref(), now);
        }
        if matches!(step, Step::Snapshot) && !matches!(answer, Some(Answer::Snapshot { .. })) {
            // It is taken in whole.
            self.joins_not_by(peer);
            self.go_on_by_hash(now);
            return self.step(peer, now);
        }
        if let (Step::Leavers, Some(Answer::No(why))) = (&step, &answer) {
            // Without that header it is told another time; else it is of a version that does not know of this.
            if *why != No::Busy {
                self.told(&peer);
            }
            return self.step(peer, now);
        }
        if let (Step::Erased { .. }, Some(Answer::No(_))) = (&step, &answer) {
            return self.step(peer, now);
        }
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        match answer {
            Some(Answer::No(no)) => self.refused_by(peer, no, now),
            Some(answer) => {
                let fits = self.heard(peer, step, answer, now);
                let Some(session) = self.sessions.get_mut(&peer) else { return };
                if !fits {
                    session.fail(now);
                } else {
                    session.failures = 0;
                    // What came may have begun a session anew, which has asked already.
                    if session.out.is_none() && !session.waits {
                        self.step(peer, now);
                    }
                }
            }
            None => session.fail(now),
        }
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// The peer does not answer: introduce ourselves once, or try again later.
    fn refused_by(&mut self, peer: Peer, no: No, now: u64) {
        let own = self.own.iter().take(16).copied().collect::<Vec<_>>();
        let admission = self.admission.clone();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.plan.clear();
        match no {
            No::NotAdmitted if !session.introduced && (admission.is_some() || !own.is_empty()) => {
                session.introduced = true;
                let introduce = match admission {
                    Some(admission) if own.is_empty() => Step::Knock { admission: Box::new(admission) },
                    _ => Step::GiveIds { ids: own },
                };
                session.plan.extend([introduce, Step::Compare]);
                self.step(peer, now);
            }
            No::UnknownCircle => {
                session.fail(now);
                self.outputs.push_back(Output::Event(Event::Unkept { by: peer }));
            }
            No::Busy => session.fail(now),
            why => {
                session.fail(now);
                self.outputs.push_back(Output::Event(Event::NotLetIn { by: peer, why }));
            }
        }
    }

    /// Takes an answer in; false if it does not fit the question.
    fn heard(&mut self, peer: Peer, step: Step, answer: Answer, now: u64) -> bool {
        let keeps = matches!(answer, Answer::SameKept { .. });
        match (step, answer) {
            (Step::Compare, Answer::Same { height } | Answer::SameKept { height }) => {
                let Some(session) = self.sessions.get_mut(&peer) else { return true };
                (session.height, session.introduced) = (height, false);
                let upto = session.upto;
                session.plan = VecDeque::from([Step::Headers, Step::GiveHeaders, Step::Bundles, Step::Leavers]);
                self.plan_erased(peer, now);
                self.acknowledged(upto, now);
                if keeps {
                    self.archived(peer, upto);
                }
                self.offer_parcels(peer, now);
                self.outputs.push_back(Output::Event(Event::Synced { with: peer }));
                true
            }
            (Step::Compare, Answer::Differ { height, bits, buckets }) => {
                self.compare_buckets(peer, height, bits, &buckets, now)
            }
            (Step::Devices { bits, buckets }, Answer::Devices(places)) => {
                self.compare_devices(peer, bits, &buckets, &places, now);
                true
            }
            (Step::Branches { .. }, Answer::Branches(ids)) if ids.len() <= MAX_IDS => {
                let missing = ids.into_iter().filter(|id| !self.history.contains(id)).collect();
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.plan.push_front(Step::FetchIds { ids: missing });
                }
                true
            }
            (Step::Fetch { ranges }, Answer::Entries { entries, more }) => {
                let intake = self.take(entries, Vec::new(), now);
                self.hand_on(&intake.taken, now);
                let new = !intake.taken.is_empty();
                self.progress(peer, new);
                if let Some(session) = self.sessions.get_mut(&peer)
                    && more
                    && new
                {
                    session.plan.push_front(Step::Fetch { ranges });
                }
                true
            }
            (Step::FetchIds { .. }, Answer::Entries { entries, .. }) => {
                let intake = self.take(entries, Vec::new(), now);
                self.hand_on(&intake.taken, now);
                self.hand_on(&intake.erased, now);
                self.progress(peer, !intake.taken.is_empty());
                true
            }
            (Step::GiveHeaders, Answer::Held { height, .. }) => {
                if let (Some(theirs), Some(session)) = (&self.conflict, self.sessions.get_mut(&peer)) {
                    let more = matches!(session.plan.front(), Some(Step::GiveHeaders));
                    session.warned = height >= theirs.height() && !more;
                    session.unfinished |= !session.warned;
                } else if height < self.durable_height {
                    self.look_below(peer, now);
                }
                true
            }
            (Step::Give { .. } | Step::GiveIds { .. }, Answer::Held { .. }) | (Step::Knock { .. }, Answer::Kept) => {
                true
            }
            (Step::Headers, Answer::Headers { proofs, more }) => {
                let before = self.chain.height();
                let mut waits = false;
                for proof in proofs {
                    let (height, say) = (self.chain.height(), self.say_proof(&proof));
                    waits |= self.take_proof(proof, peer, now) == Heard::Waits;
                    if self.is_keeper()
                        && self.chain.height() > height
                        && let Some(say) = say
                    {
                        self.once_durable(say, now);
                    }
                }
                let new = self.chain.height() > before;
                self.progress(peer, new);
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.unfinished |= waits;
                    if more && new {
                        session.plan.push_front(Step::Headers);
                    }
                }
                self.offer_settled(before, now);
                true
            }
            (Step::Settled, Answer::Settled(came)) => {
                let before = self.chain.height();
                let fits = self.take_settled(peer, came, now);
                self.progress(peer, self.chain.height() > before);
                if let Some(session) = self.sessions.get_mut(&peer).filter(|_| fits) {
                    session.plan.push_front(Step::Settled);
                }
                fits
            }
            (Step::Snapshot, Answer::Snapshot { hash, len, chunk }) => {
                let more = self.take_chunk(peer, (hash, len), &chunk, now);
                match more {
                    None => self.joins_not_by(peer),
                    Some(false) => self.progress(peer, true),
                    Some(true) => {}
                }
                if let Some(session) = self.sessions.get_mut(&peer).filter(|_| more == Some(true)) {
                    session.plan.push_front(Step::Snapshot);
                } else {
                    self.go_on_by_hash(now);
                }
                true
            }
            (Step::Leavers, Answer::Kept) => {
                self.told(&peer);
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.plan.push_front(Step::Leavers);
                }
                true
            }
            (Step::Erased { bits, .. }, Answer::Erased { buckets, ids }) => {
                self.compare_erased(peer, bits, &buckets, &ids)
            }
            (Step::Bundles, Answer::Bundles(bundles)) => {
                self.take_bundles(peer, &bundles, now);
                true
            }
            _ => false,
        }
    }
}
