//! Erasing what was said: the author's word, in clear, that the body of an entry of talk is to be given up.
//!
//! It stands where the body stood ([`Packed`]), so it travels and is stored with its entry, and with nothing else: an entry
//! without a body bears the reason why. It is signed by the device that wrote the entry or, for a device that is lost, by the
//! member whose device it is: that much anybody can check who holds the device's admission, which is in clear. That the
//! member is the device's is the DAG's to say ([`crate::dag`]); that the signature holds is said by [`crate::check`].
//!
//! The entry itself stays as it is: its id names the body by hash alone. A state body is never erased.

use crate::bytes::{CircleId, EntryId, MemberId, Signature};
use crate::codec::direct::direct;
use crate::entry::{Packed, Signed};
use crate::hash::{context, hash};
use crate::keys::{DeviceKey, Identity};
use alloc::boxed::Box;

/// The author's word that an entry's body is to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The member who signs it; none where the entry's own device does.
    pub by: Option<MemberId>,
    /// Over circle ‖ the entry's id.
    pub signature: Signature,
}

direct! { Erasure { by: Option<MemberId>, signature: Signature } }

impl Erasure {
    /// What is signed.
    pub fn message(circle: CircleId, entry: EntryId) -> [u8; 32] {
        hash(context::ERASURE, &[&circle.0, &entry.0])
    }

    /// By the device that wrote the entry.
    pub fn by_device(circle: CircleId, entry: EntryId, device: &DeviceKey) -> Self {
        Erasure { by: None, signature: device.sign(&Self::message(circle, entry)) }
    }

    /// By the member whose device wrote the entry.
    pub fn by_member(circle: CircleId, entry: EntryId, identity: &Identity) -> Self {
        Erasure { by: Some(identity.member()), signature: identity.sign(&Self::message(circle, entry)) }
    }
}

impl Packed {
    /// An entry whose body is erased.
    pub fn erased(signed: Signed, erasure: Erasure) -> Self {
        Packed { signed, body: None, erasure: Some(Box::new(erasure)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::check::{Refused, Signer, check};
    use crate::hostile::{Circle, Person, flip_every_bit};
    use proptest::prelude::*;

    /// Somebody who wrote a post, and that.
    fn author(circle: &Circle, seed: u64, text: &str) -> (Person, Packed) {
        let mut author = Person::new(seed);
        circle.enrol(&mut author);
        let post = circle.post(&mut author, &[], text);
        (author, post)
    }

    fn checked(circle: &Circle, packed: &Packed) -> Result<(), Refused> {
        check(circle.id, packed.clone()).map(drop)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn an_author_erases_and_nobody_else(seed in 2u64..1_000, text in "[a-z]{1,90}") {
            let (circle, other) = (Circle::new(1), Person::new(seed + 1));
            let (mut author, post) = author(&circle, seed, &text);
            let next = circle.post(&mut author, &[], &text);
            let id = post.signed.entry.id(circle.id);
            let with = |erasure| checked(&circle, &Packed::erased(post.signed.clone(), erasure));
            let forged = Err(Refused::Signature(Signer::Eraser));

            let by_device = Erasure::by_device(circle.id, id, &author.device);
            let by_member = Erasure::by_member(circle.id, id, &author.identity);
            prop_assert_eq!(with(by_device), Ok(()));
            prop_assert_eq!(with(by_member), Ok(()));

            // By others, which the DAG refuses, in another's name, of another entry, or in another circle.
            let others = Erasure::by_member(circle.id, id, &other.identity);
            prop_assert_eq!(with(others), Ok(()));
            prop_assert_eq!(with(Erasure { by: by_member.by, ..others }), forged);
            prop_assert_eq!(with(Erasure::by_device(circle.id, id, &other.device)), forged);
            let of_next = Erasure::by_device(circle.id, next.signed.entry.id(circle.id), &author.device);
            prop_assert_eq!(with(of_next), forged);
            prop_assert_eq!(with(Erasure::by_device(Circle::new(2).id, id, &author.device)), forged);
            // The device's word is not the member's, nor the other way round.
            prop_assert_eq!(with(Erasure { by: None, ..by_member }), forged);
            prop_assert_eq!(with(Erasure { by: by_member.by, ..by_device }), forged);
            // The signature under the entry is another one.
            let signature = post.signed.signature;
            prop_assert_eq!(with(Erasure { by: None, signature }), forged);
        }
    }

    #[test]
    fn a_state_body_is_never_erased() {
        let mut circle = Circle::new(1);
        let joins = circle.founders_join();
        let erasure = Erasure::by_device(circle.id, joins.signed.entry.id(circle.id), &circle.founder.device);
        assert_eq!(checked(&circle, &Packed::erased(joins.signed, erasure)), Err(Refused::BodyMissing));
    }

    #[test]
    fn a_member_of_small_order_erases_nothing() {
        let circle = Circle::new(1);
        let (_, post) = author(&circle, 2, "a");
        let erasure = Erasure { by: Some(MemberId([0; 32])), signature: Signature([0; 64]) };
        let refused = checked(&circle, &Packed::erased(post.signed, erasure));
        assert!(matches!(refused, Err(Refused::Key(_))), "{refused:?}");
    }

    #[test]
    fn an_erased_entry_is_shorter_and_no_bit_of_it_is_free() {
        let circle = Circle::new(1);
        let (author, post) = author(&circle, 2, "a");
        let id = post.signed.entry.id(circle.id);
        let erased = Packed::erased(post.signed.clone(), Erasure::by_member(circle.id, id, &author.identity));
        assert!(erased.encode().len() < post.encode().len());
        assert_eq!(Packed::decode(&erased.encode()), Ok(erased.clone()));
        flip_every_bit(&erased.encode(), |bytes| {
            Packed::decode(bytes).is_ok_and(|packed| checked(&circle, &packed).is_ok())
        });
    }
}
