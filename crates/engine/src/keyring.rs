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

    /// The keys that seal what is written now.
    pub fn newest(&self) -> &LaneKeys {
        &self.epochs[self.epochs.len() - 1]
    }

    /// The key of a lane in an epoch, if it is held.
    pub fn key(&self, epoch: EntryId, lane: Lane) -> Option<&LaneKey> {
        let keys = self.epochs.iter().find(|keys| keys.epoch == epoch)?;
        match lane {
            Lane::State => Some(&keys.state),
            Lane::Talk => keys.talk.as_ref(),
        }
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
}
