//! Randomness as a value: an endless stream drawn from one seed, for nonces and session numbers.

use ledgerno_ledger::hash::{context, hasher};

/// A stream of bytes that nobody without the seed foretells: BLAKE3's extendable output under the seed.
pub struct Random(blake3::OutputReader);

impl Random {
    /// A stream of its own for each seed; a seed is used once.
    pub fn new(seed: [u8; 32]) -> Self {
        Random(hasher(context::RANDOM, &[&seed]).finalize_xof())
    }

    /// The next bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}
