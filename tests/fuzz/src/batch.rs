//! Signatures: alone and in a batch they are judged the same.

use crate::Target;
use ledgerno_ledger::bytes::Signature;
use ledgerno_ledger::vectors;
use ledgerno_ledger::verify::{Claim, verify, verify_batch};

/// The bytes of a signature over one byte: key, signature, message.
const CLAIM: usize = 32 + 64 + 1;
/// More make a run slow and find no more.
const MOST: usize = 16;

/// Of the published signatures that libraries disagree on, eight at a time.
pub fn target() -> Target {
    let published = vectors::published().unwrap_or_default();
    let claims: Vec<Vec<u8>> = published
        .iter()
        .map(|vector| [&vector.key[..], &vector.signature.0, &vector.message[..1.min(vector.message.len())]].concat())
        .collect();
    let seeds = claims.chunks(8).map(<[Vec<u8>]>::concat).collect();
    Target { name: "signatures_batch".to_owned(), seeds, cost: 1, body: Box::new(agree) }
}

fn agree(bytes: &[u8]) {
    let parsed: Vec<([u8; 32], Signature, &[u8])> = bytes.chunks_exact(CLAIM).take(MOST).filter_map(parse).collect();
    let claims: Vec<Claim> = parsed.iter().map(|(key, signature, message)| Claim { key, signature, message }).collect();
    let alone: Vec<bool> = parsed.iter().map(|(key, signature, message)| verify(key, message, signature)).collect();
    assert_eq!(verify_batch(&claims), alone);
}

fn parse(claim: &[u8]) -> Option<([u8; 32], Signature, &[u8])> {
    let (key, rest) = claim.split_first_chunk::<32>()?;
    let (signature, message) = rest.split_first_chunk::<64>()?;
    Some((*key, Signature(*signature), message))
}
