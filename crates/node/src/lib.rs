//! The driver of a node: engine, network and store together.

pub mod store;
