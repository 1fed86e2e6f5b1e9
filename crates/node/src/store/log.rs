//! How a log lies in numbered records, and how damage in them is found.
//!
//! First come *full* records, closed at 500 to 1,000 items or 4 MiB and never touched again but to put shorter items in the
//! place of items (as in the tail too); then the *tail*: one open record left by the last compaction and one small segment for
//! each write since. When the tail has 64 segments, 500 items or 4 MiB, the write that brings it there gathers it into full
//! records and at most one open one, in its own transaction. So a write costs one small record, a large write's items are
//! written once, and reading costs few.
//!
//! Every stored value ends in a checksum over its place and its content. Records are numbered without gaps and say how
//! many items come before them, so a lost, moved or torn one is found.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes};

const MAX_SEGMENTS: usize = 64;
/// The fewest items that close a record by their number, and the most that are in one.
const CLOSING_ITEMS: usize = 500;
const FULL_ITEMS: usize = 1_000;
const FULL_BYTES: usize = 4 * 1024 * 1024;

const VERSION: u8 = 1;
const OPEN: u8 = 0;
const FULL: u8 = 1;
const VALUE: u8 = 2;
const CHECKSUM: usize = 16;

/// What is wrong with stored bytes, in words.
pub(super) type Damage = String;

/// The part of a log that is not in full records yet: all that the next write must know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Number of its first record.
    number: u64,
    /// How many items are in the full records before it.
    before: u64,
    segments: usize,
    items: usize,
    bytes: usize,
}

/// What a write does to the log's records.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Records to store, by number. Those from `fresh` on must not be there yet.
    pub put: Vec<(u64, Vec<u8>)>,
    pub fresh: u64,
    pub delete: Range<u64>,
}

impl Tail {
    /// Numbers of the records that a compaction reads.
    pub fn records(&self) -> Range<u64> {
        self.number..self.number + self.segments as u64
    }

    /// Whether appending these items brings the tail to its bound, so that [`Self::compact`] is due.
    pub fn is_due(&self, items: &[Bytes]) -> bool {
        self.segments + 1 >= MAX_SEGMENTS
            || self.items + items.len() >= CLOSING_ITEMS
            || self.bytes + items.iter().map(Bytes::len).sum::<usize>() >= FULL_BYTES
    }

    /// How many items are in full records.
    pub fn full(&self) -> u64 {
        self.before
    }

    /// One more segment.
    pub fn append(&self, space: &str, items: &[Bytes]) -> (Change, Tail) {
        let number = self.records().end;
        let segment = encode(space, number, OPEN, self.before + self.items as u64, items);
        let tail = Tail {
            segments: self.segments + 1,
            items: self.items + items.len(),
            bytes: self.bytes + items.iter().map(Bytes::len).sum::<usize>(),
            ..*self
        };
        (Change { put: vec![(number, segment)], fresh: number, delete: number..number }, tail)
    }

    /// The tail's records, as stored, and the new items gathered into full records and at most one open one.
    pub fn compact(&self, space: &str, records: Vec<Bytes>, items: &[Bytes]) -> Result<(Change, Tail), Damage> {
        let mut reader =
            Reader { tail: Tail { number: self.number, before: self.before, ..Tail::default() }, ..Reader::new(space) };
        for (number, record) in self.records().zip(records) {
            reader.push(number, record)?;
        }
        if reader.tail != *self {
            return Err(format!("the log's tail is {:?} where {self:?} was written", reader.tail));
        }
        let mut gathered = reader.log;
        gathered.extend_from_slice(items);

        let mut change = Change { fresh: self.records().end, ..Change::default() };
        let mut tail = Tail { number: self.number, before: self.before, ..Tail::default() };
        let mut rest = gathered.as_slice();
        while !rest.is_empty() {
            let (count, bytes, closed) = take(rest);
            let (chunk, after) = rest.split_at(count);
            let kind = if closed { FULL } else { OPEN };
            change.put.push((tail.number, encode(space, tail.number, kind, tail.before, chunk)));
            if closed {
                tail.number += 1;
                tail.before += count as u64;
            } else {
                (tail.segments, tail.items, tail.bytes) = (1, count, bytes);
            }
            rest = after;
        }
        let end = self.number + change.put.len() as u64;
        change.delete = end..change.fresh.max(end);
        Ok((change, tail))
    }
}

/// How many of the items make the next record, their bytes, and whether they close it.
fn take(items: &[Bytes]) -> (usize, usize, bool) {
    let mut bytes = 0;
    for (index, item) in items.iter().enumerate() {
        bytes += item.len();
        if index + 1 == FULL_ITEMS || bytes >= FULL_BYTES {
            return (index + 1, bytes, true);
        }
    }
    (items.len(), bytes, items.len() >= CLOSING_ITEMS)
}

/// Finds the record that holds an item, without reading those before it: asks for records by number until it has it. Full
/// records hold about as many items each, so it comes near with the first guess.
pub(super) struct Seek<'a> {
    space: &'a str,
    item: u64,
    /// It is among these records.
    among: Range<u64>,
    records: u64,
    guess: u64,
    /// Goes on to where the log can be read from: to the tail's first record, if the item is in the tail.
    to_start: bool,
    /// The record, how many items come before it, and its items.
    found: Option<(u64, u64, Vec<Bytes>)>,
    done: bool,
}

impl<'a> Seek<'a> {
    /// For an item in a log of so many records; past the last item it finds the last record.
    pub fn new(space: &'a str, item: u64, records: u64, to_start: bool) -> Self {
        let guess = (item / FULL_ITEMS as u64).min(records.saturating_sub(1));
        Self { space, item, among: 0..records, records, guess, to_start, found: None, done: records == 0 }
    }

    /// The record to look at next; none when it was found.
    pub fn wants(&self) -> Option<u64> {
        (!self.done).then_some(self.guess)
    }

    /// Looks at the record that was wanted.
    pub fn look(&mut self, record: Option<Bytes>) -> Result<(), Damage> {
        let number = self.guess;
        let record = record.ok_or_else(|| format!("log record {number} is missing"))?;
        let (kind, before, items) =
            decode(self.space, number, record).map_err(|detail| format!("log record {number} {detail}"))?;
        if self.found.is_some() {
            // Back to the tail's first record.
            self.done = kind == FULL || number == 0;
            if kind != FULL {
                self.found = Some((number, before, items));
            }
            self.guess = number.saturating_sub(1);
            return Ok(());
        }
        let after = before + items.len() as u64;
        if self.item < before {
            self.among.end = number;
            let back = (before - self.item).div_ceil(FULL_ITEMS as u64);
            self.guess = number.saturating_sub(back).max(self.among.start);
        } else if self.item >= after && number + 1 < self.records {
            self.among.start = number + 1;
            let on = 1 + (self.item - after) / FULL_ITEMS as u64;
            self.guess = (number + on).min(self.among.end.saturating_sub(1));
        } else {
            self.done = kind == FULL || !self.to_start || number == 0;
            self.guess = number.saturating_sub(1);
            self.found = Some((number, before, items));
            return Ok(());
        }
        if self.among.is_empty() { Err(format!("log item {} is in no record", self.item)) } else { Ok(()) }
    }

    /// The record found, how many items come before it, and its items.
    pub fn found(self) -> (u64, u64, Vec<Bytes>) {
        self.found.unwrap_or_default()
    }
}

/// The items among these that lie in a record with so many before it, and how many they are; `items` are sorted.
pub(super) fn pick(items: &[u64], before: u64, record: &[Bytes], out: &mut Vec<Bytes>) -> Result<usize, Damage> {
    let count = items.partition_point(|item| *item < before + record.len() as u64);
    for item in &items[..count] {
        let at = item.checked_sub(before).and_then(|at| usize::try_from(at).ok());
        out.push(at.and_then(|at| record.get(at)).ok_or("the items to read are not sorted")?.clone());
    }
    if count == 0 { Err("the log ends before an item that is to be read".to_owned()) } else { Ok(count) }
}

/// A record with what takes the place of items that lie in it, and how many they are: `items` are sorted, each with what takes
/// its place, and `before` items come before the record. One that would grow stays; by how much a record of the tail shrinks, the tail does.
pub(super) fn thin(
    space: &str,
    tail: &mut Tail,
    (number, before, mut record): (u64, u64, Vec<Bytes>),
    items: &[u64],
    by: &[Bytes],
) -> (Vec<u8>, usize) {
    let count = items.partition_point(|item| *item < before + record.len() as u64);
    let kind = if before < tail.full() { FULL } else { OPEN };
    for (item, thinner) in items[..count].iter().zip(by) {
        let at = item.checked_sub(before).and_then(|at| usize::try_from(at).ok());
        if let Some(held) = at.and_then(|at| record.get_mut(at)).filter(|held| held.len() >= thinner.len()) {
            if kind == OPEN {
                tail.bytes -= held.len() - thinner.len();
            }
            *held = thinner.clone();
        }
    }
    (encode(space, number, kind, before, &record), count)
}

/// Reads a log's records in order.
pub(super) struct Reader<'a> {
    space: &'a str,
    tail: Tail,
    log: Vec<Bytes>,
}

impl<'a> Reader<'a> {
    pub fn new(space: &'a str) -> Self {
        Self::at(space, 0, 0)
    }

    /// From a record on that is full or the tail's first.
    pub fn at(space: &'a str, number: u64, before: u64) -> Self {
        Self { space, tail: Tail { number, before, ..Tail::default() }, log: Vec::new() }
    }

    pub fn push(&mut self, number: u64, record: Bytes) -> Result<(), Damage> {
        let tail = &mut self.tail;
        let expected = tail.records().end;
        if number != expected {
            return Err(format!("log record {expected} is missing (found {number})"));
        }
        let (kind, before, items) =
            decode(self.space, number, record).map_err(|detail| format!("log record {number} {detail}"))?;
        if before != tail.before + tail.items as u64 {
            return Err(format!("log record {number} starts at item {before} out of turn"));
        }
        match kind {
            FULL if tail.segments == 0 => {
                tail.number += 1;
                tail.before += items.len() as u64;
            }
            OPEN => {
                tail.segments += 1;
                tail.items += items.len();
                tail.bytes += items.iter().map(Bytes::len).sum::<usize>();
            }
            kind => return Err(format!("log record {number} is of kind {kind} out of turn")),
        }
        self.log.extend(items);
        Ok(())
    }

    pub fn finish(self) -> (Vec<Bytes>, Tail) {
        (self.log, self.tail)
    }
}

fn encode(space: &str, number: u64, kind: u8, before: u64, items: &[Bytes]) -> Vec<u8> {
    let length = items.iter().map(|item| 4 + item.len()).sum::<usize>();
    let mut out = Vec::with_capacity(10 + length + CHECKSUM);
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u64_le(before);
    for item in items {
        // Items are bounded far below 4 GiB.
        out.put_u32_le(item.len() as u32);
        out.put_slice(item);
    }
    let sum = checksum(space, &number.to_le_bytes(), &out);
    out.put_slice(&sum);
    out
}

/// Kind, items before, items. They share the record's memory.
fn decode(space: &str, number: u64, record: Bytes) -> Result<(u8, u64, Vec<Bytes>), &'static str> {
    let mut rest = verified(space, &number.to_le_bytes(), record)?;
    if rest.len() < 9 {
        return Err("is too short");
    }
    let (kind, before) = (rest.get_u8(), rest.get_u64_le());
    let mut items = Vec::new();
    while rest.has_remaining() {
        let length = rest.try_get_u32_le().map_err(|_| "is cut within a length")? as usize;
        if length > rest.len() {
            return Err("is cut within an item");
        }
        items.push(rest.split_to(length));
    }
    Ok((kind, before, items))
}

/// A record's value as stored.
pub(super) fn encode_value(space: &str, key: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + value.len() + CHECKSUM);
    out.put_u8(VERSION);
    out.put_u8(VALUE);
    out.put_slice(value);
    let sum = checksum(space, key.as_bytes(), &out);
    out.put_slice(&sum);
    out
}

pub(super) fn decode_value(space: &str, key: &str, stored: Bytes) -> Result<Bytes, Damage> {
    let mut rest = verified(space, key.as_bytes(), stored).map_err(|detail| format!("record {key} {detail}"))?;
    match rest.try_get_u8() {
        Ok(VALUE) => Ok(rest),
        _ => Err(format!("record {key} is of another kind")),
    }
}

/// What lies between version and checksum, if both are right.
fn verified(space: &str, place: &[u8], mut stored: Bytes) -> Result<Bytes, &'static str> {
    let Some(length) = stored.len().checked_sub(CHECKSUM) else { return Err("is too short") };
    let sum = stored.split_off(length);
    if checksum(space, place, &stored)[..] != sum[..] {
        return Err("does not match its checksum");
    }
    match stored.try_get_u8() {
        Ok(VERSION) => Ok(stored),
        _ => Err("is of an unknown version"),
    }
}

/// Tells damage, not malice: whoever can write the file can write the checksum too. Bound to the place, so that a value
/// found elsewhere is found out.
fn checksum(space: &str, place: &[u8], content: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    for part in [space.as_bytes(), place] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(content);
    let mut sum = [0; CHECKSUM];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Records = BTreeMap<u64, Bytes>;

    fn read(records: &Records) -> Result<(Vec<Bytes>, Tail), Damage> {
        let mut reader = Reader::new("a");
        for (number, record) in records {
            reader.push(*number, record.clone())?;
        }
        Ok(reader.finish())
    }

    fn write(records: &mut Records, tail: &Tail, items: &[Bytes]) -> Tail {
        let (change, tail) = if tail.is_due(items) {
            let stored = tail.records().map(|number| records[&number].clone()).collect();
            tail.compact("a", stored, items).unwrap()
        } else {
            tail.append("a", items)
        };
        for (number, record) in change.put {
            let replaced = records.insert(number, record.into()).is_some();
            assert_eq!(replaced, number < change.fresh, "record {number}");
        }
        for number in change.delete {
            records.remove(&number).expect("only what is there is deleted");
        }
        tail
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the sizes of writes: all is read in order, the tail is known, and records are few and bounded.
        #[test]
        fn any_writes_are_read_in_order(
            sizes in prop::collection::vec(prop_oneof![6 => 1usize..4, 2 => 1usize..400, 1 => 900usize..2_500], 1..150),
            large in prop::bool::weighted(0.1),
        ) {
            let length = if large { 20_000 } else { 10 };
            let (mut records, mut tail, mut written) = (Records::new(), Tail::default(), Vec::new());
            for size in sizes {
                let size = if large { size.min(60) } else { size };
                let next = written.len();
                written.extend((next..next + size).map(|number| Bytes::from(format!("{number:0>length$}"))));
                tail = write(&mut records, &tail, &written[next..]);
                prop_assert!(tail.segments < MAX_SEGMENTS && tail.items < CLOSING_ITEMS && tail.bytes < FULL_BYTES);
            }
            let (read, found) = read(&records).unwrap();
            prop_assert!(read == written);
            prop_assert_eq!(found, tail);
            let full = written.len() / CLOSING_ITEMS + written.len() * length / FULL_BYTES;
            prop_assert!(records.len() <= full + MAX_SEGMENTS, "{} records", records.len());
            for record in records.values() {
                prop_assert!(record.len() <= FULL_BYTES + super::super::MAX_ITEM + 8 * FULL_ITEMS);
            }
        }

        /// Every item is found in the record that holds it, and a log read from there ends in the same tail.
        #[test]
        fn items_are_found_without_reading_all(
            sizes in prop::collection::vec(prop_oneof![6 => 1usize..4, 2 => 1usize..400, 1 => 900usize..2_500], 1..60),
            items in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        ) {
            let (mut records, mut tail, mut written) = (Records::new(), Tail::default(), Vec::new());
            for size in sizes {
                let next = written.len();
                written.extend((next..next + size).map(|number| Bytes::from(number.to_string())));
                tail = write(&mut records, &tail, &written[next..]);
            }
            let count = records.len() as u64;
            let mut wanted: Vec<u64> = items.iter().map(|item| item.index(written.len()) as u64).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let (mut rest, mut picked) = (&wanted[..], Vec::new());
            while let Some(item) = rest.first() {
                let mut seek = Seek::new("a", *item, count, false);
                while let Some(number) = seek.wants() {
                    seek.look(records.get(&number).cloned()).unwrap();
                }
                let (_, before, record) = seek.found();
                rest = &rest[pick(rest, before, &record, &mut picked).unwrap()..];
            }
            prop_assert!(picked.iter().eq(wanted.iter().map(|item| &written[*item as usize])));

            for item in wanted.into_iter().chain([written.len() as u64]) {
                let mut seek = Seek::new("a", item, count, true);
                let mut looks = 0;
                while let Some(number) = seek.wants() {
                    seek.look(records.get(&number).cloned()).unwrap();
                    looks += 1;
                }
                prop_assert!(looks <= 2 * MAX_SEGMENTS, "{} looks", looks);
                let (number, before, _) = seek.found();
                prop_assert!(before <= item);
                let mut reader = Reader::at("a", number, before);
                for (number, record) in records.range(number..) {
                    reader.push(*number, record.clone()).unwrap();
                }
                let (read, found) = reader.finish();
                prop_assert!(read == written[before as usize..]);
                prop_assert_eq!(found, tail.clone());
            }
        }

        /// One changed byte, a lost record (but the last), two swapped, or one cut: none goes unnoticed.
        #[test]
        fn damage_is_found(at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), flip in 1u8..) {
            let (mut records, mut tail) = (Records::new(), Tail::default());
            for number in 0..70u64 {
                tail = write(&mut records, &tail, &[Bytes::from(number.to_string())]);
            }
            let number = at.index(records.len()) as u64;
            let mut changed = records.clone();
            let mut bytes = records[&number].to_vec();
            let position = byte.index(bytes.len());
            bytes[position] ^= flip;
            changed.insert(number, bytes.into());
            prop_assert!(read(&changed).is_err());

            let mut cut = records.clone();
            cut.insert(number, records[&number].slice(..position));
            prop_assert!(read(&cut).is_err());

            if number + 1 < records.len() as u64 {
                let mut lost = records.clone();
                lost.remove(&number);
                prop_assert!(read(&lost).is_err());

                let mut swapped = records.clone();
                swapped.insert(number, records[&(number + 1)].clone());
                swapped.insert(number + 1, records[&number].clone());
                prop_assert!(read(&swapped).is_err());
            }
        }

        /// Bytes from anywhere are refused, not believed, and cost no more memory than they are long.
        #[test]
        fn foreign_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode("a", 0, bytes.clone().into()).is_err());
            prop_assert!(decode_value("a", "k", bytes.into()).is_err());
        }

        #[test]
        fn values_are_bound_to_their_place(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let stored = Bytes::from(encode_value("a", "k", &value));
            prop_assert_eq!(decode_value("a", "k", stored.clone()).unwrap(), value);
            prop_assert!(decode_value("a", "l", stored.clone()).is_err());
            prop_assert!(decode_value("b", "k", stored).is_err());
        }
    }
}
