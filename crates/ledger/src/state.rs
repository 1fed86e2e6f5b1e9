//! The state: a pure fold over the state lane's entries in settled order.
//!
//! An operation that does not hold is void: its reason is noted and it changes nothing, but its entry counts in its
//! device's chain. An entry counts only if its `prev` is its device's last counted entry (of either lane); so of a fork
//! one branch counts, the first to be settled. Time is the settling header's. Arithmetic is checked. The balances always
//! sum to what was granted, allowed and rewarded.

use crate::bytes::{BoxKey, CircleId, DeviceId, EntryId, Hash, InviteKey, MemberId};
use crate::codec::encode;
use crate::entry::{Admission, Entry, Invite, Lane, Role};
use crate::genesis::{Genesis, Inviters, Rules};
use crate::merkle::{StateLeaf, state_root};
use crate::op::Operation;
use crate::sorted::SortedMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How long after an invite's expiry a join that was written before it may still settle, in milliseconds.
pub const JOIN_GRACE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// As given on joining; need not be unique.
    pub name: String,
    /// The height at which the join settled.
    pub joined_height: u64,
    /// Points.
    pub balance: u64,
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
}

/// An invite. It is known by its key and its issuer, so that nobody can take another's key for theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// As its issuer signed it.
    pub invite: Invite,
    /// How many have come by it.
    pub used: u32,
}

/// A device's last counted entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    seq: u64,
    id: EntryId,
}

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

/// What the fold makes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The operation holds, and changed the state.
    Applied,
    /// Talk: nothing to fold.
    Noop,
    /// It changed nothing.
    Void(VoidReason),
}

/// Why an entry is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum VoidReason {
    /// Its `prev` is not its device's last counted entry.
    #[error("another branch of the device counts")]
    BranchNotCounted,
    /// It does not open with the right key, or holds no operation.
    #[error("the body holds no operation")]
    Unreadable,
    /// Its device is not enrolled, or its member did not join.
    #[error("the author is not a member")]
    NotMember,
    /// A join of who has joined.
    #[error("the author is a member already")]
    AlreadyMember,
    /// No such invite, or its issuer may not invite.
    #[error("the invite is unknown")]
    UnknownInvite,
    /// An invite that is registered with other words.
    #[error("the invite is known already")]
    InviteKnown,
    /// As many as it says came by it.
    #[error("the invite is used up")]
    InviteUsedUp,
    /// Written after its expiry, or settled more than 30 days after it.
    #[error("the invite is expired")]
    InviteExpired,
    /// More points than the author has.
    #[error("the balance is too low")]
    BalanceTooLow,
    /// No points.
    #[error("the amount is zero")]
    AmountZero,
    /// To nobody who is a member.
    #[error("the receiver is not a member")]
    UnknownReceiver,
    /// Not this author's to do: the role, the rules, or the place in the chain forbid it.
    #[error("the author may not do this")]
    NotAllowed,
    /// A number would pass its bound.
    #[error("a number is out of range")]
    OutOfRange,
}

/// The body of an entry of the state lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// Its plain bytes.
    Plain(&'a [u8]),
    /// The right key was at hand and did not open it.
    NotOpened,
}

/// What a record of the state is sorted and proven by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKey {
    /// [`Rules`].
    Rules,
    /// [`Totals`].
    Totals,
    /// [`Member`].
    Member(MemberId),
    /// [`Device`].
    Device(DeviceId),
    /// [`Registered`].
    Invite(InviteKey, DeviceId),
    /// (seq, entry) of a device's last counted entry.
    Counted(DeviceId),
}

/// The state after some header; see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    circle: CircleId,
    founder: MemberId,
    first_device: DeviceId,
    rules: Rules,
    height: u64,
    time: u64,
    totals: Totals,
    members: SortedMap<MemberId, Member>,
    devices: SortedMap<DeviceId, Device>,
    invites: SortedMap<(InviteKey, DeviceId), Registered>,
    counted: SortedMap<DeviceId, Counted>,
}

impl State {
    /// At height 0, before anybody joined.
    pub fn new(genesis: &Genesis) -> Self {
        State {
            circle: genesis.id(),
            founder: genesis.founder,
            first_device: genesis.device,
            rules: genesis.rules.clone(),
            height: 0,
            time: genesis.created,
            totals: Totals::default(),
            members: SortedMap::new(),
            devices: SortedMap::new(),
            invites: SortedMap::new(),
            counted: SortedMap::new(),
        }
    }

    /// Starts the fold of a header's entries: its height, and its time in milliseconds since 1970.
    pub fn begin(&mut self, height: u64, time: u64) {
        self.height = height;
        self.time = time;
    }

    /// Folds the next entry in settled order. `body` is looked at for the state lane only.
    pub fn apply(&mut self, id: EntryId, entry: &Entry, body: Opened) -> Verdict {
        if !self.count(id, entry) {
            return Verdict::Void(VoidReason::BranchNotCounted);
        }
        if entry.lane == Lane::Talk {
            return Verdict::Noop;
        }
        let operation = match body {
            Opened::Plain(plain) => Operation::decode(plain).ok(),
            Opened::NotOpened => None,
        };
        let done = operation.ok_or(VoidReason::Unreadable).and_then(|operation| self.operate(entry, operation));
        done.map_or_else(Verdict::Void, |()| Verdict::Applied)
    }

    /// Whether an entry's body is to be opened for the fold: only epochs that were settled have keys, for now the first.
    pub fn is_of_known_epoch(&self, entry: &Entry) -> bool {
        entry.epoch == self.circle.into()
    }

    /// Carries on the device's counted chain, if the entry does.
    fn count(&mut self, id: EntryId, entry: &Entry) -> bool {
        let carries_on = match self.counted.get(&entry.device) {
            None => entry.is_first_of(self.circle),
            Some(last) => last.id == entry.prev && last.seq.checked_add(1) == Some(entry.seq),
        };
        if carries_on {
            self.counted.insert(entry.device, Counted { seq: entry.seq, id });
        }
        carries_on
    }

    /// All checks come before the first change.
    fn operate(&mut self, entry: &Entry, operation: Operation) -> Result<(), VoidReason> {
        match operation {
            Operation::Join { name } => self.join(entry, name),
            Operation::Enrol => self.enrol(entry),
            Operation::Invite(invite) => self.invite(entry, invite),
            Operation::Transfer { to, amount, .. } => self.transfer(entry, to, amount),
        }
    }

    fn join(&mut self, entry: &Entry, name: String) -> Result<(), VoidReason> {
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
        let member = Member { name, joined_height: self.height, balance: self.rules.grant };
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
                Registered { invite, used: 0 }
            }
        };
        if entry.time > invite.expiry || self.time > invite.expiry.saturating_add(JOIN_GRACE_MS) {
            return Err(VoidReason::InviteExpired);
        }
        if known.used >= invite.uses {
            return Err(VoidReason::InviteUsedUp);
        }
        Ok(Registered { used: known.used + 1, ..known })
    }

    fn enrol(&mut self, entry: &Entry) -> Result<(), VoidReason> {
        let admission = entry.admission.as_ref().ok_or(VoidReason::NotAllowed)?;
        if !self.members.contains_key(&admission.member) {
            return Err(VoidReason::NotMember);
        }
        self.enlist(entry.device, admission);
        Ok(())
    }

    fn enlist(&mut self, device: DeviceId, admission: &Admission) {
        let Admission { member, role, box_key, .. } = *admission;
        self.devices.insert(device, Device { member, role, box_key, enrolled_height: self.height });
    }

    fn invite(&mut self, entry: &Entry, invite: Invite) -> Result<(), VoidReason> {
        self.may_invite(&entry.device)?;
        if invite.issuer != entry.device || invite.uses == 0 || !invite.check(self.circle) {
            return Err(VoidReason::NotAllowed);
        }
        match self.invites.get(&(invite.key, invite.issuer)) {
            Some(known) if known.invite != invite => Err(VoidReason::InviteKnown),
            Some(_) => Ok(()),
            None => {
                self.invites.insert((invite.key, invite.issuer), Registered { invite, used: 0 });
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

    /// The member for whom a device may act.
    fn writer(&self, device: &DeviceId) -> Result<MemberId, VoidReason> {
        match self.devices.get(device).ok_or(VoidReason::NotMember)? {
            Device { role: Role::Vote, .. } => Err(VoidReason::NotAllowed),
            Device { member, .. } => Ok(*member),
        }
    }

    fn transfer(&mut self, entry: &Entry, to: MemberId, amount: u64) -> Result<(), VoidReason> {
        let from = self.writer(&entry.device)?;
        if amount == 0 {
            return Err(VoidReason::AmountZero);
        }
        if from == to {
            return Err(VoidReason::NotAllowed);
        }
        let receiver = self.members.get(&to).ok_or(VoidReason::UnknownReceiver)?;
        let received = receiver.balance.checked_add(amount).ok_or(VoidReason::OutOfRange)?;
        let giver = self.members.get_mut(&from).ok_or(VoidReason::NotMember)?;
        giver.balance = giver.balance.checked_sub(amount).ok_or(VoidReason::BalanceTooLow)?;
        if let Some(receiver) = self.members.get_mut(&to) {
            receiver.balance = received;
        }
        Ok(())
    }

    /// The root over all records, each hidden by a salt derived from the circle's.
    pub fn root(&self, salt: &[u8; 32]) -> Hash {
        state_root(self.records().map(|(key, value)| StateLeaf::new(salt, &encode(&key), &value)).collect())
    }

    /// Every record by its key, with its canonical value.
    pub fn records(&self) -> impl Iterator<Item = (StateKey, Vec<u8>)> + '_ {
        let own = [(StateKey::Rules, encode(&self.rules)), (StateKey::Totals, encode(&self.totals))];
        let members = self.members.iter().map(|(id, member)| (StateKey::Member(*id), encode(member)));
        let devices = self.devices.iter().map(|(id, device)| (StateKey::Device(*id), encode(device)));
        let invites = self.invites.iter().map(|((key, by), known)| (StateKey::Invite(*key, *by), encode(known)));
        let counted = self.counted.iter().map(|(id, last)| (StateKey::Counted(*id), encode(last)));
        own.into_iter().chain(members).chain(devices).chain(invites).chain(counted)
    }

    /// The height of the last header folded.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Where all points come from.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The members, sorted.
    pub fn members(&self) -> impl Iterator<Item = (&MemberId, &Member)> + '_ {
        self.members.iter()
    }

    /// A member.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.get(id)
    }

    /// A member's device.
    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.devices.get(id)
    }

    /// The devices of members, sorted.
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

    /// A device's last counted entry, with its seq.
    pub fn counted(&self, device: &DeviceId) -> Option<(u64, EntryId)> {
        self.counted.get(device).map(|last| (last.seq, last.id))
    }
}

#[cfg(test)]
mod tests;
