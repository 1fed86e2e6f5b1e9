//! Parcels kept for who holds an invite: lane keys sealed to the invite's secret, so that a newcomer can join while every
//! friend sleeps. The keeper reads none of them; it knows the invite's uses and expiry and gives the parcel out no
//! longer than these say. A used-up or expired parcel is erased; its invite is remembered, to answer why.

use crate::wire::{MAX_PARCEL, No};
use ledgerno_ledger::bytes::Hash;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Invite;
use ledgerno_ledger::sorted::SortedMap;
use serde::{Deserialize, Serialize};

/// The most parcels of a circle.
const MAX_PARCELS: usize = 1_000;
/// The most parcels of one device, so that one can not fill the mailbox for all.
const MAX_PARCELS_OF_ONE: usize = 100;
/// How long an expired invite is remembered.
const REMEMBER_MS: u64 = 30 * 24 * 3_600_000;
/// What the names of a mailbox's records begin with.
pub const RECORD: &str = "parcel-";

/// A parcel as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    invite: Invite,
    parcel: Option<Vec<u8>>,
}

/// A change of a record: its name, and its bytes or none to delete it.
pub type Change = (String, Option<Vec<u8>>);

/// What a mailbox gives out, and the records that changed by it.
#[derive(Debug, PartialEq)]
pub struct Given {
    /// The parcel, or why there is none.
    pub parcel: Result<Vec<u8>, No>,
    /// To be written.
    pub changes: Vec<Change>,
}

/// The parcels of a circle by address.
#[derive(Debug, Default)]
pub struct Mailbox(SortedMap<Hash, Kept>);

impl Mailbox {
    /// Takes back a stored record; false if it is none of ours.
    pub fn restore(&mut self, name: &str, bytes: &[u8]) -> bool {
        let address = name.strip_prefix(RECORD).and_then(|hex| base16ct::lower::decode_vec(hex).ok());
        let address = address.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        match (address, codec::decode::<Kept>(bytes, MAX_PARCEL + 512)) {
            (Some(address), Ok(kept)) => self.0.insert(Hash(address), kept).is_none(),
            _ => false,
        }
    }

    /// Keeps a parcel; the caller has checked who brings it. The same invite's parcel may be sealed anew.
    pub fn put(&mut self, address: Hash, invite: Invite, parcel: Vec<u8>, now: u64) -> Result<Vec<Change>, No> {
        if parcel.len() > MAX_PARCEL {
            return Err(No::Malformed);
        }
        if self.0.get(&address).is_some_and(|kept| kept.invite != invite) {
            return Err(No::NotAdmitted);
        }
        let mut changes = self.forget(now);
        let of_issuer = self.0.values().filter(|kept| kept.invite.issuer == invite.issuer).count();
        if !self.0.contains_key(&address) && (self.0.len() >= MAX_PARCELS || of_issuer >= MAX_PARCELS_OF_ONE) {
            return Err(No::Full);
        }
        let kept = Kept { invite, parcel: Some(parcel) };
        changes.push((record(&address), Some(codec::encode(&kept))));
        self.0.insert(address, kept);
        Ok(changes)
    }

    /// Gives a parcel out, or says why not. `used` tells how many devices an invite has admitted.
    pub fn get(&mut self, address: &Hash, used: impl Fn(&Invite) -> u32, now: u64) -> Given {
        let Some(kept) = self.0.get_mut(address) else {
            return Given { parcel: Err(No::NoParcel), changes: Vec::new() };
        };
        let gone = match (now > kept.invite.expiry, used(&kept.invite) >= kept.invite.uses) {
            (true, _) => Some(No::Expired),
            (false, true) => Some(No::UsedUp),
            (false, false) => None,
        };
        // An invite that was taken back has an empty one.
        match (gone, kept.parcel.clone().filter(|parcel| !parcel.is_empty())) {
            (None, Some(parcel)) => Given { parcel: Ok(parcel), changes: Vec::new() },
            (None, None) => Given { parcel: Err(No::NoParcel), changes: Vec::new() },
            (Some(why), None) => Given { parcel: Err(why), changes: Vec::new() },
            (Some(why), Some(_)) => {
                kept.parcel = None;
                Given { parcel: Err(why), changes: vec![(record(address), Some(codec::encode(kept)))] }
            }
        }
    }

    /// Drops what expired long ago.
    fn forget(&mut self, now: u64) -> Vec<Change> {
        let old: Vec<Hash> = self
            .0
            .iter()
            .filter(|(_, kept)| kept.invite.expiry.saturating_add(REMEMBER_MS) < now)
            .map(|(address, _)| *address)
            .collect();
        old.iter().filter_map(|address| self.0.remove(address).map(|_| (record(address), None))).collect()
    }
}

fn record(address: &Hash) -> String {
    format!("{RECORD}{address}")
}
