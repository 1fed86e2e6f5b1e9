//! Settled history, taken in by hash. Who is behind by settled heights asks for them in order, each header with its
//! certificate, its cut and all that it settled. What hashes to the header's `entries_root` is what a quorum held: it is
//! taken into the DAG and settled at once, and its signatures are checked later (`unchecked`).
//!
//! Several peers are asked at once, each for a *lot* of heights; the lowest lot is settled as it comes, the others wait
//! in bounded memory. Who does not answer, or answers wrongly, loses its lot to another and is asked for no more of them
//! while it stays connected. What cannot be taken in so comes in the ordinary way: by ranges of chains, each signature
//! checked, and then the headers.

use crate::engine::{Engine, Peer};
use crate::history::Row;
use crate::store::EntryItem;
use crate::wire::{ANSWER_BYTES, Answer, Ask, No, Settled};
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::dag::MAX_NEW;
use ledgerno_ledger::settle::Proof;
use ledgerno_ledger::sorted::SortedMap;
use std::collections::VecDeque;

mod taking;

/// The most heights in one lot, and in one answer.
pub(crate) const MAX_HEIGHTS: u64 = 256;
/// The most lots at once.
const MAX_LOTS: usize = 8;
/// What an entry takes in memory beside its body, about.
const ENTRY_BYTES: usize = 512;

/// What is asked for and what came.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    /// By height.
    lots: VecDeque<Lot>,
    /// The first height that is in no lot.
    next: u64,
    /// Who is asked no more.
    barred: SortedMap<Peer, ()>,
    /// A lot, or a snapshot, was lost by who is gone: the others look again.
    lost: bool,
    /// So many entries there will be, says who was compared with.
    awaited: usize,
    /// Up to this height each is checked by itself, for something of them does not hold together.
    singly_to: u64,
}

/// Consecutive heights that one peer is asked for.
#[derive(Debug)]
pub(crate) struct Lot {
    /// The first that is not settled.
    from: u64,
    to: u64,
    /// Who is asked now.
    asked: Option<Peer>,
    /// From the first on; the last may not be whole.
    gathered: VecDeque<Gathered>,
}

/// A height that came.
#[derive(Debug)]
struct Gathered {
    proof: Box<Proof>,
    entries: Vec<EntryItem>,
    bytes: usize,
    by: Peer,
}

/// What a peer does next.
pub(crate) enum Assigned {
    /// It is asked this.
    Ask(Ask),
    /// Nothing, till something came from others or was settled.
    Wait,
    /// Nothing of this kind any more.
    Done,
}

impl Gathered {
    fn is_whole(&self) -> bool {
        self.entries.len() >= self.proof.checkpoint.header.entries as usize
    }
}

impl Lot {
    /// These heights.
    pub fn of(from: u64, to: u64) -> Self {
        Lot { from, to, asked: None, gathered: VecDeque::new() }
    }

    pub fn from(&self) -> u64 {
        self.from
    }

    pub fn bytes(&self) -> usize {
        self.gathered.iter().map(|one| one.bytes).sum()
    }

    /// The heights that came, each with who brought it.
    pub fn into_gathered(self) -> impl DoubleEndedIterator<Item = (Box<Proof>, Vec<EntryItem>, Peer)> {
        self.gathered.into_iter().map(|one| (one.proof, one.entries, one.by))
    }

    /// The height that is wanted next, and how many of its entries are here.
    fn wants(&self) -> (u64, usize) {
        let height = self.from.saturating_add(self.gathered.len() as u64);
        match self.gathered.back() {
            Some(last) if !last.is_whole() => (height - 1, last.entries.len()),
            _ => (height, 0),
        }
    }

    /// Whether all came.
    pub fn is_whole(&self) -> bool {
        self.wants().0 > self.to
    }

    /// Takes what came for it; false if it is not what was asked for.
    pub fn take(&mut self, came: Vec<Settled>, by: Peer, max: usize) -> bool {
        let came_any = came.iter().any(|one| !one.entries.is_empty());
        for Settled { proof, entries } in came {
            let (height, held) = self.wants();
            match proof {
                Some(proof) if held == 0 && proof.height() == height && height <= self.to => {
                    self.gathered.push_back(Gathered { proof, entries: Vec::new(), bytes: 0, by });
                }
                None if held > 0 => {}
                _ => return false,
            }
            let Some(last) = self.gathered.back_mut() else { return false };
            last.bytes += entries.iter().map(|entry| ENTRY_BYTES + entry.len()).sum::<usize>();
            last.entries.extend(entries);
            let says = last.proof.checkpoint.header.entries as usize;
            if says > MAX_NEW || last.entries.is_empty() || last.entries.len() > says || last.bytes > max {
                return false;
            }
        }
        came_any
    }
}

impl Bulk {
    /// So many entries there will be, says a peer: what is old among them need not be in memory. One that lies makes it be
    /// read back.
    pub fn await_in_all(&mut self, entries: u64) {
        self.awaited = usize::try_from(entries).unwrap_or(usize::MAX);
    }

    /// Whether a question is out.
    pub fn is_asking(&self) -> bool {
        self.lots.iter().any(|lot| lot.asked.is_some())
    }

    /// Whether a peer may be asked.
    pub fn may_ask(&self, peer: &Peer) -> bool {
        !self.barred.contains_key(peer)
    }

    /// A peer is gone, or back: whatever was held against it is forgotten.
    pub fn part(&mut self, peer: &Peer, is_waited_for: bool) {
        self.release(peer);
        self.barred.remove(peer);
        self.lost |= is_waited_for || !self.lots.is_empty();
    }

    /// When the others are to look again.
    pub fn due(&self) -> Option<u64> {
        self.lost.then_some(0)
    }

    /// Whether nothing was asked for that is not settled.
    pub fn is_empty(&self) -> bool {
        self.lots.is_empty()
    }

    /// What came for the lowest lot is wrong.
    fn drop_first(&mut self) {
        if let Some(lot) = self.lots.front_mut() {
            lot.gathered.clear();
            lot.asked = None;
        }
    }

    /// A peer has its lot no more; what came of it whole is kept.
    fn release(&mut self, peer: &Peer) {
        for lot in self.lots.iter_mut().filter(|lot| lot.asked == Some(*peer)) {
            lot.asked = None;
            lot.gathered.pop_back_if(|last| !last.is_whole());
        }
    }

    /// A peer is asked no more, and what it brought is dropped.
    fn bar(&mut self, peer: Peer) {
        self.release(&peer);
        for lot in &mut self.lots {
            let right = lot.gathered.iter().take_while(|one| one.by != peer).count();
            lot.gathered.truncate(right);
        }
        self.barred.insert(peer, ());
    }

    fn bytes(&self) -> usize {
        self.lots.iter().map(Lot::bytes).sum()
    }

    /// So many heights above one do not hold together: they are taken one by one, or all that is left of them would be
    /// tried again after each.
    fn is_no_run(&mut self, height: u64, len: usize) {
        self.singly_to = self.singly_to.max(height.saturating_add(len as u64));
    }

    /// How many heights above one may be tried together.
    fn longest_run(&self, height: u64) -> usize {
        if self.singly_to > height { 1 } else { usize::MAX }
    }

    /// Leaves out what is settled meanwhile.
    fn skip_settled(&mut self, height: u64) {
        for lot in &mut self.lots {
            while lot.from <= height {
                lot.from += 1;
                lot.gathered.pop_front();
                // The answer that is on its way is to another question.
                lot.asked = None;
            }
        }
        self.lots.retain(|lot| lot.from <= lot.to);
        self.next = self.next.max(height + 1);
    }

    /// The next question to a peer that holds all up to `top`, one of so many, when up to `height` is settled here.
    fn assign(&mut self, peer: Peer, top: u64, peers: u64, height: u64, room: bool) -> Assigned {
        self.skip_settled(height);
        if self.barred.contains_key(&peer) {
            return Assigned::Done;
        }
        let free = self
            .lots
            .iter_mut()
            .enumerate()
            .find(|(at, lot)| lot.asked.is_none() && !lot.is_whole() && lot.wants().0 <= top && (room || *at == 0));
        if let Some((_, lot)) = free {
            return lot.ask(peer, top);
        }
        let is_first = self.lots.is_empty();
        if self.next <= top && self.lots.len() < MAX_LOTS && (room || is_first) {
            // Short ones near the end, so that all peers have something to do till then.
            let left = (top - self.next).saturating_add(1);
            let size = if peers > 1 { left.div_ceil(2 * peers) } else { left }.clamp(1, MAX_HEIGHTS);
            let (from, to) = (self.next, top.min(self.next.saturating_add(size - 1)));
            self.next = to.saturating_add(1);
            let mut lot = Lot::of(from, to);
            let assigned = lot.ask(peer, top);
            self.lots.push_back(lot);
            return assigned;
        }
        if self.is_asking() || self.lots.front().is_some_and(Lot::is_ready) {
            return Assigned::Wait;
        }
        // What is left nobody can be asked for.
        self.lots.clear();
        self.next = 0;
        Assigned::Done
    }
}

impl Lot {
    pub fn ask(&mut self, peer: Peer, top: u64) -> Assigned {
        self.gathered.pop_back_if(|last| !last.is_whole() && last.by != peer);
        self.asked = Some(peer);
        let (from, skip) = self.wants();
        Assigned::Ask(Ask::Settled { from, skip: u32::try_from(skip).unwrap_or(u32::MAX), to: self.to.min(top) })
    }

    /// Whether its first height is here.
    fn is_ready(&self) -> bool {
        self.gathered.front().is_some_and(Gathered::is_whole)
    }
}

impl Engine {
    /// Whether a peer is asked for settled history, when so many entries are missing here.
    pub(crate) fn asks_by_hash(&self, peer: &Peer, height: u64, missing: u64) -> bool {
        height > self.chain.height() && missing >= self.limits.by_hash && self.bulk.may_ask(peer)
    }

    /// The next question of this kind to a peer of that height.
    pub(crate) fn assign(&mut self, peer: Peer, top: u64) -> Assigned {
        if self.history.len() >= self.limits.entries {
            return Assigned::Done;
        }
        let room = self.in_flight() + self.bulk.bytes() < self.limits.in_flight;
        let peers = self.sessions.keys().filter(|peer| self.bulk.may_ask(peer)).count() as u64;
        self.bulk.assign(peer, top, peers, self.chain.height(), room)
    }

    /// A peer answers no question of this kind now (`No::Busy`, or not at all), or never.
    pub(crate) fn not_by_hash(&mut self, peer: Peer, answer: Option<&Answer>, now: u64) {
        match answer {
            Some(Answer::No(No::Busy)) => self.bulk.release(&peer),
            _ => self.bulk.bar(peer),
        }
        self.go_on_by_hash(now);
    }

    /// Heights came; false if they are not what was asked for.
    pub(crate) fn take_settled(&mut self, peer: Peer, came: Vec<Settled>, now: u64) -> bool {
        let max = self.limits.in_flight;
        let Some(lot) = self.bulk.lots.iter_mut().find(|lot| lot.asked == Some(peer)) else {
            // Settled meanwhile.
            return true;
        };
        let fits = lot.take(came, peer, max);
        lot.asked = None;
        if !fits {
            self.bulk.bar(peer);
        }
        self.go_on_by_hash(now);
        fits
    }

    /// Settles what is here, and lets who waits for that go on.
    pub(crate) fn go_on_by_hash(&mut self, now: u64) {
        self.bulk.lost = false;
        self.settle_gathered(now);
        let waiting: Vec<Peer> =
            self.sessions.iter().filter(|(_, one)| one.waits_for_settled()).map(|(peer, _)| *peer).collect();
        for peer in waiting {
            self.resume_settled(peer, now);
        }
    }

    /// The settled history from a height on, but for the first entries of that one, as much as an answer takes.
    pub(crate) fn settled_answer(&self, from: u64, skip: u32, to: u64) -> Answer {
        let mut came: Vec<Settled> = Vec::new();
        for (height, ids) in self.settled_plan(from, skip, to) {
            let Some(proof) = self.proof_at(height) else { break };
            let entries: Option<Vec<EntryItem>> = ids.iter().map(|id| self.packed(id).map(EntryItem::new)).collect();
            let Some(entries) = entries else { break };
            let is_rest = height == from && skip > 0;
            came.push(Settled { proof: (!is_rest).then(|| Box::new(proof.clone())), entries });
        }
        let has = came.iter().any(|one| !one.entries.is_empty());
        if has || self.all_is_checked() { Answer::Settled(came) } else { Answer::No(No::Busy) }
    }

    /// What is to be read for that.
    pub(crate) fn settled_not_here(&self, from: u64, skip: u32, to: u64) -> Vec<u64> {
        let mut items = Vec::new();
        for (height, ids) in self.settled_plan(from, skip, to) {
            if self.proof_at(height).is_none() {
                items.extend(self.history.header(height).map(|place| u64::from(place.item)));
            }
            let away = ids.iter().filter(|id| self.packed(id).is_none()).filter_map(|id| self.history.row(id));
            items.extend(away.map(|row| u64::from(row.place.item)));
        }
        items
    }

    /// What goes into one answer: up to what is durable, may be given on and fits.
    fn settled_plan(&self, from: u64, skip: u32, to: u64) -> Vec<(u64, Vec<EntryId>)> {
        let from = from.max(1);
        let to = to.min(self.given_height()).min(from.saturating_add(MAX_HEIGHTS - 1));
        let rows = self.history.settled_from(from, to);
        let (mut plan, mut bytes) = (Vec::new(), 0);
        let is_one = |one: &(u64, u16, &Row), other: &(u64, u16, &Row)| one.0 == other.0;
        for (height, rows) in (from..).zip(rows.chunk_by(is_one)) {
            let Some(header) = self.history.header(height) else { break };
            let is_here = rows.iter().enumerate().all(|(at, row)| (row.0, usize::from(row.1)) == (height, at));
            bytes += header.len as usize;
            if !is_here || bytes >= ANSWER_BYTES && !plan.is_empty() {
                break;
            }
            let (mut ids, skip) = (Vec::new(), if height == from { skip as usize } else { 0 });
            for (_, _, row) in rows.iter().skip(skip) {
                if row.gone || !self.may_give(&row.id) {
                    return plan;
                }
                bytes += row.place.len as usize;
                ids.push(row.id);
                if bytes >= ANSWER_BYTES {
                    break;
                }
            }
            plan.push((height, ids));
            if bytes >= ANSWER_BYTES {
                break;
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_lengths_alone_is_no_list_of_heights() {
        let claims = |each: &[u8]| [&[11, 0x80, 0x80, 0x40][..], &each.repeat(1 << 18)].concat();
        for each in [&[0, 0][..], &[0, 1, 0]] {
            assert!(Answer::from_bytes(&claims(each)).is_err());
        }
    }

    #[test]
    fn what_does_not_hold_together_is_tried_together_once() {
        let mut bulk = Bulk::default();
        bulk.is_no_run(10, 30);
        for height in 10..40 {
            assert_eq!(bulk.longest_run(height), 1, "{height}");
            bulk.is_no_run(height, 1);
        }
        assert_eq!(bulk.longest_run(40), usize::MAX);
    }
}
