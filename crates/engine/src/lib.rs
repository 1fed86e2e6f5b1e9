//! A node of one circle as a state machine without I/O.
//!
//! The contract of its run loop: the driver calls a method of [`Engine`] for whatever happens (a link opened, bytes came,
//! a write became durable, the time that it asked for is reached, a person wrote something), each with the time of
//! day; then it takes [`Output`]s until there are none and carries them out in order. The engine never waits, never
//! reads a clock, and draws its randomness from a seed given once. So the same code runs in the browser, in the relay
//! and in the simulator.
//!
//! What it decides: which entries are taken into the DAG, what is sent to whom and when, when a cut is settled, and in
//! which of the four states each entry is. The rules themselves are `ledgerno-ledger`'s.

#![deny(missing_docs)]

mod acts;
mod answer;
mod bulk;
#[cfg(any(test, feature = "hostile"))]
pub mod conformance;
mod contract;
pub mod council;
mod earlier;
mod engine;
mod epoch;
mod erasing;
mod frontier;
mod giving;
mod guard;
mod history;
mod inspect;
mod intake;
pub mod join;
mod joining;
pub mod keybox;
mod keyring;
mod left;
mod mailbox;
mod prove;
mod prune;
mod random;
mod recall;
mod renewal;
mod session;
mod settler;
mod snapshot;
pub mod status;
pub mod store;
mod unchecked;
mod unvoted;
pub mod view;
pub mod wire;
mod write;

pub use engine::{Engine, Event, Limits, Output, Peer, Seat};
pub use guard::Divided;
pub use inspect::Load;
pub use keyring::Keyring;
pub use prove::ProveError;
pub use random::Random;
pub use store::{Item, OpenError};
pub use write::{Invitation, WriteError, Written};
