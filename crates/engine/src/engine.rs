//! The engine itself: what it holds, how entries and settled headers come in, and how they become durable before
//! anything that rests on them is said to others.

use crate::acts;
use crate::bulk::Bulk;
use crate::earlier::Earlier;
use crate::epoch::{self, Epochs};
use crate::erasing::{self, Erased};
use crate::frontier::Frontier;
use crate::guard::Guard;
use crate::history::{History, Place};
use crate::joining::{self, Joining};
use crate::keybox::{self, Keyboxes};
use crate::left::{self, Left, Told};
use crate::mailbox::{self, Mailbox};
use crate::prune::Fetching;
use crate::random::Random;
use crate::recall::Reading;
use crate::renewal;
use crate::session::Session;
use crate::settler::agreement::{self, Agreement};
use crate::settler::{self, Awaited, Settler};
use crate::snapshot;
use crate::store::{Item, OpenError, entry_item};
use crate::unchecked::{self, Unchecked};
use crate::unvoted::mending::Mending;
use crate::unvoted::{self, Unvoted};
use crate::view::Timeline;
use crate::wire::{MAX_GOSSIP, Topic, Votes};
use core::cell::RefCell;
use hashbrown::HashMap;
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, InviteKey};
use ledgerno_ledger::codec;
use ledgerno_ledger::dag::{Dag, Outcome};
use ledgerno_ledger::entry::{Admission, Packed};
use ledgerno_ledger::genesis::Genesis;
use ledgerno_ledger::keys::{DeviceKey, VoteSecret};
use ledgerno_ledger::settle::{Chain, Proof, Refusal, Renewal};
use ledgerno_ledger::sorted::SortedMap;
use std::collections::VecDeque;

pub use crate::contract::{Event, Limits, Output, Peer, Seat};

/// A write on its way to the disk, and what waits for it.
struct Pending {
    no: u64,
    entries: Vec<EntryId>,
    /// What is settled once this is durable.
    height: u64,
    bytes: usize,
    then: Vec<Then>,
}

/// What is done once a write is durable.
pub(crate) enum Then {
    /// Said to others.
    Say(Output),
    /// A frontier question is answered, about what is durable then.
    Frontier { no: u64, peer: Peer, digest: ledgerno_ledger::bytes::Hash, height: u64 },
    /// Own entries are offered to the peers.
    Offer,
    /// A session goes on.
    Resume(Peer),
    /// What is settled and was taken before a place leaves the memory.
    Forget { floor: usize },
    /// Entries are no longer in the log.
    LetGo(Vec<EntryId>),
    /// Entries are in the log without their bodies, which were erased.
    Replaced(Vec<EntryId>),
    /// Votes that were fetched anew are in the log.
    Mended,
}

/// One node of one circle.
pub struct Engine {
    pub(crate) circle: CircleId,
    pub(crate) genesis: Genesis,
    pub(crate) seat: Seat,
    pub(crate) random: Random,
    pub(crate) limits: Limits,
    pub(crate) dag: Dag,
    pub(crate) chain: Chain,
    /// The newest settled headers, up to the chain's height.
    pub(crate) proofs: Vec<Proof>,
    /// Older ones by which who votes has changed.
    pub(crate) turns: Vec<Proof>,
    /// Every entry, in the order of taking.
    pub(crate) history: History,
    /// The next item of the log.
    pub(crate) items: u64,
    /// Entries settled since the last snapshot.
    pub(crate) unsaved: usize,
    /// For the entries before this place a durable snapshot stands.
    pub(crate) saved: usize,
    /// How many entries are durable.
    pub(crate) durable: usize,
    /// Entries and headers that were read back to be shown or proven.
    pub(crate) remembered: HashMap<EntryId, Packed>,
    pub(crate) remembered_proofs: SortedMap<u64, Proof>,
    /// What is being read back, by number.
    pub(crate) readings: SortedMap<u64, (Vec<u64>, Reading)>,
    pub(crate) next_reading: u64,
    /// What was to be shown could not be read back: nothing more is read for that.
    pub(crate) unreadable: bool,
    /// The peers that are archives, and how many entries they hold.
    pub(crate) archives: SortedMap<Peer, ()>,
    pub(crate) archived: usize,
    pub(crate) fetching: Option<Fetching>,
    /// What was read back for a question that is answered now.
    pub(crate) recalled: crate::recall::Recalled,
    /// Up to which height headers are durable: a witness that says one and forgets it would settle another.
    pub(crate) durable_height: u64,
    pub(crate) frontier: Frontier,
    /// Own entries by seq.
    pub(crate) own: Vec<EntryId>,
    /// How many own entries another node is known to hold.
    pub(crate) sent: usize,
    /// How often each invite admitted a device.
    pub(crate) invited: HashMap<InviteKey, u32>,
    pub(crate) invitations: SortedMap<String, crate::write::Invitation>,
    pub(crate) mailbox: Mailbox,
    pub(crate) keyboxes: Keyboxes,
    pub(crate) epochs: Epochs,
    /// Where the founder named another sole witness, as this device said it or gave way to it.
    pub(crate) renewals: Vec<Renewal>,
    /// Notes of stamps, as they were opened.
    pub(crate) notes: RefCell<SortedMap<EntryId, String>>,
    /// Vote secrets that this device offered itself with.
    pub(crate) votes: Vec<VoteSecret>,
    pub(crate) timeline: Timeline,
    pub(crate) settler: Settler,
    pub(crate) agreement: Agreement,
    /// A header that is certified beside ours.
    pub(crate) conflict: Option<Proof>,
    pub(crate) sessions: SortedMap<Peer, Session>,
    /// Settled history that is being taken in by hash, and what of it is not checked yet.
    pub(crate) bulk: Bulk,
    pub(crate) joining: Joining,
    pub(crate) earlier: Earlier,
    pub(crate) erased: Erased,
    pub(crate) left: Left,
    /// Which relays were told who left.
    pub(crate) told: SortedMap<Peer, Told>,
    pub(crate) unchecked: Unchecked,
    pub(crate) unvoted: Unvoted,
    pub(crate) mending: Mending,
    /// Questions under way, by number.
    pub(crate) asked: SortedMap<u64, Peer>,
    /// Parcels being brought to a relay: the question's number, the relay, and the invitation's record.
    pub(crate) parcels_asked: SortedMap<u64, (Peer, String)>,
    pub(crate) next_ask: u64,
    /// The relays that this device chose.
    pub(crate) keepers: Vec<Peer>,
    /// By what right this device comes, until it has written.
    pub(crate) admission: Option<Admission>,
    /// Devices that presented a good admission and have not written yet.
    pub(crate) guests: SortedMap<Peer, ()>,
    /// A settled header that came before its entries did.
    pub(crate) awaited: Option<Awaited>,
    pub(crate) guard: Guard,
    pub(crate) refused: Vec<(u64, Refusal)>,
    pending: VecDeque<Pending>,
    next_no: u64,
    pub(crate) outputs: VecDeque<Output>,
}

impl Engine {
    /// Opens an engine over what it stored before: nothing, for a new one. The seed is fresh randomness.
    ///
    /// # Errors
    /// When the log does not replay; then nothing must be written over it.
    pub fn open(
        genesis: Genesis,
        seat: Seat,
        limits: Limits,
        log: impl IntoIterator<Item = impl AsRef<[u8]>>,
        records: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
        seed: [u8; 32],
    ) -> Result<Self, OpenError> {
        Self::open_from(genesis, seat, limits, 0, log, records, seed)
    }

    /// As [`Engine::open`], where the log is given from the item `first` on: at most [`crate::store::window`].
    ///
    /// # Errors
    /// As [`Engine::open`]; and [`OpenError::Snapshot`], after which the log must be given whole.
    pub fn open_from(
        genesis: Genesis,
        seat: Seat,
        limits: Limits,
        first: u64,
        log: impl IntoIterator<Item = impl AsRef<[u8]>>,
        records: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>,
        seed: [u8; 32],
    ) -> Result<Self, OpenError> {
        let circle = genesis.id();
        let mut random = Random::new(seed);
        // An answer to the engine before this one must not pass for an answer to this one.
        let next_ask = u64::from_le_bytes(random.bytes()) >> 1;
        let mut engine = Engine {
            circle,
            dag: Dag::new(&genesis, limits.waiting),
            chain: Chain::new(&genesis),
            genesis,
            seat,
            random,
            limits,
            proofs: Vec::new(),
            turns: Vec::new(),
            history: History::default(),
            items: 0,
            unsaved: 0,
            saved: 0,
            durable: 0,
            remembered: HashMap::new(),
            remembered_proofs: SortedMap::new(),
            readings: SortedMap::new(),
            next_reading: 0,
            unreadable: false,
            archives: SortedMap::new(),
            archived: 0,
            fetching: None,
            recalled: crate::recall::Recalled::default(),
            durable_height: 0,
            frontier: Frontier::default(),
            own: Vec::new(),
            sent: 0,
            invited: HashMap::new(),
            invitations: SortedMap::new(),
            mailbox: Mailbox::default(),
            keyboxes: Keyboxes::new(),
            epochs: Epochs::default(),
            renewals: Vec::new(),
            notes: RefCell::new(SortedMap::new()),
            votes: Vec::new(),
            timeline: Timeline::default(),
            settler: Settler::default(),
            agreement: Agreement::default(),
            conflict: None,
            sessions: SortedMap::new(),
            bulk: Bulk::default(),
            joining: Joining::default(),
            earlier: Earlier::default(),
            erased: Erased::default(),
            left: Left::default(),
            told: SortedMap::new(),
            unchecked: Unchecked::default(),
            unvoted: Unvoted::default(),
            mending: Mending::default(),
            asked: SortedMap::new(),
            parcels_asked: SortedMap::new(),
            next_ask,
            keepers: Vec::new(),
            admission: None,
            guests: SortedMap::new(),
            awaited: None,
            guard: Guard::default(),
            refused: Vec::new(),
            pending: VecDeque::new(),
            next_no: 0,
            outputs: VecDeque::new(),
        };
        let log: Vec<_> = log.into_iter().collect();
        let records = records.into_iter().map(|(name, bytes)| (name.as_ref().to_owned(), bytes));
        let (snapshot, records): (Vec<_>, Vec<_>) = records.partition(|(name, _)| name.starts_with(snapshot::RECORD));
        // The log is folded with the keys that came by it, without the headers that a renewal made void, and with those
        // that later ones' votes settled.
        let before_log = |name: &str| {
            let kinds = [epoch::RECORD, renewal::RECORD, erasing::RECORD];
            kinds.iter().any(|kind| name.starts_with(kind)) || name == unvoted::RECORD
        };
        let (joined, records): (Vec<_>, Vec<_>) = records.into_iter().partition(|(name, _)| name == joining::RECORD);
        let (early, records): (Vec<_>, Vec<_>) = records.into_iter().partition(|(name, _)| before_log(name));
        for (name, bytes) in early {
            let bytes = bytes.as_ref();
            let is_restored = engine.restore_epoch(&name, bytes)
                || engine.restore_renewal(&name, bytes)
                || engine.erased.restore(engine.circle, &name, bytes)
                || name == unvoted::RECORD && engine.restore_unvoted(bytes);
            if !is_restored {
                return Err(OpenError::Record { name });
            }
        }
        if !engine.erased.is_whole() {
            return Err(OpenError::Record { name: erasing::RECORD.to_owned() });
        }
        let mut from = engine.start_from(&snapshot, first, &log)?;
        if let ([(name, bytes)], 0) = (&joined[..], from) {
            let damaged = || OpenError::Record { name: name.clone() };
            from = engine.start_joined(bytes.as_ref()).ok_or_else(damaged)?;
        }
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        engine.dag.mark_later();
        for (at, bytes) in log.iter().enumerate().skip(skip) {
            let bytes = bytes.as_ref();
            if bytes.is_empty() {
                return Err(OpenError::LetGo { at });
            }
            let item = Item::from_bytes(bytes).map_err(|error| OpenError::Damaged { at, error })?;
            engine.replay(item, bytes.len()).map_err(|why| OpenError::DoesNotFit { at, why })?;
        }
        engine.dag.mark_now();
        for (name, bytes) in records {
            if !engine.restore(&name, bytes.as_ref()) {
                return Err(OpenError::Record { name });
            }
        }
        engine.renew_again();
        engine.unvoted.clip(engine.chain.height());
        // A witness without a past forgot nothing.
        engine.agreement.caught_up = engine.history.len() == 0;
        engine.open_height();
        engine.note_unsettled(0);
        engine.after_settled(0);
        engine.snapshot_if_due(0);
        Ok(engine)
    }

    fn replay(&mut self, item: Item, len: usize) -> Result<(), String> {
        let place = Place::new(self.items, len);
        self.items += 1;
        match item {
            Item::Entry(packed) => match self.dag.restore(self.stored_entry(packed)) {
                Ok(Outcome::Taken(ids)) => {
                    let ids = self.took(&ids);
                    ids.iter().for_each(|id| self.history.stored(id, place));
                    self.now_durable(&ids);
                    Ok(())
                }
                Ok(Outcome::Held) => Err("it is there twice".to_owned()),
                Ok(Outcome::Waiting { missing }) => Err(format!("{} of its ancestors are missing", missing.len())),
                Err(why) => Err(why.to_string()),
            },
            Item::Proof(proof) if self.is_void_header(&proof) => Ok(()),
            Item::Proof(proof) => {
                self.history.add_header(place, proof.checkpoint.header.time);
                self.replay_proof(proof)
            }
        }
    }

    fn restore(&mut self, name: &str, bytes: &[u8]) -> bool {
        if name.starts_with(mailbox::RECORD) {
            self.mailbox.restore(name, bytes)
        } else if name.starts_with(keybox::RECORD) {
            self.restore_keybox(name, bytes)
        } else if name.starts_with(acts::VOTE) {
            self.restore_vote(name, bytes)
        } else if name == agreement::BUNDLE {
            self.restore_bundle(bytes)
        } else if name == agreement::RETIRED {
            self.restore_retired(bytes)
        } else if name == left::RECORD {
            self.restore_left(bytes)
        } else if name == settler::CONFLICT {
            self.restore_conflict(bytes)
        } else if name == unchecked::RECORD {
            Unchecked::from_record(bytes).map(|read| self.unchecked = read).is_some()
        } else if name == SENT {
            codec::decode::<u64>(bytes, 16).map(|sent| self.sent = sent as usize).is_ok()
        } else {
            self.restore_invitation(name, bytes)
        }
    }

    /// The circle.
    pub fn circle(&self) -> CircleId {
        self.circle
    }

    /// The genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The device that the engine writes for; a keeper has none.
    pub fn device(&self) -> Option<DeviceId> {
        self.seat.device().map(DeviceKey::id)
    }

    /// Whether this node keeps the circle for others, and hands on what it fetches.
    pub(crate) fn is_keeper(&self) -> bool {
        matches!(self.seat, Seat::Keeper | Seat::Witness { .. })
    }

    /// The next thing to carry out.
    pub fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Engine::tick`] is wanted, in milliseconds since 1970.
    pub fn due(&self) -> Option<u64> {
        let settling = self.settler.due().into_iter().chain(self.agreement.due()).chain(self.epochs.due());
        let settling = settling.chain(self.bulk.due()).chain(self.check_due()).chain(self.joining_due());
        settling.chain(self.sessions.values().filter_map(Session::due)).min()
    }

    /// The time that [`Engine::due`] named is reached.
    pub fn tick(&mut self, now: u64) {
        if self.settler.ring(now) {
            self.settle(now);
        }
        self.beat(now);
        self.close(now);
        self.hand_out_keys(now);
        self.stop_waiting_to_join(now);
        if self.bulk.due().is_some() {
            self.go_on_by_hash(now);
        }
        self.check_if_due(now);
        let due: Vec<Peer> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.due().is_some_and(|at| at <= now))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in due {
            self.retry(peer, now);
        }
    }

    /// A gossip message came.
    pub fn gossip(&mut self, topic: Topic, from: Peer, bytes: &[u8], now: u64) {
        match topic {
            Topic::Entries => {
                let Ok(packed) = codec::decode::<Packed>(bytes, MAX_GOSSIP) else { return };
                let intake = self.take(vec![packed], Vec::new(), now);
                if intake.waiting > 0 || self.awaits_snapshot(now) {
                    self.sync(from, now);
                }
            }
            Topic::Votes | Topic::Witnesses => {
                let Ok(votes) = Votes::from_bytes(bytes) else { return };
                self.hear_votes(votes, topic, from, now);
            }
            Topic::Presence => {}
        }
    }

    /// A write is durable, and every one before it.
    pub fn written(&mut self, no: u64, now: u64) {
        while self.pending.front().is_some_and(|pending| pending.no <= no) {
            let Some(pending) = self.pending.pop_front() else { break };
            self.now_durable(&pending.entries);
            self.durable_height = self.durable_height.max(pending.height);
            for then in pending.then {
                self.then(then, now);
            }
            self.outputs.push_back(Output::Event(Event::Changed));
        }
        if !self.bulk.is_empty() {
            self.go_on_by_hash(now);
        }
        // One that waited while much came in.
        self.snapshot_if_due(now);
        self.replace_erased();
    }

    fn then(&mut self, then: Then, now: u64) {
        match then {
            Then::Say(output) => self.outputs.push_back(output),
            Then::Frontier { no, peer, digest, height } => self.answer_frontier(no, peer, digest, height, now),
            Then::Offer => self.sync_all(now),
            Then::Resume(peer) => self.resume(peer, now),
            Then::Forget { floor } => {
                self.forget(floor);
                self.prune();
            }
            Then::LetGo(ids) => self.went(&ids),
            Then::Replaced(ids) => self.replaced(&ids, now),
            Then::Mended => self.mended(),
        }
    }

    /// Bytes taken in that are not durable yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.pending.iter().map(|pending| pending.bytes).sum()
    }

    /// Whether anything is on its way to the disk.
    pub(crate) fn is_writing(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Does something after all that was taken so far is durable: at once, if it is.
    pub(crate) fn once_durable(&mut self, then: Then, now: u64) {
        match self.pending.back_mut() {
            Some(pending) => pending.then.push(then),
            None => self.then(then, now),
        }
    }

    /// Writes entries that are in the DAG already, with records of the same moment; answers the write's number.
    pub(crate) fn write_entries(
        &mut self,
        entries: Vec<EntryId>,
        records: Vec<(String, Option<Vec<u8>>)>,
        then: Vec<Then>,
        now: u64,
    ) -> u64 {
        let log = self.log_items(&entries);
        self.note_unsettled(now);
        self.write(log, records, entries, then, now)
    }

    /// Writes items and records; the entries are the last items of the log.
    pub(crate) fn write(
        &mut self,
        log: Vec<Vec<u8>>,
        records: Vec<(String, Option<Vec<u8>>)>,
        entries: Vec<EntryId>,
        then: Vec<Then>,
        now: u64,
    ) -> u64 {
        let others = log.len().saturating_sub(entries.len());
        for (at, id) in entries.iter().enumerate() {
            let (item, len) = (self.items + (others + at) as u64, log.get(others + at).map_or(0, Vec::len));
            self.history.stored(id, Place::new(item, len));
        }
        self.write_placed(log, records, entries, then, now)
    }

    /// As [`Engine::write`], where it is noted already which items the entries are.
    pub(crate) fn write_placed(
        &mut self,
        log: Vec<Vec<u8>>,
        mut records: Vec<(String, Option<Vec<u8>>)>,
        entries: Vec<EntryId>,
        then: Vec<Then>,
        now: u64,
    ) -> u64 {
        records.extend(self.fresh_keys());
        records.extend(self.erased.records());
        if log.is_empty() && records.is_empty() {
            for one in then {
                self.once_durable(one, now);
            }
            return self.next_no;
        }
        self.next_no += 1;
        let no = self.next_no;
        self.items += log.len() as u64;
        let bytes = log.iter().chain(records.iter().filter_map(|(_, bytes)| bytes.as_ref())).map(Vec::len).sum();
        self.pending.push_back(Pending { no, entries, height: self.chain.height(), bytes, then });
        self.outputs.push_back(Output::Write { no, log, records });
        no
    }

    /// The number of a write that only alters items of the log.
    pub(crate) fn alter_log(&mut self, then: Then) -> u64 {
        self.next_no += 1;
        let no = self.next_no;
        let height = self.durable_height;
        self.pending.push_back(Pending { no, entries: Vec::new(), height, bytes: 0, then: vec![then] });
        no
    }

    fn now_durable(&mut self, ids: &[EntryId]) {
        for id in ids {
            let row = self.history.row_near(id, self.durable);
            if let Some(row) = row.filter(|row| !row.here)
                && let Some(device) = self.history.device_of(row)
            {
                // It was passed: its device's chain has one branch.
                self.frontier.go_on(device, row.seq.into(), *id);
            } else if let Some(packed) = self.dag.get(id) {
                let entry = &packed.signed.entry;
                self.frontier.add(entry.device, entry.seq, entry.prev, *id);
            }
            self.durable += 1;
        }
    }

    /// Whether an entry is durable here.
    pub(crate) fn is_durable(&self, id: &EntryId) -> bool {
        self.history.place(id).is_some_and(|at| at < self.durable)
    }

    /// Another node is known to hold the first `upto` entries of the order durably.
    pub(crate) fn acknowledged(&mut self, upto: usize, now: u64) {
        let sent = self.own.partition_point(|id| self.history.place(id).is_some_and(|at| at < upto));
        if sent > self.sent {
            self.sent = sent;
            self.write(
                Vec::new(),
                vec![(SENT.to_owned(), Some(codec::encode(&(sent as u64))))],
                Vec::new(),
                Vec::new(),
                now,
            );
            self.outputs.push_back(Output::Event(Event::Changed));
        }
    }

    pub(crate) fn log_items(&self, entries: &[EntryId]) -> Vec<Vec<u8>> {
        entries.iter().filter_map(|id| self.dag.get(id)).map(entry_item).collect()
    }
}

pub(crate) const SENT: &str = "sent";
