//! The driver: carries what happens to the engines, and carries out what they ask for. One thread, one engine a circle.
//!
//! Whatever reaches an engine goes through [`Node::drive`], which takes its outputs until there are none. Writes of a circle
//! go to the store one after the other, as many as wait in one batch. When a write fails, nothing that was not durable has
//! been said to anybody: the engine is thrown away and opened anew from the store, as after a crash.

use crate::error::NodeError;
use crate::links::Links;
use crate::presence::Presence;
use crate::profile::{CircleRecord, Profile};
use crate::rt;
use crate::store::{Batch, Loaded, Records, Space, Store};
use bytes::Bytes;
use futures::channel::oneshot;
use ledgerno_engine::wire::{Answer, Ask, Topic};
use ledgerno_engine::{Engine, Event, Limits, OpenError, Output, Seat, Written};
use ledgerno_ledger::bytes::{CircleId, DeviceId, InviteKey};
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_minnet::{self as minnet, Net, Peer, Responder};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

mod incoming;
mod reseat;
mod stall;

/// The most writes that wait for the store in one circle; past them the circle takes nothing from outside.
const MAX_QUEUE: usize = 4_096;
/// The most items of one batch.
const MAX_BATCH_ITEMS: usize = 1_000;
/// The most bytes of one batch.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
// A store that refused one of the engine's items would stop the circle for good.
const _: () = assert!(crate::store::MAX_ITEM >= ledgerno_engine::store::MAX_ITEM);
const _: () = assert!(crate::store::MAX_RECORD >= ledgerno_engine::store::MAX_SNAPSHOT);
/// The most questions of one circle that wait for their answers.
const MAX_REPLIES: usize = 4_096;

/// What every node hears of a circle.
const TOPICS: [Topic; 3] = [Topic::Entries, Topic::Votes, Topic::Presence];

/// A node: in a page, or in a relay.
pub struct Node<S: Store>(pub(crate) Rc<Shared<S>>);

impl<S: Store> Clone for Node<S> {
    fn clone(&self) -> Self {
        Node(Rc::clone(&self.0))
    }
}

pub(crate) struct Shared<S: Store> {
    pub(crate) net: Net,
    pub(crate) store: S,
    pub(crate) state: RefCell<State<S>>,
    /// Told when something that a person sees may have changed.
    listener: Box<dyn Fn()>,
}

pub(crate) struct State<S: Store> {
    pub(crate) profile: Profile,
    pub(crate) profile_space: S::Space,
    pub(crate) circles: SortedMap<CircleId, Circle<S::Space>>,
    topics: HashMap<[u8; 32], (CircleId, Topic)>,
    pub(crate) links: Links,
    /// Who may register circles, at a relay: BLAKE3 of the owner's token.
    pub(crate) owner: Option<[u8; 32]>,
    /// What each circle's engine may hold, and what it lets go.
    limits: Limits,
    pub(crate) closed: bool,
    stop: Option<oneshot::Sender<()>>,
}

/// Whose node it is, and what it keeps.
pub(crate) struct Keeps {
    /// Who may register circles, at a relay: BLAKE3 of the owner's token.
    pub(crate) owner: Option<[u8; 32]>,
    /// What each circle's engine may hold, and what it lets go.
    pub(crate) limits: Limits,
}

/// One circle: its engine, and what waits for it.
pub(crate) struct Circle<P> {
    /// None while it is being opened anew, or when it can not be.
    pub(crate) engine: Option<Engine>,
    /// It has joined the witnesses' topic, and hands on what comes there.
    listens: (bool, bool),
    pub(crate) record: CircleRecord,
    space: P,
    queue: VecDeque<(u64, Batch)>,
    writing: bool,
    waiters: SortedMap<u64, oneshot::Sender<Result<(), NodeError>>>,
    /// Who waits until a relay keeps an invite's parcel.
    pub(crate) parcels: SortedMap<InviteKey, oneshot::Sender<()>>,
    /// The digest of the own keybox as each relay keeps it.
    pub(crate) keybox_at: SortedMap<DeviceId, [u8; 32]>,
    /// Who waits until this node holds what a relay holds.
    pub(crate) synced: Vec<oneshot::Sender<Result<(), NodeError>>>,
    replies: SortedMap<u64, Responder>,
    next_reply: u64,
    timer: Option<u64>,
    /// Why the store takes nothing now.
    pub(crate) stalled: Option<NodeError>,
    /// The store failed a moment ago: nothing is taken from outside until it is tried again.
    pauses: bool,
    stalls: u32,
    /// A relay says that it does not keep the circle.
    pub(crate) unkept: bool,
    /// What this device settled alone above a height became void since the start.
    pub(crate) overruled: Option<u64>,
    pub(crate) presence: Presence,
}

impl<P> Circle<P> {
    /// Whether a peer has to do with the circle: one of its relays, or a friend's device if this is a person's node.
    pub(crate) fn is_shared_with(&self, peer: &DeviceId, member_node: bool) -> bool {
        let is_relay = self.record.relays.iter().any(|relay| relay.peer == *peer);
        is_relay || member_node && self.engine.as_ref().is_some_and(|engine| engine.is_admitted(peer))
    }
}

impl<S: Store> Node<S> {
    /// A node over an opened store. Must be called where tasks can be spawned on this thread.
    pub(crate) fn assemble(
        net: Net,
        events: minnet::Events,
        store: S,
        profile: Profile,
        profile_space: S::Space,
        keeps: Keeps,
        listener: Box<dyn Fn()>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let links = Links::new(profile.standings.clone());
        let state = State {
            profile,
            profile_space,
            circles: SortedMap::new(),
            topics: HashMap::new(),
            links,
            owner: keeps.owner,
            limits: keeps.limits,
            closed: false,
            stop: Some(stop),
        };
        let node = Node(Rc::new(Shared { net, store, state: RefCell::new(state), listener }));
        let listening = node.clone().listen(events);
        rt::spawn(async move {
            futures::future::select(Box::pin(listening), stopped).await;
        });
        node
    }

    /// Opens a circle's engine over its space and joins its topics.
    pub(crate) async fn open_circle(&self, record: CircleRecord) -> Result<CircleId, NodeError> {
        let genesis = record.genesis()?;
        let circle = genesis.id();
        let space = self.0.store.space(&format!("circle-{circle}")).await?;
        let engine = self.load(&space, &record).await?;
        let relays = record.relays.clone();
        {
            let mut state = self.0.state.borrow_mut();
            for topic in TOPICS.into_iter().chain([Topic::Witnesses]) {
                state.topics.insert(topic.id(circle), (circle, topic));
            }
            let opened = Circle {
                engine: Some(engine),
                listens: (false, true),
                record,
                space,
                queue: VecDeque::new(),
                writing: false,
                waiters: SortedMap::new(),
                parcels: SortedMap::new(),
                keybox_at: SortedMap::new(),
                synced: Vec::new(),
                replies: SortedMap::new(),
                next_reply: 0,
                timer: None,
                stalled: None,
                pauses: false,
                stalls: 0,
                unkept: false,
                overruled: None,
                presence: Presence::default(),
            };
            state.circles.insert(circle, opened);
        }
        self.pump(circle);
        self.hear_witnesses(circle);
        for topic in TOPICS {
            if let Err(error) = self.0.net.subscribe(minnet::Topic(topic.id(circle))) {
                tracing::warn!(%error, "the network takes no subscription");
            }
        }
        for relay in relays {
            self.keep_link(relay);
        }
        self.meet(circle);
        if self.is_member_node() {
            self.keep_present(circle);
            self.be_findable(circle);
        }
        Ok(circle)
    }

    /// An engine over what the space holds.
    async fn load(&self, space: &S::Space, record: &CircleRecord) -> Result<Engine, NodeError> {
        let loaded = space.load_from(window).await?;
        let engine = self.engine_over(loaded, record);
        // The log is the truth: where the snapshot does not do, all of it is replayed.
        let mut engine = match engine {
            Err(NodeError::Open(OpenError::Snapshot(why))) => {
                tracing::warn!(%why, "the log is replayed whole");
                self.engine_over(space.load().await?, record)?
            }
            engine => engine?,
        };
        engine.pin(record.pinned);
        let by_invite = record.pinned.is_some();
        if !engine.is_in() && !by_invite && record.keys.is_some() && self.is_member_node() {
            // A member's further device comes by the member's own word.
            engine.present(None)?;
        }
        engine.set_keepers(record.relays.iter().map(|relay| relay.peer).collect());
        Ok(engine)
    }

    fn engine_over(&self, loaded: Loaded, record: &CircleRecord) -> Result<Engine, NodeError> {
        let genesis = record.genesis()?;
        let (profile, limits) = {
            let state = self.0.state.borrow();
            (state.profile.clone(), state.limits)
        };
        let (device, identity) = (profile.device(), profile.identity());
        let seat = match record.keyring(genesis.id()) {
            Some(keyring) if self.is_member_node() => Seat::Member { device, identity, keyring, vote: record.vote() },
            Some(keyring) => Seat::Witness { device, keyring },
            None => Seat::Keeper,
        };
        if !loaded.lost.is_empty() {
            tracing::warn!(records = ?loaded.lost, "damaged, and made again from the log");
        }
        let Loaded { first, log, records, .. } = loaded;
        Ok(Engine::open_from(genesis, seat, limits, first, log, records, rt::random()?)?)
    }

    /// Lets an engine do something, and carries out what follows.
    pub(crate) fn drive<T>(&self, circle: CircleId, act: impl FnOnce(&mut Engine, u64) -> T) -> Option<T> {
        let done = {
            let mut state = self.0.state.borrow_mut();
            let engine = state.circles.get_mut(&circle)?.engine.as_mut()?;
            act(engine, rt::now())
        };
        self.pump(circle);
        Some(done)
    }

    fn pump(&self, circle: CircleId) {
        let mut changed = false;
        loop {
            let output = {
                let mut state = self.0.state.borrow_mut();
                state.circles.get_mut(&circle).and_then(|circle| circle.engine.as_mut()).and_then(Engine::output)
            };
            let Some(output) = output else { break };
            match output {
                Output::Write { no, log, records } => {
                    let log = log.into_iter().map(Bytes::from).collect();
                    let records = records.into_iter().map(|(name, bytes)| (name, bytes.map(Bytes::from))).collect();
                    self.enqueue(circle, no, Batch { log, records, ..Batch::default() });
                }
                Output::Replace { no, items, by } => {
                    let by = by.into_iter().map(Bytes::from).collect();
                    self.enqueue(circle, no, Batch { replace: items, by, ..Batch::default() });
                }
                Output::Read { no, items } => rt::spawn(self.clone().read(circle, no, items)),
                Output::Publish { topic, bytes } => {
                    if let Err(error) = self.0.net.publish(&minnet::Topic(topic.id(circle)), bytes.into()) {
                        // Not lost: whoever missed it finds the difference at the next sync.
                        tracing::debug!(%error, "not gossiped");
                    }
                }
                Output::Ask { to, no, ask } => rt::spawn(self.clone().ask(circle, to, no, ask)),
                Output::Answer { no, answer } => {
                    let reply = self
                        .0
                        .state
                        .borrow_mut()
                        .circles
                        .get_mut(&circle)
                        .and_then(|circle| circle.replies.remove(&no));
                    if let Some(reply) = reply {
                        reply.send(answer.to_bytes().into());
                    }
                }
                Output::Event(event) => {
                    changed = true;
                    self.event(circle, event);
                }
            }
        }
        self.arm(circle);
        if changed {
            self.meet_new_friends(circle);
            self.hear_witnesses(circle);
            self.changed();
        }
    }

    pub(crate) fn changed(&self) {
        (self.0.listener)();
    }

    fn event(&self, circle: CircleId, event: Event) {
        match event {
            Event::Changed => {}
            Event::Refused { height, why, from } => tracing::warn!(height, %why, ?from, "a settled header is refused"),
            Event::Evidence(evidence) => tracing::warn!(key = ?evidence.one.key, "a witness voted twice"),
            Event::VoteRetired(key) => tracing::warn!(?key, "the disk was rolled back: this vote key signs no more"),
            Event::NoSnapshot(why) => tracing::warn!(%why, "the log is replayed whole"),
            // The store's error was told.
            Event::Unreadable => {}
            Event::Twin { id } => tracing::warn!(?id, "another copy of this device writes"),
            Event::Forged { id, height, why } => {
                tracing::warn!(?id, height, %why, "a certificate stands for an entry that its author did not sign");
            }
            Event::Overruled { above } => {
                let node = self.clone();
                let record = {
                    let mut state = self.0.state.borrow_mut();
                    let Some(circle) = state.circles.get_mut(&circle) else { return };
                    circle.overruled = Some(above);
                    circle.record.clone()
                };
                rt::spawn(async move {
                    if let Err(error) = node.reseat(circle, record).await {
                        tracing::warn!(%error, "the circle is opened anew at the next start");
                    }
                });
            }
            Event::Unkept { by } => {
                tracing::warn!(?by, "the relay does not keep the circle");
                if let Some(circle) = self.0.state.borrow_mut().circles.get_mut(&circle) {
                    circle.unkept = true;
                }
            }
            Event::ParcelKept(key) => {
                let waiter =
                    self.0.state.borrow_mut().circles.get_mut(&circle).and_then(|circle| circle.parcels.remove(&key));
                if let Some(waiter) = waiter {
                    // Who waited may have given up.
                    waiter.send(()).ok();
                }
            }
            Event::Synced { with } => {
                self.tell_synced(circle, &Ok(()));
                self.enrol(circle);
                self.bring_keybox(circle, with);
            }
            Event::NotLetIn { why, .. } => self.tell_synced(circle, &Err(why.into())),
        }
    }

    fn tell_synced(&self, circle: CircleId, synced: &Result<(), NodeError>) {
        let waiters =
            self.0.state.borrow_mut().circles.get_mut(&circle).map(|circle| std::mem::take(&mut circle.synced));
        for waiter in waiters.into_iter().flatten() {
            // Nobody may be waiting any more.
            waiter.send(synced.clone()).ok();
        }
    }

    /// Enrols this device in a circle whose member it is by an imported identity.
    pub(crate) fn enrol(&self, circle: CircleId) {
        let node = self.clone();
        rt::spawn(async move {
            let enrolled =
                node.drive(circle, |engine, now| engine.may_enrol().then(|| engine.enter(None, now))).flatten();
            if let Some(Err(error)) = enrolled {
                tracing::warn!(%error, "this device could not be enrolled");
            }
        });
    }

    async fn ask(self, circle: CircleId, to: DeviceId, no: u64, ask: Ask) {
        let answered = self.0.net.request(Peer(to.0), ask.kind(), ask.to_bytes(circle).into()).await;
        let answer = match answered {
            Ok(bytes) => Answer::from_bytes(&bytes).ok(),
            Err(error) => {
                tracing::debug!(%error, "no answer");
                None
            }
        };
        self.drive(circle, |engine, now| engine.answered(no, answer, now));
    }

    async fn read(self, circle: CircleId, no: u64, items: Vec<u64>) {
        let space = self.0.state.borrow().circles.get(&circle).map(|circle| circle.space.clone());
        let Some(space) = space else { return };
        let read = space.read(items).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is settled can not be read back");
            Vec::new()
        });
        self.drive(circle, |engine, now| engine.read(no, &read, now));
    }

    fn arm(&self, circle: CircleId) {
        let at = {
            let mut state = self.0.state.borrow_mut();
            let Some(circle) = state.circles.get_mut(&circle) else { return };
            let Some(due) = circle.engine.as_ref().and_then(Engine::due) else { return };
            if circle.timer.is_some_and(|armed| armed <= due) {
                return;
            }
            circle.timer = Some(due);
            due
        };
        let node = self.clone();
        rt::spawn(async move {
            rt::sleep(Duration::from_millis(at.saturating_sub(rt::now()))).await;
            let rings = {
                let mut state = node.0.state.borrow_mut();
                state
                    .circles
                    .get_mut(&circle)
                    .is_some_and(|circle| circle.timer.take_if(|armed| *armed == at).is_some())
            };
            if rings {
                node.drive(circle, Engine::tick);
            }
        });
    }

    fn enqueue(&self, circle: CircleId, no: u64, batch: Batch) {
        let mut state = self.0.state.borrow_mut();
        let Some(opened) = state.circles.get_mut(&circle) else { return };
        opened.queue.push_back((no, batch));
        if !opened.writing {
            opened.writing = true;
            drop(state);
            rt::spawn(self.clone().write(circle));
        }
    }

    /// Writes what waits until nothing does.
    async fn write(self, circle: CircleId) {
        loop {
            let (no, batch, space) = {
                let mut state = self.0.state.borrow_mut();
                let Some(circle) = state.circles.get_mut(&circle) else { return };
                match gather(&mut circle.queue) {
                    Some((no, batch)) => (no, batch, circle.space.clone()),
                    None => {
                        circle.writing = false;
                        return;
                    }
                }
            };
            match space.write(batch).await {
                Ok(()) => self.wrote(circle, no),
                Err(error) => {
                    self.stalled(circle, error.into()).await;
                    return;
                }
            }
        }
    }

    fn wrote(&self, circle: CircleId, no: u64) {
        self.drive(circle, |engine, now| engine.written(no, now));
        let waiters = {
            let mut state = self.0.state.borrow_mut();
            let Some(circle) = state.circles.get_mut(&circle) else { return };
            (circle.stalled, circle.stalls) = (None, 0);
            let later = circle.waiters.split_off(&(no + 1));
            std::mem::replace(&mut circle.waiters, later)
        };
        for (_, waiter) in waiters {
            // The one who wrote may have gone.
            waiter.send(Ok(())).ok();
        }
    }

    /// Waits until an own write is durable.
    pub(crate) async fn here(&self, circle: CircleId, written: Written) -> Result<(), NodeError> {
        let done = {
            let mut state = self.0.state.borrow_mut();
            let circle = state.circles.get_mut(&circle).ok_or(NodeError::NoCircle)?;
            let (sender, receiver) = oneshot::channel();
            circle.waiters.insert(written.no, sender);
            receiver
        };
        done.await.map_err(|_| NodeError::Closed)?
    }

    /// Tells a circle's engine about the links that stand.
    pub(crate) fn meet(&self, circle: CircleId) {
        let peers: Vec<DeviceId> = {
            let state = self.0.state.borrow();
            let Some(circle) = state.circles.get(&circle) else { return };
            let member_node = state.owner.is_none();
            let shares = |peer: &&DeviceId| circle.is_shared_with(peer, member_node);
            state.links.up().map(|(peer, _)| peer).filter(shares).copied().collect()
        };
        for peer in peers {
            self.admit(peer);
            self.drive(circle, |engine, now| engine.connected(peer, now));
        }
    }

    /// Whether the node goes on and is in the circle.
    pub(crate) fn is_open(&self, circle: CircleId) -> bool {
        self.0.state.borrow().circles.contains_key(&circle)
    }

    /// Whether this is a person's node, not a relay.
    pub(crate) fn is_member_node(&self) -> bool {
        self.0.state.borrow().owner.is_none()
    }

    /// Ends the node once what was taken is durable.
    pub async fn close(&self) {
        while self.0.state.borrow().circles.values().any(|circle| circle.writing) {
            rt::sleep(Duration::from_millis(5)).await;
        }
        {
            let mut state = self.0.state.borrow_mut();
            state.closed = true;
            state.circles.clear();
            // Without its events the network ends.
            state.stop = None;
        }
        self.0.store.close().await;
    }
}

/// From where the log is wanted.
fn window(records: &Records) -> u64 {
    ledgerno_engine::store::window(records.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])))
}

/// As many waiting writes as make one batch.
fn gather(queue: &mut VecDeque<(u64, Batch)>) -> Option<(u64, Batch)> {
    let (mut last, mut all) = queue.pop_front()?;
    let mut bytes: usize = all.log.iter().map(Bytes::len).sum();
    while let Some((_, next)) = queue.front() {
        bytes += next.log.iter().map(Bytes::len).sum::<usize>();
        // What is replaced is sorted, so it goes alone.
        let replaces = !all.replace.is_empty() || !next.replace.is_empty();
        if replaces || all.log.len() + next.log.len() > MAX_BATCH_ITEMS || bytes > MAX_BATCH_BYTES {
            break;
        }
        let Some((no, next)) = queue.pop_front() else { break };
        last = no;
        all.log.extend(next.log);
        all.records.extend(next.records);
    }
    Some((last, all))
}
