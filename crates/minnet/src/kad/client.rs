//! What is announced and what is looked for, and what is to be done about it. No link, no clock: both come in as values.
//!
//! The rules:
//! - What is announced is said anew before it is forgotten, and whenever a relay comes.
//! - What is looked for is looked for once; if nobody can be asked yet, when somebody can.
//! - Few walks are under way at one time; the others wait for their turn.

use std::{collections::VecDeque, time::Duration};

use libp2p::swarm::ConnectionId;
use web_time::Instant;

use super::{
    K, MAX_ADDRESSES,
    lookup::Lookup,
    place,
    wire::{self, FIND_NODE, GET_PROVIDERS, Message},
};
use crate::Peer;

/// Keys announced.
pub(crate) const MAX_ANNOUNCED: usize = 64;
/// Keys that wait to be looked for.
const MAX_WANTED: usize = 64;
/// Walks under way.
const MAX_WALKS: usize = 4;
/// Who is found in one walk, whoever lies in it.
const MAX_FOUND: usize = 5 * K;
/// What is announced is said again after this, and a little later by the key, so that not all of it comes at once.
const REPUBLISH: Duration = Duration::from_secs(50 * 60);
/// When nobody took it.
const RETRY: Duration = Duration::from_secs(60);

/// A rendezvous key.
pub(crate) type Key = [u8; 32];

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Ask a node.
    Ask { walk: u32, peer: Peer, message: Vec<u8> },
    /// Say to a node that this one is findable under a key.
    Tell { peer: Peer, key: Key },
}

/// Who is findable under a key, and by whom at which URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) peer: Peer,
    pub(crate) at: Vec<(Peer, String)>,
}

struct Announced {
    key: Key,
    next: Instant,
}

struct Walk {
    id: u32,
    key: Key,
    /// Whether it is to announce the key, or to find who did.
    announces: bool,
    lookup: Lookup,
    found: Vec<Found>,
}

/// A node that may be asked, and the link to it: by another one, it may have forgotten everything.
pub(crate) type Link = (Peer, ConnectionId);

/// Everything of this node.
pub(crate) struct Rendezvous {
    own: Peer,
    announced: Vec<Announced>,
    wanted: VecDeque<Key>,
    walks: Vec<Walk>,
    begun: u32,
    nodes: Vec<Link>,
    /// Bounded by the walks that are under way, of which each ends with no more than [`K`].
    todo: VecDeque<Do>,
}

impl Rendezvous {
    pub(crate) fn new(own: Peer) -> Self {
        Rendezvous {
            own,
            announced: Vec::new(),
            wanted: VecDeque::new(),
            walks: Vec::new(),
            begun: 0,
            nodes: Vec::new(),
            todo: VecDeque::new(),
        }
    }

    /// Whether there is nothing to do, whoever is linked.
    pub(crate) fn is_idle(&self) -> bool {
        self.announced.is_empty() && self.wanted.is_empty() && self.walks.is_empty()
    }

    /// `false`: there is no room for another key.
    pub(crate) fn announce(&mut self, key: Key, now: Instant) -> bool {
        if self.announced.iter().any(|one| one.key == key) {
            return true;
        }
        let room = self.announced.len() < MAX_ANNOUNCED;
        if room {
            self.announced.push(Announced { key, next: now });
        }
        room
    }

    /// What was said of it is forgotten in time.
    pub(crate) fn withdraw(&mut self, key: &Key) {
        self.announced.retain(|one| one.key != *key);
    }

    /// `false`: too many wait.
    pub(crate) fn find(&mut self, key: Key) -> bool {
        let walks = self.walks.iter().any(|walk| walk.key == key && !walk.announces);
        if walks || self.wanted.contains(&key) {
            return true;
        }
        let room = self.wanted.len() < MAX_WANTED;
        if room {
            self.wanted.push_back(key);
        }
        room
    }

    /// Who can be asked now. To one that is new, everything is announced.
    pub(crate) fn linked(&mut self, nodes: Vec<Link>, now: Instant) {
        if nodes.iter().any(|link| !self.nodes.contains(link)) {
            self.announced.iter_mut().for_each(|one| one.next = now);
        }
        self.nodes = nodes;
    }

    /// What is to be done now. Called again until there is nothing.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Do> {
        loop {
            if let Some(todo) = self.todo.pop_front() {
                return Some(todo);
            }
            for walk in &mut self.walks {
                if let Some(peer) = walk.lookup.next(now) {
                    let kind = if walk.announces { FIND_NODE } else { GET_PROVIDERS };
                    let message = wire::write(kind, &wire::multihash(&walk.key), &[], &[]);
                    return Some(Do::Ask { walk: walk.id, peer, message });
                }
            }
            if !self.end(now) && !self.begin(now) {
                return None;
            }
        }
    }

    /// Ends a walk that is over, and says what was to be said at its end.
    fn end(&mut self, now: Instant) -> bool {
        let Some(at) = self.walks.iter().position(|walk| walk.lookup.is_over(now)) else { return false };
        let walk = self.walks.swap_remove(at);
        let announced = self.announced.iter_mut().find(|one| walk.announces && one.key == walk.key);
        if let Some(announced) = announced {
            self.todo.extend(walk.lookup.nearest().map(|peer| Do::Tell { peer, key: walk.key }));
            if self.todo.is_empty() {
                announced.next = announced.next.min(now + RETRY);
            }
        }
        true
    }

    fn begin(&mut self, now: Instant) -> bool {
        if self.walks.len() >= MAX_WALKS || self.nodes.is_empty() {
            return false;
        }
        let (key, announces) = if let Some(key) = self.wanted.pop_front() {
            (key, false)
        } else {
            let walks = &self.walks;
            let due = self.announced.iter_mut().find(|one| one.next <= now && !is_announced(walks, &one.key));
            let Some(one) = due else { return false };
            one.next = now + REPUBLISH + Duration::from_secs(one.key[0].into());
            (one.key, true)
        };
        self.begun = self.begun.wrapping_add(1);
        let nodes = self.nodes.iter().map(|(peer, _)| *peer);
        let lookup = Lookup::new(self.own, place(&wire::multihash(&key)), nodes, now);
        self.walks.push(Walk { id: self.begun, key, announces, lookup, found: Vec::new() });
        true
    }

    /// A node answered, or not. Gives who is found by that: again, if there is more to say of it.
    pub(crate) fn answered(&mut self, walk: u32, peer: Peer, answer: Option<Message>) -> Vec<Found> {
        let Some(walk) = self.walks.iter_mut().find(|one| one.id == walk) else { return Vec::new() };
        walk.lookup.ended(peer, answer.as_ref().map(|answer| answer.closer.iter().map(|node| node.peer)));
        let mut told = Vec::new();
        for node in answer.filter(|_| !walk.announces).into_iter().flat_map(|answer| answer.providers) {
            let at = walk.found.iter().position(|found| found.peer == node.peer).unwrap_or(walk.found.len());
            if node.peer == self.own || at == MAX_FOUND {
                continue;
            }
            let mut is_news = at == walk.found.len();
            if is_news {
                walk.found.push(Found { key: walk.key, peer: node.peer, at: Vec::new() });
            }
            let found = &mut walk.found[at];
            for way in node.addresses.iter().filter_map(|address| wire::read_address(address, node.peer)) {
                if found.at.len() < MAX_ADDRESSES && !found.at.contains(&way) {
                    found.at.push(way);
                    is_news = true;
                }
            }
            if is_news {
                told.push(found.clone());
            }
        }
        told
    }

    /// When there may be something to do again, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let walks = self.walks.iter().map(|walk| walk.lookup.until());
        let room = !self.nodes.is_empty() && self.walks.len() < MAX_WALKS;
        let waits = |one: &&Announced| room && !is_announced(&self.walks, &one.key);
        walks.chain(self.announced.iter().filter(waits).map(|one| one.next)).min()
    }
}

fn is_announced(walks: &[Walk], key: &Key) -> bool {
    walks.iter().any(|walk| walk.key == *key && walk.announces)
}
