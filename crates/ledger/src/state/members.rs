//! Who is in: members, their devices, and the invites by which they come.
//!
//! An invite is used as often as it says, until it expires or is taken back. Its expiry is compared with the join's own
//! time, and the join must settle within 30 days after it: a sleeping witness costs no newcomer, and backdating is
//! bounded. A member who is removed stays in the state, for their points do, and does nothing any more.

use super::{State, VoidReason};
use crate::bytes::{BoxKey, DeviceId, InviteKey, MemberId};
use crate::entry::{Admission, Entry, Invite, Role};
use crate::genesis::Inviters;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How long after an invite's expiry a join that was written before it may still settle, in milliseconds.
pub const JOIN_GRACE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// As given on joining; need not be unique.
    pub name: String,
    /// The height at which the join settled.
    pub joined_height: u64,
    /// Points.
    pub balance: u64,
    /// Points that can only be given away, as far as they were counted.
    pub purse: u64,
    /// Up to which week of the circle the purse is counted.
    pub purse_week: u64,
    /// Points received as thanks, in all.
    pub thanked: u64,
    /// The same by day of the circle, for the last days in which there were any; at most
    /// [`RANKED_DAYS`](super::RANKED_DAYS).
    pub thanked_days: Vec<(u64, u64)>,
    /// The height at which they were removed.
    pub removed: Option<u64>,
}

/// A device of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Whose it is.
    pub member: MemberId,
    /// What it may do.
    pub role: Role,
    /// To which lane keys are sealed for it.
    pub box_key: BoxKey,
    /// The height at which its enrolment settled.
    pub enrolled_height: u64,
    /// How many epochs had begun, the first not counted, when keys were last sealed to it.
    pub epoch: u32,
    /// Given up by its member.
    pub retired: bool,
}

/// An invite. It is known by its key and its issuer, so that nobody can take another's key for theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// As its issuer signed it.
    pub invite: Invite,
    /// How many have come by it.
    pub used: u32,
    /// Taken back.
    pub revoked: bool,
}

impl State {
    pub(super) fn join(&mut self, entry: &Entry, name: String) -> Result<(), VoidReason> {
        let admission = entry.admission.as_ref().ok_or(VoidReason::NotAllowed)?;
        if admission.role != Role::Write {
            return Err(VoidReason::NotAllowed);
        }
        if self.members.contains_key(&admission.member) {
            return Err(VoidReason::AlreadyMember);
        }
        let is_founder = entry.device == self.first_device && admission.member == self.founder;
        let used = if is_founder { None } else { Some(self.use_of(entry, admission)?) };
        let granted = self.totals.granted.checked_add(self.rules.grant).ok_or(VoidReason::OutOfRange)?;

        self.totals.granted = granted;
        if let Some(used) = used {
            self.invites.insert((used.invite.key, used.invite.issuer), used);
        }
        let (balance, purse_week) = (self.rules.grant, self.week());
        let member = Member { name, joined_height: self.height, balance, purse_week, ..Member::default() };
        self.members.insert(admission.member, member);
        self.enlist(entry.device, admission);
        Ok(())
    }

    /// The invite of a join, with this use counted. One that is not registered yet is so by the join, which bears it in
    /// full: an issuer's entry may be ordered after the join of whom it let in.
    fn use_of(&self, entry: &Entry, admission: &Admission) -> Result<Registered, VoidReason> {
        let invite = admission.invited.as_ref().ok_or(VoidReason::UnknownInvite)?.invite;
        let known = match self.invites.get(&(invite.key, invite.issuer)) {
            Some(known) if known.invite == invite => *known,
            Some(_) => return Err(VoidReason::UnknownInvite),
            None => {
                self.may_invite(&invite.issuer).map_err(|_| VoidReason::UnknownInvite)?;
                Registered { invite, used: 0, revoked: false }
            }
        };
        if known.revoked {
            return Err(VoidReason::InviteRevoked);
        }
        if entry.time > invite.expiry || self.time > invite.expiry.saturating_add(JOIN_GRACE_MS) {
            return Err(VoidReason::InviteExpired);
        }
        if known.used >= invite.uses {
            return Err(VoidReason::InviteUsedUp);
        }
        Ok(Registered { used: known.used + 1, ..known })
    }

    pub(super) fn enrol(&mut self, entry: &Entry) -> Result<(), VoidReason> {
        let admission = entry.admission.as_ref().ok_or(VoidReason::NotAllowed)?;
        match self.members.get(&admission.member).ok_or(VoidReason::NotMember)?.removed {
            Some(_) => return Err(VoidReason::Removed),
            None => self.enlist(entry.device, admission),
        }
        Ok(())
    }

    fn enlist(&mut self, device: DeviceId, admission: &Admission) {
        let Admission { member, role, box_key, .. } = *admission;
        let enrolled_height = self.height;
        self.devices.insert(device, Device { member, role, box_key, enrolled_height, epoch: 0, retired: false });
    }

    pub(super) fn invite(&mut self, author: DeviceId, invite: Invite) -> Result<(), VoidReason> {
        self.may_invite(&author)?;
        // The author signed the entry, so the invite's own signature adds nothing here: each join bears it, and is
        // checked for it and for the key before it is folded.
        if invite.issuer != author || invite.uses == 0 {
            return Err(VoidReason::NotAllowed);
        }
        match self.invites.get(&(invite.key, invite.issuer)) {
            Some(known) if known.invite != invite => Err(VoidReason::InviteKnown),
            Some(_) => Ok(()),
            None => {
                let registered = Registered { invite, used: 0, revoked: false };
                self.invites.insert((invite.key, invite.issuer), registered);
                Ok(())
            }
        }
    }

    fn may_invite(&self, device: &DeviceId) -> Result<(), VoidReason> {
        let member = self.writer(device)?;
        match self.rules.inviters {
            Inviters::Founder if member != self.founder => Err(VoidReason::NotAllowed),
            Inviters::Founder | Inviters::Members => Ok(()),
        }
    }

    pub(super) fn revoke(&mut self, by: MemberId, key: InviteKey, issuer: DeviceId) -> Result<(), VoidReason> {
        let known = self.invites.get_mut(&(key, issuer)).ok_or(VoidReason::UnknownInvite)?;
        let gave = self.devices.get(&issuer).is_some_and(|device| device.member == by);
        if !gave && by != self.founder {
            return Err(VoidReason::NotAllowed);
        }
        if known.revoked {
            return Err(VoidReason::Already);
        }
        known.revoked = true;
        Ok(())
    }

    /// A device is given up, and with it the invites that it gave and its place among the witnesses.
    pub(super) fn retire(&mut self, by: MemberId, device: DeviceId) -> Result<(), VoidReason> {
        match self.devices.get(&device) {
            None => return Err(VoidReason::Unknown),
            Some(known) if known.member != by => return Err(VoidReason::NotAllowed),
            Some(known) if known.retired => return Err(VoidReason::Already),
            Some(_) => {}
        }
        self.drop_devices(&[device])
    }

    /// Takes devices out, but not the last witness.
    fn drop_devices(&mut self, devices: &[DeviceId]) -> Result<(), VoidReason> {
        self.dismiss(devices)?;
        for device in devices {
            if let Some(known) = self.devices.get_mut(device) {
                known.retired = true;
            }
            self.ready.remove(device);
        }
        for known in self.invites.values_mut().filter(|known| devices.contains(&known.invite.issuer)) {
            known.revoked = true;
        }
        Ok(())
    }

    /// Takes a member out with all devices; a new epoch begins apart from this.
    pub(super) fn remove(&mut self, member: MemberId) -> Result<(), VoidReason> {
        let devices: Vec<DeviceId> = self.devices_of(member).collect();
        self.drop_devices(&devices)?;
        if let Some(removed) = self.members.get_mut(&member) {
            removed.removed = Some(self.height);
        }
        self.motions.retain(|_, motion| motion.by != member);
        Ok(())
    }

    pub(super) fn devices_of(&self, member: MemberId) -> impl Iterator<Item = DeviceId> + '_ {
        self.devices.iter().filter(move |(_, device)| device.member == member).map(|(id, _)| *id)
    }

    /// Whether one is a member now.
    pub fn is_member(&self, member: &MemberId) -> bool {
        self.members.get(member).is_some_and(|member| member.removed.is_none())
    }

    /// The members, sorted, with those that were removed.
    pub fn members(&self) -> impl Iterator<Item = (&MemberId, &Member)> + '_ {
        self.members.iter()
    }

    /// A member, or who was one.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.get(id)
    }

    /// A member's device.
    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.devices.get(id)
    }

    /// Whether a device may act: enrolled, not retired, its member not removed.
    pub fn is_active(&self, device: &DeviceId) -> bool {
        self.actor(device).is_ok()
    }

    /// The devices of members, sorted, with those that were retired.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &Device)> + '_ {
        self.devices.iter()
    }

    /// The invites that were registered, sorted by key.
    pub fn invites(&self) -> impl Iterator<Item = &Registered> + '_ {
        self.invites.values()
    }

    /// An invite by its key and issuer.
    pub fn registered(&self, key: &InviteKey, issuer: &DeviceId) -> Option<&Registered> {
        self.invites.get(&(*key, *issuer))
    }
}
