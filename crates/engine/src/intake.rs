//! Entries that come in: each is checked by itself and in company, taken into the DAG, and written before anything is
//! said of it.

use crate::engine::{Engine, Event, Output, Then};
use ledgerno_ledger::bytes::{DeviceId, EntryId, InviteKey};
use ledgerno_ledger::check::{self, Checked, Named, Refused};
use ledgerno_ledger::dag::Outcome;
use ledgerno_ledger::entry::{Anchor, Entry, Head, Invite, Lane, Packed};

/// What became of entries that came in.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// Taken into the DAG now, in order; some had waited.
    pub taken: Vec<EntryId>,
    /// Held before, and erased now.
    pub erased: Vec<EntryId>,
    /// Held now, new or not.
    pub held: u32,
    /// Waiting for ancestors.
    pub waiting: u32,
    /// Refused: wrong, or no room.
    pub refused: u32,
}

/// What is remembered of an entry.
struct Facts {
    device: DeviceId,
    /// The device's number in the history, if anything of it is there.
    number: Option<u32>,
    seq: u64,
    /// Its distance from the genesis.
    rank: u32,
    time: u64,
    anchor: Anchor,
    /// By which its device came.
    invite: Option<InviteKey>,
    is_state: bool,
}

impl Engine {
    /// Takes entries from outside, in order: each is checked, taken into the DAG and written; `then` is done once all is
    /// durable.
    pub(crate) fn take(&mut self, entries: Vec<Packed>, then: Vec<Then>, now: u64) -> Intake {
        let mut intake = Intake::default();
        let room = self.in_flight() < self.limits.in_flight && !self.awaits_snapshot(now);
        let (mut new, mut erased) = (Vec::new(), Vec::new());
        for packed in entries {
            let named = Named::new(self.circle, packed);
            let is_held = self.history.contains(&named.id());
            if is_held || self.is_erased_before(named.packed()) {
                *if is_held { &mut intake.held } else { &mut intake.refused } += 1;
                if room && named.packed().erasure.is_some() && !self.erased.contains(&named.id()) {
                    erased.push(named);
                }
            } else if room && self.history.len() + new.len() < self.limits.entries {
                new.push(named);
            } else {
                intake.refused += 1;
            }
        }
        let mut taken = Vec::new();
        let waited = self.dag.waiting();
        self.dag.mark_later();
        for checked in check::check_batch(self.circle, new) {
            match checked.and_then(|checked| self.insert(checked)) {
                Ok(Outcome::Taken(ids)) => taken.extend(ids),
                Ok(Outcome::Held) => intake.held += 1,
                Ok(Outcome::Waiting { .. }) => intake.waiting += 1,
                Err(_) => intake.refused += 1,
            }
        }
        self.dag.mark_now();
        let taken = self.took(&taken);
        intake.held += taken.len() as u32;
        self.watch_for_twins(&taken);
        for checked in check::check_batch(self.circle, erased).into_iter().flatten() {
            let id = checked.id();
            if self.erase_known(checked) {
                intake.erased.push(id);
            }
        }
        self.write_entries(taken.clone(), Vec::new(), then, now);
        intake.taken = taken;
        // A branch that is held back comes to wait, and the header that names it lets it in.
        if !intake.taken.is_empty() || self.dag.waiting() > waited {
            self.retry_awaited(now);
            self.notarize_proposed(now);
            self.settle_certified(now);
        }
        intake
    }

    fn insert(&mut self, checked: Checked) -> Result<Outcome, Refused> {
        let entry = checked.entry();
        // Whoever leaves a body out that is not erased hides it from us.
        if checked.packed().body.is_none() && checked.packed().erasure.is_none() {
            return Err(Refused::BodyMissing);
        }
        if entry.body_len > self.body_limit() && !self.awaits_certified() {
            return Err(Refused::BodyTooLong(entry.body_len.into()));
        }
        if let Some(invited) = entry.admission.as_ref().and_then(|admission| admission.invited.as_ref()) {
            // Uses are counted by the settlement; here is only a bound, so that a leaked link can not flood the circle.
            // Who came first is seen differently by each node, so what the witnesses settled goes over it.
            let bound = invited.invite.uses.saturating_add(self.rules().unsettled_joins);
            if self.used(&invited.invite) >= bound && !self.awaits_certified() {
                return Err(Refused::InviteUsedUp);
            }
        }
        self.dag.insert(checked)
    }

    /// The longest body that is taken. The rules in force bind who writes; a smaller limit is not held against what was
    /// written under the genesis's, or nodes that settled different heights would not take the same.
    pub(crate) fn body_limit(&self) -> u32 {
        self.genesis.rules.body_limit.max(self.rules().body_limit)
    }

    /// How many devices an invite admitted.
    pub(crate) fn used(&self, invite: &Invite) -> u32 {
        self.invited.get(&invite.key).copied().unwrap_or(0)
    }

    /// Remembers what the DAG took; returns what is new of it, each once, as the log must have it.
    pub(crate) fn took(&mut self, ids: &[EntryId]) -> Vec<EntryId> {
        let mut new = Vec::with_capacity(ids.len());
        for id in ids {
            if self.history.contains(id) {
                continue;
            }
            let Some(packed) = self.dag.get(id) else { continue };
            let (facts, is_erased) = (self.facts(&packed.signed.entry), packed.erasure.is_some());
            new.push(*id);
            if is_erased {
                self.erased.note(*id, None);
            }
            self.timeline.add(*id, self.history.len(), facts.rank, facts.time);
            self.note_taken(*id, &facts, true);
            if facts.is_state {
                self.look_for_keys(*id);
            }
        }
        new
    }

    /// Remembers an entry that the DAG passed: it is in the store alone.
    pub(crate) fn passed(&mut self, id: EntryId, entry: &Entry) {
        let facts = self.facts(entry);
        self.note_taken(id, &facts, false);
        self.watch_for_twin(id, facts.device);
    }

    #[cfg_attr(page, optimize(speed))]
    fn facts(&self, entry: &Entry) -> Facts {
        let prev = self.history.row(&entry.prev);
        let rank_of = |head: &Head| self.history.row(&head.id).map_or(0, |row| row.rank);
        let rank = entry.approves.iter().map(rank_of).fold(prev.map_or(0, |row| row.rank), u32::max);
        let invited = entry.admission.as_ref().and_then(|admission| admission.invited.as_ref());
        Facts {
            device: entry.device,
            number: prev.map(|row| row.device),
            seq: entry.seq,
            rank: rank.saturating_add(1),
            time: entry.time,
            anchor: entry.checkpoint,
            invite: invited.map(|invited| invited.invite.key),
            is_state: entry.lane == Lane::State,
        }
    }

    fn note_taken(&mut self, id: EntryId, facts: &Facts, here: bool) {
        self.guests.remove(&facts.device);
        if let Some(invite) = facts.invite {
            *self.invited.entry(invite).or_default() += 1;
        }
        if Some(facts.device) == self.device() && facts.seq as usize == self.own.len() {
            self.own.push(id);
        }
        let number = facts.number.unwrap_or_else(|| self.history.number_of(facts.device));
        self.history.add(id, number, facts.seq, facts.rank, here);
        self.compare_anchor(facts.anchor, facts.device);
    }

    /// Says which of these, which were taken, are of the own device: they came from elsewhere.
    pub(crate) fn watch_for_twins(&mut self, ids: &[EntryId]) {
        for id in ids {
            if let Some((device, _)) = self.history.author(id) {
                self.watch_for_twin(*id, device);
            }
        }
    }

    fn watch_for_twin(&mut self, id: EntryId, device: DeviceId) {
        if Some(device) == self.device() {
            self.outputs.push_back(Output::Event(Event::Twin { id }));
        }
    }
}
