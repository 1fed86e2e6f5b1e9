//! Four witnesses of whom one lies: three engines with their disks, and what is on its way between them. Nothing moves by
//! itself. After whatever happens it is looked whether an honest one broke a rule.

use super::common::four::Four;
use super::common::{Disk, forgetful};
use super::liar::Ear;
use ledgerno_engine::status::Status;
use ledgerno_engine::store::MAX_ITEM;
use ledgerno_engine::wire::{Answer, Ask, Topic, Votes};
use ledgerno_engine::{Engine, Event, Output};
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, HeaderHash};
use ledgerno_ledger::codec;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::settle::{Bundle, SignedVote, VoteKind, Witness, Witnesses};
use std::collections::{BTreeMap, VecDeque};

/// How many of the four are honest; the last is not.
pub const HONEST: usize = 3;
/// A question that nobody answers is given up after so long, in milliseconds.
const PATIENCE_MS: u64 = 30_000;
/// Once all is well they settle within this time.
const HEALED_MS: u64 = 30 * 60_000;
/// The liar, when it only holds others up, speaks so often.
const SPEAKS_MS: u64 = 2_000;
/// More messages at one moment are without end.
const MOST_AT_ONCE: usize = 20_000;

/// Four witnesses at rest: every siege begins here.
pub struct Scene {
    four: Four,
    pub circle: CircleId,
    pub witnesses: Witnesses,
    /// Once the liar was put out.
    fewer: Witnesses,
    pub liar: VoteSecret,
}

impl Scene {
    #[allow(clippy::unwrap_used, reason = "without the scene there is nothing to besiege")]
    pub fn new() -> Self {
        let mut four = Four::elected(61, HONEST + 1);
        four.world.pass(60_000);
        let secret = |id: &DeviceId| four.world.engine(*id).vote_secret().unwrap();
        let witness = |id: &DeviceId| Witness { device: *id, vote_key: secret(id).key(), always_on: false };
        let all: Vec<Witness> = four.all.iter().map(witness).collect();
        let (fewer, liar) = (Witnesses::new(all[..HONEST].to_vec(), None), secret(&four.all[HONEST]).clone());
        let circle = four.world.engine(four.all[0]).circle();
        Scene { circle, witnesses: Witnesses::new(all, None), fewer, liar, four }
    }

    pub fn liars_device(&self) -> DeviceId {
        self.four.all[HONEST]
    }

    fn open(&self, who: usize, disk: &Disk, seed: u8) -> Engine {
        let (genesis, seat) = self.four.world.hosts[&self.four.all[who]].make();
        let engine = Engine::open(genesis, seat, forgetful(), &disk.log, &disk.records, [seed; 32]);
        engine.unwrap_or_else(|error| panic!("an honest disk opens: {error}"))
    }
}

struct Honest {
    engine: Engine,
    disk: Disk,
    /// It hears nobody.
    parted: bool,
    /// Our number for a question that it was asked: who asked, and their number.
    asked: BTreeMap<u64, (usize, u64)>,
    height: u64,
}

enum Mail {
    Gossip { from: usize, to: usize, topic: Topic, bytes: Vec<u8> },
    Ask { from: usize, to: usize, no: u64, ask: Ask },
    Answer { from: usize, to: usize, no: u64, answer: Option<Answer> },
}

struct Unanswered {
    /// When it is given up.
    until: u64,
    by: usize,
    no: u64,
    ask: Ask,
}

/// One siege.
pub struct Siege<'a> {
    pub scene: &'a Scene,
    pub now: u64,
    /// What the liar hears.
    pub ear: Ear,
    honest: Vec<Honest>,
    mail: VecDeque<Mail>,
    /// The liar answers nothing by itself.
    pub is_silent: bool,
    /// Questions to it then, the oldest first.
    unanswered: VecDeque<Unanswered>,
    next: u64,
    seeds: u8,
    /// What honest witnesses signed, by who, height, view and kind.
    signed: BTreeMap<(usize, u64, u64, VoteKind), Option<HeaderHash>>,
    /// By height.
    settled: BTreeMap<u64, HeaderHash>,
}

impl<'a> Siege<'a> {
    /// All are linked, the liar too, and know where they stand.
    pub fn new(scene: &'a Scene) -> Self {
        let world = &scene.four.world;
        let honest = (0..HONEST).map(|who| {
            let disk = world.hosts[&scene.four.all[who]].disk.clone();
            let engine = scene.open(who, &disk, who as u8);
            let height = engine.settlement().height;
            Honest { engine, disk, parted: false, asked: BTreeMap::new(), height }
        });
        let mut siege = Siege {
            scene,
            now: world.now,
            ear: Ear::default(),
            honest: honest.collect(),
            mail: VecDeque::new(),
            is_silent: false,
            unanswered: VecDeque::new(),
            next: 0,
            seeds: HONEST as u8,
            signed: BTreeMap::new(),
            settled: BTreeMap::new(),
        };
        (0..HONEST).for_each(|who| siege.link(who));
        siege.rest();
        siege
    }

    pub fn engine(&self, who: usize) -> &Engine {
        &self.honest[who].engine
    }

    /// Something happens to one of them, and what it wants is carried out.
    pub fn act<T>(&mut self, who: usize, act: impl FnOnce(&mut Engine, u64) -> T) -> T {
        let done = act(&mut self.honest[who].engine, self.now);
        while let Some(output) = self.honest[who].engine.output() {
            self.carry_out(who, output);
        }
        self.look_at(who);
        done
    }

    /// Delivers a message that is on its way; a copy stays if it is gossip that comes twice.
    pub fn deliver(&mut self, at: usize, twice: bool) {
        let Some(at) = at.checked_rem(self.mail.len()) else { return };
        let Some(mail) = self.mail.remove(at) else { return };
        if let (true, Mail::Gossip { from, to, topic, bytes }) = (twice, &mail) {
            self.mail.push_back(Mail::Gossip { from: *from, to: *to, topic: *topic, bytes: bytes.clone() });
        }
        match mail {
            Mail::Gossip { from, to, topic, bytes } if self.is_linked(from, to) => {
                let from = self.scene.four.all[from];
                self.act(to, |engine, now| engine.gossip(topic, from, &bytes, now));
            }
            Mail::Gossip { .. } => {}
            Mail::Ask { from, to, no, .. } if !self.is_linked(from, to) => {
                self.act(from, |engine, now| engine.answered(no, None, now));
            }
            Mail::Ask { from, to, no, ask } => self.ask(from, to, no, ask),
            Mail::Answer { from, to, no, answer } => {
                let answer = answer.filter(|_| self.is_linked(from, to));
                self.act(to, |engine, now| engine.answered(no, answer, now));
            }
        }
    }

    /// A message is lost; whoever asked gives it up.
    pub fn lose(&mut self, at: usize) {
        let Some(at) = at.checked_rem(self.mail.len()) else { return };
        match self.mail.remove(at) {
            Some(Mail::Ask { from: who, no, .. } | Mail::Answer { to: who, no, .. }) => {
                self.act(who, |engine, now| engine.answered(no, None, now));
            }
            Some(Mail::Gossip { .. }) | None => {}
        }
    }

    /// Everything that is on its way arrives, in order.
    pub fn rest(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            if self.mail.is_empty() {
                return;
            }
            self.deliver(0, false);
        }
        panic!("they never rest");
    }

    /// Time goes by, and whose time has come is called once.
    pub fn pass(&mut self, ms: u64) {
        self.now += ms;
        while self.unanswered.front().is_some_and(|one| one.until <= self.now) {
            self.answer_as_liar(|_, _| None);
        }
        for who in 0..HONEST {
            if self.engine(who).due().is_some_and(|due| due <= self.now) {
                self.act(who, Engine::tick);
            }
        }
    }

    /// The liar asks.
    pub fn ask_as_liar(&mut self, to: usize, ask: Ask) {
        self.ask(HONEST, to, 0, ask);
    }

    fn ask(&mut self, from: usize, to: usize, no: u64, ask: Ask) {
        self.next += 1;
        let (next, peer) = (self.next, self.scene.four.all[from]);
        self.honest[to].asked.insert(next, (from, no));
        self.act(to, |engine, now| engine.asked(peer, next, ask, now));
    }

    /// The liar answers the oldest question that it was asked.
    pub fn answer_as_liar(&mut self, answer: impl FnOnce(&Self, &Ask) -> Option<Answer>) {
        if let Some(Unanswered { by, no, ask, .. }) = self.unanswered.pop_front() {
            let answer = answer(self, &ask);
            self.act(by, |engine, now| engine.answered(no, answer, now));
        }
    }

    /// Stops one in the middle of everything and opens it from its disk; what was held back is lost.
    pub fn crash(&mut self, who: usize) {
        self.seeds = self.seeds.wrapping_add(1);
        self.part(who);
        let durable = self.engine(who).durable_height();
        let honest = &mut self.honest[who];
        honest.disk.held.clear();
        honest.disk.holds = false;
        let engine = self.scene.open(who, &honest.disk, self.seeds);
        let honest = &mut self.honest[who];
        honest.engine = engine;
        honest.height = honest.engine.settlement().height;
        assert!(honest.height >= durable, "settled and forgotten");
        self.link(who);
    }

    /// Parts one from the others, or links it again.
    pub fn part_or_link(&mut self, who: usize) {
        if self.honest[who].parted { self.link(who) } else { self.part(who) }
    }

    fn part(&mut self, who: usize) {
        self.honest[who].parted = true;
        self.unanswered.retain(|one| one.by != who);
        self.honest[who].asked.clear();
        let is_its = |mail: &Mail| match mail {
            Mail::Gossip { from, to, .. } | Mail::Ask { from, to, .. } | Mail::Answer { from, to, .. } => {
                *from == who || *to == who
            }
        };
        while let Some(at) = self.mail.iter().position(is_its) {
            self.lose(at);
        }
        for other in (0..HONEST).filter(|other| *other != who) {
            self.honest[other].asked.retain(|_, (by, _)| *by != who);
            let (one, two) = (self.scene.four.all[who], self.scene.four.all[other]);
            self.act(who, |engine, _| engine.disconnected(two));
            self.act(other, |engine, _| engine.disconnected(one));
        }
        let liar = self.scene.liars_device();
        self.act(who, |engine, _| engine.disconnected(liar));
    }

    /// Links one with all that are not parted.
    fn link(&mut self, who: usize) {
        self.honest[who].parted = false;
        let own = self.scene.four.all[who];
        for (other, id) in self.scene.four.all.iter().enumerate().filter(|(other, _)| *other != who) {
            if self.is_linked(who, other) {
                self.act(who, |engine, now| engine.connected(*id, now));
            }
            if other < HONEST && self.is_linked(who, other) {
                self.act(other, |engine, now| engine.connected(own, now));
            }
        }
    }

    fn is_linked(&self, one: usize, two: usize) -> bool {
        ![one, two].iter().any(|who| self.honest.get(*who).is_some_and(|honest| honest.parted))
    }

    /// A disk holds its writes back from now on, or writes all of them.
    pub fn hold_or_flush(&mut self, who: usize) {
        let disk = &mut self.honest[who].disk;
        disk.holds = !disk.holds;
        while let Some((no, log, records)) = self.honest[who].disk.held.pop_front() {
            self.honest[who].disk.write(log, records);
            self.act(who, |engine, now| engine.written(no, now));
        }
    }

    fn carry_out(&mut self, who: usize, output: Output) {
        let (now, honest) = (self.now, &mut self.honest[who]);
        match output {
            Output::Write { no, log, records } if honest.disk.holds => {
                honest.disk.held.push_back((no, log, records));
            }
            Output::Write { no, log, records } => {
                honest.disk.write(log, records);
                honest.engine.written(no, now);
            }
            Output::Read { no, items } => {
                let items: Vec<&Vec<u8>> = items.iter().filter_map(|at| honest.disk.log.get(*at as usize)).collect();
                honest.engine.read(no, &items, now);
            }
            Output::Replace { .. } => panic!("nothing is erased or let go here"),
            Output::Publish { topic, bytes } => self.publish(who, topic, bytes),
            Output::Ask { to, no, ask } => match self.scene.four.all.iter().position(|id| *id == to) {
                Some(HONEST) if !self.is_silent => {
                    let answer = Some(honestly(self, &ask));
                    self.mail.push_back(Mail::Answer { from: HONEST, to: who, no, answer });
                }
                Some(HONEST) => self.unanswered.push_back(Unanswered { until: now + PATIENCE_MS, by: who, no, ask }),
                Some(to) => self.mail.push_back(Mail::Ask { from: who, to, no, ask }),
                None => panic!("it asks whom it does not know"),
            },
            Output::Answer { no, answer } => match honest.asked.remove(&no) {
                Some((to, no)) if to < HONEST => {
                    self.mail.push_back(Mail::Answer { from: who, to, no, answer: Some(answer) });
                }
                _ => {}
            },
            Output::Event(Event::VoteRetired(_)) => panic!("an honest witness gave its vote up"),
            Output::Event(Event::Twin { .. } | Event::Overruled { .. } | Event::NoSnapshot(_)) => {
                panic!("an honest witness takes itself for another, or its disk for damaged")
            }
            Output::Event(_) => {}
        }
    }

    fn publish(&mut self, who: usize, topic: Topic, bytes: Vec<u8>) {
        let linked: Vec<usize> = (0..HONEST).filter(|to| *to != who && self.is_linked(who, *to)).collect();
        for to in linked {
            self.mail.push_back(Mail::Gossip { from: who, to, topic, bytes: bytes.clone() });
        }
        match Votes::from_bytes(&bytes) {
            Ok(votes) if topic != Topic::Entries => self.signs(who, &votes),
            _ => {}
        }
        // What is said is durable, and so is the bundle that goes with it, which says in full what an opening does not.
        let record = self.honest[who].disk.records.get("bundle");
        if let Some(bundle) = record.and_then(|record| codec::decode::<Bundle>(record, MAX_ITEM).ok()) {
            self.signs(who, &Votes::Bundle(Box::new(bundle.clone())));
            self.ear.hear_bundle(bundle);
        }
        self.ear.hear(topic, bytes);
    }

    /// Notes what an honest witness signed: in each view at most one header to notarize and one to finalize, and not to
    /// finalize what it nullified.
    fn signs(&mut self, who: usize, votes: &Votes) {
        let bundle = |bundle: &Bundle| (bundle.height, bundle.own.clone());
        let (height, votes): (u64, Vec<SignedVote>) = match votes {
            Votes::Bundle(one) => bundle(one),
            Votes::Proposal(proposal) => bundle(&proposal.bundle),
            Votes::Vote { height, vote } => {
                let by = [&self.scene.witnesses, &self.scene.fewer].map(|witnesses| vote.vote(witnesses));
                let holds = |vote: &SignedVote| vote.holds(self.scene.circle, *height);
                (*height, by.into_iter().flatten().filter(holds).collect())
            }
            Votes::Proof(_) | Votes::Brief(_) | Votes::Opening(_) => return,
        };
        let key = |who: usize| self.scene.witnesses.all().iter().find(|one| one.device == self.scene.four.all[who]);
        let Some(own) = key(who).map(|witness| witness.vote_key) else { return };
        for vote in votes.iter().filter(|vote| vote.key == own) {
            let place = |kind| (who, height, vote.view, kind);
            let before = self.signed.insert(place(vote.kind), vote.header);
            assert!(before.is_none_or(|header| header == vote.header), "it signs two headers in one view");
            let both = [VoteKind::Finalize, VoteKind::Nullify].map(|kind| self.signed.contains_key(&place(kind)));
            assert_ne!(both, [true, true], "it finalizes and nullifies one view");
        }
    }

    /// What holds at any time of one that is honest.
    fn look_at(&mut self, who: usize) {
        let honest = &mut self.honest[who];
        let stands = honest.engine.settlement();
        assert!(stands.height >= honest.height, "its height goes back");
        honest.height = stands.height;
        let settled = self.settled.entry(stands.height).or_insert(stands.header);
        assert_eq!(*settled, stands.header, "two headers settled at height {}", stands.height);
        let engine = &honest.engine;
        assert!(engine.conflict().is_none() && !engine.is_vote_retired());
        let liar = self.scene.liar.key();
        assert!(engine.evidence().iter().all(|evidence| evidence.one.key == liar), "an honest witness is accused");
        // What it keeps of others has bounds.
        let (load, limits) = (engine.load(), forgetful().waiting);
        assert!(engine.evidence().len() <= 1 && engine.bundles().len() <= HONEST + 1 && engine.refusals().len() <= 8);
        assert!(load.waiting <= limits.waiting && load.questions <= 4 * HONEST && load.sessions <= HONEST, "{load:?}");
    }

    /// All are linked anew. The liar answers nothing more, but says again and again that there is more: they settle what is
    /// written now, and agree.
    pub fn settles_at_last(mut self) {
        for who in 0..HONEST {
            if self.honest[who].disk.holds {
                self.hold_or_flush(who);
            }
            self.part(who);
        }
        self.is_silent = true;
        (0..HONEST).for_each(|who| self.link(who));
        self.rest();
        let Ok(post) = self.act(0, |engine, now| engine.post("all is well", now)) else { panic!("it may write") };
        let (end, later) = (self.now + HEALED_MS, super::liar::of_a_later_height(self.scene).to_bytes());
        let (liar, mut speaks) = (self.scene.liars_device(), self.now);
        while !self.is_settled(&post.id) {
            assert!(self.now < end, "they never settle: {:?}", self.stand());
            if self.now >= speaks {
                speaks = self.now + SPEAKS_MS;
                for who in 0..HONEST {
                    self.act(who, |engine, now| engine.gossip(Topic::Witnesses, liar, &later, now));
                }
            }
            let due = (0..HONEST).filter_map(|who| self.engine(who).due()).min();
            self.pass(due.map_or(1_000, |due| due.saturating_sub(self.now)));
            self.rest();
        }
    }

    fn is_settled(&self, id: &EntryId) -> bool {
        let stand = self.stand();
        (0..HONEST).all(|who| self.engine(who).settled_at(id).is_some() && stand[who] == stand[0])
            && self.engine(0).status(id) == Some(Status::Settled)
    }

    fn stand(&self) -> Vec<(u64, HeaderHash, usize)> {
        let stand = |who| self.engine(who).settlement();
        (0..HONEST).map(stand).map(|one| (one.height, one.header, one.unsettled)).collect()
    }
}

/// What the liar answers while it hides what it is, as if it held what the others do.
pub fn honestly(siege: &Siege, ask: &Ask) -> Answer {
    match ask {
        Ask::Frontier { .. } => Answer::Same { height: siege.engine(0).settlement().height },
        Ask::Bundles => Answer::Bundles(Vec::new()),
        Ask::Headers { .. } => Answer::Headers { proofs: Vec::new(), more: false },
        _ => Answer::Kept,
    }
}
