//! Published signatures on which libraries disagree, and what the one rule of [`crate::verify`] must say of each: alone,
//! in a batch and in a batch that is bisected. Built for tests only, and run natively and in a browser.
//!
//! - 196 of "It's 255:19AM. Do you know what your validation criteria are?" (Henry de Valence): every pair of the 14
//!   ways to write a point of small order, as key and as R, with s = 0 and the message "Zcash". All hold under ZIP-215.
//! - 12 of "Taming the many EdDSAs": see `vectors/taming.txt`.

use crate::bytes::Signature;
use crate::hostile::Dice;
use crate::keys::DeviceKey;
use crate::verify::{Claim, verify, verify_batch};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use curve25519_dalek::constants::EIGHT_TORSION;
use data_encoding::HEXLOWER;

/// How many batches are shuffled together.
const SHUFFLES: u64 = 96;
/// The largest of them.
const LARGEST: usize = 90;

/// A signature, and whether it holds.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Which one, for a person.
    pub name: String,
    /// The key.
    pub key: [u8; 32],
    /// What is signed.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Signature,
    /// Whether it holds under ZIP-215.
    pub holds: bool,
}

impl Vector {
    fn claim(&self) -> Claim<'_> {
        Claim { key: &self.key, signature: &self.signature, message: &self.message }
    }
}

/// All published ones.
///
/// # Errors
/// When the file of them is damaged.
pub fn published() -> Result<Vec<Vector>, String> {
    let mut all = small_order();
    for (at, line) in include_str!("vectors/taming.txt").lines().filter(|line| !line.starts_with('#')).enumerate() {
        all.push(taming(at, line).ok_or_else(|| format!("case {at} of taming.txt is damaged"))?);
    }
    Ok(all)
}

/// Checks all of them; how many checks were made.
///
/// # Errors
/// The first that is judged otherwise, and in which company.
pub fn check() -> Result<usize, String> {
    let published = published()?;
    if published.len() != 196 + 12 {
        return Err(format!("{} published signatures", published.len()));
    }
    let mut checks = 0;
    for vector in &published {
        if verify(&vector.key, &vector.message, &vector.signature) != vector.holds {
            return Err(format!("{} alone: {} expected", vector.name, vector.holds));
        }
        checks += 1;
    }
    let holding: Vec<&Vector> = published.iter().filter(|vector| vector.holds).collect();
    checks += check_batch("with all others that hold", &holding)?;
    checks += check_batch("with all others", &published.iter().collect::<Vec<_>>())?;

    let usual = usual();
    for seed in 0..SHUFFLES {
        let mut dice = Dice::new(seed);
        let batch: Vec<&Vector> = (0..=dice.below(LARGEST))
            .map(|_| match dice.below(3) {
                0 => &usual[dice.below(usual.len())],
                _ => &published[dice.below(published.len())],
            })
            .collect();
        checks += check_batch(&format!("in batch {seed}"), &batch)?;
    }
    Ok(checks)
}

fn check_batch(company: &str, batch: &[&Vector]) -> Result<usize, String> {
    let claims: Vec<Claim> = batch.iter().map(|vector| vector.claim()).collect();
    for (holds, vector) in verify_batch(&claims).into_iter().zip(batch) {
        if holds != vector.holds {
            return Err(format!("{} {company}: {} expected", vector.name, vector.holds));
        }
    }
    Ok(batch.len())
}

/// Every pair of the 14 ways to write a point of small order.
fn small_order() -> Vec<Vector> {
    let written: Vec<[u8; 32]> =
        EIGHT_TORSION.iter().map(|point| point.compress().0).chain(written_otherwise()).collect();
    let pairs = written.iter().flat_map(|key| written.iter().map(move |r| (key, r)));
    pairs
        .map(|(key, r)| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r);
            let name = format!("255:19AM key {} R {}", HEXLOWER.encode(key), HEXLOWER.encode(r));
            Vector { name, key: *key, message: b"Zcash".to_vec(), signature: Signature(signature), holds: true }
        })
        .collect()
}

/// The 6 ways to write a point of small order that no encoder writes: with a sign where x is 0, or y not reduced.
pub(crate) fn written_otherwise() -> [[u8; 32]; 6] {
    let number = |low: u8, rest: u8, high: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    [
        number(1, 0, 0x80),
        number(0xec, 0xff, 0xff),
        number(0xed, 0xff, 0x7f),
        number(0xed, 0xff, 0xff),
        number(0xee, 0xff, 0x7f),
        number(0xee, 0xff, 0xff),
    ]
}

fn taming(at: usize, line: &str) -> Option<Vector> {
    let mut parts = line.split(' ');
    let mut bytes = || HEXLOWER.decode(parts.next()?.as_bytes()).ok();
    let (message, key, signature) = (bytes()?, bytes()?, bytes()?);
    let holds = match parts.next()? {
        "V" => true,
        "X" => false,
        _ => return None,
    };
    let signature = Signature(signature.try_into().ok()?);
    Some(Vector { name: format!("taming {at}"), key: key.try_into().ok()?, message, signature, holds })
}

/// Signatures as they come every day: good ones, and such as were changed.
fn usual() -> Vec<Vector> {
    let mut all = Vec::new();
    for seed in 0..8 {
        let device = DeviceKey::from_secret([seed + 1; 32]);
        let message = format!("entry {seed}").into_bytes();
        let (key, signature) = (device.id().0, device.sign(&message));
        all.push(Vector { name: format!("good {seed}"), key, message: message.clone(), signature, holds: true });
        let mut changed = signature;
        changed.0[8 * usize::from(seed) % 63] ^= 1;
        all.push(Vector { name: format!("bad {seed}"), key, message, signature: changed, holds: false });
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use alloc::collections::BTreeSet;
    use curve25519_dalek::edwards::CompressedEdwardsY;

    #[test]
    fn published_signatures_are_judged_by_the_one_rule() {
        let checks = check().unwrap();
        assert!(checks > 3_000, "{checks}");
    }

    #[test]
    fn they_are_what_was_published() {
        let published = published().unwrap();
        let keys: BTreeSet<_> = published[..196].iter().map(|vector| vector.key).collect();
        assert_eq!(keys.len(), 14);
        for key in keys {
            assert!(CompressedEdwardsY(key).decompress().unwrap().is_small_order());
        }
        for key in written_otherwise() {
            assert_ne!(CompressedEdwardsY(key).decompress().unwrap().compress().0, key);
        }
        assert_eq!(published[196..].iter().filter(|vector| vector.holds).count(), 9);
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn a_batch_by_another_rule_is_noticed() {
        use crate::mutant::{Mutant, with};
        let noticed = with(Some(Mutant::BatchRule), check).unwrap_err();
        assert!(noticed.contains("with all others that hold"), "{noticed}");
        assert!(check().is_ok());
    }
}
