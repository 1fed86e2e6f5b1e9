//! Two tabs that chat without anybody between. Each is linked with a relay by a WebSocket and can be reached there; one calls
//! the other through it, both link by WebRTC, and what they say goes from browser to browser. `README.md` says how to run it.
#![cfg(target_arch = "wasm32")]

use std::{iter, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt, channel::mpsc, future::BoxFuture, select};
use futures_timer::Delay;
use js_sys::Function;
use ledgerno_webrtc::{Config, browser::Browser};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, Transport,
    core::{muxing::StreamMuxerBox, upgrade::Version},
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay,
    request_response::{self, Message, ProtocolSupport, json},
    swarm::{self, ConnectionId, NetworkBehaviour, SwarmEvent},
    websocket_websys, yamux,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

const CHAT: StreamProtocol = StreamProtocol::new("/chat/1");
/// What waits to be done.
const QUEUE: usize = 16;
/// An unused link is kept for so long.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the way through the relay stays beside the direct one, for what is under way on it.
const DRAIN: Duration = Duration::from_secs(2);

#[derive(NetworkBehaviour)]
struct Behaviour {
    relay: relay::client::Behaviour,
    signalling: ledgerno_webrtc::Behaviour,
    chat: json::Behaviour<String, ()>,
}

enum Do {
    Call(Multiaddr),
    Say(String),
    Close(ConnectionId),
}

/// A tab's node.
#[wasm_bindgen]
pub struct Chat {
    address: Multiaddr,
    todo: mpsc::Sender<Do>,
}

#[wasm_bindgen]
impl Chat {
    /// Starts it at a relay: `/ip4/…/tcp/…/ws/p2p/…`. `tell(what, detail)` hears `reachable`, `relayed`, `direct`, `heard`,
    /// `gone` and `failed`.
    #[wasm_bindgen(constructor)]
    pub fn new(relay: &str, tell: Function) -> Result<Chat, JsError> {
        let key = Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let circuit = relay.parse::<Multiaddr>()?.with(Protocol::P2pCircuit);
        let mut swarm = swarm(&key)?;
        swarm.listen_on(circuit.clone())?;
        swarm.listen_on(Protocol::WebRTC.into())?;
        let (todo, todos) = mpsc::channel(QUEUE);
        spawn_local(run(swarm, todos, todo.clone(), tell));
        Ok(Chat { address: circuit.with(Protocol::WebRTC).with(Protocol::P2p(peer)), todo })
    }

    /// What others call.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Links with another tab.
    pub fn call(&mut self, address: &str) -> Result<(), JsError> {
        Ok(self.todo.try_send(Do::Call(address.parse()?))?)
    }

    /// Says something to everybody who is linked.
    pub fn say(&mut self, words: String) -> Result<(), JsError> {
        Ok(self.todo.try_send(Do::Say(words))?)
    }
}

fn swarm(key: &Keypair) -> Result<Swarm<Behaviour>, JsError> {
    let peer = key.public().to_peer_id();
    let (circuits, relay) = relay::client::new(peer);
    // With STUN servers (`ice_servers: vec![IceServer::new(DEFAULT_STUN)]`) also over the internet.
    let (webrtc, signalling) = ledgerno_webrtc::new(peer, Config::default(), Arc::new(Browser));
    // Circuits first: a WebSocket would take their addresses for its own.
    let carried = circuits
        .or_transport(websocket_websys::Transport::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default());
    // And WebRTC before both.
    let transport = webrtc
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .or_transport(carried.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))))
        .map(|either, _| either.into_inner())
        .boxed();
    let chat = json::Behaviour::new(iter::once((CHAT, ProtocolSupport::Full)), request_response::Config::default());
    let config = swarm::Config::with_executor(|task: BoxFuture<'static, ()>| spawn_local(task));
    let behaviour = Behaviour { relay, signalling, chat };
    Ok(Swarm::new(transport, behaviour, peer, config.with_idle_connection_timeout(IDLE)))
}

async fn run(mut swarm: Swarm<Behaviour>, mut todos: mpsc::Receiver<Do>, todo: mpsc::Sender<Do>, tell: Function) {
    // Friends, by a link each; several while it moves from the relay to a direct one.
    let mut links: Vec<(PeerId, ConnectionId, bool)> = Vec::new();
    loop {
        let told = select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } if is_circuit(&address) => Some(("reachable", address.to_string())),
                SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                    let direct = endpoint.get_remote_address().iter().any(|part| part == Protocol::WebRTC);
                    if !direct && !endpoint.is_relayed() {
                        continue; // the relay
                    }
                    if direct {
                        for (_, link, _) in links.iter().filter(|(peer, _, direct)| *peer == peer_id && !direct) {
                            close_later(*link, todo.clone());
                        }
                    }
                    links.push((peer_id, connection_id, direct));
                    Some((if direct { "direct" } else { "relayed" }, peer_id.to_string()))
                }
                SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                    links.retain(|(_, link, _)| *link != connection_id);
                    links.iter().all(|(peer, ..)| *peer != peer_id).then(|| ("gone", peer_id.to_string()))
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => Some(("failed", error.to_string())),
                SwarmEvent::Behaviour(BehaviourEvent::Chat(request_response::Event::Message {
                    message: Message::Request { request, channel, .. },
                    ..
                })) => {
                    let heard = swarm.behaviour_mut().chat.send_response(channel, ());
                    heard.is_ok().then_some(("heard", request))
                }
                _ => None,
            },
            todo = todos.select_next_some() => match todo {
                Do::Call(address) => swarm.dial(address).err().map(|error| ("failed", error.to_string())),
                Do::Say(words) => {
                    for peer in links.iter().map(|(peer, ..)| *peer).collect::<std::collections::BTreeSet<_>>() {
                        swarm.behaviour_mut().chat.send_request(&peer, words.clone());
                    }
                    None
                }
                Do::Close(link) => {
                    swarm.close_connection(link);
                    None
                }
            },
        };
        if let Some((what, detail)) = told
            && tell.call2(&JsValue::NULL, &what.into(), &detail.into()).is_err()
        {
            return;
        }
    }
}

/// A moment after the direct link stands, the one through the relay is of no more use.
fn close_later(link: ConnectionId, mut todo: mpsc::Sender<Do>) {
    spawn_local(async move {
        Delay::new(DRAIN).await;
        // Else the node has ended.
        todo.send(Do::Close(link)).await.unwrap_or_default();
    });
}

fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}
