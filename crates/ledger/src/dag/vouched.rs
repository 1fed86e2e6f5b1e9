//! Taking in what a certificate stands for: all entries of a header, or of several, or none of them. Whatever stands in the
//! right place is taken, as if it had been here before the header: a branch too many has been named by the cut, and an
//! invite has been used as often as the quorum let it.
//!
//! Old talk need not be taken at all: while nothing here is unsettled or waits, what comes later stands on a chain's newest
//! settled entry alone (`base`). Such an entry is *passed*: the chain goes on, and the entry is handed back.

use super::{Dag, Standing, own_before};
use crate::bytes::{DeviceId, EntryId, MemberId};
use crate::check::Vouched;
use crate::entry::{Entry, Head, Lane, Packed};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};

/// One that was taken, or passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The entry.
    pub id: EntryId,
    /// Its place among those of the header; none for what had waited for them.
    pub at: Option<usize>,
    /// Its signatures were checked here: it had come before, and waited.
    pub checked: bool,
    /// It was passed, and is not here.
    pub passed: bool,
}

/// Each entry with its device, its seq, and which of the headers settles it.
type Places = HashMap<EntryId, (DeviceId, u64, usize)>;

/// The entries that are to be taken before.
#[derive(Default)]
struct Before {
    places: Places,
    devices: HashSet<DeviceId>,
    members: HashSet<MemberId>,
    reached: HashMap<DeviceId, Reached>,
}

/// Up to where a device is settled; none where it is not.
struct Reached {
    /// By the headers before this one.
    header: usize,
    before: Option<u64>,
    /// With the entries of that header which are in order so far.
    newest: Option<u64>,
}

impl Reached {
    /// By the headers before one.
    fn before(&mut self, header: usize) -> Option<u64> {
        if self.header != header {
            (self.header, self.before) = (header, self.newest);
        }
        self.before
    }
}

impl Dag {
    /// For the next headers, each with its cut, an order in which the entries of each can be taken; `None` when one does
    /// not build on what is here and among them, when it is settled already, or when a cut names another.
    pub fn plan(&self, run: &[(&Vouched, &[Head])]) -> Option<Vec<Vec<usize>>> {
        let count = run.iter().map(|(entries, _)| entries.len()).sum();
        let mut before = Before { places: HashMap::with_capacity(count), ..Before::default() };
        let mut last = &self.settled_cut[..];
        let mut orders = Vec::with_capacity(run.len());
        for (header, (entries, cut)) in run.iter().enumerate() {
            orders.push(self.order_to_take(entries, header, &mut before)?);
            if !before.has_cut(header, cut, last) {
                return None;
            }
            last = cut;
        }
        Some(orders)
    }

    /// Takes the entries of the next header out of their places, in the order that was planned; if they are `old`, passes
    /// the talk among them where it can, which stays in its place.
    #[cfg_attr(page, optimize(speed))]
    pub fn take_vouched(&mut self, entries: &mut Vouched, order: &[usize], old: bool) -> Vec<Brought> {
        let passes = old && self.open.is_empty() && self.waiting.len() == 0;
        let mut brought = Vec::with_capacity(order.len());
        for &at in order {
            if let Some(checked) = entries.get(at).filter(|_| passes)
                && self.pass(checked.id(), checked.entry())
            {
                brought.push(Brought { id: checked.id(), at: Some(at), checked: false, passed: true });
                continue;
            }
            let Some(checked) = entries.take(at).filter(|checked| !self.index.contains_key(&checked.id())) else {
                continue;
            };
            let id = checked.id();
            // What waited here was checked when it came.
            let waiter = self.waiting.take_out(&id);
            brought.push(Brought { id, at: Some(at), checked: waiter.is_some(), passed: false });
            let packed = waiter.map_or_else(|| checked.into_packed(), |waiter| waiter.packed);
            if self.waiting.len() == 0 {
                self.take(id, packed);
                continue;
            }
            let woken = self.take_all(VecDeque::from([(id, packed)]));
            let woken = woken.into_iter().filter(|woken| *woken != id);
            brought.extend(woken.map(|id| Brought { id, at: None, checked: true, passed: false }));
        }
        brought
    }

    /// Lets a chain go on by an entry that is settled with it; false if it is not the next of an unforked chain, or admits
    /// a device, or must be looked at again, as what is of the state lane may have to.
    fn pass(&mut self, id: EntryId, entry: &Entry) -> bool {
        if entry.lane == Lane::State || entry.admission.is_some() {
            return false;
        }
        let Some(chain) = self.chains.get_mut(&entry.device).filter(|chain| !chain.forked) else { return false };
        match &mut chain.heads[..] {
            [head] if head.id == entry.prev && head.seq.checked_add(1) == Some(entry.seq) => {
                *head = entry.head(id);
                chain.settled = Some(entry.seq);
                true
            }
            _ => false,
        }
    }

    /// The places of the entries in an order in which each can be taken: the settled one, but that a device comes after
    /// what lets it in.
    #[cfg_attr(page, optimize(speed))]
    fn order_to_take(&self, entries: &Vouched, header: usize, before: &mut Before) -> Option<Vec<usize>> {
        let Before { places, devices, members, reached } = before;
        let mut order = Vec::with_capacity(entries.len());
        let mut left: Vec<usize> = (0..entries.len()).collect();
        let all: Vec<(EntryId, &Packed)> = entries.iter().collect();
        while !left.is_empty() {
            let taken = order.len();
            left.retain(|&at| {
                let (id, packed) = all[at];
                let entry = &packed.signed.entry;
                let reached = reached.entry(entry.device).or_insert_with(|| {
                    let settled = self.settled_seq(&entry.device);
                    Reached { header, before: settled, newest: settled }
                });
                let follows = reached.before(header).is_none_or(|settled| settled < entry.seq)
                    && own_before(entry).is_none_or(|own| self.is_here(&own, places))
                    && entry.approves.iter().all(|named| self.is_here(named, places))
                    && self.is_let_in(entry, devices, members);
                if follows {
                    order.push(at);
                    reached.newest = reached.newest.max(Some(entry.seq));
                    places.insert(id, (entry.device, entry.seq, header));
                    if let Some(admission) = &entry.admission {
                        devices.insert(entry.device);
                        members.insert(admission.member);
                    }
                }
                !follows
            });
            if order.len() == taken {
                return None;
            }
        }
        Some(order)
    }

    fn is_here(&self, named: &Head, places: &Places) -> bool {
        match places.get(&named.id) {
            Some((device, seq, _)) => (*device, *seq) == (named.device, named.seq),
            None => matches!(self.standing(named), Standing::Held(_) | Standing::Below),
        }
    }

    /// Whether a device is admitted, if this is its first entry; else that one came before.
    fn is_let_in(&self, entry: &Entry, devices: &HashSet<DeviceId>, members: &HashSet<MemberId>) -> bool {
        let Some(admission) = &entry.admission else { return true };
        if entry.device == self.first_device {
            return admission.member == self.founder && admission.invited.is_none();
        }
        match &admission.invited {
            Some(invited) => {
                let issuer = &invited.invite.issuer;
                devices.contains(issuer) || self.chains.contains_key(issuer)
            }
            None => members.contains(&admission.member) || self.members.contains_key(&admission.member),
        }
    }
}

impl Before {
    /// Whether each head of a header's cut is one of its entries, or of the cut before; both are sorted by device.
    fn has_cut(&self, header: usize, cut: &[Head], last: &[Head]) -> bool {
        let mut last = last.iter().peekable();
        let is_one = |head: &Head| {
            while last.next_if(|old| *old < head).is_some() {}
            last.next_if_eq(&head).is_some() || self.places.get(&head.id) == Some(&(head.device, head.seq, header))
        };
        cut.is_sorted_by(|one, next| one.device < next.device) && cut.iter().all(is_one)
    }
}
