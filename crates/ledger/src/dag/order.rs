//! Cuts, and the order of what is below them.
//!
//! A cut is sorted by device, one entry a device, and minimal: none of it is built on by what is below it. Its past
//! contains the previous cut, so heads of the previous cut stay in it until something new builds on them. What is new is
//! what is above its device's settled seq; it is ordered by (depth, id), where depth is 1 + the greatest depth of the
//! new entries that it builds on. At or below a device's settled seq the past is not followed: that is settled, or
//! passed by for good.
//!
//! Where more heads are open than a cut may have, it leaves some for later ones: what builds on heads of the previous cut
//! goes first, for it takes their place, then the deepest. Where the previous cut's own are too many already, only such
//! entries go in, and enough of them make room for all others.

use super::{Dag, Standing, refs};
use crate::bytes::{DeviceId, EntryId};
use crate::entry::{Entry, Head};
use crate::sorted::SortedMap;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

/// The most heads of a cut.
pub const MAX_CUT: usize = 4_096;
/// The most new entries below a cut.
pub const MAX_NEW: usize = 10_000;

/// Why a cut is none, here and now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// Entries of the cut that are not held; what they build on may be missing too.
    #[error("{} entries of the cut are not held", .0.len())]
    Missing(Vec<Head>),
    /// More heads than a cut may have.
    #[error("the cut has {0} heads, more than {MAX_CUT}")]
    TooLong(usize),
    /// Not strictly sorted by device.
    #[error("the cut is not sorted, or has two entries of one device")]
    Unsorted,
    /// A head with another device or seq than that entry has.
    #[error("the cut names {:?} as {:?} {}, which it is not", .0.id, .0.device, .0.seq)]
    Wrong(Head),
    /// A head at or below its device's settled seq that is not of the previous cut.
    #[error("{:?} {} is settled or passed by", .0.device, .0.seq)]
    Passed(Head),
    /// A head that another one builds on.
    #[error("{:?} {} is below another entry of the cut", .0.device, .0.seq)]
    NotMinimal(Head),
    /// A head of the previous cut that this one's past does not contain.
    #[error("{:?} {} of the previous cut is left out", .0.device, .0.seq)]
    LeavesOut(Head),
    /// No new entry below it, as with an empty cut.
    #[error("nothing new is below the cut")]
    NothingNew,
    /// More than [`MAX_NEW`] new entries.
    #[error("more than {MAX_NEW} new entries are below the cut")]
    TooMuch,
}

impl Dag {
    /// The new entries below a cut, in settled order.
    pub fn order(&self, cut: &[Head]) -> Result<Vec<EntryId>, CutError> {
        let roots = self.roots(cut)?;
        let new = self.new_below(roots)?;
        let mut named: Vec<Head> = new.iter().flat_map(|&at| refs(self.entry(at))).collect();
        named.sort_unstable();
        let is_named = |head: &Head| named.binary_search(head).is_ok();
        if let Some(lower) = cut.iter().find(|head| is_named(head)) {
            return Err(CutError::NotMinimal(*lower));
        }
        let left_out = self.settled_cut.iter().find(|head| !is_named(head) && cut.binary_search(head).is_err());
        if let Some(left_out) = left_out {
            return Err(CutError::LeavesOut(*left_out));
        }
        if new.is_empty() {
            return Err(CutError::NothingNew);
        }
        Ok(self.by_depth(&new).into_iter().map(|(_, id, _)| id).collect())
    }

    /// The new entries among a well-formed cut's heads.
    fn roots(&self, cut: &[Head]) -> Result<Vec<usize>, CutError> {
        if cut.len() > MAX_CUT {
            return Err(CutError::TooLong(cut.len()));
        }
        if !cut.is_sorted_by(|one, next| one.device < next.device) {
            return Err(CutError::Unsorted);
        }
        let (mut roots, mut missing) = (Vec::new(), Vec::new());
        for head in cut.iter().filter(|head| self.settled_cut.binary_search(head).is_err()) {
            if self.is_below(&head.device, head.seq) {
                return Err(CutError::Passed(*head));
            }
            match self.standing(head) {
                Standing::Held(at) => roots.push(at),
                Standing::Wrong => return Err(CutError::Wrong(*head)),
                Standing::Below | Standing::Unknown => missing.push(*head),
            }
        }
        if missing.is_empty() { Ok(roots) } else { Err(CutError::Missing(missing)) }
    }

    fn new_below(&self, mut roots: Vec<usize>) -> Result<BTreeSet<usize>, CutError> {
        let mut new = BTreeSet::new();
        while let Some(at) = roots.pop() {
            if self.open.contains(&at) && new.insert(at) {
                roots.extend(&self.nodes[at].parents);
            }
            if new.len() > MAX_NEW {
                return Err(CutError::TooMuch);
            }
        }
        Ok(new)
    }

    /// Depth, id and index of entries that are closed under what is new, sorted. Indices are in an order where what one
    /// builds on comes first.
    fn by_depth(&self, new: &BTreeSet<usize>) -> Vec<(u64, EntryId, usize)> {
        let mut depths: SortedMap<usize, u64> = SortedMap::new();
        for &at in new {
            let below = self.nodes[at].parents.iter().filter_map(|parent| depths.get(parent)).max();
            let depth = 1 + below.copied().unwrap_or(0);
            depths.insert(at, depth);
        }
        let mut sorted: Vec<_> = depths.iter().map(|(at, depth)| (*depth, self.nodes[*at].id, *at)).collect();
        sorted.sort_unstable();
        sorted
    }

    /// The cut over all that is new and can be in one cut, at most [`MAX_NEW`] entries; empty when nothing can.
    ///
    /// Of a forked device one branch is cut, the previous cut's if it is not built on; the others come once an entry of
    /// another device builds on them.
    pub fn cut(&self) -> Vec<Head> {
        self.cut_of(MAX_CUT)
    }

    /// As [`Dag::cut`], of at most so many heads: also empty when all that is new has no room beside the previous cut's.
    pub fn cut_of(&self, most: usize) -> Vec<Head> {
        let new = self.by_depth(&self.open);
        let tops = self.chosen(&new);
        let cut = if tops.len() <= most { tops } else { Fitting::new(self, &tops).fit(&new, most) };
        if cut.iter().all(|head| self.settled_cut.binary_search(head).is_ok()) { Vec::new() } else { cut }
    }

    /// The heads of a cut over all that is new, were there room for all of them.
    pub fn tops(&self) -> Vec<Head> {
        self.chosen(&self.by_depth(&self.open))
    }

    fn chosen(&self, new: &[(u64, EntryId, usize)]) -> Vec<Head> {
        let below: Vec<usize> = new.iter().take(MAX_NEW).map(|(_, _, at)| *at).collect();
        let mut growing = Growing::new(self, &below);
        growing.settle_on_one_a_device();
        growing.chosen.into_values().collect()
    }

    /// Marks what a checkpoint holds, in its order, and lets in what had waited for that. Returns what was let in.
    pub fn settle(&mut self, cut: Vec<Head>, order: &[EntryId]) -> Vec<EntryId> {
        for id in order {
            let Some(&at) = self.index.get(id) else { continue };
            self.nodes[at].settled = true;
            self.open.remove(&at);
            let Entry { device, seq, .. } = self.nodes[at].packed.signed.entry;
            self.pass_by(&device, seq);
        }
        self.settled_cut = cut;
        let woken = self.waiting.wake_all();
        let mut ready = VecDeque::new();
        self.look_again(woken, &mut ready);
        self.take_all(ready)
    }

    /// All of a device's entries up to `seq` are new no more.
    fn pass_by(&mut self, device: &DeviceId, seq: u64) {
        let Some(chain) = self.chains.get_mut(device) else { return };
        let from = chain.settled.map_or(0, |settled| settled.saturating_add(1));
        if chain.settled.is_some_and(|settled| seq <= settled) {
            return;
        }
        // In a chain without branches one after the other is settled, and there is nothing else to pass by.
        if chain.forked || from != seq {
            for id in chain.places.range(from..=seq).flat_map(|(_, ids)| ids) {
                if let Some(at) = self.index.get(id) {
                    self.open.remove(at);
                }
            }
        }
        chain.settled = Some(seq);
    }
}

/// A cut while it is made: from all that nothing builds on, down until no device has two.
struct Growing<'a> {
    dag: &'a Dag,
    /// How many of the new entries build on each of them and of the previous cut.
    built_on: SortedMap<Head, usize>,
    /// What nothing builds on and was not looked at.
    tops: Vec<Head>,
    chosen: SortedMap<DeviceId, Head>,
}

impl<'a> Growing<'a> {
    fn new(dag: &'a Dag, new: &[usize]) -> Self {
        let mut all: Vec<Head> = new.iter().map(|&at| dag.head(at)).chain(dag.settled_cut.iter().copied()).collect();
        all.sort_unstable();
        let mut built_on: SortedMap<Head, usize> = all.into_iter().map(|head| (head, 0)).collect();
        for named in new.iter().flat_map(|&at| refs(dag.entry(at))) {
            if let Some(count) = built_on.get_mut(&named) {
                *count += 1;
            }
        }
        let tops = built_on.iter().filter(|(_, count)| **count == 0).map(|(head, _)| *head).collect();
        Growing { dag, built_on, tops, chosen: SortedMap::new() }
    }

    fn settle_on_one_a_device(&mut self) {
        while let Some(top) = self.tops.pop() {
            match self.chosen.insert(top.device, top) {
                Some(other) if self.is_better(&other, &top) => {
                    self.chosen.insert(other.device, other);
                    self.leave(top);
                }
                Some(other) => self.leave(other),
                None => {}
            }
        }
    }

    fn is_settled(&self, head: &Head) -> bool {
        self.dag.settled_cut.binary_search(head).is_ok()
    }

    fn is_better(&self, one: &Head, other: &Head) -> bool {
        let rank = |head: &Head| (self.is_settled(head), head.seq, core::cmp::Reverse(head.id));
        rank(one) > rank(other)
    }

    /// Leaves a top for a later cut: what only it built on is a top now.
    fn leave(&mut self, top: Head) {
        let Some(packed) = self.dag.get(&top.id) else { return };
        for named in refs(&packed.signed.entry) {
            if let Some(count) = self.built_on.get_mut(&named) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.tops.push(named);
                }
            }
        }
    }
}

/// A cut of fewer heads than there are: it grows from the previous one, by a head with all that is new below it.
struct Fitting<'a> {
    dag: &'a Dag,
    tops: &'a [Head],
    /// The new entries below what was taken, by index.
    below: Vec<bool>,
    /// Heads of the previous cut on which none of them builds.
    left: SortedMap<Head, ()>,
    taken: Vec<Head>,
}

impl<'a> Fitting<'a> {
    fn new(dag: &'a Dag, tops: &'a [Head]) -> Self {
        let left = dag.settled_cut.iter().map(|head| (*head, ())).collect();
        Fitting { dag, tops, below: alloc::vec![false; dag.nodes.len()], left, taken: Vec::new() }
    }

    /// The cut; empty when even the previous one's heads are too many.
    fn fit(mut self, new: &[(u64, EntryId, usize)], most: usize) -> Vec<Head> {
        for room in [0, most] {
            for (_, _, at) in new.iter().rev() {
                let head = self.dag.head(*at);
                if !self.below[*at] && self.tops.binary_search(&head).is_ok() {
                    self.take(head, *at, room);
                }
            }
        }
        let mut cut = self.taken;
        cut.extend(self.left.keys());
        cut.sort_unstable();
        if cut.len() <= most { cut } else { Vec::new() }
    }

    /// Takes a head, if that leaves the cut as long as it is, or within what there is room for.
    fn take(&mut self, head: Head, at: usize, room: usize) {
        let (mut added, mut built_on) = (Vec::new(), Vec::new());
        let mut next = alloc::vec![at];
        while let Some(at) = next.pop() {
            if !self.below[at] && self.dag.open.contains(&at) {
                self.below[at] = true;
                added.push(at);
                built_on.extend(refs(self.dag.entry(at)).filter(|named| self.left.contains_key(named)));
                next.extend(&self.dag.nodes[at].parents);
            }
        }
        built_on.sort_unstable();
        built_on.dedup();
        let long = self.left.len() + self.taken.len();
        let fits = long < room.max(long) + built_on.len();
        // On another branch than its device's head that would stay.
        let is_beside =
            self.left.keys().any(|left| left.device == head.device && built_on.binary_search(left).is_err());
        if !fits || is_beside {
            added.into_iter().for_each(|at| self.below[at] = false);
            return;
        }
        for head in &built_on {
            self.left.remove(head);
        }
        self.taken.push(head);
    }
}
