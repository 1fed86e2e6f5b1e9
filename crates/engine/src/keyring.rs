//! The lane keys that a device holds, and how they open bodies.

use ledgerno_ledger::bytes::{CircleId, EntryId};
use ledgerno_ledger::entry::{Entry, Lane};
use ledgerno_ledger::seal::{self, LaneKey, LaneKeys};
use ledgerno_ledger::settle::Opener;

/// Lane keys by epoch, oldest first. Never empty: the first epoch's state key salts the state tree.
#[derive(Clone)]
pub struct Keyring {
    circle: CircleId,
    epochs: Vec<LaneKeys>,
}

impl Keyring {
    /// A ring with its first keys.
    pub fn new(circle: CircleId, first: LaneKeys) -> Self {
        Keyring { circle, epochs: vec![first] }
    }

    /// A ring with its first keys and those of later epochs.
    pub fn with(circle: CircleId, first: LaneKeys, later: impl IntoIterator<Item = LaneKeys>) -> Self {
        let mut ring = Self::new(circle, first);
        for keys in later {
            ring.add(keys);
        }
        ring
    }

    /// Adds an epoch's keys; false if they are held. A talk key that was missing is added to the state key.
    pub fn add(&mut self, keys: LaneKeys) -> bool {
        match self.epochs.iter_mut().find(|held| held.epoch == keys.epoch) {
            Some(held) if held.talk.is_none() && keys.talk.is_some() && held.state == keys.state => *held = keys,
            Some(_) => return false,
            None => self.epochs.push(keys),
        }
        true
    }

    /// All keys, the first epoch's first.
    pub fn all(&self) -> &[LaneKeys] {
        &self.epochs
    }

    /// The keys of an epoch, if they are held.
    pub fn of(&self, epoch: &EntryId) -> Option<&LaneKeys> {
        self.epochs.iter().find(|keys| keys.epoch == *epoch)
    }

    /// The key of a lane in an epoch, if it is held.
    pub fn key(&self, epoch: EntryId, lane: Lane) -> Option<&LaneKey> {
        self.of(&epoch)?.lane(lane)
    }
}

impl Opener for Keyring {
    fn open(&self, entry: &Entry, sealed: &[u8]) -> Option<Vec<u8>> {
        let key = self.key(entry.epoch, entry.lane)?;
        seal::open_body(self.circle, entry, key, sealed).ok()
    }

    fn salt(&self) -> [u8; 32] {
        self.epochs[0].state.circle_salt()
    }

    fn holds(&self, epoch: &EntryId) -> bool {
        self.of(epoch).is_some()
    }
}
