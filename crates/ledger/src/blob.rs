//! Blobs: what is too long for a body, such as a picture, in chunks that travel and are checked one run at a time.
//!
//! A blob's text is cut into chunks of [`CHUNK_PLAIN`] bytes, the last one shorter; none of an empty blob. Each is sealed
//! with the blob's own key to (circle, number of chunks, place), so that none passes for another and none is lost unseen.
//! The root is that of a Merkle tree (by the rule of [`crate::merkle`], under contexts of its own) over the hashes of the
//! sealed chunks. Whoever keeps a blob reads nothing of it, and whoever asks can check each answer alone.
//!
//! A [`Blob`] (root, length and key) stands in a talk body: so members alone read it. A question names root, first place
//! and number of chunks; the answer holds that run or its beginning, with the path of its leaves to the root. Only these
//! formats are here; they travel as request kind 7.

use crate::bytes::{CircleId, Hash};
use crate::codec::{self, CodecError, encode};
use crate::entry::MAX_BODY;
use crate::hash::{context, hash};
use crate::merkle::{BLOB, MAX_PATH, Path};
use crate::seal::{self, LaneKey, MAX_PLAIN, NONCE, SealError};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The bytes of a chunk's text, but of the last: sealed they are 65,536.
pub const CHUNK_PLAIN: usize = MAX_PLAIN;
/// The most bytes of a sealed chunk.
pub const MAX_CHUNK: usize = MAX_BODY;
/// The most chunks of a blob: just under 4 GiB.
pub const MAX_CHUNKS: u32 = 65_535;
/// The most chunks of one answer.
pub const MAX_RUN: usize = 16;
/// The most bytes of an encoded [`Blob`].
pub const MAX_BLOB: usize = 32 + 10 + 32;
/// The most bytes of an encoded [`ChunkAsk`].
pub const MAX_ASK: usize = 32 + 5 + 1;
/// The most bytes of an encoded [`Chunks`].
pub const MAX_ANSWER: usize = MAX_PATH + 1 + MAX_RUN * (3 + MAX_CHUNK);

/// Why bytes are no blob's, or no answer to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlobError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More chunks than a blob may have, or a place behind the last.
    #[error("a blob has at most {MAX_CHUNKS} chunks, and no place behind the last")]
    OutOfRange,
    /// No chunks are asked for, or more than an answer may hold.
    #[error("{0} chunks, where 1 to {MAX_RUN} may be asked for")]
    Run(usize),
    /// An answer from another place on, with more chunks than were asked for, or with none.
    #[error("not the chunks that were asked for")]
    Other,
    /// The chunks are not the blob's.
    #[error("the chunks do not lead to the blob's root")]
    NotUnderRoot,
    /// A chunk does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A chunk opens, and has not the length that its place says.
    #[error("a chunk of {0} bytes at the wrong place")]
    Length(usize),
}

/// What is needed to ask for a blob and to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// The root over its sealed chunks.
    pub root: Hash,
    /// The bytes of its text.
    pub len: u64,
    /// Its own key: 32 random bytes.
    pub key: LaneKey,
}

impl Blob {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads what is said of a blob.
    ///
    /// # Errors
    /// [`BlobError::Codec`], or [`BlobError::OutOfRange`] for a length that no blob has.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlobError> {
        let blob: Self = codec::decode(bytes, MAX_BLOB)?;
        count(blob.len)?;
        Ok(blob)
    }

    /// Opens the chunk at a place, from 0.
    ///
    /// # Errors
    /// [`BlobError`]; it is another chunk, or of another blob.
    pub fn open(&self, circle: CircleId, at: u32, sealed: &[u8]) -> Result<Vec<u8>, BlobError> {
        let plain = seal::open(context::SEAL_CHUNK, self.key.bytes(), &place(circle, self.len, at)?, sealed)?;
        if plain.len() == plain_len(self.len, at) { Ok(plain) } else { Err(BlobError::Length(plain.len())) }
    }
}

/// How many chunks a text of `len` bytes has.
///
/// # Errors
/// [`BlobError::OutOfRange`].
pub fn count(len: u64) -> Result<u32, BlobError> {
    let count = u32::try_from(len.div_ceil(CHUNK_PLAIN as u64)).ok();
    count.filter(|count| *count <= MAX_CHUNKS).ok_or(BlobError::OutOfRange)
}

/// Seals the chunk at a place, from 0, of a text of `len` bytes; `nonce` is random and never used again with this key.
///
/// # Errors
/// [`BlobError`] when the text has no such place, or `plain` not its length.
pub fn seal_chunk(
    circle: CircleId,
    key: &LaneKey,
    len: u64,
    at: u32,
    nonce: [u8; NONCE],
    plain: &[u8],
) -> Result<Vec<u8>, BlobError> {
    let place = place(circle, len, at)?;
    if plain.len() != plain_len(len, at) {
        return Err(BlobError::Length(plain.len()));
    }
    Ok(seal::seal(context::SEAL_CHUNK, key.bytes(), nonce, &place, plain)?)
}

/// What a chunk is sealed to.
fn place(circle: CircleId, len: u64, at: u32) -> Result<Vec<u8>, BlobError> {
    let count = count(len)?;
    if at < count { Ok(encode(&(circle, count, at))) } else { Err(BlobError::OutOfRange) }
}

/// The bytes of the text at a place that there is.
fn plain_len(len: u64, at: u32) -> usize {
    let before = u64::from(at) * CHUNK_PLAIN as u64;
    len.saturating_sub(before).min(CHUNK_PLAIN as u64) as usize
}

/// The leaf that a sealed chunk is in the tree.
pub fn leaf(sealed: &[u8]) -> [u8; 32] {
    hash(context::CHUNK, &[sealed])
}

/// The root over the leaves of all chunks, in order.
pub fn root(leaves: &[[u8; 32]]) -> Hash {
    BLOB.root(leaves)
}

/// "Give me these chunks."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkAsk {
    /// The blob's root.
    pub root: Hash,
    /// The place of the first, from 0.
    pub offset: u32,
    /// How many: 1 to [`MAX_RUN`].
    pub length: u8,
}

impl ChunkAsk {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a question.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BlobError> {
        let ask: Self = codec::decode(bytes, MAX_ASK)?;
        let length = usize::from(ask.length);
        if !(1..=MAX_RUN).contains(&length) {
            return Err(BlobError::Run(length));
        }
        if ask.offset >= MAX_CHUNKS {
            return Err(BlobError::OutOfRange);
        }
        Ok(ask)
    }
}

/// Sealed chunks side by side, with the way to the blob's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// Of the chunks' leaves; it says the first one's place.
    pub path: Path,
    /// As many as were asked for, or the first of them; at least one.
    pub chunks: Vec<Vec<u8>>,
}

impl Chunks {
    /// The answer of who keeps a blob: `chunks` are the sealed ones from `offset` on, `leaves` those of the whole blob.
    /// `None` when these are not there.
    pub fn new(leaves: &[[u8; 32]], offset: u32, chunks: Vec<Vec<u8>>) -> Option<Self> {
        let from = usize::try_from(offset).ok()?;
        let path = BLOB.prove(leaves, from..from.checked_add(chunks.len())?)?;
        Some(Chunks { path, chunks })
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an answer, of which the lengths alone are checked.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BlobError> {
        let chunks: Self = codec::decode(bytes, MAX_ANSWER)?;
        if !(1..=MAX_RUN).contains(&chunks.chunks.len()) {
            return Err(BlobError::Run(chunks.chunks.len()));
        }
        if chunks.chunks.iter().any(|chunk| chunk.len() > MAX_CHUNK) || chunks.path.count > MAX_CHUNKS.into() {
            return Err(BlobError::OutOfRange);
        }
        Ok(chunks)
    }

    /// Whether they are chunks of the blob, from the place on that was asked for, and not more.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn check(&self, ask: &ChunkAsk) -> Result<(), BlobError> {
        let is_run = (1..=usize::from(ask.length)).contains(&self.chunks.len());
        if !is_run || self.path.index != u64::from(ask.offset) {
            return Err(BlobError::Other);
        }
        let leaves: Vec<[u8; 32]> = self.chunks.iter().map(|chunk| leaf(chunk)).collect();
        if self.path.holds(&BLOB, &leaves, &ask.root) { Ok(()) } else { Err(BlobError::NotUnderRoot) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::hostile::{besiege, flip_every_bit};
    use alloc::vec;
    use proptest::prelude::*;

    const CIRCLE: CircleId = CircleId([1; 32]);
    /// Chunks that stand for sealed ones: to a keeper they are bytes.
    fn kept(count: u8) -> (Vec<Vec<u8>>, Vec<[u8; 32]>) {
        let chunks: Vec<Vec<u8>> = (0..count).map(|at| vec![at; 3 + usize::from(at)]).collect();
        let leaves = chunks.iter().map(|chunk| leaf(chunk)).collect();
        (chunks, leaves)
    }

    fn answer(count: u8, offset: u32, length: u8) -> (ChunkAsk, Chunks) {
        let (chunks, leaves) = kept(count);
        let run = chunks[offset as usize..][..usize::from(length)].to_vec();
        (ChunkAsk { root: root(&leaves), offset, length }, Chunks::new(&leaves, offset, run).unwrap())
    }

    #[test]
    fn a_blob_of_three_chunks_is_sealed_told_and_read() {
        let text: Vec<u8> = (0..2 * CHUNK_PLAIN + 100).map(|at| at as u8).collect();
        let (len, key) = (text.len() as u64, LaneKey::from_secret([7; 32]));
        assert_eq!(count(len), Ok(3));
        let seal =
            |(at, plain): (usize, &[u8])| seal_chunk(CIRCLE, &key, len, at as u32, [at as u8; 24], plain).unwrap();
        let sealed: Vec<Vec<u8>> = text.chunks(CHUNK_PLAIN).enumerate().map(seal).collect();
        assert_eq!(sealed.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_CHUNK, MAX_CHUNK, 256]);
        let leaves: Vec<[u8; 32]> = sealed.iter().map(|chunk| leaf(chunk)).collect();
        let blob = Blob { root: root(&leaves), len, key: key.clone() };
        assert_eq!(Blob::decode(&blob.encode()), Ok(blob.clone()));

        let ask = ChunkAsk { root: blob.root, offset: 1, length: 2 };
        let told = Chunks::new(&leaves, 1, sealed[1..].to_vec()).unwrap();
        let read = Chunks::decode(&told.encode()).unwrap();
        assert_eq!(read.check(&ask), Ok(()));
        assert_eq!(blob.open(CIRCLE, 2, &read.chunks[1]).unwrap(), &text[2 * CHUNK_PLAIN..]);
        assert_eq!(blob.open(CIRCLE, 1, &read.chunks[1]), Err(BlobError::Seal(SealError::Changed)), "another place");
        assert_eq!(blob.open(CIRCLE, 3, &read.chunks[1]), Err(BlobError::OutOfRange));
        let cut = Blob { len: len - CHUNK_PLAIN as u64, ..blob.clone() };
        assert!(cut.open(CIRCLE, 0, &sealed[0]).is_err(), "a blob of two chunks");
        let shorter = Blob { len: len - 1, ..blob };
        assert_eq!(shorter.open(CIRCLE, 2, &sealed[2]), Err(BlobError::Length(100)));
    }

    #[test]
    fn lengths_are_bounded() {
        let most = u64::from(MAX_CHUNKS) * CHUNK_PLAIN as u64;
        assert_eq!((count(0), count(1), count(most)), (Ok(0), Ok(1), Ok(MAX_CHUNKS)));
        assert_eq!(count(most + 1), Err(BlobError::OutOfRange));
        assert_eq!(count(u64::MAX), Err(BlobError::OutOfRange));
        let blob = |len| Blob { root: Hash([1; 32]), len, key: LaneKey::from_secret([1; 32]) }.encode();
        assert!(Blob::decode(&blob(most)).is_ok());
        assert_eq!(Blob::decode(&blob(u64::MAX)), Err(BlobError::OutOfRange));
        let ask = |offset, length| ChunkAsk::decode(&ChunkAsk { root: Hash([1; 32]), offset, length }.encode());
        assert!(ask(MAX_CHUNKS - 1, MAX_RUN as u8).is_ok());
        assert_eq!(ask(MAX_CHUNKS, 1), Err(BlobError::OutOfRange));
        assert_eq!(ask(0, 0), Err(BlobError::Run(0)));
        assert_eq!(ask(0, 17), Err(BlobError::Run(17)));
        let path = Path { index: u64::MAX, count: MAX_CHUNKS.into(), siblings: vec![Hash([1; 32]); 128] };
        let largest = |count| Chunks { path: path.clone(), chunks: vec![vec![0; MAX_CHUNK]; count] }.encode();
        assert!(Chunks::decode(&largest(MAX_RUN)).is_ok());
        assert!(Chunks::decode(&largest(MAX_RUN + 1)).is_err());
        assert_eq!(Chunks::decode(&largest(0)), Err(BlobError::Run(0)));
    }

    proptest! {
        #[test]
        fn an_answer_holds_for_its_question_only(count in 1u8..40, at: prop::sample::Index, more in 1u8..16) {
            let offset = at.index(count.into()) as u32;
            let length = more.min(count - offset as u8);
            let (ask, told) = answer(count, offset, length);
            prop_assert_eq!(told.check(&ask), Ok(()));
            prop_assert_eq!(told.check(&ChunkAsk { length: MAX_RUN as u8, ..ask }), Ok(()), "the first of more");
            prop_assert_eq!(told.check(&ChunkAsk { length: length - 1, ..ask }), Err(BlobError::Other));
            prop_assert_eq!(told.check(&ChunkAsk { offset: offset + 1, ..ask }), Err(BlobError::Other));
            let other = ChunkAsk { root: answer(count + 1, 0, 1).0.root, ..ask };
            prop_assert_eq!(told.check(&other), Err(BlobError::NotUnderRoot));
        }
    }

    #[test]
    fn every_changed_bit_of_an_answer_is_found() {
        for (count, offset, length) in [(1, 0, 1), (5, 1, 3), (7, 6, 1), (9, 0, 9)] {
            let (ask, told) = answer(count, offset, length);
            flip_every_bit(&told.encode(), |bytes| Chunks::decode(bytes).is_ok_and(|read| read.check(&ask).is_ok()));
        }
    }

    #[test]
    fn hostile_answers_and_questions() {
        let (ask, told) = answer(9, 2, 4);
        besiege(&[told.encode()], 20_000, |bytes| {
            if let Ok(read) = Chunks::decode(bytes) {
                assert_eq!(read.encode(), bytes);
                assert_eq!(read.check(&ask).is_ok(), read == told);
            }
        });
        besiege(&[ask.encode()], 20_000, |bytes| {
            assert!(
                ChunkAsk::decode(bytes).is_ok_and(|read| read.encode() == bytes) || ChunkAsk::decode(bytes).is_err()
            );
        });
    }
}
