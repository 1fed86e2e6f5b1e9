//! What can be said of an entry by itself: its form and its signatures. Whether it is *admitted* depends on others, and
//! is the DAG's to say.
//!
//! Form is checked first, for it is cheap; then all signatures of a batch at once, under the one rule of
//! [`crate::verify`].

use crate::bytes::{CircleId, DeviceId, EntryId, Hash, Signature};
use crate::entry::{Admission, Entry, Invited, Lane, MAX_APPROVES, MAX_BODY, Packed, VERSION, hash_body};
use crate::erasure::Erasure;
use crate::keys::{KeyError, check_box_key, check_key};
use crate::sorted::SortedMap;
use crate::verify::{Claim, verify, verify_batch};
use alloc::vec::Vec;
use thiserror::Error;

mod vouched;

pub use vouched::{Unvouched, Vouched};

/// The most branches of one device that an entry approves.
const MAX_BRANCHES: usize = 2;

/// Whose signature an entry bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The author's, over the entry's id.
    Device,
    /// The member's, over the admission.
    Member,
    /// The invite's, over the newcomer.
    Invite,
    /// The issuer's, over the invite.
    Issuer,
    /// The author's, over the erasure of the body.
    Eraser,
}

/// Why an entry is refused: by itself ([`check`]) or among the others (the last four).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Of a format that this code does not know.
    #[error("version {0} of entries is unknown")]
    Version(u8),
    /// Too many approved heads.
    #[error("{0} heads approved, where at most {MAX_APPROVES} are allowed")]
    TooManyApproved(usize),
    /// The approved heads are not sorted, or one is there twice.
    #[error("the approved heads are not sorted")]
    ApprovesUnsorted,
    /// More than two heads of one device.
    #[error("more than two heads of {0:?} approved")]
    TooManyBranches(DeviceId),
    /// A head of the author's own.
    #[error("an entry approves its own device")]
    ApprovesItself,
    /// Before the first entry is the genesis, and only there.
    #[error("the entry before seq {0} is misnamed")]
    Prev(u64),
    /// The first entry is sealed with epoch 0's key.
    #[error("the first entry of a device is not of epoch 0")]
    Epoch,
    /// The first entry's checkpoint is the genesis, and height 0 is no other.
    #[error("the checkpoint at height {0} is misnamed")]
    Checkpoint(u64),
    /// The first entry bears an admission, and no other.
    #[error("an admission is missing, or misplaced, at seq {0}")]
    Admission(u64),
    /// A key of the admission may not be one.
    #[error("a key of the admission: {0}")]
    Key(KeyError),
    /// An invite for nobody.
    #[error("the invite is for no newcomer")]
    InviteForNobody,
    /// A body longer than any may be.
    #[error("a body of {0} bytes, where at most {MAX_BODY} are allowed")]
    BodyTooLong(u64),
    /// The body is not the one that was signed.
    #[error("the body is not the one that was signed")]
    OtherBody,
    /// There is no body, and no erasure says why. (A state body is never erased.)
    #[error("the body is missing")]
    BodyMissing,
    /// The body was erased by a member whose device did not write the entry.
    #[error("the body was erased by another than its author")]
    NotTheEraser,
    /// A signature does not hold.
    #[error("the signature of {0:?} does not hold")]
    Signature(Signer),
    /// The author's device is not admitted: its admission does not lead back to the genesis.
    #[error("the device {0:?} is not admitted")]
    NotAdmitted(DeviceId),
    /// The entry before it, or one that it approves, is not where it says.
    #[error("a parent of the entry is not where the entry says")]
    Parent,
    /// More devices came by the invite than it may bring.
    #[error("the invite is used up")]
    InviteUsedUp,
    /// No room among those that wait for their ancestors; it may come again later.
    #[error("too many entries wait for their ancestors")]
    WaitingFull,
}

/// An entry whose form and signatures were checked: by [`check`], or earlier ([`Checked::stored`]); or for whose
/// signatures a certificate stands till they are checked ([`Vouched`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    packed: Packed,
    id: EntryId,
}

impl Checked {
    /// An entry that this node wrote itself, or reads from its own store where it put it after a check: nothing is
    /// checked again. Never for bytes from outside.
    pub fn stored(circle: CircleId, packed: Packed) -> Self {
        let id = packed.signed.entry.id(circle);
        Checked { packed, id }
    }

    /// The entry's id.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.packed.signed.entry
    }

    /// The entry with signature and body.
    pub fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The entry with signature and body.
    pub fn into_packed(self) -> Packed {
        self.packed
    }
}

/// An entry with its id, of which nothing is checked yet.
pub struct Named(Checked);

impl Named {
    /// Names an entry.
    pub fn new(circle: CircleId, packed: Packed) -> Self {
        Named(Checked::stored(circle, packed))
    }

    /// The entry's id.
    pub fn id(&self) -> EntryId {
        self.0.id
    }

    /// The entry with signature and body.
    pub fn packed(&self) -> &Packed {
        &self.0.packed
    }
}

/// Checks one entry.
///
/// # Errors
/// [`Refused`], by the first rule broken.
pub fn check(circle: CircleId, packed: Packed) -> Result<Checked, Refused> {
    let checked = check_form(circle, Named::new(circle, packed), &mut Keys::default())?;
    for signed in signatures(circle, &checked) {
        if !verify(&signed.key, &signed.message, &signed.signature) {
            return Err(Refused::Signature(signed.by));
        }
    }
    Ok(checked)
}

/// Checks many entries, their signatures all at once: for each what [`check`] says of it, in the same order.
pub fn check_batch(circle: CircleId, named: Vec<Named>) -> Vec<Result<Checked, Refused>> {
    let mut keys = Keys::default();
    let formed: Vec<_> = named.into_iter().map(|named| check_form(circle, named, &mut keys)).collect();
    let mut all = Vec::with_capacity(formed.len());
    let mut owners = Vec::with_capacity(formed.len());
    for (at, checked) in formed.iter().enumerate() {
        for signed in checked.iter().flat_map(|checked| signatures(circle, checked)) {
            all.push(signed);
            owners.push(at);
        }
    }
    let claims: Vec<_> = all
        .iter()
        .map(|signed| Claim { key: &signed.key, signature: &signed.signature, message: &signed.message })
        .collect();
    let mut results = formed;
    for ((holds, signed), at) in verify_batch(&claims).into_iter().zip(&all).zip(owners) {
        if !holds && results[at].is_ok() {
            results[at] = Err(Refused::Signature(signed.by));
        }
    }
    results
}

/// A signature to check, and whose it should be.
struct SignedBy {
    by: Signer,
    key: [u8; 32],
    message: [u8; 32],
    signature: Signature,
}

/// Every signature that an entry bears.
fn signatures(circle: CircleId, checked: &Checked) -> impl Iterator<Item = SignedBy> {
    let entry = checked.entry();
    let own = SignedBy {
        by: Signer::Device,
        key: entry.device.0,
        message: checked.id.0,
        signature: checked.packed.signed.signature,
    };
    let admission = entry.admission.as_ref().map(|admission| admission_signatures(circle, entry.device, admission));
    let erasure = checked.packed.erasure.as_ref().map(|erasure| SignedBy {
        by: Signer::Eraser,
        key: erasure.by.map_or(entry.device.0, |member| member.0),
        message: Erasure::message(circle, checked.id),
        signature: erasure.signature,
    });
    core::iter::once(own).chain(erasure).chain(admission.into_iter().flatten())
}

/// Every signature that a device's admission bears.
fn admission_signatures(circle: CircleId, device: DeviceId, admission: &Admission) -> impl Iterator<Item = SignedBy> {
    let member = SignedBy {
        by: Signer::Member,
        key: admission.member.0,
        message: Admission::message(circle, device, admission.box_key, admission.role),
        signature: admission.signature,
    };
    let invited = admission.invited.as_ref().map(|invited| (admission.member, invited));
    let newcomer = invited.map(|(member, invited)| SignedBy {
        by: Signer::Invite,
        key: invited.invite.key.0,
        message: Invited::message(circle, member, device),
        signature: invited.signature,
    });
    let issuer = invited.map(|(_, Invited { invite, .. })| SignedBy {
        by: Signer::Issuer,
        key: invite.issuer.0,
        message: invite.message(circle),
        signature: invite.signature,
    });
    [Some(member), newcomer, issuer].into_iter().flatten()
}

/// Checks an admission that comes without an entry: keys and signatures, not whether it leads back to the genesis.
///
/// # Errors
/// [`Refused::Key`], [`Refused::InviteForNobody`] and [`Refused::Signature`].
pub fn check_admission(circle: CircleId, device: DeviceId, admission: &Admission) -> Result<(), Refused> {
    check_admission_keys(device, admission, &mut Keys::default())?;
    match admission_signatures(circle, device, admission)
        .find(|signed| !verify(&signed.key, &signed.message, &signed.signature))
    {
        Some(signed) => Err(Refused::Signature(signed.by)),
        None => Ok(()),
    }
}

/// Checks everything but the signatures.
fn check_form(circle: CircleId, named: Named, keys: &mut Keys) -> Result<Checked, Refused> {
    let packed = &named.0.packed;
    check_shape(circle, packed, packed.body.as_deref().map(hash_body))?;
    let entry = &packed.signed.entry;
    if let Some(admission) = &entry.admission {
        check_admission_keys(entry.device, admission, keys)?;
    }
    if let Some(member) = packed.erasure.as_ref().and_then(|erasure| erasure.by) {
        keys.check(&member.0)?;
    }
    Ok(named.0)
}

/// Checks everything but keys and signatures, given the hash of the body, if there is one.
fn check_shape(circle: CircleId, packed: &Packed, body: Option<Hash>) -> Result<(), Refused> {
    let entry = &packed.signed.entry;
    if entry.version != VERSION {
        return Err(Refused::Version(entry.version));
    }
    check_approves(entry)?;
    check_place(circle, entry)?;
    check_body(entry, packed.body.as_ref().map(Vec::len).zip(body))
}

fn check_approves(entry: &Entry) -> Result<(), Refused> {
    let approves = &entry.approves;
    if approves.len() > MAX_APPROVES {
        return Err(Refused::TooManyApproved(approves.len()));
    }
    if !approves.is_sorted_by(|one, next| one < next) {
        return Err(Refused::ApprovesUnsorted);
    }
    if approves.iter().any(|head| head.device == entry.device) {
        return Err(Refused::ApprovesItself);
    }
    // They are sorted by device: three of one stand side by side.
    match approves.windows(MAX_BRANCHES + 1).find(|heads| heads[0].device == heads[MAX_BRANCHES].device) {
        Some(heads) => Err(Refused::TooManyBranches(heads[0].device)),
        None => Ok(()),
    }
}

fn check_place(circle: CircleId, entry: &Entry) -> Result<(), Refused> {
    let first = entry.seq == 0;
    if first != (entry.prev == circle.into()) {
        return Err(Refused::Prev(entry.seq));
    }
    if first && entry.epoch != circle.into() {
        return Err(Refused::Epoch);
    }
    let at_genesis = entry.checkpoint.height == 0;
    if at_genesis != (entry.checkpoint.hash.0 == circle.0) || first && !at_genesis {
        return Err(Refused::Checkpoint(entry.checkpoint.height));
    }
    if first != entry.admission.is_some() {
        return Err(Refused::Admission(entry.seq));
    }
    Ok(())
}

/// The body's length and hash, if there is one.
fn check_body(entry: &Entry, body: Option<(usize, Hash)>) -> Result<(), Refused> {
    if entry.body_len as usize > MAX_BODY {
        return Err(Refused::BodyTooLong(entry.body_len.into()));
    }
    match body {
        None if entry.lane == Lane::State => Err(Refused::BodyMissing),
        None => Ok(()),
        Some(body) if body == (entry.body_len as usize, entry.body_hash) => Ok(()),
        Some(_) => Err(Refused::OtherBody),
    }
}

/// The keys that were checked so far: those who come by one invite all name its keys, and a key takes longer to check
/// than a signature.
#[derive(Default)]
struct Keys(SortedMap<[u8; 32], Result<(), KeyError>>);

impl Keys {
    fn check(&mut self, key: &[u8; 32]) -> Result<(), Refused> {
        self.0.get_or_insert_with(*key, || check_key(key)).map_err(Refused::Key)
    }
}

/// Keys are checked where they are admitted: later entries of a device add none.
fn check_admission_keys(device: DeviceId, admission: &Admission, keys: &mut Keys) -> Result<(), Refused> {
    keys.check(&device.0)?;
    keys.check(&admission.member.0)?;
    check_box_key(&admission.box_key).map_err(Refused::Key)?;
    if let Some(Invited { invite, .. }) = &admission.invited {
        keys.check(&invite.key.0)?;
        keys.check(&invite.issuer.0)?;
        if invite.uses == 0 {
            return Err(Refused::InviteForNobody);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
