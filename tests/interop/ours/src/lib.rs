//! Our network in a page, told by a test what to do. `lib/ours.mjs` wraps it, so that it is called as js-libp2p's page is.
#![cfg(target_arch = "wasm32")]

mod protocols;

use std::collections::HashMap;

use futures::StreamExt;
use js_sys::{Function, Uint8Array};
use ledgerno_engine::wire::{self, Answer, REGISTER, Register};
use ledgerno_ledger::{bytes::Signature, codec, hostile::Circle, keys::DeviceKey, verify};
use ledgerno_minnet::{Config, Event, Net, Others, Path, Peer, Topic};
use libp2p::{PeerId, StreamProtocol, identity::Keypair};
use wasm_bindgen::prelude::*;

use protocols::{ECHO, HALF_CLOSE, PERF, RESET};

/// Keys tried for one that is below most others.
const TRIES: usize = 10_000;
/// Before the key, in a libp2p peer id.
const ED25519_ID: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

fn error(what: impl std::fmt::Display) -> JsValue {
    js_sys::Error::new(&what.to_string()).into()
}

fn shown(peer: Peer) -> String {
    PeerId::from_bytes(&[&ED25519_ID[..], &peer.0].concat()).map(|id| id.to_string()).unwrap_or_default()
}

fn peer(text: &str) -> Result<Peer, JsValue> {
    let bytes = text.parse::<PeerId>().map_err(error)?.to_bytes();
    let key = bytes.strip_prefix(&ED25519_ID).and_then(|key| key.try_into().ok());
    key.map(Peer).ok_or_else(|| error("the peer's key is no Ed25519 key"))
}

/// A new secret; with `first`, one whose peer id is below all those without, for of two friends the lower one begins.
fn secret(first: bool) -> Result<[u8; 32], JsValue> {
    for _ in 0..TRIES {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(error)?;
        let key = Keypair::ed25519_from_bytes(secret).map_err(error)?;
        if (key.public().to_peer_id().to_bytes()[ED25519_ID.len()] == 0) == first {
            return Ok(secret);
        }
    }
    Err(error("no such key was found"))
}

/// A topic.
#[wasm_bindgen]
pub struct Name(Topic);

#[wasm_bindgen]
impl Name {
    /// Of its hexadecimal digits.
    #[wasm_bindgen(constructor)]
    pub fn new(digits: &str) -> Result<Name, JsValue> {
        let mut topic = [0; 32];
        base16ct::lower::decode(digits, &mut topic).map_err(error)?;
        Ok(Name(Topic(topic)))
    }
}

/// A node.
#[wasm_bindgen]
pub struct Ours {
    net: Net,
    /// What messages are signed with, if they are.
    key: Option<DeviceKey>,
}

/// Appends the writer's key and signature, as an entry has them.
fn sign(key: &DeviceKey, mut bytes: Vec<u8>) -> Vec<u8> {
    let signature = key.sign(&bytes);
    bytes.extend_from_slice(&key.id().0);
    bytes.extend_from_slice(&signature.0);
    bytes
}

/// What was signed; `None`: by nobody.
fn signed(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, signature) = bytes.split_last_chunk()?;
    let (bytes, key) = rest.split_last_chunk()?;
    verify::verify(key, bytes, &Signature(*signature)).then_some(bytes)
}

#[wasm_bindgen]
impl Ours {
    /// Starts it. `first`: it begins with friends; `direct`: it makes direct links; `signed`: it signs what it publishes, and
    /// takes nothing else; `tell(what, who, detail)` hears of what happens.
    #[wasm_bindgen(constructor)]
    pub fn new(first: bool, direct: bool, signed: bool, tell: Function) -> Result<Ours, JsValue> {
        let secret = secret(first)?;
        let mut config = Config::new(secret, concat!("ledgerno-interop/", env!("CARGO_PKG_VERSION")));
        config.open = true;
        config.others = Some(Others { protocols: protocols::ANSWERED, take: protocols::take });
        if !direct {
            config.direct = None;
        }
        let (net, mut events, network) = ledgerno_minnet::start(config).map_err(error)?;
        ledgerno_tasks::spawn(network);
        ledgerno_tasks::spawn(async move {
            let mut names = Names::default();
            while let Some(event) = events.next().await {
                let Some((what, who, detail)) = told(event, &mut names, signed) else { continue };
                if tell.call3(&JsValue::NULL, names.event(what), &who, &detail).is_err() {
                    return;
                }
            }
        });
        Ok(Ours { net, key: signed.then(|| DeviceKey::from_secret(secret)) })
    }

    /// Its peer id.
    pub fn peer(&self) -> String {
        shown(self.net.peer())
    }

    /// Links to a relay.
    pub fn dial(&self, url: &str, relay: &str) -> Result<(), JsValue> {
        self.net.dial(url, peer(relay)?).map_err(error)
    }

    /// A friend is there.
    pub fn seek(&self, friend: &str) -> Result<(), JsValue> {
        self.net.seek(peer(friend)?).map_err(error)
    }

    /// Ends all links to a peer.
    pub fn disconnect(&self, friend: &str) -> Result<(), JsValue> {
        self.net.disconnect(peer(friend)?).map_err(error)
    }

    pub fn subscribe(&self, name: &Name) -> Result<(), JsValue> {
        self.net.subscribe(name.0).map_err(error)
    }

    pub fn unsubscribe(&self, name: &Name) -> Result<(), JsValue> {
        self.net.unsubscribe(name.0).map_err(error)
    }

    pub fn publish(&self, name: &Name, bytes: Vec<u8>) -> Result<(), JsValue> {
        let bytes = if let Some(key) = &self.key { sign(key, bytes) } else { bytes };
        self.net.publish(&name.0, bytes.into()).map_err(error)
    }

    /// Has a relay keep a circle, as its owner may; answers one of the topics to which it listens from then on.
    pub async fn register(&self, relay: &str, token: String) -> Result<String, JsValue> {
        let circle = Circle::new(1);
        let register = codec::encode(&Register { token, genesis: circle.genesis.encode() });
        let answer = self.net.request(peer(relay)?, REGISTER, register.into()).await.map_err(error)?;
        if answer[..] != Answer::Kept.to_bytes() {
            return Err(error("the relay does not keep it"));
        }
        Ok(Topic(wire::Topic::Presence.id(circle.id)).to_string())
    }

    /// The round trip of a ping, in ms.
    pub async fn ping(&self, to: &str) -> Result<f64, JsValue> {
        let stream = self.open(to, protocols::PING).await?;
        protocols::ask_ping(stream).await.map_err(error)
    }

    /// See `lib/protocols.mjs` for this and the next three.
    pub async fn echo(&self, to: &str, count: usize) -> Result<f64, JsValue> {
        let stream = self.open(to, ECHO).await?;
        protocols::ask_echo(stream, count).await.map_err(error)
    }

    pub async fn half_close(&self, to: &str, count: usize) -> Result<f64, JsValue> {
        let stream = self.open(to, HALF_CLOSE).await?;
        protocols::ask_half_close(stream, count).await.map_err(error)
    }

    pub async fn reset(&self, to: &str, who: u8) -> Result<String, JsValue> {
        let stream = self.open(to, RESET).await?;
        protocols::ask_reset(stream, who).await.map(str::to_owned).map_err(error)
    }

    pub async fn perf(&self, to: &str, up: usize, down: usize) -> Result<f64, JsValue> {
        let stream = self.open(to, PERF).await?;
        protocols::ask_perf(stream, up, down).await.map_err(error)
    }

    /// How many streams others broke, in all nodes of this page.
    pub fn broken(&self) -> u32 {
        protocols::broken()
    }
}

impl Ours {
    async fn open(&self, to: &str, protocol: StreamProtocol) -> Result<libp2p::Stream, JsValue> {
        self.net.open(peer(to)?, protocol).await.map_err(error)
    }
}

/// What the page hears again and again, as JavaScript's strings. Made once: a measured message is not to wait for them.
#[derive(Default)]
struct Names {
    events: HashMap<&'static str, JsValue>,
    topics: HashMap<Topic, JsValue>,
}

impl Names {
    fn event(&mut self, what: &'static str) -> &JsValue {
        self.events.entry(what).or_insert_with(|| what.into())
    }

    fn topic(&mut self, topic: Topic) -> JsValue {
        self.topics.entry(topic).or_insert_with(|| topic.to_string().into()).clone()
    }
}

/// What the page hears of an event.
fn told(event: Event, names: &mut Names, are_signed: bool) -> Option<(&'static str, JsValue, JsValue)> {
    let (what, who, detail) = match event {
        Event::Message { topic, bytes, .. } => {
            let bytes = if are_signed { signed(&bytes)? } else { &bytes };
            return Some(("message", names.topic(topic), Uint8Array::from(bytes).into()));
        }
        Event::Connected { peer, path } | Event::Moved { peer, path } => ("linked", peer, by(path).into()),
        Event::Disconnected { peer } => ("gone", peer, JsValue::NULL),
        Event::Subscribed { peer, topic } => ("subscribed", peer, names.topic(topic)),
        Event::Unsubscribed { peer, topic } => ("unsubscribed", peer, names.topic(topic)),
        Event::Tried { peer, way, why } => ("failed", peer, format!("{way:?}: {why}").into()),
        Event::DialFailed { peer, url, reason } => ("failed", peer, format!("{url}: {reason}").into()),
        Event::Refused { peer, theirs, .. } => ("failed", peer, format!("it speaks version {theirs}").into()),
        Event::Judged(standing) if standing.until_ms > 0 => ("failed", standing.peer, "banned".into()),
        Event::Judged(_) | Event::Request { .. } | Event::Found { .. } => return None,
    };
    Some((what, shown(who).into(), detail))
}

fn by(path: Path) -> String {
    match path {
        Path::Relay { url } => url,
        Path::Accepted { from } => from,
        Path::Circuit { carrier } => format!("/p2p/{}/p2p-circuit", shown(carrier)),
        Path::Direct => "/webrtc".to_owned(),
    }
}
