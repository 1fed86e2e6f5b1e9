//! Liars: nodes whose engine is honest and whose mouth is not. What a node sends to each other one goes through its liar,
//! if it has one, who may leave it out or say something else.

use crate::host::Id;
use ledgerno_engine::wire::{Answer, Ask, Topic};
use std::rc::Rc;

/// What one node says to another.
#[derive(Clone, Debug)]
pub enum Said {
    /// Gossip, its own or handed on.
    Gossip(Topic, Rc<[u8]>),
    /// A question.
    Ask(Ask),
    /// An answer.
    Answer(Answer),
}

/// A node's mouth.
pub trait Liar {
    /// What is said to `to` in place of `said`: nothing, or something else.
    fn say(&mut self, now: u64, to: Id, said: Said) -> Option<Said>;
}

impl<F: FnMut(u64, Id, Said) -> Option<Said>> Liar for F {
    fn say(&mut self, now: u64, to: Id, said: Said) -> Option<Said> {
        self(now, to, said)
    }
}
