//! What needs authority: the founder does it at once; who else proposes it opens a *motion*, which is carried as soon as
//! more than half of the members are for it.
//!
//! A member has one open motion at most, and it lapses after 30 days. Where a member is removed, others' motions that most of
//! those who stay are for are carried with it, as far as they hold. When it is carried it is judged by the state as it is
//! then: if it does not hold any more, the consent that would have carried it is void and says why.

use super::{State, VoidReason};
use crate::bytes::{EntryId, MemberId};
use crate::op::Change;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How long a motion stays open, in milliseconds.
pub const MOTION_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A proposal that is not carried yet. It is named by the entry that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Motion {
    /// Who made it.
    pub by: MemberId,
    /// What is proposed.
    pub change: Change,
    /// The time of the header that settled it, in milliseconds since 1970.
    pub time: u64,
    /// Who is for it, sorted, its author too.
    pub consents: Vec<MemberId>,
}

impl State {
    pub(super) fn propose(&mut self, id: EntryId, by: MemberId, change: Change) -> Result<(), VoidReason> {
        let consents = alloc::vec![by];
        if by == self.founder || self.is_majority(&consents) {
            return self.carry(id, &change);
        }
        self.motions.retain(|_, motion| motion.by != by);
        self.motions.insert(id, Motion { by, change, time: self.time, consents });
        Ok(())
    }

    pub(super) fn consent(&mut self, by: MemberId, id: EntryId) -> Result<(), VoidReason> {
        let motion = self.motions.get(&id).ok_or(VoidReason::Unknown)?;
        let at = match motion.consents.binary_search(&by) {
            Ok(_) => return Err(VoidReason::Already),
            Err(at) => at,
        };
        let mut consents = motion.consents.clone();
        consents.insert(at, by);
        if by == self.founder || self.is_majority(&consents) {
            let change = motion.change.clone();
            self.carry(id, &change)?;
            self.motions.remove(&id);
        } else if let Some(motion) = self.motions.get_mut(&id) {
            motion.consents = consents;
        }
        Ok(())
    }

    fn is_majority(&self, consents: &[MemberId]) -> bool {
        let members = self.members.values().filter(|member| member.removed.is_none()).count();
        let for_it = consents.iter().filter(|member| self.is_member(member)).count();
        for_it > members / 2
    }

    fn carry(&mut self, id: EntryId, change: &Change) -> Result<(), VoidReason> {
        match change {
            Change::Config(rules) => {
                if !rules.are_in_range() {
                    return Err(VoidReason::OutOfRange);
                }
                self.rules = rules.clone();
                self.reweigh();
                Ok(())
            }
            Change::Remove { member, epoch } => {
                if !self.is_member(member) {
                    return Err(VoidReason::Unknown);
                }
                if *member == self.founder {
                    return Err(VoidReason::NotAllowed);
                }
                self.start_epoch(id, epoch, Some(*member))?;
                self.carry_ripe();
                Ok(())
            }
            Change::Witnesses { promote, demote } => self.change_witnesses(promote, demote),
        }
    }

    /// Carries the motions that more than half are for now that there are fewer. Another removal is not among them: an epoch
    /// has just begun.
    fn carry_ripe(&mut self) {
        let is_ripe =
            |motion: &Motion| !matches!(motion.change, Change::Remove { .. }) && self.is_majority(&motion.consents);
        let ripe: Vec<(EntryId, Change)> = self
            .motions
            .iter()
            .filter(|(_, motion)| is_ripe(motion))
            .map(|(id, motion)| (*id, motion.change.clone()))
            .collect();
        for (id, change) in ripe {
            if self.carry(id, &change).is_ok() {
                self.motions.remove(&id);
            }
        }
    }

    pub(super) fn drop_old_motions(&mut self) {
        let now = self.time;
        self.motions.retain(|_, motion| motion.time.saturating_add(MOTION_MS) >= now);
    }

    /// The open motions, by the entries that made them.
    pub fn motions(&self) -> impl Iterator<Item = (&EntryId, &Motion)> + '_ {
        self.motions.iter()
    }

    /// Who founded the circle.
    pub fn founder(&self) -> MemberId {
        self.founder
    }
}
