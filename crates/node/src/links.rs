//! Links to relays: dialled again when they fail or break, sooner when the page wakes up.

use crate::driver::Node;
use crate::error::NodeError;
use crate::profile;
use crate::rt;
use crate::store::{Space, Store};
use futures::channel::oneshot;
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_minnet::{self as minnet, DialError, Peer, Way, Why};
use std::time::Duration;

/// The first pause before dialling again; it doubles.
const REDIAL: Duration = Duration::from_millis(300);
/// The longest pause.
const MAX_REDIAL: Duration = Duration::from_secs(20);
/// How long a person waits for a link before being told that there is none.
const PATIENCE: Duration = Duration::from_secs(12);

/// How a node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// It is the relay itself.
    Relay,
    /// Through a relay, or through another friend.
    Relayed {
        /// Through whom.
        by: DeviceId,
    },
    /// Directly.
    Direct,
}

impl From<&minnet::Path> for Path {
    fn from(path: &minnet::Path) -> Self {
        match path {
            minnet::Path::Relay { .. } => Path::Relay,
            minnet::Path::Circuit { carrier } => Path::Relayed { by: DeviceId(carrier.0) },
            minnet::Path::Direct | minnet::Path::Accepted { .. } => Path::Direct,
        }
    }
}

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Being dialled.
    Connecting,
    /// It stands.
    Connected,
    /// Between two attempts.
    Off,
}

/// A node that a link stands to.
#[derive(Clone, Copy, Debug)]
pub struct Up {
    /// How it is reached.
    pub path: Path,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Whether it may use circuits by this node.
    pub(crate) admitted: bool,
}

/// A relay to which a link is kept.
struct Kept {
    address: RelayAddress,
    state: LinkState,
    failures: u32,
    /// Numbers the attempts, so that an old timer does not dial.
    attempt: u64,
    waiters: Vec<oneshot::Sender<Result<(), NodeError>>>,
    refused: Option<NodeError>,
}

/// The last attempt at a friend that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Whether it was for a direct link; else for one through somebody.
    pub direct: bool,
    /// Why it came to nothing.
    pub why: Why,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// Friends of which the last attempt is remembered.
const MAX_TRIED: usize = 256;

/// All links, by the other's device key.
#[derive(Default)]
pub(crate) struct Links {
    up: SortedMap<DeviceId, Up>,
    kept: SortedMap<DeviceId, Kept>,
    tried: SortedMap<DeviceId, Tried>,
    standings: minnet::Standings,
}

impl Links {
    pub(crate) fn new(standings: minnet::Standings) -> Self {
        Links { standings, ..Links::default() }
    }

    pub(crate) fn is_up(&self, peer: &DeviceId) -> bool {
        self.up.contains_key(peer)
    }

    pub(crate) fn up(&self) -> impl Iterator<Item = (&DeviceId, &Up)> {
        self.up.iter()
    }

    pub(crate) fn tried(&self, peer: &DeviceId) -> Option<Tried> {
        self.tried.get(peer).copied()
    }

    pub(crate) fn url(&self, peer: &DeviceId) -> Option<String> {
        self.kept.get(peer).map(|kept| kept.address.url.clone())
    }

    /// Where the link to a relay stands, and why it does not.
    pub(crate) fn relay(&self, peer: &DeviceId) -> Option<(LinkState, Option<&NodeError>)> {
        self.kept.get(peer).map(|kept| (kept.state, kept.refused.as_ref()))
    }
}

impl<S: Store> Node<S> {
    /// Keeps a link to a relay from now on.
    pub(crate) fn keep_link(&self, address: RelayAddress) {
        let peer = address.peer;
        {
            let mut state = self.0.state.borrow_mut();
            if state.links.kept.contains_key(&peer) {
                return;
            }
            let kept =
                Kept { address, state: LinkState::Off, failures: 0, attempt: 0, waiters: Vec::new(), refused: None };
            state.links.kept.insert(peer, kept);
        }
        self.dial(peer);
    }

    /// Gives up a link that no circle needs, to a relay that a foreign invite named.
    pub(crate) fn forget_link(&self, peer: &DeviceId) {
        let mut state = self.0.state.borrow_mut();
        let needed = state.circles.values().any(|circle| circle.record.relays.iter().any(|relay| relay.peer == *peer));
        if !needed && !state.links.is_up(peer) && state.links.kept.len() > 1 {
            state.links.kept.remove(peer);
        }
    }

    /// Waits for a link to a relay.
    pub(crate) async fn link(&self, address: &RelayAddress) -> Result<(), NodeError> {
        self.keep_link(address.clone());
        let unreachable = NodeError::Unreachable { url: address.url.clone() };
        let linked = {
            let mut state = self.0.state.borrow_mut();
            if state.links.is_up(&address.peer) {
                return Ok(());
            }
            let (sender, receiver) = oneshot::channel();
            let kept = state.links.kept.get_mut(&address.peer).ok_or_else(|| unreachable.clone())?;
            kept.waiters.push(sender);
            receiver
        };
        self.hurry();
        let late = Box::pin(rt::sleep(PATIENCE));
        match futures::future::select(linked, late).await {
            futures::future::Either::Left((linked, _)) => linked.map_err(|_| NodeError::Closed)?,
            futures::future::Either::Right(_) => Err(unreachable),
        }
    }

    /// Dials at once what is not linked: the page woke up, or is online again.
    pub fn hurry(&self) {
        if let Err(error) = self.0.net.hurry() {
            tracing::debug!(%error, "the network does not hurry");
        }
        let off: Vec<DeviceId> = {
            let mut state = self.0.state.borrow_mut();
            state
                .links
                .kept
                .iter_mut()
                .filter(|(_, kept)| kept.state == LinkState::Off)
                .map(|(peer, kept)| {
                    kept.failures = 0;
                    *peer
                })
                .collect()
        };
        for peer in off {
            self.dial(peer);
        }
    }

    fn dial(&self, peer: DeviceId) {
        let url = {
            let mut state = self.0.state.borrow_mut();
            if state.closed || state.links.is_up(&peer) {
                return;
            }
            let Some(kept) = state.links.kept.get_mut(&peer) else { return };
            if kept.state == LinkState::Connecting {
                return;
            }
            kept.state = LinkState::Connecting;
            kept.attempt += 1;
            kept.address.url.clone()
        };
        if let Err(error) = self.0.net.dial(&url, Peer(peer.0)) {
            tracing::debug!(%error, "not dialled");
            self.link_lost(peer, None);
        }
        self.changed();
    }

    pub(crate) fn linked(&self, peer: DeviceId, path: Path) {
        let (circles, waiters) = {
            let mut state = self.0.state.borrow_mut();
            state.links.up.insert(peer, Up { path, since: rt::now(), admitted: false });
            // Why nobody carried it is of no interest any more.
            if state.links.tried.get(&peer).is_some_and(|tried| !tried.direct || path == Path::Direct) {
                state.links.tried.remove(&peer);
            }
            let mut waiters = Vec::new();
            if let Some(kept) = state.links.kept.get_mut(&peer) {
                (kept.state, kept.failures, kept.refused) = (LinkState::Connected, 0, None);
                waiters = std::mem::take(&mut kept.waiters);
            }
            // A relay meets a device when it first asks.
            let member_node = state.owner.is_none();
            let shared = state.circles.iter().filter(|(_, circle)| circle.is_shared_with(&peer, member_node));
            (shared.map(|(id, _)| *id).collect::<Vec<_>>(), waiters)
        };
        for waiter in waiters {
            waiter.send(Ok(())).ok();
        }
        if !circles.is_empty()
            && path != Path::Relay
            && self.is_member_node()
            && let Err(error) = self.0.net.seek(Peer(peer.0))
        {
            tracing::debug!(%error, "a friend is not sought");
        }
        for circle in circles {
            self.admit(peer);
            self.drive(circle, |engine, now| engine.connected(peer, now));
        }
        if path == Path::Relay && self.is_member_node() {
            self.look_for_friends();
        }
        self.changed();
    }

    /// Lets a peer that shares a circle with this node take part, and use circuits by it.
    pub(crate) fn admit(&self, peer: DeviceId) {
        let mut state = self.0.state.borrow_mut();
        let Some(up) = state.links.up.get_mut(&peer).filter(|up| !up.admitted) else { return };
        match self.0.net.admit(Peer(peer.0)) {
            Ok(()) => up.admitted = true,
            // The next time that it is met.
            Err(error) => tracing::debug!(%error, "not admitted"),
        }
    }

    /// Linked devices that the circle has let in since are friends from now on.
    pub(crate) fn meet_new_friends(&self, circle: CircleId) {
        if !self.is_member_node() {
            return;
        }
        let new: Vec<DeviceId> = {
            let state = self.0.state.borrow();
            let Some(circle) = state.circles.get(&circle) else { return };
            let strangers = state.links.up.iter().filter(|(_, up)| !up.admitted).map(|(peer, _)| *peer);
            strangers.filter(|peer| circle.is_shared_with(peer, true)).collect()
        };
        for peer in new {
            self.admit(peer);
            self.drive(circle, |engine, now| engine.met(peer, now));
        }
    }

    /// A link was replaced by another one.
    pub(crate) fn moved(&self, peer: DeviceId, path: Path) {
        {
            let mut state = self.0.state.borrow_mut();
            if let Some(up) = state.links.up.get_mut(&peer) {
                up.path = path;
            }
            if path == Path::Direct {
                state.links.tried.remove(&peer);
            }
        }
        self.changed();
    }

    /// A link with a friend did not come about. That the friend gave up tells less than what was known before.
    pub(crate) fn tried(&self, peer: DeviceId, way: Way, why: Why) {
        {
            let mut state = self.0.state.borrow_mut();
            let links = &mut state.links;
            if why == Why::GivenUp && links.tried.get(&peer).is_some_and(|tried| tried.direct) {
                return;
            }
            let tried = Tried { direct: way == Way::Direct, why, at: rt::now() };
            if links.tried.len() >= MAX_TRIED {
                links.tried = SortedMap::new();
            }
            links.tried.insert(peer, tried);
        }
        self.changed();
    }

    /// A peer behaved badly: that is known after a restart too.
    pub(crate) fn judged(&self, standing: minnet::Standing) {
        let (standings, space) = {
            let mut state = self.0.state.borrow_mut();
            state.links.standings.put(standing, rt::now());
            (profile::standings_batch(&state.links.standings), state.profile_space.clone())
        };
        rt::spawn(async move {
            if let Err(error) = space.write(standings).await {
                tracing::warn!(%error, "who behaved badly is not known after a restart");
            }
        });
    }

    pub(crate) fn unlinked(&self, peer: DeviceId) {
        let circles: Vec<_> = {
            let mut state = self.0.state.borrow_mut();
            state.links.up.remove(&peer);
            state.circles.keys().copied().collect()
        };
        for circle in circles {
            self.drive(circle, |engine, _| engine.disconnected(peer));
        }
        self.link_lost(peer, None);
        self.changed();
    }

    pub(crate) fn dial_failed(&self, peer: DeviceId, reason: &DialError) {
        tracing::debug!(%reason, "dialling failed");
        let why = {
            let mut state = self.0.state.borrow_mut();
            let url = state.links.url(&peer).unwrap_or_default();
            let known = state.links.kept.get_mut(&peer).and_then(|kept| kept.refused.take());
            match reason {
                DialError::WrongPeer { .. } => Some(NodeError::OtherRelay { url }),
                // A refused link still closes: that tells nothing new.
                DialError::Already | DialError::Dropped | DialError::TooMany => known,
                DialError::Unreachable(_) | DialError::Timeout | DialError::Itself => None,
            }
        };
        self.link_lost(peer, why);
        self.changed();
    }

    pub(crate) fn version_refused(&self, peer: DeviceId, theirs: u16, ours: u16) {
        self.link_lost(peer, Some(NodeError::Version { theirs, ours }));
        self.changed();
    }

    /// No link: tell who waits, and dial again after a pause.
    fn link_lost(&self, peer: DeviceId, why: Option<NodeError>) {
        let (attempt, pause, waiters, error) = {
            let mut state = self.0.state.borrow_mut();
            if state.links.is_up(&peer) {
                return;
            }
            let Some(kept) = state.links.kept.get_mut(&peer) else { return };
            kept.state = LinkState::Off;
            let pause = REDIAL.saturating_mul(1 << kept.failures.min(10)).min(MAX_REDIAL);
            kept.failures = kept.failures.saturating_add(1);
            let error = why.clone().unwrap_or_else(|| NodeError::Unreachable { url: kept.address.url.clone() });
            if why.is_some() {
                kept.refused = why;
                kept.failures = kept.failures.max(10);
            }
            (kept.attempt, pause, std::mem::take(&mut kept.waiters), error)
        };
        for waiter in waiters {
            waiter.send(Err(error.clone())).ok();
        }
        let node = self.clone();
        rt::spawn(async move {
            rt::sleep(pause).await;
            let current = node.0.state.borrow().links.kept.get(&peer).is_some_and(|kept| kept.attempt == attempt);
            if current {
                node.dial(peer);
            }
        });
    }
}
