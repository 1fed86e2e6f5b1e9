//! Letting go. A *light* node empties in its log what is settled and older than the circle's retention, or than its own if it
//! is given one, once an *archive* holds it: a relay that this device chose, and that says that it keeps everything for
//! everybody. So nothing is let go on a stranger's word, nor what nobody else keeps; a witness keeps entries and state
//! bodies just as long.
//!
//! What stays at any age: the newest items of the log, which a store could not empty yet; what is not settled, each device's first entry, what the own member wrote or stands for (a stamp
//! that it vouched for) and what was settled with it, for a proof needs that; and all headers. State and roots rest on a
//! snapshot, never on what is let go: it goes only when a durable snapshot stands for it. Its rows stay, so that it is
//! known what an archive is to be asked for; what comes back is shown and not kept.
//!
//! An archive lets nothing go.

use crate::engine::{Engine, Output, Peer, Then};
use crate::wire::{Answer, Ask};
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::check::{self, Checked, Named};
use ledgerno_ledger::entry::Packed;

/// The most entries that are let go at once.
const MOST: usize = 5_000;
/// The most entries that an archive is asked for at once.
pub(crate) const MOST_ASKED: usize = 200;
const DAY_MS: u64 = 24 * 3_600_000;

/// What an archive is being asked for.
pub(crate) struct Fetching {
    no: u64,
    from: Peer,
    ids: Vec<EntryId>,
}

impl Engine {
    /// Whether this node holds all that was ever settled, and will.
    pub(crate) fn is_archive(&self) -> bool {
        self.limits.archive && self.history.gone() == 0 && self.joined_at().is_none()
    }

    /// An archive says that it holds the first `upto` entries of the order.
    pub(crate) fn archived(&mut self, by: Peer, upto: usize) {
        if self.keepers.contains(&by) {
            self.archived = self.archived.max(upto);
            if self.archives.insert(by, ()).is_none() {
                // What was old before it said so, or before this device was told to keep less.
                self.prune();
            }
        }
    }

    /// How many entries are kept by an archive and no longer here.
    pub fn let_go(&self) -> usize {
        self.history.gone()
    }

    /// How many of these are not in memory either: they can not be shown before they were fetched.
    pub fn kept_elsewhere(&self) -> usize {
        if self.let_go() == 0 { 0 } else { self.history.rows().iter().filter(|row| row.gone && !row.here).count() }
    }

    /// Lets go of what is old and for which a durable snapshot stands.
    pub(crate) fn prune(&mut self) {
        let Some(age) = self.retention().filter(|_| !self.limits.archive && self.conflict.is_none()) else { return };
        let old = self.history.settled_before(age);
        let floor = self.saved.min(self.archived).min(self.history.len());
        let stays = self.own_heights();
        let packed = self.items.saturating_sub(self.limits.loose);
        let (mut items, mut ids) = (Vec::new(), Vec::new());
        for row in &self.history.rows()[..floor] {
            let is_old =
                row.settled_height().is_some_and(|height| height <= old && stays.binary_search(&height).is_err());
            let is_free = row.seq > 0 && self.may_give(&row.id) && !self.epochs.waits_for(&row.id);
            if is_old && is_free && !row.gone && u64::from(row.place.item) < packed && items.len() < MOST {
                items.push(u64::from(row.place.item));
                ids.push(row.id);
            }
        }
        if !items.is_empty() {
            items.sort_unstable();
            let no = self.alter_log(Then::LetGo(ids));
            let by = vec![Vec::new(); items.len()];
            self.outputs.push_back(Output::Replace { no, items, by });
        }
    }

    /// How old what is settled grows here, in milliseconds; none if it is kept for ever.
    fn retention(&self) -> Option<u64> {
        let days = u64::from(self.rules().retention_days);
        self.limits.retention.or((days > 0).then(|| days.saturating_mul(DAY_MS)))
    }

    /// The heights at which something was settled that the own member needs, sorted.
    fn own_heights(&self) -> Vec<u64> {
        let Some(own) = self.own_member() else { return Vec::new() };
        let devices = self.history.devices().iter();
        let devices =
            devices.filter(|device| self.dag.admission(device).is_some_and(|admission| admission.member == own));
        let mut heights: Vec<u64> =
            devices.flat_map(|device| self.history.of(device)).filter_map(|(_, row)| row.settled_height()).collect();
        let stamps = self.chain.state().into_iter().flat_map(|state| state.stamps());
        let vouched = stamps.filter(|(_, stamped)| stamped.vouched.iter().any(|vouched| vouched.member == own));
        heights.extend(vouched.map(|(_, stamped)| stamped.height));
        heights.sort_unstable();
        heights.dedup();
        heights
    }

    /// What was let go is no longer in the log.
    pub(crate) fn went(&mut self, ids: &[EntryId]) {
        for id in ids {
            self.history.let_go(id);
        }
    }

    /// Asks an archive for entries that were let go; false if none can be asked now.
    pub(crate) fn fetch(&mut self, mut ids: Vec<EntryId>) -> bool {
        let Some(from) = self.archives.keys().copied().find(|peer| self.sessions.contains_key(peer)) else {
            return false;
        };
        ids.truncate(MOST_ASKED);
        self.next_ask += 1;
        let no = self.next_ask;
        self.outputs.push_back(Output::Ask { to: from, no, ask: Ask::Entries(ids.clone()) });
        self.fetching = Some(Fetching { no, from, ids });
        true
    }

    /// Whether an answer was an archive's to what it was asked for. Nothing of it is believed: each entry must be one that
    /// was asked for, and hold.
    pub(crate) fn fetched(&mut self, no: u64, answer: Option<&Answer>) -> bool {
        let Some(Fetching { from, ids, .. }) = self.fetching.take_if(|fetching| fetching.no == no) else {
            return false;
        };
        let entries: &[Packed] = if let Some(Answer::Entries { entries, .. }) = answer { entries } else { &[] };
        let named = entries.iter().take(ids.len()).map(|packed| Named::new(self.circle, packed.clone()));
        let wanted = named.filter(|named| ids.contains(&named.id()));
        let wanted = wanted.filter(|named| self.has_body_or_word(named.packed())).collect();
        let held = check::check_batch(self.circle, wanted).into_iter().filter_map(Result::ok);
        let held: Vec<(EntryId, Packed)> = held.map(|checked| (checked.id(), Checked::into_packed(checked))).collect();
        for (id, _) in held.iter().filter(|(_, packed)| packed.erasure.is_some()) {
            self.erased.note(*id, None);
        }
        let held = held.into_iter().map(|(id, packed)| (id, self.erased.apply(&id, packed))).collect::<Vec<_>>();
        if held.is_empty() {
            // Until it says anew that it is one.
            self.archives.remove(&from);
        }
        self.remember(held);
        true
    }
}
