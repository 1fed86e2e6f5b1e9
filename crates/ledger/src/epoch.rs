//! The keys of an epoch, and how devices get them.
//!
//! An epoch is the life of a pair of lane keys. It is named by the entry that starts it (epoch 0 by the circle's id) and
//! begins when that settles; of two started at once the later is void, for each names the one before it. That entry
//! commits to the keys, so that whoever is handed them knows whether they are the right ones, and carries them sealed
//! to the remaining devices: both keys to those that write, the state key alone to those that only vote. Devices that
//! were not among them are listed in the state, and any holder hands them all keys of the circle.
//!
//! Sealing to a device: X25519 between a key made for the one operation and the device's, hashed with both public keys;
//! then as everything else is sealed, to (circle, device). A readable circle's keys are no secret: anyone computes them
//! from the epoch's name.

use crate::bytes::{BoxKey, CircleId, DeviceId, EntryId, Hash};
use crate::codec::{self, encode};
use crate::entry::{Lane, Role};
use crate::hash::{context, hash};
use crate::keys::{BoxSecret, DeviceKey};
use crate::seal::{self, LaneKey, LaneKeys, NONCE, SealError};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The most devices to which one operation seals keys.
pub const MAX_SEALED_TO: usize = 128;
/// The most epochs whose keys are handed to one device at once: what an operation takes for one.
pub const MAX_RING: usize = 400;
/// The most bytes of keys before they are sealed to a device.
const MAX_PLAIN: usize = MAX_RING * (3 * 32 + 1) + 2;

/// The start of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEpoch {
    /// The epoch before it.
    pub after: EntryId,
    /// By what its keys are known.
    pub marks: Marks,
    /// The keys for the remaining devices; those that find no room here are handed them later.
    pub keys: Handout,
}

/// By what an epoch's keys are known, state and talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Of the state key.
    pub state: Hash,
    /// Of the talk key.
    pub talk: Hash,
}

/// Keys sealed to devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handout {
    /// The key that was made for this one handout.
    pub sealer: BoxKey,
    /// At most [`MAX_SEALED_TO`].
    pub to: Vec<(DeviceId, Vec<u8>)>,
}

impl Marks {
    /// Of keys; of a circle's own talk key, which only members have, if it is at hand.
    pub fn of(keys: &LaneKeys) -> Self {
        let mark = |key: &LaneKey| Hash(hash(context::EPOCH_KEY, &[key.bytes()]));
        Marks { state: mark(&keys.state), talk: keys.talk.as_ref().map_or(Hash([0; 32]), mark) }
    }

    /// Whether keys are those that were meant; the talk key may be absent.
    pub fn fit(&self, keys: &LaneKeys) -> bool {
        let are = Marks::of(keys);
        self.state == are.state && (keys.talk.is_none() || self.talk == are.talk)
    }
}

impl Handout {
    /// To nobody yet. The secret is 32 random bytes, used for this handout alone.
    fn new(sealer: &BoxSecret) -> Self {
        Handout { sealer: sealer.key(), to: Vec::new() }
    }

    /// Seals epochs' keys to devices, by their roles: at most [`MAX_SEALED_TO`] of them. `secret` and each nonce that
    /// `nonce` gives are random and used once.
    ///
    /// # Errors
    /// [`SealError::TooLong`] for more than [`MAX_RING`] epochs.
    pub fn seal(
        circle: CircleId,
        ring: &[LaneKeys],
        devices: &[(DeviceId, BoxKey, Role)],
        secret: [u8; 32],
        nonce: &mut dyn FnMut() -> [u8; NONCE],
    ) -> Result<Self, SealError> {
        let too_long = SealError::TooLong { len: ring.len(), max: MAX_RING };
        if ring.len() > MAX_RING {
            return Err(too_long);
        }
        let sealer = BoxSecret::from_secret(secret);
        let mut handout = Handout::new(&sealer);
        for (device, box_key, role) in devices.iter().take(MAX_SEALED_TO) {
            let mut ring = ring.to_vec();
            if *role == Role::Vote {
                ring.iter_mut().for_each(|keys| keys.talk = None);
            }
            let plain = Zeroizing::new(encode(&ring));
            let key = agreed(&sealer.agree(box_key), &handout.sealer, box_key);
            let sealed = seal::seal(context::SEAL_KEYS, &key, nonce(), &place(circle, *device), &plain)?;
            handout.to.push((*device, sealed));
        }
        Ok(handout)
    }

    /// The keys for a device, if there are any that open. Whether they are the right ones, the epochs' [`Marks`] say.
    pub fn open(&self, circle: CircleId, device: &DeviceKey) -> Option<Vec<LaneKeys>> {
        let (id, secret) = (device.id(), device.box_secret());
        let (_, sealed) = self.to.iter().find(|(to, _)| *to == id)?;
        let key = agreed(&secret.agree(&self.sealer), &self.sealer, &secret.key());
        let plain = Zeroizing::new(seal::open(context::SEAL_KEYS, &key, &place(circle, id), sealed).ok()?);
        codec::decode(&plain, MAX_PLAIN).ok()
    }
}

/// The key that a sealer and a device share; `shared` is what X25519 gives both.
pub(crate) fn agreed(shared: &[u8; 32], sealer: &BoxKey, device: &BoxKey) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hash(context::AGREED, &[shared, &sealer.0, &device.0]))
}

fn place(circle: CircleId, device: DeviceId) -> Vec<u8> {
    encode(&(circle, device))
}

impl LaneKeys {
    /// The keys of a readable circle's epoch, which are no secret.
    pub fn readable(circle: CircleId, epoch: EntryId) -> Self {
        let key = |lane: Lane| {
            let lane = [u8::from(lane == Lane::Talk)];
            LaneKey::from_secret(hash(context::READABLE, &[&circle.0, &epoch.0, &lane]))
        };
        LaneKeys { epoch, state: key(Lane::State), talk: Some(key(Lane::Talk)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const CIRCLE: CircleId = CircleId([1; 32]);

    fn ring(count: usize) -> Vec<LaneKeys> {
        let keys = |at| LaneKeys {
            epoch: EntryId([at; 32]),
            state: LaneKey::from_secret([at; 32]),
            talk: Some(LaneKey::from_secret([at ^ 0xff; 32])),
        };
        (0..count).map(|at| keys(at as u8)).collect()
    }

    fn seal(ring: &[LaneKeys], devices: &[(DeviceId, BoxKey, Role)]) -> Handout {
        let mut no = 0;
        let mut nonce = || {
            no += 1;
            [no; NONCE]
        };
        Handout::seal(CIRCLE, ring, devices, [9; 32], &mut nonce).unwrap()
    }

    #[test]
    fn each_device_opens_its_own_and_a_voter_gets_no_talk_key() {
        let [writer, voter, other] = [2, 3, 4].map(|seed| DeviceKey::from_secret([seed; 32]));
        let to = |device: &DeviceKey, role| (device.id(), device.box_key(), role);
        let handout = seal(&ring(2), &[to(&writer, Role::Write), to(&voter, Role::Vote)]);
        assert_eq!(handout.open(CIRCLE, &writer), Some(ring(2)));
        let voters = handout.open(CIRCLE, &voter).unwrap();
        assert!(voters.iter().all(|keys| keys.talk.is_none()));
        assert!(voters.iter().zip(ring(2)).all(|(keys, all)| keys.state == all.state));
        assert_eq!(handout.open(CIRCLE, &other), None);
        assert_eq!(handout.open(CircleId([2; 32]), &writer), None);
        let mut swapped = handout.clone();
        let (first, second) = swapped.to.split_at_mut(1);
        core::mem::swap(&mut first[0].1, &mut second[0].1);
        assert_eq!(swapped.open(CIRCLE, &writer), None);
        assert_eq!(Handout { sealer: writer.box_key(), ..handout }.open(CIRCLE, &voter), None);
    }

    #[test]
    fn marks_tell_the_right_keys() {
        let keys = &ring(2)[1];
        let marks = Marks::of(keys);
        assert!(marks.fit(keys) && marks.fit(&LaneKeys { talk: None, ..keys.clone() }));
        assert!(!marks.fit(&ring(1)[0]));
        assert!(!marks.fit(&LaneKeys { talk: Some(keys.state.clone()), ..keys.clone() }));
    }

    #[test]
    fn a_full_handout_fits_an_operation() {
        let devices: Vec<_> = (0..200u8)
            .map(|seed| DeviceKey::from_secret([seed; 32]))
            .map(|device| (device.id(), device.box_key(), Role::Write))
            .collect();
        let handout = seal(&ring(1), &devices);
        assert_eq!(handout.to.len(), MAX_SEALED_TO);
        assert!(encode(&handout).len() + 256 <= crate::op::MAX_OPERATION);
        assert!(encode(&seal(&ring(128), &devices[..2])).len() + 256 <= crate::op::MAX_OPERATION);
        let full = seal(&ring(MAX_RING), &devices[..1]);
        assert!(encode(&full).len() + 256 <= crate::op::MAX_OPERATION);
        assert_eq!(full.open(CIRCLE, &DeviceKey::from_secret([0; 32])).map(|keys| keys.len()), Some(MAX_RING));
        let more = Handout::seal(CIRCLE, &ring(MAX_RING + 1), &devices[..1], [9; 32], &mut || [0; NONCE]);
        assert!(more.is_err());
    }

    #[test]
    fn a_readable_circles_keys_are_known_to_all_and_differ() {
        let (one, two) = (LaneKeys::readable(CIRCLE, EntryId([1; 32])), LaneKeys::readable(CIRCLE, EntryId([2; 32])));
        assert_eq!(one, LaneKeys::readable(CIRCLE, EntryId([1; 32])));
        assert!(one.state != two.state && Some(&one.state) != one.talk.as_ref());
    }
}
