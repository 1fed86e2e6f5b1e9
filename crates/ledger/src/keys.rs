//! Keys: a member's identity, a device, a witness's vote, an invite. Secrets are wiped when dropped and are not shown
//! by `Debug`. ed25519-dalek signs; who checks is in [`crate::verify`].
//!
//! A public key is checked when it is admitted, apart from the signature rule: canonical, torsion-free, not the
//! neutral element. (Under ZIP-215 a small-order key "signs" anything.)

use crate::bytes::{BoxKey, CircleId, DeviceId, Hash, InviteKey, MemberId, Signature, VoteKey};
use crate::codec::encode;
use crate::entry::{Admission, Invite, Invited, Role};
use crate::hash::{context, hash};
use crate::seal::{self, SealError};
use alloc::vec::Vec;
use core::fmt;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use ed25519_dalek::{Signer, SigningKey};
use thiserror::Error;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Why 32 bytes are not admitted as a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// No point of the curve.
    #[error("the key is no point of the curve")]
    NotAPoint,
    /// A point, written in another way than the canonical one.
    #[error("the key is not in canonical form")]
    NotCanonical,
    /// Of small order (the neutral element too), or with a part that is.
    #[error("the key has a part of small order")]
    SmallOrder,
}

/// Whether the bytes are admitted as an Ed25519 public key.
///
/// # Errors
/// [`KeyError`], by the first rule broken.
pub fn check_key(bytes: &[u8; 32]) -> Result<(), KeyError> {
    let point = CompressedEdwardsY(*bytes).decompress().ok_or(KeyError::NotAPoint)?;
    let (sign, mut y) = (bytes[31] >> 7, *bytes);
    y[31] &= 0x7f;
    // Where x is 0, it has no sign to be written.
    let is_minus_zero = sign == 1 && point == -point;
    if !is_reduced(&y) || is_minus_zero {
        return Err(KeyError::NotCanonical);
    }
    if point.is_identity() || !is_torsion_free(&point) {
        return Err(KeyError::SmallOrder);
    }
    Ok(())
}

/// Whether the group's order times the point is nothing, in variable time: keys are public. Dalek's own takes twice as
/// long, and the keys of an admission take longer to check than its signatures.
fn is_torsion_free(point: &EdwardsPoint) -> bool {
    let less_one = -Scalar::ONE;
    EdwardsPoint::vartime_double_scalar_mul_basepoint(&less_one, point, &Scalar::ZERO) == -point
}

/// Whether the bytes are a number below 2^255 − 19, little end first.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    const P: [u8; 32] = {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        p
    };
    bytes.iter().rev().lt(P.iter().rev())
}

/// Whether the bytes are admitted as an X25519 public key: one with which agreement gives a secret at all.
///
/// # Errors
/// [`KeyError::NotCanonical`] or [`KeyError::SmallOrder`].
pub fn check_box_key(key: &BoxKey) -> Result<(), KeyError> {
    if !is_reduced(&key.0) {
        return Err(KeyError::NotCanonical);
    }
    // Whatever secret one has, it is a multiple of the cofactor: only a point of small order comes to nothing.
    let eight = [true, false, false, false];
    if MontgomeryPoint(key.0).mul_bits_be(eight.into_iter()).is_identity() {
        return Err(KeyError::SmallOrder);
    }
    Ok(())
}

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SigningKey);

        // The signing key wipes itself.
        impl ZeroizeOnDrop for $name {}

        impl $name {
            /// From the secret's 32 random bytes.
            pub fn from_secret(secret: [u8; 32]) -> Self {
                let secret = Zeroizing::new(secret);
                $name(SigningKey::from_bytes(&secret))
            }

            /// The secret, for storing it.
            pub fn secret(&self) -> Zeroizing<[u8; 32]> {
                Zeroizing::new(self.0.to_bytes())
            }

            /// Signs the message, of which by our rules the hash under a context of its own is handed in.
            pub fn sign(&self, message: &[u8]) -> Signature {
                Signature(self.0.sign(message).to_bytes())
            }

            fn public(&self) -> [u8; 32] {
                self.0.verifying_key().to_bytes()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

secrets! {
    /// A member's secret. It signs the enrolment of each device once and, for the founder, acts of authority.
    Identity;
    /// A device's secret: it signs the device's entries and is its identity in the network. Never used again by a
    /// restored backup or a wiped tab.
    DeviceKey;
    /// A witness's voting secret, fresh at each promotion.
    VoteSecret;
}

impl Identity {
    /// The public key.
    pub fn member(&self) -> MemberId {
        MemberId(self.public())
    }

    /// Admits a device as this member's, by an invite if it is the member's first in the circle (and not the founder's).
    pub fn admit(&self, circle: CircleId, device: &DeviceKey, role: Role, invited: Option<Invited>) -> Admission {
        self.admit_device(circle, (device.id(), device.box_key()), role, invited)
    }

    /// As [`Identity::admit`], a device that is elsewhere, by its public keys.
    pub fn admit_device(
        &self,
        circle: CircleId,
        (device, box_key): (DeviceId, BoxKey),
        role: Role,
        invited: Option<Invited>,
    ) -> Admission {
        let signature = self.sign(&Admission::message(circle, device, box_key, role));
        Admission { member: self.member(), box_key, role, signature, invited }
    }
}

impl DeviceKey {
    /// The public key.
    pub fn id(&self) -> DeviceId {
        DeviceId(self.public())
    }

    /// The device's X25519 public key, whose secret is derived from this one.
    pub fn box_key(&self) -> BoxKey {
        self.box_secret().key()
    }

    /// The secret of [`DeviceKey::box_key`].
    pub(crate) fn box_secret(&self) -> BoxSecret {
        BoxSecret(Zeroizing::new(hash(context::DEVICE_BOX, &[self.0.as_bytes()])))
    }
}

/// An X25519 secret.
pub(crate) struct BoxSecret(Zeroizing<[u8; 32]>);

impl BoxSecret {
    /// From 32 random bytes.
    pub(crate) fn from_secret(secret: [u8; 32]) -> Self {
        BoxSecret(Zeroizing::new(secret))
    }

    /// The public key.
    pub(crate) fn key(&self) -> BoxKey {
        BoxKey(x25519_dalek::x25519(*self.0, x25519_dalek::X25519_BASEPOINT_BYTES))
    }

    /// What this secret and that of `other` have in common; nothing to rely on if `other` was not checked.
    pub(crate) fn agree(&self, other: &BoxKey) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(x25519_dalek::x25519(*self.0, other.0))
    }
}

impl VoteSecret {
    /// The public key.
    pub fn key(&self) -> VoteKey {
        VoteKey(self.public())
    }
}

impl Admission {
    /// What the member signs.
    pub fn message(circle: CircleId, device: DeviceId, box_key: BoxKey, role: Role) -> [u8; 32] {
        hash(context::ADMISSION, &[&circle.0, &encode(&(device, box_key, role))])
    }
}

impl Invited {
    /// What the invite's key signs.
    pub fn message(circle: CircleId, member: MemberId, device: DeviceId) -> [u8; 32] {
        hash(context::INVITED, &[&circle.0, &member.0, &device.0])
    }
}

/// The secret that an invite's link carries. Signing key, sealing key and mailbox address come from it under separate
/// contexts: who sees one learns nothing of the others.
#[derive(Clone, ZeroizeOnDrop)]
pub struct InviteSecret([u8; 32]);

impl InviteSecret {
    /// From 32 random bytes.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        InviteSecret(secret)
    }

    /// The secret, for the link.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// The public key of the invite.
    pub fn key(&self) -> InviteKey {
        InviteKey(self.signing().verifying_key().to_bytes())
    }

    /// Where the parcel for newcomers waits.
    pub fn address(&self) -> Hash {
        Hash(hash(context::INVITE_ADDRESS, &[&self.0]))
    }

    /// Seals a parcel for whoever holds the link; `nonce` is random.
    ///
    /// # Errors
    /// [`SealError::TooLong`].
    pub fn seal(&self, nonce: [u8; 24], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::seal(context::SEAL_PARCEL, &self.sealing(), nonce, &self.address().0, plain)
    }

    /// Opens such a parcel.
    ///
    /// # Errors
    /// [`SealError`] if it was not sealed by this secret, or was changed.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::open(context::SEAL_PARCEL, &self.sealing(), &self.address().0, sealed)
    }

    /// Lets a newcomer in.
    pub fn invited(&self, circle: CircleId, member: MemberId, device: DeviceId, invite: Invite) -> Invited {
        let signature = self.signing().sign(&Invited::message(circle, member, device));
        Invited { invite, signature: Signature(signature.to_bytes()) }
    }

    fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(&Zeroizing::new(hash(context::INVITE_SIGN, &[&self.0])))
    }

    fn sealing(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hash(context::INVITE_SEAL, &[&self.0]))
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("InviteSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::verify::verify;
    use alloc::format;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    #[test]
    fn no_small_order_point_is_a_key() {
        for point in EIGHT_TORSION {
            assert_eq!(check_key(&point.compress().0), Err(KeyError::SmallOrder));
            let u = BoxKey(point.to_montgomery().0);
            assert_eq!(check_box_key(&u), Err(KeyError::SmallOrder));
        }
    }

    proptest! {
        /// The quick ways say what the slow ones say, of any bytes and of points with a part of small order.
        #[test]
        fn the_quick_checks_agree_with_the_slow_ones(bytes: [u8; 32], part in 0usize..8) {
            if let Some(point) = CompressedEdwardsY(bytes).decompress() {
                for point in [point, point + EIGHT_TORSION[part], point.mul_by_cofactor() + EIGHT_TORSION[part]] {
                    prop_assert_eq!(is_torsion_free(&point), point.is_torsion_free());
                }
            }
            let any = x25519_dalek::StaticSecret::from([1; 32]);
            let gives_a_secret = any.diffie_hellman(&bytes.into()).was_contributory();
            let reduced = is_reduced(&bytes);
            prop_assert_eq!(check_box_key(&BoxKey(bytes)).is_ok(), reduced && gives_a_secret);
        }
    }

    #[test]
    fn every_second_way_of_writing_is_refused() {
        let mut checked = 0;
        // The numbers from p to 2^255 − 1, with and without a sign; and the points whose x is 0, with a sign.
        let above = (0xed..=0xffu8).map(|low| {
            core::array::from_fn(|at| match at {
                0 => low,
                31 => 0x7f,
                _ => 0xff,
            })
        });
        let x_zero = [EIGHT_TORSION[0], EIGHT_TORSION[4]].map(|point| point.compress().0);
        for mut bytes in above.chain(x_zero) {
            for sign in [0, 0x80] {
                bytes[31] = bytes[31] & 0x7f | sign;
                let Some(point) = CompressedEdwardsY(bytes).decompress() else { continue };
                let is_canonical = point.compress().0 == bytes;
                assert_eq!(is_canonical, check_key(&bytes) != Err(KeyError::NotCanonical));
                checked += 1;
            }
        }
        assert!(checked > 8);
    }

    #[test]
    fn no_other_way_of_writing_a_point_is_a_key() {
        // y = p + 1 for the neutral element, and "minus zero" for the same.
        let mut above = [0xff; 32];
        above[0] = 0xee;
        above[31] = 0x7f;
        let mut minus = [0; 32];
        minus[0] = 1;
        minus[31] = 0x80;
        for bytes in [above, minus] {
            assert!(check_key(&bytes).is_err());
        }
        assert_eq!(check_key(&above), Err(KeyError::NotCanonical));
        assert_eq!(check_box_key(&BoxKey(above)), Err(KeyError::NotCanonical));
        assert_eq!(check_box_key(&BoxKey([0xff; 32])), Err(KeyError::NotCanonical));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn keys_of_ours_are_keys_and_sign(secret: [u8; 32], message: Vec<u8>) {
            let identity = Identity::from_secret(secret);
            prop_assert_eq!(check_key(&identity.member().0), Ok(()));
            prop_assert!(verify(&identity.member().0, &message, &identity.sign(&message)));
            prop_assert_eq!(*identity.secret(), secret);
            prop_assert_eq!(check_box_key(&DeviceKey::from_secret(secret).box_key()), Ok(()));
            prop_assert_eq!(check_key(&InviteSecret::from_secret(secret).key().0), Ok(()));
        }

        #[test]
        fn a_key_with_a_part_of_small_order_is_none(secret: [u8; 32], part in 1usize..8) {
            let key = DeviceKey::from_secret(secret).id();
            let mixed = CompressedEdwardsY(key.0).decompress().unwrap() + EIGHT_TORSION[part];
            prop_assert_eq!(check_key(&mixed.compress().0), Err(KeyError::SmallOrder));
        }
    }

    #[test]
    fn an_invites_keys_are_apart() {
        let secret = InviteSecret::from_secret([7; 32]);
        let all = [secret.0, *secret.sealing(), secret.address().0, secret.key().0, secret.signing().to_bytes()];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| one != other));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", DeviceKey::from_secret([7; 32]), InviteSecret::from_secret([7; 32]));
        assert_eq!(shown, "DeviceKey(…) InviteSecret(…)");
    }

    #[test]
    fn a_parcel_opens_by_its_secret_only() {
        let secret = InviteSecret::from_secret([7; 32]);
        let sealed = secret.seal([1; 24], b"lane keys").unwrap();
        assert_eq!(secret.open(&sealed).unwrap(), b"lane keys");
        assert_eq!(InviteSecret::from_secret([8; 32]).open(&sealed), Err(SealError::OtherKey));
    }
}
