//! What a node remembers beside its circles' logs: who it is and which circles it is in.

use crate::error::NodeError;
use crate::store::{Batch, Loaded};
use bytes::Bytes;
use ledgerno_engine::Keyring;
use ledgerno_ledger::bytes::CircleId;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Anchor;
use ledgerno_ledger::genesis::Genesis;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::keys::{DeviceKey, Identity, VoteSecret};
use ledgerno_ledger::seal::LaneKeys;
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_minnet::Ban;
use serde::{Deserialize, Serialize};

/// The space of the device itself.
pub const SPACE: &str = "profile";
const IDENTITY: &str = "identity";
const DEVICE: &str = "device";
const CIRCLE: &str = "circle-";
const BANS: &str = "bans";
/// Bans that are remembered, and the most bytes of them.
pub(crate) const MAX_BANS: usize = 256;
const MAX_BANS_BYTES: usize = MAX_BANS * 64;
/// The most bytes of a circle's record: what is longer is never written, or it would be lost at the next start. A record
/// comes from a key file or a keybox too, with the keys of all epochs.
pub(crate) const MAX_RECORD: usize = 1024 * 1024;

/// A circle that this node is in, or keeps.
#[derive(Clone, Serialize, Deserialize)]
pub struct CircleRecord {
    /// The genesis, encoded.
    pub genesis: Vec<u8>,
    /// The first epoch's lane keys. A relay has none; one that is enlisted has the state key.
    pub keys: Option<LaneKeys>,
    /// Those of later epochs that came with them; what came since is in the circle's own store.
    pub later: Vec<LaneKeys>,
    /// The vote's secret, at a witness.
    pub vote: Option<[u8; 32]>,
    /// The relays that keep the circle.
    pub relays: Vec<RelayAddress>,
    /// A settled header that the invite pinned: a history without it is not this circle's.
    pub pinned: Option<Anchor>,
}

/// Who this node is.
#[derive(Clone)]
pub struct Profile {
    /// The member's secret.
    pub identity: [u8; 32],
    /// The device's secret.
    pub device: [u8; 32],
    /// Its circles.
    pub circles: SortedMap<CircleId, CircleRecord>,
    /// Peers of which nothing is taken for a while.
    pub bans: Vec<Ban>,
}

impl CircleRecord {
    /// The genesis.
    ///
    /// # Errors
    /// When the record is damaged.
    pub fn genesis(&self) -> Result<Genesis, NodeError> {
        Genesis::decode(&self.genesis).map_err(|_| NodeError::Record(CIRCLE.to_owned()))
    }

    /// The lane keys as a ring.
    pub fn keyring(&self, circle: CircleId) -> Option<Keyring> {
        self.keys.clone().map(|keys| Keyring::with(circle, keys, self.later.clone()))
    }

    /// The vote.
    pub fn vote(&self) -> Option<VoteSecret> {
        self.vote.map(VoteSecret::from_secret)
    }
}

impl Profile {
    /// A new person on a new device.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new() -> Result<Self, NodeError> {
        Ok(Profile {
            identity: crate::rt::random()?,
            device: crate::rt::random()?,
            circles: SortedMap::new(),
            bans: Vec::new(),
        })
    }

    /// What was stored, or none if nothing was.
    ///
    /// # Errors
    /// When a record is damaged: then nothing must be written over it.
    pub fn restore(loaded: &Loaded) -> Result<Option<Self>, NodeError> {
        if loaded.records.is_empty() {
            return Ok(None);
        }
        let secret = |name: &str| {
            let bytes = loaded.records.get(name).and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok());
            bytes.ok_or_else(|| NodeError::Record(name.to_owned()))
        };
        // A ban that is lost is given anew.
        let bans = loaded.records.get(BANS).and_then(|bytes| codec::decode(bytes, MAX_BANS_BYTES).ok());
        let bans = bans.unwrap_or_default();
        let mut profile =
            Profile { identity: secret(IDENTITY)?, device: secret(DEVICE)?, circles: SortedMap::new(), bans };
        for (name, bytes) in loaded.records.iter().filter(|(name, _)| name.starts_with(CIRCLE)) {
            let record: CircleRecord = codec::decode(bytes, MAX_RECORD).map_err(|_| NodeError::Record(name.clone()))?;
            profile.circles.insert(record.genesis()?.id(), record);
        }
        Ok(Some(profile))
    }

    /// The person's identity.
    pub fn identity(&self) -> Identity {
        Identity::from_secret(self.identity)
    }

    /// The device's key.
    pub fn device(&self) -> DeviceKey {
        DeviceKey::from_secret(self.device)
    }

    /// What makes the person and the device durable.
    pub fn batch(&self) -> Batch {
        let record = |name: &str, secret: &[u8; 32]| (name.to_owned(), Some(Bytes::copy_from_slice(secret)));
        Batch { records: vec![record(IDENTITY, &self.identity), record(DEVICE, &self.device)], ..Batch::default() }
    }
}

/// What makes bans durable.
pub(crate) fn bans_batch(bans: &Vec<Ban>) -> Batch {
    Batch { records: vec![(BANS.to_owned(), Some(codec::encode(bans).into()))], ..Batch::default() }
}

/// What makes a circle durable in the profile.
pub fn circle_batch(circle: CircleId, record: &CircleRecord) -> Batch {
    Batch { records: vec![(format!("{CIRCLE}{circle}"), Some(codec::encode(record).into()))], ..Batch::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use ledgerno_ledger::bytes::EntryId;
    use ledgerno_ledger::hostile::Circle;
    use ledgerno_ledger::seal::LaneKey;

    #[test]
    fn a_circle_of_many_epochs_is_read_back() {
        let Circle { genesis, keys, .. } = Circle::new(7);
        let later = |number: u16| {
            let mut epoch = [9; 32];
            epoch[..2].copy_from_slice(&number.to_le_bytes());
            let key = LaneKey::from_secret([8; 32]);
            LaneKeys { epoch: EntryId(epoch), state: key.clone(), talk: Some(key) }
        };
        // As many as a device is handed at once, and then some.
        let later: Vec<LaneKeys> = (0..500).map(later).collect();
        let circle = genesis.id();
        let genesis = genesis.encode();
        let record = CircleRecord { genesis, keys: Some(keys), later, vote: None, relays: vec![], pinned: None };
        let profile = Profile { identity: [1; 32], device: [2; 32], circles: SortedMap::new(), bans: Vec::new() };
        let written = profile.batch().records.into_iter().chain(circle_batch(circle, &record).records);
        let records = written.filter_map(|(name, bytes)| Some((name, bytes?))).collect();
        let back = Profile::restore(&Loaded { records, ..Loaded::default() }).unwrap().unwrap();
        assert_eq!(back.circles.get(&circle).unwrap().later.len(), 500);
    }
}
