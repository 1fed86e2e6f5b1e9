//! What was taken in by hash (`bulk`), and whose signatures are checked later.
//!
//! A certificate says that a quorum held these entries, so they are settled here and shown at once. But a signature
//! stands beside the id that the certificate names, and whoever brought it may have spoiled it. So till it is checked, an
//! entry is given to nobody and is proven to nobody. That is known across a restart: the places of these entries in the
//! order of taking are written with them. They are checked a batch at a time, once no more is coming in by hash. A head
//! that an own entry is to approve is checked at once: an entry that approved less than its author has read would stand
//! far above it in every list. What lies below that head is settled, so whoever lacks it has it from others.
//!
//! A signature that does not hold then was either spoiled on the way, or the quorum took an entry that its author never
//! signed. The header stands all the same, and nobody can tell which it was: the entry is never given on, a person is
//! told, and from then on nothing is shown as settled, as with two certificates.

use crate::engine::{Engine, Event, Output};
use crate::recall::Reading;
use crate::wire::ANSWER_BYTES;
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::check::{self, Named, Refused};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Packed;
use serde::{Deserialize, Serialize};

/// The record of them.
pub(crate) const RECORD: &str = "unchecked";
/// So many are checked at a time.
const BATCH: u64 = 512;
/// The most stretches of them; then they are checked before more is taken in by hash.
pub(crate) const MAX_SPANS: usize = 1_024;
/// The most forged ones that are remembered; then no more is checked, and what is left is given to nobody.
const MAX_FORGED: usize = 1_024;
/// The most bytes of the record.
const MAX_RECORD: usize = (MAX_SPANS + MAX_FORGED) * 20 + 64;

/// The places, in the order of taking, of what is not to be given on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Unchecked {
    /// From a place up to before another; sorted, with gaps between.
    spans: Vec<(u64, u64)>,
    /// Sorted: those whose signature did not hold.
    forged: Vec<u64>,
    /// When the next are checked; none while they are read back.
    #[serde(skip)]
    at: Option<u64>,
}

impl Unchecked {
    /// Notes that an entry, the newest one, is not checked.
    pub fn add(&mut self, place: usize, now: u64) {
        let place = place as u64;
        match self.spans.last_mut() {
            Some((_, end)) if *end == place => *end += 1,
            _ => self.spans.push((place, place + 1)),
        }
        self.at = Some(now);
    }

    /// Whether everything was checked, whatever came out.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether there are so many stretches that no more come to them.
    pub fn is_full(&self) -> bool {
        self.spans.len() >= MAX_SPANS
    }

    /// Something else is to be checked with them.
    pub fn wake(&mut self, now: u64) {
        self.at = Some(now);
    }

    /// Nothing is checked till it is read back.
    pub fn pause(&mut self) {
        self.at = None;
    }

    /// Whether an entry is not checked yet.
    pub fn has(&self, place: usize) -> bool {
        let place = place as u64;
        let after = self.spans.partition_point(|(from, _)| *from <= place);
        after.checked_sub(1).is_some_and(|at| place < self.spans[at].1)
    }

    /// Whether an entry's signature did not hold.
    pub fn is_forged(&self, place: usize) -> bool {
        self.forged.binary_search(&(place as u64)).is_ok()
    }

    /// The next to check.
    fn next(&self) -> Option<(u64, u64)> {
        let (from, end) = self.spans.first()?;
        (self.forged.len() < MAX_FORGED).then_some((*from, (*end).min(from.saturating_add(BATCH))))
    }

    fn pass(&mut self, upto: u64) {
        self.spans.retain_mut(|(from, end)| {
            *from = (*from).max(upto);
            from < end
        });
    }

    fn forge(&mut self, place: u64) {
        if let Err(at) = self.forged.binary_search(&place) {
            self.forged.insert(at, place);
        }
    }

    /// What is stored.
    pub fn record(&self) -> (String, Option<Vec<u8>>) {
        let is_needed = !self.spans.is_empty() || !self.forged.is_empty();
        (RECORD.to_owned(), is_needed.then(|| codec::encode(self)))
    }

    /// Reads it back; `None` if it is none.
    pub fn from_record(bytes: &[u8]) -> Option<Self> {
        let mut read: Unchecked = codec::decode(bytes, MAX_RECORD).ok()?;
        let apart = |one: &(u64, u64), next: &(u64, u64)| one.1 < next.0;
        let fits = read.spans.iter().all(|(from, end)| from < end) && read.spans.is_sorted_by(apart);
        read.at = Some(0);
        (fits && read.forged.is_sorted()).then_some(read)
    }
}

impl Engine {
    /// Whether an entry may be given on: its signature was checked.
    pub(crate) fn may_give(&self, id: &EntryId) -> bool {
        let Some(place) = self.history.place(id) else { return true };
        !self.unchecked.has(place) && !self.unchecked.is_forged(place)
    }

    /// Whether an own entry may approve this one: its signature holds, which is seen now if it was not before.
    pub(crate) fn may_approve(&self, id: &EntryId) -> bool {
        let is_signed = |packed: &Packed| check::check(self.circle, packed.clone()).is_ok();
        self.may_give(id) || self.packed(id).is_some_and(is_signed)
    }

    /// When the next signatures are to be checked: not while more comes in by hash.
    pub(crate) fn check_due(&self) -> Option<u64> {
        // What was passed is read from the store, where it must be.
        let is_full = self.unchecked.is_full() || self.unvoted.is_full();
        let waits = self.is_writing() || self.bulk.is_asking() && !is_full;
        self.unchecked.at.filter(|_| !waits && (self.unchecked.next().is_some() || self.unvoted.is_at_work()))
    }

    /// Checks the next signatures, if it is time.
    pub(crate) fn check_if_due(&mut self, now: u64) {
        if self.check_due().is_some_and(|at| at <= now) {
            self.check_unchecked(now);
        }
    }

    /// Checks the next signatures; what is not in memory is read first.
    pub(crate) fn check_unchecked(&mut self, now: u64) {
        let Some((from, end)) = self.unchecked.next() else { return self.check_votes(now) };
        let rows = self.history.rows().iter().skip(from as usize).take((end - from) as usize);
        let mut bytes = 0;
        let fits = rows.take_while(|row| {
            let is_room = bytes < ANSWER_BYTES;
            bytes += row.place.len as usize;
            is_room
        });
        let ids: Vec<EntryId> = fits.map(|row| row.id).collect();
        let end = from + ids.len() as u64;
        let items = self.not_here(&ids, usize::MAX);
        if !items.is_empty() {
            self.unchecked.pause();
            return self.recall(items, Reading::Unchecked);
        }
        let packed = ids.iter().filter_map(|id| self.packed(id).cloned());
        let named: Vec<Named> = packed.map(|packed| Named::new(self.circle, packed)).collect();
        if named.is_empty() || named.len() != ids.len() {
            return self.stays_unchecked();
        }
        let results = check::check_batch(self.circle, named);
        for ((place, id), result) in (from..).zip(ids).zip(results) {
            if let Err(why) = result {
                self.unchecked.forge(place);
                self.forged(id, why);
            }
        }
        self.unchecked.pass(end);
        let record = self.unchecked.record();
        self.write(Vec::new(), vec![record], Vec::new(), Vec::new(), now);
        self.checked_some(now);
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// What follows once something was checked.
    pub(crate) fn checked_some(&mut self, now: u64) {
        self.unchecked.at = (!self.unchecked.is_empty() || self.unvoted.is_at_work()).then_some(now);
        if self.all_is_checked() {
            self.all_checked(now);
        }
        self.go_on_by_hash(now);
    }

    /// Whether everything was checked, whatever came out.
    pub(crate) fn all_is_checked(&self) -> bool {
        self.unchecked.is_empty() && self.unvoted.is_empty()
    }

    /// Their items could not be read: they are given to nobody, and tried again after the next start.
    pub(crate) fn stays_unchecked(&mut self) {
        self.unchecked.at = None;
    }

    fn forged(&mut self, id: EntryId, why: Refused) {
        let height = self.history.settled(&id).map_or(0, |settled| settled.height);
        self.outputs.push_back(Output::Event(Event::Forged { id, height, why }));
    }

    /// What was held back is offered now.
    fn all_checked(&mut self, now: u64) {
        if self.is_keeper()
            && let Some(say) = self.proofs.last().and_then(|proof| self.say_proof(proof))
        {
            self.once_durable(say, now);
        }
        self.snapshot_if_due(now);
        self.sync_all(now);
    }

    /// Entries that a certificate stands for and whose signature does not hold, in the order of taking.
    pub fn forgeries(&self) -> Vec<EntryId> {
        let row = |place: &u64| self.history.rows().get(usize::try_from(*place).ok()?).map(|row| row.id);
        self.unchecked.forged.iter().filter_map(row).collect()
    }

    /// How many entries were taken in by hash and are not checked yet.
    pub fn unchecked(&self) -> u64 {
        self.unchecked.spans.iter().map(|(from, end)| end - from).sum()
    }

    /// Whether what is settled is shown so: no second history and no forgery is known.
    pub(crate) fn shows_settled(&self) -> bool {
        self.conflict().is_none() && self.unchecked.forged.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spans_hold_what_was_added_and_nothing_else(gaps in proptest::collection::vec(1usize..4, 1..60), upto in 0u64..90) {
            let mut unchecked = Unchecked::default();
            let mut places = Vec::new();
            for gap in gaps {
                places.push(places.last().map_or(0, |last| last + gap));
                unchecked.add(places[places.len() - 1], 5);
            }
            let mut read = Unchecked::from_record(&unchecked.record().1.unwrap()).unwrap();
            let has = |unchecked: &Unchecked, from: u64| {
                (0..300).filter(|place| *place as u64 >= from && unchecked.has(*place)).collect::<Vec<usize>>()
            };
            prop_assert_eq!(&has(&read, 0), &places);
            read.pass(upto);
            places.retain(|place| *place as u64 >= upto);
            prop_assert_eq!(has(&read, 0), places);
        }
    }

    #[test]
    fn a_record_of_nonsense_is_none() {
        let record = |spans, forged| codec::encode(&Unchecked { spans, forged, at: None });
        assert!(Unchecked::from_record(&record(vec![(3, 5), (7, 8)], vec![1, 2])).is_some());
        assert!(Unchecked::from_record(&record(vec![(5, 5)], vec![])).is_none());
        assert!(Unchecked::from_record(&record(vec![(3, 5), (4, 8)], vec![])).is_none());
        assert!(Unchecked::from_record(&record(vec![], vec![2, 1])).is_none());
        assert!(Unchecked::default().record().1.is_none());
    }
}
