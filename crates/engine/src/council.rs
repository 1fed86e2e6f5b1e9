//! What a person sees of the circle's order: who votes, who lacks keys, what is proposed, the ranking, the stamps. Plain
//! values from the settled state, made anew each time they are asked for.

use crate::engine::{Engine, Seat};
use crate::status::Status;
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash, MemberId};
use ledgerno_ledger::entry::{Invite, Lane, Role};
use ledgerno_ledger::genesis::Rules;
use ledgerno_ledger::op::{Change, Operation};
use ledgerno_ledger::seal;
use ledgerno_ledger::state::Stamped;

/// The most stamps whose notes are remembered.
const MAX_NOTES: usize = 1_024;

/// A device that votes, or that is ready to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownWitness {
    /// The device.
    pub device: DeviceId,
    /// Whose it is.
    pub member: Option<MemberId>,
    /// That member's name; empty if it is not known.
    pub name: String,
    /// What it may do; a relay's only votes.
    pub role: Option<Role>,
    /// It says of itself that it is always on.
    pub always_on: bool,
    /// It votes on the next height; else it is only ready to.
    pub votes: bool,
}

/// A device as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownDevice {
    /// The device.
    pub id: DeviceId,
    /// Whose it is.
    pub member: MemberId,
    /// What it may do.
    pub role: Role,
    /// Given up.
    pub retired: bool,
    /// It votes on the next height.
    pub votes: bool,
    /// The newest epoch's keys were not sealed to it yet.
    pub lacks_keys: bool,
}

/// A member by the thanks received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The member.
    pub member: MemberId,
    /// The name.
    pub name: String,
    /// Points received in all.
    pub in_all: u64,
    /// Points received in the last 30 days.
    pub lately: u64,
}

/// A stamped document as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownStamp {
    /// The document's hash.
    pub document: Hash,
    /// The entry that stamped it.
    pub entry: EntryId,
    /// Who stamped it.
    pub by: MemberId,
    /// Their name.
    pub name: String,
    /// What they said that it is.
    pub note: String,
    /// How far the entry has come, if it is held here.
    pub status: Option<Status>,
    /// As settled; none while it is not.
    pub settled: Option<Stamped>,
    /// Names of who vouches besides, in the order of [`Stamped::vouched`].
    pub vouchers: Vec<(MemberId, String)>,
}

/// An open proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownMotion {
    /// The entry that made it.
    pub id: EntryId,
    /// Who proposes.
    pub by: MemberId,
    /// Their name.
    pub name: String,
    /// What.
    pub change: Change,
    /// So many are for it.
    pub consents: usize,
    /// So many are needed.
    pub needed: usize,
    /// This member is among them.
    pub consented: bool,
}

impl Engine {
    /// The witnesses of the next height, then the devices that are ready to be.
    pub fn witnesses(&self) -> Vec<ShownWitness> {
        let state = self.chain.state();
        let shown = |device: DeviceId, always_on: bool, votes: bool| {
            let known = state.and_then(|state| state.device(&device));
            let member = known.map(|known| known.member);
            let name = member.map_or_else(String::new, |member| self.settled_name(&member));
            ShownWitness { device, member, name, role: known.map(|known| known.role), always_on, votes }
        };
        let voting = self.chain.witnesses().all();
        let mut all: Vec<ShownWitness> = voting.iter().map(|one| shown(one.device, one.always_on, true)).collect();
        let ready = state.into_iter().flat_map(|state| state.ready_devices());
        all.extend(ready.map(|(device, ready)| shown(*device, ready.always_on, false)));
        all
    }

    /// How many of the witnesses must agree.
    pub fn quorum(&self) -> usize {
        self.chain.witnesses().quorum()
    }

    /// The settled devices.
    pub fn devices(&self) -> Vec<ShownDevice> {
        let Some(state) = self.chain.state() else { return Vec::new() };
        let lacking: Vec<DeviceId> = state.lacking().collect();
        let shown = |(id, device): (&DeviceId, &ledgerno_ledger::state::Device)| ShownDevice {
            id: *id,
            member: device.member,
            role: device.role,
            retired: device.retired,
            votes: state.witnesses().has_device(id),
            lacks_keys: lacking.contains(id),
        };
        state.devices().map(shown).collect()
    }

    /// Members who were thanked, by how much in all.
    pub fn ranking(&self, now: u64) -> Vec<Ranked> {
        let Some(state) = self.chain.state() else { return Vec::new() };
        let thanked = state.members().filter(|(_, member)| member.thanked > 0);
        let mut ranking: Vec<Ranked> = thanked
            .map(|(id, member)| Ranked {
                member: *id,
                name: member.name.clone(),
                in_all: member.thanked,
                lately: state.thanked_lately(id, now),
            })
            .collect();
        ranking.sort_by_key(|ranked| core::cmp::Reverse(ranked.in_all));
        ranking
    }

    /// What this member's purse holds: points that can only be given.
    pub fn allowance(&self, now: u64) -> u64 {
        let (Some(state), Some(own)) = (self.chain.state(), self.own_member()) else { return 0 };
        state.purse(&own, now)
    }

    /// The numbers that the circle plays by.
    pub fn rules(&self) -> &Rules {
        self.chain.state().map_or(&self.genesis.rules, |state| state.rules())
    }

    /// How many epochs have begun, the first counted.
    pub fn epochs(&self) -> usize {
        self.chain.state().map_or(1, |state| state.epochs().len())
    }

    /// The settled stamps and those of this device on their way, the newest first.
    pub fn stamps(&self) -> Vec<ShownStamp> {
        let Some(state) = self.chain.state() else { return Vec::new() };
        let own = self.own.iter().rev().take_while(|id| self.history.settled(id).is_none());
        let pending = own.filter_map(|id| match self.operation(id)? {
            Operation::Stamp { document, .. } if state.stamped(&document).is_none() => Some((document, *id)),
            _ => None,
        });
        let by = self.own_member();
        let mut shown: Vec<ShownStamp> =
            pending.filter_map(|(document, entry)| Some(self.shown_stamp(document, entry, by?, None))).collect();
        let mut settled: Vec<_> = state.stamps().collect();
        settled.sort_by_key(|(_, stamped)| core::cmp::Reverse(stamped.height));
        shown.extend(
            settled.into_iter().map(|(document, stamped)| {
                self.shown_stamp(*document, stamped.entry, stamped.by, Some(stamped.clone()))
            }),
        );
        shown
    }

    fn shown_stamp(&self, document: Hash, entry: EntryId, by: MemberId, settled: Option<Stamped>) -> ShownStamp {
        let vouched = settled.iter().flat_map(|stamped| &stamped.vouched);
        let vouchers = vouched.map(|one| (one.member, self.settled_name(&one.member))).collect();
        let note = self.note_of(&entry);
        let (name, status) = (self.settled_name(&by), self.status(&entry));
        ShownStamp { document, entry, by, name, note, status, settled, vouchers }
    }

    /// A stamp's note. Its body is opened once; one that can not be opened now is tried again.
    fn note_of(&self, stamp: &EntryId) -> String {
        if let Some(note) = self.notes.borrow().get(stamp) {
            return note.clone();
        }
        let Some(Operation::Stamp { note, .. }) = self.operation(stamp) else { return String::new() };
        let note = if note.is_empty() { Some(String::new()) } else { self.sealed_text(stamp, &note) };
        if let Some(note) = &note {
            let mut notes = self.notes.borrow_mut();
            if notes.len() >= MAX_NOTES {
                notes.clear();
            }
            notes.insert(*stamp, note.clone());
        }
        note.unwrap_or_default()
    }

    /// A reason or a note, from the body of an entry that is held.
    fn sealed_text(&self, id: &EntryId, sealed: &[u8]) -> Option<String> {
        let Seat::Member { keyring, .. } = &self.seat else { return None };
        let entry = &self.packed(id)?.signed.entry;
        let talk = keyring.key(entry.epoch, Lane::Talk)?;
        String::from_utf8(seal::open_reason(self.circle, entry.device, entry.seq, talk, sealed).ok()?).ok()
    }

    /// The open proposals.
    pub fn motions(&self) -> Vec<ShownMotion> {
        let Some(state) = self.chain.state() else { return Vec::new() };
        let needed = state.members().filter(|(_, member)| member.removed.is_none()).count() / 2 + 1;
        let own = self.own_member();
        let shown = |(id, motion): (&EntryId, &ledgerno_ledger::state::Motion)| ShownMotion {
            id: *id,
            by: motion.by,
            name: self.settled_name(&motion.by),
            change: motion.change.clone(),
            consents: motion.consents.len(),
            needed,
            consented: own.is_some_and(|own| motion.consents.contains(&own)),
        };
        state.motions().map(shown).collect()
    }

    /// Whether somebody was a member and is none any more.
    pub fn is_removed(&self, member: &MemberId) -> bool {
        self.chain.state().and_then(|state| state.member(member)).is_some_and(|known| known.removed.is_some())
    }

    /// Whether an own invite is taken back, settled or not.
    pub fn is_revoked(&self, invite: &Invite) -> bool {
        let settled = self.chain.state().and_then(|state| state.registered(&invite.key, &invite.issuer));
        settled.is_some_and(|known| known.revoked)
            || self.has_written(|operation| matches!(operation, Operation::Revoke { key, .. } if *key == invite.key))
    }

    /// Whether this device has written such an operation that is not settled yet.
    pub fn has_written(&self, such: impl Fn(&Operation) -> bool) -> bool {
        let own = self.own.iter().rev().take_while(|id| self.history.settled(id).is_none());
        own.filter_map(|id| self.operation(id)).any(|operation| such(&operation))
    }

    /// The time that an entry's author gave it; 0 if it is not held.
    pub fn time_of(&self, id: &EntryId) -> u64 {
        self.dag.get(id).map_or(0, |packed| packed.signed.entry.time)
    }

    /// Whether this member is the founder, whose word is enough where others propose.
    pub fn is_founder(&self) -> bool {
        self.own_member() == Some(self.genesis.founder)
    }

    /// A member's name, empty if the state does not know it.
    pub fn settled_name(&self, member: &MemberId) -> String {
        self.chain.state().and_then(|state| state.member(member)).map_or_else(String::new, |known| known.name.clone())
    }
}
