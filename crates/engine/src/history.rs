//! What is known of every entry and header that was taken, whether or not it is in memory: a row each, in the order of
//! taking. A row says where in the log the entry lies, so that it can be read back, and what a list needs to know of it.
//!
//! Rows are stored with a snapshot in records of [`ROWS`]; of those only the ones with a changed row are written again.

use hashbrown::HashMap;
use ledgerno_ledger::bytes::{DeviceId, EntryId, HeaderHash};
use ledgerno_ledger::codec;
use ledgerno_ledger::settle::Settled;
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_ledger::state::Verdict;

/// Rows in one record.
pub(crate) const ROWS: usize = 1_024;
/// Bytes of a stored row.
pub(crate) const ROW: usize = 64;
/// Bytes of a stored header: its place, time and hash.
const HEADER: usize = 8 + 8 + 32;
/// With the length of the verdict stands whether the entry was let go.
const GONE: u8 = 0x80;
/// The stored forms of [`Verdict::Applied`] and [`Verdict::Noop`].
const APPLIED: u8 = 0;
const NOOP: u8 = 1;

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub id: EntryId,
    /// Its device, by the number of its coming.
    pub device: u32,
    pub seq: u32,
    /// Where it lies.
    pub place: Place,
    /// Its distance from the genesis.
    pub rank: u32,
    /// By how many other members it was seen when it was forgotten.
    pub seen: u16,
    /// The height that settled it; 0 while none did.
    height: u32,
    /// Its place among what that settled.
    at: u16,
    verdict: Option<Verdict>,
    /// It is in memory.
    pub here: bool,
    /// It was let go: it is in the log no more.
    pub gone: bool,
}

/// Where something lies in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// The item, from 0.
    pub item: u32,
    /// Its bytes.
    pub len: u32,
}

impl Place {
    pub fn new(item: u64, len: usize) -> Self {
        Place { item: u32::try_from(item).unwrap_or(u32::MAX), len: u32::try_from(len).unwrap_or(u32::MAX) }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend(self.item.to_le_bytes());
        out.extend(self.len.to_le_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Place { item: number(bytes)?, len: number(bytes)? })
    }
}

/// Records by number.
type Numbered = Vec<(usize, Vec<u8>)>;

/// All rows, and how they are found.
#[derive(Debug, Default)]
pub(crate) struct History {
    rows: Vec<Row>,
    index: HashMap<EntryId, u32>,
    devices: Vec<DeviceId>,
    numbers: SortedMap<DeviceId, u32>,
    /// The rows of each device.
    of_device: Vec<Vec<u32>>,
    /// Where each settled header lies, by height from 1, and its time.
    headers: Vec<(Place, u64)>,
    /// So many rows are of entries that were let go.
    gone: usize,
    /// Records of rows that are not stored as they are now.
    changed: Vec<bool>,
    /// So many headers are stored.
    headers_stored: usize,
    /// After the one that was altered last: mostly they are altered in their order.
    next: usize,
}

impl History {
    /// Notes an entry that was taken, of the device of that number, and whether it is in memory.
    pub fn add(&mut self, id: EntryId, device: u32, seq: u64, rank: u32, here: bool) {
        let seq = u32::try_from(seq).unwrap_or(u32::MAX);
        let place = Place::default();
        let row = Row { id, device, seq, place, rank, seen: 0, height: 0, at: 0, verdict: None, here, gone: false };
        self.push(row);
        self.change(self.rows.len() - 1);
    }

    /// A device's number, which it is given if it has none.
    pub fn number_of(&mut self, device: DeviceId) -> u32 {
        let (devices, of_device) = (&mut self.devices, &mut self.of_device);
        *self.numbers.get_or_insert_with(device, || {
            devices.push(device);
            of_device.push(Vec::new());
            (devices.len() - 1) as u32
        })
    }

    #[cfg_attr(page, optimize(speed))]
    fn push(&mut self, row: Row) {
        let at = self.rows.len() as u32;
        self.index.insert(row.id, at);
        if let Some(rows) = self.of_device.get_mut(row.device as usize) {
            rows.push(at);
        }
        self.gone += usize::from(row.gone);
        self.rows.push(row);
    }

    fn change(&mut self, at: usize) {
        if self.changed.len() <= at / ROWS {
            self.changed.resize(at / ROWS + 1, true);
        }
        self.changed[at / ROWS] = true;
    }

    fn alter(&mut self, id: &EntryId, alter: impl FnOnce(&mut Row)) {
        let Some(at) = self.place_near(id, self.next) else { return };
        alter(&mut self.rows[at]);
        self.change(at);
        self.next = at + 1;
    }

    /// An entry's place in the order of taking, which may well be this one.
    fn place_near(&self, id: &EntryId, at: usize) -> Option<usize> {
        if self.rows.get(at).is_some_and(|row| row.id == *id) { Some(at) } else { self.place(id) }
    }

    /// An entry's row, which may well be at this place.
    pub fn row_near(&self, id: &EntryId, at: usize) -> Option<&Row> {
        self.rows.get(self.place_near(id, at)?)
    }

    /// Notes where an entry lies.
    pub fn stored(&mut self, id: &EntryId, place: Place) {
        self.alter(id, |row| row.place = place);
    }

    /// Notes what became of an entry, which is the one at this place that a header settled.
    pub fn settle(&mut self, id: &EntryId, height: u64, at: usize, verdict: Option<Verdict>) {
        let (height, at) = (u32::try_from(height).unwrap_or(u32::MAX), u16::try_from(at).unwrap_or(u16::MAX));
        self.alter(id, |row| (row.height, row.at, row.verdict) = (height, at, verdict));
    }

    /// Notes by how many an entry was seen that is being forgotten, if it is more than was known.
    pub fn seen(&mut self, id: &EntryId, by: u32) {
        let by = u16::try_from(by).unwrap_or(u16::MAX);
        let Some(&at) = self.index.get(id) else { return };
        let row = &mut self.rows[at as usize];
        if row.seen < by {
            row.seen = by;
            self.change(at as usize);
        }
    }

    /// An entry is in memory.
    pub fn set_here(&mut self, id: &EntryId) {
        if let Some(row) = self.index.get(id).and_then(|at| self.rows.get_mut(*at as usize)) {
            row.here = true;
        }
    }

    /// These entries are in memory, and no others.
    pub fn set_all_here(&mut self, ids: impl Iterator<Item = EntryId>) {
        self.rows.iter_mut().for_each(|row| row.here = false);
        ids.for_each(|id| self.set_here(&id));
    }

    /// Whether the entry at a place in the order of taking is in memory.
    pub fn is_here(&self, place: usize) -> bool {
        self.rows.get(place).is_some_and(|row| row.here)
    }

    /// Notes where the next settled header lies.
    pub fn add_header(&mut self, place: Place, time: u64) {
        self.headers.push((place, time));
    }

    /// The last height whose header is so much older than the newest; 0 if none is.
    pub fn settled_before(&self, age: u64) -> u64 {
        let Some(cut) = self.headers.last().and_then(|(_, newest)| newest.checked_sub(age)) else { return 0 };
        // A header's time is never before that of the one before it.
        self.headers.partition_point(|(_, time)| *time < cut) as u64
    }

    /// An entry was let go.
    pub fn let_go(&mut self, id: &EntryId) {
        if self.row(id).is_some_and(|row| !row.gone) {
            self.alter(id, |row| row.gone = true);
            self.gone += 1;
        }
    }

    /// How many entries were let go.
    pub fn gone(&self) -> usize {
        self.gone
    }

    /// The entries that lie at these items, which are sorted.
    pub fn at_items(&self, items: &[u64]) -> Vec<EntryId> {
        let lies = |row: &&Row| items.binary_search(&row.place.item.into()).is_ok();
        self.rows.iter().filter(lies).map(|row| row.id).collect()
    }

    /// Where the header of a height lies; `None` if it is not here.
    pub fn header(&self, height: u64) -> Option<Place> {
        let place = self.headers.get(usize::try_from(height.checked_sub(1)?).ok()?).map(|(place, _)| *place);
        place.filter(|place| place.len > 0)
    }

    /// The first height whose header is here.
    pub fn first_header(&self) -> Option<u64> {
        self.headers.iter().position(|(place, _)| place.len > 0).map(|at| at as u64 + 1)
    }

    /// An entry's place in the order of taking.
    pub fn place(&self, id: &EntryId) -> Option<usize> {
        self.index.get(id).map(|at| *at as usize)
    }

    pub fn contains(&self, id: &EntryId) -> bool {
        self.index.contains_key(id)
    }

    pub fn row(&self, id: &EntryId) -> Option<&Row> {
        self.placed(id).map(|(_, row)| row)
    }

    /// An entry's place in the order of taking, and its row.
    pub fn placed(&self, id: &EntryId) -> Option<(usize, &Row)> {
        let place = self.place(id)?;
        Some((place, self.rows.get(place)?))
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn device_of(&self, row: &Row) -> Option<DeviceId> {
        self.devices.get(row.device as usize).copied()
    }

    /// An entry's device, and its place in that device's chain.
    pub fn author(&self, id: &EntryId) -> Option<(DeviceId, u64)> {
        let row = self.row(id)?;
        Some((self.device_of(row)?, row.seq.into()))
    }

    /// What became of an entry; `None` while it is not settled.
    pub fn settled(&self, id: &EntryId) -> Option<Settled> {
        let row = self.row(id)?;
        (row.height > 0).then_some(Settled { height: row.height.into(), verdict: row.verdict })
    }

    /// What the header of a height settled, in the order of taking.
    pub fn settled_at(&self, height: u64) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| height > 0 && u64::from(row.height) == height)
    }

    /// What the headers from a height up to another settled, in settled order: height, place in it and row.
    pub fn settled_from(&self, from: u64, to: u64) -> Vec<(u64, u16, &Row)> {
        let settled = self.rows.iter().filter(|row| row.height > 0 && (from..=to).contains(&row.height.into()));
        let mut settled: Vec<_> = settled.map(|row| (u64::from(row.height), row.at, row)).collect();
        settled.sort_unstable_by_key(|(height, at, _)| (*height, *at));
        settled
    }

    /// A device's rows, in the order of taking.
    pub fn of(&self, device: &DeviceId) -> impl DoubleEndedIterator<Item = (usize, &Row)> {
        let rows = self.numbers.get(device).and_then(|number| self.of_device.get(*number as usize));
        rows.map_or(&[][..], Vec::as_slice).iter().map(|at| (*at as usize, &self.rows[*at as usize]))
    }

    /// The records that are not stored as they are now: of rows, and of headers with these hashes, by number.
    pub fn to_store(&self, hashes: &[HeaderHash]) -> (Numbered, Numbered) {
        let changed = self.rows.chunks(ROWS).enumerate().filter(|(at, _)| self.changed.get(*at) != Some(&false));
        let rows = changed.map(|(at, rows)| {
            let mut out = Vec::with_capacity(rows.len() * ROW);
            rows.iter().for_each(|row| out.extend_from_slice(&row.to_bytes()));
            (at, out)
        });
        let headers = self.headers.chunks(ROWS).zip(hashes.chunks(ROWS)).enumerate();
        let headers = headers.skip(self.headers_stored / ROWS).map(|(at, (places, hashes))| {
            let mut out = Vec::with_capacity(places.len() * HEADER);
            for ((place, time), hash) in places.iter().zip(hashes) {
                place.write(&mut out);
                out.extend(time.to_le_bytes());
                out.extend(hash.0);
            }
            (at, out)
        });
        (rows.collect(), headers.collect())
    }

    /// What [`History::to_store`] gave is on its way to the store.
    pub fn stored_all(&mut self) {
        self.changed.fill(false);
        self.headers_stored = self.headers.len();
    }

    /// Reads back what was stored, and the hashes; `None` if it is not whole. The devices are those of the rows, in their
    /// order.
    pub fn from_stored<'a>(
        devices: &[DeviceId],
        rows: impl Iterator<Item = &'a [u8]>,
        headers: impl Iterator<Item = &'a [u8]>,
    ) -> Option<(Self, Vec<HeaderHash>)> {
        let (mut history, mut hashes) = (History::default(), Vec::new());
        for device in devices {
            history.number_of(*device);
        }
        for record in rows {
            history.index.reserve(record.len() / ROW);
            history.rows.reserve(record.len() / ROW);
            let (rows, rest) = record.as_chunks::<ROW>();
            for row in rows {
                history.push(Row::from_bytes(row).filter(|row| (row.device as usize) < devices.len())?);
            }
            if !rest.is_empty() {
                return None;
            }
        }
        for record in headers {
            let (headers, rest) = record.as_chunks::<HEADER>();
            for header in headers {
                let mut header = &header[..];
                let (place, time) = (Place::read(&mut header)?, header.split_off(..8)?);
                history.headers.push((place, u64::from_le_bytes(time.try_into().ok()?)));
                hashes.push(HeaderHash(header.try_into().ok()?));
            }
            if !rest.is_empty() {
                return None;
            }
        }
        history.changed = vec![false; history.rows.len().div_ceil(ROWS)];
        history.headers_stored = history.headers.len();
        (history.index.len() == history.rows.len()).then_some((history, hashes))
    }

    pub fn headers(&self) -> usize {
        self.headers.len()
    }

    pub fn devices(&self) -> &[DeviceId] {
        &self.devices
    }
}

impl Row {
    /// The height that settled it.
    pub fn settled_height(&self) -> Option<u64> {
        (self.height > 0).then_some(self.height.into())
    }

    /// It was settled, at a place that is not known: by what came before a snapshot that was joined by.
    pub fn is_unplaced(&self) -> bool {
        self.height > 0 && self.at == u16::MAX
    }

    /// Its bytes as they are stored.
    pub fn to_bytes(self) -> [u8; ROW] {
        let mut out = [0; ROW];
        out[..32].copy_from_slice(&self.id.0);
        let numbers = [self.device, self.seq, self.place.item, self.place.len, self.rank];
        for (to, number) in out[32..52].as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
            *to = number.to_le_bytes();
        }
        out[52..54].copy_from_slice(&self.seen.to_le_bytes());
        out[54..58].copy_from_slice(&self.height.to_le_bytes());
        out[58..60].copy_from_slice(&self.at.to_le_bytes());
        let gone = if self.gone { GONE } else { 0 };
        let (len, verdict) = match self.verdict {
            None => (0, [0; 3]),
            // Nearly all, told without the encoder: its time would be most of a snapshot's.
            Some(Verdict::Applied) => (1, [APPLIED, 0, 0]),
            Some(Verdict::Noop) => (1, [NOOP, 0, 0]),
            Some(verdict) => {
                // Two or three bytes.
                let (mut bytes, encoded) = ([0; 3], codec::encode(&verdict));
                bytes.iter_mut().zip(&encoded).for_each(|(to, byte)| *to = *byte);
                (encoded.len() as u8, bytes)
            }
        };
        out[60] = gone | len;
        out[61..].copy_from_slice(&verdict);
        out
    }

    /// Reads what [`Row::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; ROW]) -> Option<Self> {
        let (id, mut rest) = bytes.split_first_chunk::<32>()?;
        let bytes = &mut rest;
        let (device, seq, place, rank) = (number(bytes)?, number(bytes)?, Place::read(bytes)?, number(bytes)?);
        let seen = short(bytes)?;
        let (height, at) = (number(bytes)?, short(bytes)?);
        let (len, rest) = bytes.split_first()?;
        let gone = len & GONE != 0;
        let verdict = match (usize::from(len & !GONE), rest.first()) {
            (0, _) => None,
            // Nearly all, told without the decoder: its time would be most of a start's.
            (1, Some(&APPLIED)) => Some(Verdict::Applied),
            (1, Some(&NOOP)) => Some(Verdict::Noop),
            (len, _) => Some(codec::decode(rest.get(..len)?, len).ok()?),
        };
        Some(Row { id: EntryId(*id), device, seq, place, rank, seen, height, at, verdict, here: false, gone })
    }
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

fn short(bytes: &mut &[u8]) -> Option<u16> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ledgerno_ledger::state::VoidReason;

    #[test]
    fn rows_read_back_and_only_changed_records_are_written_again() {
        let mut history = History::default();
        let verdicts = [None, Some(Verdict::Applied), Some(Verdict::Noop), Some(Verdict::Void(VoidReason::OutOfRange))];
        for at in 0..3 * ROWS + 5 {
            let mut id = [7; 32];
            id[..8].copy_from_slice(&at.to_le_bytes());
            let device = history.number_of(DeviceId([(at % 3) as u8; 32]));
            history.add(EntryId(id), device, (at / 3) as u64, at as u32, true);
            history.stored(&EntryId(id), Place::new(at as u64 + 9, 300));
            history.settle(&EntryId(id), at as u64 % 7, at, verdicts[at % 4]);
            history.seen(&EntryId(id), at as u32 % 5);
            if at % 11 == 3 {
                history.let_go(&EntryId(id));
            }
        }
        for at in 0..ROWS as u64 + 3 {
            history.add_header(Place::new(at, 1), 9 * at);
        }
        let hashes = vec![HeaderHash([3; 32]); history.headers()];
        let (rows, headers) = history.to_store(&hashes);
        assert_eq!((rows.len(), headers.len()), (4, 2));
        history.stored_all();
        let read = || {
            let devices = history.devices();
            History::from_stored(devices, rows.iter().map(|(_, r)| &r[..]), headers.iter().map(|(_, r)| &r[..]))
        };
        let (read, read_hashes) = read().unwrap();
        assert_eq!(read_hashes, hashes);
        history.set_all_here([].into_iter());
        assert_eq!(read.rows(), history.rows());
        assert_eq!(read.header(ROWS as u64 + 3), Some(Place::new(ROWS as u64 + 2, 1)));
        assert!(read.of(&DeviceId([1; 32])).map(|(_, row)| row.seq).eq(0..ROWS as u32 + 2));
        assert_eq!(read.to_store(&hashes).0, []);
        assert_eq!((read.gone(), history.gone()), (280, 280));
        assert_eq!([0, 8, 9, 10, u64::MAX].map(|age| read.settled_before(age)), [1_026, 1_026, 1_025, 1_025, 0]);

        let changed = history.rows()[ROWS + 1].id;
        history.settle(&changed, 9, 0, None);
        assert_eq!(history.to_store(&hashes).0.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1]);
        let cut = rows[0].1[..ROW + 1].to_vec();
        assert!(History::from_stored(history.devices(), [&cut[..]].into_iter(), [].into_iter()).is_none());
        assert!(History::from_stored(&[], [&rows[0].1[..]].into_iter(), [].into_iter()).is_none());
    }
}
