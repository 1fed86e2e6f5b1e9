//! A look from outside, for the simulator and for tests: what no screen shows and what no decision rests on.

use crate::engine::Engine;
use crate::session::Session;
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::state::{State, Verdict};

/// What an engine holds at the moment that it should not hold for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Entries that wait for their ancestors.
    pub waiting: usize,
    /// Questions that are out.
    pub questions: usize,
    /// Sessions that are not at rest.
    pub sessions: usize,
    /// Guests.
    pub guests: usize,
}

impl Engine {
    /// The height that settled an entry; `None` while it is not settled.
    pub fn settled_at(&self, id: &EntryId) -> Option<u64> {
        self.history.settled(id).map(|settled| settled.height)
    }

    /// Whether an entry is settled and counts nothing.
    pub fn is_void(&self, id: &EntryId) -> bool {
        self.history.settled(id).is_some_and(|settled| matches!(settled.verdict, Some(Verdict::Void(_))))
    }

    /// Up to which height settled headers are durable here.
    pub fn durable_height(&self) -> u64 {
        self.durable_height
    }

    /// The state after the newest settled header, where it is folded.
    pub fn state(&self) -> Option<&State> {
        self.chain.state()
    }

    /// How many witnesses vote on the next height.
    pub fn witness_count(&self) -> usize {
        self.chain.witnesses().all().len()
    }

    /// Whether, at the last height that this device voted on, a quorum of witnesses was heard on their own topic.
    pub fn votes_reach(&self) -> bool {
        self.agreement.reaches
    }

    /// What is held at the moment.
    pub fn load(&self) -> Load {
        Load {
            waiting: self.dag.waiting(),
            questions: self.asked.len() + self.parcels_asked.len(),
            sessions: self.sessions.values().filter(|session| !Session::rests(session)).count(),
            guests: self.guests.len(),
        }
    }
}
