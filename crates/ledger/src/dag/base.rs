//! What is settled need not stay here. The DAG forgets settled entries but for each device's first, which admits it, and
//! stands on a *base* instead: for each device the place up to which it is settled and its branch heads, and the newest
//! settled cut. An entry at or below its device's settled place counts as held, so what comes later finds all that it
//! needs; who asks for the rest is answered from the store.

use super::{Chain, Dag, Limits, Node};
use crate::bytes::{DeviceId, EntryId};
use crate::check::Checked;
use crate::entry::{Head, Packed};
use crate::genesis::Genesis;
use crate::sorted::SortedMap;
use alloc::vec::Vec;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Where a device stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The device.
    pub device: DeviceId,
    /// Its greatest seq that is settled.
    pub settled: Option<u64>,
    /// The newest entry of each branch, sorted.
    pub heads: Vec<Head>,
    /// Two entries of it are at one place.
    pub forked: bool,
}

/// What a DAG stands on when settled entries are not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Each admitted device, in the order of their coming.
    pub places: Vec<Place>,
    /// The newest settled cut.
    pub cut: Vec<Head>,
}

/// What is known of an entry before it is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The entry.
    pub id: EntryId,
    /// With signature and body.
    pub packed: &'a Packed,
    /// It must stay.
    pub needed: bool,
    /// As [`Dag::seen_by`].
    pub seen_by: u32,
}

impl Dag {
    /// What this DAG would stand on without what is settled.
    pub fn base(&self) -> Base {
        let places = self.numbered.iter().filter_map(|device| {
            let chain = self.chains.get(device)?;
            let Chain { settled, forked, heads, .. } = chain;
            Some(Place { device: *device, settled: *settled, heads: heads.clone(), forked: *forked })
        });
        Base { places: places.collect(), cut: self.settled_cut.clone() }
    }

    /// An entry's place among those that are here, in the order taken.
    pub fn taken_at(&self, id: &EntryId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// What is known of the entries before a place, in the order taken.
    pub fn known_before(&self, place: usize) -> impl Iterator<Item = Known<'_>> {
        let one_device_each = self.has_one_device_each();
        self.nodes.iter().take(place).enumerate().map(move |(at, node)| {
            let Node { id, packed, .. } = node;
            Known { id: *id, packed, needed: self.is_needed(at, node), seen_by: self.count_seen(at, one_device_each) }
        })
    }

    /// Whether an entry must stay: it is unsettled, or the first of its device.
    fn is_needed(&self, at: usize, node: &Node) -> bool {
        node.packed.signed.entry.seq == 0 || self.open.contains(&at)
    }

    /// Forgets what is settled or passed by, but for what is to be kept by its place here and its id.
    pub fn forget(&mut self, keep: impl Fn(usize, &EntryId) -> bool) {
        self.mark_now();
        let nodes = core::mem::take(&mut self.nodes);
        let mut moved: Vec<Option<usize>> = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.into_iter().enumerate() {
            let stays = self.is_needed(at, &node) || keep(at, &node.id);
            moved.push(stays.then_some(self.nodes.len()));
            if stays {
                self.nodes.push(node);
            }
        }
        let at_now = |at: &usize| moved.get(*at).copied().flatten();
        self.nodes.shrink_to_fit();
        self.open = self.open.iter().filter_map(at_now).collect();
        // Of what stays, which is little, all is made anew.
        self.index = HashMap::with_capacity(self.nodes.len());
        self.chains.values_mut().for_each(|chain| chain.places = SortedMap::new());
        for (at, node) in self.nodes.iter_mut().enumerate() {
            node.parents = node.parents.iter().filter_map(at_now).collect();
            self.index.insert(node.id, at);
            let entry = &node.packed.signed.entry;
            if let Some(chain) = self.chains.get_mut(&entry.device) {
                chain.stand(entry.seq, node.id);
            }
        }
    }

    /// The entries that are here, in the order taken.
    pub fn ids(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.nodes.iter().map(|node| node.id)
    }

    /// The DAG that stood on this base, with the entries that were still here, in the order taken; `true` is for those in
    /// a checkpoint. `None` when a device lacks the entry that admits it.
    pub fn resume(
        genesis: &Genesis,
        limits: Limits,
        base: Base,
        kept: impl IntoIterator<Item = (Checked, bool)>,
    ) -> Option<Self> {
        let mut dag = Dag::new(genesis, limits);
        dag.mark_later();
        dag.settled_cut = base.cut;
        for (number, place) in base.places.into_iter().enumerate() {
            let Place { device, settled, heads, forked } = place;
            let chain = Chain { number, places: SortedMap::new(), heads, settled, forked };
            if dag.chains.insert(device, chain).is_some() {
                return None;
            }
            dag.numbered.push(device);
        }
        for (checked, settled) in kept {
            let (id, packed) = (checked.id(), checked.into_packed());
            let head = packed.signed.entry.head(id);
            if dag.index.contains_key(&id) {
                return None;
            }
            let at = dag.push(id, packed, settled);
            let chain = dag.chains.get_mut(&head.device)?;
            let number = chain.number;
            chain.stand(head.seq, id);
            if head.seq == 0 {
                dag.own(number);
            }
            dag.reach(at, number);
        }
        dag.mark_now();
        dag.numbered.iter().all(|device| dag.admission(device).is_some()).then_some(dag)
    }
}
