//! The state as records: each key once, with the canonical value. They make the root, and a snapshot is nothing else.

use super::{Counted, Device, Epoch, Member, Motion, Pot, Ready, Registered, Stamped, State, Totals};
use crate::bytes::{BoxKey, DeviceId, EntryId, Hash, InviteKey, MemberId};
use crate::codec::direct::direct;
use crate::codec::{self, CodecError, encode, encode_directly};
use crate::entry::{Invite, Role};
use crate::genesis::Genesis;
use crate::merkle::{StateLeaf, state_root};
use alloc::vec::Vec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most bytes of a record's value. The longest is a motion's: a change of 48 KiB, and the consents of some 14,000
/// members. What is longer would be in the root and keep everybody from joining by a snapshot.
const MAX_VALUE: usize = 512 * 1024;

/// What a record of the state is sorted and proven by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKey {
    /// [`Rules`](crate::genesis::Rules).
    Rules,
    /// [`Totals`].
    Totals,
    /// [`Member`].
    Member(MemberId),
    /// [`Device`].
    Device(DeviceId),
    /// [`Registered`].
    Invite(InviteKey, DeviceId),
    /// (seq, entry) of a device's last counted entry.
    Counted(DeviceId),
    /// [`Witnesses`](crate::settle::Witnesses) of the next height.
    Witnesses,
    /// [`Ready`].
    Ready(DeviceId),
    /// [`Epoch`], by its place among them.
    Epoch(u32),
    /// [`Motion`], by the entry that made it.
    Motion(EntryId),
    /// [`Stamped`], by the document's hash.
    Stamp(Hash),
    /// [`Pot`].
    Pot,
}

// Of these there are as many as there are members, or more.
direct! { Device { member: MemberId, role: Role, box_key: BoxKey, enrolled_height: u64, epoch: u32, retired: bool } }
direct! { Registered { invite: Invite, used: u32, revoked: bool } }
direct! { Counted { seq: u64, id: EntryId } }

impl StateKey {
    /// The canonical bytes: the kind's number, and what tells one from another.
    pub fn encode(&self) -> Vec<u8> {
        let (number, parts): (u8, [&[u8]; 2]) = match self {
            StateKey::Member(id) => (2, [&id.0, &[]]),
            StateKey::Device(id) => (3, [&id.0, &[]]),
            StateKey::Invite(key, issuer) => (4, [&key.0, &issuer.0]),
            StateKey::Counted(id) => (5, [&id.0, &[]]),
            others => return encode(others),
        };
        [&[number], parts[0], parts[1]].concat()
    }
}

/// Why records are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A value does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A key is there twice, or an epoch is missing.
    #[error("the records are not those of one state")]
    Incomplete,
}

fn read<T: DeserializeOwned + Serialize>(value: &[u8]) -> Result<T, CodecError> {
    codec::decode(value, MAX_VALUE)
}

impl State {
    /// The root over all records, each hidden by a salt derived from the circle's.
    pub fn root(&self, salt: &[u8; 32]) -> Hash {
        state_root(self.records().map(|(key, value)| StateLeaf::new(salt, &key.encode(), &value)).collect())
    }

    /// Every record by its key, with its canonical value.
    pub fn records(&self) -> impl Iterator<Item = (StateKey, Vec<u8>)> + '_ {
        let own = [
            (StateKey::Rules, encode(&self.rules)),
            (StateKey::Totals, encode(&self.totals)),
            (StateKey::Witnesses, encode(&self.witnesses)),
            (StateKey::Pot, encode(&self.pot)),
        ];
        let members = self.members.iter().map(|(id, member)| (StateKey::Member(*id), encode(member)));
        let devices = self.devices.iter().map(|(id, device)| (StateKey::Device(*id), encode_directly(device)));
        let invites =
            self.invites.iter().map(|((key, by), known)| (StateKey::Invite(*key, *by), encode_directly(known)));
        let counted = self.counted.iter().map(|(id, last)| (StateKey::Counted(*id), encode_directly(last)));
        let ready = self.ready.iter().map(|(id, ready)| (StateKey::Ready(*id), encode(ready)));
        let epochs = self.epochs.iter().zip(0..).map(|(epoch, at)| (StateKey::Epoch(at), encode(epoch)));
        let motions = self.motions.iter().map(|(id, motion)| (StateKey::Motion(*id), encode(motion)));
        let stamps = self.stamps.iter().map(|(document, stamped)| (StateKey::Stamp(*document), encode(stamped)));
        own.into_iter()
            .chain(members)
            .chain(devices)
            .chain(invites)
            .chain(counted)
            .chain(ready)
            .chain(epochs)
            .chain(motions)
            .chain(stamps)
    }

    /// The state that gave these records, at a header's height and time (milliseconds since 1970). Whether they are
    /// those of that header, its root says.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_records(
        genesis: &Genesis,
        height: u64,
        time: u64,
        records: impl IntoIterator<Item = (StateKey, Vec<u8>)>,
    ) -> Result<Self, RecordError> {
        let mut state = State::new(genesis);
        (state.height, state.time) = (height, time);
        let mut epochs: Vec<(u32, Epoch)> = Vec::new();
        for (key, value) in records {
            let value = &value[..];
            let twice = match key {
                StateKey::Rules => {
                    state.rules = read(value)?;
                    false
                }
                StateKey::Totals => {
                    state.totals = read::<Totals>(value)?;
                    false
                }
                StateKey::Witnesses => {
                    state.witnesses = read(value)?;
                    false
                }
                StateKey::Pot => {
                    state.pot = read::<Pot>(value)?;
                    false
                }
                StateKey::Member(id) => state.members.insert(id, read::<Member>(value)?).is_some(),
                StateKey::Device(id) => state.devices.insert(id, read::<Device>(value)?).is_some(),
                StateKey::Invite(key, by) => state.invites.insert((key, by), read::<Registered>(value)?).is_some(),
                StateKey::Counted(id) => state.counted.insert(id, read::<Counted>(value)?).is_some(),
                StateKey::Ready(id) => state.ready.insert(id, read::<Ready>(value)?).is_some(),
                StateKey::Motion(id) => state.motions.insert(id, read::<Motion>(value)?).is_some(),
                StateKey::Stamp(document) => state.stamps.insert(document, read::<Stamped>(value)?).is_some(),
                StateKey::Epoch(at) => {
                    epochs.push((at, read(value)?));
                    false
                }
            };
            if twice {
                return Err(RecordError::Incomplete);
            }
        }
        epochs.sort_unstable_by_key(|(at, _)| *at);
        if epochs.is_empty() || !epochs.iter().map(|(at, _)| *at).eq(0..epochs.len() as u32) {
            return Err(RecordError::Incomplete);
        }
        state.epochs = epochs.into_iter().map(|(_, epoch)| epoch).collect();
        Ok(state)
    }
}
