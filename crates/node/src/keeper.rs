//! A relay's node: keeps the circles that its owner registers, and reads none of them. Where the owner enlists it, it votes
//! besides, with the state keys and never a talk key.

use crate::driver::{Keeps, Node};
use crate::error::NodeError;
use crate::profile::{self, CircleRecord, Profile};
use crate::rt;
use crate::store::{Space, Store};
use bytes::Bytes;
use ledgerno_engine::wire::{Answer, Enlist, No, Order, REGISTER, Register};
use ledgerno_engine::{Engine, Limits};
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::check::check_admission;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Admission, Role};
use ledgerno_ledger::epoch::Handout;
use ledgerno_ledger::genesis::{Genesis, MAX_GENESIS};
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::keys::DeviceKey;
use ledgerno_ledger::op::Operation;
use ledgerno_ledger::seal::LaneKeys;
use ledgerno_minnet::{self as minnet, Listen, Net, Responder};

/// The most circles of a relay: three topics each, below the network's bound.
const MAX_CIRCLES: usize = 300;
/// The most bytes of a registration.
const MAX_REGISTER: usize = MAX_GENESIS + 256;
/// The most bytes of an order to vote: keys of [`MAX_RING`](ledgerno_ledger::epoch::MAX_RING) epochs.
const MAX_ENLIST: usize = 48 * 1024;
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
    /// Whether it keeps everything for everybody, so that others may let go of what is old.
    pub archive: bool,
    /// Whether other libp2p programs' nodes may link, and use circuits.
    pub open: bool,
    /// Where it is dialled: `ws://…` or `wss://…`.
    pub url: String,
    /// The most connections.
    pub max_connections: u32,
    /// Where links of native nodes are taken. At most 8.
    pub listen: Vec<Listen>,
    /// Other relays, to which links are kept, and which are asked who is findable. At most 16.
    pub relays: Vec<RelayAddress>,
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
        net_config.standings = profile.standings.clone();
        net_config.open = config.open;
        net_config.urls = vec![config.url];
        net_config.version = config.version;
        net_config.max_connections = config.max_connections;
        net_config.listen = config.listen;
        net_config.hubs = config.relays.iter().map(|relay| minnet::Peer(relay.peer.0)).collect();
        let (net, events, network) = minnet::start(net_config).map_err(|_| NodeError::Random)?;
        rt::spawn(network);
        let circles: Vec<CircleRecord> = profile.circles.values().cloned().collect();
        let limits = Limits { archive: config.archive, ..Limits::default() };
        let keeps = Keeps { owner: Some(digest(&config.token)), limits };
        let node = Node::assemble(net.clone(), events, store, profile, space, keeps, Box::new(|| ()));
        for record in circles {
            node.open_circle(record).await?;
        }
        for relay in config.relays {
            node.keep_link(relay);
        }
        Ok((node, net))
    }

    /// The owner wants a circle kept, or a vote.
    pub(crate) async fn ordered(self, peer: DeviceId, kind: u16, bytes: Bytes, reply: Responder) {
        let done = if kind == REGISTER { self.register(&bytes).await } else { self.enlisted(peer, &bytes).await };
        let answer = match done {
            Ok(answer) => answer,
            Err(NodeError::No(no)) => Answer::No(no),
            Err(error) => {
                tracing::warn!(%error, "what the owner wants can not be done");
                Answer::No(No::Busy)
            }
        };
        reply.send(answer.to_bytes().into());
    }

    fn check_owner(&self, token: &str) -> Result<(), No> {
        let owner = self.0.state.borrow().owner.ok_or(No::WrongToken)?;
        let fits = blake3::Hash::from(digest(token)) == blake3::Hash::from(owner);
        if fits { Ok(()) } else { Err(No::WrongToken) }
    }

    async fn register(&self, bytes: &[u8]) -> Result<Answer, NodeError> {
        let register: Register = codec::decode(bytes, MAX_REGISTER).map_err(|_| No::Malformed)?;
        self.check_owner(&register.token)?;
        let genesis = Genesis::decode(&register.genesis).map_err(|_| No::Malformed)?;
        {
            let state = self.0.state.borrow();
            if state.circles.contains_key(&genesis.id()) {
                return Ok(Answer::Kept);
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
        Ok(Answer::Kept)
    }

    async fn enlisted(&self, peer: DeviceId, bytes: &[u8]) -> Result<Answer, NodeError> {
        let Enlist { token, circle, order } = codec::decode(bytes, MAX_ENLIST).map_err(|_| No::Malformed)?;
        self.check_owner(&token)?;
        let (device, record) = {
            let state = self.0.state.borrow();
            let kept = state.circles.get(&circle).ok_or(No::UnknownCircle)?;
            (state.profile.device(), kept.record.clone())
        };
        match order {
            Order::SayKey => return Ok(Answer::Parcel(device.box_key().0.to_vec())),
            Order::Vote { admission, keys } => {
                let (first, later) = state_keys(circle, &device, &admission, &keys).ok_or(No::Malformed)?;
                if record.keys.is_none() {
                    self.reseat(circle, CircleRecord { keys: Some(first), later, ..record }).await?;
                    tracing::info!(%circle, "this relay is enlisted");
                }
                self.drive(circle, |engine, now| engine.met(peer, now));
                self.offer(circle, *admission).await?;
            }
            Order::Forget if record.keys.is_none() => {}
            Order::Forget => {
                if self.look(circle, |engine| engine.vote_secret().is_some())? {
                    return Err(No::Busy.into());
                }
                self.reseat(circle, CircleRecord { keys: None, later: Vec::new(), ..record }).await?;
                tracing::info!(%circle, "this relay is dismissed, and has forgotten the keys");
            }
        }
        Ok(Answer::Kept)
    }

    /// Comes in, if this relay is not, and offers itself as a witness, unless it is one or has.
    async fn offer(&self, circle: CircleId, admission: Admission) -> Result<(), NodeError> {
        if !self.look(circle, Engine::is_in)? {
            self.drive(circle, |engine, _| engine.enlisted(admission));
            self.act(circle, |engine, now| engine.enter(None, now)).await?;
        }
        let has_offered = self.look(circle, |engine| {
            let is_known = engine.witnesses().iter().any(|one| Some(one.device) == engine.device());
            is_known || engine.has_written(|operation| matches!(operation, Operation::Ready { .. }))
        })?;
        if !has_offered {
            self.act(circle, |engine, now| engine.offer_to_witness(true, now)).await?;
        }
        Ok(())
    }
}

/// The keys that a relay is given, if a member enrols it for votes alone. A talk key it does not take: what it cannot read
/// nobody can have from it.
fn state_keys(
    circle: CircleId,
    device: &DeviceKey,
    admission: &Admission,
    keys: &Handout,
) -> Option<(LaneKeys, Vec<LaneKeys>)> {
    let fits = admission.role == Role::Vote && admission.invited.is_none() && admission.box_key == device.box_key();
    if !fits || check_admission(circle, device.id(), admission).is_err() {
        return None;
    }
    let mut ring = keys.open(circle, device)?.into_iter();
    let first = ring.next().filter(|first| first.epoch == circle.into())?;
    let later: Vec<LaneKeys> = ring.collect();
    let talks = first.talk.is_some() || later.iter().any(|keys| keys.talk.is_some());
    (!talks).then_some((first, later))
}

fn digest(token: &str) -> [u8; 32] {
    blake3::derive_key(TOKEN, token.as_bytes())
}
