//! Sealing: nonce ‖ commitment ‖ XChaCha20-Poly1305.
//!
//! Encryption key and commitment (32 bytes each) are the BLAKE3 XOF over key ‖ nonce, under a context for each use. The
//! same nonce (24 random bytes) goes into XChaCha20. The commitment is compared first and in constant time: a plain AEAD
//! can open to two texts under two keys, and two members would then read two different bodies in one entry.
//!
//! The plain text is padded (a byte 0x80, then zeros) until what is sealed has the length of a size class: 128, 256,
//! 512 and 1,024 bytes, then each doubling in four steps (1,280, 1,536, 1,792, 2,048, 2,560 …) up to 65,536. So a length
//! tells little, and padding costs less than a quarter above 1 KiB. Other lengths do not open.

use crate::bytes::{CircleId, DeviceId, EntryId};
use crate::codec::encode;
use crate::entry::{Entry, Lane, MAX_BODY};
use crate::hash::{Context, context, expand, hash};
use alloc::vec::Vec;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use core::fmt;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a nonce.
pub const NONCE: usize = 24;
const COMMITMENT: usize = 32;
const TAG: usize = 16;
/// What sealing adds at least: nonce, commitment, tag and one byte of padding.
pub const OVERHEAD: usize = NONCE + COMMITMENT + TAG + 1;
/// The longest text that a body can hold.
pub const MAX_PLAIN: usize = MAX_BODY - OVERHEAD;
/// The most bytes of a sealed reason.
pub const MAX_REASON: usize = 1_024;
/// The longest reason in bytes, before it is sealed.
pub const MAX_REASON_PLAIN: usize = MAX_REASON - OVERHEAD;

/// Why something is not sealed, or does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The text does not fit.
    #[error("{len} bytes, where at most {max} can be sealed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The longest that fits.
        max: usize,
    },
    /// What is to be opened has not the length of a size class.
    #[error("{len} bytes are no size of a sealed body")]
    Size {
        /// Its length.
        len: usize,
    },
    /// Sealed with another key.
    #[error("sealed with another key")]
    OtherKey,
    /// Changed, or sealed for another place.
    #[error("sealed for another place, or changed")]
    Changed,
    /// Opened, but not padded by the rule.
    #[error("wrongly padded")]
    Padding,
}

/// The key of one lane in one epoch.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct LaneKey([u8; 32]);

impl LaneKey {
    /// From 32 random bytes.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        LaneKey(secret)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From epoch 0's state key: the circle's salt, by which the state's values are hidden in its root.
    pub fn circle_salt(&self) -> [u8; 32] {
        hash(context::CIRCLE_SALT, &[&self.0])
    }
}

/// What opens one sealed text and no other: derived from the lane key and the text's nonce, with no way back to the lane
/// key. Whoever holds it reads that one text, so it may be shown with it.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyKey([u8; 32]);

impl BodyKey {
    fn new(context: &Context, key: &LaneKey, sealed: &[u8]) -> Option<Self> {
        let nonce = sealed.first_chunk::<NONCE>()?;
        let keys = Keys::derive(context, &key.0, nonce);
        Some(BodyKey(keys.encryption))
    }

    /// Of a sealed body.
    pub fn of_body(key: &LaneKey, sealed: &[u8]) -> Option<Self> {
        Self::new(context::SEAL, key, sealed)
    }

    /// Of a transfer's sealed reason.
    pub fn of_reason(talk: &LaneKey, sealed: &[u8]) -> Option<Self> {
        Self::new(context::SEAL_REASON, talk, sealed)
    }

    /// Opens an entry's body. The commitment is not compared, for that takes the lane key: an author who prepared it could
    /// have sealed a body that opens to two texts under two keys.
    ///
    /// # Errors
    /// [`SealError`] if the key is another or anything was changed.
    pub fn open_body(&self, circle: CircleId, entry: &Entry, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        decrypt(&self.0, &encode(&BodyContext::of(circle, entry)), sealed)
    }

    /// Opens a transfer's reason; as [`BodyKey::open_body`].
    ///
    /// # Errors
    /// [`SealError`] if the key or the place is another, or anything was changed.
    pub fn open_reason(
        &self,
        circle: CircleId,
        device: DeviceId,
        seq: u64,
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        decrypt(&self.0, &encode(&(circle, device, seq)), sealed)
    }
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("BodyKey(…)")
    }
}

impl PartialEq for LaneKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for LaneKey {}

impl fmt::Debug for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("LaneKey(…)")
    }
}

/// The keys of one epoch that a node holds. Encoded only to be sealed, or stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneKeys {
    /// The epoch: the id of the entry that starts it; epoch 0 is named by the circle's id.
    pub epoch: EntryId,
    /// For members and witnesses.
    pub state: LaneKey,
    /// For members; a witness that is no member has none.
    pub talk: Option<LaneKey>,
}

impl LaneKeys {
    /// The key of a lane, if at hand.
    pub fn lane(&self, lane: Lane) -> Option<&LaneKey> {
        match lane {
            Lane::State => Some(&self.state),
            Lane::Talk => self.talk.as_ref(),
        }
    }
}

/// Where a body stands, which it is sealed to: the associated data, in this order.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BodyContext {
    /// The circle.
    pub circle: CircleId,
    /// The entry's format.
    pub version: u8,
    /// The author.
    pub device: DeviceId,
    /// The entry's place in the author's chain.
    pub seq: u64,
    /// The author's entry before.
    pub prev: EntryId,
    /// Whose key seals it.
    pub lane: Lane,
    /// Which key of that lane.
    pub epoch: EntryId,
}

impl BodyContext {
    /// Where an entry's body stands.
    pub fn of(circle: CircleId, entry: &Entry) -> Self {
        let Entry { version, device, seq, prev, lane, epoch, .. } = *entry;
        BodyContext { circle, version, device, seq, prev, lane, epoch }
    }
}

/// Seals a body with its lane's key; `nonce` is random and never used again.
///
/// # Errors
/// [`SealError::TooLong`] above [`MAX_PLAIN`].
pub fn seal_body(at: &BodyContext, key: &LaneKey, nonce: [u8; NONCE], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    seal(context::SEAL, &key.0, nonce, &encode(at), plain)
}

/// Opens an entry's body.
///
/// # Errors
/// [`SealError`] if the key is another or anything was changed.
pub fn open_body(circle: CircleId, entry: &Entry, key: &LaneKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    open(context::SEAL, &key.0, &encode(&BodyContext::of(circle, entry)), sealed)
}

/// Seals a transfer's reason with the talk key, to stand in the state body of the entry (device, seq).
///
/// # Errors
/// [`SealError::TooLong`] above [`MAX_REASON_PLAIN`] bytes.
pub fn seal_reason(
    circle: CircleId,
    device: DeviceId,
    seq: u64,
    talk: &LaneKey,
    nonce: [u8; NONCE],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    if plain.len() > MAX_REASON_PLAIN {
        return Err(SealError::TooLong { len: plain.len(), max: MAX_REASON_PLAIN });
    }
    seal(context::SEAL_REASON, &talk.0, nonce, &encode(&(circle, device, seq)), plain)
}

/// Opens a transfer's reason.
///
/// # Errors
/// [`SealError`] if the key or the place is another, or anything was changed.
pub fn open_reason(
    circle: CircleId,
    device: DeviceId,
    seq: u64,
    talk: &LaneKey,
    sealed: &[u8],
) -> Result<Vec<u8>, SealError> {
    open(context::SEAL_REASON, &talk.0, &encode(&(circle, device, seq)), sealed)
}

/// The smallest size class of at least `len` bytes.
pub fn size_class(len: usize) -> Option<usize> {
    match len {
        0..=128 => Some(128),
        129..=1_024 => Some(len.next_power_of_two()),
        1_025..=MAX_BODY => Some(len.next_multiple_of(len.next_power_of_two() / 8)),
        _ => None,
    }
}

/// Seals under the context and key, to the associated data.
pub(crate) fn seal(
    context: &Context,
    key: &[u8; 32],
    nonce: [u8; NONCE],
    to: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let too_long = SealError::TooLong { len: plain.len(), max: MAX_PLAIN };
    let class = plain.len().checked_add(OVERHEAD).and_then(size_class).ok_or(too_long)?;
    let keys = Keys::derive(context, key, &nonce);
    let cipher = XChaCha20Poly1305::new((&keys.encryption).into());
    let mut sealed = Vec::with_capacity(class);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&keys.commitment);
    sealed.extend_from_slice(plain);
    sealed.push(0x80);
    sealed.resize(class - TAG, 0);
    let text = &mut sealed[NONCE + COMMITMENT..];
    let tag = cipher.encrypt_inout_detached(&nonce.into(), to, text.into()).map_err(|_| too_long)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what was sealed under the context and key, to the associated data.
pub(crate) fn open(context: &Context, key: &[u8; 32], to: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, commitment, _) = parts(sealed)?;
    let keys = Keys::derive(context, key, nonce);
    if !bool::from(keys.commitment.ct_eq(commitment)) {
        return Err(SealError::OtherKey);
    }
    decrypt(&keys.encryption, to, sealed)
}

/// Nonce, commitment, and the encrypted text with its tag.
type Parts<'a> = (&'a [u8; NONCE], &'a [u8; COMMITMENT], &'a [u8]);

/// What something sealed is made of, if it has the length of a size class.
fn parts(sealed: &[u8]) -> Result<Parts<'_>, SealError> {
    let size = SealError::Size { len: sealed.len() };
    if size_class(sealed.len()) != Some(sealed.len()) {
        return Err(size);
    }
    let (nonce, rest) = sealed.split_first_chunk().ok_or(size)?;
    let (commitment, rest) = rest.split_first_chunk().ok_or(size)?;
    Ok((nonce, commitment, rest))
}

/// Decrypts and takes the padding off.
fn decrypt(encryption: &[u8; 32], to: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, _, rest) = parts(sealed)?;
    let (text, tag) = rest.split_last_chunk::<TAG>().ok_or(SealError::Size { len: sealed.len() })?;
    let mut plain = text.to_vec();
    XChaCha20Poly1305::new(encryption.into())
        .decrypt_inout_detached(nonce.into(), to, plain.as_mut_slice().into(), tag.into())
        .map_err(|_| SealError::Changed)?;
    let end = plain.iter().rposition(|byte| *byte != 0).filter(|at| plain[*at] == 0x80).ok_or(SealError::Padding)?;
    plain.truncate(end);
    Ok(plain)
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Keys {
    encryption: [u8; 32],
    commitment: [u8; COMMITMENT],
}

impl Keys {
    fn derive(context: &Context, key: &[u8; 32], nonce: &[u8; NONCE]) -> Self {
        let mut both = [0; 32 + COMMITMENT];
        expand(context, &[key, nonce], &mut both);
        let mut keys = Keys { encryption: [0; 32], commitment: [0; COMMITMENT] };
        keys.encryption.copy_from_slice(&both[..32]);
        keys.commitment.copy_from_slice(&both[32..]);
        both.zeroize();
        keys
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::hostile::{Circle, Person};
    use alloc::vec;
    use proptest::prelude::*;

    fn place() -> BodyContext {
        BodyContext {
            circle: CircleId([1; 32]),
            version: 1,
            device: DeviceId([2; 32]),
            seq: 3,
            prev: EntryId([4; 32]),
            lane: Lane::Talk,
            epoch: EntryId([5; 32]),
        }
    }

    fn open_at(at: &BodyContext, key: &LaneKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        open(context::SEAL, &key.0, &encode(at), sealed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_sealed_opens(plain in proptest::collection::vec(any::<u8>(), 0..3_000), key: [u8; 32], nonce: [u8; 24]) {
            let key = LaneKey(key);
            let sealed = seal_body(&place(), &key, nonce, &plain).unwrap();
            prop_assert_eq!(Some(sealed.len()), size_class(plain.len() + OVERHEAD));
            prop_assert_eq!(open_at(&place(), &key, &sealed), Ok(plain));
        }

        #[test]
        fn any_other_key_place_or_byte_does_not_open(at in 0usize..256, bit in 0u8..8, key: [u8; 32]) {
            let right = LaneKey([9; 32]);
            let sealed = seal_body(&place(), &right, [6; 24], &[0x80; 150]).unwrap();
            prop_assert_eq!(open_at(&place(), &LaneKey(key), &sealed), Err(SealError::OtherKey));
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            let why = if at < NONCE + COMMITMENT { SealError::OtherKey } else { SealError::Changed };
            prop_assert_eq!(open_at(&place(), &right, &changed), Err(why));
        }
    }

    #[test]
    fn a_body_opens_in_its_place_only() {
        let key = LaneKey([9; 32]);
        let sealed = seal_body(&place(), &key, [6; 24], b"text").unwrap();
        let others = [
            BodyContext { circle: CircleId([0; 32]), ..place() },
            BodyContext { version: 2, ..place() },
            BodyContext { device: DeviceId([0; 32]), ..place() },
            BodyContext { seq: 4, ..place() },
            BodyContext { prev: EntryId([0; 32]), ..place() },
            BodyContext { lane: Lane::State, ..place() },
            BodyContext { epoch: EntryId([0; 32]), ..place() },
        ];
        for other in others {
            assert_eq!(open_at(&other, &key, &sealed), Err(SealError::Changed));
        }
        assert!(open_at(&place(), &key, &sealed).is_ok());
    }

    /// What an author could seal who leaves the padding out, or pads otherwise.
    #[test]
    fn what_is_padded_otherwise_does_not_open() {
        let (key, nonce) = (LaneKey([9; 32]), [6; NONCE]);
        let crafted = |text: [u8; 56]| {
            let keys = Keys::derive(context::SEAL, &key.0, &nonce);
            let cipher = XChaCha20Poly1305::new((&keys.encryption).into());
            let mut text = text;
            let tag =
                cipher.encrypt_inout_detached(&nonce.into(), &encode(&place()), text.as_mut_slice().into()).unwrap();
            open_at(&place(), &key, &[&nonce[..], &keys.commitment, &text, &tag].concat())
        };
        let mut text = [0; 56];
        assert_eq!(crafted(text), Err(SealError::Padding));
        text[..3].copy_from_slice(&[1, 2, 0x80]);
        assert_eq!(crafted(text), Ok(vec![1, 2]));
        text[55] = 1;
        assert_eq!(crafted(text), Err(SealError::Padding));
    }

    #[test]
    fn an_entrys_body_opens_with_its_lanes_key() {
        let mut circle = Circle::new(1);
        let packed = circle.founders_join();
        let body = packed.body.unwrap();
        let entry = &packed.signed.entry;
        assert!(open_body(circle.id, entry, &circle.keys.state, &body).is_ok());
        assert_eq!(open_body(circle.id, entry, circle.keys.talk.as_ref().unwrap(), &body), Err(SealError::OtherKey));
    }

    #[test]
    fn a_reason_opens_in_its_entry_only() {
        let (circle, device) = (Circle::new(1).id, Person::new(2).device.id());
        let key = LaneKey([1; 32]);
        let sealed = seal_reason(circle, device, 5, &key, [2; 24], b"for the cake").unwrap();
        assert!(sealed.len() <= MAX_REASON);
        assert_eq!(open_reason(circle, device, 5, &key, &sealed).unwrap(), b"for the cake");
        assert_eq!(open_reason(circle, device, 6, &key, &sealed), Err(SealError::Changed));
        assert_eq!(seal_reason(circle, device, 5, &key, [2; 24], &[0; MAX_REASON_PLAIN]).unwrap().len(), MAX_REASON);
        assert!(seal_reason(circle, device, 5, &key, [2; 24], &[0; MAX_REASON_PLAIN + 1]).is_err());
    }

    #[test]
    fn a_bodys_own_key_opens_it_and_no_other() {
        let mut circle = Circle::new(1);
        let (first, second) = (circle.founders_join(), circle.invite(2).2);
        let [one, other] = [&first, &second].map(|packed| packed.body.as_deref().unwrap());
        let key = BodyKey::of_body(&circle.keys.state, one).unwrap();
        let opened = open_body(circle.id, &first.signed.entry, &circle.keys.state, one);
        assert_eq!(key.open_body(circle.id, &first.signed.entry, one), opened);
        assert!(opened.is_ok());
        assert_eq!(key.open_body(circle.id, &second.signed.entry, other), Err(SealError::Changed));
        assert_eq!(key.open_body(circle.id, &second.signed.entry, one), Err(SealError::Changed));
        assert_eq!(
            key.open_body(circle.id, &first.signed.entry, &one[1..]),
            Err(SealError::Size { len: one.len() - 1 })
        );
        assert!(BodyKey::of_body(&circle.keys.state, &one[..NONCE - 1]).is_none());

        let device = circle.founder.device.id();
        let reason = seal_reason(circle.id, device, 5, &circle.keys.state, [2; 24], b"for the cake").unwrap();
        let key = BodyKey::of_reason(&circle.keys.state, &reason).unwrap();
        assert_eq!(key.open_reason(circle.id, device, 5, &reason).unwrap(), b"for the cake");
        assert_eq!(key.open_reason(circle.id, device, 6, &reason), Err(SealError::Changed));
    }

    #[test]
    fn the_largest_body_is_the_limit() {
        let key = LaneKey([1; 32]);
        let sealed = seal_body(&place(), &key, [2; 24], &vec![3; MAX_PLAIN]).unwrap();
        assert_eq!(sealed.len(), MAX_BODY);
        let (len, max) = (MAX_PLAIN + 1, MAX_PLAIN);
        assert_eq!(seal_body(&place(), &key, [2; 24], &vec![3; len]), Err(SealError::TooLong { len, max }));
    }

    #[test]
    fn size_classes_are_these() {
        let mut classes: Vec<usize> = (0..=MAX_BODY).filter_map(size_class).collect();
        classes.dedup();
        assert_eq!(classes[..8], [128, 256, 512, 1_024, 1_280, 1_536, 1_792, 2_048]);
        assert_eq!(classes[classes.len() - 5..], [32_768, 40_960, 49_152, 57_344, 65_536]);
        assert_eq!(classes.len(), 4 + 6 * 4);
        assert!(classes.iter().all(|class| size_class(*class) == Some(*class)));
        assert_eq!(size_class(MAX_BODY + 1), None);
        assert_eq!(size_class(usize::MAX), None);
    }
}
