//! Erasing: an author's word takes the place of a body (`ledgerno_ledger::erasure`), here and at everybody who held it.
//!
//! What is erased comes as its entry does, only without its body: by gossip, given, fetched, or within settled history. Who
//! holds the entry gives the body up; who does not takes it as it is. Who missed it all hears of it from the next peer: two
//! that hold the same entries compare which of them are erased, once a link, whenever there are more, and every ten minutes at
//! most, by digests of buckets, and fetch and give what the other lacks by id.
//!
//! It is durable at once, in a record; from then on the body is read no more. It leaves the log after that: its item is
//! replaced by what is left ([`Output::Replace`]). So a crash in between brings nothing back, and no record grows for longer
//! than that takes. Of every erased entry its id is known for good: it makes up for a body that comes back from somebody who
//! has not heard yet.
//!
//! Nobody holds more for it than for what was erased: an erasure is shorter than the shortest body, and comes with its entry
//! or for one that is held. So none waits by itself, and there is no pool to fill. But for one case: who joined by a snapshot
//! holds nothing of before, and shows what a peer gives of it, who may not have heard. So of that too it is known what is
//! erased, by ids, so many at most ([`MOST_BEFORE`]); it is told by those who hold it, and handed on by nobody who does not.

use crate::engine::{Engine, Event, Output, Seat, Then};
use crate::frontier::{bucket, first_u64};
use crate::history::Place;
use crate::session::MAX_IDS;
use crate::store::entry_item;
use crate::wire::{Answer, Topic};
use crate::write::{WriteError, Written};
use hashbrown::HashMap;
use ledgerno_ledger::bytes::{CircleId, EntryId};
use ledgerno_ledger::check::Checked;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Lane, Packed};
use ledgerno_ledger::erasure::Erasure;
use ledgerno_ledger::hash::{context, hasher};

/// What the names of the records begin with; behind it stands their number.
pub(crate) const RECORD: &str = "erased-";
/// So many erased entries are in one record.
const IN_RECORD: usize = 64;
/// The most bytes of a record: each entry with its place among them.
pub(crate) const MAX_RECORD: usize = IN_RECORD * 2_304;
/// Erased entries in a bucket, about.
const BUCKET: usize = 16;
/// The most top bits of an id that number a bucket.
const MAX_BITS: u8 = 12;
/// The most erased entries that are known of what was before a snapshot: as many as are shown of it.
const MOST_BEFORE: usize = 5_000;
/// So many bodies leave the log at once.
const MOST: usize = 1_000;

/// The erased entries that are known here.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    /// In the order of their coming, which is that of the records.
    all: Vec<EntryId>,
    /// Where each is among them.
    places: HashMap<EntryId, u32>,
    /// What is left of those whose bodies are still in the log.
    pub left: HashMap<EntryId, Packed>,
    /// Records to write.
    changed: Vec<usize>,
    /// Whether some bodies are just being taken out of the log.
    is_replacing: bool,
    /// How many are not held, once they were counted.
    before: Option<usize>,
}

/// What is in a record: ids, and what is left of those whose bodies are still in the log.
pub(crate) type Stored = (Vec<EntryId>, Vec<Packed>);

impl Erased {
    /// Notes an erased entry, with what is left of it if its body is in the log.
    pub fn note(&mut self, id: EntryId, left: Option<Packed>) {
        if self.contains(&id) {
            return;
        }
        self.places.insert(id, self.all.len() as u32);
        self.change(self.all.len());
        self.all.push(id);
        if let Some(left) = left {
            self.left.insert(id, left);
        }
    }

    fn change(&mut self, place: usize) {
        if !self.changed.contains(&(place / IN_RECORD)) {
            self.changed.push(place / IN_RECORD);
        }
    }

    /// An entry's body has left the log.
    fn went(&mut self, id: &EntryId) {
        if let Some(place) = self.left.remove(id).and(self.places.get(id)) {
            self.change(*place as usize);
        }
    }

    pub fn contains(&self, id: &EntryId) -> bool {
        self.places.contains_key(id)
    }

    /// An entry as it was read or fetched, without its body if that is erased.
    pub fn apply(&self, id: &EntryId, packed: Packed) -> Packed {
        let is_talk = packed.signed.entry.lane == Lane::Talk;
        match self.left.get(id) {
            Some(left) => left.clone(),
            None if is_talk && self.contains(id) => Packed { body: None, ..packed },
            None => packed,
        }
    }

    /// The records that are not stored as they are now.
    pub fn records(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let record = |at: usize| {
            let ids: Vec<EntryId> = self.all.iter().skip(at * IN_RECORD).take(IN_RECORD).copied().collect();
            let left = ids.iter().filter_map(|id| self.left.get(id).cloned()).collect();
            let stored: Stored = (ids, left);
            (format!("{RECORD}{at}"), Some(codec::encode(&stored)))
        };
        changed.into_iter().map(record).collect()
    }

    /// Takes a record back; false if it is none. They come in any order.
    pub fn restore(&mut self, circle: CircleId, name: &str, bytes: &[u8]) -> bool {
        let number = name.strip_prefix(RECORD).and_then(|number| number.parse::<usize>().ok());
        let (Some(at), Ok((ids, left))) = (number, codec::decode::<Stored>(bytes, MAX_RECORD)) else { return false };
        if ids.len() > IN_RECORD || at > 1 << 16 {
            return false;
        }
        let from = at * IN_RECORD;
        self.all.resize(self.all.len().max(from + ids.len()), EntryId([0; 32]));
        for (place, id) in (from..).zip(ids) {
            self.all[place] = id;
            if self.places.insert(id, place as u32).is_some() {
                return false;
            }
        }
        for left in left {
            self.left.insert(left.signed.entry.id(circle), left);
        }
        true
    }

    /// Whether every place of the records that came back is filled.
    pub fn is_whole(&self) -> bool {
        self.places.len() == self.all.len()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// How many top bits number the buckets of these.
    pub fn bits(&self) -> u8 {
        let buckets = self.all.len().div_ceil(BUCKET).next_power_of_two();
        (buckets.trailing_zeros() as u8).min(MAX_BITS)
    }

    fn sorted(&self) -> Vec<EntryId> {
        let mut ids = self.all.clone();
        ids.sort_unstable();
        ids
    }

    /// The digest of each of the 2^bits buckets.
    pub fn buckets(&self, bits: u8) -> Vec<u64> {
        let mut digests = vec![0; 1 << bits];
        let sorted = self.sorted();
        for ids in sorted.chunk_by(|one, other| bucket(&one.0, bits) == bucket(&other.0, bits)) {
            let mut hasher = hasher(context::DIGEST, &[]);
            for id in ids {
                hasher.update(&id.0);
            }
            digests[bucket(&ids[0].0, bits)] = first_u64(hasher.finalize().as_bytes());
        }
        digests
    }

    /// Those in some buckets; both are sorted.
    pub fn in_buckets<'a>(&self, bits: u8, buckets: &'a [u64]) -> impl Iterator<Item = EntryId> + use<'a> {
        let is_in = move |id: &EntryId| buckets.binary_search(&(bucket(&id.0, bits) as u64)).is_ok();
        self.sorted().into_iter().filter(is_in)
    }
}

impl Engine {
    /// Erases what the own member said, on whatever device: its body is given up here and, once they hear of it, by all who
    /// honour it.
    ///
    /// # Errors
    /// [`WriteError::NotHere`], [`WriteError::NoTalk`], [`WriteError::NotOwn`], [`WriteError::NoSeat`].
    pub fn erase(&mut self, id: EntryId, now: u64) -> Result<Written, WriteError> {
        let Seat::Member { device, identity, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        // What was before a snapshot is told to who holds it, and to nobody later.
        let before = || self.earlier.own(&id).filter(|_| !self.sessions.is_empty());
        let mut erased = self.packed(&id).or_else(before).ok_or(WriteError::NotHere)?.clone();
        let entry = &erased.signed.entry;
        if entry.lane == Lane::State {
            return Err(WriteError::NoTalk);
        }
        let erasure = if entry.device == device.id() {
            Erasure::by_device(self.circle, id, device)
        } else if self.dag.admission(&entry.device).is_some_and(|one| one.member == identity.member()) {
            Erasure::by_member(self.circle, id, identity)
        } else {
            return Err(WriteError::NotOwn);
        };
        let mut then = Vec::new();
        if !self.erased.contains(&id) {
            (erased.body, erased.erasure) = (None, Some(Box::new(erasure)));
            let say = Output::Publish { topic: Topic::Entries, bytes: codec::encode(&erased) };
            then.extend([Then::Say(say), Then::Offer]);
            self.give_up(id, erased);
        }
        let no = self.write(Vec::new(), Vec::new(), Vec::new(), then, now);
        Ok(Written { id, no })
    }

    /// Whether an entry's body was erased.
    pub fn is_erased(&self, id: &EntryId) -> bool {
        self.erased.contains(id)
    }

    /// Whether an entry comes with its body, or erased by who may. That the word for it holds is for `ledger::check` to say.
    pub(crate) fn has_body_or_word(&self, packed: &Packed) -> bool {
        packed.body.is_some() || packed.erasure.is_some() && self.dag.may_erase(packed)
    }

    /// An entry comes erased that is held, or was before all that is, and was checked; whether it is erased by that.
    pub(crate) fn erase_known(&mut self, checked: Checked) -> bool {
        let may = self.dag.may_erase(checked.packed());
        if may {
            self.give_up(checked.id(), checked.into_packed());
        }
        may
    }

    /// Gives a body up: `erased` is what is left of the entry.
    fn give_up(&mut self, id: EntryId, erased: Packed) {
        if let Some(erasure) = &erased.erasure {
            self.dag.erase(&id, **erasure);
        }
        if let Some(remembered) = self.remembered.get_mut(&id) {
            *remembered = erased.clone();
        }
        let Some(row) = self.history.row(&id) else { return self.note_before(id) };
        let is_inside = !row.gone;
        self.erased.note(id, is_inside.then_some(erased));
        self.outputs.push_back(Output::Event(Event::Changed));
    }

    /// Notes an erased entry that is not held: it is shown no more, nor if it is fetched later.
    pub(crate) fn note_before(&mut self, id: EntryId) {
        let count = || self.erased.all.iter().filter(|id| !self.history.contains(id)).count();
        let before = self.erased.before.unwrap_or_else(count);
        let is_new = before < MOST_BEFORE && !self.erased.contains(&id);
        self.erased.before = Some(before + usize::from(is_new));
        if is_new {
            self.erased.note(id, None);
        }
        if self.earlier.erase(&id) {
            self.outputs.push_back(Output::Event(Event::Changed));
        }
    }

    /// Whether what is left of an erased entry is here to be given.
    pub(crate) fn has_left(&self, id: &EntryId) -> bool {
        self.history.row(id).is_some_and(|row| !row.gone)
    }

    /// Whether an entry comes erased that was settled before this node joined, which does not have it: it would be taken for
    /// a fork of its device.
    pub(crate) fn is_erased_before(&self, packed: &Packed) -> bool {
        let entry = &packed.signed.entry;
        packed.erasure.is_some()
            && self.joined_at().is_some()
            && self.dag.settled_seq(&entry.device).is_some_and(|settled| entry.seq <= settled)
    }

    /// An entry of the log, without its body if that was erased since.
    pub(crate) fn stored_entry(&self, packed: Packed) -> Checked {
        let checked = Checked::stored(self.circle, packed);
        match self.erased.left.get(&checked.id()) {
            Some(left) => Checked::stored(self.circle, left.clone()),
            None => checked,
        }
    }

    /// Takes bodies out of the log that are erased, once that is durable.
    pub(crate) fn replace_erased(&mut self) {
        // A snapshot on its way may hold what is whole till now.
        if self.erased.left.is_empty() || self.erased.is_replacing || self.is_writing() {
            return;
        }
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        for id in self.erased.left.keys() {
            let Some((place, row)) = self.history.placed(id) else { continue };
            if row.gone {
                // It was let go meanwhile.
                gone.push(*id);
            } else if place < self.durable && !self.may_be_kept(id) {
                // In the order of the log.
                found.push(u64::from(row.place.item) << 32 | place as u64);
            }
        }
        gone.iter().for_each(|id| self.erased.went(id));
        found.sort_unstable();
        let (mut items, mut by, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for found in found.into_iter().take(MOST) {
            let id = self.history.rows()[found as u32 as usize].id;
            items.push(found >> 32);
            by.extend(self.erased.left.get(&id).map(entry_item));
            ids.push(id);
        }
        if !items.is_empty() {
            self.erased.is_replacing = true;
            let no = self.alter_log(Then::Replaced(ids));
            self.outputs.push_back(Output::Replace { no, items, by });
        }
    }

    /// Whether the newest snapshot may hold an entry whole, which a start would take back: then it is known what is left.
    fn may_be_kept(&self, id: &EntryId) -> bool {
        self.dag.contains(id) && self.history.place(id).is_some_and(|place| place < self.saved)
    }

    /// These bodies are in the log no more.
    pub(crate) fn replaced(&mut self, ids: &[EntryId], now: u64) {
        self.erased.is_replacing = false;
        for id in ids {
            let (row, left) = (self.history.row(id), self.erased.left.get(id));
            if let (Some(row), Some(left)) = (row, left) {
                let place = Place::new(row.place.item.into(), entry_item(left).len());
                self.history.stored(id, place);
            }
            self.erased.went(id);
        }
        self.write(Vec::new(), Vec::new(), Vec::new(), Vec::new(), now);
    }

    /// Which are erased here and not known to be so at the asker: those in buckets that differ.
    pub(crate) fn erased_answer(&self, bits: u8, theirs: &[u64]) -> Option<Answer> {
        if bits > MAX_BITS || theirs.len() != 1 << bits {
            return None;
        }
        let ours = self.erased.buckets(bits);
        let differ = (0..).zip(ours.iter().zip(theirs)).filter(|(_, (ours, theirs))| ours != theirs);
        let buckets: Vec<u64> = differ.map(|(at, _)| at).collect();
        let ids = self.erased.in_buckets(bits, &buckets).filter(|id| self.has_left(id)).take(MAX_IDS).collect();
        Some(Answer::Erased { buckets, ids })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ledgerno_ledger::hash::hash;
    use ledgerno_ledger::hostile::{Circle, Person};

    fn id(at: usize) -> EntryId {
        let mut id = hash(context::DIGEST, &[&at.to_le_bytes()]);
        id[31] = at as u8;
        EntryId(id)
    }

    /// Posts, each with its id, and what is left of it.
    fn posts(circle: &Circle, count: usize) -> Vec<(EntryId, Packed, Packed)> {
        let mut author = Person::new(2);
        circle.enrol(&mut author);
        let post = |_| {
            let post = circle.post(&mut author, &[], "a");
            let id = post.signed.entry.id(circle.id);
            let left = Packed::erased(post.signed.clone(), Erasure::by_device(circle.id, id, &author.device));
            (id, post, left)
        };
        (0..count).map(post).collect()
    }

    fn records(erased: &mut Erased) -> Vec<(String, Vec<u8>)> {
        erased.records().into_iter().map(|(name, bytes)| (name, bytes.unwrap())).collect()
    }

    #[test]
    fn what_is_erased_reads_back_from_few_records() {
        let circle = Circle::new(1);
        let posts = posts(&circle, 202);
        let id = |at: usize| posts[at].0;
        let mut erased = Erased::default();
        for (at, (id, _, left)) in posts[..200].iter().enumerate() {
            erased.note(*id, (at % 3 == 0).then(|| left.clone()));
        }
        erased.note(id(7), Some(posts[7].2.clone()));
        let mut all = records(&mut erased);
        assert_eq!((erased.len(), all.len()), (200, 4));
        assert!(all.iter().all(|(_, bytes)| bytes.len() <= MAX_RECORD));
        assert_eq!(erased.records(), []);
        // What changes is written again, and no more.
        erased.went(&id(66));
        erased.went(&id(67));
        let [again] = &records(&mut erased)[..] else { panic!("one record changed") };
        all[1] = again.clone();

        let mut read = Erased::default();
        assert!(all.iter().rev().all(|(name, bytes)| read.restore(circle.id, name, bytes)));
        assert!(read.is_whole());
        assert_eq!((read.len(), &read.left), (200, &erased.left));
        assert_eq!(read.left.get(&id(66)), None);
        assert_eq!(read.left.get(&id(69)), Some(&posts[69].2));
        assert_eq!(read.buckets(read.bits()), erased.buckets(erased.bits()));
        read.note(id(200), None);
        assert_eq!(records(&mut read).len(), 1);

        // One that is missing, double, misnamed or damaged.
        for lost in 0..3 {
            let mut read = Erased::default();
            let kept = all.iter().enumerate().filter(|(at, _)| *at != lost);
            assert!(kept.into_iter().all(|(_, (name, bytes))| read.restore(circle.id, name, bytes)));
            assert!(!read.is_whole());
        }
        let mut read = Erased::default();
        assert!(read.restore(circle.id, "erased-0", &all[0].1) && !read.restore(circle.id, "erased-1", &all[0].1));
        for name in ["erased-", "erased-x", "erased-99999999", "erase-0"] {
            assert!(!Erased::default().restore(circle.id, name, &all[0].1), "{name}");
        }
        assert!(!Erased::default().restore(circle.id, "erased-0", &all[0].1[1..]));

        // A body that comes back from who has not heard is left out; one of the state is not.
        let [bare, left, whole] = [1, 3, 201].map(|at: usize| erased.apply(&id(at), posts[at].1.clone()));
        assert_eq!(bare, Packed { body: None, ..posts[1].1.clone() });
        assert_eq!((left, whole), (posts[3].2.clone(), posts[201].1.clone()));
        let state = Circle::new(1).founders_join();
        assert_eq!(erased.apply(&id(1), state.clone()), state);
    }

    #[test]
    fn buckets_that_differ_are_few() {
        let (mut one, mut other) = (Erased::default(), Erased::default());
        assert_eq!((one.bits(), one.buckets(0)), (0, vec![0]));
        for at in 0..500 {
            one.note(id(at), None);
            if at != 123 {
                other.note(id(at), None);
            }
        }
        let bits = one.bits();
        assert_eq!(bits, 5);
        let (ours, theirs) = (one.buckets(bits), other.buckets(bits));
        let differ: Vec<u64> = (0..32).filter(|at| ours[*at as usize] != theirs[*at as usize]).collect();
        assert_eq!(differ.len(), 1);
        let there: Vec<EntryId> = one.in_buckets(bits, &differ).collect();
        assert!(there.contains(&id(123)) && there.len() < 60 && there.is_sorted());
    }
}
