//! Our native links beside those of libp2p in Rust: TCP, circuits, and holes in NATs, whoever begins.
//!
//! By QUIC the same was seen to hold, with libp2p-quic 0.14. It is not here, for that crate brings a second crypto provider.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::SocketAddr;

use common::{Node, PATIENCE, config, node};
use futures::StreamExt;
use ledgerno_minnet::{Config, Event, Listen, Path, Peer};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, dcutr, identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise, ping, relay,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio::time::timeout;

#[derive(NetworkBehaviour)]
struct Protocols {
    circuits: relay::client::Behaviour,
    holes: dcutr::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

struct Theirs(Swarm<Protocols>);

impl Theirs {
    /// One whose key is as wanted.
    fn new(wanted: impl Fn(Peer) -> bool) -> Self {
        let keys = std::iter::repeat_with(Keypair::generate_ed25519);
        let key = keys.take(1_000).find(|key| wanted(peer(&key.public().to_peer_id()))).unwrap();
        let swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|key: &Keypair, circuits| Protocols {
                circuits,
                holes: dcutr::Behaviour::new(key.public().to_peer_id()),
                identify: identify::Behaviour::new(identify::Config::new("/test/0".into(), key.public())),
                ping: ping::Behaviour::default(),
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        Theirs(swarm)
    }

    fn id(&self) -> PeerId {
        *self.0.local_peer_id()
    }

    fn peer(&self) -> Peer {
        peer(&self.id())
    }

    /// The first event that `wanted` takes; those before it are passed over.
    async fn until<T>(&mut self, mut wanted: impl FnMut(SwarmEvent<ProtocolsEvent>) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = wanted(self.0.select_next_some().await) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("an event in time")
    }

    async fn listen(&mut self) -> Multiaddr {
        self.listen_at("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await
    }

    async fn listen_at(&mut self, at: Multiaddr) -> Multiaddr {
        self.0.listen_on(at).unwrap();
        self.until(|event| match event {
            SwarmEvent::NewListenAddr { address, .. } => Some(address),
            SwarmEvent::ListenerClosed { reason, .. } => panic!("{reason:?}"),
            _ => None,
        })
        .await
    }

    /// A ping comes back, and identify tells who is there.
    async fn speaks_with(&mut self, other: Peer) {
        let (mut pinged, mut told) = (false, false);
        self.until(|event| {
            match event {
                SwarmEvent::Behaviour(ProtocolsEvent::Ping(event)) if peer(&event.peer) == other => {
                    pinged |= event.result.is_ok();
                }
                SwarmEvent::Behaviour(ProtocolsEvent::Identify(identify::Event::Received {
                    peer_id, info, ..
                })) if peer(&peer_id) == other => {
                    assert_eq!(info.agent_version, "test/0");
                    told = true;
                }
                _ => {}
            }
            (pinged && told).then_some(())
        })
        .await;
    }

    /// Runs until `other` is through.
    async fn with<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            done = other => done,
            _ = async { loop { self.0.select_next_some().await; } } => unreachable!(),
        }
    }
}

fn peer(id: &PeerId) -> Peer {
    Peer(id.to_bytes()[6..].try_into().unwrap())
}

fn id(peer: Peer) -> PeerId {
    PeerId::from_bytes(&[&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20][..], &peer.0].concat()).unwrap()
}

/// A node that takes those of other programs.
fn open(name: u8, hub: bool) -> Node {
    let at = Listen::Tcp("127.0.0.1:0".parse().unwrap());
    node(Config { open: true, hub, listen: vec![at], ..config(name) })
}

/// Where a node listens, as theirs has it and as ours has it.
async fn listens(node: &mut Node) -> (Multiaddr, String) {
    let url = node
        .until(|event| match event {
            Event::Listening { url } => Some(url),
            Event::NotListening { why, .. } => panic!("{why}"),
            _ => None,
        })
        .await;
    let socket: SocketAddr = url.strip_prefix("tcp://").unwrap().parse().unwrap();
    let at = Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()));
    (at.with(Protocol::P2p(id(node.peer()))), url)
}

#[tokio::test]
async fn they_are_linked_whoever_dials() {
    let (mut ours, mut theirs) = (open(1, false), Theirs::new(|_| true));
    let (address, _) = listens(&mut ours).await;
    theirs.0.dial(address).unwrap();
    theirs.speaks_with(ours.peer()).await;
    let friend = theirs.peer();
    theirs.with(ours.connected(friend)).await;

    let (mut ours, mut theirs) = (open(2, false), Theirs::new(|_| true));
    let port = theirs.listen().await.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    ours.net.dial(&format!("tcp://127.0.0.1:{}", port.unwrap()), theirs.peer()).unwrap();
    theirs.speaks_with(ours.peer()).await;
    let friend = theirs.peer();
    theirs.with(ours.connected(friend)).await;
}

/// Their node with a reservation at our hub, and ours linked to the hub. Of two friends the lower dials; `ours_is_lower` says
/// who that is.
async fn at_our_hub(ours_is_lower: bool) -> (Node, Node, Theirs, Multiaddr) {
    let mut hub = open(1, true);
    let (hub_at, hub_url) = listens(&mut hub).await;
    let mut ours = open(2, false);
    let mut theirs = Theirs::new(|theirs| (ours.peer() < theirs) == ours_is_lower);
    theirs.listen().await;
    theirs.0.dial(hub_at.clone()).unwrap();
    // Where the hub sees it: without that it has nothing to tell of itself.
    theirs
        .until(|event| match event {
            SwarmEvent::NewExternalAddrCandidate { .. } => Some(()),
            _ => None,
        })
        .await;
    let circuits = hub_at.with(Protocol::P2pCircuit);
    theirs.listen_at(circuits.clone()).await;
    ours.net.dial(&hub_url, hub.peer()).unwrap();
    theirs.with(ours.connected(hub.peer())).await;
    (hub, ours, theirs, circuits)
}

/// Ours was linked by a circuit, and is directly, as theirs says too.
async fn goes_direct(ours: &mut Node, theirs: &mut Theirs) {
    let friend = theirs.peer();
    let (mut relayed, mut direct) = (false, false);
    let moved = ours.until(|event| {
        match event {
            Event::Connected { peer, path } if peer == friend => relayed = matches!(path, Path::Circuit { .. }),
            Event::Moved { peer, path } if peer == friend => direct = path == Path::Direct,
            _ => {}
        }
        direct.then_some(())
    });
    theirs.with(moved).await;
    assert!(relayed);
}

#[tokio::test]
async fn to_whom_it_dials_by_a_circuit_a_hole_is_opened() {
    let (_hub, mut ours, mut theirs, _) = at_our_hub(true).await;
    ours.net.seek(theirs.peer()).unwrap();
    goes_direct(&mut ours, &mut theirs).await;
}

#[tokio::test]
async fn for_who_comes_by_a_circuit_a_hole_is_opened() {
    let (_hub, mut ours, mut theirs, circuits) = at_our_hub(false).await;
    ours.net.seek(theirs.peer()).unwrap();
    theirs.0.dial(circuits.with(Protocol::P2p(id(ours.peer())))).unwrap();
    goes_direct(&mut ours, &mut theirs).await;
}
