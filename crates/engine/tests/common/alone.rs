//! One engine alone among hand-made people: whatever a liar may say is said to it directly.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use ledgerno_engine::store::EntryItem;
use ledgerno_engine::wire::{Answer, Ask, Topic, Votes};
use ledgerno_engine::{Engine, Event, Keyring, Limits, OpenError, Output, Seat};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::codec;
use ledgerno_ledger::dag::{self, Dag};
use ledgerno_ledger::entry::{Head, Invite, Packed};
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::keys::{DeviceKey, Identity, InviteSecret, VoteSecret};
use ledgerno_ledger::settle::{Block, Chain, Proof};
use std::collections::BTreeMap;

pub const NOW: u64 = 500_000;
pub const LIAR: DeviceId = DeviceId([66; 32]);

pub struct Alone {
    pub engine: Engine,
    pub log: Vec<Vec<u8>>,
    pub records: BTreeMap<String, Vec<u8>>,
    pub events: Vec<Event>,
    pub published: Vec<(Topic, Vec<u8>)>,
    /// Questions out, in order.
    pub asks: Vec<(DeviceId, u64, Ask)>,
    answers: BTreeMap<u64, Answer>,
    next: u64,
    make: Box<dyn Fn() -> Seat>,
    circle: ledgerno_ledger::genesis::Genesis,
    pub now: u64,
}

impl Alone {
    fn new(circle: &Circle, limits: Limits, make: impl Fn() -> Seat + 'static) -> Self {
        let nothing = (Vec::<Vec<u8>>::new(), Vec::<(String, Vec<u8>)>::new());
        let engine = Engine::open(circle.genesis.clone(), make(), limits, nothing.0, nothing.1, [1; 32]).unwrap();
        Alone {
            engine,
            log: Vec::new(),
            records: BTreeMap::new(),
            events: Vec::new(),
            published: Vec::new(),
            asks: Vec::new(),
            answers: BTreeMap::new(),
            next: 0,
            make: Box::new(make),
            circle: circle.genesis.clone(),
            now: NOW,
        }
    }

    pub fn keeper(circle: &Circle) -> Self {
        Self::new(circle, Limits::default(), || Seat::Keeper)
    }

    pub fn small_keeper(circle: &Circle, limits: Limits) -> Self {
        Self::new(circle, limits, || Seat::Keeper)
    }

    /// A person's engine of these limits, on a device that holds nothing yet.
    pub fn reader(circle: &Circle, person: &Person, limits: Limits) -> Self {
        let (id, keys) = (circle.id, circle.keys.clone());
        let (identity, device) = (*person.identity.secret(), *person.device.secret());
        Self::new(circle, limits, move || Seat::Member {
            device: DeviceKey::from_secret(device),
            identity: Identity::from_secret(identity),
            keyring: Keyring::new(id, keys.clone()),
            vote: None,
        })
    }

    /// A person's engine; it has written nothing.
    pub fn member(circle: &Circle, person: &Person) -> Self {
        Self::seat(circle, person, None)
    }

    /// The founder's engine.
    pub fn founder(circle: &Circle) -> Self {
        Self::seat(circle, &circle.founder, Some(*circle.vote.secret()))
    }

    fn seat(circle: &Circle, person: &Person, vote: Option<[u8; 32]>) -> Self {
        let (id, keys) = (circle.id, circle.keys.clone());
        let (identity, device) = (*person.identity.secret(), *person.device.secret());
        Self::new(circle, Limits::default(), move || Seat::Member {
            device: DeviceKey::from_secret(device),
            identity: Identity::from_secret(identity),
            keyring: Keyring::new(id, keys.clone()),
            vote: vote.map(VoteSecret::from_secret),
        })
    }

    /// A person's seat without a vote.
    pub fn seat_of(circle: &Circle, person: &Person) -> Seat {
        Seat::Member {
            device: DeviceKey::from_secret(*person.device.secret()),
            identity: Identity::from_secret(*person.identity.secret()),
            keyring: Keyring::new(circle.id, circle.keys.clone()),
            vote: None,
        }
    }

    /// Carries out what the engine wants; writes are durable at once.
    pub fn carry(&mut self) {
        while let Some(output) = self.engine.output() {
            match output {
                Output::Replace { no, items, by } => {
                    for (item, bytes) in items.iter().zip(by) {
                        let held = &mut self.log[*item as usize];
                        assert!(bytes.len() <= held.len(), "a store leaves item {item} as it is");
                        *held = bytes;
                    }
                    self.engine.written(no, self.now);
                }
                Output::Read { no, items } => {
                    let items: Vec<&Vec<u8>> = items.iter().filter_map(|at| self.log.get(*at as usize)).collect();
                    self.engine.read(no, &items, self.now);
                }
                Output::Write { no, log, records } => {
                    self.log.extend(log);
                    for (name, bytes) in records {
                        match bytes {
                            Some(bytes) => self.records.insert(name, bytes),
                            None => self.records.remove(&name),
                        };
                    }
                    self.engine.written(no, self.now);
                }
                Output::Publish { topic, bytes } => self.published.push((topic, bytes)),
                Output::Ask { to, no, ask } => self.asks.push((to, no, ask)),
                Output::Answer { no, answer } => drop(self.answers.insert(no, answer)),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub fn act<T>(&mut self, act: impl FnOnce(&mut Engine, u64) -> T) -> T {
        let done = act(&mut self.engine, self.now);
        self.carry();
        done
    }

    pub fn gossip(&mut self, packed: &Packed) {
        self.act(|engine, now| engine.gossip(Topic::Entries, LIAR, &codec::encode(packed), now));
    }

    pub fn vote(&mut self, proof: &Proof) {
        self.act(|engine, now| {
            engine.gossip(Topic::Votes, LIAR, &Votes::Proof(Box::new(proof.clone())).to_bytes(), now)
        });
    }

    /// What the engine answers; `None`: not yet.
    pub fn ask(&mut self, peer: DeviceId, ask: Ask) -> Option<Answer> {
        self.next += 1;
        let no = self.next;
        self.act(|engine, now| engine.asked(peer, no, ask, now));
        self.answers.remove(&no)
    }

    pub fn give(&mut self, peer: DeviceId, entries: Vec<Packed>) -> Option<Answer> {
        self.ask(peer, Ask::Give { entries, proofs: Vec::new() })
    }

    /// Whether the log and the records open again, and to the same.
    pub fn reopen(&self) -> Result<Engine, OpenError> {
        self.reopen_with(Limits::default())
    }

    pub fn reopen_with(&self, limits: Limits) -> Result<Engine, OpenError> {
        Engine::open(self.circle.clone(), (self.make)(), limits, &self.log, &self.records, [2; 32])
    }

    /// Answers every question of the engine to a peer with what the other engine says, till both rest; how many
    /// questions that took.
    pub fn talk_to(&mut self, other: &mut Alone, own: DeviceId) -> usize {
        for asked in 0.. {
            let Some((_, no, ask)) = (!self.asks.is_empty()).then(|| self.asks.remove(0)) else { return asked };
            assert!(asked < 500, "an endless session");
            let bytes = ask.to_bytes(self.engine.circle());
            let answer = match Ask::from_bytes(ask.kind(), &bytes[32..]) {
                Ok(ask) => other.ask(own, ask),
                Err(_) => None,
            };
            let answer = answer.and_then(|answer| Answer::from_bytes(&answer.to_bytes()).ok());
            self.act(|engine, now| engine.answered(no, answer, now));
        }
        0
    }

    pub fn held(&self) -> usize {
        self.engine.settlement().entries
    }
}

/// A circle with a founder who wrote a join and gave an invite, and a friend who came by it.
pub struct Friends {
    pub circle: Circle,
    pub friend: Person,
    pub secret: InviteSecret,
    pub invite: Invite,
    /// Join, invite, the friend's join.
    pub entries: Vec<Packed>,
}

impl Friends {
    pub fn new() -> Self {
        let mut circle = Circle::new(7);
        let join = circle.founders_join();
        let (secret, invite, given) = circle.invite(8);
        let mut friend = Person::new(9);
        let joined = circle.join(&mut friend, &secret, invite);
        Friends { circle, friend, secret, invite, entries: vec![join, given, joined] }
    }

    pub fn feed(&self, alone: &mut Alone) {
        for packed in &self.entries {
            alone.gossip(packed);
        }
    }

    pub fn post(&mut self, text: &str) -> Packed {
        let packed = self.circle.post(&mut self.friend, &[], text);
        self.entries.push(packed.clone());
        packed
    }

    pub fn founders_post(&mut self, text: &str) -> Packed {
        let mut founder = std::mem::replace(&mut self.circle.founder, Person::new(0));
        let packed = self.circle.post(&mut founder, &[], text);
        self.circle.founder = founder;
        self.entries.push(packed.clone());
        packed
    }

    pub fn id(&self, packed: &Packed) -> EntryId {
        packed.signed.entry.id(self.circle.id)
    }

    /// A witness's hands: DAG and chain over these entries, in which headers are made that may lie.
    pub fn witness(&self) -> Witness {
        Witness::over(&self.circle, &self.entries)
    }
}

/// The founder's DAG and chain, outside an engine.
pub struct Witness {
    pub dag: Dag,
    pub chain: Chain,
    keyring: Keyring,
    device: DeviceId,
    vote: VoteSecret,
}

impl Witness {
    pub fn over(circle: &Circle, entries: &[Packed]) -> Self {
        let mut dag = Dag::new(&circle.genesis, dag::Limits::default());
        for packed in entries {
            dag.insert(ledgerno_ledger::check::check(circle.id, packed.clone()).unwrap()).unwrap();
        }
        Witness {
            dag,
            chain: Chain::new(&circle.genesis),
            keyring: Keyring::new(circle.id, circle.keys.clone()),
            device: circle.founder.device.id(),
            vote: VoteSecret::from_secret(*circle.vote.secret()),
        }
    }

    pub fn next(&self) -> Block {
        self.chain.next(&self.dag, Some(&self.keyring), self.device, NOW).unwrap().unwrap()
    }

    pub fn certify(&self, block: &Block) -> Proof {
        self.chain.certify(block, &self.vote)
    }

    /// Settles all honestly.
    pub fn settle(&mut self) -> Proof {
        let block = self.next();
        let proof = self.certify(&block);
        self.chain.adopt(&mut self.dag, block, proof.clone());
        proof
    }
}

/// Fork a person's device: the same next place, another text.
pub fn fork(circle: &Circle, person: &Person, text: &str) -> (Packed, Head) {
    let mut twin = twin_of(person);
    let packed = circle.post(&mut twin, &[], text);
    (packed, twin.head.unwrap())
}

pub fn twin_of(person: &Person) -> Person {
    let mut twin = Person::new(1);
    twin.identity = person.identity.clone();
    twin.device = ledgerno_ledger::keys::DeviceKey::from_secret(*person.device.secret());
    (twin.seq, twin.head, twin.name) = (person.seq, person.head, person.name.clone());
    twin
}

pub fn knows(alone: &Alone, friends: &Friends, packed: &Packed) -> bool {
    alone.engine.status(&friends.id(packed)).is_some()
}

/// The friend as of the newest entry that is kept.
pub fn twin_before(friends: &Friends) -> Person {
    let mut twin = twin_of(&friends.friend);
    let device = twin.device.id();
    let last = friends.entries.iter().rev().find(|packed| packed.signed.entry.device == device).unwrap();
    let entry = &last.signed.entry;
    (twin.seq, twin.head) = (entry.seq + 1, Some(entry.head(friends.id(last))));
    twin
}

/// The entry in an item.
pub fn unpacked(item: &EntryItem) -> Packed {
    Packed::decode(item.entry()).unwrap()
}

/// Changes the entry in an item.
pub fn alter(item: &mut EntryItem, alter: impl FnOnce(&mut Packed)) {
    let mut packed = unpacked(item);
    alter(&mut packed);
    *item = EntryItem::new(&packed);
}
