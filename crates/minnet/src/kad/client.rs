//! What is announced and what is looked for, and what is to be done about it. No link, no clock: both come in as values.
//!
//! The rules:
//! - What is announced is said anew before it is forgotten, and whenever a relay comes.
//! - What is looked for is looked for once; if nobody can be asked yet, when somebody can.
//! - Few walks are under way at one time; the others wait for their turn.

use std::time::Duration;

use libp2p::swarm::ConnectionId;
use web_time::Instant;

use super::{
    K,
    lookup::Lookup,
    place,
    wire::{self, FIND_NODE, GET_PROVIDERS},
};
use crate::Peer;

/// Keys announced, and keys looked for.
pub(crate) const MAX_KEYS: usize = 64;
/// Walks under way.
const MAX_WALKS: usize = 4;
/// Ways to somebody that are found in one walk, whoever lies in it.
pub(crate) const MAX_FOUND: usize = 10 * K;
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
    /// Say to nodes that this one is findable under a key.
    Tell { peers: Vec<Peer>, key: Key },
}

/// Who is findable under a key, and by whom at which URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) peer: Peer,
    pub(crate) at: Vec<(Peer, String)>,
}

/// A key that is announced, or looked for.
struct Errand {
    key: Key,
    announces: bool,
    /// When the next walk may begin.
    next: Instant,
    walk: Option<(u32, Lookup)>,
    /// Who was found, and by whom.
    found: Vec<(Peer, Peer)>,
}

/// A node that may be asked, and the link to it: by another one, it may have forgotten everything.
pub(crate) type Link = (Peer, ConnectionId);

/// Everything of this node.
pub(crate) struct Rendezvous {
    own: Peer,
    errands: Vec<Errand>,
    begun: u32,
    nodes: Vec<Link>,
}

impl Rendezvous {
    pub(crate) fn new(own: Peer) -> Self {
        Rendezvous { own, errands: Vec::new(), begun: 0, nodes: Vec::new() }
    }

    pub(crate) fn own(&self) -> Peer {
        self.own
    }

    /// Whether there is nothing to do, whoever is linked.
    pub(crate) fn is_idle(&self) -> bool {
        self.errands.is_empty()
    }

    /// A key is announced from now on, or looked for once. `false`: there is no room for another one.
    pub(crate) fn add(&mut self, key: Key, announces: bool, now: Instant) -> bool {
        let alike = || self.errands.iter().filter(|errand| errand.announces == announces);
        if alike().any(|errand| errand.key == key) {
            return true;
        }
        let room = alike().count() < MAX_KEYS;
        if room {
            self.errands.push(Errand { key, announces, next: now, walk: None, found: Vec::new() });
        }
        room
    }

    /// A key is announced no more. What was said of it is forgotten in time.
    pub(crate) fn withdraw(&mut self, key: &Key) {
        self.errands.retain(|errand| errand.key != *key || !errand.announces);
    }

    /// Who can be asked now. To one that is new, everything is announced.
    pub(crate) fn linked(&mut self, nodes: Vec<Link>, now: Instant) {
        if nodes.iter().any(|link| !self.nodes.contains(link)) {
            self.errands.iter_mut().for_each(|errand| errand.next = now);
        }
        self.nodes = nodes;
    }

    /// What is to be done now. Called again until there is nothing.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Do> {
        let mut at = 0;
        while let Some(errand) = self.errands.get_mut(at) {
            if let Some((walk, lookup)) = &mut errand.walk {
                if let Some(peer) = lookup.next(now) {
                    let kind = if errand.announces { FIND_NODE } else { GET_PROVIDERS };
                    let message = wire::write(kind, &wire::multihash(&errand.key));
                    return Some(Do::Ask { walk: *walk, peer, message });
                }
                if lookup.is_over(now) {
                    let (peers, key) = (lookup.nearest(), errand.key);
                    errand.walk = None;
                    if !errand.announces {
                        self.errands.remove(at);
                        continue;
                    }
                    if !peers.is_empty() {
                        return Some(Do::Tell { peers, key });
                    }
                    errand.next = errand.next.min(now + RETRY);
                }
            }
            at += 1;
        }
        self.begin(now).then(|| self.next(now))?
    }

    fn room(&self) -> bool {
        !self.nodes.is_empty() && self.errands.iter().filter(|errand| errand.walk.is_some()).count() < MAX_WALKS
    }

    fn begin(&mut self, now: Instant) -> bool {
        let room = self.room();
        let mut due = self.errands.iter_mut();
        let due = due.find(|errand| room && errand.walk.is_none() && errand.next <= now);
        let Some(errand) = due else { return false };
        errand.next = now + REPUBLISH + Duration::from_secs(errand.key[0].into());
        let nodes: Vec<Peer> = self.nodes.iter().map(|(peer, _)| *peer).collect();
        self.begun = self.begun.wrapping_add(1);
        errand.walk = Some((self.begun, Lookup::new(self.own, place(&wire::multihash(&errand.key)), &nodes, now)));
        true
    }

    /// A node answered, or not. Gives who is found by that and was not found before, or not there.
    pub(crate) fn answered(&mut self, walk: u32, peer: Peer, answer: Option<&[u8]>) -> Vec<Found> {
        let mut told = Vec::new();
        let own = self.own;
        let errand = self.errands.iter_mut().find(|errand| errand.walk.as_ref().is_some_and(|(id, _)| *id == walk));
        let Some(Errand { key, announces, walk: Some((_, lookup)), found, .. }) = errand else { return told };
        let answer = answer.and_then(|answer| wire::read(answer).ok());
        lookup.ended(peer, answer.as_ref().map(|answer| &answer.closer[..]));
        for node in answer.into_iter().flat_map(|answer| answer.providers) {
            let peer = node.peer;
            if *announces || peer == own {
                continue;
            }
            let mut at = Vec::new();
            for (relay, url) in node.addresses().filter_map(|address| wire::read_address(address, peer)) {
                if found.len() < MAX_FOUND && !found.contains(&(peer, relay)) {
                    found.push((peer, relay));
                    at.push((relay, url));
                }
            }
            if !at.is_empty() {
                told.push(Found { key: *key, peer, at });
            }
        }
        told
    }

    /// When there may be something to do again, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let room = self.room();
        let due = |errand: &Errand| match &errand.walk {
            Some((_, lookup)) => Some(lookup.until()),
            None => Some(errand.next).filter(|_| room),
        };
        self.errands.iter().filter_map(due).min()
    }
}
