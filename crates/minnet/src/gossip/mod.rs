//! GossipSub v1.1, sans I/O: what peers say comes in with the time, frames for peers come out.
//!
//! The rules:
//! - What this node publishes goes to every peer that subscribes. What it hears goes on to the peers of its mesh, some six a
//!   topic; a hub's mesh is everybody. Peers beside the mesh are told the ids of the newest messages, and may ask for them.
//! - Each message is taken once: its id is a hash of its topic and bytes, known again for a minute.
//! - A guest, of whom nobody knows what it has to do here, hears nothing and is not heard until it is made welcome; what it
//!   subscribes to is noted.
//! - A peer that sends what no honest node sends loses score, then gossip, and in the end everything it says is passed over.
//! - Frames to a peer that is slower than they come are dropped, but for what it must know, which is said again.
//!
//! Whether a message is handed on is the caller's word ([`Gossip::hand_on`]), who reads what it says.

mod score;
mod seen;
mod wire;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use libp2p::{PeerId, StreamProtocol};
use web_time::Instant;

use self::{
    score::{GOSSIP, IGNORED, Score},
    seen::{Cache, Seen},
    wire::Rpc,
};
use crate::{Topic, limits::MAX_TOPICS};

pub use self::score::Faults;

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");
/// How often the mesh is looked after while there are peers.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// A message's id.
pub(crate) type Id = [u8; 20];

/// No graft for so long after a prune, in seconds, and after leaving a topic.
const BACKOFF: u64 = 60;
const LEAVING_BACKOFF: u64 = 10;
/// Others' pauses are believed up to this.
const MAX_BACKOFF: u64 = 3_600;
/// Peers beside the mesh that are told of the newest messages: at least so many, or a quarter.
const LAZY: usize = 6;
/// Of a peer, in one heartbeat: ids that are asked for, and bytes that are given again.
const MAX_ASKED: usize = 500;
const MAX_GIVEN: usize = 1024 * 1024;
/// What a peer's faults grow by before they are told, in thousandths: one that counts.
const TELLING: u64 = 900;
/// How long a message that was asked for may take.
const PROMISE: Duration = Duration::from_secs(5);

/// What comes of what a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Subscribed(Topic),
    Unsubscribed(Topic),
    /// A message that was not known.
    Message {
        id: Id,
        topic: Topic,
        data: Bytes,
    },
}

/// A frame for a peer.
pub(crate) struct Frame {
    pub(crate) to: PeerId,
    pub(crate) bytes: Bytes,
    pub(crate) what: What,
}

/// What a frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// What the peer must know; if it is lost, [`Gossip::lost`] wants to know.
    Topics,
    /// A message.
    Message,
    /// How the messages go.
    Control,
}

/// How many of a topic's peers are in its mesh.
#[derive(Clone, Copy)]
struct Degrees {
    low: usize,
    wanted: usize,
    high: usize,
}

struct Peer {
    id: PeerId,
    guest: bool,
    /// Sorted.
    topics: Vec<Topic>,
    /// Of these the peer is in this node's mesh.
    mesh: Vec<Topic>,
    /// Until when no graft goes either way.
    backoff: Vec<(Topic, Instant)>,
    score: Score,
    /// The faults that were told of it.
    told: Faults,
    /// It was not told of all subscriptions.
    untold: bool,
    asked: usize,
    wanted: usize,
    given: usize,
    /// One of the messages that were asked for, and until when it is waited for.
    promise: Option<(Id, Instant)>,
}

pub(crate) struct Gossip {
    degrees: Degrees,
    /// Sorted.
    topics: Vec<Topic>,
    /// Bounded by the limit of links.
    peers: Vec<Peer>,
    seen: Seen,
    cache: Cache,
    /// Taken by the caller in the same turn.
    out: VecDeque<Frame>,
    random: u64,
}

impl Gossip {
    /// Of a node in the mesh, or of a hub; `random`: any number, another at each start.
    pub(crate) fn new(hub: bool, random: u64, now: Instant) -> Self {
        let degrees = if hub {
            Degrees { low: usize::MAX, wanted: usize::MAX, high: usize::MAX }
        } else {
            Degrees { low: 4, wanted: 6, high: 12 }
        };
        Gossip {
            degrees,
            topics: Vec::new(),
            peers: Vec::new(),
            seen: Seen::new(now),
            cache: Cache::default(),
            out: VecDeque::new(),
            random: random | 1,
        }
    }

    /// The next frame to send.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        self.out.pop_front()
    }

    pub(crate) fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// A peer is there, a guest or not, and has these faults from before. It is told of all subscriptions.
    pub(crate) fn joined(&mut self, id: PeerId, guest: bool, faults: Faults) {
        self.left(id);
        self.peers.push(Peer {
            id,
            guest,
            topics: Vec::new(),
            mesh: Vec::new(),
            backoff: Vec::new(),
            score: Score::with(faults),
            told: faults,
            untold: false,
            asked: 0,
            wanted: 0,
            given: 0,
            promise: None,
        });
        self.tell_all(id);
    }

    /// A peer is no guest any more.
    pub(crate) fn welcome(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peer(id).filter(|peer| peer.guest) else { return };
        peer.guest = false;
        let topics = peer.topics.clone();
        self.tell_all(id);
        for topic in topics {
            self.fill(topic, now);
        }
    }

    /// A peer is gone; with which faults, if it was there.
    pub(crate) fn left(&mut self, id: PeerId) -> Option<Faults> {
        let at = self.peers.iter().position(|peer| peer.id == id)?;
        self.out.retain(|frame| frame.to != id);
        Some(self.peers.swap_remove(at).score.faults())
    }

    /// Whose faults have grown, and to what; each time once.
    pub(crate) fn worse(&mut self) -> Vec<(PeerId, Faults)> {
        let mut worse = Vec::new();
        for peer in &mut self.peers {
            let faults = peer.score.faults();
            if faults.sum() >= peer.told.sum() + TELLING {
                worse.push((peer.id, faults));
                peer.told = faults;
            } else if faults.sum() < peer.told.sum() {
                peer.told = faults;
            }
        }
        worse
    }

    /// A frame of topics did not reach its peer.
    pub(crate) fn lost(&mut self, id: PeerId) {
        if let Some(peer) = self.peer(id) {
            peer.untold = true;
        }
    }

    pub(crate) fn subscribe(&mut self, topic: Topic, now: Instant) {
        if !insert(&mut self.topics, topic) {
            return;
        }
        for to in self.welcome_peers() {
            self.say(to, Rpc { subscriptions: vec![(topic, true)], ..Rpc::default() }, What::Topics);
        }
        self.fill(topic, now);
    }

    pub(crate) fn unsubscribe(&mut self, topic: Topic, now: Instant) {
        if !remove(&mut self.topics, &topic) {
            return;
        }
        for to in self.welcome_peers() {
            let mut rpc = Rpc { subscriptions: vec![(topic, false)], ..Rpc::default() };
            if let Some(peer) = self.peer(to)
                && remove(&mut peer.mesh, &topic)
            {
                peer.back_off(topic, LEAVING_BACKOFF, now);
                rpc.prune.push((topic, LEAVING_BACKOFF));
            }
            self.say(to, rpc, What::Topics);
        }
    }

    /// Sends a message to every peer that subscribes, unless it was sent or heard within the last minute.
    pub(crate) fn publish(&mut self, topic: Topic, data: Bytes, now: Instant) {
        let id = id_of(&topic, &data);
        if self.seen.note(id, now) {
            self.spread(id, topic, data, |peer| peer.score.value() > IGNORED);
        }
    }

    /// A message that was heard is taken, and from now on known; `false`: it is known. Of what is not taken from one peer another
    /// may still bring it.
    pub(crate) fn take(&mut self, id: Id, from: PeerId, now: Instant) -> bool {
        let new = self.seen.note(id, now);
        if let Some(peer) = self.peer(from).filter(|_| new) {
            peer.score.delivered();
        }
        new
    }

    /// Hands a message that was taken on to the mesh.
    pub(crate) fn hand_on(&mut self, id: Id, topic: Topic, data: Bytes, from: PeerId) {
        self.spread(id, topic, data, |peer| peer.id != from && peer.mesh.binary_search(&topic).is_ok());
    }

    fn spread(&mut self, id: Id, topic: Topic, data: Bytes, to: impl Fn(&Peer) -> bool) {
        let frame = Rpc { messages: vec![(topic, data.clone())], ..Rpc::default() }.frame();
        self.cache.put(id, topic, data);
        for peer in self.peers.iter().filter(|peer| peer.hears(&topic) && to(peer)) {
            self.out.push_back(Frame { to: peer.id, bytes: frame.clone(), what: What::Message });
        }
    }

    /// A message was not as the caller wants them.
    pub(crate) fn reject(&mut self, from: PeerId) {
        if let Some(peer) = self.peer(from) {
            peer.score.wrong(1);
        }
    }

    /// Whether nothing that a peer says is taken any more.
    pub(crate) fn is_ignored(&self, id: PeerId) -> bool {
        self.peers.iter().any(|peer| peer.id == id && peer.score.value() <= IGNORED)
    }

    /// The topics to which a peer subscribes.
    #[cfg(test)]
    fn topics_of(&self, id: PeerId) -> &[Topic] {
        self.peers.iter().find(|peer| peer.id == id).map_or(&[], |peer| &peer.topics)
    }

    /// Takes what a peer says.
    pub(crate) fn heard(&mut self, from: PeerId, bytes: &Bytes, now: Instant) -> Vec<Heard> {
        let mut heard = Vec::new();
        let rpc = Rpc::read(bytes, MAX_ASKED);
        let Some(at) = self.peers.iter().position(|peer| peer.id == from) else { return heard };
        if self.peers[at].score.value() <= IGNORED {
            return heard;
        }
        let Ok(rpc) = rpc else {
            self.peers[at].score.wrong(1);
            return heard;
        };
        self.peers[at].score.wrong(rpc.wrong);
        for (topic, subscribed) in rpc.subscriptions {
            let peer = &mut self.peers[at];
            if !subscribed && remove(&mut peer.topics, &topic) {
                remove(&mut peer.mesh, &topic);
                heard.push(Heard::Unsubscribed(topic));
            } else if subscribed && peer.topics.len() < MAX_TOPICS && insert(&mut peer.topics, topic) {
                heard.push(Heard::Subscribed(topic));
                self.fill(topic, now);
            }
        }
        if self.peers[at].guest {
            return heard;
        }
        for (topic, data) in rpc.messages {
            let id = id_of(&topic, &data);
            if self.topics.binary_search(&topic).is_ok() && !self.seen.knows(&id) {
                heard.push(Heard::Message { id, topic, data });
            }
        }
        let mut reply = Rpc::default();
        for topic in rpc.graft {
            self.grafted(at, topic, &mut reply, now);
        }
        for (topic, seconds) in rpc.prune {
            let peer = &mut self.peers[at];
            remove(&mut peer.mesh, &topic);
            peer.back_off(topic, seconds.clamp(1, MAX_BACKOFF), now);
        }
        if self.peers[at].score.value() > GOSSIP {
            self.told(at, rpc.have, &mut reply, now);
            self.asked(at, &rpc.want);
        }
        if reply != Rpc::default() {
            self.say(from, reply, What::Control);
        }
        heard
    }

    /// A peer has taken this node into its mesh, and wants the same.
    fn grafted(&mut self, at: usize, topic: Topic, reply: &mut Rpc, now: Instant) {
        // Of topics that are not known here nothing is said, lest strangers fish for them.
        if self.topics.binary_search(&topic).is_err() {
            return;
        }
        let size = self.mesh(&topic).count();
        let high = self.degrees.high;
        let peer = &mut self.peers[at];
        let early = peer.backs_off(&topic, now);
        if early {
            peer.score.misbehaved();
        }
        if early || peer.score.value() < 0.0 || size >= high {
            remove(&mut peer.mesh, &topic);
            peer.back_off(topic, BACKOFF, now);
            reply.prune.push((topic, BACKOFF));
        } else if peer.topics.binary_search(&topic).is_ok() {
            insert(&mut peer.mesh, topic);
        }
    }

    /// A peer tells what it has; asks for what is not known.
    fn told(&mut self, at: usize, have: Vec<(Topic, Vec<Id>)>, reply: &mut Rpc, now: Instant) {
        for (topic, ids) in have {
            if self.topics.binary_search(&topic).is_err() {
                continue;
            }
            let room = MAX_ASKED.saturating_sub(self.peers[at].asked);
            let unknown: Vec<Id> = ids.into_iter().filter(|id| !self.seen.knows(id)).take(room).collect();
            let peer = &mut self.peers[at];
            peer.asked += unknown.len();
            if let Some(id) = unknown.last() {
                peer.promise.get_or_insert((*id, now + PROMISE));
            }
            reply.want.extend(unknown);
        }
    }

    /// A peer asks for messages.
    fn asked(&mut self, at: usize, want: &[Id]) {
        for id in want {
            // Each id costs a search, found or not.
            if self.peers[at].wanted >= MAX_ASKED {
                return self.peers[at].score.misbehaved();
            }
            self.peers[at].wanted += 1;
            let Some((topic, data)) = self.cache.get(id) else { continue };
            let peer = &mut self.peers[at];
            if peer.given + data.len() > MAX_GIVEN || peer.topics.binary_search(&topic).is_err() {
                continue;
            }
            peer.given += data.len();
            let to = peer.id;
            self.say(to, Rpc { messages: vec![(topic, data)], ..Rpc::default() }, What::Message);
        }
    }

    /// Looks after the mesh, and tells of the newest messages; every [`HEARTBEAT`].
    pub(crate) fn heartbeat(&mut self, now: Instant) {
        for at in 0..self.peers.len() {
            let peer = &mut self.peers[at];
            (peer.asked, peer.wanted, peer.given) = (0, 0, 0);
            peer.backoff.retain(|(_, until)| *until > now);
            if let Some((id, until)) = peer.promise
                && (until <= now || self.seen.knows(&id))
            {
                if !self.seen.knows(&id) {
                    peer.score.misbehaved();
                }
                peer.promise = None;
            }
            peer.score.fade();
            if std::mem::take(&mut peer.untold) {
                let id = peer.id;
                self.tell_all(id);
            }
        }
        for topic in self.topics.clone() {
            self.thin(topic, now);
            self.fill(topic, now);
            self.tell_of(topic);
        }
        self.cache.age();
    }

    /// Takes peers out of a mesh that has too many, or bad ones.
    fn thin(&mut self, topic: Topic, now: Instant) {
        let mut members: Vec<(PeerId, f32)> = self.mesh(&topic).map(|peer| (peer.id, peer.score.value())).collect();
        let mut out: Vec<PeerId> = members.iter().filter(|(_, score)| *score < 0.0).map(|(id, _)| *id).collect();
        members.retain(|(_, score)| *score >= 0.0);
        if members.len() > self.degrees.high {
            self.shuffle(&mut members);
            members.sort_by(|(_, one), (_, other)| other.total_cmp(one));
            // The best stay; of the others as many as are wanted, whoever they are.
            let best = self.degrees.wanted.min(members.len()) - self.degrees.wanted / 3;
            let mut rest = members.split_off(best);
            self.shuffle(&mut rest);
            out.extend(rest.into_iter().skip(self.degrees.wanted - best).map(|(id, _)| id));
        }
        for id in out {
            if let Some(peer) = self.peer(id) {
                remove(&mut peer.mesh, &topic);
                peer.back_off(topic, BACKOFF, now);
            }
            self.say(id, Rpc { prune: vec![(topic, BACKOFF)], ..Rpc::default() }, What::Control);
        }
    }

    /// Takes peers into a mesh that has too few.
    fn fill(&mut self, topic: Topic, now: Instant) {
        if self.topics.binary_search(&topic).is_err() {
            return;
        }
        let size = self.mesh(&topic).count();
        if size >= self.degrees.low {
            return;
        }
        let may = |peer: &&Peer| {
            peer.hears(&topic)
                && peer.mesh.binary_search(&topic).is_err()
                && !peer.backs_off(&topic, now)
                && peer.score.value() >= 0.0
        };
        let mut may: Vec<PeerId> = self.peers.iter().filter(may).map(|peer| peer.id).collect();
        self.shuffle(&mut may);
        for id in may.into_iter().take(self.degrees.wanted - size) {
            if let Some(peer) = self.peer(id) {
                insert(&mut peer.mesh, topic);
            }
            self.say(id, Rpc { graft: vec![topic], ..Rpc::default() }, What::Control);
        }
    }

    /// Tells some peers beside the mesh which messages there are.
    fn tell_of(&mut self, topic: Topic) {
        let ids = self.cache.told(&topic);
        if ids.is_empty() {
            return;
        }
        let beside = |peer: &&Peer| {
            peer.hears(&topic) && peer.mesh.binary_search(&topic).is_err() && peer.score.value() > GOSSIP
        };
        let mut beside: Vec<PeerId> = self.peers.iter().filter(beside).map(|peer| peer.id).collect();
        self.shuffle(&mut beside);
        let count = LAZY.max(beside.len() / 4);
        for id in beside.into_iter().take(count) {
            self.say(id, Rpc { have: vec![(topic, ids.clone())], ..Rpc::default() }, What::Control);
        }
    }

    fn tell_all(&mut self, to: PeerId) {
        if !self.topics.is_empty() && self.welcome_peers().contains(&to) {
            let subscriptions = self.topics.iter().map(|topic| (*topic, true)).collect();
            self.say(to, Rpc { subscriptions, ..Rpc::default() }, What::Topics);
        }
    }

    fn say(&mut self, to: PeerId, rpc: Rpc, what: What) {
        self.out.push_back(Frame { to, bytes: rpc.frame(), what });
    }

    fn welcome_peers(&self) -> Vec<PeerId> {
        self.peers.iter().filter(|peer| !peer.guest).map(|peer| peer.id).collect()
    }

    fn mesh(&self, topic: &Topic) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(move |peer| peer.mesh.binary_search(topic).is_ok())
    }

    fn peer(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    /// Fisher and Yates, by xorshift: whom to choose is nobody's secret.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            items.swap(at, (self.random % (at as u64 + 1)) as usize);
        }
    }
}

impl Peer {
    /// Whether it is to hear what is said there.
    fn hears(&self, topic: &Topic) -> bool {
        !self.guest && self.topics.binary_search(topic).is_ok()
    }

    fn back_off(&mut self, topic: Topic, seconds: u64, now: Instant) {
        let until = now + Duration::from_secs(seconds);
        self.backoff.retain(|(one, _)| *one != topic);
        if self.backoff.len() < MAX_TOPICS {
            self.backoff.push((topic, until));
        }
    }

    fn backs_off(&self, topic: &Topic, now: Instant) -> bool {
        self.backoff.iter().any(|(one, until)| one == topic && *until > now)
    }
}

fn id_of(topic: &Topic, data: &[u8]) -> Id {
    let mut id = [0; 20];
    id.copy_from_slice(&blake3::keyed_hash(&topic.0, data).as_bytes()[..20]);
    id
}

/// Into a sorted list; `false`: it was there.
fn insert(topics: &mut Vec<Topic>, topic: Topic) -> bool {
    match topics.binary_search(&topic) {
        Ok(_) => false,
        Err(at) => {
            topics.insert(at, topic);
            true
        }
    }
}

/// Out of a sorted list; `false`: it was not there.
fn remove(topics: &mut Vec<Topic>, topic: &Topic) -> bool {
    let found = topics.binary_search(topic);
    if let Ok(at) = found {
        topics.remove(at);
    }
    found.is_ok()
}

#[cfg(test)]
mod tests;
