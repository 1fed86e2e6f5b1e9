//! The durable frontier and its digests: how two nodes find their difference cheaply.
//!
//! Chains per device make it cheap: one digest when equal; else digests of buckets of about 4 devices; else, for the
//! devices of the buckets that differ, (device, seq, tag of the sorted branch heads under the session's nonce). Only what
//! is durable counts, so an equal digest is an acknowledgement.

use crate::wire::Place;
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash};
use ledgerno_ledger::entry::Head;
use ledgerno_ledger::hash::{context, hash, hasher};
use ledgerno_ledger::sorted::SortedMap;

/// Devices in a bucket, about. A bucket costs 9 bytes and each device of one that differs 43, so for 20 missing entries
/// among 1,000 devices 4 cost least: 7 KB, where 32 cost 20 KB.
const BUCKET: usize = 4;
/// The most top bits that number a bucket.
pub const MAX_BITS: u8 = 12;

/// The most devices that one answer names: an answer has a bound, and a circle may have more devices.
pub const MAX_PLACES: usize = 4_096;

/// The branch heads of each device: one, but for a device that forked.
#[derive(Clone, Debug, Default)]
pub struct Frontier(SortedMap<DeviceId, Branches>);

/// A device's newest entries: its greatest seq and the ids of its branch heads.
#[derive(Clone, Debug, Default)]
struct Branches {
    seq: u64,
    heads: Vec<EntryId>,
}

impl Frontier {
    /// Takes in an entry after the one before it; in the order of the log.
    pub fn add(&mut self, device: DeviceId, seq: u64, prev: EntryId, id: EntryId) {
        let branches = self.0.get_or_insert_with(device, Branches::default);
        branches.seq = branches.seq.max(seq);
        branches.heads.retain(|head| *head != prev);
        if let Err(at) = branches.heads.binary_search(&id) {
            branches.heads.insert(at, id);
        }
    }

    /// Takes in the next entry of a chain of one branch.
    pub fn go_on(&mut self, device: DeviceId, seq: u64, id: EntryId) {
        let branches = self.0.get_or_insert_with(device, Branches::default);
        branches.seq = seq;
        branches.heads.clear();
        branches.heads.push(id);
    }

    /// A device stands where a snapshot says.
    pub fn stand(&mut self, device: DeviceId, heads: &[Head]) {
        let seq = heads.iter().map(|head| head.seq).max().unwrap_or(0);
        let mut heads: Vec<EntryId> = heads.iter().map(|head| head.id).collect();
        heads.sort_unstable();
        self.0.insert(device, Branches { seq, heads });
    }

    /// The greatest durable seq of a device.
    pub fn seq(&self, device: &DeviceId) -> Option<u64> {
        self.0.get(device).map(|branches| branches.seq)
    }

    /// The digest of all.
    pub fn digest(&self) -> Hash {
        let mut hasher = hasher(context::DIGEST, &[]);
        for (device, branches) in &self.0 {
            branches.feed(device, &mut hasher);
        }
        Hash(hasher.finalize().into())
    }

    /// How many top bits number the buckets of this frontier.
    pub fn bits(&self) -> u8 {
        let buckets = self.0.len().div_ceil(BUCKET).next_power_of_two();
        (buckets.trailing_zeros() as u8).min(MAX_BITS)
    }

    /// The digest of each of the 2^bits buckets.
    pub fn buckets(&self, bits: u8) -> Vec<u64> {
        let mut hashers: Vec<Option<blake3::Hasher>> = vec![None; 1 << bits];
        for (device, branches) in &self.0 {
            let hasher = hashers[bucket_of(device, bits)].get_or_insert_with(|| hasher(context::DIGEST, &[]));
            branches.feed(device, hasher);
        }
        hashers
            .iter()
            .map(|hasher| hasher.as_ref().map_or(0, |hasher| first_u64(hasher.finalize().as_bytes())))
            .collect()
    }

    /// The devices of some buckets, sorted; at most [`MAX_PLACES`], for the next round finds the others.
    pub fn places(&self, bits: u8, buckets: &[u16], nonce: &[u8; 16]) -> Vec<Place> {
        let mut wanted = vec![false; 1 << bits];
        for at in buckets {
            if let Some(wants) = wanted.get_mut(usize::from(*at)) {
                *wants = true;
            }
        }
        self.0
            .iter()
            .filter(|(device, _)| wanted.get(bucket_of(device, bits)) == Some(&true))
            .take(MAX_PLACES)
            .map(|(device, branches)| Place { device: *device, seq: branches.seq, tag: branches.tag(nonce) })
            .collect()
    }
}

impl Branches {
    fn feed(&self, device: &DeviceId, hasher: &mut blake3::Hasher) {
        hasher.update(&device.0);
        hasher.update(&(self.heads.len() as u32).to_le_bytes());
        for head in &self.heads {
            hasher.update(&head.0);
        }
    }

    fn tag(&self, nonce: &[u8; 16]) -> u64 {
        let mut parts: Vec<&[u8]> = vec![nonce];
        parts.extend(self.heads.iter().map(|head| &head.0[..]));
        first_u64(&hash(context::DIGEST, &parts))
    }
}

/// The bucket of a device.
pub fn bucket_of(device: &DeviceId, bits: u8) -> usize {
    bucket(&device_hash(device), bits)
}

/// The bucket that top bits number.
pub fn bucket(hash: &[u8; 32], bits: u8) -> usize {
    let top = u16::from_be_bytes([hash[0], hash[1]]);
    if bits == 0 { 0 } else { usize::from(top >> (16 - bits)) }
}

fn device_hash(device: &DeviceId) -> [u8; 32] {
    hash(context::BUCKET, &[&device.0])
}

/// The first eight bytes as a number.
pub fn first_u64(bytes: &[u8; 32]) -> u64 {
    let (first, _) = bytes.split_at(8);
    first.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
