//! The keybox: a member's circles with their lane keys and relays, sealed to a key that the 24 words give, kept by relays
//! and friends. So the words bring everything back on a new device, though no lane key follows from them.
//!
//! Who keeps one can not read it, and gives it to a device that the member says may have it: the member's key signs
//! (keeper, device), and the device proves itself by the handshake of its connection. A keeper can not pass such a word
//! on, for it names the keeper; nor can a listener use it, for it names the device.

use crate::bytes::{DeviceId, MemberId, Signature};
use crate::hash::{context, hash};
use crate::keys::{Identity, check_key};
use crate::seal::{self, NONCE, SealError};
use crate::verify::verify;
use alloc::vec::Vec;
use zeroize::Zeroizing;

impl Identity {
    fn keybox_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hash(context::KEYBOX, &[&*self.secret()]))
    }

    /// Seals a keybox; `nonce` is random.
    ///
    /// # Errors
    /// [`SealError::TooLong`].
    pub fn seal_keybox(&self, nonce: [u8; NONCE], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::seal(context::SEAL_KEYBOX, &self.keybox_key(), nonce, &self.member().0, plain)
    }

    /// Opens an own keybox.
    ///
    /// # Errors
    /// [`SealError`] if it is another's, or was changed.
    pub fn open_keybox(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::open(context::SEAL_KEYBOX, &self.keybox_key(), &self.member().0, sealed)
    }

    /// The member's word that a keeper may give the keybox to a device.
    pub fn claim_keybox(&self, keeper: DeviceId, device: DeviceId) -> Signature {
        self.sign(&message(keeper, device))
    }
}

/// Whether a member says that a keeper may give the keybox to a device.
pub fn may_have_keybox(member: MemberId, keeper: DeviceId, device: DeviceId, claim: &Signature) -> bool {
    check_key(&member.0).is_ok() && verify(&member.0, &message(keeper, device), claim)
}

fn message(keeper: DeviceId, device: DeviceId) -> [u8; 32] {
    hash(context::KEYBOX_CLAIM, &[&keeper.0, &device.0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_keybox_opens_with_its_words_only() {
        let identity = Identity::from_secret([7; 32]);
        let sealed = identity.seal_keybox([1; NONCE], b"circles").unwrap();
        let back = Identity::from_words(&identity.words()).unwrap();
        assert_eq!(back.open_keybox(&sealed).unwrap(), b"circles");
        assert_eq!(Identity::from_secret([8; 32]).open_keybox(&sealed), Err(SealError::OtherKey));
    }

    #[test]
    fn a_claim_holds_for_one_keeper_and_one_device() {
        let identity = Identity::from_secret([7; 32]);
        let (member, keeper, device) = (identity.member(), DeviceId([1; 32]), DeviceId([2; 32]));
        let claim = identity.claim_keybox(keeper, device);
        assert!(may_have_keybox(member, keeper, device, &claim));
        assert!(!may_have_keybox(member, device, keeper, &claim));
        assert!(!may_have_keybox(member, keeper, DeviceId([3; 32]), &claim));
        assert!(!may_have_keybox(member, DeviceId([3; 32]), device, &claim));
        assert!(!may_have_keybox(Identity::from_secret([8; 32]).member(), keeper, device, &claim));
        // A key of small order "signs" anything.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert!(!may_have_keybox(MemberId(neutral), keeper, device, &Signature([0; 64])));
    }
}
