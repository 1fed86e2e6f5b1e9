//! Stamps: a document's hash, settled. It proves that the document existed by the header's time, and who vouched.

use super::{State, VoidReason};
use crate::bytes::{DeviceId, EntryId, Hash, MemberId};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The most members who vouch for one document.
pub const MAX_VOUCHERS: usize = 512;

/// A document that was stamped. All of it is in one record, so that one proof shows all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Who stamped it.
    pub by: MemberId,
    /// With which device.
    pub device: DeviceId,
    /// The entry, whose body holds the sealed note.
    pub entry: EntryId,
    /// The height at which that settled.
    pub height: u64,
    /// That header's time, in milliseconds since 1970.
    pub time: u64,
    /// Who vouched besides, sorted by member.
    pub vouched: Vec<Vouched>,
}

/// Another member's word for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// Whose.
    pub member: MemberId,
    /// Given with which device.
    pub device: DeviceId,
    /// The height at which that settled.
    pub height: u64,
    /// That header's time, in milliseconds since 1970.
    pub time: u64,
}

impl State {
    pub(super) fn stamp(
        &mut self,
        entry: EntryId,
        device: DeviceId,
        by: MemberId,
        document: Hash,
    ) -> Result<(), VoidReason> {
        if self.stamps.contains_key(&document) {
            return Err(VoidReason::Already);
        }
        let (height, time) = (self.height, self.time);
        self.stamps.insert(document, Stamped { by, device, entry, height, time, vouched: Vec::new() });
        Ok(())
    }

    pub(super) fn endorse(&mut self, device: DeviceId, member: MemberId, document: Hash) -> Result<(), VoidReason> {
        let stamped = self.stamps.get_mut(&document).ok_or(VoidReason::Unknown)?;
        if stamped.by == member {
            return Err(VoidReason::Already);
        }
        match stamped.vouched.binary_search_by_key(&member, |vouched| vouched.member) {
            Ok(_) => Err(VoidReason::Already),
            Err(_) if stamped.vouched.len() >= MAX_VOUCHERS => Err(VoidReason::OutOfRange),
            Err(at) => {
                stamped.vouched.insert(at, Vouched { member, device, height: self.height, time: self.time });
                Ok(())
            }
        }
    }

    /// The stamped documents by hash, sorted.
    pub fn stamps(&self) -> impl Iterator<Item = (&Hash, &Stamped)> + '_ {
        self.stamps.iter()
    }

    /// A document's stamp.
    pub fn stamped(&self, document: &Hash) -> Option<&Stamped> {
        self.stamps.get(document)
    }
}
