//! Starting without a full replay. Now and then, once enough is settled since the last time, an engine stores a *snapshot*:
//! the chain with its state, what the DAG stands on, the entries below the window that it still needs, and a row for each
//! entry. A start reads these and the log from the window on: the newest entries, which lists show, and what came after
//! the snapshot, which is replayed. Older entries stay in the store and are read when somebody asks (`recall`).
//!
//! The log stays the truth. A snapshot is written in the order of the log, so it never tells of more than the log holds;
//! it is held to the newest header's roots; and one that is missing, damaged or does not fit is left for a full replay,
//! which is said. What is settled leaves the memory only when the snapshot that stands for it is durable.

use crate::engine::{Engine, Event, Limits, Then};
use crate::frontier::Frontier;
use crate::history::{History, ROWS};
use crate::store::{Item, OpenError};
use ledgerno_ledger::bytes::{DeviceId, EntryId, HeaderHash};
use ledgerno_ledger::check::Checked;
use ledgerno_ledger::codec;
use ledgerno_ledger::dag::{Base, Dag};
use ledgerno_ledger::entry::Packed;
use ledgerno_ledger::genesis::Genesis;
use ledgerno_ledger::settle::{Chain, Opener, Proof, Unfit};
use serde::{Deserialize, Serialize};

/// What the names of a snapshot's records begin with: all of them can be made again from the log.
pub const RECORD: &str = "snapshot";
/// The most bytes of the record that is not of rows.
pub const MAX_SNAPSHOT: usize = 16 * 1024 * 1024;
/// The most bytes of all its records at once.
const MAX_WRITE: usize = 48 * 1024 * 1024;
/// The version of the format.
const VERSION: u8 = 2;
/// Settled headers that stay in memory.
const HEADERS: usize = 64;

#[derive(Serialize, Deserialize)]
pub(crate) struct Snapshot {
    version: u8,
    /// It stands for so many items of the log.
    items: u64,
    /// From this item on the log's entries are read.
    window: u64,
    rows: u64,
    headers: u64,
    devices: Vec<DeviceId>,
    base: Base,
    /// What is needed of the entries before the window, in the order of taking.
    kept: Vec<Packed>,
    /// The newest settled header, with its votes and cut.
    newest: Option<Proof>,
    /// Older ones by which who votes has changed.
    turns: Vec<Proof>,
    chain: Vec<u8>,
}

/// Why a snapshot is not started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSnapshot {
    /// A record of it is missing.
    #[error("the snapshot is not whole")]
    Missing,
    /// A record of it is none, or of another version.
    #[error("the snapshot is damaged")]
    Damaged,
    /// The log is not the one that it stands for.
    #[error("the snapshot does not fit the log")]
    Log,
    /// It holds no state, and this engine has the keys to fold one.
    #[error("the snapshot was made without the keys")]
    NotFolded,
    /// Its newest headers are void by a renewal.
    #[error("the snapshot holds headers that became void")]
    Overruled,
    /// The settled history in it is not gone on from.
    #[error("the snapshot's settled history: {0}")]
    Chain(#[from] Unfit),
}

/// The item of the log from which an engine with these records is opened; all before it need not be read.
pub fn window<'a>(records: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> u64 {
    let snapshot = records.into_iter().find(|(name, _)| *name == RECORD);
    let snapshot = snapshot.and_then(|(_, bytes)| codec::decode::<Snapshot>(bytes, MAX_SNAPSHOT).ok());
    snapshot.map_or(0, |snapshot| snapshot.window)
}

/// What a snapshot gives back.
pub(crate) struct Resumed {
    pub dag: Dag,
    pub chain: Chain,
    pub history: History,
    pub frontier: Frontier,
    pub proofs: Vec<Proof>,
    pub turns: Vec<Proof>,
    /// The log is replayed from here on.
    pub items: u64,
    /// The entries that are in memory.
    pub here: Vec<EntryId>,
    /// The entries before this place are stored in it.
    pub saved: usize,
}

/// Reads a snapshot; `None` when there is none. `log` begins with the item `first`.
pub(crate) fn resume(
    genesis: &Genesis,
    opener: Option<&dyn Opener>,
    limits: &Limits,
    records: &[(String, impl AsRef<[u8]>)],
    first: u64,
    log: &[impl AsRef<[u8]>],
) -> Result<Option<Resumed>, NoSnapshot> {
    let record = |name: &str| records.iter().find(|(at, _)| at == name).map(|(_, bytes)| bytes.as_ref());
    if records.is_empty() {
        return if first == 0 { Ok(None) } else { Err(NoSnapshot::Missing) };
    }
    let bytes = record(RECORD).ok_or(NoSnapshot::Missing)?;
    let snapshot: Snapshot = codec::decode(bytes, MAX_SNAPSHOT).map_err(|_| NoSnapshot::Damaged)?;
    if snapshot.version != VERSION {
        return Err(NoSnapshot::Damaged);
    }
    let of = |kind: &str, count: u64| -> Result<Vec<&[u8]>, NoSnapshot> {
        let records = usize::try_from(count).map_err(|_| NoSnapshot::Damaged)?.div_ceil(ROWS);
        (0..records).map(|at| record(&name_of(kind, at)).ok_or(NoSnapshot::Missing)).collect()
    };
    let (rows, headers) = (of("rows", snapshot.rows)?, of("headers", snapshot.headers)?);
    let history = History::from_stored(&snapshot.devices, rows.into_iter(), headers.into_iter());
    let (mut history, mut hashes) = history.ok_or(NoSnapshot::Damaged)?;
    hashes.insert(0, HeaderHash(genesis.id().0));
    if history.len() as u64 != snapshot.rows || history.headers() as u64 != snapshot.headers {
        return Err(NoSnapshot::Damaged);
    }

    let skip = usize::try_from(snapshot.window.checked_sub(first).ok_or(NoSnapshot::Log)?).unwrap_or(usize::MAX);
    let count = usize::try_from(snapshot.items.saturating_sub(snapshot.window)).unwrap_or(usize::MAX);
    let items = log.get(skip..).and_then(|log| log.get(..count)).ok_or(NoSnapshot::Log)?;
    let circle = genesis.id();
    let mut kept: Vec<Checked> = snapshot.kept.into_iter().map(|packed| Checked::stored(circle, packed)).collect();
    let mut proofs: Vec<Proof> = Vec::new();
    for (at, bytes) in (snapshot.window..).zip(items) {
        match Item::from_bytes(bytes.as_ref()).map_err(|_| NoSnapshot::Log)? {
            Item::Entry(packed) => {
                let checked = Checked::stored(circle, packed);
                if history.row(&checked.id()).is_none_or(|row| u64::from(row.place.item) != at) {
                    return Err(NoSnapshot::Log);
                }
                kept.push(checked);
            }
            // One that a renewal made void is in the log, and not in the history.
            Item::Proof(proof) if proof.is_at(&hashes) => proofs.push(proof),
            Item::Proof(_) => {}
        }
    }
    if proofs.is_empty() {
        proofs.extend(snapshot.newest);
    }
    let oldest = proofs.first().map_or(0, Proof::height);
    let turns = snapshot.turns.into_iter().filter(|turn| turn.height() < oldest).collect();

    let mut chain = Chain::resume(genesis, &snapshot.chain, MAX_SNAPSHOT, hashes, opener)?;
    if opener.is_some() && chain.state().is_none() {
        // It was stored without the keys, by a keeper that has been enlisted since: only a replay folds.
        return Err(NoSnapshot::NotFolded);
    }
    let follows = |(proof, height): (&Proof, u64)| proof.height() == height;
    let oldest = (chain.height() + 1).saturating_sub(proofs.len() as u64);
    let in_order = proofs.iter().zip(oldest..).all(follows);
    if !in_order || proofs.last().map_or(0, Proof::height) != chain.height() {
        return Err(NoSnapshot::Log);
    }
    let here: Vec<EntryId> = kept.iter().map(Checked::id).collect();
    if here.iter().any(|id| !history.contains(id)) {
        return Err(NoSnapshot::Log);
    }
    chain.recollect(here.iter().filter_map(|id| Some((*id, history.settled(id)?))));
    let mut frontier = Frontier::default();
    for place in &snapshot.base.places {
        frontier.stand(place.device, &place.heads);
    }
    let settled: Vec<bool> = here.iter().map(|id| history.settled(id).is_some()).collect();
    let kept = kept.into_iter().zip(settled);
    let dag = Dag::resume(genesis, limits.waiting, snapshot.base, kept).ok_or(NoSnapshot::Damaged)?;
    // Rows are read as not in memory.
    here.iter().filter(|id| dag.contains(id)).for_each(|id| history.set_here(id));
    let saved = history.rows().partition_point(|row| u64::from(row.place.item) < snapshot.window);
    Ok(Some(Resumed { dag, chain, history, frontier, proofs, turns, items: snapshot.items, here, saved }))
}

fn name_of(kind: &str, at: usize) -> String {
    format!("{RECORD}-{kind}-{at}")
}

impl Engine {
    /// Starts from the snapshot among the records, if there is one; answers where the replay goes on.
    pub(crate) fn start_from(
        &mut self,
        records: &[(String, impl AsRef<[u8]>)],
        first: u64,
        log: &[impl AsRef<[u8]>],
    ) -> Result<u64, OpenError> {
        let opener = self.opener();
        let resumed = match resume(&self.genesis, opener, &self.limits, records, first, log) {
            Ok(Some(back)) if self.overrules(&back.chain, &back.turns, &back.proofs) => Err(NoSnapshot::Overruled),
            resumed => resumed,
        };
        match resumed {
            Ok(Some(resumed)) => {
                let items = resumed.items;
                self.take_back(resumed);
                Ok(items)
            }
            Ok(None) => Ok(0),
            Err(why) if first > 0 => Err(OpenError::Snapshot(why)),
            Err(why) => {
                self.outputs.push_back(crate::engine::Output::Event(Event::NoSnapshot(why)));
                Ok(0)
            }
        }
    }

    pub(crate) fn take_back(&mut self, resumed: Resumed) {
        let Resumed { dag, chain, history, frontier, proofs, turns, items, here, saved } = resumed;
        (self.dag, self.chain, self.history, self.frontier) = (dag, chain, history, frontier);
        (self.proofs, self.turns, self.items, self.saved) = (proofs, turns, items, saved);
        (self.durable, self.durable_height) = (self.history.len(), self.chain.height());
        if let Some(device) = self.device() {
            let own = self.history.of(&device).map(|(_, row)| (row.seq, row.id));
            for (seq, id) in own {
                if seq as usize == self.own.len() {
                    self.own.push(id);
                }
            }
        }
        for (id, left) in &self.erased.left {
            left.erasure.iter().for_each(|erasure| self.dag.erase(id, **erasure));
        }
        for id in here {
            self.look_for_keys(id);
            let (Some(packed), Some((place, row))) = (self.dag.get(&id), self.history.placed(&id)) else { continue };
            let entry = &packed.signed.entry;
            self.timeline.add(id, place, row.rank, entry.time);
            if let Some(invited) = entry.admission.as_ref().and_then(|admission| admission.invited.as_ref()) {
                *self.invited.entry(invited.invite.key).or_default() += 1;
            }
        }
        self.unsaved = 0;
    }

    /// Stores a snapshot if enough was settled since the last one.
    pub(crate) fn snapshot_if_due(&mut self, now: u64) {
        // While history comes in by hash, each would soon be stale.
        let patience = if self.bulk.is_empty() { 1 } else { 8 };
        if self.unsaved < self.limits.snapshot_every.saturating_mul(patience) {
            return;
        }
        let floor = self.history.len().saturating_sub(self.limits.window);
        if floor > self.durable && self.bulk.is_empty() {
            // It would not stand for what is on its way to the disk, which would stay in memory till the next one.
            return;
        }
        self.unsaved = 0;
        let floor = floor.min(self.durable);
        let window = self.history.rows().get(floor).map_or(self.items, |row| row.place.item.into());
        let mut kept = Vec::new();
        for known in self.dag.known_before(self.first_kept(floor)) {
            if known.needed || self.epochs.waits_for(&known.id) {
                kept.push(known.packed.clone());
            }
            self.history.seen(&known.id, known.seen_by);
        }
        let snapshot = Snapshot {
            version: VERSION,
            items: self.items,
            window,
            rows: self.history.len() as u64,
            headers: self.history.headers() as u64,
            devices: self.history.devices().to_vec(),
            base: self.dag.base(),
            kept,
            newest: self.proofs.last().cloned(),
            turns: self.turns.iter().chain(self.proofs.iter().filter(|proof| is_turn(proof))).cloned().collect(),
            chain: self.chain.to_stored(),
        };
        let bytes = codec::encode(&snapshot);
        let (rows, headers) = self.history.to_store(self.chain.hashes().get(1..).unwrap_or_default());
        let len = rows.iter().chain(&headers).map(|(_, bytes)| bytes.len()).sum::<usize>() + bytes.len();
        if bytes.len() > MAX_SNAPSHOT || len > MAX_WRITE {
            // Nothing is lost by it but a quick start.
            return;
        }
        let mut records = vec![(RECORD.to_owned(), Some(bytes))];
        let record = |kind, (at, bytes)| (name_of(kind, at), Some(bytes));
        records.extend(rows.into_iter().map(|one| record("rows", one)));
        records.extend(headers.into_iter().map(|one| record("headers", one)));
        self.history.stored_all();
        self.write(Vec::new(), records, Vec::new(), vec![Then::Forget { floor }], now);
    }

    /// The DAG's place of the first entry that is not below the window; both know entries in the order of taking.
    fn first_kept(&self, floor: usize) -> usize {
        let mut window = self.history.rows().iter().skip(floor).filter(|row| row.here);
        let first = window.find_map(|row| self.dag.taken_at(&row.id));
        first.unwrap_or(self.dag.len())
    }

    /// Forgets what is settled and was taken before a place: a durable snapshot stands for it.
    pub(crate) fn forget(&mut self, floor: usize) {
        self.saved = floor;
        let (from, epochs) = (self.first_kept(floor), &self.epochs);
        self.dag.forget(|at, id| at >= from || epochs.waits_for(id));
        self.chain.forget_but(self.dag.ids());
        self.history.set_all_here(self.dag.ids());
        self.remembered.clear();
        self.remembered_proofs.clear();
        let history = &self.history;
        self.timeline.keep(|place| history.is_here(place));
        let spare = self.proofs.len().saturating_sub(HEADERS);
        let undurable = usize::try_from(self.chain.height() - self.durable_height).unwrap_or(usize::MAX);
        let spare = spare.min(self.proofs.len().saturating_sub(undurable));
        self.turns.extend(self.proofs.drain(..spare).filter(is_turn));
    }
}

/// Whether others vote after a header than on it.
fn is_turn(proof: &Proof) -> bool {
    proof.witnesses.is_some() || proof.renewal.is_some()
}
