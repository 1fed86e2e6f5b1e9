//! Against a second history: a sole witness could show one member other headers than another. Every entry names the newest
//! header that its author verified, and every invite one that its giver did; whoever sees two of one height says so.

use crate::engine::{Engine, Event, Output};
use ledgerno_ledger::bytes::{DeviceId, HeaderHash};
use ledgerno_ledger::entry::Anchor;
use ledgerno_ledger::sorted::SortedMap;

/// The most headers ahead of ours that are remembered.
const MAX_AHEAD: usize = 1_000;

/// Another header than ours is named at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divided {
    /// The height.
    pub height: u64,
    /// Whose entry or invite names the other.
    pub by: DeviceId,
}

/// The most of them that are remembered.
const MAX_DIVIDED: usize = 8;

/// What was named by friends.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// Headers that are not settled here yet.
    ahead: SortedMap<u64, (HeaderHash, DeviceId)>,
    divided: Vec<Divided>,
}

impl Engine {
    /// Holds the settled history to a header that an invite pinned; before anything is settled.
    pub fn pin(&mut self, pinned: Option<Anchor>) {
        self.joining.pinned = pinned;
        let Some(Anchor { height, hash }) = pinned else { return };
        match self.chain.hash_at(height) {
            Some(ours) if ours == hash => {}
            Some(_) => self.divided_by(height, self.genesis.device),
            None => {
                self.guard.ahead.insert(height, (hash, self.genesis.device));
            }
        }
    }

    /// Compares the header that an entry of this device names with the own one.
    pub(crate) fn compare_anchor(&mut self, Anchor { height, hash }: Anchor, device: DeviceId) {
        match self.chain.hash_at(height) {
            Some(ours) if ours == hash => {}
            Some(_) => self.divided_by(height, device),
            None if self.guard.ahead.len() < MAX_AHEAD => {
                self.guard.ahead.get_or_insert_with(height, || (hash, device));
            }
            None => {}
        }
    }

    /// Compares a header that was settled now with what was named before it came.
    pub(crate) fn compare_settled(&mut self, height: u64, ours: HeaderHash) {
        if let Some((theirs, device)) = self.guard.ahead.remove(&height)
            && theirs != ours
        {
            self.divided_by(height, device);
        }
    }

    /// Other headers than ours that were named since the start.
    pub fn divisions(&self) -> &[Divided] {
        &self.guard.divided
    }

    fn divided_by(&mut self, height: u64, by: DeviceId) {
        if self.names_void(&by, height) {
            return;
        }
        let divided = Divided { height, by };
        if self.guard.divided.len() < MAX_DIVIDED && !self.guard.divided.contains(&divided) {
            self.guard.divided.push(divided);
            self.outputs.push_back(Output::Event(Event::Changed));
        }
    }
}
