//! What a person sees: the timeline, the members, the points. Plain values, made anew each time they are asked for.
//!
//! The timeline is ordered by (distance from the genesis, the author's time, id): every node shows one order, replies come
//! after what they answer, and settling moves nothing.

use crate::engine::{Engine, Seat};
use crate::status::Status;
use hashbrown::HashMap;
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, HeaderHash, MemberId};
use ledgerno_ledger::entry::{Entry, Invite, Lane, Role};
use ledgerno_ledger::op::{Change, Operation, Talk};
use ledgerno_ledger::seal;
use ledgerno_ledger::settle::Opener;
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_ledger::state::{Verdict, VoidReason};

/// Entries in memory, in the order in which they are shown.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// By distance from the genesis, author's time and id: the place in the order of taking.
    shown: SortedMap<(u32, u64, EntryId), usize>,
}

impl Timeline {
    pub(crate) fn add(&mut self, id: EntryId, place: usize, rank: u32, time: u64) {
        self.shown.insert((rank, time, id), place);
    }

    pub(crate) fn keep(&mut self, keep: impl Fn(usize) -> bool) {
        self.shown.retain(|_, place| keep(*place));
    }

    /// Those above a distance from the genesis.
    fn newest_first(&self, above: u32) -> impl Iterator<Item = EntryId> {
        self.shown.keys().rev().take_while(move |(rank, _, _)| *rank > above).map(|(_, _, id)| *id)
    }
}

/// An entry as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The entry.
    pub id: EntryId,
    /// Whose it is.
    pub member: MemberId,
    /// The member's name, empty if it is not known.
    pub name: String,
    /// Written by the own member.
    pub mine: bool,
    /// The author's clock.
    pub time: u64,
    /// How far it has come.
    pub status: Status,
    /// Entries of so many other members have it in their past.
    pub seen_by: u32,
    /// The height at which it was settled.
    pub height: Option<u64>,
    /// Why it changed nothing.
    pub void: Option<VoidReason>,
    /// What it says.
    pub content: Content,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A post.
    Post(String),
    /// A member joined.
    Join(String),
    /// A member's further device.
    Enrol,
    /// An invite was given.
    Invite(Invite),
    /// Points for somebody.
    Thanks {
        /// Who gets them.
        to: MemberId,
        /// Their name.
        to_name: String,
        /// How many.
        amount: u64,
        /// Why.
        reason: String,
    },
    /// Something about the circle's order was done.
    Done {
        /// What.
        deed: Deed,
        /// A stamp's note; else empty.
        note: String,
    },
    /// Work among devices that no person did: keys handed on, say.
    Silent,
    /// Its author erased it.
    Erased,
    /// It does not open, or it is of a kind that this version does not know.
    Sealed,
}

/// What somebody did about the circle's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A document was stamped.
    Stamp,
    /// A member vouched for one.
    Vouch,
    /// A device was offered as a witness.
    Offer,
    /// The relay was let in to settle.
    Enlist,
    /// A device left the witnesses.
    Resign,
    /// Other witnesses, or a proposal of them.
    Witnesses,
    /// A member leaves, or a proposal of it.
    Remove,
    /// Other rules, or a proposal of them.
    Rules,
    /// A member is for a proposal.
    Consent,
    /// A device was given up.
    Retire,
    /// An invite was taken back.
    Revoke,
}

impl Deed {
    /// The name by which the page knows it.
    pub fn name(self) -> &'static str {
        match self {
            Deed::Stamp => "stamp",
            Deed::Vouch => "vouch",
            Deed::Offer => "offer",
            Deed::Enlist => "enlist",
            Deed::Resign => "resign",
            Deed::Witnesses => "witnesses",
            Deed::Remove => "remove",
            Deed::Rules => "rules",
            Deed::Consent => "consent",
            Deed::Retire => "retire",
            Deed::Revoke => "revoke",
        }
    }
}

/// A member as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownMember {
    /// The identity.
    pub id: MemberId,
    /// The name.
    pub name: String,
    /// Settled points, less the own thanks on their way.
    pub balance: u64,
    /// The join is settled.
    pub settled: bool,
    /// Why the join is void.
    pub void: Option<VoidReason>,
    /// The devices.
    pub devices: Vec<DeviceId>,
    /// A device wrote two entries at one place.
    pub forked: bool,
}

/// Where the settlement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The height.
    pub height: u64,
    /// The header's hash.
    pub header: HeaderHash,
    /// The state's root, once a header is settled and this node can read.
    pub state_root: Option<[u8; 32]>,
    /// Entries not settled.
    pub unsettled: usize,
    /// Entries in all.
    pub entries: usize,
}

fn deed(operation: &Operation) -> Option<Deed> {
    Some(match operation {
        Operation::Endorse(_) => Deed::Vouch,
        Operation::Ready { .. } => Deed::Offer,
        Operation::Resign => Deed::Resign,
        Operation::Consent(_) => Deed::Consent,
        Operation::Retire(_) => Deed::Retire,
        Operation::Revoke { .. } => Deed::Revoke,
        Operation::Propose(change) => match **change {
            Change::Config(_) => Deed::Rules,
            Change::Remove { .. } => Deed::Remove,
            Change::Witnesses { .. } => Deed::Witnesses,
        },
        _ => return None,
    })
}

impl Engine {
    /// The newest entries that are shown, oldest of them first; those in memory and not before one that is not, and then
    /// what came of those before this node joined: see [`Engine::look_back`].
    pub fn timeline(&self, limit: usize) -> Vec<Shown> {
        let names = self.names();
        let elsewhere = self.history.rows().iter().filter(|row| !row.here).map(|row| row.rank).max();
        let mut shown: Vec<Shown> = self
            .timeline
            .newest_first(elsewhere.unwrap_or(0))
            .filter(|id| self.is_durable(id) && self.history.row(id).is_none_or(|row| !row.is_unplaced()))
            .filter_map(|id| self.show(id, &names))
            .filter(|shown| !matches!(shown.content, Content::Invite(_) | Content::Silent))
            .take(limit)
            .collect();
        if elsewhere.is_none() {
            shown.extend(self.earlier(&names).take(limit - shown.len()));
        }
        shown.reverse();
        shown
    }

    /// The status of an entry, if it is durable here.
    pub fn status(&self, id: &EntryId) -> Option<Status> {
        if !self.is_durable(id) {
            return None;
        }
        let row = self.history.row(id)?;
        let is_own = self.history.device_of(row) == self.device();
        let seen_by = self.seen_by(id);
        let sent = !is_own || seen_by > 0 || (row.seq as usize) < self.sent;
        let settled = self.history.settled(id).is_some_and(|settled| settled.height <= self.durable_height);
        let settled = settled && self.shows_settled();
        Some(Status::of(sent, seen_by, settled))
    }

    /// How many other members have an entry in their past. What was forgotten in between is no way to an old entry any
    /// more: of that one it is known who had seen it till then.
    pub(crate) fn seen_by(&self, id: &EntryId) -> u32 {
        let before = self.history.row(id).map_or(0, |row| row.seen.into());
        self.dag.seen_by(id).max(before)
    }

    fn show(&self, id: EntryId, names: &SortedMap<MemberId, String>) -> Option<Shown> {
        let packed = self.packed(&id)?;
        let entry = &packed.signed.entry;
        let member = self.dag.admission(&entry.device)?.member;
        let settled = self.history.settled(&id);
        Some(Shown {
            id,
            member,
            name: names.get(&member).cloned().unwrap_or_default(),
            mine: Some(member) == self.own_member(),
            time: entry.time,
            status: self.status(&id)?,
            seen_by: self.seen_by(&id),
            height: settled.map(|settled| settled.height),
            void: self.void(&id),
            content: self.content(entry, packed.body.as_deref(), names),
        })
    }

    pub(crate) fn content(&self, entry: &Entry, body: Option<&[u8]>, names: &SortedMap<MemberId, String>) -> Content {
        if body.is_none() && entry.lane == Lane::Talk {
            return Content::Erased;
        }
        let Some(plain) = body.and_then(|body| self.plain(entry, body)) else { return Content::Sealed };
        if entry.lane == Lane::Talk {
            return Talk::decode(&plain).map_or(Content::Sealed, |Talk::Post { text }| Content::Post(text));
        }
        let relay = self.only_votes(entry);
        match Operation::decode(&plain) {
            Ok(Operation::Join { name }) => Content::Join(name),
            Ok(Operation::Enrol) if relay => Content::Done { deed: Deed::Enlist, note: String::new() },
            Ok(Operation::Ready { .. }) if relay => Content::Silent,
            Ok(Operation::Enrol) => Content::Enrol,
            Ok(Operation::Invite(invite)) => Content::Invite(invite),
            Ok(Operation::Transfer { to, amount, reason }) => Content::Thanks {
                to,
                to_name: names.get(&to).cloned().unwrap_or_default(),
                amount,
                reason: self.reason(entry, &reason).unwrap_or_default(),
            },
            Ok(Operation::Stamp { note, .. }) => {
                Content::Done { deed: Deed::Stamp, note: self.reason(entry, &note).unwrap_or_default() }
            }
            Ok(operation) => {
                deed(&operation).map_or(Content::Silent, |deed| Content::Done { deed, note: String::new() })
            }
            Err(_) => Content::Sealed,
        }
    }

    /// Whether a device wrote it that only votes: a relay that was enlisted, which a person brought in and is not.
    fn only_votes(&self, entry: &Entry) -> bool {
        let admission = entry.admission.as_deref().or_else(|| self.dag.admission(&entry.device));
        admission.is_some_and(|admission| admission.role == Role::Vote)
    }

    fn plain(&self, entry: &Entry, body: &[u8]) -> Option<Vec<u8>> {
        self.seat.keyring()?.open(entry, body)
    }

    fn reason(&self, entry: &Entry, sealed: &[u8]) -> Option<String> {
        let keyring = self.seat.keyring()?;
        let talk = keyring.key(entry.epoch, Lane::Talk)?;
        let plain = seal::open_reason(self.circle, entry.device, entry.seq, talk, sealed).ok()?;
        String::from_utf8(plain).ok()
    }

    pub(crate) fn operation(&self, id: &EntryId) -> Option<Operation> {
        let packed = self.packed(id)?;
        let entry = &packed.signed.entry;
        let plain = (entry.lane == Lane::State).then(|| self.plain(entry, packed.body.as_deref()?)).flatten()?;
        Operation::decode(&plain).ok()
    }

    /// The own member.
    pub fn own_member(&self) -> Option<MemberId> {
        match &self.seat {
            Seat::Member { identity, .. } => Some(identity.member()),
            Seat::Keeper | Seat::Witness { .. } => None,
        }
    }

    /// Whether a device is admitted.
    pub fn is_admitted(&self, device: &DeviceId) -> bool {
        self.dag.admission(device).is_some()
    }

    /// The own name, once this device is in.
    pub fn own_name(&self) -> Option<String> {
        let member = self.own_member()?;
        (!self.own.is_empty()).then(|| self.names().remove(&member)).flatten()
    }

    /// Whether this device is in: the DAG holds its first entry.
    pub fn is_in(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether this device can be enrolled now: another device of its member is in, and this one has written nothing.
    pub fn may_enrol(&self) -> bool {
        let member = self.own_member();
        let invited = self.admission.as_ref().is_some_and(|admission| admission.invited.is_some());
        self.own.is_empty() && !invited && member.is_some_and(|own| self.dag.members().any(|member| *member == own))
    }

    /// What can be given now: the settled balance and the purse, less own thanks that are not settled.
    pub fn spendable(&self, now: u64) -> u64 {
        let Some(member) = self.own_member() else { return 0 };
        let settled = self.chain.state().and_then(|state| state.member(&member)).map_or(0, |member| member.balance);
        settled.saturating_add(self.allowance(now)).saturating_sub(self.on_their_way())
    }

    fn on_their_way(&self) -> u64 {
        self.own
            .iter()
            .rev()
            .take_while(|id| self.history.settled(id).is_none())
            .filter_map(|id| self.operation(id))
            .map(|operation| if let Operation::Transfer { amount, .. } = operation { amount } else { 0 })
            .fold(0, u64::saturating_add)
    }

    /// Why an entry changed nothing.
    fn void(&self, id: &EntryId) -> Option<VoidReason> {
        match self.history.settled(id)?.verdict? {
            Verdict::Void(why) => Some(why),
            Verdict::Applied | Verdict::Noop => None,
        }
    }

    /// Admitted devices with their first entries, by the order of their coming.
    fn admitted(&self) -> Vec<(DeviceId, EntryId)> {
        let first = |device: &DeviceId| self.dag.at(device, 0).first().copied();
        let mut admitted: Vec<_> = self.dag.devices().filter_map(|device| Some((*device, first(device)?))).collect();
        admitted.sort_by_key(|(_, first)| self.history.place(first));
        admitted
    }

    pub(crate) fn is_member(&self, member: &MemberId) -> bool {
        self.members().iter().any(|one| one.id == *member && one.void.is_none())
    }

    fn names(&self) -> SortedMap<MemberId, String> {
        self.members().into_iter().map(|member| (member.id, member.name)).collect()
    }

    /// Members: settled ones, and who has come but is not settled yet, by the order of their coming.
    pub fn members(&self) -> Vec<ShownMember> {
        let mut members: Vec<ShownMember> = Vec::new();
        let mut places: HashMap<MemberId, usize> = HashMap::new();
        for (device, first) in self.admitted() {
            let Some(admission) = self.dag.admission(&device) else { continue };
            let id = admission.member;
            let forked = self.dag.forked(&device);
            if let Some(member) = places.get(&id).and_then(|at| members.get_mut(*at)) {
                member.devices.push(device);
                member.forked |= forked;
                continue;
            }
            let settled = self.chain.state().and_then(|state| state.member(&id));
            let claimed = match self.operation(&first) {
                Some(Operation::Join { name }) => name,
                _ => String::new(),
            };
            let void = if settled.is_none() { self.void(&first) } else { None };
            places.insert(id, members.len());
            members.push(ShownMember {
                id,
                name: settled.map_or(claimed, |member| member.name.clone()),
                balance: settled.map_or(0, |member| member.balance),
                settled: settled.is_some(),
                void,
                devices: vec![device],
                forked,
            });
        }
        let own = self.own_member();
        if let Some(own) = members.iter_mut().find(|member| Some(member.id) == own) {
            own.balance = own.balance.saturating_sub(self.on_their_way());
        }
        members
    }

    /// How often an invite was used, as far as is known here.
    pub fn invite_used(&self, invite: &Invite) -> u32 {
        self.used(invite)
    }

    /// Where the settlement stands.
    pub fn settlement(&self) -> Settlement {
        let head = self.chain.head();
        Settlement {
            height: head.height,
            header: head.hash,
            state_root: self.chain.header().map(|header| header.state_root.0),
            unsettled: self.dag.unsettled(),
            entries: self.history.len(),
        }
    }

    /// The circle's id and name.
    pub fn title(&self) -> (CircleId, &str) {
        (self.circle, &self.genesis.name)
    }
}
