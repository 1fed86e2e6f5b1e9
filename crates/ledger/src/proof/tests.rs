#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::bytes::{CircleId, DeviceId, EntryId, Hash, HeaderHash, MemberId, Signature};
use crate::codec::{decode, encode};
use crate::entry::{Anchor, Entry, Signed};
use crate::hash::{context, hash};
use crate::hostile::{Circle, Person, besiege, flip_every_bit};
use crate::merkle::{ENTRIES, HISTORY, MAX_PATH, Path};
use crate::settle::{self, Header};
use crate::state::{Member, StateKey};
use crate::verify::verify;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

const SALT: [u8; 32] = [3; 32];
const ROUNDS: u64 = 20_000;

fn some(kind: u8, at: usize) -> [u8; 32] {
    hash(context::BODY, &[&[kind], &at.to_le_bytes()])
}

fn member(at: usize) -> MemberId {
    MemberId(some(0, at))
}

fn tree(count: usize) -> StateTree {
    let record = |at| {
        let value = Member { name: at_name(at), joined_height: 1, balance: at as u64, ..Member::default() };
        (StateKey::Member(member(at)), encode(&value))
    };
    StateTree::new((0..count).map(record), SALT)
}

fn at_name(at: usize) -> alloc::string::String {
    at.to_string()
}

fn hashes(count: usize) -> Vec<HeaderHash> {
    (0..count).map(|at| HeaderHash(some(1, at))).collect()
}

fn ids(count: usize) -> Vec<EntryId> {
    (0..count).map(|at| EntryId(some(2, at))).collect()
}

/// A header after `height` others that settles so many entries.
fn header(height: usize, entries: usize) -> Header {
    Header {
        version: settle::VERSION,
        circle: CircleId([1; 32]),
        height: height as u64,
        prev: hashes(height)[height - 1],
        proposer: DeviceId([2; 32]),
        time: 5,
        cut_hash: Hash([3; 32]),
        entries: entries as u32,
        entries_root: ENTRIES.root(ids(entries).iter().map(|id| &id.0)),
        history_root: HISTORY.root(hashes(height).iter().map(|hash| &hash.0)),
        state_root: tree(4).root(),
        witnesses: Hash([4; 32]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_record_is_proven_and_every_other_is_absent(count in 0usize..40, at in 0usize..80) {
        let tree = tree(count);
        let proof = tree.prove(StateKey::Member(member(at)));
        let read = StateProof::decode(&proof.encode()).unwrap();
        prop_assert_eq!(&read, &proof);
        let found = proof.member(&tree.root(), member(at)).unwrap();
        prop_assert_eq!(found.map(|member| member.name), (at < count).then(|| at_name(at)));
        prop_assert_eq!(proof.member(&tree.root(), member(at + 1)), Err(ProofError::Other));
        prop_assert_eq!(proof.check(&self::tree(count + 1).root()), Err(ProofError::NotUnderRoot));
        prop_assert_eq!(proof.device(&tree.root(), DeviceId([1; 32])), Err(ProofError::Other));
    }

    /// An absence shown of one key says nothing of another that is there.
    #[test]
    fn nobody_who_is_there_is_shown_absent(count in 1usize..30, there in any::<prop::sample::Index>(), asked in 0usize..200) {
        let tree = tree(count);
        let there = StateKey::Member(member(there.index(count)));
        let mut absent = tree.prove(StateKey::Member(member(count + asked)));
        absent.key = there;
        prop_assert!(absent.check(&tree.root()).is_err());
        // Nor by two leaves that are not side by side, or one that is not at the end.
        let mut from = tree.prove(there);
        let Finding::Present { .. } = from.finding else { panic!("it is there") };
        for other in 0..count {
            let other = tree.prove(StateKey::Member(member(count + other)));
            from.finding = other.finding.clone();
            prop_assert!(from.check(&tree.root()).is_err());
            from.path = other.path;
            prop_assert!(from.check(&tree.root()).is_err());
        }
    }

    #[test]
    fn entries_and_headers_are_proven(count in 1usize..60, at in any::<prop::sample::Index>()) {
        let at = at.index(count);
        let header = header(count, count);
        let entry = EntryProof::new(&ids(count), at).unwrap();
        prop_assert_eq!(entry.check(&header, &ids(count)[at]), Ok(()));
        prop_assert_eq!(entry.check(&header, &EntryId([0; 32])), Err(ProofError::NotUnderRoot));
        let fewer = Header { entries: header.entries - 1, ..header.clone() };
        prop_assert_eq!(entry.check(&fewer, &ids(count)[at]), Err(ProofError::Other));
        prop_assert!(EntryProof::new(&ids(count), count).is_none());

        let history = HistoryProof::new(&hashes(count + 3), at as u64, count as u64).unwrap();
        let older = Anchor { height: at as u64, hash: hashes(count)[at] };
        prop_assert_eq!(history.check(&header, older), Ok(()));
        let misplaced = Anchor { height: older.height + 1, ..older };
        prop_assert_eq!(history.check(&header, misplaced), Err(ProofError::Other));
        let forged = Anchor { hash: HeaderHash([0; 32]), ..older };
        prop_assert_eq!(history.check(&header, forged), Err(ProofError::NotUnderRoot));
        let later = Header { height: header.height + 1, ..header };
        prop_assert_eq!(history.check(&later, older), Err(ProofError::Other));
        prop_assert!(HistoryProof::new(&hashes(count), count as u64, count as u64).is_none());
        prop_assert!(HistoryProof::new(&hashes(count), 0, count as u64 + 1).is_none());
    }
}

/// Promise 5: a light node finds any changed bit in a proof.
#[test]
fn every_changed_bit_of_a_state_proof_is_found() {
    for count in 0..9 {
        let tree = tree(count);
        let root = tree.root();
        for at in 0..count + 4 {
            let key = StateKey::Member(member(at));
            let proof = tree.prove(key);
            let expected = proof.check(&root).unwrap();
            flip_every_bit(&proof.encode(), |bytes| {
                StateProof::decode(bytes).is_ok_and(|read| {
                    let found = read.check(&root);
                    // A changed key may be absent as well, in the same gap: it is another statement, and says so.
                    assert!(found.is_err() || read.key == key || expected.is_none() && found == Ok(None));
                    found.is_ok() && read.key == key
                })
            });
        }
    }
}

#[test]
fn every_changed_bit_of_an_entry_or_history_proof_is_found() {
    for count in 1..10 {
        let header = header(count, count);
        for at in 0..count {
            let id = ids(count)[at];
            let entry = encode(&EntryProof::new(&ids(count), at).unwrap());
            flip_every_bit(&entry, |bytes| {
                decode::<EntryProof>(bytes, MAX_PATH).is_ok_and(|proof| proof.check(&header, &id).is_ok())
            });
            let older = Anchor { height: at as u64, hash: hashes(count)[at] };
            let history = encode(&HistoryProof::new(&hashes(count), at as u64, count as u64).unwrap());
            flip_every_bit(&history, |bytes| {
                decode::<HistoryProof>(bytes, MAX_PATH).is_ok_and(|proof| proof.check(&header, older).is_ok())
            });
        }
    }
}

#[test]
fn the_largest_state_proof_fits() {
    let leaf = crate::merkle::StateLeaf { key: Hash([1; 32]), value: Hash([1; 32]) };
    let path = Path { index: u64::MAX, count: u64::MAX, siblings: alloc::vec![Hash([1; 32]); 128] };
    let key = StateKey::Invite(crate::bytes::InviteKey([1; 32]), DeviceId([1; 32]));
    for finding in [
        Finding::Present { value: alloc::vec![1; MAX_VALUE], salt: Hash([1; 32]) },
        Finding::Absent { neighbours: alloc::vec![leaf; 2] },
    ] {
        assert!(StateProof::decode(&StateProof { key, finding, path: path.clone() }.encode()).is_ok());
    }
}

#[test]
fn hostile_state_proofs() {
    let tree = tree(9);
    let root = tree.root();
    let valid: Vec<Vec<u8>> = (0..16).map(|at| tree.prove(StateKey::Member(member(at))).encode()).collect();
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(proof) = StateProof::decode(bytes) {
            assert_eq!(proof.encode(), bytes);
            if let Ok(found) = proof.check(&root) {
                let there = tree.prove(proof.key);
                assert_eq!(there.check(&root), Ok(found));
                assert_eq!(there, proof);
            }
        }
    });
}

#[test]
fn hostile_paths() {
    let header = header(9, 9);
    let valid: Vec<Vec<u8>> = (0..9).map(|at| encode(&EntryProof::new(&ids(9), at).unwrap())).collect();
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(proof) = decode::<EntryProof>(bytes, MAX_PATH) {
            let at = ids(9).iter().position(|id| proof.check(&header, id).is_ok());
            assert_eq!(at.is_some(), valid.iter().any(|valid| valid == bytes));
        }
    });
}

fn forks() -> (Circle, ForkProof) {
    let circle = Circle::new(1);
    let entry = |text| {
        let mut person = Person::new(2);
        person.seq = 3;
        circle.post(&mut person, &[], text).signed
    };
    let (one, other) = (entry("one"), entry("other"));
    let proof = ForkProof::new(circle.id, one.clone(), other.clone()).unwrap();
    assert_eq!(ForkProof::new(circle.id, other, one.clone()).as_ref(), Some(&proof));
    assert!(ForkProof::new(circle.id, one.clone(), one).is_none());
    (circle, proof)
}

#[test]
fn a_fork_is_two_entries_at_one_place_signed_by_the_device() {
    let (circle, proof) = forks();
    assert_eq!(proof.check(circle.id), Ok((Person::new(2).device.id(), 3)));
    assert_eq!(ForkProof::decode(&proof.encode()).unwrap(), proof);
    assert!(proof.check(CircleId([0; 32])).is_err());
    let [one, other] = proof.entries().map(Clone::clone);
    let mut person = Person::new(2);
    let first = circle.post(&mut person, &[], "one").signed;
    assert!(ForkProof::new(circle.id, first, one.clone()).is_none(), "another place");
    let mut person = Person::new(3);
    person.seq = 3;
    let anothers = circle.post(&mut person, &[], "one").signed;
    assert!(ForkProof::new(circle.id, anothers.clone(), one).is_none(), "another device");
    let mut forged = other.clone();
    forged.signature = anothers.signature;
    assert!(ForkProof::new(circle.id, forged, other.clone()).is_none(), "not signed");
    let unknown = |text| {
        let mut person = Person::new(2);
        person.seq = 3;
        let entry = Entry { version: 2, ..circle.post(&mut person, &[], text).signed.entry };
        Signed::sign(entry, circle.id, &person.device)
    };
    assert!(ForkProof::new(circle.id, unknown("one"), unknown("other")).is_none(), "of a version that is not known");
    let anybodys = |signed: &Signed| {
        let entry = Entry { device: DeviceId([0; 32]), ..signed.entry.clone() };
        let signed = Signed { entry, signature: Signature([0; 64]) };
        let id = signed.entry.id(circle.id);
        assert!(verify(&signed.entry.device.0, &id.0, &signed.signature), "a key of small order \"signs\" anything");
        signed
    };
    let [one, other] = proof.entries().map(anybodys);
    assert!(ForkProof::new(circle.id, one, other).is_none(), "signed by nobody");
}

#[test]
fn every_changed_bit_of_a_fork_is_found_and_hostile_ones_are_refused() {
    let (circle, proof) = forks();
    let accepted = |bytes: &[u8]| ForkProof::decode(bytes).is_ok_and(|proof| proof.check(circle.id).is_ok());
    flip_every_bit(&proof.encode(), accepted);
    besiege(&[proof.encode()], ROUNDS, |bytes| assert_eq!(accepted(bytes), bytes == proof.encode()));
}
