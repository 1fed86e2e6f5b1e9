//! Rendezvous: to be findable under a key, and to find who is. What the driver does about [`kad`](crate::kad).
//!
//! The caller derives the key from something that only those know who may find each other. Relays keep who announced it, and
//! at whose relay's URL it is linked. Those that this node has dialled by a URL are asked, and told; others that they name
//! are asked only if they are linked too: nothing is dialled because a stranger names it.

use futures::{AsyncWriteExt, FutureExt};
use libp2p::{Stream, swarm::ConnectionId};
use std::io;
use web_time::Instant;

#[cfg(not(target_arch = "wasm32"))]
use crate::{limits::MAX_REQUEST_STREAMS, requests::Count};
#[cfg(not(target_arch = "wasm32"))]
use libp2p::PeerId;

use crate::{
    Command, Event, Net, NetError, Path, Peer,
    kad::{
        self, MAX_ADDRESSES, PATIENCE,
        client::{Do, Found, Key},
        wire::{self, MAX_MESSAGE, Message, Node},
    },
    proto::{receive_at_most, send},
    rt::within,
    streams::{Opening, opened},
    swarm::{Driver, Report},
};

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
            Call::Announce(key) => self.rendezvous.announce(key, now),
            Call::Find(key) => self.rendezvous.find(key),
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
        let links = self.relays().map(|(peer, link, _)| (peer, link)).collect();
        self.rendezvous.linked(links, now);
        while let Some(todo) = self.rendezvous.next(now) {
            match todo {
                Do::Ask { walk, peer, message } => {
                    let opening = self.open_kad(peer);
                    self.report(async move {
                        let answer = match opening {
                            Some(opening) => ask(opening, &message).await,
                            None => None,
                        };
                        Some(Report::Answered { walk, peer, answer })
                    });
                }
                Do::Tell { peer, key } => self.provide(peer, &key),
            }
        }
        self.ring_at(self.rendezvous.due());
    }

    pub(crate) fn on_answered(&mut self, walk: u32, peer: Peer, answer: Option<Message>) {
        let found = self.rendezvous.answered(walk, peer, answer);
        self.events.extend(found.into_iter().map(|Found { key, peer, at }| Event::Found { key, peer, at }));
    }

    /// The relays that were dialled, the links to them, and their URLs.
    fn relays(&self) -> impl Iterator<Item = (Peer, ConnectionId, &str)> {
        self.linked.values().filter_map(|linked| match linked.path()? {
            Path::Relay { url } => Some((linked.peer, linked.current?, url.as_str())),
            _ => None,
        })
    }

    fn open_kad(&mut self, peer: Peer) -> Option<Opening> {
        let (_, link, _) = self.relays().find(|(relay, ..)| *relay == peer)?;
        Some(self.swarm.behaviour_mut().streams.open(peer.to_id()?, link, kad::PROTOCOL))
    }

    /// Says to a node where this one is.
    fn provide(&mut self, to: Peer, key: &Key) {
        let own = *self.swarm.local_peer_id();
        let Some((own, opening)) = Peer::from_id(own).zip(self.open_kad(to)) else { return };
        let urls = self.config.urls.iter().map(|url| (own, url.as_str()));
        let relays = self.relays().map(|(relay, _, url)| (relay, url));
        let addresses = urls.chain(relays).filter_map(|(relay, url)| wire::address(url, relay, own));
        let provider = Node { peer: own, addresses: addresses.take(MAX_ADDRESSES).collect() };
        let message = wire::write(wire::ADD_PROVIDER, &wire::multihash(key), &[], &[provider]);
        self.report(async move {
            let said = async { say(&mut opened(opening).await.map_err(io::Error::other)?, &message).await };
            if !matches!(within(PATIENCE, said.boxed()).await, Some(Ok(()))) {
                tracing::debug!(%to, "was not told where this node is");
            }
            None
        });
    }
}

/// Says the one thing that there is to say.
async fn say(stream: &mut Stream, message: &[u8]) -> io::Result<()> {
    send(stream, message).await?;
    stream.close().await
}

/// Asks a node; `None`: it gave no answer.
async fn ask(opening: Opening, message: &[u8]) -> Option<Message> {
    let asked = async {
        let mut stream = opened(opening).await.map_err(io::Error::other)?;
        say(&mut stream, message).await?;
        Ok::<_, io::Error>(wire::read(&receive_at_most(&mut stream, MAX_MESSAGE).await?)?)
    };
    within(PATIENCE, asked.boxed()).await?.map_err(|error| tracing::debug!(%error, "no answer about a key")).ok()
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
        message: Message,
        mut stream: Stream,
        place: Count,
    ) {
        let now = Instant::now();
        let Some(linked) = self.linked.get_mut(&id) else { return };
        let peer = linked.peer;
        if !linked.requests.take(now) {
            return tracing::debug!(%id, "more questions than are taken");
        }
        let at = kad::place(&message.key);
        let providers = match message.kind {
            wire::ADD_PROVIDER => {
                // Each speaks for itself only.
                if let Some(node) = message.providers.into_iter().find(|node| node.peer == peer)
                    && !self.store.add(at, node, now)
                {
                    tracing::debug!(%id, "no room for what it announces");
                }
                return self.report(hear(id, link, stream, place));
            }
            wire::GET_PROVIDERS => self.store.providers(at, now),
            wire::FIND_NODE => Vec::new(),
            kind => return tracing::debug!(%id, kind, "asks what nobody answers"),
        };
        let answer = wire::write(message.kind, &message.key, &self.nearest(&at, peer), &providers);
        self.report(async move {
            match within(PATIENCE, send(&mut stream, &answer).boxed()).await {
                Some(Ok(())) => hear(id, link, stream, place).await,
                _ => None,
            }
        });
    }

    /// The nodes known here that are nearest to a place.
    fn nearest(&self, to: &kad::Place, asks: Peer) -> Vec<Node> {
        let mut relays: Vec<_> = self.relays().filter(|(peer, ..)| *peer != asks).collect();
        relays.sort_by_key(|(peer, ..)| kad::distance(to, peer));
        let node = |(peer, _, url)| Node { peer, addresses: wire::address(url, peer, peer).into_iter().collect() };
        relays.into_iter().take(kad::K).map(node).collect()
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn hear(id: PeerId, link: ConnectionId, mut stream: Stream, place: Count) -> Option<Report> {
    let heard = async { Ok::<_, io::Error>(wire::read(&receive_at_most(&mut stream, MAX_MESSAGE).await?)?) };
    match within(PATIENCE, heard.boxed()).await? {
        Ok(message) => Some(Report::Sought { id, link, message, stream, place }),
        Err(error) => {
            tracing::trace!(%id, %error, "asks no more");
            None
        }
    }
}
