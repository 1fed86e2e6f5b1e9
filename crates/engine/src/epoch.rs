//! Epochs at a device: how it comes to hold their keys, and how it gives them on.
//!
//! Keys come sealed to the device in the operation that starts an epoch, or in one that hands them out later; they are
//! looked for as soon as such an entry is taken, and kept if they are the ones that the epoch's start committed to. A
//! device without an epoch's key does not fold what is above its beginning, and does not vote on it.
//!
//! Who lacks keys is listed in the state. Any device that writes and holds them hands them out by itself: the first by
//! device id after three seconds, each further one three seconds later, so that one does it and, if it sleeps, another.
//! A handout is sealed with the first epoch's state key, which everybody has; what it carries is sealed to the devices.
//! The parcels of the own invites are sealed anew whenever an epoch begins.

use crate::engine::Engine;
use crate::keyring::Keyring;
use crate::write::{WriteError, Written};
use ledgerno_ledger::bytes::{BoxKey, DeviceId, EntryId, MemberId};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Lane, Role};
use ledgerno_ledger::epoch::{Handout, MAX_RING, MAX_SEALED_TO, Marks, NewEpoch};
use ledgerno_ledger::genesis::Kind;
use ledgerno_ledger::op::{Change, Operation};
use ledgerno_ledger::seal::{LaneKey, LaneKeys};
use ledgerno_ledger::settle::Opener;

/// What the names of the records of later epochs' keys begin with.
pub(crate) const RECORD: &str = "epoch-";
/// The most bytes of such a record.
const MAX_RECORD: usize = 256;
/// No body with sealed keys is shorter than this.
const LEAST_BODY: u32 = 512;
/// The most entries that are looked at again when another epoch's keys come.
const MAX_UNREAD: usize = 1_024;
/// How much later than the one before it a device hands keys out, in milliseconds.
const TURN_MS: u64 = 3_000;
/// The longest that any device waits with it.
const MAX_TURNS: u64 = 20;
/// The most bytes of keys in one handout.
const MAX_HANDED: usize = 40_000;

/// What a device does about epochs.
#[derive(Default)]
pub(crate) struct Epochs {
    /// Entries of the state lane whose epoch's key is not held, and that may bear keys.
    unread: Vec<EntryId>,
    /// Handouts that are not settled, by their entries: to whom.
    handed: Vec<(EntryId, Vec<DeviceId>)>,
    /// Keys that came and are not written yet.
    fresh: Vec<LaneKeys>,
    /// How many epochs the parcels of the own invites are sealed for.
    parcels_for: usize,
    due: Option<u64>,
}

impl Epochs {
    /// Whether an entry may bear keys and its own key is not held yet.
    pub(crate) fn waits_for(&self, id: &EntryId) -> bool {
        self.unread.contains(id)
    }

    /// When it is the own turn to hand keys out.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due
    }
}

impl Engine {
    fn keyring(&self) -> Option<&Keyring> {
        self.seat.keyring()
    }

    /// The lane keys that this device holds, the first epoch's first; none at a keeper.
    pub fn lane_keys(&self) -> &[LaneKeys] {
        self.keyring().map_or(&[], Keyring::all)
    }

    /// Takes back a stored epoch's keys.
    pub(crate) fn restore_epoch(&mut self, name: &str, bytes: &[u8]) -> bool {
        let (Some(keyring), Ok(keys)) = (self.seat.keyring_mut(), codec::decode::<LaneKeys>(bytes, MAX_RECORD)) else {
            return false;
        };
        let ours = name == name_of(&keys);
        if ours {
            keyring.add(keys);
        }
        ours
    }

    /// Records of keys that came since the last write.
    pub(crate) fn fresh_keys(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let record = |keys: LaneKeys| (name_of(&keys), Some(codec::encode(&keys)));
        core::mem::take(&mut self.epochs.fresh).into_iter().map(record).collect()
    }

    /// Looks for keys in an entry that was taken, and in those that they open.
    pub(crate) fn look_for_keys(&mut self, id: EntryId) {
        let mut again = vec![id];
        while let Some(id) = again.pop() {
            let Some(found) = self.keys_in(id) else { continue };
            for keys in found {
                let Some(keyring) = self.seat.keyring_mut() else { return };
                if keyring.add(keys.clone()) {
                    self.epochs.fresh.push(keys);
                    again.append(&mut self.epochs.unread);
                }
            }
        }
    }

    /// Keys for this device in an entry, which fit their epochs' marks and follow what is held.
    fn keys_in(&mut self, id: EntryId) -> Option<Vec<LaneKeys>> {
        let (device, keyring) = self.seat.hand()?;
        let packed = self.dag.get(&id)?;
        let entry = &packed.signed.entry;
        if entry.lane != Lane::State || entry.body_len < LEAST_BODY {
            return None;
        }
        if !keyring.holds(&entry.epoch) {
            if self.epochs.unread.len() < MAX_UNREAD && !self.epochs.unread.contains(&id) {
                self.epochs.unread.push(id);
            }
            return None;
        }
        let operation = Operation::decode(&keyring.open(entry, packed.body.as_deref()?)?).ok()?;
        match &operation {
            Operation::Keys { keys, .. } => {
                self.epochs.handed.push((id, keys.to.iter().map(|(device, _)| *device).collect()));
                let mut ring = keys.open(self.circle, device)?;
                let mut held = keyring.clone();
                ring.retain(|keys| {
                    let fits = self.marks(&keys.epoch, &held).is_some_and(|marks| marks.fit(keys));
                    fits && held.add(keys.clone())
                });
                Some(ring)
            }
            _ => {
                let new = started_by(&operation)?;
                let keys = new.keys.open(self.circle, device)?.into_iter().next()?;
                let keys = LaneKeys { epoch: id, ..keys.clone() };
                new.marks.fit(&keys).then(|| vec![keys])
            }
        }
    }

    /// What an epoch's start committed to: as settled, or as its entry says that is held here.
    fn marks(&self, epoch: &EntryId, keyring: &Keyring) -> Option<Marks> {
        let settled = self.chain.state().and_then(|state| state.epochs().iter().find(|known| known.id == *epoch));
        if let Some(known) = settled.filter(|known| known.height > 0) {
            return Some(known.marks);
        }
        let packed = self.dag.get(epoch)?;
        let plain = keyring.open(&packed.signed.entry, packed.body.as_deref()?)?;
        started_by(&Operation::decode(&plain).ok()?).map(|new| new.marks)
    }

    /// The epoch whose keys seal what is written now: the newest that has begun and whose keys of the lane are held.
    pub(crate) fn writing_epoch(&self, lane: Lane) -> EntryId {
        let known = self.chain.state().map_or(&[][..], |state| state.epochs());
        let held = |epoch: &EntryId| self.keyring().is_some_and(|ring| ring.key(*epoch, lane).is_some());
        known.iter().rev().map(|epoch| epoch.id).find(held).unwrap_or(self.circle.into())
    }

    /// A header was settled: an epoch may have begun, and devices may lack keys.
    pub(crate) fn after_settled(&mut self, now: u64) {
        let history = &self.history;
        self.epochs.handed.retain(|(entry, _)| history.settled(entry).is_none());
        let Some(state) = self.chain.state() else { return };
        let epochs = state.epochs().len();
        if self.genesis.kind == Kind::Readable {
            let readable: Vec<LaneKeys> =
                state.epochs().iter().map(|epoch| LaneKeys::readable(self.circle, epoch.id)).collect();
            if let Some(keyring) = self.seat.keyring_mut() {
                readable.into_iter().for_each(|keys| {
                    keyring.add(keys);
                });
            }
        }
        self.epochs.due = self.own_turn().map(|turn| now.saturating_add(turn.saturating_mul(TURN_MS)));
        if epochs > self.epochs.parcels_for.max(1) {
            self.epochs.parcels_for = epochs;
            self.seal_parcels_anew(now);
        }
    }

    /// Who lacks keys and is not being handed them, by role.
    fn lacking(&self) -> Vec<(DeviceId, BoxKey, Role)> {
        let Some(state) = self.chain.state() else { return Vec::new() };
        let is_handed = |id: &DeviceId| self.epochs.handed.iter().any(|(_, to)| to.contains(id));
        let lacking = state.lacking().filter(|id| Some(*id) != self.device() && !is_handed(id));
        lacking.filter_map(|id| state.device(&id).map(|device| (id, device.box_key, device.role))).collect()
    }

    /// How many devices are to hand keys out before this one, and one; none if it is not to.
    fn own_turn(&self) -> Option<u64> {
        let (state, own) = (self.chain.state()?, self.device()?);
        let newest = self.keyring()?.of(&state.newest_epoch().id)?;
        if newest.talk.is_none() || self.lacking().is_empty() {
            return None;
        }
        let lacks: Vec<DeviceId> = state.lacking().collect();
        let able = |id: &DeviceId| state.is_active(id) && !lacks.contains(id);
        let mut able = state.devices().filter(|(id, device)| device.role == Role::Write && able(id)).map(|(id, _)| *id);
        able.position(|id| id == own).map(|at| (at as u64 + 1).min(MAX_TURNS))
    }

    /// Hands the keys out, if it is the own turn.
    pub(crate) fn hand_out_keys(&mut self, now: u64) {
        if self.epochs.due.is_none_or(|due| due > now) {
            return;
        }
        self.epochs.due = None;
        // What does not succeed now is tried at the next header, or by another device.
        if let Some(operation) = self.handout() {
            self.write_for_all(&operation, now).ok();
        }
    }

    fn handout(&mut self) -> Option<Operation> {
        let epoch = self.chain.state()?.newest_epoch().id;
        let mut to = self.lacking();
        let ring = self.keyring()?.all();
        let ring = ring[1..].iter().rev().take(MAX_RING).rev().cloned().collect::<Vec<_>>();
        to.truncate((MAX_HANDED / (ring.len() * 128 + 256)).max(1));
        if to.is_empty() {
            return None;
        }
        let (circle, secret) = (self.circle, self.random.bytes());
        let keys = Handout::seal(circle, &ring, &to, secret, &mut || self.random.bytes()).ok()?;
        Some(Operation::Keys { epoch, keys })
    }

    /// The start of an epoch with fresh keys for all devices but a member's, and but one.
    fn fresh_epoch(&mut self, without: Option<MemberId>, but: Option<DeviceId>) -> Result<NewEpoch, WriteError> {
        let own = self.device().ok_or(WriteError::NoSeat)?;
        let state = self.chain.state().ok_or(WriteError::NotInYet)?;
        let after = state.newest_epoch().id;
        let stays =
            |id: &DeviceId, member: &MemberId| state.is_active(id) && Some(*member) != without && Some(*id) != but;
        let mut to: Vec<(DeviceId, BoxKey, Role)> = state
            .devices()
            .filter(|(id, device)| stays(id, &device.member))
            .map(|(id, device)| (*id, device.box_key, device.role))
            .collect();
        // The own device first: what finds no room is handed out later.
        to.sort_by_key(|(id, _, _)| *id != own);
        to.truncate(MAX_SEALED_TO);
        if self.genesis.kind == Kind::Readable {
            to.clear();
        }
        let (state, talk) = (LaneKey::from_secret(self.random.bytes()), LaneKey::from_secret(self.random.bytes()));
        let keys = LaneKeys { epoch: self.circle.into(), state, talk: Some(talk) };
        let (circle, secret, marks) = (self.circle, self.random.bytes(), Marks::of(&keys));
        let keys = Handout::seal(circle, &[keys], &to, secret, &mut || self.random.bytes())?;
        Ok(NewEpoch { after, marks, keys })
    }

    /// Starts a new epoch: after an invite link was seen by others, say.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn start_epoch(&mut self, now: u64) -> Result<Written, WriteError> {
        let new = self.fresh_epoch(None, None)?;
        self.operate(&Operation::Epoch(new), now)
    }

    /// Gives up one of the own devices, lost or replaced, and starts an epoch whose keys it does not get: who has it reads
    /// nothing that is written from then on. (Of a readable circle everybody has the keys.)
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn retire(&mut self, device: DeviceId, now: u64) -> Result<Written, WriteError> {
        // Made before anything is written, for both are to stand, or neither.
        let new = self.fresh_epoch(None, Some(device))?;
        let retired = self.operate(&Operation::Retire(device), now)?;
        if self.genesis.kind == Kind::Readable { Ok(retired) } else { self.operate(&Operation::Epoch(new), now) }
    }

    /// Removes a member, or proposes it: the founder's word is enough, else more than half of the members must agree. A new
    /// epoch begins with it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn remove(&mut self, member: MemberId, now: u64) -> Result<Written, WriteError> {
        if !self.chain.state().is_some_and(|state| state.is_member(&member)) {
            return Err(WriteError::NoMember(member));
        }
        let epoch = self.fresh_epoch(Some(member), None)?;
        self.operate(&Operation::Propose(Box::new(Change::Remove { member, epoch })), now)
    }
}

/// The epoch that an operation starts, or would.
fn started_by(operation: &Operation) -> Option<&NewEpoch> {
    match operation {
        Operation::Epoch(new) => Some(new),
        Operation::Propose(change) => match &**change {
            Change::Remove { epoch, .. } => Some(epoch),
            _ => None,
        },
        _ => None,
    }
}

fn name_of(keys: &LaneKeys) -> String {
    format!("{RECORD}{}", keys.epoch)
}
