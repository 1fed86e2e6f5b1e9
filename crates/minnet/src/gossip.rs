//! GossipSub, configured for circles, and made to see a peer that comes back as one that comes.
//!
//! GossipSub announces subscriptions only on a peer's first link. A tab that is reloaded comes back with the same key
//! while its old link still seems alive, and would never learn what we subscribe to. So a new link of the same kind makes
//! the older ones forgotten: to GossipSub the peer goes and comes again, and what the older ones still say is ignored. A
//! direct link beside a relayed one is the same peer's further link; nothing is lost when the relayed one is closed.

use std::{
    collections::HashMap,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    gossipsub::{
        self, Behaviour, CallbackSubscriptionFilter, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter,
        MessageAuthenticity, MessageId, TopicHash, ValidationMode,
    },
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};

use crate::{
    Config, Peer, Topic,
    limits::{GOSSIP_OVERHEAD, GOSSIP_QUEUE, MAX_TOPICS, MIN_TRANSMIT},
    transport::is_relayed,
};

/// Only names that are 32 bytes in hex are topics.
type HexTopics = CallbackSubscriptionFilter<fn(&TopicHash) -> bool>;

pub(crate) type Inner = Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<HexTopics>>;

/// GossipSub's name of a topic.
pub(crate) fn to_ident(topic: &Topic) -> IdentTopic {
    IdentTopic::new(topic.to_string())
}

/// The topic of a name, if it is one of ours.
pub(crate) fn from_hash(hash: &TopicHash) -> Option<Topic> {
    crate::from_hex(hash.as_str()).map(Topic)
}

fn is_topic(hash: &TopicHash) -> bool {
    from_hash(hash).is_some()
}

/// Sizes for circles of 2 to 1,000 of which most are linked to a relay only. Such a hub must push to everybody: whoever
/// is not in its mesh would hear of a message by the next heartbeats' gossip, or never.
fn config(config: &Config) -> Result<gossipsub::Config, gossipsub::ConfigBuilderError> {
    let (low, n, high) = if config.hub { (4_096, 4_096, 8_192) } else { (4, 6, 12) };
    ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            let mut hasher = blake3::Hasher::new_derive_key("ledgerno v1 gossip message id");
            hasher.update(message.topic.as_str().as_bytes());
            hasher.update(&message.data);
            MessageId::new(hasher.finalize().as_bytes())
        })
        .max_transmit_size(config.max_message.max(MIN_TRANSMIT) + GOSSIP_OVERHEAD)
        .flood_publish(true)
        .mesh_n_low(low)
        .mesh_n(n)
        .mesh_n_high(high)
        .mesh_outbound_min(0)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_secs(1))
        .duplicate_cache_time(Duration::from_secs(60))
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .max_publish_messages(GOSSIP_QUEUE)
        .max_control_messages_sent(1_000)
        .build()
}

/// Why a link was refused before it stood.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer's key is no Ed25519 key")]
pub(crate) struct OtherKey;

/// GossipSub, and the links that it knows of.
pub(crate) struct Gossip {
    inner: Inner,
    /// Bounded by the limit of links.
    seen: HashMap<PeerId, Vec<(ConnectionId, ConnectedPoint)>>,
}

impl Gossip {
    pub(crate) fn new(from: &Config) -> Result<Self, String> {
        let config = config(from).map_err(|error| error.to_string())?;
        let filter = MaxCountSubscriptionFilter {
            filter: CallbackSubscriptionFilter(is_topic as fn(&TopicHash) -> bool),
            max_subscribed_topics: MAX_TOPICS,
            max_subscriptions_per_request: MAX_TOPICS,
        };
        let inner = Inner::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)?;
        Ok(Gossip { inner, seen: HashMap::new() })
    }

    pub(crate) fn inner(&mut self) -> &mut Inner {
        &mut self.inner
    }

    /// Before a new link: unless it goes beside the older ones, they are gone.
    fn make_way(&mut self, peer: PeerId, address: &Multiaddr) {
        let older = self.seen.get(&peer);
        let beside = !is_relayed(address)
            && older.is_some_and(|older| older.iter().all(|(_, endpoint)| is_relayed(endpoint.get_remote_address())));
        if !beside {
            while let Some((link, _)) = self.seen.get(&peer).and_then(|seen| seen.first()) {
                self.forget(peer, *link);
            }
        }
    }

    /// A link is gone.
    fn forget(&mut self, peer_id: PeerId, link: ConnectionId) {
        let Some(seen) = self.seen.get_mut(&peer_id) else { return };
        let Some(at) = seen.iter().position(|(one, _)| *one == link) else { return };
        let (connection_id, endpoint) = seen.swap_remove(at);
        let remaining_established = seen.len();
        if seen.is_empty() {
            self.seen.remove(&peer_id);
        }
        self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id,
            connection_id,
            endpoint: &endpoint,
            cause: None,
            remaining_established,
        }));
    }
}

fn check_key(peer: PeerId) -> Result<(), ConnectionDenied> {
    Peer::from_id(peer).map(|_| ()).ok_or_else(|| ConnectionDenied::new(OtherKey))
}

impl NetworkBehaviour for Gossip {
    type ConnectionHandler = <Inner as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = gossipsub::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        check_key(peer)?;
        self.make_way(peer, remote);
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        check_key(peer)?;
        self.make_way(peer, address);
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                let seen = self.seen.entry(event.peer_id).or_default();
                let further = ConnectionEstablished { other_established: seen.len(), ..event };
                seen.push((event.connection_id, event.endpoint.clone()));
                self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(further));
            }
            FromSwarm::ConnectionClosed(event) => self.forget(event.peer_id, event.connection_id),
            event => self.inner.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        if self.seen.get(&peer).is_some_and(|seen| seen.iter().any(|(link, _)| *link == connection)) {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}
