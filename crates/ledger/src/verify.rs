//! The one rule for signatures: ZIP-215 (cofactored).
//!
//! - The key A and the signature's R are encodings of points of the curve, canonical or not.
//! - The signature's s is below the order l of the base point B.
//! - With k = SHA-512(R ‖ A ‖ message) as a scalar, 8(R + kA - sB) = 0.
//!
//! Under it a batch holds exactly if each of its signatures holds, so that it does not matter in which company a node
//! checks one: of a batch the sum of all left sides is asked for, each times a coefficient of 128 bits, and those of one
//! key are added up first. A batch that fails is bisected under the same rule. The coefficients must be such that who
//! makes the signatures cannot choose them: they are drawn from BLAKE3 over all claims, so no randomness is needed.
//! What counts as a *key* is another question: see [`crate::keys::check_key`].
//!
//! It is ours and not a crate's for the page's size: every crate with this rule asks for the curve's tables. The tests
//! compare it with ed25519-zebra.

use crate::bytes::Signature;
use crate::hash::{context, hasher};
use crate::mutant::{Mutant, is_on};
use alloc::vec;
use alloc::vec::Vec;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use ed25519_dalek::Verifier as _;
use sha2::{Digest, Sha512};

/// How many claims go into one batch at most: larger ones save little and take memory.
const BATCH: usize = 4_096;
/// Fewer claims than this are checked one by one, which is then as fast.
const SINGLY: usize = 4;

/// Says that `signature` is `key`'s over `message`.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The Ed25519 public key.
    pub key: &'a [u8; 32],
    /// The signature.
    pub signature: &'a Signature,
    /// What is signed.
    pub message: &'a [u8],
}

/// Whether `signature` is `key`'s over `message`, under ZIP-215.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
    Item::of(&Claim { key, signature, message }).holds()
}

/// Which of the claims hold: for each claim what [`verify`] says of it.
pub fn verify_batch(claims: &[Claim]) -> Vec<bool> {
    if is_on(Mutant::BatchRule) {
        return claims.iter().map(cofactorless).collect();
    }
    let mut holds = vec![false; claims.len()];
    for (claims, holds) in claims.chunks(BATCH).zip(holds.chunks_mut(BATCH)) {
        let items: Vec<Item> = claims.iter().map(Item::of).collect();
        bisect(&items, holds, &mut Coefficients::of(claims), false);
    }
    holds
}

/// Another rule, which no node goes by: RFC 8032 without the cofactor.
fn cofactorless(claim: &Claim) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(claim.key)
        .is_ok_and(|key| key.verify(claim.message, &claim.signature.0.into()).is_ok())
}

/// A claim, its message hashed.
struct Item<'a> {
    key: &'a [u8; 32],
    signature: &'a Signature,
    k: Scalar,
}

impl<'a> Item<'a> {
    fn of(claim: &Claim<'a>) -> Self {
        let (r, _) = halves(claim.signature);
        let said = Sha512::new().chain_update(r).chain_update(claim.key).chain_update(claim.message);
        Item { key: claim.key, signature: claim.signature, k: Scalar::from_hash(said) }
    }

    /// R and s; none if there is no such point or scalar.
    fn opened(&self) -> Option<(EdwardsPoint, Scalar)> {
        let (r, s) = halves(self.signature);
        Some((point(&r)?, Option::from(Scalar::from_canonical_bytes(s))?))
    }

    fn holds(&self) -> bool {
        let (Some(key), Some((r, s))) = (point(self.key), self.opened()) else { return false };
        let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &-key, &s);
        (r - expected).mul_by_cofactor().is_identity()
    }
}

fn halves(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&signature.0[..32]);
    s.copy_from_slice(&signature.0[32..]);
    (r, s)
}

fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

/// Checks all at once and, if that fails, each half; `fails` says that it is known to fail.
fn bisect(items: &[Item], holds: &mut [bool], coefficients: &mut Coefficients, fails: bool) {
    if items.len() < SINGLY {
        for (item, holds) in items.iter().zip(holds) {
            *holds = item.holds();
        }
        return;
    }
    if !fails && together(items, coefficients).is_some_and(|sum| sum.mul_by_cofactor().is_identity()) {
        holds.fill(true);
        return;
    }
    let half = items.len() / 2;
    let (left, right) = holds.split_at_mut(half);
    bisect(&items[..half], left, coefficients, false);
    // A batch fails only by a bad signature: if none is on the left, one is on the right.
    let right_fails = left.iter().all(|holds| *holds);
    bisect(&items[half..], right, coefficients, right_fails);
}

/// The sum of all `z(R + kA - sB)`, each with its coefficient z; none if a claim has no such point or scalar.
fn together(items: &[Item], coefficients: &mut Coefficients) -> Option<EdwardsPoint> {
    // The base point first, and each key before its commitments.
    let mut scalars = Vec::with_capacity(2 * items.len() + 1);
    let mut points = Vec::with_capacity(2 * items.len() + 1);
    scalars.push(Scalar::ZERO);
    points.push(ED25519_BASEPOINT_POINT);
    let mut by_key: Vec<&Item> = items.iter().collect();
    by_key.sort_unstable_by_key(|item| item.key);
    for of_one_key in by_key.chunk_by(|one, other| one.key == other.key) {
        let at = scalars.len();
        scalars.push(Scalar::ZERO);
        points.push(point(of_one_key[0].key)?);
        for item in of_one_key {
            let (r, s) = item.opened()?;
            let z = coefficients.next();
            scalars[0] -= z * s;
            scalars[at] += z * item.k;
            scalars.push(z);
            points.push(r);
        }
    }
    Some(EdwardsPoint::vartime_multiscalar_mul(&scalars, &points))
}

/// What the batch equation draws its coefficients from: the output of BLAKE3 over every claim of the batch.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    fn of(claims: &[Claim]) -> Self {
        let mut hasher = hasher(context::BATCH, &[&(claims.len() as u64).to_le_bytes()]);
        for claim in claims {
            hasher.update(claim.key);
            hasher.update(&claim.signature.0);
            hasher.update(&(claim.message.len() as u64).to_le_bytes());
            hasher.update(claim.message);
        }
        Coefficients(hasher.finalize_xof())
    }

    /// 128 bits: as small as the chance of a wrong sum may be, and half the work of a whole scalar.
    fn next(&mut self) -> Scalar {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::keys::DeviceKey;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    /// A claim of its own, and whether it holds under ZIP-215.
    #[derive(Clone, Debug)]
    struct Case {
        key: [u8; 32],
        signature: Signature,
        message: Vec<u8>,
        holds: bool,
    }

    impl Case {
        fn claim(&self) -> Claim<'_> {
            Claim { key: &self.key, signature: &self.signature, message: &self.message }
        }
    }

    fn case(kind: u8, seed: u8, message: Vec<u8>) -> Case {
        let device = DeviceKey::from_secret([seed; 32]);
        let good = Case { key: device.id().0, signature: device.sign(&message), message, holds: true };
        let bad = Case { holds: false, ..good.clone() };
        match kind {
            0 => Case { message: [bad.message, b"!".to_vec()].concat(), ..bad },
            1 => Case { key: DeviceKey::from_secret([seed.wrapping_add(1); 32]).id().0, ..bad },
            2 => changed(bad, seed as usize % 32),
            3 => changed(bad, 32 + seed as usize % 31),
            // s not reduced: the same scalar, one order higher.
            4 => {
                let mut signature = bad.signature;
                signature.0[63] |= 0xf0;
                Case { signature, ..bad }
            }
            // A small-order key signs anything under a cofactored rule; without the cofactor one in eight such holds.
            5 => Case { key: torsion(seed), signature: commitment(seed), ..good },
            // R is a small-order point as well.
            6 => {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&torsion(seed / 8));
                Case { key: torsion(seed), signature: Signature(signature), ..good }
            }
            // No point at all.
            7 => Case { key: [2; 32], ..bad },
            _ => good,
        }
    }

    fn changed(mut case: Case, at: usize) -> Case {
        case.signature.0[at] ^= 1;
        case
    }

    fn torsion(which: u8) -> [u8; 32] {
        EIGHT_TORSION[which as usize % 8].compress().0
    }

    /// R = sB, s.
    fn commitment(seed: u8) -> Signature {
        let s = Scalar::from(1_000 + u64::from(seed));
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&(s * ED25519_BASEPOINT_POINT).compress().0);
        signature[32..].copy_from_slice(s.as_bytes());
        Signature(signature)
    }

    fn by_zebra(claim: &Claim) -> bool {
        ed25519_zebra::VerificationKey::try_from(*claim.key)
            .is_ok_and(|key| key.verify(&claim.signature.0.into(), claim.message).is_ok())
    }

    /// An encoding of a point that is often not canonical, or none.
    fn encoding() -> impl Strategy<Value = [u8; 32]> {
        prop_oneof![
            any::<[u8; 32]>(),
            // y at the field's order, and the sign of a zero.
            (0xe0u8.., any::<bool>(), any::<bool>()).prop_map(|(low, high, sign)| {
                let mut bytes = [if high { 0xff } else { 0 }; 32];
                bytes[0] = low;
                bytes[31] = if high { 0x7f } else { 0 } | u8::from(sign) << 7;
                bytes
            }),
            (0u8..8).prop_map(torsion),
            (0u8..6).prop_map(|seed| DeviceKey::from_secret([seed; 32]).id().0),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        /// Whatever bytes come as key and commitment, the rule is that of ed25519-zebra, alone and in company.
        #[test]
        fn crafted_signatures_are_judged_as_ed25519_zebra_does(
            crafted in proptest::collection::vec((encoding(), encoding(), prop_oneof![Just([0; 32]), any::<[u8; 32]>()]), 1..12)
        ) {
            let signatures: Vec<Signature> = crafted.iter().map(|(_, r, s)| {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(r);
                signature[32..].copy_from_slice(s);
                Signature(signature)
            }).collect();
            let claims: Vec<Claim> = crafted.iter().zip(&signatures)
                .map(|((key, ..), signature)| Claim { key, signature, message: b"crafted" }).collect();
            let zebra: Vec<bool> = claims.iter().map(by_zebra).collect();
            prop_assert_eq!(verify_batch(&claims), zebra.clone());
            prop_assert_eq!(claims.iter().map(|c| verify(c.key, c.message, c.signature)).collect::<Vec<_>>(), zebra);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_batch_says_what_single_checks_say(
            kinds in proptest::collection::vec((0u8..20, 0u8..6, proptest::collection::vec(any::<u8>(), 0..40)), 0..48)
        ) {
            let cases: Vec<Case> = kinds.into_iter().map(|(kind, seed, message)| case(kind, seed, message)).collect();
            let claims: Vec<Claim> = cases.iter().map(Case::claim).collect();
            let holds: Vec<bool> = cases.iter().map(|case| case.holds).collect();
            let single: Vec<bool> = claims.iter().map(|c| verify(c.key, c.message, c.signature)).collect();
            let zebra: Vec<bool> = claims.iter().map(by_zebra).collect();
            prop_assert_eq!(&single, &holds);
            prop_assert_eq!(&single, &zebra);
            prop_assert_eq!(verify_batch(&claims), single);
        }
    }

    /// Signatures that are wrong by the same on either side: the sum of all would hold.
    #[test]
    fn wrongs_that_cancel_out_are_found() {
        let moved = |seed: u8, by: Scalar| {
            let good = case(9, seed, vec![seed; 9]);
            let (_, s) = halves(&good.signature);
            let s: Scalar = Option::from(Scalar::from_canonical_bytes(s)).unwrap();
            let mut signature = good.signature;
            signature.0[32..].copy_from_slice((s + by).as_bytes());
            Case { signature, ..good }
        };
        let by = Scalar::from(77_u64);
        // Of one key, and of two.
        for (one, other) in [(1, 1), (1, 2)] {
            let mut cases = vec![moved(one, by), moved(other, -by)];
            cases.extend((3..9).map(|seed| moved(seed, Scalar::ZERO)));
            let claims: Vec<Claim> = cases.iter().map(Case::claim).collect();
            let expected: Vec<bool> = (0..8).map(|at| at > 1).collect();
            assert_eq!(verify_batch(&claims), expected);
        }
    }

    /// Who could change a claim and keep the coefficients could choose what cancels out.
    #[test]
    fn every_part_of_every_claim_is_in_the_coefficients() {
        let cases: Vec<Case> = (1..4).map(|seed| case(9, seed, vec![seed; 9])).collect();
        let drawn = |cases: &[Case]| {
            let claims: Vec<Claim> = cases.iter().map(Case::claim).collect();
            Coefficients::of(&claims).next()
        };
        let changes: [fn(&mut Case); 5] = [
            |case| case.key[31] ^= 1,
            |case| case.signature.0[0] ^= 1,
            |case| case.signature.0[63] ^= 1,
            |case| case.message[8] ^= 1,
            |case| case.message.truncate(8),
        ];
        for at in 0..cases.len() {
            for change in changes {
                let mut changed = cases.clone();
                change(&mut changed[at]);
                assert_ne!(drawn(&changed), drawn(&cases));
            }
        }
        assert_ne!(drawn(&cases[..2]), drawn(&cases));
    }

    #[test]
    fn a_few_bad_ones_are_found_across_batches() {
        let good = case(9, 1, b"again and again".to_vec());
        let bad = case(0, 1, b"again and again".to_vec());
        let wrong = [0, BATCH - 1, BATCH, BATCH + 76];
        let cases: Vec<&Case> = (0..BATCH + 77).map(|at| if wrong.contains(&at) { &bad } else { &good }).collect();
        let claims: Vec<Claim> = cases.iter().map(|case| case.claim()).collect();
        let found: Vec<usize> =
            verify_batch(&claims).iter().enumerate().filter(|(_, holds)| !**holds).map(|(at, _)| at).collect();
        assert_eq!(found, wrong);
    }
}
