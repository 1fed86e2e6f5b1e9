//! Reading back what is not in memory. Whoever needs settled entries or headers again, to answer a question, to give them
//! to a peer or to show them, asks the driver for their items ([`Output::Read`]) and goes on when they are there. They
//! stay only as long as that takes; but what is shown is kept, so that a list is not read again at each look.

use crate::engine::{Engine, Event, Output, Peer};
use crate::history::Row;
use crate::session::Step;
use crate::store::Item;
use crate::wire::{ANSWER_BYTES, Answer, Ask, BATCH_BYTES, MAX_ASK, No};
use hashbrown::HashMap;
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::entry::{Anchor, Packed};
use ledgerno_ledger::settle::Proof;
use ledgerno_ledger::sorted::SortedMap;

/// The most readings at once: each is of an answer's size at most.
const MAX_READINGS: usize = 16;
/// Entries read back at once to be shown.
const PAGE: usize = 200;
/// The most entries that stay in memory for having been shown.
const MAX_REMEMBERED: usize = 5_000;

/// What goes on once something is read.
pub(crate) enum Reading {
    /// A peer's question is answered.
    Asked { peer: Peer, no: u64, ask: Box<Ask> },
    /// A session goes on giving.
    Session(Peer),
    /// A list can be shown, or an entry proven.
    Remembered,
    /// Signatures are checked.
    Unchecked,
}

/// What was read back for what is done now.
#[derive(Default)]
pub(crate) struct Recalled {
    entries: HashMap<EntryId, Packed>,
    proofs: SortedMap<u64, Proof>,
}

impl Engine {
    /// An entry, if it is in memory.
    pub(crate) fn packed(&self, id: &EntryId) -> Option<&Packed> {
        let read = || self.recalled.entries.get(id).or_else(|| self.remembered.get(id));
        self.dag.get(id).or_else(read)
    }

    /// A settled header, if it is in memory.
    pub(crate) fn proof_at(&self, height: u64) -> Option<&Proof> {
        let oldest = (self.chain.height() + 1).saturating_sub(self.proofs.len() as u64);
        let at = height.checked_sub(oldest).and_then(|at| usize::try_from(at).ok());
        let read = || self.recalled.proofs.get(&height).or_else(|| self.remembered_proofs.get(&height));
        at.and_then(|at| self.proofs.get(at)).or_else(read)
    }

    /// The items of entries that must be read for a message of the first of these.
    pub(crate) fn not_here(&self, ids: &[EntryId], limit: usize) -> Vec<u64> {
        let (mut bytes, mut items) = (0, Vec::new());
        for id in ids {
            let row = self.history.placed(id).filter(|(place, row)| !row.gone && *place < self.durable);
            let Some((_, row)) = row else { continue };
            bytes += row.place.len as usize;
            if self.packed(id).is_none() {
                items.push(row.place.item.into());
            }
            if bytes >= limit {
                break;
            }
        }
        items
    }

    /// The items of headers that must be read for a message of those from a height on.
    fn proofs_not_here(&self, from: u64) -> Vec<u64> {
        let (mut bytes, mut items) = (0, Vec::new());
        for height in from.max(1)..=self.durable_height {
            if self.proof_at(height).is_some() {
                break;
            }
            let Some(place) = self.history.header(height) else { break };
            bytes += 1_024 + place.len as usize;
            items.push(place.item.into());
            if bytes > MAX_ASK / 2 {
                break;
            }
        }
        items
    }

    /// Reads what a question's answer needs; false if it can be given at once.
    pub(crate) fn reads_for(&mut self, peer: Peer, no: u64, ask: &Ask) -> bool {
        let items = match ask {
            Ask::Ranges(ranges) => self.not_here(&self.ids_in(ranges), ANSWER_BYTES),
            Ask::Entries(ids) => self.not_here(ids, ANSWER_BYTES),
            Ask::Headers { from } => self.proofs_not_here(*from),
            Ask::Snapshot { pinned: Some(Anchor { height, .. }), at: 0, .. } | Ask::Left { height, .. } => {
                let is_away = self.proof_at(*height).is_none();
                let place = self.history.header(*height).filter(|_| is_away);
                place.map(|place| place.item.into()).into_iter().collect()
            }
            Ask::Settled { from, skip, to } => self.settled_not_here(*from, *skip, *to),
            _ => Vec::new(),
        };
        if items.is_empty() {
            return false;
        }
        if self.readings.len() >= MAX_READINGS {
            self.outputs.push_back(Output::Answer { no, answer: Answer::No(No::Busy) });
        } else {
            self.recall(items, Reading::Asked { peer, no, ask: Box::new(ask.clone()) });
        }
        true
    }

    /// Reads what a session's next step gives; false if it can be given at once.
    pub(crate) fn reads_to_give(&mut self, peer: Peer, step: &Step, height: u64) -> bool {
        let items = match step {
            Step::Give { ranges } => self.not_here(&self.ids_in(ranges), BATCH_BYTES),
            Step::GiveIds { ids } => self.not_here(ids, BATCH_BYTES),
            Step::GiveHeaders => self.proofs_not_here(height.saturating_add(1)),
            _ => Vec::new(),
        };
        let reads = !items.is_empty();
        if reads {
            self.recall(items, Reading::Session(peer));
        }
        reads
    }

    pub(crate) fn recall(&mut self, mut items: Vec<u64>, reading: Reading) {
        items.sort_unstable();
        items.dedup();
        self.next_reading += 1;
        self.readings.insert(self.next_reading, (items.clone(), reading));
        self.outputs.push_back(Output::Read { no: self.next_reading, items });
    }

    /// The items that were to be read, in their order; none if they could not be read.
    pub fn read(&mut self, no: u64, items: &[impl AsRef<[u8]>], now: u64) {
        let Some((asked, reading)) = self.readings.remove(&no) else { return };
        let mut read = Recalled::default();
        let mut gone = Vec::new();
        for (at, bytes) in asked.into_iter().zip(items) {
            match Item::from_bytes(bytes.as_ref()) {
                Ok(Item::Entry(packed)) => {
                    let id = packed.signed.entry.id(self.circle);
                    read.entries.insert(id, self.erased.apply(&id, packed));
                }
                Ok(Item::Proof(proof)) => drop(read.proofs.insert(proof.height(), proof)),
                // It was let go, and then the node ended before that was noted.
                Err(_) if bytes.as_ref().is_empty() => gone.push(at),
                Err(_) => {}
            }
        }
        let is_read = !items.is_empty() && read.entries.len() + read.proofs.len() + gone.len() == items.len();
        self.went(&self.history.at_items(&gone));
        if !is_read {
            // Whoever looks again at each change must not make it read for ever.
            self.unreadable |= matches!(reading, Reading::Remembered);
            self.outputs.push_back(Output::Event(Event::Unreadable));
        }
        match reading {
            Reading::Remembered => {
                if !read.proofs.is_empty() {
                    self.remembered_proofs = read.proofs;
                }
                self.remember(read.entries);
            }
            Reading::Asked { no, .. } if !is_read => {
                self.outputs.push_back(Output::Answer { no, answer: Answer::No(No::Busy) });
            }
            Reading::Session(peer) if !is_read => self.failed(peer, now),
            Reading::Unchecked if !is_read => self.stays_unchecked(),
            Reading::Unchecked => {
                self.recalled = read;
                self.check_unchecked(now);
                self.recalled = Recalled::default();
            }
            Reading::Asked { peer, no, ask } => {
                self.recalled = read;
                self.answer_now(peer, no, *ask, now);
                self.recalled = Recalled::default();
            }
            Reading::Session(peer) => {
                self.recalled = read;
                self.resume(peer, now);
                self.recalled = Recalled::default();
            }
        }
    }

    /// Reads the next older entries back, for a timeline that is shorter than wanted, or asks for those before this node
    /// joined; says [`Event::Changed`] when they are there.
    pub fn look_back(&mut self) {
        if !self.may_remember() {
            return;
        }
        let rows = self.history.rows().iter().take(self.durable).filter(|row| !row.here);
        let mut older: Vec<(u32, EntryId)> = rows.map(|row| (row.rank, row.id)).collect();
        older.sort_unstable_by_key(|(rank, _)| core::cmp::Reverse(*rank));
        // All of one rank, or their order would not be known.
        let last = older.get(PAGE).map_or(0, |(rank, _)| *rank);
        let ids: Vec<EntryId> = older.iter().take_while(|(rank, _)| *rank >= last).map(|(_, id)| *id).collect();
        if ids.is_empty() {
            self.look_earlier();
        }
        self.bring_all(&ids);
    }

    /// Reads entries back to be shown, or fetches first what was let go of them; false if it can not be fetched now.
    pub(crate) fn bring_all(&mut self, ids: &[EntryId]) -> bool {
        let elsewhere = ids.iter().filter(|id| self.packed(id).is_none());
        let rows: Vec<(EntryId, u64, bool)> = elsewhere
            .filter_map(|id| self.history.row(id).map(|row| (row.id, row.place.item.into(), row.gone)))
            .collect();
        let gone: Vec<EntryId> = rows.iter().filter(|(_, _, gone)| *gone).map(|(id, _, _)| *id).collect();
        if !gone.is_empty() {
            return self.fetch(gone);
        }
        if !rows.is_empty() {
            self.recall(rows.into_iter().map(|(_, item, _)| item).collect(), Reading::Remembered);
        }
        true
    }

    /// Sees to it that a settled entry can be proven: it, its header and what that settled with it are read. Says
    /// [`Event::Changed`] when they are there; false while they are not, or its signature is unchecked.
    pub fn bring(&mut self, id: &EntryId) -> bool {
        let Some(height) = self.history.settled(id).map(|settled| settled.height) else { return true };
        if height > self.durable_height {
            return false;
        }
        let elsewhere = self.history.settled_at(height).filter(|row| self.packed(&row.id).is_none());
        let (gone, here): (Vec<&Row>, Vec<&Row>) = elsewhere.partition(|row| row.gone);
        let gone: Vec<EntryId> = gone.iter().map(|row| row.id).collect();
        let mut items: Vec<u64> = here.iter().map(|row| row.place.item.into()).collect();
        if self.proof_at(height).is_none() {
            items.extend(self.history.header(height).map(|place| u64::from(place.item)));
        }
        let is_here = items.is_empty() && gone.is_empty() && self.may_give(id);
        if !items.is_empty() && self.readings.len() < MAX_READINGS {
            self.recall(items, Reading::Remembered);
        } else if !gone.is_empty() && self.fetching.is_none() {
            self.fetch(gone);
        }
        is_here
    }

    /// Reads back what the settled stamps say, the newest first; says [`Event::Changed`] when it is there.
    pub fn bring_stamps(&mut self) {
        if !self.may_remember() {
            return;
        }
        let mut stamps: Vec<(u64, EntryId)> = self
            .chain
            .state()
            .into_iter()
            .flat_map(|state| state.stamps())
            .map(|(_, one)| (one.height, one.entry))
            .collect();
        stamps.sort_unstable_by_key(|(height, _)| core::cmp::Reverse(*height));
        stamps.truncate(PAGE);
        let ids: Vec<EntryId> = stamps.into_iter().map(|(_, id)| id).collect();
        self.bring_all(&ids);
    }

    /// Whether something may be read to be shown: one reading at a time, within the bound, and none after one failed.
    fn may_remember(&self) -> bool {
        let is_reading = self.readings.values().any(|(_, reading)| matches!(reading, Reading::Remembered));
        !is_reading && self.fetching.is_none() && !self.unreadable && self.remembered.len() < MAX_REMEMBERED
    }

    /// Keeps what was read back or fetched in memory, to be shown or proven.
    pub(crate) fn remember(&mut self, read: impl IntoIterator<Item = (EntryId, Packed)>) {
        for (id, packed) in read {
            let Some((place, row)) = self.history.placed(&id) else { continue };
            self.timeline.add(id, place, row.rank, packed.signed.entry.time);
            self.remembered.insert(id, packed);
            self.history.set_here(&id);
        }
        self.outputs.push_back(Output::Event(Event::Changed));
    }
}
