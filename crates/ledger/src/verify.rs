//! The one rule for signatures: ZIP-215 (cofactored), decided by ed25519-zebra.
//!
//! Under it a batch holds exactly if each of its signatures holds, so that it does not matter in which company a node
//! checks one. A batch that fails is bisected under the same rule. The batch's coefficients must be such that who
//! makes the signatures cannot choose them: they are drawn from BLAKE3 over all claims, so no randomness is needed.
//! What counts as a *key* is another question: see [`crate::keys::check_key`].

use crate::bytes::Signature;
use crate::hash::{context, hasher};
use crate::mutant::{Mutant, is_on};
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use ed25519_dalek::Verifier as _;
use ed25519_zebra::batch::{Item, Verifier};
use ed25519_zebra::{VerificationKey, VerificationKeyBytes};
use rand_core::{TryCryptoRng, TryRng};

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
    VerificationKey::try_from(*key).is_ok_and(|key| key.verify(&signature.0.into(), message).is_ok())
}

/// Which of the claims hold: for each claim what [`verify`] says of it.
pub fn verify_batch(claims: &[Claim]) -> Vec<bool> {
    if is_on(Mutant::BatchRule) {
        return claims.iter().map(cofactorless).collect();
    }
    let mut holds = vec![false; claims.len()];
    for (claims, holds) in claims.chunks(BATCH).zip(holds.chunks_mut(BATCH)) {
        let items: Vec<Item> = claims.iter().map(item).collect();
        bisect(&items, holds, &mut Coefficients::of(claims), false);
    }
    holds
}

/// Another rule, which no node goes by: RFC 8032 without the cofactor.
fn cofactorless(claim: &Claim) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(claim.key)
        .is_ok_and(|key| key.verify(claim.message, &claim.signature.0.into()).is_ok())
}

fn item(claim: &Claim) -> Item {
    Item::from((VerificationKeyBytes::from(*claim.key), claim.signature.0.into(), claim.message))
}

/// Checks all at once and, if that fails, each half; `fails` says that it is known to fail.
fn bisect(items: &[Item], holds: &mut [bool], coefficients: &mut Coefficients, fails: bool) {
    if items.len() < SINGLY {
        for (item, holds) in items.iter().zip(holds) {
            *holds = item.clone().verify_single().is_ok();
        }
        return;
    }
    if !fails && together(items, coefficients) {
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

fn together(items: &[Item], coefficients: &mut Coefficients) -> bool {
    let mut batch = Verifier::new();
    for item in items {
        batch.queue(item.clone());
    }
    batch.verify(coefficients).is_ok()
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
}

impl TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

/// In the sense that matters here: nobody can make claims for which he knows the coefficients beforehand.
impl TryCryptoRng for Coefficients {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::keys::DeviceKey;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::scalar::Scalar;
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
            prop_assert_eq!(&single, &holds);
            prop_assert_eq!(verify_batch(&claims), single);
        }
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
