//! Blobs in chunks.

use super::samples::CIRCLE;
use super::state::leaves;
use super::{Format, Frozen};
use crate::blob::{self, Blob, ChunkAsk, Chunks};
use crate::bytes::Hash;
use crate::codec::encode;
use crate::merkle::Path;
use crate::seal::{LaneKey, NONCE};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

pub fn blobs() -> Vec<Format> {
    let (key, len) = (LaneKey::from_secret([80; 32]), 100);
    let sealed = blob::seal_chunk(CIRCLE, &key, len, 0, [81; NONCE], &[82; 100]).unwrap_or_default();
    let other = blob::seal_chunk(CIRCLE, &key, 99, 0, [81; NONCE], &[82; 99]).unwrap_or_default();
    let whole = Blob { root: blob::root(&[blob::leaf(&sealed)]), len, key };
    let opened = whole.clone();
    let read = move |bytes: &[u8]| {
        let plain = opened.open(CIRCLE, 0, bytes).map_err(why)?;
        let nonce = *bytes.first_chunk().ok_or("cut")?;
        blob::seal_chunk(CIRCLE, &opened.key, len, 0, nonce, &plain).map_err(why)
    };
    let ask = |offset, length| ChunkAsk { root: five().0, offset, length };
    let chunks = |from: u32, to: usize| {
        let (_, kept, leaves) = five();
        Chunks::new(&leaves, from, kept[from as usize..to].to_vec()).map(|chunks| chunks.encode()).unwrap_or_default()
    };
    let path = Path { index: 1, count: 5, siblings: leaves(3) };
    vec![
        Format::of("blob", Frozen(1), Blob::decode, Blob::encode)
            .accepts("of 100 bytes, its key 50", whole.encode())
            .refuses("longer than any", Blob { len: u64::MAX, ..whole.clone() }.encode()),
        Format::new("chunk", Frozen(1), read)
            .accepts("52, 100 times, in circle 01, by nonce 51", sealed.clone())
            .refuses("of a text of another length", other),
        Format::values("chunk's leaf", Frozen(1)).value("of that chunk", blob::leaf(&sealed)),
        Format::values("blob's root", Frozen(1))
            .value("of that chunk alone", whole.root.0)
            .value("of no chunk", blob::root(&[]).0)
            .value("of five chunks: 00; 01, twice; 02, three times …", five().0.0),
        Format::of("question", Frozen(1), ChunkAsk::decode, ChunkAsk::encode)
            .accepts("for two chunks from place 1 on", ask(1, 2).encode())
            .refuses("for none", ask(1, 0).encode())
            .refuses("for seventeen", ask(1, 17).encode())
            .refuses("behind the last place there may be", ask(blob::MAX_CHUNKS, 1).encode()),
        Format::new("answer", Frozen(1), check)
            .accepts("chunks 1 and 2 of the five", chunks(1, 3))
            .accepts("chunk 1 alone, when two were asked for", chunks(1, 2))
            .refuses("chunks 1, 2 and 3", chunks(1, 4))
            .refuses("chunks 2 and 3", chunks(2, 4))
            .refuses("no chunk", encode(&Chunks { path, chunks: Vec::new() })),
    ]
}

fn why(error: impl core::fmt::Debug) -> String {
    format!("{error:?}")
}

/// Root, chunks and leaves of a blob of five; to who keeps them they are bytes.
fn five() -> (Hash, Vec<Vec<u8>>, Vec<[u8; 32]>) {
    let kept: Vec<Vec<u8>> = (0..5).map(|at| vec![at; usize::from(at) + 1]).collect();
    let leaves: Vec<[u8; 32]> = kept.iter().map(|chunk| blob::leaf(chunk)).collect();
    (blob::root(&leaves), kept, leaves)
}

fn check(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let chunks = Chunks::decode(bytes).map_err(why)?;
    chunks.check(&ChunkAsk { root: five().0, offset: 1, length: 2 }).map_err(why)?;
    Ok(chunks.encode())
}
