//! What settles, and what travels of it.

use super::samples::*;
use super::{Format, Frozen};
use crate::bytes::{HeaderHash, Signature, VoteKey};
use crate::codec::{decode, encode};
use crate::entry::Anchor;
use crate::keys::{Identity, VoteSecret};
use crate::settle::{
    Certificate, Checkpoint, Evidence, Header, MAX_HEADER, MAX_PROOF, Proof, Renewal, SignedVote, Vote, VoteKind,
    Witness, Witnesses, cut_hash,
};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

pub fn settle() -> Vec<Format> {
    let votes = (0..3).map(|number| (VoteKey([31 + number; 32]), Signature([61 + number; 64]))).collect();
    let certificate = Certificate { header: header().hash(), view: 2, votes };
    let checkpoint = Checkpoint { header: header(), certificate: certificate.clone() };
    let proof = Proof { checkpoint, cut: cut().to_vec(), witnesses: None, renewal: None };
    let (after, founder) = (Anchor { height: 299, hash: HeaderHash([40; 32]) }, Identity::from_secret([2; 32]));
    let witness = Witness { vote_key: VoteSecret::from_secret([5; 32]).key(), ..witness(30) };
    let renewal = Renewal::sign(CIRCLE, &founder, after, witness);
    let renewed = Proof { witnesses: Some(witnesses()), renewal: Some(renewal), ..proof.clone() };
    let vote = |kind, header| Vote { kind, circle: CIRCLE, height: 300, view: 2, header };
    let named = Some(HeaderHash([44; 32]));
    let cast = |kind, header| vote(kind, header).cast(&VoteSecret::from_secret([5; 32]));
    let evidence = |one, other| encode(&Evidence { height: 300, one, other });
    let (one, other) = (cast(VoteKind::Notarize, named), cast(VoteKind::Notarize, Some(HeaderHash([45; 32]))));
    let (finalize, nullify) = (cast(VoteKind::Finalize, named), cast(VoteKind::Nullify, None));
    let mut forged = other;
    forged.signature.0[0] ^= 1;
    vec![
        Format::plain::<Header>("header", Frozen(1), MAX_HEADER).accepts("every field", encode(&header())),
        Format::values("header's hash", Frozen(1)).value("of that header", header().hash().0),
        Format::values("cut's hash", Frozen(1))
            .value("of the cut in the proof below", cut_hash(&cut()).0)
            .value("of an empty one", cut_hash(&[]).0),
        Format::plain::<Vote>("vote", Frozen(1), 128)
            .accepts("notarize", encode(&vote(VoteKind::Notarize, named)))
            .accepts("finalize", encode(&vote(VoteKind::Finalize, named)))
            .accepts("nullify", encode(&vote(VoteKind::Nullify, None))),
        Format::values("what a vote signs", Frozen(1))
            .value("the notarize above", vote(VoteKind::Notarize, named).message())
            .value("the nullify above", vote(VoteKind::Nullify, None).message()),
        Format::plain::<SignedVote>("signed vote", Frozen(1), 256)
            .accepts("notarize", encode(&signed_vote(VoteKind::Notarize, 44)))
            .accepts("nullify", encode(&signed_vote(VoteKind::Nullify, 0))),
        Format::plain::<Certificate>("certificate", Frozen(1), 16_384).accepts("three votes", encode(&certificate)),
        Format::plain::<Witnesses>("witnesses", Frozen(1), 16_384)
            .accepts("four, one may lie", encode(&witnesses()))
            .accepts("one", encode(&Witnesses::new(vec![witness], None))),
        Format::values("witnesses' hash", Frozen(1)).value("of the four", witnesses().hash().0),
        Format::twice("proof", Frozen(1), MAX_PROOF, Proof::decode, Proof::encode)
            .accepts("the same witnesses vote on", proof.encode())
            .accepts("others do, by a renewal", renewed.encode()),
        Format::new("evidence", Frozen(1), check_evidence)
            .accepts("two headers notarized in one view, in circle 01", evidence(one, other))
            .accepts("a finalize and a nullify of one view", evidence(finalize, nullify))
            .refuses("the first, its votes exchanged", evidence(other, one))
            .refuses("a vote that does not hold", evidence(one, forged))
            .refuses("a notarize and a nullify, which is honest", evidence(one, nullify))
            .refuses("one vote twice", evidence(one, one)),
        Format::new("renewal", Frozen(1), check_renewal)
            .accepts("by the founder 02, in circle 01", encode(&renewal))
            .refuses("after another height", encode(&Renewal { after: Anchor { height: 298, ..after }, ..renewal })),
    ]
}

fn check_evidence(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let evidence: Evidence = decode(bytes, 512).map_err(|error| alloc::format!("{error:?}"))?;
    evidence.check(CIRCLE).ok_or("no evidence")?;
    Ok(encode(&evidence))
}

fn check_renewal(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let renewal: Renewal = decode(bytes, 512).map_err(|error| alloc::format!("{error:?}"))?;
    let holds = renewal.holds(CIRCLE, &Identity::from_secret([2; 32]).member());
    holds.then(|| encode(&renewal)).ok_or("not signed".to_string())
}
