//! A person's node: founding and joining circles, writing, inviting.

use crate::driver::{Keeps, Node};
use crate::error::NodeError;
use crate::profile::{self, CircleRecord, Profile};
use crate::rt;
use crate::store::{Space, Store};
use futures::channel::oneshot;
use ledgerno_engine::join::{self, Parcel};
use ledgerno_engine::wire::{Answer, Ask, No, REGISTER, Register};
use ledgerno_engine::{Engine, Invitation, Limits, Random, WriteError, Written};
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, MemberId};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Invite;
use ledgerno_ledger::genesis::{Genesis, Kind};
use ledgerno_ledger::invite::{InviteLink, RelayAddress};
use ledgerno_ledger::op::{OpError, check_name};
use ledgerno_minnet::IceServer;
use ledgerno_minnet::{self as minnet, Peer};
use std::time::Duration;

/// An invite's uses, unless said otherwise.
pub const INVITE_USES: u32 = 10;
/// An invite's days, unless said otherwise.
pub const INVITE_DAYS: u32 = 7;
/// The most bytes of an owner's token.
const MAX_TOKEN: usize = 128;
const DAY_MS: u64 = 24 * 3_600_000;
/// How long a person waits for a relay to answer in full.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an invite leads to, before it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The circle.
    pub circle: CircleId,
    /// Its name.
    pub name: String,
    /// Who invites.
    pub by: String,
    /// The invite.
    pub invite: Invite,
    /// Who can read the circle.
    pub kind: Kind,
}

/// What an embedder may set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What each circle's engine may hold, and what it lets go.
    pub limits: Limits,
    /// STUN and TURN servers for direct links. None: only friends on one machine or in one network link directly.
    pub ice_servers: Vec<IceServer>,
}

impl<S: Store> Node<S> {
    /// Opens a person's node over a store: who was here before, or a new person. A relay that is named is linked at once.
    ///
    /// # Errors
    /// When the store does not open or what it holds is damaged.
    pub async fn member(
        store: S,
        agent: &str,
        relay: Option<RelayAddress>,
        listener: Box<dyn Fn()>,
    ) -> Result<Self, NodeError> {
        Self::member_within(store, agent, relay, Settings::default(), listener).await
    }

    /// As [`Node::member`], with what the embedder sets. Of the limits, those that decide what is kept:
    /// [`Limits::archive`] keeps everything and never joins by a snapshot; [`Limits::retention`] sets how long a light node
    /// keeps what is settled; [`Limits::join_from`] says how long a circle must be to be joined by a snapshot. They may
    /// differ at each start. What was let go, or was before a snapshot that was joined by, does not come back to the store;
    /// it is fetched to be shown. None of them changes the state or its root.
    ///
    /// # Errors
    /// As [`Node::member`]; any limits will do.
    pub async fn member_within(
        store: S,
        agent: &str,
        relay: Option<RelayAddress>,
        settings: Settings,
        listener: Box<dyn Fn()>,
    ) -> Result<Self, NodeError> {
        let space = store.space(profile::SPACE).await?;
        let profile = match Profile::restore(&space.load().await?)? {
            Some(profile) => profile,
            None => {
                let profile = Profile::new()?;
                space.write(profile.batch()).await?;
                profile
            }
        };
        let mut config = minnet::Config::new(profile.device, agent);
        // An answer of full size over a slow phone's link.
        config.timeout = Duration::from_secs(30);
        config.standings = profile.standings.clone();
        if let Some(direct) = &mut config.direct {
            direct.ice_servers = settings.ice_servers;
        }
        let (net, events, network) = minnet::start(config).map_err(|_| NodeError::Random)?;
        rt::spawn(network);
        let circles: Vec<CircleRecord> = profile.circles.values().cloned().collect();
        let node = Node::assemble(
            net,
            events,
            store,
            profile,
            space,
            Keeps { owner: None, limits: settings.limits },
            listener,
        );
        // The page's own relay first: it is reached by the address that the page came from.
        if let Some(relay) = relay {
            node.keep_link(relay);
        }
        for record in circles {
            if let Err(error) = node.open_circle(record).await {
                // Half a node must not go on behind a page that says that there is none.
                node.close().await;
                return Err(error);
            }
        }
        Ok(node)
    }

    /// The circles that this person is in.
    pub fn circles(&self) -> Vec<(CircleId, String)> {
        let state = self.0.state.borrow();
        let named = state.circles.iter().map(|(id, circle)| (*id, circle.engine.as_ref(), &circle.record));
        named
            .filter(|(_, engine, _)| engine.is_none_or(Engine::is_in))
            .filter_map(|(id, _, record)| Some((id, record.genesis().ok()?.name)))
            .collect()
    }

    /// Looks at a circle.
    ///
    /// # Errors
    /// When there is none, or its store has failed.
    pub fn look<T>(&self, circle: CircleId, see: impl FnOnce(&Engine) -> T) -> Result<T, NodeError> {
        let state = self.0.state.borrow();
        let circle = state.circles.get(&circle).ok_or(NodeError::NoCircle)?;
        match (&circle.engine, &circle.stalled) {
            (Some(engine), _) => Ok(see(engine)),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(NodeError::NoCircle),
        }
    }

    /// Founds a circle that its members alone read: see [`Node::found_as`].
    ///
    /// # Errors
    /// As [`Node::found_as`].
    pub async fn found(
        &self,
        name: &str,
        own_name: &str,
        token: &str,
        relay: RelayAddress,
    ) -> Result<CircleId, NodeError> {
        self.found_as(Kind::Private, name, own_name, token, relay).await
    }

    /// Founds a circle that a relay keeps, by the word of the relay's owner, and gives its first invite. Of a readable one
    /// the keys are published: whoever has a copy of its entries reads all of them, for ever.
    ///
    /// # Errors
    /// When a name is none, the relay does not answer or refuses, or the store fails.
    pub async fn found_as(
        &self,
        kind: Kind,
        name: &str,
        own_name: &str,
        token: &str,
        relay: RelayAddress,
    ) -> Result<CircleId, NodeError> {
        let (name, own_name) = (name.trim(), own_name.trim());
        for name in [name, own_name] {
            check_name(name).map_err(|error| WriteError::from(OpError::from(error)))?;
        }
        let token = owner_token(token)?;
        let (identity, device) = {
            let state = self.0.state.borrow();
            (state.profile.identity(), state.profile.device())
        };
        let mut random = Random::new(rt::random()?);
        let founding = join::found_as(kind, None, name, &identity, &device, &mut random, rt::now())
            .map_err(|_| NodeError::Random)?;
        self.link(&relay).await?;
        // A store that takes nothing is found out before the relay keeps anything.
        let (space, batch) = {
            let state = self.0.state.borrow();
            (state.profile_space.clone(), state.profile.batch())
        };
        space.write(batch).await?;
        let register = Register { token, genesis: founding.genesis.encode() };
        let answer = self.question(relay.peer, REGISTER, codec::encode(&register)).await?;
        if answer != Answer::Kept {
            return Err(NodeError::Nonsense);
        }
        let record = CircleRecord {
            genesis: founding.genesis.encode(),
            keys: Some(founding.keys),
            later: Vec::new(),
            vote: Some(*founding.vote.secret()),
            relays: vec![relay],
            pinned: None,
        };
        let circle = self.remember(record).await?;
        self.act(circle, |engine, now| {
            engine.present(None)?;
            engine.enter(Some(own_name), now)
        })
        .await?;
        // The circle stands even if its first invite has to wait for the relay.
        if let Err(error) = self.invite(circle, INVITE_USES, INVITE_DAYS).await {
            tracing::warn!(%error, "the first invite waits");
        }
        Ok(circle)
    }

    /// What an invite leads to.
    ///
    /// # Errors
    /// When the link is none, its relay does not answer, or the invite is used up, expired or unknown there.
    pub async fn preview(&self, token: &str) -> Result<Preview, NodeError> {
        let (_, parcel, genesis) = self.parcel(&InviteLink::from_token(token.trim())?).await?;
        Ok(Preview {
            circle: genesis.id(),
            kind: genesis.kind,
            name: genesis.name,
            by: parcel.by,
            invite: parcel.invite,
        })
    }

    /// Joins by an invite: fetches the circle, then writes the own join. Resolves when that is durable here.
    ///
    /// # Errors
    /// As [`Node::preview`], and when the relay does not let this device in.
    pub async fn join(&self, token: &str, own_name: &str) -> Result<CircleId, NodeError> {
        let own_name = own_name.trim();
        check_name(own_name).map_err(|error| WriteError::from(OpError::from(error)))?;
        let link = InviteLink::from_token(token.trim())?;
        if self.look(link.circle, Engine::is_in).unwrap_or(false) {
            return Ok(link.circle);
        }
        let (relay, parcel, genesis) = self.parcel(&link).await?;
        let circle = genesis.id();
        if !self.0.state.borrow().circles.contains_key(&circle) {
            let mut relays = link.relays.clone();
            relays.retain(|other| other.peer != relay.peer);
            relays.insert(0, relay.clone());
            let record = CircleRecord {
                genesis: genesis.encode(),
                keys: Some(parcel.keys),
                later: parcel.later,
                vote: None,
                relays,
                pinned: Some(link.pinned),
            };
            self.remember(record).await?;
        }
        let (secret, invite) = (link.invite_secret(), parcel.invite);
        self.drive(circle, |engine, _| engine.present(Some((&secret, invite)))).ok_or(NodeError::NoCircle)??;
        self.synced(circle, relay.peer).await?;
        self.act(circle, |engine, now| engine.enter(Some(own_name), now)).await?;
        self.say_there(circle);
        Ok(circle)
    }

    /// Writes something, and resolves with the entry once it is durable here.
    ///
    /// # Errors
    /// [`WriteError`], or the store's failure.
    pub async fn act<E: Into<NodeError>>(
        &self,
        circle: CircleId,
        write: impl FnOnce(&mut Engine, u64) -> Result<Written, E>,
    ) -> Result<EntryId, NodeError> {
        let written = match self.drive(circle, write) {
            Some(written) => written.map_err(Into::into)?,
            None => return Err(self.look(circle, |_| ()).err().unwrap_or(NodeError::NoCircle)),
        };
        self.here(circle, written).await?;
        Ok(written.id)
    }

    /// Posts.
    ///
    /// # Errors
    /// As [`Node::act`].
    pub async fn post(&self, circle: CircleId, text: &str) -> Result<EntryId, NodeError> {
        self.act(circle, |engine, now| engine.post(text, now)).await
    }

    /// Erases an own post: everybody who hears of it gives its text up.
    ///
    /// # Errors
    /// As [`Node::act`].
    pub async fn erase(&self, circle: CircleId, entry: EntryId) -> Result<EntryId, NodeError> {
        self.act(circle, |engine, now| engine.erase(entry, now)).await
    }

    /// Thanks a member.
    ///
    /// # Errors
    /// As [`Node::act`].
    pub async fn thank(&self, circle: CircleId, to: MemberId, amount: u64, reason: &str) -> Result<EntryId, NodeError> {
        self.act(circle, |engine, now| engine.thank(to, amount, reason, now)).await
    }

    /// Gives an invite. Resolves once its link works: a relay keeps its parcel.
    ///
    /// # Errors
    /// As [`Node::act`]; and when no relay answers for a while. Then the invite is among the circle's all the same, and
    /// works as soon as a relay is back.
    pub async fn invite(&self, circle: CircleId, uses: u32, days: u32) -> Result<Invitation, NodeError> {
        let relays = {
            let state = self.0.state.borrow();
            state.circles.get(&circle).ok_or(NodeError::NoCircle)?.record.relays.clone()
        };
        let expiry = rt::now().saturating_add(u64::from(days).saturating_mul(DAY_MS));
        let given = self.drive(circle, |engine, now| engine.invite(uses.max(1), expiry, relays, now));
        let (mut invitation, written) = given.ok_or(NodeError::NoCircle)??;
        let kept = {
            let mut state = self.0.state.borrow_mut();
            let (sender, receiver) = oneshot::channel();
            let circle = state.circles.get_mut(&circle).ok_or(NodeError::NoCircle)?;
            circle.parcels.insert(invitation.invite.key, sender);
            receiver
        };
        self.here(circle, written).await?;
        match futures::future::select(kept, Box::pin(rt::sleep(PATIENCE))).await {
            futures::future::Either::Left((kept, _)) => kept.map_err(|_| NodeError::Closed)?,
            futures::future::Either::Right(_) => {
                let url = self.relay_url(circle).unwrap_or_default();
                return Err(NodeError::Unreachable { url });
            }
        }
        invitation.kept = true;
        Ok(invitation)
    }

    fn relay_url(&self, circle: CircleId) -> Option<String> {
        let state = self.0.state.borrow();
        Some(state.circles.get(&circle)?.record.relays.first()?.url.clone())
    }

    /// Makes a circle durable in the profile, and opens it.
    pub(crate) async fn remember(&self, record: CircleRecord) -> Result<CircleId, NodeError> {
        let circle = record.genesis()?.id();
        let space = self.0.state.borrow().profile_space.clone();
        space.write(profile::circle_batch(circle, &record)).await?;
        self.0.state.borrow_mut().profile.circles.insert(circle, record.clone());
        self.open_circle(record).await
    }

    /// Asks a link's relays for its parcel, one after the other.
    async fn parcel(&self, link: &InviteLink) -> Result<(RelayAddress, Parcel, Genesis), NodeError> {
        let mut failed = NodeError::No(No::NoParcel);
        for relay in &link.relays {
            match self.parcel_at(link, relay).await {
                Ok((parcel, genesis)) => return Ok((relay.clone(), parcel, genesis)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn parcel_at(&self, link: &InviteLink, relay: &RelayAddress) -> Result<(Parcel, Genesis), NodeError> {
        self.link(relay).await.inspect_err(|_| self.forget_link(&relay.peer))?;
        let ask = Ask::GetParcel { address: link.invite_secret().address() };
        match self.question(relay.peer, ask.kind(), ask.to_bytes(link.circle)).await? {
            Answer::Parcel(sealed) => Ok(Parcel::open(link, &sealed)?),
            _ => Err(NodeError::Nonsense),
        }
    }

    /// Asks a relay something that no engine is there for yet.
    pub(crate) async fn question(&self, peer: DeviceId, kind: u16, bytes: Vec<u8>) -> Result<Answer, NodeError> {
        let url = {
            let state = self.0.state.borrow();
            state.links.url(&peer).unwrap_or_default()
        };
        let answered = self.0.net.request(Peer(peer.0), kind, bytes.into()).await;
        let bytes = answered.map_err(|_| NodeError::Unreachable { url })?;
        match Answer::from_bytes(&bytes).map_err(|_| NodeError::Nonsense)? {
            Answer::No(no) => Err(no.into()),
            answer => Ok(answer),
        }
    }

    /// Waits until this node holds what a relay holds.
    async fn synced(&self, circle: CircleId, with: DeviceId) -> Result<(), NodeError> {
        let synced = {
            let mut state = self.0.state.borrow_mut();
            let circle = state.circles.get_mut(&circle).ok_or(NodeError::NoCircle)?;
            let (sender, receiver) = oneshot::channel();
            circle.synced.push(sender);
            receiver
        };
        self.drive(circle, |engine, now| engine.sync(with, now));
        match futures::future::select(synced, Box::pin(rt::sleep(PATIENCE))).await {
            futures::future::Either::Left((synced, _)) => synced.map_err(|_| NodeError::Closed)?,
            futures::future::Either::Right(_) => {
                let url = self.0.state.borrow().links.url(&with).unwrap_or_default();
                Err(NodeError::Unreachable { url })
            }
        }
    }
}

/// An owner's token as it is said to the relay, which would not even read a longer one.
pub(crate) fn owner_token(token: &str) -> Result<String, No> {
    let token = token.trim();
    if token.len() > MAX_TOKEN { Err(No::WrongToken) } else { Ok(token.to_owned()) }
}
