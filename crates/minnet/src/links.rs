//! The links to a peer, and which of them is used.
//!
//! A link's life: it stands (`Greeting`), both sides ask each other's version by a hello, and with the first hello seen,
//! question or answer, it is `Ready` or `Refused`. The other side sends nothing else before it has our answer, and we
//! answer after the consumer's `Connected` is queued; so the consumer hears of a peer before it hears from it.
//!
//! A hello tells the session too, a number drawn at each start. Another session is another run of the node: what was agreed
//! with the one before is void, so the consumer is told that it went and came. A further link of the same session takes over
//! unseen, if it is better; both sides judge alike.

use bytes::Bytes;
use futures_timer::Delay;
use libp2p::{
    Multiaddr, PeerId, Stream,
    core::{ConnectedPoint, Endpoint},
    swarm::ConnectionId,
};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, time::Duration};
use tokio::sync::oneshot;
use web_time::Instant;

use crate::{
    DialError, Event, Path, Peer, RequestError, Why,
    codec::Frame,
    limits::{
        Bucket, DRAIN, FLOODING, FRAMES_PER_MESSAGE, HANDED_ON_OF_ONE, MAX_LINKS_PER_PEER, REFUSAL_GRACE, RELAY_FACTOR,
    },
    messages::Queue,
    overlay::Reach,
    ping::{self, Rtt},
    requests::{self, Count},
    swarm::{Driver, Report, agent},
    transport::circuit_of,
};

/// The kind of request by which versions are told. It stays 0 for ever, and the version comes first in it.
pub(crate) const HELLO: u16 = 0;
/// Bytes of a hello at most.
const MAX_HELLO: usize = 256;
/// libp2p forgives one missed ping, and so do we: a dead link costs two of these.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Links that both sides dialled stand within this time of each other.
const AT_ONCE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Hello {
    version: u16,
    agent: String,
    session: u64,
}

/// The version in a hello, and the session if the version is `ours`: what follows the version may differ between versions.
fn read_hello(hello: &[u8], ours: u16) -> Option<(u16, Option<u64>)> {
    if hello.len() > MAX_HELLO {
        return None;
    }
    let (version, _) = postcard::take_from_bytes::<u16>(hello).ok()?;
    if version != ours {
        return Some((version, None));
    }
    let hello = postcard::from_bytes::<Hello>(hello).ok()?;
    Some((version, Some(hello.session)))
}

/// A dial under way.
pub(crate) enum Dial {
    /// The consumer's, to a URL.
    Url { peer: Peer, url: String },
    /// Our own to a friend, by a carrier or directly.
    Friend {
        id: PeerId,
        carrier: Option<PeerId>,
        /// Not at the friend's word.
        began: bool,
    },
}

/// One linked peer.
pub(crate) struct Linked {
    pub(crate) peer: Peer,
    /// Bounded by the limit of links to a peer.
    pub(crate) links: Vec<Link>,
    /// Over which requests go: the best that is ready.
    pub(crate) current: Option<ConnectionId>,
    session: Option<u64>,
    /// Whether it may use circuits by this node.
    pub(crate) admitted: bool,
    pub(crate) requests: Bucket,
    pub(crate) streams: Bucket,
    pub(crate) messages: Bucket,
    /// Messages of it that go on to others.
    pub(crate) handed_on: Bucket,
    /// Messages that it takes of this node, as this node would of it.
    pub(crate) says: Bucket,
    /// Frames on its message streams, whatever they say.
    pub(crate) frames_heard: Bucket,
    /// What it sends over its rates.
    pub(crate) flooding: Bucket,
    pub(crate) asked: Count,
    pub(crate) asking: Count,
    /// Its questions that are passed on.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) passed_on: Count,
    /// Streams on which it says something.
    pub(crate) heard: Count,
    /// What is said to it.
    pub(crate) frames: Option<Queue>,
}

/// One link.
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    pub(crate) path: Path,
    pub(crate) address: Multiaddr,
    pub(crate) stage: Stage,
    pub(crate) dialled: bool,
    /// Where the peer sees this node on it.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) observed: Option<Multiaddr>,
    since: Instant,
    pub(crate) rtt: Rtt,
    /// What the peer opened to say something, until the link is ready.
    pub(crate) early: Option<Stream>,
    /// What the peer opened to begin a hole, likewise: libp2p's own does so as soon as the link stands.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) early_hole: Option<Stream>,
    /// Dropped with the link, which ends what holds the other ends.
    ends: Vec<oneshot::Sender<Infallible>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its version is not known yet.
    Greeting,
    Ready,
    /// Of another version, or not needed any more; about to be closed.
    Leaving,
}

impl Linked {
    pub(crate) fn link(&self, id: ConnectionId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.current.is_some()
    }

    /// Whether requests and messages that come by the link are taken.
    pub(crate) fn hears(&self, id: ConnectionId) -> bool {
        self.is_ready() && self.link(id).is_some_and(|link| link.stage != Stage::Greeting)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.link(self.current?).map(|link| &link.path)
    }

    pub(crate) fn reach(&self) -> Reach {
        match self.path() {
            None => Reach::None,
            Some(Path::Circuit { .. }) => Reach::Relayed,
            Some(_) => Reach::Direct,
        }
    }
}

impl Link {
    /// Whether it is better than an older one of the same session. Links that were dialled by both at once are judged by who
    /// dialled, so that both keep the same one; else the newer is the better, for the older may be dead on the other side.
    fn is_better_than(&self, other: &Link, own: PeerId, their: PeerId) -> bool {
        let relayed = |link: &Link| matches!(link.path, Path::Circuit { .. });
        // Nobody dials a circuit to whom it is linked with directly: for the other side the direct link is gone.
        let replaces = |circuit: &Link, direct: &Link| {
            !circuit.dialled && circuit.since.saturating_duration_since(direct.since) > AT_ONCE
        };
        match (relayed(self), relayed(other)) {
            (false, true) => !replaces(other, self),
            (true, false) => replaces(self, other),
            _ if self.dialled == other.dialled || self.since.saturating_duration_since(other.since) > AT_ONCE => true,
            _ => self.dialled == (own < their),
        }
    }
}

impl Driver {
    pub(crate) fn on_linked(&mut self, id: PeerId, link: ConnectionId, endpoint: ConnectedPoint) {
        // Other keys are refused before.
        let Some(peer) = Peer::from_id(id) else { return self.close(link) };
        let (dialled, address) = match endpoint {
            // Two that open a hole for each other both dial, and one has the other part.
            ConnectedPoint::Dialer { address, role_override, .. } => (role_override == Endpoint::Dialer, address),
            ConnectedPoint::Listener { send_back_addr, .. } => (false, send_back_addr),
        };
        let carrier = circuit_of(&address).and_then(|(carrier, _)| Peer::from_id(carrier));
        let path = match (self.dials.remove(&link), carrier) {
            (Some(Dial::Url { url, .. }), _) => Path::Relay { url },
            (_, Some(carrier)) => Path::Circuit { carrier },
            (Some(Dial::Friend { .. }), None) => Path::Direct,
            (None, None) if address.iter().any(|part| part == libp2p::multiaddr::Protocol::WebRTC) => Path::Direct,
            // It went through somebody until now.
            (None, None) if self.reach(&id) == Reach::Relayed => Path::Direct,
            (None, None) => Path::Accepted { from: address.to_string() },
        };
        let now = Instant::now();
        let one = Link {
            id: link,
            path,
            address,
            stage: Stage::Greeting,
            dialled,
            #[cfg(not(target_arch = "wasm32"))]
            observed: None,
            since: now,
            rtt: Rtt::default(),
            early: None,
            #[cfg(not(target_arch = "wasm32"))]
            early_hole: None,
            ends: Vec::new(),
        };
        let (requests, messages) = (self.config.requests, self.config.messages);
        let as_relay = |is_relay| messages.times(if is_relay { RELAY_FACTOR } else { 1 });
        let says = as_relay(self.config.hub && matches!(one.path, Path::Accepted { .. }));
        let messages = as_relay(matches!(one.path, Path::Relay { .. }));
        let linked = self.linked.entry(id).or_insert_with(|| Linked {
            peer,
            links: Vec::new(),
            current: None,
            session: None,
            admitted: false,
            requests: Bucket::new(requests, now),
            streams: Bucket::new(requests, now),
            messages: Bucket::new(messages, now),
            handed_on: Bucket::new(messages.part(HANDED_ON_OF_ONE), now),
            says: Bucket::new(says, now),
            frames_heard: Bucket::new(messages.times(FRAMES_PER_MESSAGE), now),
            flooding: Bucket::new(FLOODING, now),
            asked: Count::default(),
            asking: Count::default(),
            #[cfg(not(target_arch = "wasm32"))]
            passed_on: Count::default(),
            heard: Count::default(),
            frames: None,
        });
        if linked.links.len() >= MAX_LINKS_PER_PEER {
            if let Path::Relay { url } = one.path {
                self.events.push_back(Event::DialFailed { peer, url, reason: DialError::TooMany });
            }
            return self.close(link);
        }
        linked.links.push(one);
        self.greet(id, link);
        self.ping(id, link);
    }

    /// A link has ended; what that means for the consumer.
    pub(crate) fn drop_link(&mut self, id: PeerId, link: ConnectionId) {
        let Some(linked) = self.linked.get_mut(&id) else { return };
        let Some(at) = linked.links.iter().position(|one| one.id == link) else { return };
        let gone = linked.links.remove(at);
        let peer = linked.peer;
        if let (Stage::Greeting, Path::Relay { url }) = (gone.stage, &gone.path) {
            let (url, reason) = (url.clone(), DialError::Dropped);
            self.events.push_back(Event::DialFailed { peer, url, reason });
        }
        // It stood, and came to nothing.
        let in_vain = gone.stage == Stage::Greeting && gone.dialled && linked.current.is_none();
        if linked.current == Some(link) {
            let own = *self.swarm.local_peer_id();
            let ready = linked.links.iter().filter(|link| link.stage == Stage::Ready);
            let next = ready.reduce(|best, link| if link.is_better_than(best, own, id) { link } else { best });
            match next.map(|link| (link.id, link.path.clone())) {
                Some((next, path)) => {
                    linked.current = Some(next);
                    self.events.push_back(Event::Moved { peer, path });
                    self.speak(id, next);
                    self.gossip.lost(id);
                }
                None => {
                    (linked.current, linked.session, linked.frames) = (None, None, None);
                    self.parted(id);
                    self.events.push_back(Event::Disconnected { peer });
                }
            }
        }
        let Some(linked) = self.linked.get(&id) else { return };
        let reach = linked.reach();
        if linked.session.is_none()
            && let Some(current) = linked.current
        {
            self.rouse(id, current, 0);
        }
        if linked.links.is_empty() {
            self.linked.remove(&id);
            #[cfg(not(target_arch = "wasm32"))]
            self.store.left(peer);
        }
        self.overlay.reached(id, reach, Instant::now());
        match gone.path {
            Path::Circuit { carrier } if in_vain => self.friend_failed(id, carrier.to_id(), true, Why::Broken),
            // Beside the link that goes through somebody.
            Path::Direct if gone.stage == Stage::Greeting && gone.dialled => {
                self.friend_failed(id, None, true, Why::Broken);
            }
            _ => {}
        }
    }

    pub(crate) fn hello(&self) -> Bytes {
        let hello = Hello { version: self.config.version, agent: agent(&self.config), session: self.session };
        postcard::to_allocvec(&hello).unwrap_or_default().into()
    }

    fn greet(&mut self, id: PeerId, link: ConnectionId) {
        let hello = Frame { code: HELLO, payload: self.hello() };
        let opening = self.swarm.behaviour_mut().streams.open(id, link, requests::PROTOCOL);
        let asked = requests::ask(opening, hello, self.bounds);
        self.report(async move { Some(Report::Hello { id, link, answer: asked.await }) });
    }

    fn ping(&mut self, id: PeerId, link: ConnectionId) {
        let Some(rtt) = self.linked.get(&id).and_then(|linked| linked.link(link)).map(|link| link.rtt.clone()) else {
            return;
        };
        let opening = self.swarm.behaviour_mut().streams.open(id, link, ping::PROTOCOL);
        let every = self.config.ping;
        self.report(async move {
            let stopped = ping::keep(opening, every, every.min(PING_TIMEOUT), rtt).await;
            Some(Report::Ping { id, link, stopped })
        });
    }

    pub(crate) fn on_ping_stopped(&mut self, id: PeerId, link: ConnectionId, stopped: ping::Stopped) {
        match stopped {
            ping::Stopped::Unsupported => {}
            // Once more, on a new stream.
            ping::Stopped::Silent(answered) if answered > 0 => self.ping(id, link),
            ping::Stopped::Silent(_) => {
                tracing::debug!(%id, "link is dead");
                self.close(link);
            }
        }
    }

    pub(crate) fn on_hello(&mut self, id: PeerId, link: ConnectionId, answer: Result<Bytes, RequestError>) {
        match answer {
            Ok(hello) => {
                if !self.on_version(id, link, &hello) {
                    self.close(link);
                }
            }
            Err(RequestError::Unsupported) if self.config.open => self.ready(id, link, None),
            Err(error) => {
                tracing::debug!(%id, %error, "no version told");
                self.close(link);
            }
        }
    }

    /// A peer's hello; `false`: it is none.
    pub(crate) fn on_version(&mut self, id: PeerId, link: ConnectionId, hello: &[u8]) -> bool {
        let ours = self.config.version;
        let Some((theirs, session)) = read_hello(hello, ours) else { return false };
        let Some(linked) = self.linked.get_mut(&id) else { return true };
        let peer = linked.peer;
        let Some(one) = linked.links.iter_mut().find(|one| one.id == link && one.stage == Stage::Greeting) else {
            return true;
        };
        if theirs == ours {
            self.ready(id, link, session);
        } else {
            one.stage = Stage::Leaving;
            self.events.push_back(Event::Refused { peer, theirs, ours });
            self.close_after(REFUSAL_GRACE, link);
        }
        true
    }

    /// A link may be used.
    fn ready(&mut self, id: PeerId, link: ConnectionId, session: Option<u64>) {
        let own = *self.swarm.local_peer_id();
        let Some(linked) = self.linked.get_mut(&id) else { return };
        let Some(at) = linked.links.iter().position(|one| one.id == link && one.stage == Stage::Greeting) else {
            return;
        };
        linked.links[at].stage = Stage::Ready;
        let (peer, path) = (linked.peer, linked.links[at].path.clone());
        let mut leaving = Vec::new();
        let early = linked.links[at].early.take();
        #[cfg(not(target_arch = "wasm32"))]
        let (early_hole, dialled) = (linked.links[at].early_hole.take(), linked.links[at].dialled);
        let (mut speaks, mut comes) = (true, false);
        match linked.current {
            Some(current) if linked.session == session => {
                speaks = linked.link(current).is_none_or(|old| linked.links[at].is_better_than(old, own, id));
                leaving.push((if speaks { current } else { link }, DRAIN));
                if speaks {
                    linked.current = Some(link);
                    self.events.push_back(Event::Moved { peer, path });
                }
            }
            before => {
                comes = true;
                if before.is_some() {
                    self.events.push_back(Event::Disconnected { peer });
                }
                let others = linked.links.iter().filter(|one| one.id != link && one.stage == Stage::Ready);
                leaving.extend(others.map(|one| (one.id, Duration::ZERO)));
                (linked.current, linked.session) = (Some(link), session);
                self.events.push_back(Event::Connected { peer, path });
            }
        }
        for one in &mut linked.links {
            if leaving.iter().any(|(id, _)| *id == one.id) {
                one.stage = Stage::Leaving;
            }
        }
        let reach = linked.reach();
        self.overlay.met(id, session);
        for (link, after) in leaving {
            self.close_after(after, link);
        }
        if speaks {
            self.speak(id, link);
            // What was on its way by the old one may have gone with it.
            self.gossip.lost(id);
        }
        if comes {
            self.met(id, peer);
            self.overlay.carrier_came(Instant::now());
        }
        // It may be the one that was dialled.
        self.look_at_guest(id);
        if let Some(stream) = early {
            self.listen(id, link, stream);
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.ask_where_it_is_seen(id, link);
        self.overlay.reached(id, reach, Instant::now());
        #[cfg(not(target_arch = "wasm32"))]
        match early_hole {
            Some(stream) => self.on_punch_stream(id, link, stream),
            // Another program's: it keeps DCUtR's rule, that who was dialled by the circuit begins.
            None if session.is_none() && !dialled => self.overlay.is_waited_for(id, Instant::now()),
            None => {}
        }
    }

    fn close_after(&self, time: Duration, link: ConnectionId) {
        self.report(async move {
            Delay::new(time).await;
            Some(Report::Close(link))
        });
    }

    /// Resolves when a link is gone. A link has as many as it has streams in use.
    pub(crate) fn gone(&mut self, id: PeerId, link: ConnectionId) -> Option<oneshot::Receiver<Infallible>> {
        let links = &mut self.linked.get_mut(&id)?.links;
        let ends = &mut links.iter_mut().find(|one| one.id == link)?.ends;
        ends.retain(|end| !end.is_closed());
        let (end, gone) = oneshot::channel();
        ends.push(end);
        Some(gone)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn link(path: Path, dialled: bool, since: Instant) -> Link {
        Link {
            id: ConnectionId::new_unchecked(0),
            path,
            address: Multiaddr::empty(),
            stage: Stage::Ready,
            dialled,
            #[cfg(not(target_arch = "wasm32"))]
            observed: None,
            since,
            rtt: Rtt::default(),
            early: None,
            #[cfg(not(target_arch = "wasm32"))]
            early_hole: None,
            ends: Vec::new(),
        }
    }

    /// A direct link is better, but for one that the other side has given up, or it would not have dialled a circuit.
    #[test]
    fn of_a_direct_link_and_a_circuit_both_orders_are_judged_alike() {
        let (own, their, now) = (PeerId::random(), PeerId::random(), Instant::now());
        let circuit = |dialled, after: u64| {
            link(Path::Circuit { carrier: Peer([1; 32]) }, dialled, now + Duration::from_secs(after))
        };
        let direct = link(Path::Direct, true, now);
        for (circuit, better) in [
            (circuit(false, 0), false),
            (circuit(false, 9), false),
            (circuit(false, 11), true),
            (circuit(true, 11), false),
        ] {
            assert_eq!(circuit.is_better_than(&direct, own, their), better);
            assert_eq!(direct.is_better_than(&circuit, own, their), !better);
        }
    }
}
