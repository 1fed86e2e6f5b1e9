//! Nodes on loopback, over real TCP and WebSockets.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::{
    future::ready,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};
use ledgerno_minnet::{Config, DialError, Event, Events, Net, Peer, Topic, start};
use rw_stream_sink::RwStreamSink;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{self, Message};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    pub net: Net,
    pub events: Events,
    pub driver: tokio::task::JoinHandle<()>,
}

pub fn config(name: u8) -> Config {
    Config::new([name; 32], "test/0")
}

pub fn node(config: Config) -> Node {
    let (net, events, driver) = start(config).unwrap();
    Node { net, events, driver: tokio::spawn(driver) }
}

impl Node {
    pub fn peer(&self) -> Peer {
        self.net.peer()
    }

    /// Serves WebSockets on loopback as the relay's HTTP server does.
    pub async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url_of(listener.local_addr().unwrap());
        let net = self.net.clone();
        tokio::spawn(async move {
            while let Ok((tcp, from)) = listener.accept().await {
                accept(&net, tcp, from).await;
            }
        });
        url
    }

    pub async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.next()).await.expect("an event in time").expect("the network lives")
    }

    /// The first event that `wanted` takes; those before it are passed over.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    pub async fn connected(&mut self, to: Peer) {
        self.until(|event| matches!(event, Event::Connected { peer, .. } if peer == to).then_some(())).await;
    }

    /// Waits for a guest and lets it in.
    pub async fn admits(&mut self, guest: Peer) {
        self.connected(guest).await;
        self.net.admit(guest).unwrap();
    }

    pub async fn disconnected(&mut self, from: Peer) {
        self.until(|event| matches!(event, Event::Disconnected { peer } if peer == from).then_some(())).await;
    }

    pub async fn subscribed(&mut self, who: Peer, to: Topic) {
        self.until(|event| {
            matches!(event, Event::Subscribed { peer, topic } if peer == who && topic == to).then_some(())
        })
        .await;
    }

    pub async fn message(&mut self) -> (Topic, Peer, Bytes) {
        self.until(|event| match event {
            Event::Message { topic, from, bytes } => Some((topic, from, bytes)),
            _ => None,
        })
        .await
    }

    /// Answers every request with what `answer` makes of it, for ever.
    pub fn serve(
        mut self,
        answer: impl Fn(u16, Bytes) -> Option<Bytes> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            while let Some(event) = self.events.next().await {
                if let Event::Request { kind, bytes, reply, .. } = event
                    && let Some(bytes) = answer(kind, bytes)
                {
                    reply.send(bytes);
                }
            }
        })
    }
}

pub async fn dial_failure(node: &mut Node) -> DialError {
    node.until(|event| match event {
        Event::DialFailed { reason, .. } => Some(reason),
        Event::Connected { .. } => panic!("connected"),
        _ => None,
    })
    .await
}

/// Looks for a key, again and again, until somebody is found: what is announced takes its time.
pub async fn found(node: &mut Node, key: [u8; 32]) -> (Peer, Vec<(Peer, String)>) {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "nobody was found");
        node.net.find(key).unwrap();
        let next = timeout(Duration::from_millis(200), node.next()).await;
        if let Ok(Event::Found { key: of, peer, at }) = next {
            assert_eq!(of, key);
            return (peer, at);
        }
    }
}

pub fn url_of(address: SocketAddr) -> String {
    format!("ws://{address}/")
}

/// Upgrades and hands the bytes over.
pub async fn accept(net: &Net, tcp: TcpStream, from: SocketAddr) {
    tcp.set_nodelay(true).unwrap();
    let Ok(socket) = tokio_tungstenite::accept_async(tcp).await else { return };
    let bytes = socket
        .try_filter_map(|message| {
            ready(match message {
                Message::Binary(bytes) => Ok(Some(Vec::from(bytes))),
                Message::Text(_) => Err(tungstenite::Error::Utf8(String::new())),
                _ => Ok(None),
            })
        })
        .map_err(std::io::Error::other)
        .sink_map_err(std::io::Error::other)
        .with(|bytes: Vec<u8>| ready(Ok::<_, std::io::Error>(Message::binary(bytes))));
    net.accept(RwStreamSink::new(bytes), from).unwrap();
}

/// A hub that listens and another that has dialled it, both connected.
pub async fn pair(mut hub: Config, guest: Config) -> (Node, Node) {
    hub.hub = true;
    let (mut hub, mut guest) = (node(hub), node(guest));
    let url = hub.listen().await;
    guest.net.dial(&url, hub.peer()).unwrap();
    guest.connected(hub.peer()).await;
    hub.admits(guest.peer()).await;
    (hub, guest)
}
