//! Who votes. A device says that it is ready, with a fresh vote key; whoever has the authority promotes and demotes
//! several in one step, within the circle's number of heights after it. A change takes effect for the next height, and
//! the header's `witnesses` says it. A witness may resign, and evidence takes out whoever voted twice; the last one
//! stays whatever it did.

use super::{State, VoidReason};
use crate::bytes::{DeviceId, VoteKey};
use crate::keys::check_key;
use crate::settle::{Evidence, MAX_WITNESSES, Witness, Witnesses};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A device that is ready to be a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The key with which it will vote.
    pub vote_key: VoteKey,
    /// Whether it says of itself that it is always on.
    pub always_on: bool,
    /// The height at which that settled.
    pub height: u64,
}

impl State {
    pub(super) fn ready(&mut self, device: DeviceId, vote_key: VoteKey, always_on: bool) -> Result<(), VoidReason> {
        self.actor(&device)?;
        if check_key(&vote_key.0).is_err() || self.witnesses.by_key(&vote_key).is_some() {
            return Err(VoidReason::NotAllowed);
        }
        self.ready.insert(device, Ready { vote_key, always_on, height: self.height });
        Ok(())
    }

    pub(super) fn change_witnesses(&mut self, promote: &[DeviceId], demote: &[DeviceId]) -> Result<(), VoidReason> {
        let mut all = self.witnesses.all().to_vec();
        let before = all.len();
        all.retain(|witness| !demote.contains(&witness.device));
        if before - all.len() < demote.len() {
            return Err(VoidReason::Unknown);
        }
        for device in promote {
            self.actor(device).map_err(|_| VoidReason::Unknown)?;
            let ready = self.ready.get(device).filter(|ready| self.is_recent(ready)).ok_or(VoidReason::NotReady)?;
            let (vote_key, always_on) = (ready.vote_key, ready.always_on);
            // A key of its own, fresh at each promotion.
            if all.iter().any(|witness| witness.vote_key == vote_key) {
                return Err(VoidReason::NotAllowed);
            }
            all.retain(|witness| witness.device != *device);
            all.push(Witness { device: *device, vote_key, always_on });
        }
        self.seat(all)?;
        promote.iter().for_each(|device| {
            self.ready.remove(device);
        });
        Ok(())
    }

    fn is_recent(&self, ready: &Ready) -> bool {
        self.height.saturating_sub(ready.height) <= self.rules.witness_ready_window
    }

    pub(super) fn resign(&mut self, device: DeviceId) -> Result<(), VoidReason> {
        self.actor(&device)?;
        if !self.witnesses.has_device(&device) {
            return Err(VoidReason::Unknown);
        }
        self.dismiss(&[device])
    }

    pub(super) fn evidence(&mut self, by: DeviceId, evidence: &Evidence) -> Result<(), VoidReason> {
        self.actor(&by)?;
        let key = evidence.check(self.circle).ok_or(VoidReason::NoEvidence)?;
        let liar = self.witnesses.by_key(&key).ok_or(VoidReason::NoEvidence)?.device;
        self.dismiss(&[liar])
    }

    /// Takes devices out of the witnesses, if they are among them and others are left.
    pub(super) fn dismiss(&mut self, devices: &[DeviceId]) -> Result<(), VoidReason> {
        if !devices.iter().any(|device| self.witnesses.has_device(device)) {
            return Ok(());
        }
        let mut all = self.witnesses.all().to_vec();
        all.retain(|witness| !devices.contains(&witness.device));
        self.seat(all)
    }

    fn seat(&mut self, all: Vec<Witness>) -> Result<(), VoidReason> {
        if all.is_empty() {
            return Err(VoidReason::LastWitness);
        }
        if all.len() > MAX_WITNESSES {
            return Err(VoidReason::OutOfRange);
        }
        self.witnesses = Witnesses::new(all, self.rules.liars);
        Ok(())
    }

    /// The rules may say another number of liars.
    pub(super) fn reweigh(&mut self) {
        self.witnesses = Witnesses::new(self.witnesses.all().to_vec(), self.rules.liars);
    }

    /// Who votes on the height after this state's.
    pub fn witnesses(&self) -> &Witnesses {
        &self.witnesses
    }

    /// Devices that said of late that they are ready to be witnesses.
    pub fn ready_devices(&self) -> impl Iterator<Item = (&DeviceId, &Ready)> + '_ {
        self.ready.iter().filter(|(_, ready)| self.is_recent(ready))
    }
}
