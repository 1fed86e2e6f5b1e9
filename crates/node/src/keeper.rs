//! A relay's node: keeps the circles that its owner registers, and reads none of them.

use crate::driver::Node;
use crate::error::NodeError;
use crate::profile::{self, CircleRecord, Profile};
use crate::rt;
use crate::store::{Space, Store};
use bytes::Bytes;
use ledgerno_engine::wire::{Answer, No, Register};
use ledgerno_ledger::codec;
use ledgerno_ledger::genesis::{Genesis, MAX_GENESIS};
use ledgerno_minnet::{self as minnet, Net, Responder};

/// The most circles of a relay: three topics each, below the network's bound.
const MAX_CIRCLES: usize = 300;
/// The most bytes of a registration.
const MAX_REGISTER: usize = MAX_GENESIS + 256;
/// What a token is hashed under, so that comparing takes the same time for every wrong one.
const TOKEN: &str = "ledgerno v1 owner token";

/// What a relay's node is started with.
pub struct KeeperConfig {
    /// The device's secret.
    pub device: [u8; 32],
    /// The owner's token.
    pub token: String,
    /// Program and version.
    pub agent: String,
    /// The protocol's version; tests pretend another.
    pub version: u16,
    /// The most connections.
    pub max_connections: u32,
}

impl<S: Store> Node<S> {
    /// Opens a relay's node over a store. Upgraded WebSockets are handed to the [`Net`].
    ///
    /// # Errors
    /// When the store does not open or what it holds is damaged.
    pub async fn keeper(store: S, config: KeeperConfig) -> Result<(Self, Net), NodeError> {
        let space = store.space(profile::SPACE).await?;
        let stored = Profile::restore(&space.load().await?)?;
        let fresh = Profile::new()?;
        if stored.is_none() {
            space.write(fresh.batch()).await?;
        }
        // The relay's own key is a file beside the store, so that it outlives it.
        let mut profile = stored.unwrap_or(fresh);
        profile.device = config.device;
        let mut net_config = minnet::Config::new(config.device, config.agent);
        net_config.hub = true;
        net_config.version = config.version;
        net_config.max_connections = config.max_connections;
        let (net, events, network) = minnet::start(net_config).map_err(|_| NodeError::Random)?;
        rt::spawn(network);
        let circles: Vec<CircleRecord> = profile.circles.values().cloned().collect();
        let owner = Some(digest(&config.token));
        let node = Node::assemble(net.clone(), events, store, profile, space, owner, Box::new(|| ()));
        for record in circles {
            node.open_circle(record).await?;
        }
        Ok((node, net))
    }

    /// Someone wants a circle kept.
    pub(crate) async fn registered(self, bytes: Bytes, reply: Responder) {
        let answer = match self.register(&bytes).await {
            Ok(()) => Answer::Kept,
            Err(NodeError::No(no)) => Answer::No(no),
            Err(error) => {
                tracing::warn!(%error, "a circle could not be registered");
                Answer::No(No::Busy)
            }
        };
        reply.send(answer.to_bytes().into());
    }

    async fn register(&self, bytes: &[u8]) -> Result<(), NodeError> {
        let owner = self.0.state.borrow().owner.ok_or(No::WrongToken)?;
        let register: Register = codec::decode(bytes, MAX_REGISTER).map_err(|_| No::Malformed)?;
        if blake3::Hash::from(digest(&register.token)) != blake3::Hash::from(owner) {
            return Err(No::WrongToken.into());
        }
        let genesis = Genesis::decode(&register.genesis).map_err(|_| No::Malformed)?;
        {
            let state = self.0.state.borrow();
            if state.circles.contains_key(&genesis.id()) {
                return Ok(());
            }
            if state.circles.len() >= MAX_CIRCLES {
                return Err(No::Full.into());
            }
        }
        let record = CircleRecord {
            genesis: genesis.encode(),
            keys: None,
            later: Vec::new(),
            vote: None,
            relays: Vec::new(),
            pinned: None,
        };
        self.remember(record).await?;
        tracing::info!(circle = %genesis.id(), "a circle is kept from now on");
        Ok(())
    }
}

fn digest(token: &str) -> [u8; 32] {
    blake3::derive_key(TOKEN, token.as_bytes())
}
