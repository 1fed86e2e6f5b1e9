//! An entry: one signed write of a device, a node of the DAG.
//!
//! Its id is BLAKE3 over the circle's id and the canonical bytes of [`Entry`]; the signature is over the id and no part
//! of it. The circle's id is mixed in, not carried. At seq 0 `prev` and `epoch` are the circle's id and `checkpoint` is
//! (0, circle id), for the genesis is height 0. The body travels beside the entry, sealed; `body_hash` is over the sealed
//! bytes.

use crate::bytes::{BoxKey, CircleId, DeviceId, EntryId, Hash, HeaderHash, InviteKey, MemberId, Signature};
use crate::codec::direct::{Direct, Input, counted, direct, write_len};
use crate::codec::{self, CodecError};
use crate::erasure::Erasure;
use crate::hash::{context, hash};
use crate::keys::DeviceKey;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The version of the entry format.
pub const VERSION: u8 = 1;
/// The most heads of other devices that one entry approves.
pub const MAX_APPROVES: usize = 8;
/// The most bytes of a sealed body.
pub const MAX_BODY: usize = 65_536;
/// The most bytes of an encoded [`Signed`].
pub const MAX_SIGNED: usize = 2_048;
/// The most bytes of an encoded [`Packed`].
pub const MAX_PACKED: usize = MAX_SIGNED + 1 + 3 + MAX_BODY;

/// Who can read a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Members, devices, points, stamps, witnesses: members and witnesses read it.
    State,
    /// The rest: members alone read it.
    Talk,
}

/// What a device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Writes for its member.
    Write,
    /// Only votes; its operations are void.
    Vote,
}

/// A place in the DAG: an entry of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Head {
    /// The device that wrote the entry.
    pub device: DeviceId,
    /// Its place in the device's chain, from 0.
    pub seq: u64,
    /// The entry.
    pub id: EntryId,
}

/// The newest settled header that an author had verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Anchor {
    /// Its height; 0 is the genesis.
    pub height: u64,
    /// Its hash; at height 0 the circle's id.
    pub hash: HeaderHash,
}

/// One write of a device, without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// [`VERSION`].
    pub version: u8,
    /// The author.
    pub device: DeviceId,
    /// The place in the author's chain, from 0.
    pub seq: u64,
    /// The author's entry before this one; the circle's id at seq 0.
    pub prev: EntryId,
    /// Heads of other devices that the author holds whole: sorted, at most [`MAX_APPROVES`], at most two of a device.
    pub approves: Vec<Head>,
    /// The author's clock in milliseconds since 1970; a claim, for showing only.
    pub time: u64,
    /// The newest checkpoint that the author verified.
    pub checkpoint: Anchor,
    /// Who can read the body.
    pub lane: Lane,
    /// The epoch of the key that seals the body; at seq 0 the circle's id.
    pub epoch: EntryId,
    /// BLAKE3 of the sealed body.
    pub body_hash: Hash,
    /// The sealed body's length in bytes.
    pub body_len: u32,
    /// What admits the device; at seq 0 and only there.
    pub admission: Option<Box<Admission>>,
}

/// An entry with its author's signature over its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What is signed.
    pub entry: Entry,
    /// By `entry.device`, over the entry's id.
    pub signature: Signature,
}

/// A member's word that a device is theirs and, for a newcomer, an invite's word that they may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The member.
    pub member: MemberId,
    /// The device's X25519 key.
    pub box_key: BoxKey,
    /// What the device may do.
    pub role: Role,
    /// The member's signature over circle, device, its X25519 key and role.
    pub signature: Signature,
    /// For a member's first device, but the founder's: the invite.
    pub invited: Option<Invited>,
}

/// The use of an invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The invite as its issuer signed it.
    pub invite: Invite,
    /// The invite key's signature over circle, member and device.
    pub signature: Signature,
}

/// The right to join, given by a member's device to whoever holds the invite's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Derived from the secret in the link.
    pub key: InviteKey,
    /// The device that gave it.
    pub issuer: DeviceId,
    /// How many may come by it.
    pub uses: u32,
    /// The last moment to come by it, in milliseconds since 1970.
    pub expiry: u64,
    /// The issuer's signature over circle, key, issuer, uses and expiry.
    pub signature: Signature,
}

/// An entry as it travels and is stored: with its sealed body or, once that is erased, with the author's word for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The entry.
    pub signed: Signed,
    /// The sealed body; none where it is erased. (Where it is missing without a reason, nobody takes the entry.)
    pub body: Option<Vec<u8>>,
    /// Why there is no body.
    pub erasure: Option<Box<Erasure>>,
}

/// What stands before the body, before the erasure in its place, and where there is neither.
const BODY: u8 = 1;
const ERASED: u8 = 2;
const NEITHER: u8 = 0;

direct! { fast Head { device: DeviceId, seq: u64, id: EntryId } }
direct! { fast Anchor { height: u64, hash: HeaderHash } }
direct! { fast Entry {
    version: u8, device: DeviceId, seq: u64, prev: EntryId, approves: Vec<Head>, time: u64, checkpoint: Anchor, lane: Lane,
    epoch: EntryId, body_hash: Hash, body_len: u32, admission: Option<Box<Admission>>,
} }
direct! { Signed { entry: Entry, signature: Signature } }
direct! { Admission {
    member: MemberId, box_key: BoxKey, role: Role, signature: Signature, invited: Option<Invited>,
} }
direct! { Invited { invite: Invite, signature: Signature } }
direct! { Invite { key: InviteKey, issuer: DeviceId, uses: u32, expiry: u64, signature: Signature } }

impl Direct for Lane {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        (*self == Lane::Talk).write(out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(if bool::read(input)? { Lane::Talk } else { Lane::State })
    }
}

impl Direct for Role {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        (*self == Role::Vote).write(out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(if bool::read(input)? { Role::Vote } else { Role::Write })
    }
}

impl Direct for Packed {
    const LEAST: usize = Signed::LEAST + 1;

    fn write(&self, out: &mut Vec<u8>) {
        self.signed.write(out);
        match (&self.body, &self.erasure) {
            (_, Some(erasure)) => {
                out.push(ERASED);
                erasure.write(out);
            }
            (Some(body), None) => {
                out.push(BODY);
                write_len(body.len(), out);
                out.extend_from_slice(body);
            }
            (None, None) => out.push(NEITHER),
        }
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        read_body(Signed::read(input)?, input)
    }
}

#[cfg_attr(page, optimize(speed))]
fn read_body(signed: Signed, input: &mut Input) -> Result<Packed, CodecError> {
    Ok(match u8::read(input)? {
        BODY => Packed { signed, body: Some(input.take_counted()?.to_vec()), erasure: None },
        ERASED => return read_erased(signed, input),
        NEITHER => Packed { signed, body: None, erasure: None },
        _ => return Err(CodecError::Malformed),
    })
}

/// Seldom, so it weighs nothing where bodies are read.
#[inline(never)]
fn read_erased(signed: Signed, input: &mut Input) -> Result<Packed, CodecError> {
    Ok(Packed::erased(signed, Erasure::read(input)?))
}

counted! { Signed, MAX_SIGNED; Packed, MAX_PACKED; }

/// What stands in an entry for its sealed body.
pub fn hash_body(sealed: &[u8]) -> Hash {
    Hash(hash(context::BODY, &[sealed]))
}

impl Entry {
    /// Its id: the hash of the circle's id and its canonical bytes.
    pub fn id(&self, circle: CircleId) -> EntryId {
        EntryId(hash(context::ENTRY, &[&circle.0, &codec::encode_directly(self)]))
    }

    /// Its place in the DAG, given its id.
    pub fn head(&self, id: EntryId) -> Head {
        Head { device: self.device, seq: self.seq, id }
    }

    /// The circle's id stands where there is nothing before.
    pub fn is_first_of(&self, circle: CircleId) -> bool {
        self.seq == 0 && self.prev == circle.into()
    }
}

impl Signed {
    /// Signs an entry of `device`'s.
    pub fn sign(entry: Entry, circle: CircleId, device: &DeviceKey) -> Self {
        let signature = device.sign(&entry.id(circle).0);
        Signed { entry, signature }
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_directly(self)
    }

    /// Reads an entry with its signature, of which nothing is checked yet.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_directly(bytes, MAX_SIGNED)
    }
}

impl Packed {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_directly(self)
    }

    /// Reads an entry as it travels, of which nothing is checked yet.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_directly(bytes, MAX_PACKED)
    }

    /// As [`Packed::decode`], with the entry's canonical bytes, of which its id is the hash: no others are read, so they lie
    /// there already.
    ///
    /// # Errors
    /// [`CodecError`].
    #[cfg_attr(page, optimize(speed))]
    pub(crate) fn decode_signed(bytes: &[u8]) -> Result<(Self, &[u8]), CodecError> {
        if bytes.len() > MAX_PACKED {
            return Err(CodecError::TooLong { len: bytes.len(), max: MAX_PACKED });
        }
        let mut input = Input::new(bytes);
        let entry = Entry::read(&mut input)?;
        let (canonical, _) = bytes.split_at(bytes.len() - input.left());
        let signature = Signature::read(&mut input)?;
        let packed = read_body(Signed { entry, signature }, &mut input)?;
        if input.left() > 0 {
            return Err(CodecError::NotCanonical);
        }
        Ok((packed, canonical))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::hostile::{Circle, Person};
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn entries_read_back_and_no_cut_of_them_does(
            heads in proptest::collection::vec((any::<[u8; 32]>(), any::<u64>(), any::<[u8; 32]>()), 0..=MAX_APPROVES),
            text in "[a-z]{1,300}",
            erased: Option<bool>,
        ) {
            let (circle, mut person) = (Circle::new(1), Person::new(2));
            let heads: Vec<Head> = heads
                .into_iter()
                .map(|(device, seq, id)| Head { device: DeviceId(device), seq, id: EntryId(id) })
                .collect();
            let mut packed = circle.post(&mut person, &heads, &text);
            if let Some(by_member) = erased {
                let id = packed.signed.entry.id(circle.id);
                let erasure = if by_member {
                    Erasure::by_member(circle.id, id, &person.identity)
                } else {
                    Erasure::by_device(circle.id, id, &person.device)
                };
                packed = Packed::erased(packed.signed, erasure);
            }
            let bytes = packed.encode();
            prop_assert_eq!(Packed::decode(&bytes).unwrap(), packed.clone());
            prop_assert_eq!(Signed::decode(&packed.signed.encode()).unwrap(), packed.signed);
            for len in 0..bytes.len() {
                prop_assert!(Packed::decode(&bytes[..len]).is_err());
            }
        }
    }

    #[test]
    fn the_largest_entry_fits() {
        let mut circle = Circle::new(1);
        circle.founders_join();
        let (secret, mut invite, _) = circle.invite(2);
        (invite.uses, invite.expiry) = (u32::MAX, u64::MAX);
        let mut packed = circle.join(&mut Person::new(3), &secret, invite);
        let entry = &mut packed.signed.entry;
        let head = Head { device: DeviceId([1; 32]), seq: u64::MAX, id: EntryId([1; 32]) };
        entry.approves = vec![head; MAX_APPROVES];
        (entry.seq, entry.time, entry.checkpoint.height, entry.body_len) = (u64::MAX, u64::MAX, u64::MAX, u32::MAX);
        packed.body = Some(vec![0; MAX_BODY]);
        assert!(Signed::decode(&packed.signed.encode()).is_ok());
        assert!(Packed::decode(&packed.encode()).is_ok());
    }

    #[test]
    fn in_a_list_entries_stand_with_their_length() {
        let packed = Circle::new(1).founders_join();
        let bytes = codec::encode(&packed);
        assert_eq!(bytes, codec::encode(&packed.encode()));
        assert_eq!(codec::decode::<Packed>(&bytes, bytes.len()), Ok(packed));
    }
}
