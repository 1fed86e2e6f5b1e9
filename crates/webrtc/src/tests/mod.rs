#![allow(clippy::unwrap_used, clippy::expect_used)]

mod frames;
mod links;
mod mutator;
mod negotiation;
mod streams;
