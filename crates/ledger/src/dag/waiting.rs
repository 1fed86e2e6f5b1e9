//! The pool of entries that wait for what they build on. It is bounded per device (the most distant is forgotten) and in
//! all (the oldest is forgotten, those of devices that nobody admitted first: anyone can make up such devices).

use crate::bytes::{DeviceId, EntryId, MemberId};
use crate::entry::Packed;
use crate::sorted::SortedMap;
use alloc::collections::BTreeSet;
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

    /// By what it is found.
    fn marks(&self) -> [Mark; 3] {
        let (known, arrival) = self.rank;
        [
            Mark::Need(self.need, self.id),
            Mark::Device(self.device(), self.seq(), self.id),
            Mark::Rank(known, arrival, self.id),
        ]
    }

    fn size(&self) -> usize {
        let entry = &self.packed.signed.entry;
        let body = self.packed.body.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + size_of_val(entry.approves.as_slice()) + body
    }
}

/// By what one that waits is found, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// What it waits for.
    Need(Need, EntryId),
    /// Its device and its seq.
    Device(DeviceId, u64, EntryId),
    /// Which is forgotten first.
    Rank(bool, u64, EntryId),
}

impl Mark {
    fn id(&self) -> EntryId {
        let (Mark::Need(_, id) | Mark::Device(_, _, id) | Mark::Rank(_, _, id)) = self;
        *id
    }
}

/// Before and after all ids.
const FIRST: EntryId = EntryId([0; 32]);
const LAST: EntryId = EntryId([0xff; 32]);

pub(super) struct Waiting {
    limits: Limits,
    waiters: HashMap<EntryId, Waiter>,
    marks: BTreeSet<Mark>,
    bytes: usize,
    arrivals: u64,
    pub forgotten: u64,
}

impl Waiting {
    pub fn new(limits: Limits) -> Self {
        Waiting { limits, waiters: HashMap::new(), marks: BTreeSet::new(), bytes: 0, arrivals: 0, forgotten: 0 }
    }

    /// Those that wait for this, sorted.
    fn for_need(&self, need: Need) -> impl DoubleEndedIterator<Item = EntryId> + '_ {
        self.between(Mark::Need(need, FIRST), Mark::Need(need, LAST))
    }

    /// Those of a device, by seq.
    fn of_device(&self, device: DeviceId) -> impl DoubleEndedIterator<Item = EntryId> + '_ {
        self.between(Mark::Device(device, 0, FIRST), Mark::Device(device, u64::MAX, LAST))
    }

    /// All, those first that are forgotten first.
    fn by_rank(&self) -> impl DoubleEndedIterator<Item = EntryId> + '_ {
        self.between(Mark::Rank(false, 0, FIRST), Mark::Rank(true, u64::MAX, LAST))
    }

    fn between(&self, first: Mark, last: Mark) -> impl DoubleEndedIterator<Item = EntryId> + '_ {
        self.marks.range(first..=last).map(Mark::id)
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
        self.marks.extend(waiter.marks());
        self.waiters.insert(id, waiter);
        self.forget(device);
    }

    fn forget(&mut self, device: DeviceId) {
        if self.of_device(device).count() > self.limits.waiting_per_device {
            let most_distant = self.of_device(device).next_back();
            self.forgotten += u64::from(most_distant.and_then(|id| self.take_out(&id)).is_some());
        }
        while self.waiters.len() > self.limits.waiting || self.bytes > self.limits.waiting_bytes {
            let oldest = self.by_rank().next();
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
        for mark in waiter.marks() {
            self.marks.remove(&mark);
        }
        Some(waiter)
    }

    /// Those that wait for this, out of the pool, sorted by id.
    pub fn wake(&mut self, need: Need) -> Vec<Waiter> {
        let ids: Vec<EntryId> = self.for_need(need).collect();
        ids.iter().filter_map(|id| self.take_out(id)).collect()
    }

    /// All, out of the pool, the oldest first.
    pub fn wake_all(&mut self) -> Vec<Waiter> {
        let ids: Vec<EntryId> = self.by_rank().collect();
        ids.iter().filter_map(|id| self.take_out(id)).collect()
    }

    /// Its device was admitted: its entries are no longer the first to be forgotten.
    pub fn acquaint(&mut self, device: &DeviceId) {
        let ids: Vec<EntryId> = self.of_device(*device).collect();
        for id in &ids {
            if let Some(waiter) = self.waiters.get_mut(id) {
                let [.., before] = waiter.marks();
                waiter.rank.0 = true;
                let [.., after] = waiter.marks();
                self.marks.remove(&before);
                self.marks.insert(after);
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
        let (mut seen, mut above) = (SortedMap::new(), Vec::from([*id]));
        while let Some(next) = above.pop() {
            let waiting: Vec<EntryId> = self.for_need(Need::Entry(next)).collect();
            for waiter in waiting.iter().filter_map(|id| self.waiters.get(id)) {
                if waiter.device() != *device {
                    return self.take_named(id);
                }
                if seen.insert(waiter.id, ()).is_none() {
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
