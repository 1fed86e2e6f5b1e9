//! The pool of entries that wait for what they build on. It is bounded per device (the most distant is forgotten) and in
//! all (the oldest is forgotten, those of devices that nobody admitted first: anyone can make up such devices).

use crate::bytes::{DeviceId, EntryId, MemberId};
use crate::entry::Packed;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use hashbrown::HashMap;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one device.
    pub waiting_per_device: usize,
    /// Entries in all.
    pub waiting: usize,
    /// Bytes in all, with bodies.
    pub waiting_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { waiting_per_device: 1_000, waiting: 10_000, waiting_bytes: 16 << 20 }
    }
}

/// What an entry waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// That an entry is held.
    Entry(EntryId),
    /// That a device is admitted.
    Device(DeviceId),
    /// That a member has a device that is admitted.
    Member(MemberId),
    /// That another device builds on it: a branch too many.
    Name,
}

pub(super) struct Waiter {
    pub id: EntryId,
    pub packed: Packed,
    pub need: Need,
    /// Set by the pool: devices that nobody admitted first, then by age.
    rank: (bool, u64),
}

impl Waiter {
    pub fn new(id: EntryId, packed: Packed, need: Need) -> Self {
        Waiter { id, packed, need, rank: (false, 0) }
    }

    pub fn device(&self) -> DeviceId {
        self.packed.signed.entry.device
    }

    fn seq(&self) -> u64 {
        self.packed.signed.entry.seq
    }

    fn size(&self) -> usize {
        let entry = &self.packed.signed.entry;
        let body = self.packed.body.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + size_of_val(entry.approves.as_slice()) + body
    }
}

pub(super) struct Waiting {
    limits: Limits,
    waiters: HashMap<EntryId, Waiter>,
    by_need: BTreeMap<Need, BTreeSet<EntryId>>,
    by_device: BTreeMap<DeviceId, BTreeSet<(u64, EntryId)>>,
    by_rank: BTreeMap<(bool, u64), EntryId>,
    bytes: usize,
    arrivals: u64,
    pub forgotten: u64,
}

impl Waiting {
    pub fn new(limits: Limits) -> Self {
        Waiting {
            limits,
            waiters: HashMap::new(),
            by_need: BTreeMap::new(),
            by_device: BTreeMap::new(),
            by_rank: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
            forgotten: 0,
        }
    }

    pub fn contains(&self, id: &EntryId) -> bool {
        self.waiters.contains_key(id)
    }

    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.waiters.values()
    }

    /// Lets an entry wait, and forgets what is then too much, perhaps this one.
    pub fn add(&mut self, mut waiter: Waiter, is_known: bool) {
        let (id, device) = (waiter.id, waiter.device());
        self.arrivals += 1;
        waiter.rank = (is_known, self.arrivals);
        self.bytes += waiter.size();
        self.by_need.entry(waiter.need).or_default().insert(id);
        self.by_device.entry(device).or_default().insert((waiter.seq(), id));
        self.by_rank.insert(waiter.rank, id);
        self.waiters.insert(id, waiter);
        self.forget(&device);
    }

    fn forget(&mut self, device: &DeviceId) {
        let of_device = self.by_device.get(device);
        if let Some(most_distant) = of_device.filter(|all| all.len() > self.limits.waiting_per_device) {
            let most_distant = most_distant.last().map(|(_, id)| *id);
            self.forgotten += u64::from(most_distant.and_then(|id| self.take_out(&id)).is_some());
        }
        while self.waiters.len() > self.limits.waiting || self.bytes > self.limits.waiting_bytes {
            let oldest = self.by_rank.first_key_value().map(|(_, id)| *id);
            if oldest.and_then(|id| self.take_out(&id)).is_none() {
                return;
            }
            self.forgotten += 1;
        }
    }

    /// One, out of the pool.
    pub fn take_out(&mut self, id: &EntryId) -> Option<Waiter> {
        let waiter = self.waiters.remove(id)?;
        self.bytes -= waiter.size();
        self.by_rank.remove(&waiter.rank);
        take_out(&mut self.by_need, &waiter.need, id);
        take_out(&mut self.by_device, &waiter.device(), &(waiter.seq(), *id));
        Some(waiter)
    }

    /// Those that wait for this, out of the pool, sorted by id.
    pub fn wake(&mut self, need: Need) -> Vec<Waiter> {
        let ids = self.by_need.get(&need).cloned().unwrap_or_default();
        ids.iter().filter_map(|id| self.take_out(id)).collect()
    }

    /// All, out of the pool, the oldest first.
    pub fn wake_all(&mut self) -> Vec<Waiter> {
        let ids: Vec<EntryId> = self.by_rank.values().copied().collect();
        ids.iter().filter_map(|id| self.take_out(id)).collect()
    }

    /// Its device was admitted: its entries are no longer the first to be forgotten.
    pub fn acquaint(&mut self, device: &DeviceId) {
        for (_, id) in self.by_device.get(device).into_iter().flatten() {
            if let Some(waiter) = self.waiters.get_mut(id) {
                self.by_rank.remove(&waiter.rank);
                waiter.rank.0 = true;
                self.by_rank.insert(waiter.rank, *id);
            }
        }
    }

    /// An entry of `device` builds on `id`: if that is, or builds through waiting entries on, a branch held back of
    /// another device, that branch comes out of the pool.
    pub fn take_named_by(&mut self, device: &DeviceId, id: &EntryId) -> Option<(EntryId, Packed)> {
        if self.waiters.get(id)?.device() != *device {
            return self.take_named(id);
        }
        // Of the same device: it is named if something of another device waits for what waits here.
        let asked_for = |id: &EntryId| self.by_need.get(&Need::Entry(*id)).into_iter().flatten();
        let (mut seen, mut above) = (BTreeSet::new(), Vec::from([*id]));
        while let Some(next) = above.pop() {
            for waiter in asked_for(&next).filter_map(|id| self.waiters.get(id)) {
                if waiter.device() != *device {
                    return self.take_named(id);
                }
                if seen.insert(waiter.id) {
                    above.push(waiter.id);
                }
            }
        }
        None
    }

    /// `id` is named: what is held back among it and what it waits for comes out of the pool.
    pub fn take_named(&mut self, id: &EntryId) -> Option<(EntryId, Packed)> {
        let mut at = *id;
        loop {
            match self.waiters.get(&at)?.need {
                Need::Entry(deeper) => at = deeper,
                Need::Name => return self.take_out(&at).map(|waiter| (waiter.id, waiter.packed)),
                Need::Device(_) | Need::Member(_) => return None,
            }
        }
    }
}

fn take_out<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
