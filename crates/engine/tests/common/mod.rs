//! A handful of engines in one process: a clock that only moves when told, links that carry every message by hand and
//! count its bytes, disks that write when told.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::type_complexity)]

pub mod four;

use ledgerno_engine::wire::{Answer, Ask, Topic};
use ledgerno_engine::{Engine, Event, Keyring, Limits, OpenError, Output, Random, Seat, join};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::entry::Invite;
use ledgerno_ledger::genesis::Genesis;
use ledgerno_ledger::invite::{InviteLink, RelayAddress};
use ledgerno_ledger::keys::{DeviceKey, Identity, VoteSecret};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub const RELAY: DeviceId = DeviceId([9; 32]);
pub const START: u64 = 1_800_000_000_000;
/// After so long a question is given up.
const PATIENCE: u64 = 30_000;
pub const WEEK: u64 = 7 * 24 * 3_600_000;

/// So little stays in memory that every story is told by engines that forget, start from snapshots and read back.
pub fn forgetful() -> Limits {
    Limits { snapshot_every: 5, window: 7, loose: 0, ..Limits::default() }
}

/// A disk: what is durable, and what was told to be written.
#[derive(Clone, Default)]
pub struct Disk {
    pub log: Vec<Vec<u8>>,
    pub records: BTreeMap<String, Vec<u8>>,
    /// Writes that are held back.
    pub held: VecDeque<(u64, Vec<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>)>,
    pub holds: bool,
}

pub struct Host {
    pub engine: Engine,
    pub disk: Disk,
    pub events: Vec<Event>,
    limits: Limits,
    make: Box<dyn Fn() -> (Genesis, Seat)>,
    /// Our number for a question that this host was asked: who asked, and their number.
    asked: BTreeMap<u64, (DeviceId, u64)>,
}

pub struct World {
    pub now: u64,
    pub hosts: BTreeMap<DeviceId, Host>,
    links: BTreeSet<(DeviceId, DeviceId)>,
    mail: VecDeque<Mail>,
    next: u64,
    pub bytes: usize,
    pub messages: usize,
    /// Of 100 messages so many are lost.
    pub loss: u8,
    /// Whoever asks this one waits for an answer in vain.
    pub silent: Option<DeviceId>,
    /// Till when, who, and the question's number.
    waits: VecDeque<(u64, DeviceId, u64)>,
    /// What the rules of a circle that is founded say; 0: for ever.
    pub retention_days: u32,
    seeds: Random,
}

enum Mail {
    Gossip { from: DeviceId, to: DeviceId, topic: Topic, bytes: Vec<u8> },
    Ask { from: DeviceId, to: DeviceId, no: u64, ask: Ask },
    Answer { to: DeviceId, no: u64, answer: Option<Answer> },
}

impl Host {
    /// What its engine is opened with.
    pub fn make(&self) -> (Genesis, Seat) {
        (self.make)()
    }
}

impl World {
    pub fn new(seed: u8) -> Self {
        World {
            now: START,
            hosts: BTreeMap::new(),
            links: BTreeSet::new(),
            mail: VecDeque::new(),
            next: 0,
            bytes: 0,
            messages: 0,
            loss: 0,
            silent: None,
            waits: VecDeque::new(),
            retention_days: 0,
            seeds: Random::new([seed; 32]),
        }
    }

    fn host(&mut self, id: DeviceId, make: impl Fn() -> (Genesis, Seat) + 'static) {
        let (genesis, seat) = make();
        let nothing = (Vec::<Vec<u8>>::new(), Vec::<(String, Vec<u8>)>::new());
        let mut engine = Engine::open(genesis, seat, forgetful(), nothing.0, nothing.1, self.seeds.bytes()).unwrap();
        engine.set_keepers(vec![RELAY]);
        let host = Host {
            engine,
            disk: Disk::default(),
            events: Vec::new(),
            limits: forgetful(),
            make: Box::new(make),
            asked: BTreeMap::new(),
        };
        self.hosts.insert(id, host);
    }

    /// A founder with a circle, and a relay that keeps it.
    /// A founder and three friends who joined, in that order.
    pub fn four_friends(seed: u8) -> (Self, Vec<DeviceId>) {
        let mut world = World::new(seed);
        let founder = world.found("Anna");
        world.link(founder, RELAY);
        let (token, _) = world.invite(founder, 10, START + WEEK);
        let mut all = vec![founder];
        all.extend(["Ben", "Carl", "Dora"].map(|name| world.join(name, &token)));
        world.pass(10_000);
        (world, all)
    }

    pub fn found(&mut self, name: &str) -> DeviceId {
        let (identity, device): ([u8; 32], [u8; 32]) = (self.seeds.bytes(), self.seeds.bytes());
        let mut random = Random::new(self.seeds.bytes());
        let mut founding = join::found(
            "Circle",
            &Identity::from_secret(identity),
            &DeviceKey::from_secret(device),
            &mut random,
            START,
        )
        .unwrap();
        founding.genesis.rules.retention_days = self.retention_days;
        founding.keys.epoch = founding.genesis.id().into();
        let id = DeviceKey::from_secret(device).id();
        let vote = *founding.vote.secret();
        let (genesis, keys) = (founding.genesis.clone(), founding.keys);
        self.host(id, move || {
            let keyring = Keyring::new(genesis.id(), keys.clone());
            let seat = Seat::Member {
                device: DeviceKey::from_secret(device),
                identity: Identity::from_secret(identity),
                keyring,
                vote: Some(VoteSecret::from_secret(vote)),
            };
            (genesis.clone(), seat)
        });
        let genesis = founding.genesis;
        self.host(RELAY, move || (genesis.clone(), Seat::Keeper));
        let now = self.now;
        let engine = &mut self.hosts.get_mut(&id).unwrap().engine;
        engine.present(None).unwrap();
        engine.enter(Some(name), now).unwrap();
        self.run();
        id
    }

    /// Opens a host anew with other limits.
    pub fn limit(&mut self, id: DeviceId, limits: Limits) {
        self.hosts.get_mut(&id).unwrap().limits = limits;
        self.crash(id);
    }

    /// Another relay, which keeps the founder's circle.
    pub fn keeper(&mut self, founder: DeviceId, secret: u8) -> DeviceId {
        let genesis = self.engine(founder).genesis().clone();
        let id = DeviceKey::from_secret([secret; 32]).id();
        self.host(id, move || (genesis.clone(), Seat::Keeper));
        id
    }

    /// The founder enlists a relay: it opens what it kept with the state keys, and no talk key.
    pub fn enlist(&mut self, founder: DeviceId, secret: u8) {
        let key = || DeviceKey::from_secret([secret; 32]);
        let (admission, keys) = self.act(founder, |engine, _| engine.enlist(key().id(), key().box_key())).unwrap();
        let genesis = self.engine(founder).genesis().clone();
        let keys = keys.open(genesis.id(), &key()).unwrap();
        assert!(keys.iter().all(|keys| keys.talk.is_none()));
        let id = key().id();
        self.hosts.get_mut(&id).unwrap().make = Box::new(move || {
            let keyring = Keyring::with(genesis.id(), keys[0].clone(), keys[1..].to_vec());
            (genesis.clone(), Seat::Witness { device: DeviceKey::from_secret([secret; 32]), keyring })
        });
        self.crash(id);
        self.hosts.get_mut(&id).unwrap().engine.enlisted(admission);
    }

    /// A further device of a member, as 24 words make one: linked to the relay, and in.
    pub fn further(&mut self, of: DeviceId) -> DeviceId {
        let (genesis, seat) = self.hosts[&of].make();
        let Seat::Member { identity, .. } = seat else { panic!("a relay is nobody's") };
        let keys = self.engine(of).lane_keys().to_vec();
        let (secret, identity): ([u8; 32], [u8; 32]) = (self.seeds.bytes(), *identity.secret());
        let id = DeviceKey::from_secret(secret).id();
        self.host(id, move || {
            let seat = Seat::Member {
                device: DeviceKey::from_secret(secret),
                identity: Identity::from_secret(identity),
                keyring: Keyring::with(genesis.id(), keys[0].clone(), keys[1..].to_vec()),
                vote: None,
            };
            (genesis.clone(), seat)
        });
        self.act(id, |engine, _| engine.present(None)).unwrap();
        self.link(id, RELAY);
        self.act(id, |engine, now| engine.enter(None, now)).unwrap();
        id
    }

    /// A newcomer with a link; what the relay's mailbox answers must be at hand as the parcel.
    pub fn newcomer(&mut self, token: &str, sealed: &[u8]) -> DeviceId {
        let link = InviteLink::from_token(token).unwrap();
        let (parcel, genesis) = join::Parcel::open(&link, sealed).unwrap();
        let (identity, device): ([u8; 32], [u8; 32]) = (self.seeds.bytes(), self.seeds.bytes());
        let id = DeviceKey::from_secret(device).id();
        let keys = parcel.keys;
        self.host(id, move || {
            let keyring = Keyring::new(genesis.id(), keys.clone());
            let seat = Seat::Member {
                device: DeviceKey::from_secret(device),
                identity: Identity::from_secret(identity),
                keyring,
                vote: None,
            };
            (genesis.clone(), seat)
        });
        let engine = &mut self.hosts.get_mut(&id).unwrap().engine;
        engine.present(Some((&link.invite_secret(), parcel.invite))).unwrap();
        self.link(id, RELAY);
        id
    }

    /// An invite of a member, its parcel brought to the relay: token and parcel.
    pub fn invite(&mut self, by: DeviceId, uses: u32, expiry: u64) -> (String, Invite) {
        let relays = vec![RelayAddress { url: "ws://127.0.0.1:1/".to_owned(), peer: RELAY }];
        let now = self.now;
        let (invitation, _) = self.hosts.get_mut(&by).unwrap().engine.invite(uses, expiry, relays, now).unwrap();
        self.run();
        (invitation.token, invitation.invite)
    }

    /// Asks the relay's mailbox as a stranger.
    pub fn parcel(&mut self, token: &str) -> Answer {
        let address = InviteLink::from_token(token).unwrap().invite_secret().address();
        self.next += 1;
        let (no, now) = (self.next, self.now);
        let host = self.hosts.get_mut(&RELAY).unwrap();
        host.engine.asked(DeviceId([77; 32]), no, Ask::GetParcel { address }, now);
        let mut found = None;
        while let Some(output) = host.engine.output() {
            match output {
                Output::Answer { no: at, answer } if at == no => found = Some(answer),
                Output::Write { no, log, records } => {
                    host.disk.write(log, records);
                    host.engine.written(no, now);
                }
                _ => {}
            }
        }
        found.unwrap()
    }

    pub fn join(&mut self, name: &str, token: &str) -> DeviceId {
        let Answer::Parcel(parcel) = self.parcel(token) else { panic!("no parcel") };
        let id = self.newcomer(token, &parcel);
        self.act(id, |engine, now| engine.enter(Some(name), now)).unwrap();
        id
    }

    pub fn link(&mut self, a: DeviceId, b: DeviceId) {
        self.links.insert((a, b));
        self.links.insert((b, a));
        let now = self.now;
        self.hosts.get_mut(&a).unwrap().engine.connected(b, now);
        self.hosts.get_mut(&b).unwrap().engine.connected(a, now);
        self.run();
    }

    pub fn unlink(&mut self, a: DeviceId, b: DeviceId) {
        self.links.remove(&(a, b));
        self.links.remove(&(b, a));
        self.hosts.get_mut(&a).unwrap().engine.disconnected(b);
        self.hosts.get_mut(&b).unwrap().engine.disconnected(a);
    }

    /// Stops a host in the middle of everything and opens it anew from its disk; what was held back is lost.
    pub fn crash(&mut self, id: DeviceId) {
        let others: Vec<DeviceId> = self.links.iter().filter(|(a, _)| *a == id).map(|(_, b)| *b).collect();
        for other in &others {
            self.unlink(id, *other);
        }
        let seed = self.seeds.bytes();
        let host = self.hosts.get_mut(&id).unwrap();
        host.disk.held.clear();
        host.engine = host.disk.reopen(&host.make, host.limits, seed);
        host.engine.set_keepers(vec![RELAY]);
        host.asked.clear();
        let to_it = |mail: &Mail| match mail {
            Mail::Gossip { to, from, .. } | Mail::Ask { to, from, .. } => *to != id && *from != id,
            Mail::Answer { to, .. } => *to != id,
        };
        self.mail.retain(to_it);
    }

    pub fn act<T>(&mut self, id: DeviceId, act: impl FnOnce(&mut Engine, u64) -> T) -> T {
        let now = self.now;
        let done = act(&mut self.hosts.get_mut(&id).unwrap().engine, now);
        self.run();
        done
    }

    pub fn engine(&self, id: DeviceId) -> &Engine {
        &self.hosts[&id].engine
    }

    pub fn post(&mut self, id: DeviceId, text: &str) -> EntryId {
        self.act(id, |engine, now| engine.post(text, now)).unwrap().id
    }

    /// Lets a disk that held its writes back write them.
    pub fn flush(&mut self, id: DeviceId) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).unwrap();
        while let Some((no, log, records)) = host.disk.held.pop_front() {
            host.disk.write(log, records);
            host.engine.written(no, now);
        }
        self.run();
    }

    /// Lets a disk that holds its writes back write the oldest.
    pub fn flush_one(&mut self, id: DeviceId) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).unwrap();
        if let Some((no, log, records)) = host.disk.held.pop_front() {
            host.disk.write(log, records);
            host.engine.written(no, now);
        }
        self.run();
    }

    /// Moves the clock on, ringing what is due on the way.
    pub fn pass(&mut self, ms: u64) {
        self.pass_without(DeviceId([0; 32]), ms);
    }

    /// As [`World::pass`], while one is asleep: its ticks come when it wakes up.
    pub fn pass_without(&mut self, asleep: DeviceId, ms: u64) {
        let end = self.now + ms;
        loop {
            let awake = || self.hosts.iter().filter(|(id, _)| **id != asleep);
            let waits = self.waits.front().map(|(until, ..)| *until);
            let due = awake().filter_map(|(_, host)| host.engine.due()).chain(waits).min().filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            let now = self.now;
            while let Some((_, to, no)) = self.waits.pop_front_if(|(until, ..)| *until <= now) {
                self.mail.push_back(Mail::Answer { to, no, answer: None });
            }
            for (_, host) in self.hosts.iter_mut().filter(|(id, _)| **id != asleep) {
                host.engine.tick(now);
            }
            self.run();
        }
        self.now = end;
    }

    /// Carries everything until nothing moves.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            let ids: Vec<DeviceId> = self.hosts.keys().copied().collect();
            let mut idle = true;
            for id in ids {
                while let Some(output) = self.hosts.get_mut(&id).unwrap().engine.output() {
                    idle = false;
                    self.carry_out(id, output);
                }
            }
            match self.mail.pop_front() {
                Some(mail) => self.deliver(mail),
                // Everybody looks at all that there is.
                None if idle && !self.look_back() => return,
                None => {}
            }
        }
        panic!("the engines never rest");
    }

    fn look_back(&mut self) -> bool {
        let mut goes_on = false;
        let ids: Vec<DeviceId> = self.hosts.keys().copied().collect();
        for id in ids {
            self.hosts.get_mut(&id).unwrap().engine.look_back();
            while let Some(output) = self.hosts.get_mut(&id).unwrap().engine.output() {
                goes_on |= matches!(output, Output::Read { .. } | Output::Ask { .. });
                self.carry_out(id, output);
            }
        }
        goes_on
    }

    fn carry_out(&mut self, id: DeviceId, output: Output) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).unwrap();
        match output {
            Output::Write { no, log, records } if host.disk.holds => host.disk.held.push_back((no, log, records)),
            Output::Write { no, log, records } => {
                host.disk.write(log, records);
                host.engine.written(no, now);
            }
            Output::Read { no, items } => {
                let items: Vec<&Vec<u8>> = items.iter().map(|item| &host.disk.log[*item as usize]).collect();
                host.engine.read(no, &items, now);
            }
            Output::Replace { no, items, by } => {
                host.disk.replace(&items, by);
                host.engine.written(no, now);
            }
            Output::Publish { topic, bytes } => {
                // Whoever listens to a topic hands it on.
                let mut seen = BTreeSet::from([id]);
                let mut front = vec![id];
                while let Some(from) = front.pop() {
                    let next: Vec<DeviceId> = self.links.iter().filter(|(a, _)| *a == from).map(|(_, b)| *b).collect();
                    for to in next {
                        let hears = topic != Topic::Witnesses || self.hosts[&to].engine.hears_witnesses();
                        if hears && seen.insert(to) {
                            self.mail.push_back(Mail::Gossip { from, to, topic, bytes: bytes.clone() });
                            front.push(to);
                        }
                    }
                }
            }
            Output::Ask { to, no, .. } if Some(to) == self.silent => self.waits.push_back((now + PATIENCE, id, no)),
            Output::Ask { to, no, ask } => {
                if self.links.contains(&(id, to)) {
                    self.mail.push_back(Mail::Ask { from: id, to, no, ask });
                } else {
                    self.mail.push_back(Mail::Answer { to: id, no, answer: None });
                }
            }
            Output::Answer { no, answer } => {
                if let Some((to, no)) = host.asked.remove(&no) {
                    self.mail.push_back(Mail::Answer { to, no, answer: Some(answer) });
                }
            }
            Output::Event(event) => host.events.push(event),
        }
    }

    fn deliver(&mut self, mail: Mail) {
        let now = self.now;
        self.messages += 1;
        let [dice] = self.seeds.bytes();
        let lost = dice % 100 < self.loss;
        let mail = match mail {
            Mail::Gossip { .. } if lost => return,
            Mail::Ask { from, no, .. } if lost => Mail::Answer { to: from, no, answer: None },
            mail => mail,
        };
        match mail {
            Mail::Gossip { from, to, topic, bytes } => {
                self.bytes += bytes.len();
                self.hosts.get_mut(&to).unwrap().engine.gossip(topic, from, &bytes, now);
            }
            Mail::Ask { from, to, no, ask } => {
                let host = self.hosts.get_mut(&to).unwrap();
                let bytes = ask.to_bytes(host.engine.circle());
                self.bytes += bytes.len();
                // Through the bytes, as in life.
                let ask = Ask::from_bytes(ask.kind(), &bytes[32..]).unwrap();
                self.next += 1;
                host.asked.insert(self.next, (from, no));
                host.engine.asked(from, self.next, ask, now);
            }
            Mail::Answer { to, no, answer } => {
                let answer = answer.map(|answer| {
                    let bytes = answer.to_bytes();
                    self.bytes += bytes.len();
                    Answer::from_bytes(&bytes).unwrap()
                });
                self.hosts.get_mut(&to).unwrap().engine.answered(no, answer, now);
            }
        }
    }

    pub fn texts(&self, id: DeviceId) -> Vec<String> {
        let posts = self.engine(id).timeline(1_000).into_iter();
        posts
            .filter_map(|shown| match shown.content {
                ledgerno_engine::view::Content::Post(text) => Some(text),
                _ => None,
            })
            .collect()
    }
}

impl Disk {
    /// An engine over what is durable; of the log no more is read than it needs.
    pub fn open(&self, genesis: Genesis, seat: Seat, seed: [u8; 32]) -> Engine {
        self.try_open(genesis, seat, forgetful(), seed).unwrap()
    }

    /// As a driver does: where the snapshot does not do, the log is read whole.
    fn reopen(&self, make: &dyn Fn() -> (Genesis, Seat), limits: Limits, seed: [u8; 32]) -> Engine {
        let open = |whole: bool| {
            let (genesis, seat) = make();
            if !whole {
                return self.try_open(genesis, seat, limits, seed);
            }
            Engine::open(genesis, seat, limits, &self.log, &self.records, seed)
        };
        match open(false) {
            Err(OpenError::Snapshot(_)) => open(true).unwrap(),
            engine => engine.unwrap(),
        }
    }

    fn try_open(&self, genesis: Genesis, seat: Seat, limits: Limits, seed: [u8; 32]) -> Result<Engine, OpenError> {
        let records = self.records.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let first = ledgerno_engine::store::window(records);
        let log = &self.log[first as usize..];
        Engine::open_from(genesis, seat, limits, first, log, &self.records, seed)
    }

    pub fn replace(&mut self, items: &[u64], by: Vec<Vec<u8>>) {
        assert!(items.is_sorted() && items.len() == by.len());
        for (item, bytes) in items.iter().zip(by) {
            let held = &mut self.log[*item as usize];
            assert!(bytes.len() <= held.len(), "what is left is shorter");
            *held = bytes;
        }
    }

    pub fn write(&mut self, log: Vec<Vec<u8>>, records: Vec<(String, Option<Vec<u8>>)>) {
        self.log.extend(log);
        for (name, bytes) in records {
            match bytes {
                Some(bytes) => self.records.insert(name, bytes),
                None => self.records.remove(&name),
            };
        }
    }
}
