//! WebRTC between two browsers, as a libp2p transport.
//!
//! Two nodes that are connected already, most often through a relay, make a link of their own: they exchange an offer, an
//! answer and candidates over that connection (`/webrtc-signaling/0.0.1`), and then talk without it. Each stream is a data
//! channel. It speaks libp2p's specification and understands js-libp2p.
//!
//! [`new`] gives a [`Transport`] and a [`Behaviour`] that belong into the same swarm. The transport dials
//! `/webrtc/p2p/X`, for a peer that is connected, and `<relay>/p2p-circuit/webrtc/p2p/X`, for which it first makes the
//! relayed connection if there is none. To be found it listens on `/webrtc`.
//!
//! The rules:
//! - No handshake follows on the link, as the specification has it. The peer is who proved its key on the connection that
//!   carried the signalling; the descriptions carry the fingerprints of the certificates that the browsers then check. So
//!   a link is as trustworthy as that connection, which must be authenticated and encrypted from end to end.
//! - What a direct link reports as its address contains no `/p2p-circuit`. libp2p itself reports the address that was
//!   dialled; where that was a relayed one, a change of address follows at once.
//! - Everybody is answered who has a connection, or with [`Answers::Welcome`] only who is named.
//! - A dial that is dropped, a link that is dropped or closed, and a failure at any step close the peer connection.
//! - Everything is bounded: [`Config`].
//! - The state machines do no I/O. The browser is behind [`Backend`], and there is another for tests: `memory`.

use std::sync::Arc;

use futures::channel::mpsc;
use libp2p::PeerId;

mod backend;
mod behaviour;
#[cfg(target_arch = "wasm32")]
pub mod browser;
mod config;
mod error;
mod frame;
#[cfg(any(test, feature = "hostile"))]
pub mod hostile;
mod link;
#[cfg(feature = "memory")]
pub mod memory;
mod muxer;
mod negotiate;
mod signalling;
mod stream;
mod transport;
mod wire;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

pub use backend::{Backend, Command, Commands, Event, Events, Failure, MAX_CANDIDATES, MAX_MESSAGE};
pub use behaviour::{Behaviour, Handler};
pub use config::{Answers, Config, DEFAULT_STUN, IceServer};
pub use error::{Cause, Error, Step};
pub use muxer::{Muxer, Substream};
pub use signalling::PROTOCOL;
pub use transport::Transport;

/// Offers that wait for the transport to take them.
const OFFERS: usize = 8;

/// The two halves for one swarm, whose peer is `local`.
pub fn new(local: PeerId, config: Config, backend: Arc<dyn Backend>) -> (Transport, Behaviour) {
    let config = Arc::new(config);
    let (ask, asks) = mpsc::channel(behaviour::MAX_ASKS);
    let (offer, offers) = mpsc::channel(OFFERS);
    let transport = Transport::new(local, Arc::clone(&config), backend, ask, offers);
    (transport, Behaviour::new(config, asks, offer))
}
