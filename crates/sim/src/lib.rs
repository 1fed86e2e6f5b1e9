//! A discrete-event simulator that drives the shipped engine: many nodes on one virtual clock, with every fault that a
//! network, a disk or a person can have, and with liars.
//!
//! Everything follows from one seed. [`world::World`] holds the nodes, the links and the queue of what is to happen; it
//! takes the earliest happening, lets it reach an engine, and carries out what the engine wants: a message is delivered
//! after a latency drawn from the seed, a write becomes durable after a while, a timer rings. A [`scenario`] sets the
//! world up and says when what breaks. [`watch`] looks on from outside, at what became durable where; [`check`] compares
//! at the end. The same seed gives the same run, byte for byte, so a failure is found again by its seed.

#![deny(missing_docs)]

pub mod cast;
pub mod check;
pub mod disk;
pub mod forger;
pub mod growth;
pub mod host;
pub mod liar;
pub mod net;
pub mod queue;
pub mod report;
pub mod scenario;
pub mod svg;
pub mod trace;
pub mod traffic;
pub mod watch;
pub mod world;
