//! What a device's next entry builds on, and who has seen what.

use super::{Dag, Node};
use crate::bytes::{DeviceId, EntryId, MemberId};
use crate::entry::{Head, Lane, MAX_APPROVES};
use crate::sorted::SortedMap;
use alloc::vec::Vec;

/// How many entries back one looks below what is settled, to say who has seen it; older ones stay as they are.
const WINDOW: usize = 10_000;

/// The most heads of one device that one entry approves.
const APPROVES_PER_DEVICE: usize = 2;

/// What a device's next entry builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parents {
    /// The entry's place in its device's chain.
    pub seq: u64,
    /// The entry before it; the circle's id at seq 0.
    pub prev: EntryId,
    /// Heads of other devices, sorted, at most [`MAX_APPROVES`].
    pub approves: Vec<Head>,
}

impl Dag {
    /// What the next entry of `device` builds on: its own newest entry, and heads of others that it has not seen yet and
    /// that no other head builds on: those not yet settled first, then the last to arrive.
    pub fn parents(&self, device: &DeviceId) -> Parents {
        // Of own branches the longest is carried on (the lower id of equals).
        let own = self.heads_of(device).iter().max_by_key(|head| (head.seq, core::cmp::Reverse(head.id)));
        let (seq, prev) = own.map_or((0, self.circle.into()), |own| (own.seq.saturating_add(1), own.id));
        let mut news: Vec<usize> = Vec::new();
        for (_, chain) in self.chains.iter().filter(|(other, _)| *other != device) {
            let heads = chain.heads.iter().filter_map(|head| self.index.get(&head.id).copied());
            news.extend(heads.filter(|&at| self.is_news(at, chain.number)));
        }
        news.sort_unstable_by_key(|&at| core::cmp::Reverse((self.open.contains(&at), at)));
        Parents { seq, prev, approves: self.most_useful(news) }
    }

    /// Whether a head was built on by its own device only, is held whole, and is not old.
    fn is_news(&self, at: usize, number: usize) -> bool {
        let Node { packed, reached, .. } = &self.nodes[at];
        let is_whole = packed.body.is_some() || packed.signed.entry.lane == Lane::State;
        is_whole && !self.is_old(at) && reached.is_only(number)
    }

    fn most_useful(&self, news: Vec<usize>) -> Vec<Head> {
        let mut per_device: SortedMap<DeviceId, usize> = SortedMap::new();
        let mut approves: Vec<Head> = Vec::new();
        for head in news.into_iter().map(|at| self.head(at)) {
            let of_device = per_device.get_or_insert_with(head.device, || 0);
            if approves.len() < MAX_APPROVES && *of_device < APPROVES_PER_DEVICE {
                *of_device += 1;
                approves.push(head);
            }
        }
        approves.sort_unstable();
        approves
    }

    /// The number of members, but its author, of whom an entry builds on this one.
    pub fn seen_by(&self, id: &EntryId) -> u32 {
        let Some(&at) = self.index.get(id) else { return 0 };
        let author = self.member_of(&self.entry(at).device);
        let devices = self.nodes[at].reached.iter().filter_map(|number| self.numbered.get(number));
        let mut members: Vec<MemberId> = devices.filter_map(|device| self.member_of(device)).collect();
        members.sort_unstable();
        members.dedup();
        members.iter().filter(|member| Some(**member) != author).count() as u32
    }

    /// The member that a device is admitted for.
    pub fn member_of(&self, device: &DeviceId) -> Option<MemberId> {
        self.admission(device).map(|admission| admission.member)
    }

    fn is_old(&self, at: usize) -> bool {
        self.nodes[at].settled && at.saturating_add(WINDOW) < self.nodes.len()
    }

    /// Notes that a device has an entry that builds on these: what is marked has its past marked.
    pub(super) fn mark(&mut self, from: usize, number: usize) {
        let mut marking = Vec::from([from]);
        while let Some(at) = marking.pop() {
            if !self.nodes[at].reached.set(number) {
                continue;
            }
            let parents = self.nodes[at].parents.iter().copied();
            marking.extend(parents.filter(|&parent| !self.is_old(parent) && !self.nodes[parent].reached.has(number)));
        }
    }
}
