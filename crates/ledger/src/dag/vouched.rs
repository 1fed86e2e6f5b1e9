//! Taking in what a certificate stands for: all entries of one header at once, or none of them. Whatever stands in the
//! right place is taken, as if it had been here before the header: a branch too many has been named by the cut, and an
//! invite has been used as often as the quorum let it.

use super::{Dag, Standing, refs};
use crate::bytes::{DeviceId, EntryId, MemberId};
use crate::check::{Checked, Vouched};
use crate::entry::{Entry, Head, Packed};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};

/// What was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// All, in the order of taking: what had waited for it too.
    pub ids: Vec<EntryId>,
    /// Of these, sorted, whose signatures nobody has checked here.
    pub unchecked: Vec<EntryId>,
}

/// The entries of a header that are to be taken before.
#[derive(Default)]
struct Before {
    places: HashMap<EntryId, (DeviceId, u64)>,
    devices: HashSet<DeviceId>,
    members: HashSet<MemberId>,
}

impl Dag {
    /// Takes the entries of the next header, with its cut; `None`, and nothing is taken, when one does not build on what
    /// is here and among them, when it is settled already, or when the cut names another.
    pub fn take_vouched(&mut self, entries: Vouched, cut: &[Head]) -> Option<Brought> {
        if !self.is_cut_of(&entries, cut) {
            return None;
        }
        let order = self.order_to_take(&entries)?;
        let mut brought = Brought::default();
        let mut entries: Vec<Option<Checked>> = entries.into_entries().into_iter().map(Some).collect();
        for checked in order.into_iter().filter_map(|at| entries.get_mut(at)?.take()) {
            let id = checked.id();
            if self.index.contains_key(&id) {
                continue;
            }
            // What waited here was checked when it came.
            let packed = match self.waiting.take_out(&id) {
                Some(waiter) => waiter.packed,
                None => {
                    brought.unchecked.push(id);
                    checked.into_packed()
                }
            };
            brought.ids.extend(self.take_all(VecDeque::from([(id, packed)])));
        }
        brought.unchecked.sort_unstable();
        Some(brought)
    }

    /// Whether each head of the cut is one of these, or of the cut before.
    fn is_cut_of(&self, entries: &Vouched, cut: &[Head]) -> bool {
        let new = entries.heads().filter(|head| cut.binary_search(head).is_ok()).count();
        let old = cut.iter().filter(|head| self.settled_cut.binary_search(head).is_ok()).count();
        cut.is_sorted_by(|one, next| one.device < next.device) && new + old == cut.len()
    }

    /// The places of the entries in an order in which each can be taken: the settled one, but that a device comes after
    /// what lets it in.
    fn order_to_take(&self, entries: &Vouched) -> Option<Vec<usize>> {
        let mut before = Before::default();
        let mut order = Vec::with_capacity(entries.len());
        let mut left: Vec<usize> = (0..entries.len()).collect();
        let all: Vec<(EntryId, &Packed)> = entries.iter().collect();
        while !left.is_empty() {
            let taken = order.len();
            left.retain(|&at| {
                let (id, packed) = all[at];
                let entry = &packed.signed.entry;
                let follows = !self.is_below(&entry.device, entry.seq)
                    && refs(entry).all(|named| self.is_here(&named, &before))
                    && self.is_let_in(entry, &before);
                if follows {
                    order.push(at);
                    before.places.insert(id, (entry.device, entry.seq));
                    if let Some(admission) = &entry.admission {
                        before.devices.insert(entry.device);
                        before.members.insert(admission.member);
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

    fn is_here(&self, named: &Head, before: &Before) -> bool {
        match before.places.get(&named.id) {
            Some(place) => *place == (named.device, named.seq),
            None => matches!(self.standing(named), Standing::Held(_) | Standing::Below),
        }
    }

    /// Whether a device is admitted, if this is its first entry; else that one came before.
    fn is_let_in(&self, entry: &Entry, before: &Before) -> bool {
        let Some(admission) = &entry.admission else { return true };
        if entry.device == self.first_device {
            return admission.member == self.founder && admission.invited.is_none();
        }
        match &admission.invited {
            Some(invited) => {
                let issuer = &invited.invite.issuer;
                before.devices.contains(issuer) || self.chains.contains_key(issuer)
            }
            None => before.members.contains(&admission.member) || self.members.contains_key(&admission.member),
        }
    }
}
