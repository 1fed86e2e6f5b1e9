//! Many short messages hashed side by side. A processor takes four numbers through a step as fast as one, and BLAKE3 uses
//! that between the chunks of a long message; an id or a body is shorter than a chunk. So four messages of as many blocks
//! go through the library's code for four chunks, each as the one chunk that it is
//! ([BLAKE3, section 5.3](https://github.com/BLAKE3-team/BLAKE3-specs)).
//!
//! That code is public in the library and no promise of its: the version is held, and a test compares.

use super::{Context, hash};
use alloc::vec;
use alloc::vec::Vec;
use blake3::platform::{Platform, le_bytes_from_words_32, words_from_le_bytes_32};
use blake3::{BLOCK_LEN, IncrementCounter};

/// So many go side by side in a browser.
const LANES: usize = 4;
/// The most blocks of a message that goes beside others.
const MAX_BLOCKS: usize = 8;
const MAX_LEN: usize = MAX_BLOCKS * BLOCK_LEN;

// The flags of a block.
const CHUNK_START: u8 = 1;
const LAST: u8 = 1 << 1 | 1 << 3; // the chunk's end, and the root
const DERIVE_KEY_MATERIAL: u8 = 1 << 6;

/// For each message what [`hash`] says of the prefix and it, in the same order.
#[cfg_attr(page, optimize(speed))]
pub(crate) fn hash_each(context: &Context, prefix: &[u8], messages: &[&[u8]]) -> Vec<[u8; 32]> {
    let mut hashes = vec![[0; 32]; messages.len()];
    let mut lanes = [[0; MAX_LEN]; LANES];
    // By their number of blocks, the places of those that wait for company.
    let mut waiting = [(0, [0; LANES]); MAX_BLOCKS + 1];
    for (at, message) in messages.iter().enumerate() {
        let blocks = (prefix.len() + message.len()).div_ceil(BLOCK_LEN).max(1);
        let (Some((count, places)), Some(key)) = (waiting.get_mut(blocks), context.key) else {
            hashes[at] = hash(context, &[prefix, message]);
            continue;
        };
        places[*count] = at;
        *count += 1;
        if *count == LANES {
            *count = 0;
            let lens = places.map(|at| prefix.len() + messages[at].len());
            for ((lane, len), at) in lanes.iter_mut().zip(lens).zip(*places) {
                lane[..prefix.len()].copy_from_slice(prefix);
                lane[prefix.len()..len].copy_from_slice(messages[at]);
            }
            let four = hash_lanes(key, &lanes, lens, blocks);
            places.iter().zip(four).for_each(|(at, hash)| hashes[*at] = hash);
        }
    }
    for (count, places) in waiting {
        places[..count].iter().for_each(|at| hashes[*at] = hash(context, &[prefix, messages[*at]]));
    }
    hashes
}

/// Hashes messages of so many blocks, of which the last may not be full.
#[cfg_attr(page, optimize(speed))]
fn hash_lanes(
    key: &[u8; 32],
    lanes: &[[u8; MAX_LEN]; LANES],
    lens: [usize; LANES],
    blocks: usize,
) -> [[u8; 32]; LANES] {
    let mut hashes = [*key; LANES];
    if lens == [blocks * BLOCK_LEN; LANES] {
        beside(lanes, &mut hashes, blocks, LAST);
        return hashes;
    }
    beside(lanes, &mut hashes, blocks - 1, 0);
    let at = (blocks - 1) * BLOCK_LEN;
    let flags = DERIVE_KEY_MATERIAL | LAST | if at == 0 { CHUNK_START } else { 0 };
    for ((hash, lane), len) in hashes.iter_mut().zip(lanes).zip(lens) {
        let (mut block, mut words) = ([0; BLOCK_LEN], words_from_le_bytes_32(hash));
        block[..len - at].copy_from_slice(&lane[at..len]);
        Platform::detect().compress_in_place(&mut words, &block, (len - at) as u8, 0, flags);
        *hash = le_bytes_from_words_32(&words);
    }
    hashes
}

/// Takes so many full blocks of each into its hash; all of them begin with the same key.
#[cfg_attr(page, optimize(speed))]
fn beside(lanes: &[[u8; MAX_LEN]; LANES], hashes: &mut [[u8; 32]; LANES], blocks: usize, last: u8) {
    let key = words_from_le_bytes_32(&hashes[0]);
    let (platform, no, out) = (Platform::detect(), IncrementCounter::No, hashes.as_flattened_mut());
    macro_rules! by_blocks {
        ($($blocks:literal)*) => {
            match blocks {
                $($blocks => {
                    let inputs = lanes.each_ref().map(|lane| lane.first_chunk::<{ $blocks * BLOCK_LEN }>());
                    if let [Some(a), Some(b), Some(c), Some(d)] = inputs {
                        platform.hash_many(&[a, b, c, d], &key, 0, no, DERIVE_KEY_MATERIAL, CHUNK_START, last, out);
                    }
                })*
                _ => {}
            }
        };
    }
    by_blocks!(1 2 3 4 5 6 7 8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::context;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_has_the_hash_that_it_has_alone(
            prefix in proptest::collection::vec(any::<u8>(), 0..40),
            lens in proptest::collection::vec(prop_oneof![0usize..200, (0usize..20).prop_map(|blocks| blocks * 64), 900usize..1_100], 0..40),
            seed: u8,
        ) {
            let bytes: Vec<u8> = (0..2_000usize).map(|at| (at * 31 + usize::from(seed)) as u8).collect();
            let messages: Vec<&[u8]> = lens.iter().enumerate().map(|(at, len)| &bytes[at..at + len]).collect();
            for context in [context::ENTRY, context::GENESIS] {
                let alone: Vec<_> = messages.iter().map(|message| hash(context, &[&prefix, message])).collect();
                prop_assert_eq!(hash_each(context, &prefix, &messages), alone);
            }
        }
    }

    #[test]
    fn every_number_of_blocks_goes_beside_others() {
        let bytes = [7; MAX_LEN + 1];
        for len in 0..=bytes.len() {
            let messages = [&bytes[..len]; LANES];
            assert_eq!(hash_each(context::BODY, &[], &messages), [hash(context::BODY, &messages[..1]); LANES]);
        }
    }
}
