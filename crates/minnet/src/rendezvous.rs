//! Rendezvous: to be findable under a key, and to find who is. What the driver does about [`kad`](crate::kad).
//!
//! The caller derives the key from something that only those know who may find each other. Relays keep who announced it, and
//! at whose relay's URL it is linked. Those that this node has dialled by a URL are asked, and told; others that they name
//! are asked only if they are linked too: nothing is dialled because a stranger names it.
//!
//! A hub that is asked asks the hubs that it is told to know, if they are linked, and they answer from what they keep: so a
//! question goes one step and no further, however hubs know each other. Records stay where they were said.

use futures::{AsyncWriteExt, FutureExt};
use libp2p::swarm::ConnectionId;
use std::{io, time::Duration};
use web_time::Instant;

#[cfg(not(target_arch = "wasm32"))]
use crate::{
    kad::store::Node,
    limits::{Bucket, MAX_PASSED_ON, MAX_PASSED_ON_PER_PEER, MAX_REQUEST_STREAMS, PASSING},
    requests::Count,
};
#[cfg(not(target_arch = "wasm32"))]
use futures::future::join_all;
#[cfg(not(target_arch = "wasm32"))]
use libp2p::{PeerId, Stream};
#[cfg(not(target_arch = "wasm32"))]
use std::future::Future;

use crate::{
    Command, Event, Net, NetError, Path, Peer,
    kad::{
        self, MAX_ADDRESSES, PATIENCE,
        client::{Do, Found, Key},
        wire::{self, MAX_MESSAGE},
    },
    proto::{receive_at_most, send},
    rt::within,
    streams::{Opening, opened},
    swarm::{Driver, Report},
};

/// For another hub's answer, so that who asked does not wait in vain for all.
#[cfg(not(target_arch = "wasm32"))]
const HUB_PATIENCE: Duration = Duration::from_secs(3);

/// What a [`Net`] asks.
pub(crate) enum Call {
    Announce(Key),
    Withdraw(Key),
    Find(Key),
}

impl Net {
    /// From now on this node is findable under the key, as long as it runs: the relays to which it is linked by a dial are
    /// told, now, every hour, and whenever one comes. At most 64 keys; further ones are not announced.
    pub fn announce(&self, key: [u8; 32]) -> Result<(), NetError> {
        self.tell(Command::Rendezvous(Call::Announce(key)))
    }

    /// The key is announced no more. What was said of it is forgotten within two hours.
    pub fn withdraw(&self, key: [u8; 32]) -> Result<(), NetError> {
        self.tell(Command::Rendezvous(Call::Withdraw(key)))
    }

    /// Looks once for who is findable under the key: at the relays to which this node is linked, or when there is one. Events
    /// tell who was found. At most 64 keys wait; further ones are not looked for.
    pub fn find(&self, key: [u8; 32]) -> Result<(), NetError> {
        self.tell(Command::Rendezvous(Call::Find(key)))
    }
}

impl Driver {
    pub(crate) fn on_rendezvous(&mut self, call: Call, now: Instant) {
        let taken = match call {
            Call::Announce(key) => self.rendezvous.add(key, true, now),
            Call::Find(key) => self.rendezvous.add(key, false, now),
            Call::Withdraw(key) => {
                self.rendezvous.withdraw(&key);
                true
            }
        };
        if !taken {
            tracing::warn!("more keys than are announced or looked for");
        }
    }

    pub(crate) fn look_after_rendezvous(&mut self) {
        if self.rendezvous.is_idle() {
            return;
        }
        let now = Instant::now();
        let links = self.relays().iter().map(|(peer, link, _)| (*peer, *link)).collect();
        self.rendezvous.linked(links, now);
        while let Some(todo) = self.rendezvous.next(now) {
            match todo {
                Do::Ask { walk, peer, message } => self.say(peer, message, Some(walk)),
                Do::Tell { peers, key } => {
                    let message = self.provides(&key);
                    peers.into_iter().for_each(|peer| self.say(peer, message.clone(), None));
                }
            }
        }
        self.ring_at(self.rendezvous.due());
    }

    pub(crate) fn on_answered(&mut self, walk: u32, peer: Peer, answer: Option<&[u8]>) {
        for Found { key, peer, at } in self.rendezvous.answered(walk, peer, answer) {
            self.events.push_back(Event::Found { key, peer, at });
        }
    }

    /// The relays that were dialled, the links to them, and their URLs.
    fn relays(&self) -> Vec<(Peer, ConnectionId, &str)> {
        let mut relays = Vec::new();
        for linked in self.linked.values() {
            if let (Some(Path::Relay { url }), Some(link)) = (linked.path(), linked.current) {
                relays.push((linked.peer, link, url.as_str()));
            }
        }
        relays
    }

    /// That this node is findable under a key, and where.
    fn provides(&self, key: &Key) -> Vec<u8> {
        let own = self.rendezvous.own();
        let mut addresses = Vec::new();
        let itself = self.config.urls.iter().map(|url| (own, url.as_str()));
        for (relay, url) in itself.chain(self.relays().into_iter().map(|(relay, _, url)| (relay, url))) {
            if addresses.len() < MAX_ADDRESSES {
                addresses.extend(wire::address_of(url, relay, own));
            }
        }
        let mut message = wire::write(wire::ADD_PROVIDER, &wire::multihash(key));
        wire::put_node(&mut message, wire::PROVIDERS, &own, &addresses);
        message
    }

    /// Says something to a node, and hears the answer if it is a question.
    fn say(&mut self, peer: Peer, message: Vec<u8>, walk: Option<u32>) {
        let link = self.linked.values().find(|linked| linked.peer == peer).and_then(|linked| linked.current);
        let to = link.zip(peer.to_id());
        let opening = to.map(|(link, id)| self.swarm.behaviour_mut().streams.open(id, link, kad::PROTOCOL));
        self.report(async move {
            let answer = match opening {
                Some(opening) => said(opening, &message, walk.is_some(), PATIENCE).await,
                None => None,
            };
            walk.map(|walk| Report::Answered { walk, peer, answer })
        });
    }
}

/// Says something on a stream, and hears the answer if there is to be one.
async fn said(opening: Opening, message: &[u8], is_question: bool, patience: Duration) -> Option<Vec<u8>> {
    let said = async {
        let mut stream = opened(opening).await.map_err(io::Error::other)?;
        send(&mut stream, message).await?;
        stream.close().await?;
        if is_question { receive_at_most(&mut stream, MAX_MESSAGE).await } else { Ok(Vec::new()) }
    };
    within(patience, said.boxed()).await.and_then(Result::ok)
}

/// What a hub does.
#[cfg(not(target_arch = "wasm32"))]
impl Driver {
    /// Hears what a peer wants to know or to say, one after the other. It may be quicker than its hello, and is heard all the
    /// same: a record says nothing but who it is, and that is proved.
    pub(crate) fn serve(&self, id: PeerId, link: ConnectionId, stream: Stream) {
        let Some(linked) = self.linked.get(&id) else { return };
        let Some(place) = linked.asking.take(MAX_REQUEST_STREAMS) else {
            return tracing::debug!(%id, "more questions at once than are taken");
        };
        self.report(hear(id, link, stream, place));
    }

    pub(crate) fn on_sought(
        &mut self,
        id: PeerId,
        link: ConnectionId,
        message: Vec<u8>,
        mut stream: Stream,
        place: Count,
    ) {
        let now = Instant::now();
        let Some(linked) = self.linked.get_mut(&id) else { return };
        let peer = linked.peer;
        if !linked.requests.take(now) {
            return self.flooded(id);
        }
        let Ok(asked) = wire::read(&message) else { return tracing::debug!(%id, "asks nothing that can be read") };
        let at = kad::place(asked.key);
        let providers = match asked.kind {
            wire::ADD_PROVIDER => {
                // Each speaks for itself only.
                if let Some(node) = asked.providers.iter().find(|node| node.peer == peer)
                    && !self.store.add(at, Node { peer, addresses: node.addresses().map(Vec::from).collect() }, now)
                {
                    tracing::debug!(%id, "no room for what it announces");
                }
                return self.report(hear(id, link, stream, place));
            }
            wire::GET_PROVIDERS => self.store.providers(at, now),
            wire::FIND_NODE => Vec::new(),
            kind => return tracing::debug!(%id, kind, "asks what nobody answers"),
        };
        let mut answer = wire::write(asked.kind, asked.key);
        for (relay, url) in self.nearest(&at, peer) {
            let address: Vec<_> = wire::address_of(url, relay, relay).into_iter().collect();
            wire::put_node(&mut answer, wire::CLOSER, &relay, &address);
        }
        for node in providers {
            wire::put_node(&mut answer, wire::PROVIDERS, &node.peer, &node.addresses);
        }
        let others =
            if asked.kind == wire::GET_PROVIDERS && !asked.passed_on { self.pass_on(id, asked.key) } else { None };
        self.report(async move {
            if let Some(others) = others {
                others.await.iter().for_each(|other| add_providers(&mut answer, other));
            }
            match within(PATIENCE, send(&mut stream, &answer).boxed()).await {
                Some(Ok(())) => hear(id, link, stream, place).await,
                _ => None,
            }
        });
    }

    /// Asks the other hubs, if there are any, for a peer.
    fn pass_on(&mut self, asks: PeerId, key: &[u8]) -> Option<impl Future<Output = Vec<Vec<u8>>> + Send + use<>> {
        let linked = |peer: &Peer| {
            let id = peer.to_id()?;
            Some((id, self.linked.get(&id)?.current?))
        };
        let hubs: Vec<_> = self.config.hubs.iter().filter_map(linked).collect();
        if hubs.is_empty() {
            return None;
        }
        let own = self.linked.get(&asks)?.passed_on.take(MAX_PASSED_ON_PER_PEER);
        let place = self.native.passed_on.take(MAX_PASSED_ON);
        let now = Instant::now();
        let passing = self.native.passing.get_or_insert_with(|| Bucket::new(PASSING, now));
        let (Some(own), Some(place), true) = (own, place, passing.take(now)) else {
            tracing::debug!("more questions than are passed on");
            return None;
        };
        let streams = &mut self.swarm.behaviour_mut().streams;
        let openings: Vec<_> = hubs.into_iter().map(|(id, link)| streams.open(id, link, kad::PROTOCOL)).collect();
        let message = wire::pass_on(key);
        Some(async move {
            let asked = openings.into_iter().map(|opening| said(opening, &message, true, HUB_PATIENCE));
            let answers = join_all(asked).await.into_iter().flatten().collect();
            drop((own, place));
            answers
        })
    }

    /// The nodes known here that are nearest to a place, and their URLs.
    fn nearest(&self, to: &kad::Place, asks: Peer) -> Vec<(Peer, &str)> {
        let relays = self.relays().into_iter().filter(|(peer, ..)| *peer != asks);
        let mut relays: Vec<_> = relays.map(|(peer, _, url)| (peer, url)).collect();
        relays.sort_by_key(|(peer, _)| kad::distance(to, peer));
        relays.truncate(kad::K);
        relays
    }
}

/// Adds whom another hub names to an answer.
#[cfg(not(target_arch = "wasm32"))]
fn add_providers(answer: &mut Vec<u8>, other: &[u8]) {
    for node in wire::read(other).into_iter().flat_map(|other| other.providers) {
        let addresses: Vec<Vec<u8>> = node.addresses().map(Vec::from).collect();
        wire::put_node(answer, wire::PROVIDERS, &node.peer, &addresses);
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn hear(id: PeerId, link: ConnectionId, mut stream: Stream, place: Count) -> Option<Report> {
    match within(PATIENCE, receive_at_most(&mut stream, MAX_MESSAGE).boxed()).await? {
        Ok(message) => Some(Report::Sought { id, link, message, stream, place }),
        Err(error) => {
            tracing::trace!(%id, %error, "asks no more");
            None
        }
    }
}
