//! Writing: a device's own entries. Each is sealed, signed and durable here before anything of it is sent: sent earlier, a
//! crash would make the device fork itself.

use crate::engine::{Engine, Event, Output, Peer, Seat, Then};
use crate::join::Parcel;
use crate::session::Session;
use crate::wire::{Answer, Ask, Topic};
use ledgerno_ledger::bytes::{EntryId, Hash, HeaderHash, InviteKey, MemberId};
use ledgerno_ledger::check::Checked;
use ledgerno_ledger::codec;
use ledgerno_ledger::dag::Outcome;
use ledgerno_ledger::entry::{self, Admission, Anchor, Entry, Head, Invite, Lane, Packed, Role, Signed};
use ledgerno_ledger::hash::{context, hash};
use ledgerno_ledger::invite::{self, InviteLink, RelayAddress};
use ledgerno_ledger::keys::InviteSecret;
use ledgerno_ledger::op::{OpError, Operation, Talk, check_name};
use ledgerno_ledger::seal::{self, BodyContext, SealError};
use serde::{Deserialize, Serialize};

/// What the names of own invites' records begin with.
pub(crate) const INVITATION: &str = "invite-";
/// The most later epochs whose keys a parcel holds.
pub(crate) const MAX_LATER: usize = 24;
/// The most parcels that are being brought at once; the others follow.
const MAX_PARCELS_ASKED: usize = 4;

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A keeper does not write.
    #[error("this node writes nothing")]
    NoSeat,
    /// The circle's entries that admit this device have not come yet.
    #[error("this device is not in the circle yet")]
    NotInYet,
    /// It is in already.
    #[error("this device is in the circle already")]
    InAlready,
    /// A name or a text breaks its rule.
    #[error(transparent)]
    Content(#[from] OpError),
    /// The sealed body is over the circle's limit.
    #[error("the entry's body has {len} bytes sealed, where the circle allows {limit}")]
    TooLong {
        /// Its sealed length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// It does not seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nothing can be sent to nobody.
    #[error("{0} is no member")]
    NoMember(MemberId),
    /// Thanks of nothing, or to oneself.
    #[error("the amount must be at least 1, and for another member")]
    Amount,
    /// There is no lost witness in whose place this device may settle.
    #[error("no witness is to be replaced, or what others hold has not come yet")]
    NoRenewal,
    /// What was to be erased is not in memory; or it was before a snapshot, and nobody who holds it is linked.
    #[error("the entry is not at hand")]
    NotHere,
    /// It is no talk.
    #[error("only what was said can be erased")]
    NoTalk,
    /// Another member said it.
    #[error("another member wrote the entry")]
    NotOwn,
    /// More than there is.
    #[error("the balance is {balance}, which is less than {amount}")]
    Balance {
        /// What can be given now.
        balance: u64,
        /// What was to be given.
        amount: u64,
    },
    /// The DAG does not take it.
    #[error("the entry was refused: {0}")]
    Refused(String),
}

/// An invite given by this device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// The token of the link.
    pub token: String,
    /// The invite.
    pub invite: Invite,
    /// A relay keeps its parcel: the link works.
    pub kept: bool,
    address: Hash,
    parcel: Vec<u8>,
}

/// An own entry on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The entry.
    pub id: EntryId,
    /// The number of its write: once that is done, it is *here*.
    pub no: u64,
}

impl Engine {
    /// Says by what right this device comes: a newcomer's invite, or none for the founder and a member's further device.
    /// With it the device is let in to read before it has written anything.
    ///
    /// # Errors
    /// [`WriteError::NoSeat`].
    pub fn present(&mut self, invited: Option<(&InviteSecret, Invite)>) -> Result<(), WriteError> {
        let Seat::Member { identity, device, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        let invited =
            invited.map(|(secret, invite)| secret.invited(self.circle, identity.member(), device.id(), invite));
        self.admission = Some(identity.admit(self.circle, device, Role::Write, invited));
        self.sessions.values_mut().for_each(Session::present_anew);
        Ok(())
    }

    /// Says by what right a relay comes that was enlisted: a member's word that this device may vote.
    pub fn enlisted(&mut self, admission: Admission) {
        self.admission = Some(admission);
        self.sessions.values_mut().for_each(Session::present_anew);
    }

    /// Writes this device's first entry: a join by a name, or a further device's enrolment. A newcomer has synced before,
    /// so that its entry stands above the ones that admit it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn enter(&mut self, name: Option<&str>, now: u64) -> Result<Written, WriteError> {
        if !self.own.is_empty() {
            return Err(WriteError::InAlready);
        }
        let operation = match name {
            Some(name) => {
                let name = name.trim();
                check_name(name).map_err(OpError::from)?;
                Operation::Join { name: name.to_owned() }
            }
            None => Operation::Enrol,
        };
        let admission = self.admission.clone().ok_or(WriteError::NotInYet)?;
        let first = self.circle.into();
        self.compose((Lane::State, first), &operation.encode(), Some(admission), Vec::new(), now)
    }

    /// Writes a post.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn post(&mut self, text: &str, now: u64) -> Result<Written, WriteError> {
        let talk = Talk::Post { text: text.to_owned() };
        talk.check()?;
        self.write_body(Lane::Talk, &talk.encode(), Vec::new(), now)
    }

    /// Thanks a member with points and a reason.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn thank(&mut self, to: MemberId, amount: u64, reason: &str, now: u64) -> Result<Written, WriteError> {
        let Seat::Member { identity, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        if amount == 0 || to == identity.member() {
            return Err(WriteError::Amount);
        }
        if !self.is_member(&to) {
            return Err(WriteError::NoMember(to));
        }
        let balance = self.spendable(now);
        if balance < amount {
            return Err(WriteError::Balance { balance, amount });
        }
        let reason = self.seal_for_members(reason)?;
        self.operate(&Operation::Transfer { to, amount, reason }, now)
    }

    /// Gives an invite; its link works once a relay keeps its parcel ([`Event::ParcelKept`]).
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn invite(
        &mut self,
        uses: u32,
        expiry: u64,
        relays: Vec<RelayAddress>,
        now: u64,
    ) -> Result<(Invitation, Written), WriteError> {
        let by = self.own_name().ok_or(WriteError::NotInYet)?;
        let secret: [u8; 32] = self.random.bytes();
        let nonce = self.random.bytes();
        let Seat::Member { device, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        let key = InviteSecret::from_secret(secret);
        let invite = Invite::issue(self.circle, &key, device, uses, expiry);
        let link =
            InviteLink { version: invite::VERSION, secret, circle: self.circle, relays, pinned: self.chain.head() };
        let parcel = self.seal_parcel(&key, invite, by, nonce)?;
        let invitation = Invitation { token: link.to_token(), invite, kept: false, address: key.address(), parcel };
        let record = (name_of(&invite.key), Some(codec::encode(&invitation)));
        let written = self.write_operation(&Operation::Invite(invite), vec![record], now)?;
        self.invitations.insert(name_of(&invite.key), invitation.clone());
        Ok((invitation, written))
    }

    fn seal_parcel(
        &self,
        secret: &InviteSecret,
        invite: Invite,
        by: String,
        nonce: [u8; 24],
    ) -> Result<Vec<u8>, WriteError> {
        let Seat::Member { keyring, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        let [keys, later @ ..] = keyring.all() else { return Err(WriteError::NoSeat) };
        // What finds no room is handed to the newcomer by whoever is awake.
        let later = later[later.len().saturating_sub(MAX_LATER)..].to_vec();
        let parcel = Parcel { genesis: self.genesis.encode(), keys: keys.clone(), later, invite, by };
        Ok(secret.seal(nonce, &codec::encode(&parcel))?)
    }

    /// Leaves nothing in the parcel of an own invite.
    pub(crate) fn empty_parcel(&mut self, key: &InviteKey, now: u64) {
        let Some(invitation) = self.invitations.get_mut(&name_of(key)) else { return };
        (invitation.parcel, invitation.kept) = (Vec::new(), false);
        let record = (name_of(key), Some(codec::encode(&*invitation)));
        self.write(Vec::new(), vec![record], Vec::new(), Vec::new(), now);
        for keeper in self.keepers.clone() {
            self.offer_parcels(keeper, now);
        }
    }

    /// Seals the parcels of the own invites for an epoch that began, and brings them to the relays again.
    pub(crate) fn seal_parcels_anew(&mut self, now: u64) {
        let Some(by) = self.own_name() else { return };
        let mut records = Vec::new();
        for (name, mut invitation) in self.invitations.clone() {
            let nonce = self.random.bytes();
            let Ok(link) = InviteLink::from_token(&invitation.token) else { continue };
            let sealed = self.seal_parcel(&link.invite_secret(), invitation.invite, by.clone(), nonce);
            let is_open = invitation.invite.expiry > now && !invitation.parcel.is_empty();
            let (Ok(parcel), true) = (sealed, is_open) else { continue };
            (invitation.parcel, invitation.kept) = (parcel, false);
            records.push((name.clone(), Some(codec::encode(&invitation))));
            self.invitations.insert(name, invitation);
        }
        if !records.is_empty() {
            self.write(Vec::new(), records, Vec::new(), vec![Then::Offer], now);
        }
        for keeper in self.keepers.clone() {
            self.offer_parcels(keeper, now);
        }
    }

    /// Invites given by this device.
    pub fn invitations(&self) -> impl Iterator<Item = &Invitation> {
        self.invitations.values()
    }

    pub(crate) fn restore_invitation(&mut self, name: &str, bytes: &[u8]) -> bool {
        match codec::decode::<Invitation>(bytes, 16 * 1024) {
            Ok(invitation) if name == name_of(&invitation.invite.key) => {
                self.invitations.insert(name.to_owned(), invitation);
                true
            }
            _ => false,
        }
    }

    /// Brings a relay the parcels that none keeps yet; it holds our entries by now.
    pub(crate) fn offer_parcels(&mut self, peer: Peer, now: u64) {
        if !self.keepers.contains(&peer) {
            return;
        }
        let is_asked = |name: &String| self.parcels_asked.values().any(|(_, asked)| asked == name);
        let homeless =
            self.invitations.iter().filter(|(name, one)| !one.kept && one.invite.expiry > now && !is_asked(name));
        let room = MAX_PARCELS_ASKED.saturating_sub(self.parcels_asked.len());
        let homeless = homeless.take(room).map(|(_, one)| one.clone()).collect::<Vec<_>>();
        for Invitation { address, invite, parcel, .. } in homeless {
            self.next_ask += 1;
            self.parcels_asked.insert(self.next_ask, (peer, name_of(&invite.key)));
            self.outputs.push_back(Output::Ask {
                to: peer,
                no: self.next_ask,
                ask: Ask::PutParcel { address, invite, parcel },
            });
        }
    }

    /// Whether an answer was about a parcel.
    pub(crate) fn parcel_answered(&mut self, no: u64, answer: Option<&Answer>, now: u64) -> bool {
        let Some((peer, name)) = self.parcels_asked.remove(&no) else { return false };
        if let (Some(Answer::Kept), Some(invitation)) = (answer, self.invitations.get_mut(&name)) {
            invitation.kept = true;
            let record = (name, Some(codec::encode(&*invitation)));
            self.outputs.push_back(Output::Event(Event::ParcelKept(invitation.invite.key)));
            self.write_entries(Vec::new(), vec![record], Vec::new(), now);
            self.offer_parcels(peer, now);
        }
        true
    }

    pub(crate) fn write_operation(
        &mut self,
        operation: &Operation,
        records: Vec<(String, Option<Vec<u8>>)>,
        now: u64,
    ) -> Result<Written, WriteError> {
        operation.check()?;
        self.write_body(Lane::State, &operation.encode(), records, now)
    }

    /// Writes an operation for those too who have the first epoch's keys alone.
    pub(crate) fn write_for_all(&mut self, operation: &Operation, now: u64) -> Result<Written, WriteError> {
        operation.check()?;
        if self.own.is_empty() {
            return Err(WriteError::NotInYet);
        }
        let first = self.circle.into();
        self.compose((Lane::State, first), &operation.encode(), None, Vec::new(), now)
    }

    fn write_body(
        &mut self,
        lane: Lane,
        plain: &[u8],
        records: Vec<(String, Option<Vec<u8>>)>,
        now: u64,
    ) -> Result<Written, WriteError> {
        if self.own.is_empty() {
            return Err(WriteError::NotInYet);
        }
        self.compose((lane, self.writing_epoch(lane)), plain, None, records, now)
    }

    /// Writes an entry that does nothing but build on these heads of others, at most [`entry::MAX_APPROVES`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub(crate) fn merge_heads(&mut self, heads: &[Head], now: u64) -> Result<Written, WriteError> {
        if self.own.is_empty() {
            return Err(WriteError::NotInYet);
        }
        let lane = (Lane::State, self.writing_epoch(Lane::State));
        self.compose_over(Some(heads), lane, &Operation::Merge.encode(), None, Vec::new(), now)
    }

    /// Writes an own entry over the heads that are most useful to the others.
    fn compose(
        &mut self,
        lane: (Lane, EntryId),
        plain: &[u8],
        admission: Option<entry::Admission>,
        records: Vec<(String, Option<Vec<u8>>)>,
        now: u64,
    ) -> Result<Written, WriteError> {
        self.compose_over(None, lane, plain, admission, records, now)
    }

    /// Seals, signs and takes an own entry, and writes it; it is offered to the others once it is durable.
    fn compose_over(
        &mut self,
        heads: Option<&[Head]>,
        (lane, epoch): (Lane, EntryId),
        plain: &[u8],
        admission: Option<entry::Admission>,
        records: Vec<(String, Option<Vec<u8>>)>,
        now: u64,
    ) -> Result<Written, WriteError> {
        let nonce = self.random.bytes();
        let (device, keyring) = self.seat.hand().ok_or(WriteError::NoSeat)?;
        let mut parents = self.dag.parents(&device.id());
        if let Some(heads) = heads {
            parents.approves = heads.to_vec();
        }
        parents.approves.retain(|head| self.may_approve(&head.id));
        let first = parents.seq == 0;
        let genesis = Anchor { height: 0, hash: HeaderHash(self.circle.0) };
        let mut entry = Entry {
            version: entry::VERSION,
            device: device.id(),
            seq: parents.seq,
            prev: parents.prev,
            approves: parents.approves,
            time: now,
            checkpoint: if first { genesis } else { self.chain.head() },
            lane,
            epoch,
            body_hash: Hash([0; 32]),
            body_len: 0,
            admission: admission.map(Box::new),
        };
        let key = keyring.key(epoch, lane).ok_or(WriteError::NoSeat)?;
        let body = seal::seal_body(&BodyContext::of(self.circle, &entry), key, nonce, plain)?;
        let limit = self.rules().body_limit as usize;
        if body.len() > limit {
            return Err(WriteError::TooLong { len: body.len(), limit });
        }
        entry.body_hash = Hash(hash(context::BODY, &[&body]));
        entry.body_len = body.len() as u32;
        let packed = Packed { signed: Signed::sign(entry, self.circle, device), body: Some(body), erasure: None };
        let bytes = codec::encode(&packed);
        let checked = Checked::stored(self.circle, packed);
        let id = checked.id();
        let taken = match self.dag.insert(checked).map_err(|why| WriteError::Refused(why.to_string()))? {
            Outcome::Taken(ids) => ids,
            Outcome::Waiting { .. } if first => return Err(WriteError::NotInYet),
            Outcome::Waiting { .. } | Outcome::Held => {
                return Err(WriteError::Refused("it does not follow".to_owned()));
            }
        };
        let taken = self.took(&taken);
        let say = Then::Say(Output::Publish { topic: Topic::Entries, bytes });
        let no = self.write_entries(taken, records, vec![say, Then::Offer], now);
        Ok(Written { id, no })
    }
}

fn name_of(key: &InviteKey) -> String {
    format!("{INVITATION}{key}")
}
