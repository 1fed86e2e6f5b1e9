//! Joining a long circle without its whole history. A node that holds nothing yet asks a member or a witness for a
//! *snapshot* at a settled header: the way to that header, the state, the hashes of all headers, the cut and each device's
//! first entry. It comes in chunks from one peer; the other sessions wait for it.
//!
//! One given entry would end that, for who holds something no longer joins. So while a snapshot may still come, from a peer
//! that was not compared with yet, a newcomer refuses what is given and takes nothing in; it is asked for afterwards. That
//! ends with the first snapshot, when all have said that they have none, when the circle is short, and after a while.
//!
//! Nothing of it is believed. The header is followed by light chains, from the genesis and from the header that the own
//! invite pins. The state is held to its root, the hashes to the history root, the cut to its hash; where each device
//! stands is read from the state; the first entries bear signatures, and what the state says of their members. What a
//! header commits to nowhere is which branches it settled or passed by that do not count: so where a device has any, no
//! snapshot is given, and a giver that hides one makes the next headers wait here, and no more.
//!
//! A snapshot that does not hold, or that nobody gives, costs nothing but its bytes: the history is taken in whole. The
//! bytes are kept as a record, for whoever has joined so replays its log from there. Older entries are not here; they are
//! asked for when somebody wants to see them (`earlier`).

use crate::engine::{Engine, Peer};
use crate::frontier::Frontier;
use crate::history::{History, Place};
use crate::snapshot::Resumed;
use crate::store::{entry_item, proof_item};
use crate::wire::{ANSWER_BYTES, Answer, Ask, No};
use ledgerno_ledger::bytes::{EntryId, Hash, HeaderHash};
use ledgerno_ledger::check::{self, Checked, Named};
use ledgerno_ledger::codec;
use ledgerno_ledger::dag::{self, Base, Dag};
use ledgerno_ledger::entry::{Anchor, Head, Packed};
use ledgerno_ledger::proof::{LightChain, Link, Pinned};
use ledgerno_ledger::settle::{Chain, Proof, cut_hash};
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_ledger::state::{State, StateKey};
use serde::{Deserialize, Serialize};

/// The record of the snapshot that was joined by.
pub(crate) const RECORD: &str = "joined";
/// The most bytes of a snapshot.
pub(crate) const MAX_SNAPSHOT: usize = 16 * 1024 * 1024;
/// The version of the format.
const VERSION: u8 = 1;
/// A snapshot is given out till it is so many heights old.
const MAX_AGE: u64 = 64;
/// So long a newcomer waits for peers that may have a snapshot, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// For so long it keeps its place from those who pin another header, in milliseconds: each costs the making of another.
const KEPT_MS: u64 = 2_000;

#[derive(Serialize, Deserialize)]
pub(crate) struct Snapshot {
    version: u8,
    /// From the genesis: it leads to the headers where who votes changed, too.
    chain: LightChain,
    /// From the asker's pinned header.
    pinned: Option<LightChain>,
    cut: Vec<Head>,
    /// By height, the circle's id first.
    hashes: Vec<HeaderHash>,
    state: Vec<(StateKey, Vec<u8>)>,
    /// The first entry of each device, sorted by device.
    firsts: Vec<Packed>,
}

/// A snapshot on its way in, and those that are given out.
#[derive(Default)]
pub(crate) struct Joining {
    coming: Option<Coming>,
    /// Who has none: too few heights up to this one, or whatever its height, after it gave none that holds.
    without: SortedMap<Peer, u64>,
    /// Somebody said that there is much to hold.
    is_long: bool,
    /// Till when others are waited for.
    until: Option<u64>,
    /// They were waited for long enough.
    is_late: bool,
    given: Option<Given>,
    /// Till nothing can be joined by any more: what the invite pinned.
    pub pinned: Option<Anchor>,
}

struct Coming {
    by: Peer,
    hash: Hash,
    bytes: Vec<u8>,
    len: usize,
}

struct Given {
    made: u64,
    height: u64,
    pinned: Option<Anchor>,
    hash: Hash,
    bytes: Vec<u8>,
}

fn hash_of(bytes: &[u8]) -> Hash {
    Hash(blake3::hash(bytes).into())
}

impl Joining {
    /// A peer is gone: whether the others need not wait for it any more.
    pub fn part(&mut self, peer: &Peer) -> bool {
        self.without.remove(peer);
        self.coming.take_if(|coming| coming.by == *peer).is_some()
    }

    /// Whether a session waits till another's snapshot came.
    pub fn waits(&self, peer: &Peer) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.by != *peer)
    }
}

impl Engine {
    /// Whether this node may join by a snapshot: it holds nothing, and need not hold all.
    pub(crate) fn is_newcomer(&self) -> bool {
        let holds_nothing = self.history.len() == 0 && self.items == 0 && self.chain.height() == 0;
        holds_nothing && self.opener().is_some() && !self.limits.archive
    }

    /// Whether a peer of this height is asked for a snapshot: nothing is held here, and there is much to hold.
    pub(crate) fn may_join(&self, peer: &Peer, height: u64) -> bool {
        let has_none = self.joining.without.get(peer).is_some_and(|upto| height <= *upto);
        self.is_newcomer() && height >= self.limits.join_from && !has_none
    }

    /// A peer said how many heights it has.
    pub(crate) fn note_height(&mut self, peer: Peer, height: u64) {
        if height >= self.limits.join_from {
            self.joining.is_long = true;
        } else if self.is_newcomer() {
            self.joining.without.insert(peer, height);
        }
    }

    /// Whether nothing is taken in but a snapshot, for one is coming or may come.
    pub(crate) fn awaits_snapshot(&mut self, now: u64) -> bool {
        if !self.is_newcomer() || self.joining.coming.is_some() {
            return self.is_newcomer();
        }
        let Joining { without, is_long, pinned, until, is_late, .. } = &mut self.joining;
        let is_long = *is_long || pinned.is_some_and(|pinned| pinned.height >= self.limits.join_from);
        // Nobody has said yet how long the circle is.
        let is_unknown = without.is_empty();
        let may_come = self.keepers.iter().chain(self.sessions.keys()).any(|peer| !without.contains_key(peer));
        if *is_late || !may_come || !is_long && !is_unknown {
            return false;
        }
        until.get_or_insert(now.saturating_add(PATIENCE_MS));
        true
    }

    /// When a newcomer has waited long enough.
    pub(crate) fn joining_due(&self) -> Option<u64> {
        self.joining.until.filter(|_| self.is_newcomer())
    }

    /// Takes all in from now on, if it was waited long enough.
    pub(crate) fn stop_waiting_to_join(&mut self, now: u64) {
        if self.joining.until.take_if(|until| *until <= now).is_some() {
            self.joining.is_late = true;
            self.go_on_by_hash(now);
        }
    }

    /// The next question for a snapshot; none if it is not asked for any more.
    pub(crate) fn ask_snapshot(&mut self, peer: Peer, height: u64) -> Option<Ask> {
        if !self.may_join(&peer, height) {
            self.joining.coming = None;
            return None;
        }
        let none = || Coming { by: peer, hash: Hash([0; 32]), bytes: Vec::new(), len: 0 };
        let coming = self.joining.coming.get_or_insert_with(none);
        Some(Ask::Snapshot { pinned: self.joining.pinned, hash: coming.hash, at: coming.bytes.len() as u64 })
    }

    /// A peer gives no snapshot, or one that does not hold.
    pub(crate) fn joins_not_by(&mut self, peer: Peer) {
        self.joining.coming.take_if(|coming| coming.by == peer);
        self.joining.without.insert(peer, u64::MAX);
    }

    /// A chunk came; whether more is to be asked for, or `None` if it is not what was asked for.
    pub(crate) fn take_chunk(&mut self, peer: Peer, (hash, len): (Hash, u64), chunk: &[u8], now: u64) -> Option<bool> {
        let coming = self.joining.coming.as_mut().filter(|coming| coming.by == peer)?;
        if coming.bytes.is_empty() {
            (coming.hash, coming.len) = (hash, usize::try_from(len).ok().filter(|len| *len <= MAX_SNAPSHOT)?);
        }
        // A chunk is full, or the last: who gave it byte by byte would keep all others waiting.
        let fits = chunk.len() == ANSWER_BYTES.min(coming.len - coming.bytes.len()) && !chunk.is_empty();
        if coming.hash != hash || coming.len as u64 != len || !fits {
            return None;
        }
        coming.bytes.extend_from_slice(chunk);
        if coming.bytes.len() < coming.len {
            return Some(true);
        }
        let bytes = self.joining.coming.take()?.bytes;
        if hash_of(&bytes) != hash || self.history.len() > 0 || self.items > 0 {
            return None;
        }
        self.join_by(bytes, now)?;
        Some(false)
    }

    /// Goes on from a snapshot that holds.
    fn join_by(&mut self, bytes: Vec<u8>, now: u64) -> Option<()> {
        let (resumed, log) = self.joined(&bytes)?;
        self.take_back(resumed);
        let here: Vec<EntryId> = self.history.rows().iter().map(|row| row.id).collect();
        self.items = 0;
        self.write_placed(log, vec![(RECORD.to_owned(), Some(bytes))], Vec::new(), Vec::new(), now);
        for id in here {
            let Some(entry) = self.dag.get(&id).map(|packed| &packed.signed.entry) else { continue };
            self.compare_anchor(entry.checkpoint, entry.device);
        }
        self.settled_more(now);
        Some(())
    }

    /// Starts where this engine joined; answers how many items of the log that stands for, or `None` if it does not hold.
    pub(crate) fn start_joined(&mut self, bytes: &[u8]) -> Option<u64> {
        let (resumed, log) = self.joined(bytes)?;
        self.take_back(resumed);
        Some(log.len() as u64)
    }

    /// Holds a snapshot to the header that it is of: what it gives, and the items that stand for it in the log.
    fn joined(&self, bytes: &[u8]) -> Option<(Resumed, Vec<Vec<u8>>)> {
        let opener = self.opener()?;
        let snapshot: Snapshot = codec::decode(bytes, MAX_SNAPSHOT).ok()?;
        let Snapshot { version, chain: light, pinned, cut, hashes, state, firsts } = snapshot;
        let trust = light.check(&self.genesis, None).ok()?;
        let same = |chain: &LightChain| {
            let head = chain.check(&self.genesis, self.joining.pinned).ok().map(|trust| trust.head());
            head == Some(trust.head())
        };
        // Once it was joined by, the pinned header is among the hashes.
        let needs_pin = self.joining.pinned.is_some_and(|pinned| pinned.height > 0) && self.items == 0;
        let follows_pin = pinned.as_ref().is_some_and(same);
        let header = trust.header()?.clone();
        if version != VERSION || needs_pin && !follows_pin || cut_hash(&cut) != header.cut_hash {
            return None;
        }
        let state = State::from_records(&self.genesis, header.height, header.time, state).ok()?;
        if state.epochs().iter().any(|epoch| !opener.holds(&epoch.id)) {
            return None;
        }
        let firsts = self.check_firsts(firsts, &state)?;
        let height = header.height;
        let chain = Chain::joined(&self.genesis, header, trust.witnesses().clone(), hashes, state, opener).ok()?;

        let mut proofs: Vec<Proof> = light.links.into_iter().map(proof_of).collect();
        let mut newest = proofs.pop()?;
        newest.cut = cut;
        let mut log: Vec<Vec<u8>> = firsts.iter().map(|first| entry_item(first.packed())).collect();
        let (mut history, mut frontier, mut places) = (History::default(), Frontier::default(), Vec::new());
        let here: Vec<EntryId> = firsts.iter().map(Checked::id).collect();
        for (at, (first, item)) in firsts.iter().zip(&log).enumerate() {
            let (id, device) = (first.id(), first.entry().device);
            let number = history.number_of(device);
            history.add(id, number, 0, 0, true);
            history.stored(&id, Place::new(at as u64, item.len()));
            // Its place among what was settled is not known: this height is not told on.
            history.settle(&id, height, usize::MAX, None);
            let (seq, newest) = chain.state()?.counted(&device)?;
            let heads = vec![Head { device, seq, id: newest }];
            frontier.stand(device, &heads);
            places.push(dag::Place { device, settled: Some(seq), heads, forked: false });
        }
        log.push(proof_item(&newest));
        let header_item = log.len().checked_sub(1).and_then(|at| Some(Place::new(at as u64, log.get(at)?.len())))?;
        (1..height).for_each(|_| history.add_header(Place::default(), 0));
        history.add_header(header_item, newest.checkpoint.header.time);
        let base = Base { places, cut: newest.cut.clone() };
        let kept = firsts.into_iter().map(|first| (first, true));
        let dag = Dag::resume(&self.genesis, self.limits.waiting, base, kept)?;
        let (proofs, turns) = (vec![newest], proofs);
        let items = log.len() as u64;
        Some((Resumed { dag, chain, history, frontier, proofs, turns, items, here, saved: 0 }, log))
    }

    /// The first entry of each device that the state knows: signed, and of the member that the state names.
    fn check_firsts(&self, firsts: Vec<Packed>, state: &State) -> Option<Vec<Checked>> {
        let named = firsts.into_iter().map(|packed| Named::new(self.circle, packed)).collect();
        let firsts: Vec<Checked> = check::check_batch(self.circle, named).into_iter().collect::<Result<_, _>>().ok()?;
        let fits = |(first, (device, seq, id)): (&Checked, (&_, u64, EntryId))| {
            let entry = first.entry();
            let member = entry.admission.as_ref().map(|admission| admission.member);
            let known = state.device(device).is_none_or(|known| Some(known.member) == member);
            entry.device == *device && entry.seq == 0 && known && (seq > 0 || first.id() == id)
        };
        let all = firsts.len() == state.counted_all().count() && firsts.iter().zip(state.counted_all()).all(fits);
        all.then_some(firsts)
    }

    /// A chunk of a snapshot, for who can read it anyway.
    pub(crate) fn give_chunk(
        &mut self,
        peer: Peer,
        (pinned, hash, at): (Option<Anchor>, Hash, u64),
        now: u64,
    ) -> Answer {
        let reads = |state: &State| state.device(&peer).is_none() || state.is_active(&peer);
        if !self.chain.state().is_some_and(reads) || self.keepers.contains(&peer) {
            return Answer::No(No::NotKept);
        }
        if at == 0 {
            let is_fresh = |given: &Given| given.pinned == pinned && given.height + MAX_AGE >= self.chain.height();
            if !self.joining.given.as_ref().is_some_and(is_fresh) {
                if self.joining.given.as_ref().is_some_and(|given| now.saturating_sub(given.made) < KEPT_MS) {
                    return Answer::No(No::Busy);
                }
                // A pin that leads nowhere costs those nothing who are at the one that is held.
                let Some(given) = self.snapshot_to_give(pinned, now) else { return Answer::No(No::NotKept) };
                self.joining.given = Some(given);
            }
        }
        let given = self.joining.given.as_ref().filter(|given| at == 0 || given.hash == hash);
        let Some(Given { hash, bytes, .. }) = given else { return Answer::No(No::NotKept) };
        let chunk = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let chunk = chunk.get(..ANSWER_BYTES).unwrap_or(chunk);
        Answer::Snapshot { hash: *hash, len: bytes.len() as u64, chunk: chunk.to_vec() }
    }

    fn snapshot_to_give(&self, pinned: Option<Anchor>, made: u64) -> Option<Given> {
        let (state, height) = (self.chain.state()?, self.chain.height());
        let newest = self.proofs.last().filter(|_| height == self.given_height() && self.all_is_checked())?;
        let hashes = self.chain.hashes();
        let proofs = || self.turns.iter().chain(&self.proofs);
        let pin = |pinned: &Anchor| pinned.height > 0 && pinned.height < height;
        let start = match pinned.filter(pin) {
            Some(Anchor { height, hash }) if self.chain.hash_at(height) != Some(hash) => return None,
            Some(Anchor { height, .. }) => Some(Pinned {
                header: self.proof_at(height)?.checkpoint.header.clone(),
                witnesses: self.chain.witnesses_at(height + 1)?.clone(),
            }),
            None => None,
        };
        let from_pinned = match start {
            Some(start) => Some(LightChain::new(Some(start), proofs(), hashes)?),
            None => None,
        };
        let mut firsts = Vec::new();
        for (device, seq, newest) in state.counted_all() {
            let [first] = self.dag.at(device, 0) else { return None };
            let is_branch = |head: &Head| head.seq <= seq && head.id != newest;
            if self.dag.settled_seq(device) != Some(seq) || self.dag.heads_of(device).iter().any(is_branch) {
                return None;
            }
            firsts.push(self.dag.get(first)?.clone());
        }
        let snapshot = Snapshot {
            version: VERSION,
            chain: LightChain::new(None, proofs(), hashes)?,
            pinned: from_pinned,
            cut: newest.cut.clone(),
            hashes: hashes.to_vec(),
            state: state.records().collect(),
            firsts,
        };
        let bytes = codec::encode(&snapshot);
        (bytes.len() <= MAX_SNAPSHOT).then(|| Given { made, height, pinned, hash: hash_of(&bytes), bytes })
    }
}

/// What a link settled, without its cut.
fn proof_of(link: Link) -> Proof {
    Proof { checkpoint: link.checkpoint, cut: Vec::new(), witnesses: link.witnesses, renewal: link.renewal }
}
