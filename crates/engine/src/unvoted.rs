//! The votes of headers that came in a run. A run's last header names each before it by hash, so its quorum speaks for all of
//! them, and they are settled by it (`ledgerno_ledger::settle`). The signatures of the other headers' votes are checked
//! later, once the entries' are (`unchecked`); till then none of those headers is given on. That is known across a restart.
//!
//! Votes that do not hold then say nothing against their header, which stands. Whoever brought them is named, as for any
//! wrong header, and from that one on this node gives no header on till it has fetched them anew ([`mending`]).

use crate::engine::{Engine, Event, Output, Peer};
use crate::recall::Reading;
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::codec;
use ledgerno_ledger::settle::{Checkpoint, Proof, Refusal};
use mending::Mends;
use serde::{Deserialize, Serialize};

pub(crate) mod mending;

/// The record of them.
pub(crate) const RECORD: &str = "unvoted";
/// So many headers' votes are checked at a time.
const BATCH: u64 = 64;
/// The most stretches of them; then they are checked before more comes in by hash.
pub(crate) const MAX_SPANS: usize = 1_024;
/// The most bytes of the record.
const MAX_RECORD: usize = MAX_SPANS * (2 * 10 + 32) + 64;

/// Headers whose votes are not checked, or do not hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unvoted {
    /// From a height up to another, inclusive, and who brought them; in order.
    spans: Vec<(u64, u64, Peer)>,
    /// A height of which the votes do not hold, where the first stretch begins: nothing above is checked till others came.
    spoiled: Option<u64>,
}

impl Unvoted {
    /// Notes a header above all others.
    pub fn add(&mut self, height: u64, by: Peer) {
        // A record of more could not be read back: better a wrong name than that.
        let is_full = self.spans.len() >= MAX_SPANS;
        match self.spans.last_mut() {
            // One between them was the last of its run, and is checked again with them.
            Some((_, to, last)) if is_full || *last == by && to.saturating_add(2) >= height => *to = height,
            _ => self.spans.push((height, height, by)),
        }
    }

    /// Whether the votes that came with a header may not hold.
    pub fn may_lack(&self, height: u64) -> bool {
        self.spans.iter().any(|(from, to, _)| (*from..=*to).contains(&height))
    }

    /// Whether all votes were checked that can be, whatever came out.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() || self.spoiled.is_some()
    }

    /// Whether there are so many stretches that they are checked before more come to them.
    pub fn is_full(&self) -> bool {
        self.spans.len() >= MAX_SPANS && self.spoiled.is_none()
    }

    /// Whether there are votes to check, or to fetch anew.
    pub fn is_at_work(&self) -> bool {
        !self.spans.is_empty()
    }

    /// The lowest height whose header is not given on.
    fn withheld_from(&self) -> Option<u64> {
        self.spans.first().map(|(from, ..)| *from)
    }

    /// The next to check.
    fn next(&self) -> Option<(u64, u64, Peer)> {
        let (from, to, by) = self.spans.first()?;
        Some((*from, (*to).min(from.saturating_add(BATCH - 1)), *by))
    }

    fn pass(&mut self, upto: u64) {
        self.spans.retain_mut(|(from, to, _)| {
            *from = (*from).max(upto.saturating_add(1));
            from <= to
        });
    }

    /// What stood above became void: nothing is known of the votes of what comes there.
    pub fn clip(&mut self, height: u64) {
        self.spans.retain_mut(|(from, to, _)| {
            *to = (*to).min(height);
            from <= to
        });
        self.spoiled.take_if(|lowest| *lowest > height);
    }

    /// Those below hold; from there on nothing is given, so nothing has to be checked yet.
    fn spoil(&mut self, height: u64) {
        self.pass(height.saturating_sub(1));
        self.spoiled = Some(height);
    }

    /// What is stored.
    pub fn record(&self) -> (String, Option<Vec<u8>>) {
        (RECORD.to_owned(), self.is_at_work().then(|| codec::encode(self)))
    }

    /// Reads it back; `None` if it is none.
    pub fn from_record(bytes: &[u8]) -> Option<Self> {
        let read: Unvoted = codec::decode(bytes, MAX_RECORD).ok()?;
        let in_order = read.spans.is_sorted_by(|one, next| one.1 < next.0);
        let fits = read.spans.iter().all(|(from, to, _)| from <= to) && read.spans.len() <= MAX_SPANS;
        (in_order && fits).then_some(read)
    }

    /// Of a record as it was written once: what is above a bad height and was not checked was not kept, nor by whom. All that
    /// there is, then.
    fn with_all_above(mut self) -> Self {
        if let Some(height) = self.spoiled {
            match self.spans.first_mut() {
                Some((from, ..)) => *from = (*from).min(height),
                None => self.spans.push((height, u64::MAX, DeviceId([0; 32]))),
            }
        }
        self
    }
}

impl Engine {
    /// Takes the record back; false if it is none.
    pub(crate) fn restore_unvoted(&mut self, bytes: &[u8]) -> bool {
        self.unchecked.wake(0);
        Unvoted::from_record(bytes).map(|read| self.unvoted = read.with_all_above()).is_some()
    }

    /// Up to which height durable headers are given on.
    pub(crate) fn given_height(&self) -> u64 {
        let withheld = self.unvoted.withheld_from().map_or(u64::MAX, |height| height.saturating_sub(1));
        self.durable_height.min(withheld)
    }

    /// How many settled headers are not given on yet, for their votes are still to be checked; 0 while some are fetched anew.
    pub fn withheld(&self) -> u64 {
        let spans = if self.unvoted.is_empty() { &[][..] } else { &self.unvoted.spans[..] };
        spans.iter().map(|(from, to, _)| to - from + 1).sum()
    }

    /// Whether headers from a height on can be given on later.
    pub(crate) fn gives_later(&self, from: u64) -> bool {
        !self.unvoted.is_empty() && from > self.given_height() && from <= self.durable_height
    }

    /// Checks the next votes, or fetches some anew; headers that are not in memory are read first.
    pub(crate) fn check_votes(&mut self, now: u64) {
        if let Some(height) = self.unvoted.spoiled {
            return self.mend(height);
        }
        let Some((from, to, by)) = self.unvoted.next() else { return };
        let away = (from..=to).filter(|height| self.proof_at(*height).is_none());
        let items: Vec<u64> = away.filter_map(|height| Some(self.history.header(height)?.item.into())).collect();
        if !items.is_empty() {
            self.unchecked.pause();
            return self.recall(items, Reading::Unchecked);
        }
        let proofs: Vec<&Proof> = (from..=to).filter_map(|height| self.proof_at(height)).collect();
        if proofs.len() as u64 != to - from + 1 {
            return self.stays_unchecked();
        }
        match proofs.iter().find_map(|proof| self.without_votes(proof)) {
            Some((height, why)) => {
                self.unvoted.spoil(height);
                self.set_mends(&by, Mends::Never);
                self.refuse(height, why, by);
            }
            None => self.unvoted.pass(to),
        }
        let record = self.unvoted.record();
        self.write(Vec::new(), vec![record], Vec::new(), Vec::new(), now);
        self.checked_some(now);
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// What is wrong with a header's votes.
    fn without_votes(&self, proof: &Proof) -> Option<(u64, Refusal)> {
        let Checkpoint { header, certificate } = &proof.checkpoint;
        let witnesses = self.chain.witnesses_at(header.height)?;
        let error = certificate.check(self.circle, header.height, header.hash(), witnesses).err()?;
        Some((header.height, Refusal::BadCertificate(error)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ledgerno_ledger::bytes::DeviceId;

    #[test]
    fn what_is_withheld_begins_at_the_lowest_and_reads_back() {
        let (one, other) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let mut unvoted = Unvoted::default();
        assert_eq!((unvoted.withheld_from(), unvoted.record().1), (None, None));
        (5..=300).filter(|height| *height != 10).for_each(|height| unvoted.add(height, one));
        (302..=303).for_each(|height| unvoted.add(height, other));
        assert_eq!(unvoted.spans, [(5, 300, one), (302, 303, other)]);
        assert_eq!(
            [4, 5, 10, 301, 302, 304].map(|height| unvoted.may_lack(height)),
            [false, true, true, false, true, false]
        );
        assert_eq!(Unvoted::from_record(&unvoted.record().1.unwrap()).unwrap(), unvoted);
        assert_eq!((unvoted.withheld_from(), unvoted.next()), (Some(5), Some((5, 68, one))));
        unvoted.pass(300);
        assert_eq!((unvoted.withheld_from(), unvoted.next()), (Some(302), Some((302, 303, other))));
        let mut clipped = unvoted.clone();
        clipped.clip(302);
        assert_eq!(clipped.spans, [(302, 302, other)]);
        clipped.add(303, one);
        assert_eq!(Unvoted::from_record(&clipped.record().1.unwrap()).unwrap(), clipped);
        clipped.clip(301);
        assert_eq!(clipped, Unvoted::default());
        unvoted.spoil(302);
        clipped = unvoted.clone();
        clipped.clip(301);
        assert_eq!(clipped, Unvoted::default());
        assert_eq!([301, 302, 400].map(|height| unvoted.may_lack(height)), [false, true, false]);
        assert_eq!((unvoted.withheld_from(), unvoted.is_empty(), unvoted.is_at_work()), (Some(302), true, true));
        assert_eq!(Unvoted::from_record(&unvoted.record().1.unwrap()).unwrap(), unvoted);
    }

    #[test]
    fn above_a_height_that_is_spoiled_what_was_not_checked_is_kept() {
        let (one, other) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let mut unvoted = Unvoted { spans: vec![(5, 90, one), (95, 99, other)], spoiled: None };
        unvoted.spoil(40);
        unvoted.add(120, other);
        assert_eq!(unvoted.spans, [(40, 90, one), (95, 99, other), (120, 120, other)]);
        // An older version kept none of that.
        let old = |spans: Vec<(u64, u64, DeviceId)>| {
            let bytes = codec::encode(&(spans, Some(7_u64)));
            let read = Unvoted::from_record(&bytes).unwrap();
            assert_eq!(codec::encode(&read), bytes);
            read.with_all_above()
        };
        assert_eq!(old(Vec::new()).spans, [(7, u64::MAX, DeviceId([0; 32]))]);
        assert_eq!(old(vec![(20, 30, one)]).spans, [(7, 30, one)]);
    }

    #[test]
    fn however_many_bring_them_the_record_reads_back() {
        let mut unvoted = Unvoted::default();
        (1..3_000).for_each(|height| unvoted.add(height, DeviceId([height as u8; 32])));
        assert_eq!((unvoted.is_full(), unvoted.may_lack(2_999)), (true, true));
        assert_eq!(Unvoted::from_record(&unvoted.record().1.unwrap()).unwrap(), unvoted);
    }

    #[test]
    fn a_record_of_nonsense_is_none() {
        let record = |spans: &[(u64, u64)]| {
            let spans = spans.iter().map(|(from, to)| (*from, *to, DeviceId([1; 32]))).collect();
            codec::encode(&Unvoted { spans, spoiled: None })
        };
        assert!(Unvoted::from_record(&record(&[(3, 5), (7, 7)])).is_some());
        assert!(Unvoted::from_record(&record(&[(5, 4)])).is_none());
        assert!(Unvoted::from_record(&record(&[(3, 5), (5, 8)])).is_none());
    }
}
