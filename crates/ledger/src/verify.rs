//! The one rule for signatures: ZIP-215 (cofactored), decided by ed25519-zebra.
//!
//! Under it a batch holds exactly if each of its signatures holds, so that it does not matter in which company a node
//! checks one. A batch that fails is bisected under the same rule. The batch's coefficients must be such that who
//! makes the signatures cannot choose them: they are drawn from BLAKE3 over all claims, so no randomness is needed.
//! What counts as a *key* is another question: see [`crate::keys::check_key`].

use crate::bytes::Signature;
use crate::hash::{context, hasher};
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use ed25519_zebra::batch::{Item, Verifier};
use ed25519_zebra::{VerificationKey, VerificationKeyBytes};
use rand_core::{TryCryptoRng, TryRng};

/// How many claims go into one batch at most: larger ones save little and take memory.
const BATCH: usize = 1_024;
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
    let mut holds = vec![false; claims.len()];
    for (claims, holds) in claims.chunks(BATCH).zip(holds.chunks_mut(BATCH)) {
        let items: Vec<Item> = claims.iter().map(item).collect();
        bisect(&items, holds, &mut Coefficients::of(claims), false);
    }
    holds
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
