#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::bytes::{BoxKey, EntryId, Hash, HeaderHash, InviteKey, MemberId};
use crate::entry::{Anchor, Head, Invite, Role, Signed};
use crate::hostile::{Circle, Person};
use alloc::vec;
use proptest::prelude::*;

/// A circle, a guest who joined by an invite, and the guest's seq 0 and seq 1 (talk, approving the founder).
fn scene() -> (Circle, Person, Packed, Packed) {
    let mut circle = Circle::new(1);
    circle.founders_join();
    let (secret, invite, _) = circle.invite(2);
    let mut guest = Person::new(3);
    let join = circle.join(&mut guest, &secret, invite);
    let approves = [circle.founder.head.unwrap()];
    let post = circle.post(&mut guest, &approves, "hello");
    (circle, guest, join, post)
}

/// The entry changed and signed again by its author: a liar's own work.
fn relied(circle: &Circle, author: &Person, packed: &Packed, change: impl FnOnce(&mut Entry)) -> Packed {
    let mut entry = packed.signed.entry.clone();
    change(&mut entry);
    Packed { signed: Signed::sign(entry, circle.id, &author.device), body: packed.body.clone(), erasure: None }
}

fn head(device: u8, seq: u64, id: u8) -> Head {
    Head { device: DeviceId([device; 32]), seq, id: EntryId([id; 32]) }
}

#[test]
fn each_rule_of_form_is_kept() {
    let (circle, guest, join, post) = scene();
    let refusal = |packed: &Packed, change: &dyn Fn(&mut Entry)| {
        check(circle.id, relied(&circle, &guest, packed, change)).map(|_| ()).unwrap_err()
    };
    let own = guest.device.id();

    assert_eq!(refusal(&post, &|entry| entry.version = 2), Refused::Version(2));
    assert_eq!(
        refusal(&post, &|entry| entry.approves = (0..9).map(|device| head(device, 0, 0)).collect()),
        Refused::TooManyApproved(9)
    );
    let unsorted = vec![head(2, 0, 0), head(1, 0, 0)];
    assert_eq!(refusal(&post, &|entry| entry.approves = unsorted.clone()), Refused::ApprovesUnsorted);
    let doubled = vec![head(2, 0, 0), head(2, 0, 0)];
    assert_eq!(refusal(&post, &|entry| entry.approves = doubled.clone()), Refused::ApprovesUnsorted);
    let three = vec![head(1, 0, 0), head(2, 0, 0), head(2, 0, 1), head(2, 1, 0)];
    assert_eq!(refusal(&post, &|entry| entry.approves = three.clone()), Refused::TooManyBranches(DeviceId([2; 32])));
    assert_eq!(
        refusal(&post, &|entry| entry.approves = vec![Head { device: own, ..head(0, 0, 0) }]),
        Refused::ApprovesItself
    );
    assert_eq!(refusal(&post, &|entry| entry.prev = circle.id.into()), Refused::Prev(1));
    assert_eq!(refusal(&join, &|entry| entry.prev = EntryId([1; 32])), Refused::Prev(0));
    assert_eq!(refusal(&join, &|entry| entry.epoch = EntryId([1; 32])), Refused::Epoch);
    let elsewhere = Anchor { height: 1, hash: HeaderHash([1; 32]) };
    assert_eq!(refusal(&join, &|entry| entry.checkpoint = elsewhere), Refused::Checkpoint(1));
    assert_eq!(refusal(&post, &|entry| entry.checkpoint.hash = HeaderHash([1; 32])), Refused::Checkpoint(0));
    assert_eq!(refusal(&post, &|entry| entry.checkpoint.height = 5), Refused::Checkpoint(5));
    assert_eq!(refusal(&join, &|entry| entry.admission = None), Refused::Admission(0));
    let admission = join.signed.entry.admission.clone();
    assert_eq!(refusal(&post, &|entry| entry.admission = admission.clone()), Refused::Admission(1));
    assert_eq!(refusal(&post, &|entry| entry.body_len = 65_537), Refused::BodyTooLong(65_537));
    assert_eq!(refusal(&post, &|entry| entry.body_len -= 1), Refused::OtherBody);
    assert_eq!(refusal(&post, &|entry| entry.body_hash = Hash([0; 32])), Refused::OtherBody);
    assert_eq!(refusal(&join, &|entry| invite_of(entry).uses = 0), Refused::InviteForNobody);
    assert!(check(circle.id, relied(&circle, &guest, &post, |entry| entry.checkpoint = elsewhere)).is_ok());
    let two = vec![head(2, 0, 0), head(2, 0, 1)];
    assert!(check(circle.id, relied(&circle, &guest, &post, |entry| entry.approves = two)).is_ok());
}

fn invite_of(entry: &mut Entry) -> &mut Invite {
    &mut entry.admission.as_mut().unwrap().invited.as_mut().unwrap().invite
}

#[test]
fn no_key_of_an_admission_is_of_small_order() {
    let (circle, guest, join, _) = scene();
    let neutral = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    let changes: [fn(&mut Entry, [u8; 32]); 5] = [
        |entry, key| entry.device = DeviceId(key),
        |entry, key| entry.admission.as_mut().unwrap().member = MemberId(key),
        |entry, key| entry.admission.as_mut().unwrap().box_key = BoxKey(key),
        |entry, key| invite_of(entry).key = InviteKey(key),
        |entry, key| invite_of(entry).issuer = DeviceId(key),
    ];
    for change in changes {
        let packed = relied(&circle, &guest, &join, |entry| change(entry, neutral));
        assert_eq!(check(circle.id, packed).unwrap_err(), Refused::Key(KeyError::SmallOrder));
    }
}

#[test]
fn only_talk_can_be_erased() {
    let (circle, _, join, post) = scene();
    assert!(check(circle.id, Packed { body: None, ..post }).is_ok());
    assert_eq!(check(circle.id, Packed { body: None, ..join }).unwrap_err(), Refused::BodyMissing);
}

#[test]
fn each_signature_is_checked_by_name() {
    let (circle, guest, join, post) = scene();
    let refusal = |packed| check(circle.id, packed).map(|_| ()).unwrap_err();

    let mut forged = post.clone();
    forged.signed.signature.0[5] ^= 1;
    assert_eq!(refusal(forged), Refused::Signature(Signer::Device));
    let changed =
        |change: fn(&mut Admission)| relied(&circle, &guest, &join, |entry| change(entry.admission.as_mut().unwrap()));
    assert_eq!(refusal(changed(|admission| admission.role = Role::Vote)), Refused::Signature(Signer::Member));
    assert_eq!(
        refusal(changed(|admission| admission.invited.as_mut().unwrap().signature.0[40] ^= 1)),
        Refused::Signature(Signer::Invite)
    );
    assert_eq!(
        refusal(changed(|admission| admission.invited.as_mut().unwrap().invite.uses += 1)),
        Refused::Signature(Signer::Issuer)
    );
    let stranger = Person::new(9);
    assert_eq!(refusal(relied(&circle, &stranger, &post, |_| {})), Refused::Signature(Signer::Device));
}

#[test]
fn an_entry_is_of_one_circle() {
    let (_, _, join, _) = scene();
    let other = Circle::new(2);
    assert!(check(other.id, join).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn together_says_what_one_by_one_says(wrongs in proptest::collection::vec(0usize..7, 0..40)) {
        let (circle, mut guest, join, post) = scene();
        let packed: Vec<Packed> = wrongs
            .iter()
            .map(|wrong| match wrong {
                0 => join.clone(),
                1 => post.clone(),
                2 => Packed { body: None, ..join.clone() },
                3 => relied(&circle, &guest, &join, |entry| invite_of(entry).expiry += 1),
                4 => relied(&circle, &guest, &join, |entry| entry.admission.as_mut().unwrap().role = Role::Vote),
                5 => {
                    let mut forged = post.clone();
                    forged.signed.signature.0[0] ^= 1;
                    forged
                }
                _ => circle.post(&mut guest, &[], "again"),
            })
            .collect();
        let single: Vec<_> = packed.iter().cloned().map(|packed| check(circle.id, packed)).collect();
        let named = packed.into_iter().map(|packed| Named::new(circle.id, packed)).collect();
        prop_assert_eq!(check_batch(circle.id, named), single);
    }
}
