//! Two nodes in one process that link directly, over simulated peer connections:
//! `cargo run -p ledgerno-webrtc --example two_nodes --features memory`. In a page the backend is `browser::Browser`, and the
//! first connection goes by a relay; the folder `example` has that.

use std::{error::Error, sync::Arc};

use futures::{StreamExt, future::select};
use ledgerno_webrtc::{Config, memory::Memory};
use libp2p::{
    Multiaddr, Swarm, Transport,
    core::{muxing::StreamMuxerBox, transport::MemoryTransport, upgrade::Version},
    identity::Keypair,
    multiaddr::Protocol,
    noise, ping,
    swarm::{self, NetworkBehaviour, SwarmEvent, dial_opts::DialOpts, dial_opts::PeerCondition},
    yamux,
};

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
struct Node {
    signalling: ledgerno_webrtc::Behaviour,
    ping: ping::Behaviour,
}

fn node(backend: &Memory, port: u64) -> Result<Swarm<Node>, Box<dyn Error>> {
    let key = Keypair::generate_ed25519();
    let peer = key.public().to_peer_id();
    let (webrtc, signalling) = ledgerno_webrtc::new(peer, Config::default(), Arc::new(backend.clone()));
    let carrier = MemoryTransport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key)?)
        .multiplex(yamux::Config::default());
    // WebRTC first: a transport that carries might take its addresses for its own.
    let transport = webrtc
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .or_transport(carrier.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))))
        .map(|either, _| either.into_inner())
        .boxed();
    let behaviour = Node { signalling, ping: ping::Behaviour::default() };
    let mut swarm = Swarm::new(transport, behaviour, peer, swarm::Config::with_tokio_executor());
    swarm.listen_on(Protocol::Memory(port).into())?;
    swarm.listen_on(Protocol::WebRTC.into())?;
    Ok(swarm)
}

/// What a node does: whoever dials goes direct as soon as it is linked, and is content when a ping came back by that.
async fn run(mut swarm: Swarm<Node>, name: &str) -> Result<(), Box<dyn Error>> {
    let mut direct = None;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                println!("{name}: linked by {}", endpoint.get_remote_address());
                if endpoint.get_remote_address().iter().any(|part| part == Protocol::WebRTC) {
                    direct = Some(connection_id);
                } else if endpoint.is_dialer() {
                    let address: Multiaddr = Multiaddr::from(Protocol::WebRTC).with(Protocol::P2p(peer_id));
                    // The peer is connected already, and is dialled all the same.
                    let opts = DialOpts::peer_id(peer_id).addresses(vec![address]);
                    swarm.dial(opts.condition(PeerCondition::Always).build())?;
                }
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            SwarmEvent::Behaviour(NodeEvent::Ping(ping)) if Some(ping.connection) == direct => {
                println!("{name}: ping over the direct link: {:?}", ping.result?);
                return Ok(());
            }
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = Memory::new(|task| drop(tokio::spawn(task)));
    let (mut ann, ben) = (node(&backend, 1)?, node(&backend, 2)?);
    ann.dial(Multiaddr::from(Protocol::Memory(2)))?;
    let (ann, ben) = (Box::pin(run(ann, "Ann")), Box::pin(run(ben, "Ben")));
    // Who is content first ends its node; that is enough.
    select(ann, ben).await.factor_first().0
}
