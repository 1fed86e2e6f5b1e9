//! Erasing: an author's word takes the place of a body (`ledgerno_ledger::erasure`), here and at everybody who held it.
//!
//! What is erased comes as its entry does, only without its body: by gossip, given, fetched, or within settled history. Who
//! holds the entry gives the body up; who does not takes it as it is. Who missed it all hears of it from the next peer: two
//! that hold the same entries compare which of them are erased, once a link, whenever there are more, and every ten minutes at most, by digests of
//! buckets, and fetch and give what the other lacks by id.
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
use crate::history::Place;
use crate::session::MAX_IDS;
use crate::store::entry_item;
use crate::wire::{Answer, Topic};
use crate::write::{WriteError, Written};
use ledgerno_ledger::bytes::{DeviceId, EntryId, MemberId};
use ledgerno_ledger::check::{self, Checked, Refused, Vouched};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Lane, Packed};
use ledgerno_ledger::erasure::Erasure;
use ledgerno_ledger::hash::{context, hash};
use ledgerno_ledger::sorted::SortedMap;

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
    index: SortedMap<EntryId, Mark>,
    /// Records to write.
    changed: Vec<usize>,
    /// How many bodies are still in the log, and whether some are just being taken out of it.
    inside: usize,
    is_replacing: bool,
    /// How many of them are not held, once they were counted.
    before: Option<usize>,
}

#[derive(Debug)]
struct Mark {
    place: usize,
    /// What is left of the entry, while its body is still in the log.
    left: Option<Box<Packed>>,
}

/// What is in a record.
pub(crate) type Stored = Vec<(EntryId, Option<Packed>)>;

impl Erased {
    /// Notes an erased entry, with what is left of it if its body is in the log.
    pub fn note(&mut self, id: EntryId, left: Option<Packed>) {
        if self.index.contains_key(&id) {
            return;
        }
        self.inside += usize::from(left.is_some());
        self.index.insert(id, Mark { place: self.all.len(), left: left.map(Box::new) });
        self.change(self.all.len());
        self.all.push(id);
    }

    fn change(&mut self, place: usize) {
        if let Err(at) = self.changed.binary_search(&(place / IN_RECORD)) {
            self.changed.insert(at, place / IN_RECORD);
        }
    }

    /// An entry's body has left the log.
    fn went(&mut self, id: &EntryId) {
        let Some(place) = self.index.get_mut(id).and_then(|mark| mark.left.take().map(|_| mark.place)) else { return };
        self.inside -= 1;
        self.change(place);
    }

    pub fn contains(&self, id: &EntryId) -> bool {
        self.index.contains_key(id)
    }

    /// What is left of an entry whose body is still in the log.
    pub fn left(&self, id: &EntryId) -> Option<&Packed> {
        self.index.get(id)?.left.as_deref()
    }

    /// All such.
    fn inside(&self) -> impl Iterator<Item = (&EntryId, &Packed)> {
        self.index.iter().filter_map(|(id, mark)| Some((id, mark.left.as_deref()?)))
    }

    /// The erasures of these.
    pub fn erasures(&self) -> Vec<(EntryId, Erasure)> {
        self.inside().filter_map(|(id, left)| Some((*id, **left.erasure.as_ref()?))).collect()
    }

    /// An entry as it was read or fetched, without its body if that is erased.
    pub fn apply(&self, id: &EntryId, packed: Packed) -> Packed {
        let is_talk = packed.signed.entry.lane == Lane::Talk;
        match self.index.get(id) {
            Some(Mark { left: Some(left), .. }) => (**left).clone(),
            Some(_) if is_talk => Packed { body: None, ..packed },
            _ => packed,
        }
    }

    /// The records that are not stored as they are now.
    pub fn records(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let record = |at: usize| {
            let ids = self.all.iter().skip(at * IN_RECORD).take(IN_RECORD);
            let stored: Stored = ids.map(|id| (*id, self.left(id).cloned())).collect();
            (format!("{RECORD}{at}"), Some(codec::encode(&stored)))
        };
        changed.into_iter().map(record).collect()
    }

    /// Takes a record back; false if it is none. They come in any order.
    pub fn restore(&mut self, name: &str, bytes: &[u8]) -> bool {
        let number = name.strip_prefix(RECORD).and_then(|number| number.parse::<usize>().ok());
        let (Some(at), Ok(stored)) = (number, codec::decode::<Stored>(bytes, MAX_RECORD)) else { return false };
        let from = at.saturating_mul(IN_RECORD);
        if stored.len() > IN_RECORD || at > 1 << 16 {
            return false;
        }
        self.all.resize(self.all.len().max(from + stored.len()), EntryId([0; 32]));
        for (place, (id, left)) in (from..).zip(stored) {
            self.inside += usize::from(left.is_some());
            self.all[place] = id;
            if self.index.insert(id, Mark { place, left: left.map(Box::new) }).is_some() {
                return false;
            }
        }
        true
    }

    /// Whether every place of the records that came back is filled.
    pub fn is_whole(&self) -> bool {
        self.index.len() == self.all.len()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// How many top bits number the buckets of these.
    pub fn bits(&self) -> u8 {
        let buckets = self.all.len().div_ceil(BUCKET).next_power_of_two();
        (buckets.trailing_zeros() as u8).min(MAX_BITS)
    }

    /// The digest of each of the 2^bits buckets.
    pub fn buckets(&self, bits: u8) -> Vec<u64> {
        let mut ids: Vec<Vec<&[u8]>> = vec![Vec::new(); 1 << bits];
        for id in self.index.keys() {
            ids[bucket_of(id, bits)].push(&id.0);
        }
        let digest = |ids: Vec<&[u8]>| {
            let [a, b, c, d, e, f, g, h, ..] = hash(context::DIGEST, &ids);
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        };
        ids.into_iter().map(|ids| if ids.is_empty() { 0 } else { digest(ids) }).collect()
    }

    /// Those in some buckets, sorted.
    pub fn in_buckets<'a>(&'a self, bits: u8, buckets: &'a [u16]) -> impl Iterator<Item = EntryId> + 'a {
        self.index.keys().filter(move |id| buckets.contains(&(bucket_of(id, bits) as u16))).copied()
    }
}

fn bucket_of(id: &EntryId, bits: u8) -> usize {
    let top = u16::from_be_bytes([id.0[0], id.0[1]]);
    if bits == 0 { 0 } else { usize::from(top >> (16 - bits)) }
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
        let signed = self.packed(&id).map(|packed| &packed.signed).or_else(before).ok_or(WriteError::NotHere)?;
        let entry = &signed.entry;
        if entry.lane == Lane::State {
            return Err(WriteError::NoTalk);
        }
        let erasure = if entry.device == device.id() {
            Erasure::by_device(self.circle, id, device)
        } else if self.member_of(&entry.device) == Some(identity.member()) {
            Erasure::by_member(self.circle, id, identity)
        } else {
            return Err(WriteError::NotOwn);
        };
        let mut then = Vec::new();
        if !self.erased.contains(&id) {
            let erased = Packed::erased(signed.clone(), erasure);
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

    fn member_of(&self, device: &DeviceId) -> Option<MemberId> {
        self.dag.admission(device).map(|admission| admission.member)
    }

    /// Whether an entry that comes without its body may: it bears an erasure, by its device or by the member whose device
    /// that is, be it that the device is admitted among these.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) fn check_bare(&self, id: EntryId, packed: &Packed, among: &[&Vouched]) -> Result<(), Refused> {
        if packed.body.is_some() {
            return Ok(());
        }
        if packed.erasure.is_none() {
            return Err(Refused::BodyMissing);
        }
        let admitted = |device: &DeviceId| {
            let admissions = among.iter().flat_map(|entries| entries.iter()).filter_map(|(_, packed)| {
                let entry = &packed.signed.entry;
                entry.admission.as_ref().filter(|_| entry.device == *device)
            });
            self.member_of(device).or_else(|| admissions.map(|admission| admission.member).next())
        };
        check::check_erasure(self.circle, id, packed, admitted)
    }

    /// An entry that is held comes erased, and was checked; whether it is erased by that.
    pub(crate) fn erase_held(&mut self, checked: Checked) -> bool {
        let (id, by) = (checked.id(), checked.packed().erasure.as_ref().and_then(|erasure| erasure.by));
        let may = by.is_none() || by == self.member_of(&checked.entry().device);
        if may {
            self.give_up(id, checked.into_packed());
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

    /// Such an entry was checked: it is shown no more, nor if it is fetched later.
    pub(crate) fn erase_before(&mut self, checked: &Checked) {
        let by = checked.packed().erasure.as_ref().and_then(|erasure| erasure.by);
        if by.is_none() || by == self.member_of(&checked.entry().device) {
            self.note_before(checked.id());
        }
    }

    /// Notes an erased entry that is not held.
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
        match self.erased.left(&checked.id()) {
            Some(left) => Checked::stored(self.circle, left.clone()),
            None => checked,
        }
    }

    /// Takes bodies out of the log that are erased, once that is durable.
    pub(crate) fn replace_erased(&mut self) {
        // A snapshot on its way may hold what is whole till now.
        if self.erased.inside == 0 || self.erased.is_replacing || self.is_writing() {
            return;
        }
        let (mut items, mut ids, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (id, left) in self.erased.inside() {
            let Some((place, row)) = self.history.placed(id) else { continue };
            if row.gone {
                // It was let go meanwhile.
                gone.push(*id);
            } else if place < self.durable && !self.may_be_kept(id) && items.len() < MOST {
                items.push((u64::from(row.place.item), entry_item(left)));
                ids.push(*id);
            }
        }
        gone.iter().for_each(|id| self.erased.went(id));
        if !items.is_empty() {
            items.sort_unstable_by_key(|(item, _)| *item);
            self.erased.is_replacing = true;
            let no = self.alter_log(Then::Replaced(ids));
            self.outputs.push_back(Output::Replace { no, items });
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
            let (row, left) = (self.history.row(id), self.erased.left(id));
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
        let differ = (0u16..).zip(ours.iter().zip(theirs)).filter(|(_, (ours, theirs))| ours != theirs);
        let buckets: Vec<u16> = differ.map(|(at, _)| at).collect();
        let ids = self.erased.in_buckets(bits, &buckets).filter(|id| self.has_left(id)).take(MAX_IDS).collect();
        Some(Answer::Erased { buckets, ids })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ledgerno_ledger::hostile::{Circle, Person};

    fn id(at: usize) -> EntryId {
        let mut id = hash(context::DIGEST, &[&at.to_le_bytes()]);
        id[31] = at as u8;
        EntryId(id)
    }

    /// A post, and what is left of it.
    fn post(circle: &Circle, text: &str) -> (Packed, Packed) {
        let mut author = Person::new(2);
        circle.enrol(&mut author);
        let post = circle.post(&mut author, &[], text);
        let erasure = Erasure::by_device(circle.id, post.signed.entry.id(circle.id), &author.device);
        let left = Packed::erased(post.signed.clone(), erasure);
        (post, left)
    }

    fn records(erased: &mut Erased) -> Vec<(String, Vec<u8>)> {
        erased.records().into_iter().map(|(name, bytes)| (name, bytes.unwrap())).collect()
    }

    #[test]
    fn what_is_erased_reads_back_from_few_records() {
        let (post, left) = post(&Circle::new(1), "a");
        let mut erased = Erased::default();
        for at in 0..200 {
            erased.note(id(at), (at % 3 == 0).then(|| left.clone()));
        }
        erased.note(id(7), Some(left.clone()));
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
        assert!(all.iter().rev().all(|(name, bytes)| read.restore(name, bytes)));
        assert!(read.is_whole());
        assert_eq!((read.len(), read.inside), (200, erased.inside));
        assert_eq!(read.left(&id(66)), None);
        assert_eq!(read.left(&id(69)), Some(&left));
        assert_eq!(read.buckets(read.bits()), erased.buckets(erased.bits()));
        read.note(id(200), None);
        assert_eq!(records(&mut read).len(), 1);

        // One that is missing, double, misnamed or damaged.
        for lost in 0..3 {
            let mut read = Erased::default();
            let kept = all.iter().enumerate().filter(|(at, _)| *at != lost);
            assert!(kept.into_iter().all(|(_, (name, bytes))| read.restore(name, bytes)));
            assert!(!read.is_whole());
        }
        let mut read = Erased::default();
        assert!(read.restore("erased-0", &all[0].1) && !read.restore("erased-1", &all[0].1));
        for name in ["erased-", "erased-x", "erased-99999999", "erase-0"] {
            assert!(!Erased::default().restore(name, &all[0].1), "{name}");
        }
        assert!(!Erased::default().restore("erased-0", &all[0].1[1..]));

        // A body that comes back from who has not heard is left out; one of the state is not.
        let bare = Packed { body: None, ..post.clone() };
        assert_eq!(erased.apply(&id(1), post.clone()), bare);
        assert_eq!(erased.apply(&id(3), post.clone()), left);
        assert_eq!(erased.apply(&id(201), post.clone()), post);
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
        let differ: Vec<u16> = (0..32).filter(|at| ours[usize::from(*at)] != theirs[usize::from(*at)]).collect();
        assert_eq!(differ.len(), 1);
        let there: Vec<EntryId> = one.in_buckets(bits, &differ).collect();
        assert!(there.contains(&id(123)) && there.len() < 60 && there.is_sorted());
    }
}
