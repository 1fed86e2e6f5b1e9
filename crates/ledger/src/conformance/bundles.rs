//! What a witness tells of an open height, checked as a node that takes it in checks it.

use super::samples::{CIRCLE, TIME, cut, header};
use super::{Format, Frozen};
use crate::bytes::{DeviceId, HeaderHash, Signature};
use crate::codec::{decode, encode};
use crate::keys::VoteSecret;
use crate::settle::{
    Bundle, Header, MAX_BUNDLE, Notarization, Nullification, Proposal, SignedVote, Vote, VoteKind, Witness, Witnesses,
    cut_hash,
};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// The four witnesses of the fixtures: vote secrets 1 to 4, each 32 times; always on, and one may lie.
fn witnesses() -> Witnesses {
    let witness = |number: u8| Witness {
        device: DeviceId([number; 32]),
        vote_key: VoteSecret::from_secret([number; 32]).key(),
        always_on: true,
    };
    Witnesses::new((1..=4).map(witness).collect(), None)
}

/// By place in the witness set.
fn secrets() -> Vec<VoteSecret> {
    let all: Vec<VoteSecret> = (1..=4).map(|number| VoteSecret::from_secret([number; 32])).collect();
    let of = |witness: &Witness| all.iter().find(|secret| secret.key() == witness.vote_key).cloned();
    witnesses().all().iter().filter_map(of).collect()
}

fn proposed() -> Header {
    Header { height: 300, time: TIME, cut_hash: cut_hash(&cut()), witnesses: witnesses().hash(), ..header() }
}

fn vote(kind: VoteKind, view: u64) -> Vote {
    let header = (kind != VoteKind::Nullify).then(|| proposed().hash());
    Vote { kind, circle: CIRCLE, height: 300, view, header }
}

fn voices(kind: VoteKind, view: u64, count: u8) -> Vec<(u8, Signature)> {
    (0..count).zip(secrets()).map(|(at, secret)| (at, vote(kind, view).sign(&secret))).collect()
}

/// In view 3: notarized in view 1, view 2 nullified.
fn bundle(of: &VoteSecret) -> Bundle {
    let mut own: Vec<SignedVote> =
        [vote(VoteKind::Notarize, 3), vote(VoteKind::Finalize, 1)].iter().map(|vote| vote.cast(of)).collect();
    own.sort_unstable();
    Bundle {
        height: 300,
        key: of.key(),
        view: 3,
        certificate: None,
        notarization: Some(Notarization {
            view: 1,
            header: proposed(),
            cut: cut().to_vec(),
            voices: voices(VoteKind::Notarize, 1, 3),
        }),
        nullifications: vec![Nullification { view: 2, voices: voices(VoteKind::Nullify, 2, 4) }],
        own,
        voted: None,
    }
}

pub fn bundles() -> Vec<Format> {
    let Some(secret) = secrets().into_iter().next() else { return Vec::new() };
    let whole = bundle(&secret);
    let changed = |change: fn(&mut Bundle)| {
        let mut changed = whole.clone();
        change(&mut changed);
        encode(&changed)
    };
    // In view 0, where it notarizes what was proposed, and nothing else is known.
    let voted = |change: fn(&mut Bundle)| {
        let (own, voted) = (vec![vote(VoteKind::Notarize, 0).cast(&secret)], Some((proposed(), cut().to_vec())));
        let (notarization, nullifications) = (None, Vec::new());
        let mut bundle = Bundle { view: 0, notarization, nullifications, own, voted, ..whole.clone() };
        change(&mut bundle);
        encode(&bundle)
    };
    let leader = witnesses().leader(300, 3).map(|leader| leader.vote_key);
    let leader = secrets().into_iter().find(|secret| Some(secret.key()) == leader);
    let Some(leader) = leader else { return Vec::new() };
    let other = secrets().into_iter().find(|secret| secret.key() != leader.key()).unwrap_or_else(|| secret.clone());
    let proposal = |of: &VoteSecret| Proposal { header: proposed(), cut: cut().to_vec(), bundle: bundle(of) };
    let unjustified = {
        let mut proposal = proposal(&leader);
        proposal.bundle.nullifications.clear();
        encode(&proposal)
    };
    vec![
        Format::new("bundle", Frozen(1), take_bundle)
            .accepts("in view 3: view 1 notarized, view 2 nullified", encode(&whole))
            .accepts(
                "in view 0, with nothing",
                encode(&Bundle {
                    view: 0,
                    notarization: None,
                    nullifications: Vec::new(),
                    own: Vec::new(),
                    ..whole.clone()
                }),
            )
            .accepts("in view 0, with the header that it notarizes", voted(|_| {}))
            .refuses("with a header that it does not notarize", voted(|bundle| bundle.own.clear()))
            .refuses(
                "with a header and another cut",
                voted(|bundle| {
                    if let Some((_, cut)) = &mut bundle.voted {
                        cut.pop();
                    }
                }),
            )
            .refuses("of who is no witness", encode(&bundle(&VoteSecret::from_secret([9; 32]))))
            .refuses(
                "two notarize votes, where three are a quorum",
                changed(|bundle| {
                    if let Some(notarization) = &mut bundle.notarization {
                        notarization.voices.pop();
                    }
                }),
            )
            .refuses("a nullification of the view it is in", changed(|bundle| bundle.view = 2))
            .refuses("a vote that does not hold", changed(|bundle| bundle.nullifications[0].voices[0].1.0[0] ^= 1))
            .refuses("its votes not sorted", changed(|bundle| bundle.own.reverse()))
            .refuses(
                "a notarized header with another cut",
                changed(|bundle| {
                    if let Some(notarization) = &mut bundle.notarization {
                        notarization.cut.pop();
                    }
                }),
            ),
        Format::new("proposal", Frozen(1), take_proposal)
            .accepts("of a header that was notarized in view 1, again in view 3", encode(&proposal(&leader)))
            .refuses("of who does not lead view 3", encode(&proposal(&other)))
            .refuses("without what justifies it", unjustified),
    ]
}

fn take_bundle(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let bundle: Bundle = decode(bytes, MAX_BUNDLE).map_err(|error| format!("{error:?}"))?;
    bundle.check(CIRCLE, &witnesses()).map_err(|error| format!("{error:?}"))?;
    Ok(encode(&bundle))
}

fn take_proposal(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let proposal: Proposal = decode(bytes, MAX_BUNDLE).map_err(|error| format!("{error:?}"))?;
    proposal.bundle.check(CIRCLE, &witnesses()).map_err(|error| format!("{error:?}"))?;
    proposal.check(&witnesses()).map(|_: HeaderHash| encode(&proposal)).map_err(|error| format!("{error:?}"))
}
