//! The state: a pure fold over the state lane's entries in settled order.
//!
//! An operation that does not hold is void: its reason is noted and it changes nothing, but its entry counts in its
//! device's chain. An entry counts only if its `prev` is its device's last counted entry (of either lane); so of a fork
//! one branch counts, the first to be settled. Time is the settling header's. Arithmetic is checked. What members have
//! and may give always sums to what was granted, allowed and rewarded.
//!
//! For each header [`State::begin`] is told its height, time and proposer, [`State::apply`] each of its entries, and
//! [`State::finish`] that these are all. Each kind of record has its own module: `members` (who is in, by which
//! invites, with which devices), `points`, `authority` (what needs the founder or a majority), `witnesses`, `epochs`,
//! `stamps`; `records` makes records of them all, and a root.

mod authority;
mod epochs;
mod members;
mod points;
mod records;
mod stamps;
mod witnesses;

pub use authority::{MOTION_MS, Motion};
pub use epochs::Epoch;
pub use members::{Device, JOIN_GRACE_MS, Member, Registered};
pub use points::{ACCRUED_WEEKS, Pot, RANKED_DAYS, REWARD_PARTS, Totals, WEEK_MS};
pub use records::{RecordError, StateKey};
pub use stamps::{MAX_VOUCHERS, Stamped, Vouched};
pub use witnesses::Ready;

use crate::bytes::{CircleId, DeviceId, EntryId, Hash, InviteKey, MemberId};
use crate::entry::{Entry, Lane, Role};
use crate::genesis::{Genesis, Kind, Rules};
use crate::mutant::{self, Mutant};
use crate::op::Operation;
use crate::settle::Witnesses;
use crate::sorted::SortedMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A device's last counted entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    seq: u64,
    id: EntryId,
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
    /// The invite was taken back.
    #[error("the invite was taken back")]
    InviteRevoked,
    /// The author's member was removed, or the device retired.
    #[error("the author was removed, or the device retired")]
    Removed,
    /// What it names is not there: a device, a member, a document, a proposal.
    #[error("what it names is not there")]
    Unknown,
    /// It was done before.
    #[error("it was done before")]
    Already,
    /// Another epoch began meanwhile.
    #[error("another epoch began meanwhile")]
    EpochPassed,
    /// A device that did not say of late that it is ready to be a witness.
    #[error("the device did not say of late that it is ready")]
    NotReady,
    /// No witness would be left.
    #[error("no witness would be left")]
    LastWitness,
    /// The votes do not contradict each other, or are no witness's.
    #[error("the votes prove nothing")]
    NoEvidence,
}

/// The body of an entry of the state lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// Its plain bytes.
    Plain(&'a [u8]),
    /// The right key was at hand and did not open it.
    NotOpened,
}

/// The state after some header; see the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    circle: CircleId,
    founder: MemberId,
    first_device: DeviceId,
    created: u64,
    kind: Kind,
    height: u64,
    time: u64,
    /// Who made the header that is folded, and whether it holds another member's entry.
    proposer: DeviceId,
    serves_others: bool,
    rules: Rules,
    totals: Totals,
    pot: Pot,
    witnesses: Witnesses,
    members: SortedMap<MemberId, Member>,
    devices: SortedMap<DeviceId, Device>,
    invites: SortedMap<(InviteKey, DeviceId), Registered>,
    ready: SortedMap<DeviceId, Ready>,
    motions: SortedMap<EntryId, Motion>,
    stamps: SortedMap<Hash, Stamped>,
    /// In the order in which they began; never empty.
    epochs: Vec<Epoch>,
    counted: SortedMap<DeviceId, Counted>,
}

impl State {
    /// At height 0, before anybody joined.
    pub fn new(genesis: &Genesis) -> Self {
        let circle = genesis.id();
        State {
            circle,
            founder: genesis.founder,
            first_device: genesis.device,
            created: genesis.created,
            kind: genesis.kind,
            height: 0,
            time: genesis.created,
            proposer: genesis.device,
            serves_others: false,
            rules: genesis.rules.clone(),
            totals: Totals::default(),
            pot: Pot::default(),
            witnesses: Witnesses::of(genesis),
            members: SortedMap::new(),
            devices: SortedMap::new(),
            invites: SortedMap::new(),
            ready: SortedMap::new(),
            motions: SortedMap::new(),
            stamps: SortedMap::new(),
            epochs: alloc::vec![Epoch::first(circle)],
            counted: SortedMap::new(),
        }
    }

    /// Starts the fold of a header's entries: its height, its time in milliseconds since 1970, and the device that made
    /// it.
    pub fn begin(&mut self, height: u64, time: u64, proposer: DeviceId) {
        self.height = height;
        self.time = time;
        self.proposer = proposer;
        self.serves_others = false;
        self.share_pot();
        self.drop_old_motions();
    }

    /// Folds the next entry in settled order. `body` is looked at for the state lane only.
    pub fn apply(&mut self, id: EntryId, entry: &Entry, body: Opened) -> Verdict {
        if !self.count(id, entry) {
            return Verdict::Void(VoidReason::BranchNotCounted);
        }
        let verdict = self.fold(id, entry, body);
        self.note_served(&entry.device);
        verdict
    }

    /// Ends the fold of a header's entries.
    pub fn finish(&mut self) {
        if self.serves_others {
            self.note_proposer();
        }
    }

    fn fold(&mut self, id: EntryId, entry: &Entry, body: Opened) -> Verdict {
        if entry.lane == Lane::Talk {
            return Verdict::Noop;
        }
        let operation = match body {
            Opened::Plain(plain) if self.is_of_known_epoch(entry) => Operation::decode(plain).ok(),
            Opened::Plain(_) | Opened::NotOpened => None,
        };
        let done = operation.ok_or(VoidReason::Unreadable).and_then(|operation| self.operate(id, entry, operation));
        done.map_or_else(Verdict::Void, |()| Verdict::Applied)
    }

    /// Carries on the device's counted chain, if the entry does.
    #[inline(never)]
    #[cfg_attr(page, optimize(speed))]
    fn count(&mut self, id: EntryId, entry: &Entry) -> bool {
        let last = self.counted.get_mut(&entry.device);
        let carries_on = match &last {
            None => entry.is_first_of(self.circle),
            Some(last) => last.id == entry.prev && last.seq.checked_add(1) == Some(entry.seq),
        };
        if carries_on || mutant::is_on(Mutant::VoidTailCounts) {
            let counted = Counted { seq: entry.seq, id };
            match last {
                Some(last) => *last = counted,
                None => drop(self.counted.insert(entry.device, counted)),
            }
        }
        carries_on
    }

    /// All checks come before the first change.
    fn operate(&mut self, id: EntryId, entry: &Entry, operation: Operation) -> Result<(), VoidReason> {
        let author = entry.device;
        match operation {
            Operation::Join { name } => return self.join(entry, name),
            Operation::Enrol => return self.enrol(entry),
            // A witness's own, which a vote-only device does too.
            Operation::Ready { vote_key, always_on } => return self.ready(author, vote_key, always_on),
            Operation::Resign => return self.resign(author),
            Operation::Evidence(evidence) => return self.evidence(author, &evidence),
            Operation::Lacking => return self.lack(author),
            Operation::Merge => return self.actor(&author).map(drop),
            _ => {}
        }
        let member = self.writer(&author)?;
        match operation {
            Operation::Invite(invite) => self.invite(author, invite),
            Operation::Transfer { to, amount, .. } => self.transfer(member, to, amount),
            Operation::Revoke { key, issuer } => self.revoke(member, key, issuer),
            Operation::Retire(device) => self.retire(member, device),
            Operation::Keys { epoch, keys } => self.hand_out(epoch, &keys),
            Operation::Epoch(epoch) => self.start_epoch(id, &epoch, None),
            Operation::Propose(change) => self.propose(id, member, *change),
            Operation::Consent(motion) => self.consent(member, motion),
            Operation::Stamp { document, .. } => self.stamp(id, author, member, document),
            Operation::Endorse(document) => self.endorse(author, member, document),
            _ => Err(VoidReason::NotAllowed),
        }
    }

    /// The member whose device may do a witness's part.
    fn actor(&self, device: &DeviceId) -> Result<MemberId, VoidReason> {
        let Device { member, retired, .. } = *self.devices.get(device).ok_or(VoidReason::NotMember)?;
        let gone = retired || self.members.get(&member).is_none_or(|member| member.removed.is_some());
        if gone { Err(VoidReason::Removed) } else { Ok(member) }
    }

    /// The member for whom a device may act.
    fn writer(&self, device: &DeviceId) -> Result<MemberId, VoidReason> {
        let member = self.actor(device)?;
        match self.devices.get(device) {
            Some(Device { role: Role::Write, .. }) => Ok(member),
            _ => Err(VoidReason::NotAllowed),
        }
    }

    /// The height of the last header folded.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The time of the last header folded; before the first, the genesis's.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The numbers that the circle plays by now.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Every device that wrote something settled, with the seq and the id of its last counted entry; sorted.
    pub fn counted_all(&self) -> impl Iterator<Item = (&DeviceId, u64, EntryId)> + '_ {
        self.counted.iter().map(|(device, last)| (device, last.seq, last.id))
    }

    /// A device's last counted entry, with its seq.
    pub fn counted(&self, device: &DeviceId) -> Option<(u64, EntryId)> {
        self.counted.get(device).map(|last| (last.seq, last.id))
    }
}

#[cfg(test)]
mod acts;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
