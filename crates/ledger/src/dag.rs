//! The DAG of a circle's entries: it takes them in any order and ends up the same.
//!
//! An entry is taken when its device is admitted, back to the genesis, and when its `prev` and all that it approves are
//! held; till then it waits in a bounded pool. What is at or below its device's settled seq counts as held without being
//! here: a certificate stands for it. Two entries at one place of a chain are a fork; both are kept as branches, and
//! beyond [`BRANCHES`] branches a device's further ones are taken only once an entry of another device builds on them,
//! so that forking is no way to fill others' memory.

mod base;
mod compose;
mod order;
mod vouched;
mod waiting;

pub use base::{Base, Known, Place};
pub use compose::Parents;
pub use order::{CutError, MAX_CUT, MAX_NEW};
pub use vouched::Brought;
pub use waiting::Limits;

use crate::bytes::{CircleId, DeviceId, EntryId, MemberId};
use crate::check::{Checked, Refused};
use crate::entry::{Admission, Entry, Head, Packed};
use crate::erasure::Erasure;
use crate::genesis::Genesis;
use crate::sorted::SortedMap;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use compose::Marks;
use hashbrown::HashMap;
use waiting::{Need, Waiter, Waiting};

/// The most branches of one device that are taken without another device's word.
pub const BRANCHES: usize = 8;

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken (or brought a body that was missing), and with it those that had waited for it, in the order taken.
    Taken(Vec<EntryId>),
    /// It was here already.
    Held,
    /// It waits for what it builds on; the pool is bounded, so it may be forgotten.
    Waiting {
        /// What it names and nobody brought yet, sorted; empty when that is not known by id (an admission, a branch).
        missing: Vec<EntryId>,
    },
}

/// The entries of one circle that this node holds.
pub struct Dag {
    circle: CircleId,
    founder: MemberId,
    first_device: DeviceId,
    nodes: Vec<Node>,
    index: HashMap<EntryId, usize>,
    chains: SortedMap<DeviceId, Chain>,
    /// In order of admission here; a chain's `number` is its place.
    numbered: Vec<DeviceId>,
    /// Whose each of them is, by the member's number; none while what admits it is not here.
    owners: Vec<Option<usize>>,
    /// With their numbers, in the order of their coming here.
    members: SortedMap<MemberId, usize>,
    /// Nodes above what is settled, by index.
    open: BTreeSet<usize>,
    /// The newest settled cut.
    settled_cut: Vec<Head>,
    waiting: Waiting,
    marks: Marks,
}

struct Node {
    id: EntryId,
    packed: Packed,
    /// What it builds on and is here.
    parents: Vec<usize>,
    /// The devices, by number, that have an entry which is this one or builds on it.
    reached: Bits,
    settled: bool,
}

/// One device's entries.
struct Chain {
    number: usize,
    places: SortedMap<u64, Vec<EntryId>>,
    /// The newest entry of each branch, sorted.
    heads: Vec<Head>,
    settled: Option<u64>,
    forked: bool,
}

impl Chain {
    /// Notes an entry at a place; answers how many are there.
    fn stand(&mut self, seq: u64, id: EntryId) -> usize {
        let place = self.places.get_or_insert_with(seq, || Vec::with_capacity(1));
        place.push(id);
        place.sort_unstable();
        place.len()
    }
}

/// A set of small numbers.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Puts a number in.
    fn set(&mut self, bit: usize) {
        if self.0.len() <= bit / 64 {
            self.0.resize(bit / 64 + 1, 0);
        }
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// Takes the greatest out.
    fn take_last(&mut self) -> Option<usize> {
        while self.0.pop_if(|word| *word == 0).is_some() {}
        let word = self.0.last_mut()?;
        let bit = 63 - word.leading_zeros() as usize;
        *word &= !(1 << bit);
        Some((self.0.len() - 1) * 64 + bit)
    }

    /// Puts all of another's in; whether any was new.
    fn add(&mut self, other: &Bits) -> bool {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut is_new = false;
        for (word, added) in self.0.iter_mut().zip(&other.0) {
            is_new |= added & !*word != 0;
            *word |= added;
        }
        is_new
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.0.iter().enumerate();
        words.flat_map(|(at, word)| {
            let rests = core::iter::successors(Some(*word), |rest| Some(rest & rest.wrapping_sub(1)));
            rests.take_while(|rest| *rest != 0).map(move |rest| at * 64 + rest.trailing_zeros() as usize)
        })
    }

    /// How many there are.
    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn is_only(&self, bit: usize) -> bool {
        self.iter().eq([bit])
    }
}

/// How a named entry stands to what is here.
enum Standing {
    Held(usize),
    /// At or below its device's settled seq, and not here as named.
    Below,
    Unknown,
    Wrong,
}

/// What an entry builds on: its `prev`, if any, and what it approves.
fn refs(entry: &Entry) -> impl Iterator<Item = Head> + '_ {
    own_before(entry).into_iter().chain(entry.approves.iter().copied())
}

/// An entry's `prev`, if any.
fn own_before(entry: &Entry) -> Option<Head> {
    let before = entry.seq.checked_sub(1);
    before.map(|seq| Head { device: entry.device, seq, id: entry.prev })
}

impl Dag {
    /// Of a circle without entries.
    pub fn new(genesis: &Genesis, limits: Limits) -> Self {
        Dag {
            circle: genesis.id(),
            founder: genesis.founder,
            first_device: genesis.device,
            nodes: Vec::new(),
            index: HashMap::new(),
            chains: SortedMap::new(),
            numbered: Vec::new(),
            owners: Vec::new(),
            members: SortedMap::new(),
            open: BTreeSet::new(),
            settled_cut: Vec::new(),
            waiting: Waiting::new(limits),
            marks: Marks::default(),
        }
    }

    /// Takes an entry, or lets it wait for what it builds on. Whatever is taken by the way is in [`Dag::since`].
    ///
    /// # Errors
    /// [`Refused::Parent`], [`Refused::NotAdmitted`] and [`Refused::Admission`] for ever; [`Refused::WaitingFull`] when
    /// it would have to wait and there is no room.
    pub fn insert(&mut self, checked: Checked) -> Result<Outcome, Refused> {
        self.insert_as(checked, false)
    }

    /// Takes back an entry that was taken before and stored, in the order taken. A branch that was let in because another
    /// device builds on it comes before its namer then, and is let in all the same.
    ///
    /// # Errors
    /// As [`Dag::insert`].
    pub fn restore(&mut self, checked: Checked) -> Result<Outcome, Refused> {
        self.insert_as(checked, true)
    }

    fn insert_as(&mut self, checked: Checked, is_named: bool) -> Result<Outcome, Refused> {
        let (id, packed) = (checked.id(), checked.into_packed());
        if let Some(&at) = self.index.get(&id) {
            let held = &mut self.nodes[at].packed;
            if held.body.is_some() || held.erasure.is_some() || packed.body.is_none() {
                return Ok(Outcome::Held);
            }
            held.body = packed.body;
            return Ok(Outcome::Taken(alloc::vec![id]));
        }
        if self.waiting.contains(&id) {
            return Ok(Outcome::Waiting { missing: self.missing_for(&packed.signed.entry) });
        }
        let mut missing = Vec::new();
        let taken = match self.need(&packed, is_named)? {
            None => self.take_all(VecDeque::from([(id, packed)])),
            Some(need) => {
                missing = self.missing_for(&packed.signed.entry);
                let is_known = self.chains.contains_key(&packed.signed.entry.device);
                let named = self.wait(Waiter::new(id, packed, need), is_known);
                self.take_all(named.into_iter().collect())
            }
        };
        if taken.contains(&id) {
            return Ok(Outcome::Taken(taken));
        }
        if self.waiting.contains(&id) { Ok(Outcome::Waiting { missing }) } else { Err(Refused::WaitingFull) }
    }

    /// Says that these are built on by something outside the DAG (a cut): branches held back till then are taken. Returns
    /// what was taken.
    pub fn name(&mut self, ids: &[EntryId]) -> Vec<EntryId> {
        let named: VecDeque<_> = ids.iter().filter_map(|id| self.waiting.take_named(id)).collect();
        self.take_all(named)
    }

    /// Gives up the body of an entry that is held, for an erasure that was checked; an entry that waits keeps its body till
    /// it is taken.
    pub fn erase(&mut self, id: &EntryId, erasure: Erasure) {
        if let Some(&at) = self.index.get(id) {
            let packed = &mut self.nodes[at].packed;
            (packed.body, packed.erasure) = (None, Some(Box::new(erasure)));
        }
    }

    /// An entry that is held.
    pub fn get(&self, id: &EntryId) -> Option<&Packed> {
        self.index.get(id).map(|&at| &self.nodes[at].packed)
    }

    /// Whether an entry is held; one that waits is not.
    pub fn contains(&self, id: &EntryId) -> bool {
        self.index.contains_key(id)
    }

    /// The number of entries held.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no entry is held.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The entries taken after the first `n`, in the order taken: what one builds on, and what admits its device, comes
    /// before it.
    pub fn since(&self, n: usize) -> impl Iterator<Item = (EntryId, &Packed)> + '_ {
        self.nodes.iter().skip(n).map(|node| (node.id, &node.packed))
    }

    /// The entries at a place of a device's chain, sorted; several are a fork.
    pub fn at(&self, device: &DeviceId, seq: u64) -> &[EntryId] {
        self.chains.get(device).and_then(|chain| chain.places.get(&seq)).map_or(&[], Vec::as_slice)
    }

    /// The newest entry of each branch of each device, sorted.
    pub fn heads(&self) -> Vec<Head> {
        self.chains.values().flat_map(|chain| chain.heads.iter().copied()).collect()
    }

    /// The newest entry of each branch of a device, sorted.
    pub fn heads_of(&self, device: &DeviceId) -> &[Head] {
        self.chains.get(device).map_or(&[], |chain| chain.heads.as_slice())
    }

    /// The place after a device's newest entry; 0 for a device without entries.
    pub fn next_seq(&self, device: &DeviceId) -> u64 {
        self.heads_of(device).iter().map(|head| head.seq.saturating_add(1)).max().unwrap_or(0)
    }

    /// Whether two entries of a device are held at one place.
    pub fn forked(&self, device: &DeviceId) -> bool {
        self.chains.get(device).is_some_and(|chain| chain.forked)
    }

    /// What admits a device; of two (a fork at seq 0) the one whose entry's id is lower.
    pub fn admission(&self, device: &DeviceId) -> Option<&Admission> {
        let first = self.at(device, 0).first()?;
        self.get(first)?.signed.entry.admission.as_deref()
    }

    /// The members of which a device is admitted, sorted.
    pub fn members(&self) -> impl Iterator<Item = &MemberId> + '_ {
        self.members.keys()
    }

    /// The devices that are admitted, each with its first entry, in the order of their coming here.
    pub fn admitted(&self) -> impl Iterator<Item = (DeviceId, EntryId)> + '_ {
        self.numbered.iter().filter_map(|device| Some((*device, *self.at(device, 0).first()?)))
    }

    /// The devices that are admitted, sorted.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> + '_ {
        self.chains.keys()
    }

    /// The number of devices that are admitted.
    pub fn device_count(&self) -> usize {
        self.chains.len()
    }

    /// The greatest seq of a device that is settled.
    pub fn settled_seq(&self, device: &DeviceId) -> Option<u64> {
        self.chains.get(device)?.settled
    }

    /// Whether an entry is in a checkpoint.
    pub fn is_settled(&self, id: &EntryId) -> bool {
        self.index.get(id).is_some_and(|&at| self.nodes[at].settled)
    }

    /// Whether an entry will never be in a checkpoint, for its device's settled chain has passed its place by.
    pub fn is_passed_by(&self, id: &EntryId) -> bool {
        self.index.get(id).is_some_and(|at| !self.nodes[*at].settled && !self.open.contains(at))
    }

    /// The number of entries above what is settled.
    pub fn unsettled(&self) -> usize {
        self.open.len()
    }

    /// The number of entries that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many entries were forgotten while they waited, since the start.
    pub fn forgotten(&self) -> u64 {
        self.waiting.forgotten
    }

    /// What the waiting entries name and nobody brought yet, sorted.
    pub fn wanted(&self) -> Vec<EntryId> {
        let missing = self.waiting.iter().flat_map(|waiter| self.missing_for(&waiter.packed.signed.entry));
        sorted(missing.collect())
    }

    fn entry(&self, at: usize) -> &Entry {
        &self.nodes[at].packed.signed.entry
    }

    fn head(&self, at: usize) -> Head {
        self.entry(at).head(self.nodes[at].id)
    }

    fn is_below(&self, device: &DeviceId, seq: u64) -> bool {
        self.settled_seq(device).is_some_and(|settled| seq <= settled)
    }

    fn standing(&self, named: &Head) -> Standing {
        match self.index.get(&named.id) {
            Some(&at) if self.head(at) == *named => Standing::Held(at),
            _ if self.is_below(&named.device, named.seq) => Standing::Below,
            Some(_) => Standing::Wrong,
            None => Standing::Unknown,
        }
    }

    fn missing_for(&self, entry: &Entry) -> Vec<EntryId> {
        let unknown = refs(entry).filter(|named| matches!(self.standing(named), Standing::Unknown));
        sorted(unknown.map(|named| named.id).filter(|id| !self.waiting.contains(id)).collect())
    }

    /// What an entry waits for first; `None` when it can be taken.
    fn need(&self, packed: &Packed, is_named: bool) -> Result<Option<Need>, Refused> {
        let entry = &packed.signed.entry;
        if entry.seq == 0
            && let Some(need) = self.admission_need(entry)?
        {
            return Ok(Some(need));
        }
        let mut unknown = None;
        for named in refs(entry) {
            match self.standing(&named) {
                Standing::Held(_) | Standing::Below => {}
                Standing::Wrong => return Err(Refused::Parent),
                Standing::Unknown => unknown = unknown.or(Some(Need::Entry(named.id))),
            }
        }
        if unknown.is_none() && !is_named && self.is_branch_too_many(entry) {
            return Ok(Some(Need::Name));
        }
        if unknown.is_none() && !self.may_erase(packed) {
            return Err(Refused::NotTheEraser);
        }
        Ok(unknown)
    }

    /// Whether what erased an entry's body, if it is, may: its device, or the member whose device that is. That the word for it
    /// holds is for [`crate::check`] to say.
    pub fn may_erase(&self, packed: &Packed) -> bool {
        let by = packed.erasure.as_ref().and_then(|erasure| erasure.by);
        by.is_none_or(|by| self.admission(&packed.signed.entry.device).is_some_and(|admission| admission.member == by))
    }

    fn admission_need(&self, entry: &Entry) -> Result<Option<Need>, Refused> {
        let admission = entry.admission.as_ref().ok_or(Refused::Admission(entry.seq))?;
        if entry.device == self.first_device {
            let is_founders = admission.member == self.founder && admission.invited.is_none();
            return if is_founders { Ok(None) } else { Err(Refused::NotAdmitted(entry.device)) };
        }
        Ok(match &admission.invited {
            Some(invited) => {
                let issuer = invited.invite.issuer;
                (!self.chains.contains_key(&issuer)).then_some(Need::Device(issuer))
            }
            None => (!self.members.contains_key(&admission.member)).then_some(Need::Member(admission.member)),
        })
    }

    fn is_branch_too_many(&self, entry: &Entry) -> bool {
        self.chains
            .get(&entry.device)
            .is_some_and(|chain| chain.heads.len() >= BRANCHES && !chain.heads.iter().any(|head| head.id == entry.prev))
    }

    /// Lets an entry wait; returns a branch that was held back and is named now, this one or what it builds on.
    fn wait(&mut self, waiter: Waiter, is_known: bool) -> Option<(EntryId, Packed)> {
        let device = waiter.device();
        let perhaps_named = match waiter.need {
            Need::Entry(id) => Some(id),
            Need::Name => Some(waiter.id),
            Need::Device(_) | Need::Member(_) => None,
        };
        self.waiting.add(waiter, is_known);
        perhaps_named.and_then(|id| self.waiting.take_named_by(&device, &id))
    }

    /// Takes what can be taken, and then what had waited for it.
    fn take_all(&mut self, mut ready: VecDeque<(EntryId, Packed)>) -> Vec<EntryId> {
        let mut taken = Vec::new();
        while let Some((id, packed)) = ready.pop_front() {
            let (device, member) =
                (packed.signed.entry.device, packed.signed.entry.admission.as_ref().map(|a| a.member));
            self.take(id, packed);
            taken.push(id);
            let mut woken = self.waiting.wake(Need::Entry(id));
            if let Some(member) = member {
                self.waiting.acquaint(&device);
                woken.extend(self.waiting.wake(Need::Device(device)));
                woken.extend(self.waiting.wake(Need::Member(member)));
            }
            self.look_again(woken, &mut ready);
        }
        taken
    }

    /// Sorts those that waited into ready, waiting for something else, and refused.
    fn look_again(&mut self, woken: Vec<Waiter>, ready: &mut VecDeque<(EntryId, Packed)>) {
        for mut waiter in woken {
            match self.need(&waiter.packed, false) {
                Ok(None) => ready.push_back((waiter.id, waiter.packed)),
                Ok(Some(need)) => {
                    waiter.need = need;
                    let is_known = self.chains.contains_key(&waiter.device());
                    ready.extend(self.wait(waiter, is_known));
                }
                Err(_) => self.waiting.forgotten += 1,
            }
        }
    }

    fn take(&mut self, id: EntryId, packed: Packed) {
        if self.index.contains_key(&id) {
            return;
        }
        let entry = &packed.signed.entry;
        let (head, prev) = (entry.head(id), entry.prev);
        let at = self.push(id, packed, false);
        let number = self.place(head, prev);
        if head.seq == 0 {
            self.own(number);
        }
        self.reach(at, number);
    }

    /// A node for an entry, without its place in its device's chain.
    fn push(&mut self, id: EntryId, packed: Packed, settled: bool) -> usize {
        let at = self.nodes.len();
        let entry = &packed.signed.entry;
        let parents = refs(entry).filter_map(|named| match self.standing(&named) {
            Standing::Held(at) => Some(at),
            _ => None,
        });
        let parents = parents.collect();
        if let Some(admission) = &entry.admission {
            let number = self.members.len();
            self.members.get_or_insert_with(admission.member, || number);
        }
        if !self.is_below(&entry.device, entry.seq) {
            self.open.insert(at);
        }
        self.index.insert(id, at);
        self.nodes.push(Node { id, packed, parents, reached: Bits::default(), settled });
        at
    }

    /// Puts an entry in its device's chain; returns the device's number.
    fn place(&mut self, head: Head, prev: EntryId) -> usize {
        let is_built_on = head.seq.checked_add(1).is_some_and(|next| {
            let after = self.at(&head.device, next).iter().filter_map(|id| self.get(id));
            after.into_iter().any(|packed| packed.signed.entry.prev == head.id)
        });
        let numbered = &mut self.numbered;
        let chain = self.chains.get_or_insert_with(head.device, || {
            numbered.push(head.device);
            let number = numbered.len() - 1;
            Chain { number, places: SortedMap::new(), heads: Vec::new(), settled: None, forked: false }
        });
        let here = chain.stand(head.seq, head.id);
        // Up to the settled place every entry was here, and may be forgotten: another one is on another branch.
        chain.forked |= here > 1 || chain.settled.is_some_and(|settled| head.seq <= settled);
        chain.heads.retain(|branch| branch.id != prev || head.seq == 0);
        if !is_built_on {
            chain.heads.push(head);
            chain.heads.sort_unstable();
        }
        chain.number
    }
}

/// Each once.
fn sorted(mut ids: Vec<EntryId>) -> Vec<EntryId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
