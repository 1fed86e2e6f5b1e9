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
use ledgerno_minnet::{MAX_STANDINGS, Standings};
use serde::{Deserialize, Serialize};

/// The space of the device itself.
pub const SPACE: &str = "profile";
const IDENTITY: &str = "identity";
const DEVICE: &str = "device";
const CIRCLE: &str = "circle-";
const STANDINGS: &str = "standings";
/// Bans alone, as earlier versions kept them. The longest is over in a day, so they are not read any more.
const BANS: &str = "bans";
/// The most bytes of all that is remembered of peers.
pub(crate) const MAX_STANDINGS_BYTES: usize = MAX_STANDINGS * 72;
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
    /// Peers that behaved badly.
    pub standings: Standings,
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
            standings: Standings::default(),
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
        // Who behaves badly earns it anew if it is lost.
        let standings = loaded.records.get(STANDINGS);
        let standings = standings.and_then(|bytes| codec::decode(bytes, MAX_STANDINGS_BYTES).ok()).unwrap_or_default();
        let mut profile =
            Profile { identity: secret(IDENTITY)?, device: secret(DEVICE)?, circles: SortedMap::new(), standings };
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

/// What makes it durable who behaved badly.
pub(crate) fn standings_batch(standings: &Standings) -> Batch {
    let written = Some(codec::encode(standings).into());
    Batch { records: vec![(STANDINGS.to_owned(), written), (BANS.to_owned(), None)], ..Batch::default() }
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
    use ledgerno_minnet::{Faults, Peer, Standing};
    use std::collections::BTreeMap;

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
        let profile =
            Profile { identity: [1; 32], device: [2; 32], circles: SortedMap::new(), standings: Standings::default() };
        let written = profile.batch().records.into_iter().chain(circle_batch(circle, &record).records);
        let records = written.filter_map(|(name, bytes)| Some((name, bytes?))).collect();
        let back = Profile::restore(&Loaded { records, ..Loaded::default() }).unwrap().unwrap();
        assert_eq!(back.circles.get(&circle).unwrap().later.len(), 500);
    }

    #[test]
    fn who_behaved_badly_is_read_back_and_what_can_not_be_read_is_nobody() {
        let standings = Standings::default();
        let mut profile = Profile { identity: [1; 32], device: [2; 32], circles: SortedMap::new(), standings };
        let faults = Faults { wrong: u32::MAX, misbehaviour: u32::MAX };
        let standing = |peer: u8| Standing {
            peer: Peer([peer; 32]),
            until_ms: u64::MAX,
            times: u32::MAX,
            faults,
            at_ms: u64::MAX,
        };
        (0..=u8::MAX).for_each(|peer| profile.standings.put(standing(peer), 1));
        let written = profile.batch().records.into_iter().chain(standings_batch(&profile.standings).records);
        let mut records: BTreeMap<_, _> = written.filter_map(|(name, bytes)| Some((name, bytes?))).collect();
        let restored = |records: &BTreeMap<String, Bytes>| {
            let loaded = Loaded { records: records.clone(), ..Loaded::default() };
            Profile::restore(&loaded).unwrap().unwrap().standings
        };
        assert_eq!(restored(&records), profile.standings);
        records.insert(STANDINGS.to_owned(), Bytes::from_static(&[200, 1, 7]));
        // An earlier version's.
        records.insert(BANS.to_owned(), codec::encode(&vec![([7u8; 32], 8u64, 1u32)]).into());
        assert_eq!(restored(&records), Standings::default());
    }
}
