//! What was before the snapshot that a node joined by, as far back as somebody scrolls. Once all that is here is shown, a
//! peer is asked for the heights before, by the question for settled history (`bulk`). Each header must have the hash that
//! the chain has at its height, the entries must be those of their header, and all signatures must hold. Whoever brings
//! others is asked no more, and another one is; so is one that does not have them.
//!
//! It is shown, and nothing else: it is not taken into the DAG, not folded, stored or given on, and forgotten at the end.
//! What the fold made of it is not known: so posts are shown, and joins and enrolments of devices that the state knows, but
//! neither thanks nor stamps. (Where a device's branches do not all count, no snapshot is given to join by.)

use crate::bulk::{Assigned, Lot};
use crate::engine::{Engine, Event, Output, Peer};
use crate::status::Status;
use crate::store::EntryItem;
use crate::view::{Content, Shown};
use crate::wire::{Answer, No, Settled};
use ledgerno_ledger::bytes::{EntryId, MemberId};
use ledgerno_ledger::check::{self, Checked, Named, Vouched};
use ledgerno_ledger::entry::{Lane, Packed};
use ledgerno_ledger::settle::Proof;
use ledgerno_ledger::sorted::SortedMap;

/// The most heights that are asked for at once.
const HEIGHTS: u64 = 32;
/// The most entries that are shown so, and the most bytes of their texts and of what is gathered.
const MOST: usize = 5_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// So often in a row nothing may come of it that is shown; then no more is asked for.
const MAX_EMPTY: u32 = 8;
/// Who answers nothing so often is asked no more while it stays connected; for what is wrong, at once.
const STRIKES: u8 = 3;

/// See the module.
#[derive(Default)]
pub(crate) struct Earlier {
    /// The height before which nothing has come; 0: nothing has.
    from: u64,
    /// The newest first.
    past: Vec<Past>,
    bytes: usize,
    lot: Option<Lot>,
    /// Too much came of so many heights: so often a quarter of them is asked for.
    quartered: u32,
    /// So often in a row nothing came that is shown.
    empty: u32,
    asked: Option<(u64, Peer)>,
    strikes: SortedMap<Peer, u8>,
}

/// An entry that is shown.
struct Past {
    id: EntryId,
    member: MemberId,
    time: u64,
    height: u64,
    content: Content,
    /// Of an own post, so that it can be erased.
    own: Option<Box<Packed>>,
}

impl Earlier {
    /// A peer is gone, or back: whatever was held against it is forgotten.
    pub fn part(&mut self, peer: &Peer) {
        self.strikes.remove(peer);
    }

    /// Shows an entry as erased; false if it is not shown.
    pub fn erase(&mut self, id: &EntryId) -> bool {
        let shown = self.past.iter_mut().find(|past| past.id == *id && matches!(past.content, Content::Post(_)));
        shown.map(|past| (past.content, past.own) = (Content::Erased, None)).is_some()
    }

    /// An own post that is shown.
    pub fn own(&self, id: &EntryId) -> Option<&Packed> {
        self.past.iter().find(|past| past.id == *id)?.own.as_deref()
    }

    fn strike(&mut self, peer: Peer, strikes: u8) {
        let all = self.strikes.get_or_insert_with(peer, || 0);
        *all = all.saturating_add(strikes);
        self.lot = None;
    }
}

impl Engine {
    /// The height of the header at which this node joined; none if it holds all from the first on.
    pub(crate) fn joined_at(&self) -> Option<u64> {
        self.history.first_header().filter(|first| *first > 1)
    }

    /// Asks for what was before all that is here.
    pub(crate) fn look_earlier(&mut self) {
        let Some(joined) = self.joined_at() else { return };
        let next = if self.earlier.from == 0 { joined } else { self.earlier.from - 1 };
        let Earlier { past, bytes, empty, .. } = &self.earlier;
        let is_full = past.len() >= MOST || *bytes >= MAX_BYTES || *empty >= MAX_EMPTY;
        if next == 0 || is_full || self.earlier.asked.is_some() {
            return;
        }
        let earlier = &mut self.earlier;
        let may_ask = |peer: &Peer| earlier.strikes.get(peer).is_none_or(|strikes| *strikes < STRIKES);
        let Some(peer) = self.sessions.keys().copied().find(may_ask) else { return };
        let heights = (HEIGHTS >> (2 * earlier.quartered).min(8)).max(1);
        let lot = earlier.lot.get_or_insert_with(|| Lot::of((next + 1).saturating_sub(heights).max(1), next));
        if let Assigned::Ask(ask) = lot.ask(peer, next) {
            self.next_ask += 1;
            earlier.asked = Some((self.next_ask, peer));
            self.outputs.push_back(Output::Ask { to: peer, no: self.next_ask, ask });
        }
    }

    /// Whether an answer was to that.
    pub(crate) fn earlier_came(&mut self, no: u64, answer: Option<&Answer>) -> bool {
        let Some((_, peer)) = self.earlier.asked.take_if(|(asked, _)| *asked == no) else { return false };
        let came: &[Settled] = if let Some(Answer::Settled(came)) = answer { came } else { &[] };
        let is_away = matches!(answer, None | Some(Answer::No(No::Busy)));
        let lot = self.earlier.lot.take();
        match lot.and_then(|mut lot| lot.take(came.to_vec(), peer, MAX_BYTES).then_some(lot)) {
            None => self.earlier.strike(peer, if is_away { 1 } else { STRIKES }),
            Some(lot) if lot.bytes() > MAX_BYTES => self.earlier.quartered += 1,
            Some(lot) if lot.is_whole() => self.take_earlier(lot),
            Some(lot) => self.earlier.lot = Some(lot),
        }
        // Whoever shows a list looks again, and asks on.
        self.outputs.push_back(Output::Event(Event::Changed));
        true
    }

    /// Takes heights in that came, from the highest down: all, or none.
    fn take_earlier(&mut self, lot: Lot) {
        let (from, mut held) = (lot.from(), Vec::new());
        for (proof, entries, by) in lot.into_gathered().rev() {
            match self.hold_to_header(&proof, &entries) {
                Some(entries) => held.push((proof.height(), entries)),
                None => return self.earlier.strike(by, STRIKES),
            }
        }
        let before = self.earlier.past.len();
        for (height, entries) in held {
            entries.iter().rev().for_each(|checked| self.pass(height, checked));
        }
        self.earlier.empty = if self.earlier.past.len() > before { 0 } else { self.earlier.empty + 1 };
        self.earlier.from = from;
    }

    /// The entries of a header that is of this chain, if they are these.
    fn hold_to_header(&self, proof: &Proof, entries: &[EntryItem]) -> Option<Vec<Checked>> {
        let header = &proof.checkpoint.header;
        if self.chain.hash_at(header.height) != Some(header.hash()) {
            return None;
        }
        let vouched = Vouched::read(self.circle, header, entries.iter().map(EntryItem::entry)).ok()?;
        if !vouched.iter().all(|(_, packed)| self.has_body_or_word(packed)) {
            return None;
        }
        let named = vouched.iter().map(|(_, packed)| Named::new(self.circle, packed.clone())).collect();
        check::check_batch(self.circle, named).into_iter().collect::<Result<_, _>>().ok()
    }

    /// The next older entry, in settled order.
    fn pass(&mut self, height: u64, checked: &Checked) {
        let (id, entry, packed) = (checked.id(), checked.entry(), checked.packed());
        let device = entry.device;
        let Some(member) = self.dag.admission(&device).map(|admission| admission.member) else { return };
        if packed.erasure.is_some() {
            self.note_before(id);
        }
        let body = packed.body.as_deref().filter(|_| !self.erased.contains(&id));
        let content = self.content(entry, body, &SortedMap::new());
        let is_known = self.chain.state().is_some_and(|state| state.device(&device).is_some());
        let bytes = match &content {
            Content::Post(text) => text.len(),
            Content::Erased => 0,
            Content::Sealed if entry.lane == Lane::Talk => 0,
            Content::Join(_) | Content::Enrol if is_known => 0,
            _ => return,
        };
        let is_own = matches!(content, Content::Post(_)) && Some(member) == self.own_member();
        let own = is_own.then(|| Box::new(packed.clone()));
        self.earlier.bytes += bytes;
        self.earlier.past.push(Past { id, member, time: entry.time, height, content, own });
    }

    /// What is shown of it, the newest first.
    pub(crate) fn earlier<'a>(&'a self, names: &'a SortedMap<MemberId, String>) -> impl Iterator<Item = Shown> + 'a {
        self.earlier.past.iter().map(|past| Shown {
            id: past.id,
            member: past.member,
            name: names.get(&past.member).cloned().unwrap_or_default(),
            mine: Some(past.member) == self.own_member(),
            time: past.time,
            status: Status::of(true, 0, self.shows_settled()),
            seen_by: 0,
            height: Some(past.height),
            void: None,
            content: past.content.clone(),
        })
    }
}
