//! What only a native node can do: listen and dial by TCP and QUIC, and be reached through a NAT.
//!
//! By TCP a link is bytes like any other, with our Noise and Yamux on them (`transport`); QUIC brings both itself ([`quic`]).
//! Two friends that have a circuit open their NATs for each other by what peers say of them ([`punch`]).

pub(crate) mod address;
mod driver;
pub(crate) mod punch;
pub(crate) mod quic;

use std::collections::HashMap;

use libp2p::{Multiaddr, PeerId, StreamProtocol, core::transport::ListenerId};
use web_time::Instant;

use crate::{
    Config, Listen, Peer, StartError, kad,
    limits::{Bucket, MAX_HUBS, MAX_LISTENS},
    requests::Count,
};

/// A dial that waits.
type Held = (String, Vec<Multiaddr>, Peer);

/// What the driver remembers for all this.
#[derive(Default)]
pub(crate) struct State {
    /// Where links are taken. Bounded.
    pub(crate) listening: Vec<Multiaddr>,
    /// Dials that wait until it is known at which of the machine's addresses this node listens, and until when at most: they
    /// leave by the port that is listened at, or no peer sees it.
    held: Vec<Held>,
    held_until: Option<Instant>,
    /// Names that are looked up.
    resolving: Count,
    /// Questions that are passed on to other hubs.
    pub(crate) passed_on: Count,
    pub(crate) passing: Option<Bucket>,
    /// When friends last began to open a hole. Bounded by those that are sought.
    punched: HashMap<PeerId, Instant>,
    /// What was configured, by what the swarm calls it.
    listeners: HashMap<ListenerId, Listen>,
}

/// Whether the configuration keeps its bounds.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    let over = |part, max: usize| StartError::Config { part, reason: format!("at most {max} are possible") };
    if config.listen.len() > MAX_LISTENS {
        return Err(over("listen", MAX_LISTENS));
    }
    if config.hubs.len() > MAX_HUBS {
        return Err(over("hubs", MAX_HUBS));
    }
    Ok(())
}

/// What is spoken besides: by hubs, and by nodes that listen.
pub(crate) fn spoken(config: &Config) -> impl Iterator<Item = &'static [StreamProtocol]> {
    const HUBS: &[StreamProtocol] = &[kad::PROTOCOL];
    const LISTENING: &[StreamProtocol] = &[punch::PROTOCOL];
    let hub = config.hub.then_some(HUBS);
    hub.into_iter().chain((!config.listen.is_empty()).then_some(LISTENING))
}
