//! What a device's next entry builds on, and who has seen what.

use super::{Bits, Dag, Node};
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
        let is_whole = packed.body.is_some() || packed.erasure.is_some() || packed.signed.entry.lane == Lane::State;
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
        self.index.get(id).map_or(0, |at| self.count_seen(*at, self.has_one_device_each()))
    }

    /// Whether no member has two devices: then who has seen an entry is counted without asking whose each device is.
    pub(super) fn has_one_device_each(&self) -> bool {
        self.members.len() == self.numbered.len() && self.owners.iter().all(Option::is_some)
    }

    pub(super) fn count_seen(&self, at: usize, one_device_each: bool) -> u32 {
        let reached = &self.nodes[at].reached;
        if one_device_each {
            // The author's own device is among them.
            return reached.count().saturating_sub(1);
        }
        let mut members = Bits::default();
        reached.iter().filter_map(|number| self.owner(number)).for_each(|owner| members.set(owner));
        let author = self.chains.get(&self.entry(at).device).and_then(|chain| self.owner(chain.number));
        members.iter().filter(|member| Some(*member) != author).count() as u32
    }

    /// Notes whose a device is, once what admits it is here.
    pub(super) fn own(&mut self, number: usize) {
        let member = self.numbered.get(number).and_then(|device| self.member_of(device));
        let owner = member.and_then(|member| self.members.get(&member).copied());
        self.owners.resize(self.owners.len().max(number + 1), None);
        self.owners[number] = owner;
    }

    fn owner(&self, number: usize) -> Option<usize> {
        self.owners.get(number).copied().flatten()
    }

    /// The member that a device is admitted for.
    pub fn member_of(&self, device: &DeviceId) -> Option<MemberId> {
        self.admission(device).map(|admission| admission.member)
    }

    fn is_old(&self, at: usize) -> bool {
        self.nodes[at].settled && at < at_which_old(self.nodes.len())
    }

    /// Until [`Dag::mark_now`], who has seen what is not noted for each entry by itself: of many at once it costs a
    /// fraction. Meanwhile [`Dag::parents`] and [`Dag::seen_by`] know nothing of what is new.
    pub fn mark_later(&mut self) {
        self.marks.later = true;
    }

    /// Ends [`Dag::mark_later`].
    pub fn mark_now(&mut self) {
        self.marks.later = false;
        self.spread();
    }

    /// Notes that a device has an entry.
    pub(super) fn reach(&mut self, at: usize, number: usize) {
        self.nodes[at].reached.set(number);
        self.marks.news.set(at);
        if !self.marks.later {
            self.spread();
        }
    }

    /// Each new mark is an entry's past's too. What builds on an entry comes after it: from the newest on down, each hands
    /// on to its parents, once, all that it has.
    fn spread(&mut self) {
        let mut news = core::mem::take(&mut self.marks.news);
        while let Some(at) = news.take_last() {
            let (past, rest) = self.nodes.split_at_mut(at);
            let old_from = at_which_old(past.len() + rest.len());
            let Some(Node { parents, reached, .. }) = rest.first() else { continue };
            for &parent in parents {
                let Some(node) = past.get_mut(parent) else { continue };
                let is_old = node.settled && parent < old_from;
                if !is_old && node.reached.add(reached) {
                    news.set(parent);
                }
            }
        }
        self.marks.news = news;
    }
}

/// Settled entries before this one of so many are old.
fn at_which_old(len: usize) -> usize {
    len.saturating_sub(WINDOW)
}

/// Marks that are not yet those of the past.
#[derive(Default)]
pub(super) struct Marks {
    news: Bits,
    later: bool,
}
