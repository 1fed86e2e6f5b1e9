//! Taking in the heights that came. Whatever needs no signature is checked before anything is taken: that the header is the
//! next and its votes hold, that the entries are those and in that order, their form and bodies, that they build on what is
//! here, and with keys the state's root. So a height comes in whole, or not at all.
//!
//! Heights that follow on each other are checked as a run where they hold together (`ledgerno_ledger::settle`): their votes at
//! once, the roots at its end. Else one by one. Old talk among them passes the DAG: it is in the store alone.

use super::Gathered;
use crate::engine::{Engine, Peer};
use crate::history::Place;
use crate::store::{EntryItem, entry_item, proof_item};
use crate::wire::ANSWER_BYTES;
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::check::{self, Named, Vouched};
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::settle::{Block, Proof, Refusal};

/// A height that was checked, with the order in which its entries are taken.
struct Height {
    entries: Vouched,
    order: Vec<usize>,
    block: Block,
}

/// Why a height was not taken in by hash.
enum Fault {
    /// It is not what the witnesses settled: whoever brought it lies.
    Wrong,
    /// It may be right, and is taken in the ordinary way.
    Unfit,
}

/// What is written together.
#[derive(Default)]
struct Batch {
    log: Vec<Vec<u8>>,
    bytes: usize,
    entries: Vec<EntryId>,
}

impl Batch {
    fn push(&mut self, item: Vec<u8>) {
        self.bytes += item.len();
        self.log.push(item);
    }
}

impl Engine {
    /// Settles all that is here.
    pub(super) fn settle_gathered(&mut self, now: u64) {
        let mut batch = Batch::default();
        self.dag.mark_later();
        while self.in_flight() + batch.bytes < self.limits.in_flight
            && !self.unchecked.is_full()
            && !self.unvoted.is_full()
        {
            let Some(run) = self.next_run() else { break };
            let Some(by) = run.first().map(|one| one.by) else { break };
            match self.settle_run(run, &mut batch, now) {
                Ok(()) => {}
                Err(Fault::Wrong) => {
                    // What came after it was to follow it.
                    self.bulk.drop_first();
                    self.bulk.bar(by);
                }
                Err(Fault::Unfit) => self.leave_to_ordinary(),
            }
            if batch.bytes >= ANSWER_BYTES {
                self.dag.mark_now();
                self.write_settled(std::mem::take(&mut batch), now);
                self.dag.mark_later();
            }
        }
        self.dag.mark_now();
        self.write_settled(batch, now);
    }

    /// The next heights that are here whole: as many as may be a run, or one.
    fn next_run(&mut self) -> Option<Vec<Gathered>> {
        let height = self.chain.height();
        self.bulk.skip_settled(height);
        let most = self.bulk.longest_run(height);
        let lot = self.bulk.lots.front_mut().filter(|lot| lot.is_ready())?;
        let mut bytes = 0;
        let whole = lot.gathered.iter().take(most).take_while(|one| {
            let has_room = bytes < ANSWER_BYTES;
            bytes += one.bytes;
            has_room && one.is_whole()
        });
        let run = self.chain.longest_run(whole.map(|one| &*one.proof)).max(1);
        Some(lot.gathered.drain(..run).collect())
    }

    /// Settles the next heights, all of them; where something of several does not hold, the first alone, or nothing. The
    /// others are put back.
    fn settle_run(&mut self, mut run: Vec<Gathered>, batch: &mut Batch, now: u64) -> Result<(), Fault> {
        let mut blocks = if run.len() > 1 { self.check_heights(&run, now) } else { None };
        if let (Some(_), Some((_newest, others))) = (&blocks, run.split_last()) {
            others.iter().for_each(|one| self.unvoted.add(one.proof.height(), one.by));
            self.unchecked.wake(now);
        }
        if blocks.is_none() {
            self.bulk.is_no_run(self.chain.height(), run.len());
            let rest = run.split_off(1);
            if let Some(lot) = self.bulk.lots.front_mut() {
                rest.into_iter().rev().for_each(|one| lot.gathered.push_front(one));
            }
        }
        if blocks.is_none()
            && let Some(first) = run.first()
        {
            blocks = Some(self.check_height(first, now)?);
        }
        self.bulk.lots.iter_mut().take(1).for_each(|lot| lot.from += run.len() as u64);
        for (one, checked) in run.into_iter().zip(blocks.into_iter().flatten()) {
            self.take_height(one, checked, batch, now);
        }
        Ok(())
    }

    /// Everybody connected now is asked in the ordinary way.
    fn leave_to_ordinary(&mut self) {
        self.bulk.lots.clear();
        self.bulk.next = 0;
        let peers: Vec<Peer> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.bulk.barred.insert(peer, ());
        }
    }

    /// Checks several heights as a run; `None` if something of it does not hold.
    fn check_heights(&self, run: &[Gathered], now: u64) -> Option<Vec<Height>> {
        let mut entries: Vec<Vouched> = Vec::with_capacity(run.len());
        for one in run {
            entries.push(self.read_height(one, &entries)?);
        }
        let count: usize = entries.iter().map(Vouched::len).sum();
        if self.history.len() + count > self.limits.entries {
            return None;
        }
        let proofs = || run.iter().map(|one| &*one.proof);
        let pairs: Vec<(&Proof, &Vouched)> = proofs().zip(&entries).collect();
        let blocks = self.chain.check_run(&pairs, self.opener(), now)?;
        let cuts: Vec<(&Vouched, &[Head])> = entries.iter().zip(proofs().map(|proof| &proof.cut[..])).collect();
        let orders = self.dag.plan(&cuts)?;
        let heights = entries.into_iter().zip(orders).zip(blocks);
        Some(heights.map(|((entries, order), block)| Height { entries, order, block }).collect())
    }

    /// Checks one height.
    fn check_height(&mut self, one: &Gathered, now: u64) -> Result<Vec<Height>, Fault> {
        let proof = &*one.proof;
        if self.history.len() + one.entries.len() > self.limits.entries {
            return Err(Fault::Unfit);
        }
        let voted = match self.chain.check_votes(proof) {
            Ok(voted) => voted,
            Err(why) => return Err(self.refused_by_hash(proof, why, one.by)),
        };
        let entries = self.read_height(one, &[]).ok_or(Fault::Wrong)?;
        let block = match self.chain.check_vouched(&voted, &entries, self.opener(), now) {
            Ok(block) => block,
            Err(why) => return Err(self.refused_by_hash(proof, why, one.by)),
        };
        let mut orders = self.dag.plan(&[(&entries, &proof.cut[..])]).ok_or(Fault::Unfit)?;
        let order = orders.pop().unwrap_or_default();
        Ok(vec![Height { entries, order, block }])
    }

    /// A height's entries after those before it, if they are those of the header and such as are taken. Who erased what has
    /// no body is checked at once: else it would be a way to hide it.
    fn read_height(&self, one: &Gathered, before: &[Vouched]) -> Option<Vouched> {
        let items = one.entries.iter().map(EntryItem::entry);
        let entries = Vouched::read(self.circle, &one.proof.checkpoint.header, items).ok()?;
        let (limit, mut bare) = (self.body_limit(), Vec::new());
        let fits = entries.iter().all(|(_, packed)| {
            if packed.body.is_none() {
                bare.push(Named::new(self.circle, packed.clone()));
            }
            let is_whole = packed.body.is_some() || self.may_be_bare(packed, before, &entries);
            is_whole && packed.signed.entry.body_len <= limit
        });
        let holds = fits && check::check_batch(self.circle, bare).iter().all(Result::is_ok);
        holds.then_some(entries)
    }

    /// Whether an entry was erased by who may, be it that its device is admitted among these.
    fn may_be_bare(&self, packed: &Packed, before: &[Vouched], last: &Vouched) -> bool {
        let Some(erasure) = &packed.erasure else { return false };
        let device = packed.signed.entry.device;
        let admits = |(_, packed): (EntryId, &Packed)| {
            let entry = &packed.signed.entry;
            entry.device == device && entry.admission.as_ref().is_some_and(|one| Some(one.member) == erasure.by)
        };
        self.dag.may_erase(packed) || before.iter().chain([last]).any(|entries| entries.iter().any(admits))
    }

    /// Takes one height in that was checked.
    fn take_height(&mut self, one: Gathered, height: Height, batch: &mut Batch, now: u64) {
        let Height { mut entries, order, block } = height;
        let (proof, mut items) = (*one.proof, one.entries);
        let is_old = (self.history.len() + items.len()).saturating_add(self.limits.window) <= self.bulk.awaited;
        let mut taken = Vec::with_capacity(items.len());
        for came in self.dag.take_vouched(&mut entries, &order, is_old) {
            let passed = came.at.filter(|_| came.passed).and_then(|at| entries.get(at));
            match passed {
                Some(checked) => {
                    self.passed(came.id, checked.entry());
                    if checked.packed().erasure.is_some() {
                        self.erased.note(came.id, None);
                    }
                }
                None if self.took(&[came.id]).is_empty() => continue,
                None => self.watch_for_twins(&[came.id]),
            }
            taken.push(came.id);
            if !came.checked {
                self.unchecked.add(self.history.len() - 1, now);
            }
            match came.at.and_then(|at| items.get_mut(at)) {
                // What had waited is here as it came then.
                Some(item) if !came.checked => self.log_item(batch, &came.id, std::mem::take(item).into_bytes()),
                _ => self.log(batch, &[came.id]),
            }
        }
        batch.entries.extend(&taken);
        let item = proof_item(&proof);
        let place = Place::new(self.items + batch.log.len() as u64, item.len());
        self.history.add_header(place, proof.checkpoint.header.time);
        batch.push(item);
        let woken = self.adopt(block, proof);
        let woken = self.took(&woken);
        self.log(batch, &woken);
        batch.entries.extend(&woken);
    }

    /// What to think of a header that does not hold, or of who brought it.
    fn refused_by_hash(&mut self, proof: &Proof, why: Refusal, by: Peer) -> Fault {
        match why {
            Refusal::Missing(_) | Refusal::NoBody(_) => Fault::Unfit,
            // The ordinary way says it, if it comes again.
            Refusal::Known(_) | Refusal::Ahead(_) | Refusal::Void(_) => Fault::Wrong,
            why => {
                self.refuse(proof.height(), why, by);
                Fault::Wrong
            }
        }
    }

    fn log(&mut self, batch: &mut Batch, taken: &[EntryId]) {
        for id in taken {
            let Some(item) = self.dag.get(id).map(entry_item) else { continue };
            self.log_item(batch, id, item);
        }
    }

    fn log_item(&mut self, batch: &mut Batch, id: &EntryId, item: Vec<u8>) {
        self.history.stored(id, Place::new(self.items + batch.log.len() as u64, item.len()));
        batch.push(item);
    }

    fn write_settled(&mut self, batch: Batch, now: u64) {
        if batch.log.is_empty() {
            return;
        }
        let mut records = self.spent_votes();
        records.extend([self.unchecked.record(), self.unvoted.record()]);
        self.write_placed(batch.log, records, batch.entries, Vec::new(), now);
        self.settled_more(now);
        self.retry_awaited(now);
        self.notarize_proposed(now);
        self.settle_certified(now);
    }
}
