//! Our Kademlia beside libp2p's own: each asks the other, and tells it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Node, PATIENCE, config, found, node, url_of};
use futures::{SinkExt, StreamExt};
use ledgerno_minnet::Peer;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder,
    kad::{self, GetProvidersOk, Mode, QueryResult, RecordKey, store::MemoryStore},
    noise,
    swarm::SwarmEvent,
    tcp, yamux,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

type Theirs = Swarm<kad::Behaviour<MemoryStore>>;

const KEY: [u8; 32] = [42; 32];

/// The key as it stands in messages.
fn record() -> RecordKey {
    RecordKey::new(&[&[0, 32][..], &KEY[..]].concat())
}

fn theirs(mode: Mode) -> Theirs {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| {
            let id = key.public().to_peer_id();
            let config = kad::Config::new(StreamProtocol::new("/ledgerno/kad/1.0.0"));
            kad::Behaviour::with_config(id, MemoryStore::new(id), config)
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build();
    swarm.behaviour_mut().set_mode(Some(mode));
    swarm
}

fn peer(id: &PeerId) -> Peer {
    Peer(id.to_bytes()[6..].try_into().unwrap())
}

/// The bytes of a socket in the messages of a WebSocket, both ways.
async fn bridge<S: AsyncRead + AsyncWrite + Unpin>(mut tcp: TcpStream, mut socket: WebSocketStream<S>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            read = tcp.read(&mut bytes) => match read {
                Ok(len @ 1..) if socket.send(Message::binary(bytes[..len].to_vec())).await.is_ok() => {}
                _ => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if tcp.write_all(&bytes).await.is_ok() => {}
                Some(Ok(message)) if !message.is_close() => {}
                _ => return,
            },
        }
    }
}

fn open(name: u8, hub: bool) -> Node {
    let mut config = config(name);
    (config.open, config.hub) = (true, hub);
    node(config)
}

#[tokio::test]
async fn a_libp2p_node_announces_and_finds_at_our_hub() {
    let mut hub = open(1, true);
    let url = hub.listen().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = url.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (socket, _) = tokio_tungstenite::connect_async(&to).await.unwrap();
            tokio::spawn(bridge(tcp, socket));
        }
    });
    let mut ann = open(2, false);
    ann.net.dial(&url, hub.peer()).unwrap();
    ann.connected(hub.peer()).await;
    hub.connected(ann.peer()).await;

    let mut theirs = theirs(Mode::Client);
    let at: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let id = PeerId::from_bytes(&[&[0, 36, 8, 1, 18, 32][..], &hub.peer().0[..]].concat()).unwrap();
    theirs.behaviour_mut().add_address(&id, at);
    theirs.add_external_address("/ip4/192.0.2.1/tcp/9/ws".parse().unwrap());
    theirs.behaviour_mut().start_providing(record()).unwrap();
    let own = peer(theirs.local_peer_id());
    let (ask, mut asked) = tokio::sync::mpsc::channel::<()>(1);
    let run = tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = asked.recv() => {
                    theirs.behaviour_mut().get_providers(record());
                }
                event = theirs.select_next_some() => {
                    if let SwarmEvent::Behaviour(kad::Event::OutboundQueryProgressed {
                        result: QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
                        ..
                    }) = event
                        && let Some(other) = providers.iter().find(|id| *id != theirs.local_peer_id())
                    {
                        return peer(other);
                    }
                }
            }
        }
    });
    assert_eq!(found(&mut ann, KEY).await, (own, vec![(own, "ws://192.0.2.1:9/".to_owned())]));

    // And the other way.
    let mut ben = open(3, false);
    ben.net.dial(&url, hub.peer()).unwrap();
    ben.connected(hub.peer()).await;
    hub.connected(ben.peer()).await;
    ann.net.announce(KEY).unwrap();
    while found(&mut ben, KEY).await.0 != ann.peer() {}
    ask.send(()).await.unwrap();
    assert_eq!(timeout(PATIENCE, run).await.unwrap().unwrap(), ann.peer());
}

#[tokio::test]
async fn ours_announce_and_find_at_a_libp2p_node() {
    let mut theirs = theirs(Mode::Server);
    theirs.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let relay = peer(theirs.local_peer_id());
    let port = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = theirs.select_next_some().await
            && let Some(libp2p::multiaddr::Protocol::Tcp(port)) = address.iter().nth(1)
        {
            break port;
        }
    };
    tokio::spawn(async move {
        loop {
            theirs.select_next_some().await;
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url_of(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
            let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(bridge(tcp, socket));
        }
    });
    let (mut ann, mut ben) = (open(2, false), open(3, false));
    for guest in [&mut ann, &mut ben] {
        guest.net.dial(&url, relay).unwrap();
        guest.connected(relay).await;
    }
    ann.net.announce(KEY).unwrap();
    assert_eq!(found(&mut ben, KEY).await, (ann.peer(), vec![(relay, url)]));
}
