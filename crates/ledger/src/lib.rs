//! The rules of the ledger, without a clock, a socket or a disk: keys, entries, their DAG, sealing, the state that they
//! fold to and the settlement that orders them. The same code runs in the browser, in the relay and in the simulator,
//! and gives the same hashes in all three.

#![no_std]
#![deny(missing_docs)]

extern crate alloc;

pub mod blob;
pub mod bytes;
pub mod check;
pub mod codec;
#[cfg(any(test, feature = "hostile"))]
pub mod conformance;
pub mod dag;
pub mod entry;
pub mod epoch;
pub mod erasure;
pub mod genesis;
pub mod hash;
#[cfg(any(test, feature = "hostile"))]
pub mod hostile;
pub mod invite;
pub mod keybox;
pub mod keys;
pub mod merkle;
pub mod message;
pub mod mutant;
pub mod op;
pub mod proof;
pub mod seal;
pub mod settle;
pub mod sorted;
pub mod state;
#[cfg(any(test, feature = "hostile"))]
pub mod vectors;
pub mod verify;
pub mod words;
