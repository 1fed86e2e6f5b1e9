//! Points: a grant on joining; a weekly allowance to give, which accrues up to four weeks; a weekly pot shared by the
//! proposers of headers that hold other members' entries.
//!
//! The allowance lies in a member's *purse*, which can only be given away. It is counted when its owner gives: what
//! nobody uses is never written. Thanks are taken from the purse first. Of the pot each such header earns its proposer
//! an equal share, but at most a twentieth, so that a week with one header does not pay for it alone; the rest
//! lapses. It is shared when the first header of a later week is settled. Weeks and days are the circle's own: they
//! count from its genesis, by the settling header's time.

use super::{State, VoidReason};
use crate::bytes::{DeviceId, MemberId};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A day in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A week in milliseconds.
pub const WEEK_MS: u64 = 7 * DAY_MS;
/// For how many weeks the allowance accrues.
pub const ACCRUED_WEEKS: u64 = 4;
/// Over how many days thanks are ranked beside those in all.
pub const RANKED_DAYS: u64 = 30;
/// Into at least how many parts the pot is shared.
pub const REWARD_PARTS: u64 = 20;

/// Where all points come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// On joining.
    pub granted: u64,
    /// By the week, to give.
    pub allowed: u64,
    /// For settling.
    pub rewarded: u64,
}

/// Who has a part in a week's pot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pot {
    /// The week of the circle.
    pub week: u64,
    /// Members by how many headers they proposed in it that held others' entries; sorted.
    pub parts: Vec<(MemberId, u64)>,
}

impl State {
    /// The week of the circle.
    pub(super) fn week(&self) -> u64 {
        self.week_at(self.time)
    }

    fn week_at(&self, time: u64) -> u64 {
        time.saturating_sub(self.created) / WEEK_MS
    }

    fn day_at(&self, time: u64) -> u64 {
        time.saturating_sub(self.created) / DAY_MS
    }

    /// What has come into a purse since it was last counted.
    fn accrued(&self, purse: u64, purse_week: u64, week: u64) -> u64 {
        let weeks = week.saturating_sub(purse_week).min(ACCRUED_WEEKS);
        let most = self.rules.allowance.saturating_mul(ACCRUED_WEEKS);
        self.rules.allowance.saturating_mul(weeks).min(most.saturating_sub(purse))
    }

    pub(super) fn transfer(&mut self, from: MemberId, to: MemberId, amount: u64) -> Result<(), VoidReason> {
        if amount == 0 {
            return Err(VoidReason::AmountZero);
        }
        if from == to {
            return Err(VoidReason::NotAllowed);
        }
        let receiver = self.members.get(&to).filter(|member| member.removed.is_none());
        let received = receiver.ok_or(VoidReason::UnknownReceiver)?.balance.checked_add(amount);
        let received = received.ok_or(VoidReason::OutOfRange)?;
        let giver = self.members.get(&from).ok_or(VoidReason::NotMember)?;
        let week = self.week();
        let accrued = self.accrued(giver.purse, giver.purse_week, week);
        let allowed = self.totals.allowed.checked_add(accrued).ok_or(VoidReason::OutOfRange)?;
        let purse = giver.purse.checked_add(accrued).ok_or(VoidReason::OutOfRange)?;
        let from_purse = purse.min(amount);
        let balance = giver.balance.checked_sub(amount - from_purse).ok_or(VoidReason::BalanceTooLow)?;

        let today = self.day_at(self.time);
        self.totals.allowed = allowed;
        if let Some(giver) = self.members.get_mut(&from) {
            giver.balance = balance;
            giver.purse = purse - from_purse;
            giver.purse_week = giver.purse_week.max(week);
        }
        if let Some(receiver) = self.members.get_mut(&to) {
            receiver.balance = received;
            receiver.thanked = receiver.thanked.saturating_add(amount);
            let days = &mut receiver.thanked_days;
            days.retain(|(day, _)| day.saturating_add(RANKED_DAYS) > today);
            match days.last_mut() {
                Some((day, thanked)) if *day == today => *thanked = thanked.saturating_add(amount),
                _ => days.push((today, amount)),
            }
        }
        Ok(())
    }

    /// Notes that a counted entry of another member than the proposer's is in the header; who was removed is none.
    pub(super) fn note_served(&mut self, author: &DeviceId) {
        if self.serves_others {
            return;
        }
        let of = |device| self.devices.get(device).map(|device| device.member);
        let member = of(author).filter(|member| self.is_member(member));
        self.serves_others = member.is_some() && member != of(&self.proposer);
    }

    /// The proposer has earned a part.
    pub(super) fn note_proposer(&mut self) {
        let Ok(member) = self.actor(&self.proposer) else { return };
        let parts = &mut self.pot.parts;
        match parts.binary_search_by_key(&member, |(member, _)| *member) {
            Ok(at) => parts[at].1 = parts[at].1.saturating_add(1),
            Err(at) => parts.insert(at, (member, 1)),
        }
    }

    /// Shares the pot of a week that is over.
    pub(super) fn share_pot(&mut self) {
        let week = self.week();
        if week <= self.pot.week {
            return;
        }
        let Pot { parts, .. } = core::mem::replace(&mut self.pot, Pot { week, parts: Vec::new() });
        let all = parts.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count)).max(REWARD_PARTS);
        for (member, count) in parts {
            let reward = (u128::from(self.rules.reward) * u128::from(count) / u128::from(all)) as u64;
            let (Some(member), Some(rewarded)) =
                (self.members.get_mut(&member), self.totals.rewarded.checked_add(reward))
            else {
                continue;
            };
            let Some(balance) = member.balance.checked_add(reward) else { continue };
            member.balance = balance;
            self.totals.rewarded = rewarded;
        }
    }

    /// Where all points come from.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Who has a part in this week's pot.
    pub fn pot(&self) -> &Pot {
        &self.pot
    }

    /// What a member's purse holds at a time in milliseconds since 1970, with what accrued since it was counted.
    pub fn purse(&self, member: &MemberId, time: u64) -> u64 {
        let Some(member) = self.members.get(member) else { return 0 };
        let week = self.week_at(time.max(self.time));
        member.purse.saturating_add(self.accrued(member.purse, member.purse_week, week))
    }

    /// Thanks that a member received within the 30 days before a time in milliseconds since 1970, that day included.
    pub fn thanked_lately(&self, member: &MemberId, time: u64) -> u64 {
        let today = self.day_at(time.max(self.time));
        let days = self.members.get(member).map_or(&[][..], |member| &member.thanked_days);
        let lately = days.iter().filter(|(day, _)| day.saturating_add(RANKED_DAYS) > today);
        lately.fold(0, |sum, (_, thanked)| sum.saturating_add(*thanked))
    }
}
