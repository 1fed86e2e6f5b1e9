//! A relay and people's nodes in one process, over real TCP and WebSockets on loopback. The relay has a thread and a
//! runtime of its own, so that it can lose its power: all its tasks and sockets are gone at once.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::future::ready;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::{SinkExt, TryStreamExt};
use ledgerno_engine::status::Status;
use ledgerno_engine::view::Content;
use ledgerno_ledger::bytes::{CircleId, EntryId};
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::keys::DeviceKey;
use ledgerno_minnet::Net;
use ledgerno_node::store::{Memory, Store};
use ledgerno_node::{KeeperConfig, Node, NodeError, PROTOCOL};
use rw_stream_sink::RwStreamSink;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::{self, Message};

pub const TOKEN: &str = "the owner's token";
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(90);
const SECRET: [u8; 32] = [9; 32];

pub struct Relay {
    pub at: SocketAddr,
    off: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Relay {
    pub async fn start<S: Store + Send>(store: S) -> Self {
        Self::start_at(store, "127.0.0.1:0".parse().unwrap(), PROTOCOL).await
    }

    pub async fn start_at<S: Store + Send>(store: S, at: SocketAddr, version: u16) -> Self {
        let (off, switched_off) = oneshot::channel();
        let (told, ready) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let config = KeeperConfig {
                    device: SECRET,
                    token: TOKEN.to_owned(),
                    agent: "test-relay".to_owned(),
                    version,
                    archive: true,
                    open: false,
                    url: String::new(),
                    max_connections: 64,
                    listen: Vec::new(),
                    relays: Vec::new(),
                };
                let (_node, net) = Node::keeper(store, config).await.unwrap();
                let listener = TcpListener::bind(at).await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::task::spawn_local(async move {
                    while let Ok((tcp, from)) = listener.accept().await {
                        tokio::task::spawn_local(accept(net.clone(), tcp, from));
                    }
                });
                switched_off.await.ok();
            });
        });
        Relay { at: ready.await.unwrap(), off, thread }
    }

    /// As when the power fails.
    pub fn off(self) {
        self.off.send(()).ok();
        self.thread.join().unwrap();
    }

    pub fn address(&self) -> RelayAddress {
        RelayAddress { url: format!("ws://{}/", self.at), peer: DeviceKey::from_secret(SECRET).id() }
    }
}

/// Upgrades and hands the bytes over.
async fn accept(net: Net, tcp: TcpStream, from: SocketAddr) {
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
    net.accept(RwStreamSink::new(bytes), from).ok();
}

/// Runs a story on one thread, as a page does.
pub fn story(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, story);
}

/// A person's node.
pub async fn person<S: Store>(store: S, relay: Option<RelayAddress>) -> Node<S> {
    Node::member(store, "test", relay, Box::new(|| ())).await.unwrap()
}

/// Anna has founded a circle; Ben came by her invite.
pub async fn two<A: Store, B: Store>(relay: &Relay, anna: A, ben: B) -> (Node<A>, Node<B>, CircleId) {
    let anna = person(anna, None).await;
    let circle = anna.found("Garden", "Anna", TOKEN, relay.address()).await.unwrap();
    let invite = anna.invite(circle, 10, 7).await.unwrap();
    let ben = person(ben, None).await;
    assert_eq!(ben.join(&invite.token, "Ben").await, Ok(circle));
    (anna, ben, circle)
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

pub fn status<S: Store>(node: &Node<S>, circle: CircleId, entry: EntryId) -> Option<Status> {
    node.look(circle, |engine| engine.status(&entry)).ok().flatten()
}

pub fn texts<S: Store>(node: &Node<S>, circle: CircleId) -> Vec<String> {
    let shown = node.look(circle, |engine| engine.timeline(1_000)).unwrap_or_default();
    let text = |content| if let Content::Post(text) = content { Some(text) } else { None };
    shown.into_iter().filter_map(|one| text(one.content)).collect()
}

/// The members' balances, in the order of their coming.
pub fn balances<S: Store>(node: &Node<S>, circle: CircleId) -> Vec<u64> {
    node.look(circle, |engine| engine.members().iter().map(|member| member.balance).collect()).unwrap_or_default()
}

/// Waits until two nodes hold the same, everything of it settled at one root.
pub async fn agree<A: Store, B: Store>(anna: &Node<A>, ben: &Node<B>, circle: CircleId) {
    let of_both = || (anna.look(circle, |engine| engine.settlement()), ben.look(circle, |engine| engine.settlement()));
    until("both settle on one root", || match of_both() {
        (Ok(ours), Ok(theirs)) => ours == theirs && ours.unsettled == 0 && ours.state_root.is_some(),
        _ => false,
    })
    .await;
}

pub fn nobody_forked<S: Store>(node: &Node<S>, circle: CircleId) -> bool {
    node.look(circle, |engine| engine.members().iter().all(|member| !member.forked)).unwrap()
}

pub fn code<T>(result: Result<T, NodeError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

pub fn memory() -> Memory {
    Memory::new()
}
