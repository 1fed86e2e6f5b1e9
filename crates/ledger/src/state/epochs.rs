//! Epochs: which lane keys are in use, and who was given them. See [`crate::epoch`].
//!
//! At one height one epoch begins: of two at once the later is void. Any member may start one on demand, so these are
//! bounded: what is left of the epochs that one handout takes is for removals, which need authority.
//!
//! An entry may be sealed with the keys of any epoch that began at an earlier height; with others' it is unreadable for
//! the fold, for all alike.

use super::{State, VoidReason};
use crate::bytes::{CircleId, DeviceId, EntryId, Hash, MemberId};
use crate::entry::Entry;
use crate::epoch::{Handout, MAX_RING, Marks, NewEpoch};
use crate::genesis::Kind;
use serde::{Deserialize, Serialize};

/// With so many epochs, the first among them, none is started on demand any more.
pub const MAX_ON_DEMAND: usize = MAX_RING / 2;

/// An epoch that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// The entry that started it; epoch 0 is named by the circle's id.
    pub id: EntryId,
    /// The height at which it began.
    pub height: u64,
    /// By what its keys are known; nothing is said of epoch 0's, which come with the invite.
    pub marks: Marks,
}

impl Epoch {
    pub(super) fn first(circle: CircleId) -> Self {
        let nothing = Hash([0; 32]);
        Epoch { id: circle.into(), height: 0, marks: Marks { state: nothing, talk: nothing } }
    }
}

impl State {
    /// Starts an epoch, with a member removed by the same entry. All checks come before the first change.
    pub(super) fn start_epoch(
        &mut self,
        id: EntryId,
        new: &NewEpoch,
        without: Option<MemberId>,
    ) -> Result<(), VoidReason> {
        let newest = self.newest_epoch();
        if new.after != newest.id || newest.height == self.height {
            return Err(VoidReason::EpochPassed);
        }
        if self.kind == Kind::Readable && without.is_none() {
            return Err(VoidReason::NotAllowed);
        }
        if self.epochs.len() >= MAX_ON_DEMAND && without.is_none() {
            return Err(VoidReason::OutOfRange);
        }
        if let Some(member) = without {
            self.remove(member)?;
        }
        self.epochs.push(Epoch { id, height: self.height, marks: new.marks });
        self.note_handed(&new.keys);
        Ok(())
    }

    fn note_handed(&mut self, keys: &Handout) {
        let newest = self.newest_index();
        for (device, _) in &keys.to {
            if let Some(device) = self.devices.get_mut(device) {
                device.epoch = newest;
            }
        }
    }

    pub(super) fn hand_out(&mut self, epoch: EntryId, keys: &Handout) -> Result<(), VoidReason> {
        if epoch != self.newest_epoch().id {
            return Err(VoidReason::EpochPassed);
        }
        let lacks =
            |device: &DeviceId| self.devices.get(device).is_some_and(|device| device.epoch < self.newest_index());
        if !keys.to.iter().any(|(device, _)| lacks(device)) {
            return Err(VoidReason::Already);
        }
        self.note_handed(keys);
        Ok(())
    }

    pub(super) fn lack(&mut self, device: DeviceId) -> Result<(), VoidReason> {
        self.actor(&device)?;
        match self.devices.get_mut(&device) {
            Some(known) if known.epoch > 0 => known.epoch = 0,
            _ => return Err(VoidReason::Already),
        }
        Ok(())
    }

    fn newest_index(&self) -> u32 {
        u32::try_from(self.epochs.len() - 1).unwrap_or(u32::MAX)
    }

    /// The epoch whose keys are to be used now.
    pub fn newest_epoch(&self) -> &Epoch {
        &self.epochs[self.epochs.len() - 1]
    }

    /// The epochs, in the order in which they began; never empty.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Whether an entry is sealed with the keys of an epoch that began before the header being folded.
    pub fn is_of_known_epoch(&self, entry: &Entry) -> bool {
        self.epochs.iter().any(|epoch| epoch.id == entry.epoch && (epoch.height < self.height || epoch.height == 0))
    }

    /// Active devices to which the newest epoch's keys were not sealed yet: any holder seals to them. A readable circle
    /// has none.
    pub fn lacking(&self) -> impl Iterator<Item = DeviceId> + '_ {
        let newest = if self.kind == Kind::Readable { 0 } else { self.newest_index() };
        let lacks = move |(id, device): &(&DeviceId, &super::Device)| device.epoch < newest && self.is_active(id);
        self.devices.iter().filter(lacks).map(|(id, _)| *id)
    }
}
