//! The world of a run: nodes, links, the clock, and the loop that lets things happen.

use crate::cast::{Cast, CastError, START};
use crate::disk::{Disk, Write};
use crate::host::{Host, Id};
use crate::net::{Conditions, Links, Message, Topology};
use crate::queue::Queue;
use crate::trace::Trace;
use crate::traffic::Traffic;
use crate::watch::Watch;
use ledgerno_engine::wire::Answer;
use ledgerno_engine::{Engine, Event, Output, Seat};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::hostile::Dice;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

mod carry;

/// A gossip message that several nodes have under way.
type Shared = Rc<RefCell<Message>>;
/// Something that a scenario planned.
pub type Act = Box<dyn FnOnce(&mut World)>;

enum Happening {
    Gossip { from: Id, to: Id, link: u64, message: Shared },
    Twice { from: Id, to: Id, link: u64, message: Shared },
    Offer { from: Id, to: Id, link: u64, message: Shared, again: u8 },
    Ask { from: Id, life: u32, to: Id, link: u64, no: u64, kind: u16, bytes: Rc<[u8]> },
    Answer { from: Id, to: Id, life: u32, link: u64, no: u64, bytes: Rc<[u8]> },
    NoAnswer { at: Id, life: u32, no: u64 },
    Written { at: Id, life: u32 },
    Tick { at: Id, life: u32 },
    Start { at: Id },
    Act(Act),
}

/// How a run is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Members; the relay is one node more.
    pub members: usize,
    /// So many of the members have a node that runs; without it, all.
    pub running: Option<usize>,
    /// Nodes that keep the circle without reading it, beside the relay, in place of members.
    pub keepers: usize,
    /// Nodes of people who have not joined, asleep at first.
    pub strangers: usize,
    /// Nodes of which there is another copy, after all members and strangers, asleep at first.
    pub twins: Vec<Id>,
    /// So many of the members vote, the first ones.
    pub witnesses: usize,
    /// So many of the witnesses say of themselves that they are always on, the first ones.
    pub always_on: usize,
    /// The relay was enlisted, and votes in the founder's place: alone.
    pub relay_votes: bool,
    /// What everything follows from.
    pub seed: u64,
    /// Who is linked to whom.
    pub topology: Topology,
    /// What messages meet.
    pub conditions: Conditions,
    /// How long a write takes, in milliseconds: drawn evenly from 1 up to this.
    pub disk: u64,
    /// How far clocks may be wrong at most, in milliseconds.
    pub skew: u64,
    /// The circle's rules.
    pub rules: ledgerno_ledger::genesis::Rules,
    /// Keep the trace as text too.
    pub with_text: bool,
}

impl Setup {
    /// A calm world.
    pub fn new(members: usize, seed: u64) -> Self {
        Setup {
            members,
            running: None,
            keepers: 0,
            strangers: 0,
            twins: Vec::new(),
            witnesses: 1,
            always_on: usize::MAX,
            relay_votes: false,
            seed,
            topology: Topology::Hub,
            conditions: Conditions::default(),
            disk: 4,
            skew: 0,
            rules: ledgerno_ledger::genesis::Rules::default(),
            with_text: false,
        }
    }
}

/// The world.
pub struct World {
    /// The true time, in milliseconds since 1970.
    pub now: u64,
    /// Everybody: the relay, the founder, the other members.
    pub hosts: Vec<Host>,
    /// The people behind nodes 1, 2, …
    pub cast: Cast,
    /// The links.
    pub links: Links,
    /// What messages meet.
    pub conditions: Conditions,
    /// The observer.
    pub watch: Watch,
    /// What happened.
    pub trace: Trace,
    /// When the network was parted: from, and until.
    pub parted: Vec<(u64, Option<u64>)>,
    /// What was sent.
    pub traffic: Traffic,
    /// What engines told, but changes.
    pub events: Vec<(u64, Id, Event)>,
    /// The seed's stream.
    pub dice: Dice,
    /// Happenings so far.
    pub happened: u64,
    /// So many may happen before it is called a storm.
    pub most: u64,
    disk_takes: u64,
    queue: Queue<Happening>,
    by_device: HashMap<DeviceId, Id>,
    recent: HashMap<[u8; 32], Shared>,
    recent_order: VecDeque<(u64, [u8; 32])>,
    next_reply: u64,
    ticks_at_once: u64,
}

/// The most events that are kept.
const MAX_EVENTS: usize = 100_000;
/// So many timers that ring in one millisecond are an endless loop.
const MAX_TICKS_AT_ONCE: u64 = 100_000;

impl World {
    /// A world in which all nodes are up and linked, and hold the circle in which all have joined.
    ///
    /// # Errors
    /// When the circle can not be made.
    pub fn new(setup: &Setup) -> Result<Self, CastError> {
        let (witnesses, relay_votes) = (setup.witnesses, setup.relay_votes);
        let rules = setup.rules.clone();
        let mut cast = Cast::gather(setup.members, witnesses, setup.always_on, relay_votes, setup.seed, rules)?;
        let running = setup.running.unwrap_or(setup.members).min(setup.members);
        cast.people.truncate(running);
        let strangers: Vec<_> = (0..setup.strangers).map(|_| cast.stranger()).collect();
        cast.people.extend(strangers);
        let nodes = 1 + cast.people.len() + setup.twins.len() + setup.keepers;
        let mut dice = Dice::new(setup.seed);
        let mut watch = Watch::new(cast.genesis.id(), nodes);
        watch.ahead = setup.rules.clock_bound_ms.saturating_add(setup.skew);
        watch.all_begin_with(&cast.log, START);
        for id in 1 + running..1 + cast.people.len() {
            watch.rolled_back(id, &[], START);
        }
        let mut world = World {
            now: START,
            hosts: Vec::with_capacity(nodes),
            links: Links::new(nodes, setup.topology, &mut dice),
            conditions: setup.conditions,
            watch,
            trace: Trace::new(setup.with_text),
            parted: Vec::new(),
            traffic: Traffic::default(),
            events: Vec::new(),
            happened: 0,
            most: 500_000,
            disk_takes: setup.disk.max(1),
            queue: Queue::default(),
            by_device: HashMap::new(),
            recent: HashMap::new(),
            recent_order: VecDeque::new(),
            next_reply: 0,
            ticks_at_once: 0,
            dice,
            cast,
        };
        let relay = world.cast.relay;
        world.add(relay, world.cast.relay_seat(), world.cast.relay_records.clone(), 0);
        for person in 0..world.cast.people.len() {
            let records = world.cast.records.get(person).cloned().unwrap_or_default();
            let skew = world.dice.below(2 * setup.skew as usize + 1) as i64 - setup.skew as i64;
            let (device, seat) = (world.cast.people[person].id(), world.cast.make_seat(person));
            world.add(device, seat, records, skew);
            if person >= running {
                let stranger = &mut world.hosts[1 + person];
                (stranger.awake, stranger.disk) = (false, Disk::default());
            }
        }
        for &of in &setup.twins {
            let cast = &world.cast;
            let (seat, records) = match of.checked_sub(1) {
                None => (cast.relay_seat(), cast.relay_records.clone()),
                Some(person) => (cast.make_seat(person), cast.records.get(person).cloned().unwrap_or_default()),
            };
            world.add(world.hosts[of].device, seat, records, 0);
            let twin = world.hosts.len() - 1;
            world.hosts[twin].awake = false;
            world.suspect(of);
            world.suspect(twin);
        }
        for _ in 0..setup.keepers {
            let device = DeviceId(world.dice.bytes());
            world.add(device, Rc::new(|| Seat::Keeper), BTreeMap::new(), 0);
            if let Some(keeper) = world.hosts.last_mut() {
                keeper.stands_in = true;
            }
        }
        for id in 0..nodes {
            let of_neighbours = world.links.neighbours(id).iter().map(|other| &world.hosts[*other]);
            let mut keepers: Vec<DeviceId> = of_neighbours.filter(|host| host.keeps).map(|host| host.device).collect();
            keepers.push(relay);
            world.hosts[id].keepers = keepers;
        }
        for id in 0..nodes {
            world.start(id);
        }
        Ok(world)
    }

    fn add(&mut self, device: DeviceId, seat: crate::host::MakeSeat, records: BTreeMap<String, Vec<u8>>, skew: i64) {
        let disk = Disk::over(self.cast.log.clone(), records);
        let mut host = Host::new(device, self.cast.genesis.clone(), seat, Vec::new(), disk);
        host.skew = skew;
        self.by_device.entry(device).or_insert(self.hosts.len());
        self.hosts.push(host);
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.hosts.len()
    }

    /// Plans something for so many milliseconds after the start.
    pub fn at(&mut self, ms: u64, act: impl FnOnce(&mut World) + 'static) {
        self.queue.plan(START + ms, Happening::Act(Box::new(act)));
    }

    /// Plans something for so many milliseconds from now.
    pub fn after(&mut self, ms: u64, act: impl FnOnce(&mut World) + 'static) {
        self.queue.plan(self.now + ms, Happening::Act(Box::new(act)));
    }

    /// Lets things happen until so many milliseconds after the start.
    pub fn run_until(&mut self, ms: u64) {
        self.run_to(START + ms);
    }

    /// Lets things happen for so many milliseconds.
    pub fn run_for(&mut self, ms: u64) {
        self.run_to(self.now + ms);
    }

    fn run_to(&mut self, end: u64) {
        while self.queue.due().is_some_and(|due| due <= end) {
            let Some((time, what)) = self.queue.pop() else { break };
            if time > self.now {
                (self.now, self.ticks_at_once) = (time, 0);
            }
            self.happened += 1;
            if self.happened > self.most {
                self.watch.fault(format!("storm: more than {} happenings", self.most));
                break;
            }
            self.happen(what);
        }
        self.now = self.now.max(end);
    }

    /// Lets an engine do something, unless it sleeps or is crashed, and carries out what it wants.
    pub fn drive<T>(&mut self, id: Id, act: impl FnOnce(&mut Engine, u64) -> T) -> Option<T> {
        let now = self.now;
        let host = self.hosts.get_mut(id).filter(|host| host.awake)?;
        let clock = host.clock(now);
        let done = act(host.engine.as_mut()?, clock);
        self.pump(id);
        Some(done)
    }

    fn pump(&mut self, id: Id) {
        while let Some(output) = self.hosts[id].engine.as_mut().and_then(Engine::output) {
            self.carry_out(id, output);
        }
        self.arm(id);
    }

    fn arm(&mut self, id: Id) {
        let host = &mut self.hosts[id];
        let Some(due) = host.engine.as_ref().filter(|_| host.awake).and_then(Engine::due) else { return };
        let due = host.true_time(due).max(self.now);
        if host.armed.is_none_or(|armed| due < armed) {
            host.armed = Some(due);
            let life = host.life;
            self.queue.plan(due, Happening::Tick { at: id, life });
        }
    }

    fn carry_out(&mut self, id: Id, output: Output) {
        match output {
            Output::Write { no, log, records } => self.write(id, no, log, records),
            Output::Read { no, items } => {
                let log = &self.hosts[id].disk.log;
                let read: Vec<_> = items.iter().filter_map(|item| log.get(*item as usize).cloned()).collect();
                self.drive(id, |engine, now| engine.read(no, &read, now));
            }
            Output::Replace { no, items, by } => {
                let log = &mut self.hosts[id].disk.log;
                for (item, bytes) in items.into_iter().zip(by) {
                    if let Some(held) = log.get_mut(item as usize) {
                        *held = bytes.into();
                    }
                }
                self.write(id, no, Vec::new(), Vec::new());
            }
            Output::Publish { topic, bytes } => self.publish(id, topic, bytes),
            Output::Ask { to, no, ask } => self.ask(id, to, no, ask),
            Output::Answer { no, answer } => self.answer(id, no, answer),
            Output::Event(Event::Changed) => {}
            Output::Event(event) => {
                if self.events.len() < MAX_EVENTS {
                    self.events.push((self.now, id, event));
                }
            }
        }
    }

    fn write(&mut self, id: Id, no: u64, log: Vec<Vec<u8>>, records: Vec<(String, Option<Vec<u8>>)>) {
        let takes = 1 + self.dice.below(self.disk_takes as usize) as u64;
        let now = self.now;
        let host = &mut self.hosts[id];
        let done = host.disk.push(Write { no, log: log.into_iter().map(Rc::from).collect(), records }, now, takes);
        host.writes += 1;
        let (life, crashes) = (host.life, host.crash_at == Some(host.writes));
        self.queue.plan(done, Happening::Written { at: id, life });
        if crashes {
            self.crash(id, 1_000);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Gossip { from, to, link, message } => self.gossip(from, to, link, message),
            Happening::Twice { from, to, link, message } => self.hear(from, to, link, &message),
            Happening::Offer { from, to, link, message, again } => {
                if self.links.standing(from, to) == Some(link) {
                    self.send_gossip(from, to, message, again);
                }
            }
            Happening::Ask { from, life, to, link, no, kind, bytes } => {
                self.asked(from, life, to, link, no, kind, &bytes);
            }
            Happening::Answer { from, to, life, link, no, bytes } => {
                if self.links.standing(from, to) == Some(link) && self.hosts[to].life == life {
                    self.trace.note(self.now, "answer", to, from, &bytes);
                    self.hosts[to].received += bytes.len() as u64;
                    self.answered(to, no, Answer::from_bytes(&bytes).ok());
                }
            }
            Happening::NoAnswer { at, life, no } => {
                if self.hosts[at].life == life {
                    self.answered(at, no, None);
                }
            }
            Happening::Written { at, life } => self.written(at, life),
            Happening::Tick { at, life } => self.tick(at, life),
            Happening::Start { at } => self.start(at),
            Happening::Act(act) => act(self),
        }
    }

    fn tick(&mut self, at: Id, life: u32) {
        let now = self.now;
        let host = &mut self.hosts[at];
        if host.life != life || host.armed.take_if(|armed| *armed == now).is_none() || !host.awake {
            return;
        }
        self.ticks_at_once += 1;
        if self.ticks_at_once > MAX_TICKS_AT_ONCE {
            self.watch.fault(format!("the timer of node {at} rings without end"));
            return;
        }
        self.trace.note(now, "tick", at, at, &[]);
        self.drive(at, |engine, now| engine.tick(now));
    }

    fn written(&mut self, at: Id, life: u32) {
        if self.hosts[at].life != life {
            return;
        }
        let Some(write) = self.hosts[at].disk.flush_one() else { return };
        self.observe_write(at, &write);
        if self.hosts[at].awake {
            self.tell_written(at, write.no);
        } else {
            self.hosts[at].done_asleep = Some(write.no);
        }
    }

    fn observe_write(&mut self, at: Id, write: &Write) {
        self.trace.note(self.now, "durable", at, write.log.len(), &write.no.to_le_bytes());
        let device = self.hosts[at].device;
        for item in &write.log {
            self.watch.durable(at, device, item, self.now);
        }
    }

    fn tell_written(&mut self, at: Id, no: u64) {
        self.drive(at, |engine, now| engine.written(no, now));
        self.observe(at);
    }

    /// Looks at what a node shows now.
    fn observe(&mut self, at: Id) {
        let host = &self.hosts[at];
        let Some(engine) = host.engine.as_ref() else { return };
        let height = engine.durable_height();
        self.watch.settled(at, host.device, height, self.now, |id| engine.settled_at(id));
        self.watch.changed(at, self.now, |id| engine.status(id));
    }

    // Gossip

    /// Lets links stand or fall as they may now.
    pub fn relink(&mut self, a: Id, b: Id) {
        let wanted = self.hosts[a].is_up() && self.hosts[b].is_up() && self.links.may_stand(a, b);
        match (self.links.standing(a, b), wanted) {
            (None, true) => {
                self.links.raise(a, b);
                for (one, other) in [(a, b), (b, a)] {
                    let peer = self.hosts[other].device;
                    // A keeper waits to be asked.
                    if !self.hosts[one].keeps {
                        self.drive(one, |engine, now| engine.connected(peer, now));
                    }
                }
            }
            (Some(_), false) => {
                self.links.fell(a, b);
                for (one, other) in [(a, b), (b, a)] {
                    let lost: Vec<u64> =
                        self.hosts[one].questions.iter().filter(|(_, to)| **to == other).map(|(no, _)| *no).collect();
                    let (life, peer) = (self.hosts[one].life, self.hosts[other].device);
                    for no in lost {
                        self.queue.plan(self.now + 1, Happening::NoAnswer { at: one, life, no });
                    }
                    self.hosts[one].replies.retain(|_, (asker, _, _)| *asker != other);
                    self.drive(one, |engine, _| engine.disconnected(peer));
                }
            }
            _ => {}
        }
    }

    /// As [`World::relink`], for all links of a node.
    pub fn relink_node(&mut self, id: Id) {
        for at in 0..self.links.neighbours(id).len() {
            let other = self.links.neighbours(id)[at];
            self.relink(id, other);
        }
    }

    /// As [`World::relink`], for everybody.
    pub fn relink_all(&mut self) {
        for id in 0..self.nodes() {
            self.relink_node(id);
        }
    }

    /// Links two nodes that were not meant to be linked.
    pub fn introduce(&mut self, a: Id, b: Id) {
        self.links.introduce(a, b);
        self.relink(a, b);
    }

    fn start(&mut self, id: Id) {
        if self.hosts[id].engine.is_some() {
            return;
        }
        let seed = self.dice.bytes();
        if let Err(error) = self.hosts[id].open(seed) {
            self.watch.fault(format!("node {id} does not open: {error}"));
            return;
        }
        self.trace.note(self.now, "start", id, id, &[]);
        for message in self.recent.values() {
            message.borrow_mut().forget(id);
        }
        self.observe(id);
        self.pump(id);
        self.relink_node(id);
    }

    /// The power of a node fails; it starts again after a while. Of its waiting writes a beginning is kept.
    pub fn crash(&mut self, id: Id, for_ms: u64) {
        if self.hosts[id].engine.is_none() {
            return;
        }
        self.trace.note(self.now, "crash", id, id, &[]);
        let kept = self.hosts[id].disk.crash(&mut self.dice);
        for write in kept {
            self.observe_write(id, &write);
        }
        self.hosts[id].forget();
        self.relink_node(id);
        self.queue.plan(self.now + for_ms.max(1), Happening::Start { at: id });
    }

    /// A node's disk is set back to an earlier one; it starts from that after a moment, and is a suspect from then on.
    pub fn roll_back(&mut self, id: Id, disk: Disk) {
        self.crash(id, 1_000);
        self.hosts[id].disk = disk;
        self.hosts[id].suspect = true;
        self.watch.suspect(id);
        let log = self.hosts[id].disk.log.clone();
        self.watch.rolled_back(id, &log, self.now);
    }

    /// A phone falls asleep: no links, no timers.
    pub fn sleep(&mut self, id: Id) {
        if std::mem::take(&mut self.hosts[id].awake) {
            self.trace.note(self.now, "sleep", id, id, &[]);
            // It learns that its links fell when it wakes.
            self.relink_node(id);
        }
    }

    /// A phone wakes.
    pub fn wake(&mut self, id: Id) {
        let host = &mut self.hosts[id];
        if std::mem::replace(&mut host.awake, true) {
            return;
        }
        self.trace.note(self.now, "wake", id, id, &[]);
        let peers: Vec<DeviceId> = self.links.neighbours(id).iter().map(|other| self.hosts[*other].device).collect();
        for peer in peers {
            self.drive(id, |engine, _| engine.disconnected(peer));
        }
        let host = &mut self.hosts[id];
        host.armed = None;
        if let Some(no) = host.done_asleep.take() {
            self.tell_written(id, no);
        }
        let lost: Vec<u64> = self.hosts[id].questions.keys().copied().collect();
        for no in lost {
            self.answered(id, no, None);
        }
        self.arm(id);
        self.relink_node(id);
    }

    /// Parts the network: each node into the part that is told for it.
    pub fn part(&mut self, part_of: impl Fn(Id) -> u8) {
        self.links.parts = (0..self.nodes()).map(part_of).collect();
        self.parted.push((self.now, None));
        self.relink_all();
    }

    /// All faults end: everybody is awake and starts, nothing is lost any more, and all links stand, made anew.
    pub fn heal(&mut self) {
        self.conditions = Conditions { loss: 0, twice: 0, ..self.conditions };
        self.links.parts.fill(1);
        for (_, until) in &mut self.parted {
            until.get_or_insert(self.now);
        }
        for id in 0..self.nodes() {
            self.hosts[id].crash_at = None;
            self.start(id);
            self.wake(id);
        }
        // What was lost on a link that never fell is found when it stands anew.
        self.links.cut = self.all_pairs();
        self.relink_all();
        self.links.cut.clear();
        self.relink_all();
    }

    fn all_pairs(&self) -> std::collections::BTreeSet<(Id, Id)> {
        (0..self.nodes())
            .flat_map(|a| self.links.neighbours(a).iter().filter(move |b| a < **b).map(move |b| (a, *b)))
            .collect()
    }
}
