#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::fixture::{Story, Voter, certify, set};
use super::*;
use crate::bytes::{Hash, HeaderHash};
use crate::entry::Anchor;
use crate::hostile::{besiege, flip_every_bit};
use crate::keys::Identity;
use crate::settle::{CertificateError, Header, MAX_WITNESSES, Renewal, Witnesses};
use alloc::vec::Vec;

/// One witness, then four, then three others, then one, which is lost; the set changes at heights 3, 5, 6 and 9.
fn story() -> Story {
    let mut story = Story::new();
    for next in [&[][..], &[], &[1, 2, 3, 4], &[], &[4, 5, 6], &[7], &[], &[]] {
        story.settle(next);
    }
    story.renew(8);
    story.settle(&[]);
    story.settle(&[]);
    story
}

fn pinned(story: &Story, height: usize) -> Option<Pinned> {
    let witnesses = match height {
        1 | 2 => set(&[Voter::founder(&story.circle)]),
        3 | 4 => set(&[1, 2, 3, 4].map(Voter::new)),
        5 => set(&[4, 5, 6].map(Voter::new)),
        6..=8 => set(&[Voter::new(7)]),
        _ => set(&[Voter::new(8)]),
    };
    Some(Pinned { header: story.header(height), witnesses })
}

fn starts(story: &Story) -> Vec<Option<Pinned>> {
    core::iter::once(None).chain((1..story.hashes.len()).map(|height| pinned(story, height))).collect()
}

fn chain(story: &Story, start: Option<Pinned>) -> LightChain {
    LightChain::new(start, &story.proofs, &story.hashes).unwrap()
}

fn check(story: &Story, chain: &LightChain) -> Result<Trust, TrustError> {
    chain.check(&story.circle.genesis, chain.start.as_ref().map(Pinned::anchor))
}

#[test]
fn from_each_height_the_newest_is_reached() {
    let story = story();
    for start in starts(&story) {
        let from = start.as_ref().map_or(0, |start| start.header.height);
        let chain = chain(&story, start);
        let heights: Vec<u64> = chain.links.iter().map(|link| link.checkpoint.header.height).collect();
        let expected: Vec<u64> = [3, 5, 6, 9, 11].into_iter().filter(|height| *height > from).collect();
        assert_eq!(heights, expected);
        let trust = check(&story, &LightChain::decode(&chain.encode()).unwrap()).unwrap();
        assert_eq!((trust.head(), trust.header()), (story.head(), Some(&story.header(11))));
        assert_eq!((trust.witnesses(), trust.circle()), (&set(&[Voter::new(8)]), story.circle.id));
        for height in 1..11u64 {
            let (older, proof) = (story.header(height as usize), HistoryProof::new(&story.hashes, height, 11));
            assert_eq!(trust.check_older(&older, proof.as_ref()), Ok(()));
            assert_eq!(trust.check_older(&older, None), Err(ProofError::Other));
            let forged = Header { time: 0, ..older };
            assert_eq!(trust.check_older(&forged, proof.as_ref()), Err(ProofError::NotUnderRoot));
        }
        assert_eq!(trust.check_older(&story.header(11), None), Ok(()));
    }
}

#[test]
fn a_node_goes_on_from_what_it_trusts() {
    let story = story();
    let mut trust = Trust::genesis(&story.circle.genesis);
    for proof in &story.proofs {
        let link = Link::new(proof, trust.head().height, &story.hashes).unwrap();
        trust.follow(&link).unwrap();
        let again = trust.clone();
        let (height, trusted) = (proof.height(), proof.height());
        assert_eq!(trust.follow(&link), Err(TrustError::NotNewer { height, trusted }));
        assert_eq!(trust, again);
    }
    assert_eq!(trust.head(), story.head());
    assert!(Link::new(&story.proofs[3], 4, &story.hashes).is_none());
    assert!(Link::new(&story.proofs[3], 1, &story.hashes[..2]).is_none());
}

/// Promise 5: a light node accepts only certified headers, and finds any changed bit.
#[test]
fn every_changed_bit_of_a_chain_is_found() {
    let mut three = Story::new();
    three.settle(&[]);
    three.settle(&[1, 2, 3]);
    three.settle(&[]);
    let mut renewed = Story::new();
    renewed.settle(&[7]);
    renewed.settle(&[]);
    renewed.renew(8);
    let witnesses = set(&[Voter::new(7)]);
    let start = Some(Pinned { header: renewed.header(1), witnesses });
    for (story, start) in [(three, None), (renewed, start)] {
        let pinned = start.as_ref().map(Pinned::anchor);
        flip_every_bit(&chain(&story, start).encode(), |bytes| {
            LightChain::decode(bytes).is_ok_and(|chain| chain.check(&story.circle.genesis, pinned).is_ok())
        });
    }
}

#[test]
fn only_the_right_witnesses_are_believed() {
    let story = story();
    // A header that nobody settled, on top of what is trusted at a height, by whoever signs.
    let forged = |from: usize, voters: &[u8], change: fn(&mut Header)| {
        let mut trust = check(&story, &LightChain { start: pinned(&story, from), links: Vec::new() }).unwrap();
        let mut link = Link::new(&story.proofs[from], from as u64, &story.hashes).unwrap();
        let header = &mut link.checkpoint.header;
        change(header);
        let voters: Vec<Voter> = voters.iter().map(|seed| Voter::new(*seed)).collect();
        link.checkpoint.certificate = certify(header, &voters);
        trust.follow(&link)
    };
    let same: fn(&mut Header) = |_| ();
    let bad = |error| Err(TrustError::BadCertificate(error));
    assert_eq!(forged(3, &[1, 2, 3], same), Ok(()));
    assert_eq!(forged(3, &[1, 2, 3], |header| header.state_root = Hash([0; 32])), Ok(()), "they may settle anything");
    assert_eq!(forged(3, &[1, 2], same), bad(CertificateError::NoQuorum { have: 2, need: 3 }));
    assert!(matches!(forged(3, &[1, 2, 5], same), Err(TrustError::BadCertificate(CertificateError::NoWitness(_)))));
    // The set before the last change.
    assert!(matches!(forged(5, &[1, 2, 3, 4], same), Err(TrustError::BadCertificate(_))));
    assert!(matches!(forged(6, &[4, 5, 6], same), Err(TrustError::BadCertificate(_))));
    assert_eq!(forged(3, &[1, 2, 3], |header| header.prev = HeaderHash([0; 32])), Err(TrustError::Ancestry));
    assert_eq!(forged(3, &[1, 2, 3], |header| header.version = 2), Err(TrustError::Version(2)));
    assert_eq!(forged(3, &[1, 2, 3], |header| header.circle.0[0] ^= 1), Err(TrustError::WrongCircle));
    assert_eq!(forged(3, &[1, 2, 3], |header| header.witnesses = Hash([0; 32])), Err(TrustError::WrongWitnesses));
    let not_newer = Err(TrustError::NotNewer { height: 3, trusted: 3 });
    assert_eq!(forged(3, &[1, 2, 3], |header| header.height = 3), not_newer);
    // Far above, without its ancestry.
    assert_eq!(forged(3, &[1, 2, 3], |header| header.height = u64::MAX), Err(TrustError::Ancestry));
}

#[test]
fn a_second_history_is_not_grafted_on_the_first() {
    let first = story();
    // The same witnesses settle other headers: from height 2 on it is another history.
    let mut second = Story::new();
    second.settle(&[]);
    second.settle_with(&[], Hash([9; 32]), &[]);
    second.settle(&[1, 2, 3, 4]);
    second.settle(&[]);
    second.settle(&[]);
    let mut trust = Trust::genesis(&first.circle.genesis);
    trust.follow(&Link::new(&first.proofs[2], 0, &first.hashes).unwrap()).unwrap();
    let theirs = Link::new(&second.proofs[4], 3, &second.hashes).unwrap();
    assert_eq!(trust.follow(&theirs), Err(TrustError::Ancestry));
    let mixed = Link { ancestry: HistoryProof::new(&first.hashes, 3, 5), ..theirs };
    assert_eq!(trust.follow(&mixed), Err(TrustError::Ancestry));
    let next = Link::new(&second.proofs[3], 3, &second.hashes).unwrap();
    assert_eq!(trust.follow(&next), Err(TrustError::Ancestry));
}

#[test]
fn a_set_is_told_where_it_changes_and_only_there() {
    let story = story();
    let good = chain(&story, None);
    let changed = |change: fn(&mut LightChain)| {
        let mut chain = good.clone();
        change(&mut chain);
        check(&story, &chain).map(drop)
    };
    assert_eq!(changed(|_| ()), Ok(()));
    let wrong = Err(TrustError::WrongWitnesses);
    assert_eq!(changed(|chain| chain.links[0].witnesses = None), Err(TrustError::Idle(3)));
    assert_eq!(changed(|chain| chain.links[0].witnesses = chain.links[1].witnesses.clone()), wrong);
    assert_eq!(changed(|chain| chain.links[4].witnesses = Some(set(&[Voter::new(8)]))), wrong);
    assert_eq!(changed(|chain| drop(chain.links.remove(0))).unwrap_err(), {
        let mut trust = Trust::genesis(&story.circle.genesis);
        trust.follow(&good.links[1]).unwrap_err()
    });
    assert_eq!(changed(|chain| chain.links.swap(3, 4)), Err(TrustError::Idle(11)));
    assert_eq!(
        changed(|chain| chain.links.push(chain.links[4].clone())),
        Err(TrustError::Idle(11)),
        "the last is there twice"
    );
    assert_eq!(changed(|chain| chain.links[0].ancestry = None), Err(TrustError::Ancestry));
    assert_eq!(changed(|chain| chain.links[2].ancestry = chain.links[1].ancestry.clone()), Err(TrustError::Ancestry));
    // A pinned header with other witnesses than it names.
    let start = pinned(&story, 4).map(|start| Pinned { witnesses: Witnesses::new(Vec::new(), None), ..start });
    assert_eq!(check(&story, &LightChain { start, links: Vec::new() }).map(drop), wrong);
}

/// The right witnesses may name any set by its hash: one that is none is not trusted to vote.
#[test]
fn who_votes_next_is_a_set_within_its_bounds() {
    let story = story();
    let named = |all: Vec<Voter>, liars: u8, sorted: bool| {
        let mut all: Vec<_> = all.iter().map(|voter| voter.witness).collect();
        all.sort_unstable_by_key(|witness| witness.vote_key);
        if !sorted {
            all.reverse();
        }
        let set: Witnesses = crate::codec::decode(&crate::codec::encode(&(all, liars)), 1 << 16).unwrap();
        let mut trust = check(&story, &LightChain { start: pinned(&story, 3), links: Vec::new() }).unwrap();
        let mut link = Link::new(&story.proofs[3], 3, &story.hashes).unwrap();
        (link.checkpoint.header.witnesses, link.witnesses) = (set.hash(), Some(set.clone()));
        link.checkpoint.certificate = certify(&link.checkpoint.header, &[1, 2, 3].map(Voter::new));
        let mut header = link.checkpoint.header.clone();
        header.height = 4;
        let start = Pinned { header, witnesses: set };
        let as_pinned = Trust::pinned(&story.circle.genesis, start.anchor(), &start).map(drop);
        assert_eq!(as_pinned, trust.follow(&link));
        as_pinned
    };
    let voters = |count: usize| (0..count).map(|seed| Voter::new(seed as u8)).collect::<Vec<_>>();
    let wrong = Err(TrustError::WrongWitnesses);
    assert_eq!(named(voters(7), 2, true), Ok(()));
    assert_eq!(named(voters(7), 3, true), wrong, "more liars than are borne");
    assert_eq!(named(voters(7), 2, false), wrong);
    assert_eq!(named([1, 2, 2].map(Voter::new).into(), 0, true), wrong, "one twice");
    assert_eq!(named(voters(0), 0, true), wrong);
    assert_eq!(named(voters(MAX_WITNESSES), 42, true), Ok(()));
    assert_eq!(named(voters(MAX_WITNESSES + 1), 0, true), wrong);
    // The very next header shows what it follows by its `prev`, in one way only.
    let mut trust = check(&story, &LightChain { start: pinned(&story, 3), links: Vec::new() }).unwrap();
    let mut link = Link::new(&story.proofs[3], 3, &story.hashes).unwrap();
    link.ancestry = HistoryProof::new(&story.hashes, 3, 4);
    assert!(link.ancestry.as_ref().is_some_and(|proof| proof.check(&link.checkpoint.header, trust.head()).is_ok()));
    assert_eq!(trust.follow(&link), Err(TrustError::Ancestry));
}

#[test]
fn the_pinned_header_is_the_one_that_was_asked_for() {
    let story = story();
    let from = chain(&story, pinned(&story, 4));
    let known = from.start.as_ref().map(Pinned::anchor).unwrap();
    let check = |chain: &LightChain, pinned| chain.check(&story.circle.genesis, pinned).map(drop);
    assert_eq!(check(&from, Some(known)), Ok(()));
    assert_eq!(check(&from, None), Err(TrustError::NotPinned));
    assert_eq!(check(&from, Some(Anchor { height: 5, ..known })), Err(TrustError::NotPinned));
    assert_eq!(check(&from, Some(Anchor { hash: HeaderHash([0; 32]), ..known })), Err(TrustError::NotPinned));
    assert_eq!(check(&chain(&story, None), Some(known)), Err(TrustError::NotPinned));
}

#[test]
fn only_the_founder_renews_and_only_a_sole_witness() {
    let story = story();
    let at_8 = check(&story, &LightChain { start: pinned(&story, 8), links: Vec::new() }).unwrap();
    let good = Link::new(&story.proofs[8], 8, &story.hashes).unwrap();
    assert_eq!(at_8.clone().follow(&good), Ok(()));
    let (circle, after) = (story.circle.id, good.renewal.unwrap().after);
    let witness = Voter::new(8).witness;
    let renewed = |trust: &Trust, renewal: Option<Renewal>| trust.clone().follow(&Link { renewal, ..good.clone() });
    let founder = &story.circle.founder.identity;
    assert_eq!(renewed(&at_8, Some(Renewal::sign(circle, founder, after, witness))), Ok(()));
    assert_eq!(renewed(&at_8, None), Err(TrustError::WrongWitnesses));
    let bad = Err(TrustError::BadRenewal);
    let stranger = Identity::from_secret([9; 32]);
    assert_eq!(renewed(&at_8, Some(Renewal::sign(circle, &stranger, after, witness))), bad);
    for after in [
        Anchor { height: 7, ..after },
        Anchor { height: u64::MAX, ..after },
        Anchor { hash: HeaderHash([0; 32]), ..after },
    ] {
        assert_eq!(renewed(&at_8, Some(Renewal::sign(circle, founder, after, witness))), bad);
    }
    // Where there are more witnesses, one that is lost is no reason.
    let at_5 = check(&story, &LightChain { start: pinned(&story, 5), links: Vec::new() }).unwrap();
    assert_eq!(at_5.clone().follow(&good), bad);
}

#[test]
fn hostile_chains() {
    let story = story();
    let starts = [None, pinned(&story, 4), pinned(&story, 8)];
    let valid: Vec<Vec<u8>> = starts.iter().map(|start| chain(&story, start.clone()).encode()).collect();
    besiege(&valid, 20_000, |bytes| {
        if let Ok(chain) = LightChain::decode(bytes) {
            assert_eq!(chain.encode(), bytes);
            let known = starts.contains(&chain.start);
            let accepted =
                known && chain.check(&story.circle.genesis, chain.start.as_ref().map(Pinned::anchor)).is_ok();
            assert_eq!(accepted, valid.iter().any(|valid| valid == bytes));
        }
    });
}
