#![allow(clippy::unwrap_used, clippy::expect_used)]
//! Four witnesses at one height: rounds, bundles, proposals and the certificate that comes of them.

use super::*;
use crate::bytes::{Signature, VoteKey};
use crate::dag::Dag;
use crate::dag::fixture::*;
use crate::keys::{DeviceKey, VoteSecret};
use crate::mutant::{Mutant, is_on};
use alloc::vec;
use alloc::vec::Vec;

struct Four {
    world: World,
    chain: Chain,
    dag: Dag,
    /// Sorted by key, as the set is.
    secrets: Vec<VoteSecret>,
    rounds: Vec<Round<HeaderHash, Signature>>,
}

impl Four {
    /// At height 2, which four witnesses vote on; two entries are unsettled.
    fn new() -> Self {
        let world = World::new();
        let mut secrets: Vec<VoteSecret> = (1..=4).map(|seed| VoteSecret::from_secret([seed; 32])).collect();
        secrets.sort_unstable_by_key(|secret| secret.key());
        let witness = |(at, secret): (u8, &VoteSecret)| Witness {
            device: if at == 0 { world.founder.device.id() } else { DeviceKey::from_secret([at; 32]).id() },
            vote_key: secret.key(),
            always_on: at == 2,
        };
        plan::from(2, Witnesses::new((0..).zip(&secrets).map(witness).collect(), None));
        let (mut chain, mut dag) = (Chain::new(&world.genesis), world.dag());
        let founds = world.founds();
        take(&mut dag, &founds);
        let block = chain.next(&dag, Some(&Plain), world.founder.device.id(), NOW).unwrap().unwrap();
        let proof = chain.certify(&block, &world.vote);
        assert_eq!(proof.witnesses.as_ref().map(|set| set.all().len()), Some(4));
        chain.check(&dag, None, &proof, NOW).expect("whoever does not fold is told");
        chain.adopt(&mut dag, block, proof);
        let next = world.follows(&world.founder.device, &founds, talk("one"));
        take(&mut dag, &next);
        let rounds = vec![Round::new(chain.witnesses().quorum(), Voter::default()); 4];
        Four { world, chain, dag, secrets, rounds }
    }

    fn block(&self, time: u64) -> Block {
        self.chain.next(&self.dag, Some(&Plain), self.world.founder.device.id(), time).unwrap().unwrap()
    }

    fn sign(&self, by: usize, ballot: Ballot<HeaderHash>) -> SignedVote {
        let Ballot { view, kind, header } = ballot;
        Vote { kind, circle: self.world.circle, height: 2, view, header }.cast(&self.secrets[by])
    }

    /// A witness's vote, told to all.
    fn tell(&mut self, by: usize, ballot: Ballot<HeaderHash>) {
        let vote = self.sign(by, ballot);
        assert!(vote.holds(self.world.circle, 2));
        for round in &mut self.rounds {
            round.take(by as u8, ballot, vote.signature);
        }
        for at in 0..4 {
            for own in self.rounds[at].advance(|_| true) {
                self.tell(at, own);
            }
        }
    }

    fn notarize(&mut self, by: usize, header: HeaderHash) {
        let ballot = self.rounds[by].notarize(header).unwrap();
        self.tell(by, ballot);
    }

    fn nullify(&mut self, by: usize) {
        let ballot = self.rounds[by].nullify().unwrap();
        self.tell(by, ballot);
    }

    fn bundle(&self, of: usize, block: &Block) -> Bundle {
        let round = &self.rounds[of];
        let mut own: Vec<SignedVote> = round.voter().ballots().map(|ballot| self.sign(of, ballot)).collect();
        own.sort_unstable();
        Bundle {
            height: 2,
            key: self.secrets[of].key(),
            view: round.view(),
            certificate: None,
            notarization: round.notarized().map(|(view, hash, voices)| {
                assert_eq!(*hash, block.header.hash());
                Notarization {
                    view: *view,
                    header: block.header.clone(),
                    cut: block.cut.clone(),
                    voices: voices.clone(),
                }
            }),
            nullifications: round
                .nullified()
                .iter()
                .map(|(view, voices)| Nullification { view: *view, voices: voices.clone() })
                .collect(),
            own,
            voted: None,
        }
    }

    fn check(&self, bundle: &Bundle) -> Result<(), BundleError> {
        let again: Bundle = crate::codec::decode(&crate::codec::encode(bundle), MAX_BUNDLE).unwrap();
        assert_eq!(again, *bundle);
        bundle.check(self.world.circle, self.chain.witnesses())
    }
}

#[test]
fn three_of_four_settle_and_one_is_silent() {
    let mut four = Four::new();
    let block = four.block(NOW + 5);
    let hash = block.header.hash();
    for by in 0..3 {
        assert_eq!(four.rounds[0].certificate(), None);
        four.notarize(by, hash);
    }
    let (ballot, voices) = four.rounds[3].certificate().unwrap();
    assert_eq!(ballot, Ballot::finalize(0, hash));
    let proof = four.chain.prove(&block, ballot.view, &voices);
    let checked = four.chain.check(&four.dag, Some(&Plain), &proof, 0).expect("whatever its own clock says");
    four.chain.adopt(&mut four.dag, checked, proof);
    assert_eq!(four.chain.height(), 2);
}

#[test]
fn a_header_that_was_notarized_is_proposed_again() {
    let mut four = Four::new();
    let block = four.block(NOW + 5);
    let hash = block.header.hash();
    // Two nullify before they see the notarization; nobody can settle in view 0.
    for by in [0, 1] {
        four.nullify(by);
    }
    for by in 0..3 {
        four.notarize(by, hash);
    }
    assert!(four.rounds.iter().all(|round| round.view() == 1 && round.certificate().is_none()));
    assert!(four.rounds.iter().all(|round| round.next() == Some(Next::Again(hash))));
    let leader = four.chain.witnesses().leader(2, 1).unwrap().vote_key;
    let leader = four.secrets.iter().position(|secret| secret.key() == leader).unwrap();
    four.notarize(leader, hash);
    let bundle = four.bundle(leader, &block);
    assert_eq!(four.check(&bundle), Ok(()));
    let proposal = Proposal { header: block.header.clone(), cut: block.cut.clone(), bundle };
    assert_eq!(proposal.check(four.chain.witnesses()), Ok(hash));
    // In time by a quorum's clocks.
    let at =
        |again| four.chain.check_proposal(&four.dag, &Plain, (&proposal.header, &proposal.cut), again, 0).map(drop);
    assert!(matches!(at(false), Err(Refusal::Time { .. })));
    assert_eq!(at(proposal.is_again()), Ok(()));
    // Another header is not justified, nor this one of who does not lead.
    let other = four.block(NOW + 6);
    let mut wrong = Proposal { header: other.header.clone(), ..proposal.clone() };
    wrong.bundle.own = vec![four.sign(leader, Ballot::notarize(1, other.header.hash()))];
    assert_eq!(wrong.check(four.chain.witnesses()), Err(BundleError::NotJustified));
    wrong.bundle.notarization = None;
    assert_eq!(wrong.check(four.chain.witnesses()), Err(BundleError::NotJustified));
    let mut stranger = proposal.clone();
    stranger.bundle.key = four.secrets[(leader + 1) % 4].key();
    assert_eq!(stranger.check(four.chain.witnesses()), Err(BundleError::NotJustified));
    let followers: Vec<usize> = (0..4).filter(|by| *by != leader).take(2).collect();
    for by in followers {
        four.notarize(by, hash);
    }
    assert_eq!(four.rounds[3].certificate().map(|(ballot, _)| ballot), Some(Ballot::finalize(1, hash)));
}

#[test]
fn a_notarization_counts_once_its_header_is_held() {
    let four = Four::new();
    let hash = four.block(NOW + 5).header.hash();
    let mut round = four.rounds[3].clone();
    let ballot = Ballot::notarize(0, hash);
    for by in 0..3 {
        round.take(by, ballot, four.sign(by.into(), ballot).signature);
    }
    assert_eq!(round.advance(|_| false), []);
    assert_eq!((round.view(), round.notarized(), round.next()), (0, None, Some(Next::New)));
    assert_eq!(round.advance(|held| *held == hash), [Ballot::finalize(0, hash)]);
    assert_eq!((round.view(), round.next()), (1, Some(Next::Again(hash))));
}

#[test]
fn a_bundle_lets_one_jump_and_no_changed_one_does() {
    let mut four = Four::new();
    let late = four.rounds[3].clone();
    let block = four.block(NOW + 5);
    let hash = block.header.hash();
    for view in 0..2 {
        assert_eq!(four.rounds[0].view(), view);
        (0..3).for_each(|by| four.nullify(by));
    }
    for by in 0..3 {
        four.notarize(by, hash);
    }
    (0..3).for_each(|by| four.nullify(by));
    let bundle = four.bundle(0, &block);
    assert_eq!((bundle.view, bundle.nullifications.len(), bundle.own.len()), (4, 1, 1));
    assert_eq!(four.check(&bundle), Ok(()));
    let mut jumps = late;
    let own: Vec<_> = bundle.quorums().filter_map(|(ballot, voices)| jumps.learn(ballot, voices.clone())).collect();
    assert_eq!(own, [Ballot::finalize(2, hash)]);
    assert_eq!((jumps.view(), jumps.next()), (4, Some(Next::Again(hash))));
    let faults: [fn(&mut Bundle); 12] = [
        |bundle| bundle.height += 1,
        |bundle| bundle.view = 2,
        |bundle| bundle.key.0[0] ^= 1,
        |bundle| bundle.own[0].signature.0[1] ^= 1,
        |bundle| bundle.own.push(bundle.own[0]),
        |bundle| bundle.nullifications[0].view = 2,
        |bundle| bundle.nullifications[0].voices[0].1.0[2] ^= 1,
        |bundle| bundle.nullifications[0].voices.truncate(2),
        |bundle| bundle.nullifications[0].voices[1] = bundle.nullifications[0].voices[0],
        |bundle| bundle.nullifications[0].voices[2].0 = 9,
        |bundle| bundle.notarization.as_mut().unwrap().header.time += 1,
        |bundle| bundle.notarization.as_mut().unwrap().cut.clear(),
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let mut wrong = bundle.clone();
        fault(&mut wrong);
        assert!(wrong.check(four.world.circle, four.chain.witnesses()).is_err(), "fault {at}");
    }
}

/// A liar signs whatever it likes, and others' votes can be told in any way: what does not fit together tells nothing.
#[test]
fn a_bundle_whose_votes_all_hold_must_fit_together() {
    let four = Four::new();
    let block = four.block(NOW);
    let hash = block.header.hash();
    let voices = |by: &[usize], ballot: Ballot<HeaderHash>| -> Voices<Signature> {
        by.iter().map(|at| (*at as u8, four.sign(*at, ballot).signature)).collect()
    };
    let notarized = |view, header: &Header, by: &[usize]| {
        let voices = voices(by, Ballot::notarize(view, header.hash()));
        Some(Notarization { view, header: header.clone(), cut: block.cut.clone(), voices })
    };
    let nullified = |view| Nullification { view, voices: voices(&[0, 1, 3], Ballot::nullify(view)) };
    let own = |ballots: &[Ballot<HeaderHash>]| {
        let mut own: Vec<SignedVote> = ballots.iter().map(|ballot| four.sign(1, *ballot)).collect();
        own.sort_unstable();
        own
    };
    let (all, finalizes, notarizes) = ([0, 1, 2], Ballot::finalize(0, hash), Ballot::notarize(3, hash));
    let good = Bundle {
        height: 2,
        key: four.secrets[1].key(),
        view: 3,
        certificate: None,
        notarization: notarized(0, &block.header, &all),
        nullifications: vec![nullified(1), nullified(2)],
        own: own(&[finalizes, notarizes, Ballot::nullify(3)]),
        voted: None,
    };
    let check = |bundle: &Bundle| bundle.check(four.world.circle, four.chain.witnesses());
    assert_eq!(check(&good), Ok(()));
    let other = |change: fn(&mut Header)| {
        let mut header = block.header.clone();
        change(&mut header);
        header
    };
    let names = |bundle: &mut Bundle, header: Header| {
        bundle.own = own(&[Ballot::notarize(3, header.hash())]);
        bundle.voted = Some((header, block.cut.clone()));
    };
    let mut told = good.clone();
    names(&mut told, block.header.clone());
    assert_eq!(check(&told), Ok(()));
    let faults: [&dyn Fn(&mut Bundle); 26] = [
        &|bundle| names(bundle, other(|header| header.circle.0[0] ^= 1)),
        &|bundle| names(bundle, other(|header| header.height = 3)),
        &|bundle| names(bundle, other(|header| header.cut_hash = Hash([1; 32]))),
        &|bundle| (bundle.voted, bundle.own) = (told.voted.clone(), own(&[finalizes])),
        &|bundle| {
            bundle.notarization = notarized(3, &block.header, &all);
            bundle.nullifications.clear();
        },
        &|bundle| bundle.notarization = notarized(0, &other(|header| header.circle.0[0] ^= 1), &all),
        &|bundle| bundle.notarization = notarized(0, &other(|header| header.height = 3), &all),
        &|bundle| bundle.notarization = notarized(0, &other(|header| header.cut_hash = Hash([1; 32])), &all),
        &|bundle| bundle.notarization = notarized(0, &block.header, &[0, 1]),
        &|bundle| bundle.notarization = notarized(0, &block.header, &[0, 1, 1]),
        &|bundle| bundle.notarization = notarized(0, &block.header, &[1, 0, 2]),
        &|bundle| bundle.notarization.as_mut().unwrap().voices[2].0 = 4,
        &|bundle| bundle.nullifications.insert(0, nullified(0)),
        &|bundle| bundle.nullifications.push(nullified(3)),
        &|bundle| bundle.nullifications.push(nullified(2)),
        &|bundle| bundle.nullifications.reverse(),
        &|bundle| bundle.nullifications[1].voices.truncate(2),
        &|bundle| bundle.own.reverse(),
        &|bundle| bundle.own.push(bundle.own[2]),
        &|bundle| bundle.own = own(&[Ballot::notarize(2, hash)]),
        &|bundle| bundle.own = own(&[Ballot::nullify(2)]),
        &|bundle| bundle.own = own(&[Ballot::finalize(4, hash)]),
        &|bundle| bundle.own = vec![four.sign(2, notarizes)],
        &|bundle| bundle.own = own(&[Ballot { header: Some(hash), ..Ballot::nullify(3) }]),
        &|bundle| bundle.own = own(&[Ballot { header: None, ..notarizes }]),
        &|bundle| {
            bundle.view = 100;
            bundle.own = own(&(0..=66).map(|view| Ballot::finalize(view, hash)).collect::<Vec<_>>());
        },
    ];
    for (at, fault) in faults.iter().enumerate() {
        let mut wrong = good.clone();
        fault(&mut wrong);
        assert_eq!(check(&wrong), Err(BundleError::Shape), "fault {at}");
    }
    let mut strangers = good.clone();
    strangers.key = four.world.vote.key();
    assert_eq!(check(&strangers), Err(BundleError::NoWitness), "it votes no more");

    // What is proposed is what the leader of the view notarizes, and of this height.
    let leader = four.chain.witnesses().leader(2, 3).unwrap().vote_key;
    let leads = four.secrets.iter().position(|secret| secret.key() == leader).unwrap();
    let proposes = |by: usize, block: &Block, ballots: &[Ballot<HeaderHash>]| {
        let mut own: Vec<SignedVote> = ballots.iter().map(|ballot| four.sign(by, *ballot)).collect();
        own.sort_unstable();
        let bundle = Bundle { key: four.secrets[by].key(), own, ..good.clone() };
        Proposal { header: block.header.clone(), cut: block.cut.clone(), bundle }.check(four.chain.witnesses())
    };
    let not_justified = Err(BundleError::NotJustified);
    assert_eq!(proposes(leads, &block, &[finalizes, notarizes]), Ok(hash));
    assert_eq!(proposes((leads + 1) % 4, &block, &[finalizes, notarizes]), not_justified);
    assert_eq!(proposes(leads, &block, &[finalizes]), not_justified);
    assert_eq!(proposes(leads, &block, &[Ballot { header: Some(HeaderHash([1; 32])), ..notarizes }]), not_justified);
    for change in [(|header| header.height = 3) as fn(&mut Header), |header| header.cut_hash = Hash([1; 32])] {
        let wrong = Block { header: other(change), ..block.clone() };
        let ballot = Ballot::notarize(3, wrong.header.hash());
        let mut bundle = Bundle { key: leader, own: vec![four.sign(leads, ballot)], ..good.clone() };
        bundle.notarization = notarized(0, &wrong.header, &all);
        let proposal = Proposal { header: wrong.header, cut: block.cut.clone(), bundle };
        assert_eq!(proposal.check(four.chain.witnesses()), not_justified);
    }
}

/// What the model steps, in words: see `crates/model`.
#[test]
fn a_voter_votes_in_its_view_and_never_both_ways() {
    let (one, other) = (HeaderHash([1; 32]), HeaderHash([2; 32]));
    let mut voter = Voter::default();
    voter.see_nullification(2);
    assert_eq!(voter.view(), 3);
    for view in [0, 2, 4] {
        assert_eq!((voter.notarize(view, one), voter.nullify(view)), (None, None), "not in view {view}");
    }
    assert_eq!((voter.see_notarization(2, one), voter.view()), (None, 3), "it may have nullified that view");
    voter.see_nullification(1);
    assert_eq!(voter.view(), 3);
    assert_eq!(voter.see_notarization(5, other), Some(Ballot::finalize(5, other)));
    assert_eq!((voter.view(), voter.nullify(5), voter.see_notarization(5, one)), (6, None, None));
    // A record may tell of a finalize of the view that it is in.
    let mut back = Voter::from_record(5, [Ballot::finalize(5, other)]);
    assert_eq!((back.nullify(5), back.see_notarization(5, one)), (None, None));
}

#[test]
fn finalizes_of_the_last_views_add_up_and_older_ones_are_forgotten() {
    let header = HeaderHash([1; 32]);
    let voted = |by: &[u8], view, now| {
        let mut tally = Tally::new(3);
        for (at, by) in by.iter().enumerate() {
            if at == 2 {
                tally.enter(now);
            }
            tally.take(*by, Ballot::finalize(view, header), ());
        }
        tally.certificate().map(|(ballot, _)| ballot)
    };
    let last = super::tally::PAST;
    assert_eq!(voted(&[0, 1, 2], 7, 8), Some(Ballot::finalize(7, header)), "late, and counted");
    assert_eq!(voted(&[0, 1, 2], 7, 7 + last), Some(Ballot::finalize(7, header)));
    assert_eq!(voted(&[0, 1, 2], 7, 8 + last), None);
    assert_eq!(voted(&[0, 1, 2, 0, 1], 7, 8 + last), None, "as many views as are kept");
    assert_eq!(voted(&[0, 1, 1], 7, 8), None, "of distinct witnesses");
}

#[test]
fn the_highest_notarization_is_kept_whatever_comes_later() {
    let four = Four::new();
    let mut round = four.rounds[0].clone();
    let voices: Voices<Signature> = (0..3).map(|at| (at, Signature([0; 64]))).collect();
    let (high, low) = (HeaderHash([1; 32]), HeaderHash([2; 32]));
    round.learn(Ballot::notarize(4, high), voices.clone());
    round.learn(Ballot::notarize(1, low), voices.clone());
    round.learn(Ballot::nullify(3), voices.clone());
    assert_eq!(round.notarized().map(|(view, header, _)| (*view, *header)), Some((4, high)));
    assert!(round.nullified().is_empty());
    assert_eq!((round.view(), round.next()), (5, Some(Next::Again(high))));
    assert!(justified(5, &high, Some((4, high)), &[]) && !justified(5, &high, Some((5, high)), &[]));
}

#[test]
fn a_jump_over_unknown_views_waits_with_its_proposal() {
    let four = Four::new();
    let mut round = four.rounds[0].clone();
    let voices: Voices<Signature> = (0..3).map(|at| (at, Signature([0; 64]))).collect();
    round.learn(Ballot::nullify(5), voices.clone());
    assert_eq!((round.view(), round.next()), (6, None));
    for view in 0..5 {
        assert_eq!(round.learn(Ballot::nullify(view), voices.clone()), None);
    }
    assert_eq!((round.view(), round.next()), (6, Some(Next::New)));
}

#[test]
fn the_leader_rotates_over_the_always_on_first() {
    let four = Four::new();
    let set = four.chain.witnesses();
    assert_eq!(set.leader(7, 0).map(|one| one.always_on), Some(true));
    let mut led: Vec<_> = (1..5).map(|view| set.leader(7, view).unwrap().vote_key).collect();
    assert_ne!(set.leader(7, 1), set.leader(8, 1));
    led.sort_unstable();
    led.dedup();
    assert_eq!(led.len(), 4);
    assert!(set.leader(u64::MAX, u64::MAX).is_some());
}

#[test]
fn what_no_honest_witness_says_is_evidence() {
    let four = Four::new();
    let (one, other) = (HeaderHash([1; 32]), HeaderHash([2; 32]));
    let mut tally = Tally::new(3);
    let mut take = |ballot| tally.take(1, ballot, four.sign(1, ballot).signature);
    assert_eq!(take(Ballot::notarize(0, one)), Taken::New);
    assert_eq!(take(Ballot::notarize(0, one)), Taken::Idle);
    assert_eq!(take(Ballot::nullify(0)), Taken::New);
    assert_eq!(take(Ballot::finalize(1, other)), Taken::New);
    let Taken::Against(held, signature) = take(Ballot::notarize(0, other)) else { panic!("not seen") };
    let SignedVote { key, .. } = four.sign(1, held);
    let first = SignedVote { kind: held.kind, view: held.view, header: held.header, key, signature };
    let evidence = Evidence::of(2, first, four.sign(1, Ballot::notarize(0, other))).unwrap();
    assert_eq!(evidence.check(four.world.circle), Some(four.secrets[1].key()));
    assert_eq!(take(Ballot::notarize(0, HeaderHash([3; 32]))), Taken::Idle);
    assert!(matches!(take(Ballot::finalize(0, one)), Taken::Against(..)));
    assert!(matches!(take(Ballot::nullify(1)), Taken::Against(..)));
    assert_eq!(take(Ballot::nullify(100)), Taken::Idle);
    assert_eq!(four.rounds[0].certificate(), None);
}

#[test]
fn evidence_is_two_votes_of_one_witness_in_one_view_that_no_honest_one_casts() {
    use VoteKind::{Finalize, Notarize, Nullify};
    let (circle, height) = (World::new().circle, 7);
    let [anna, ben] = [1, 2].map(|seed| VoteSecret::from_secret([seed; 32]));
    let cast = |by: &VoteSecret, kind, view, header: Option<u8>| {
        let header = header.map(|header| HeaderHash([header; 32]));
        Vote { kind, circle, height, view, header }.cast(by)
    };
    let of = |one: SignedVote, other: SignedVote| {
        let evidence = Evidence::of(height, one, other);
        assert_eq!(evidence, Evidence::of(height, other, one), "in either order");
        evidence
    };
    let lies = [
        [(Notarize, Some(1)), (Notarize, Some(2))],
        [(Finalize, Some(1)), (Finalize, Some(2))],
        [(Finalize, Some(1)), (Nullify, None)],
    ];
    for [(one, header), (other, other_header)] in lies {
        let vote = |by, view| [cast(by, one, view, header), cast(by, other, view, other_header)];
        let [first, second] = vote(&anna, 3);
        let evidence = of(first, second).unwrap();
        assert_eq!(evidence.check(circle), Some(anna.key()));
        assert_eq!(of(first, vote(&anna, 4)[1]), None, "in another view");
        assert_eq!(of(first, vote(&ben, 3)[1]), None, "of another witness");
        assert_eq!(of(first, first), None);
        let wrong = |change: fn(&mut Evidence)| {
            let mut wrong = evidence;
            change(&mut wrong);
            wrong.check(circle)
        };
        let changes: [fn(&mut Evidence); 4] = [
            |evidence| evidence.height += 1,
            |evidence| evidence.one.signature.0[2] ^= 1,
            |evidence| evidence.other.signature.0[2] ^= 1,
            |evidence| core::mem::swap(&mut evidence.one, &mut evidence.other),
        ];
        changes.into_iter().for_each(|change| assert_eq!(wrong(change), None));
        assert_eq!(evidence.check(CircleId([9; 32])), None);
    }
    let honest = [
        [(Notarize, 3, Some(1)), (Finalize, 4, Some(2))],
        [(Notarize, 3, Some(1)), (Finalize, 3, Some(2))],
        [(Notarize, 3, Some(1)), (Nullify, 3, None)],
        [(Finalize, 3, Some(1)), (Nullify, 4, None)],
        [(Finalize, 3, Some(1)), (Finalize, 4, Some(2))],
    ];
    for votes in honest {
        let [one, other] = votes.map(|(kind, view, header)| cast(&anna, kind, view, header));
        assert_eq!(of(one, other), None);
    }
    // What is signed so is no vote: a nullify of a header, and a finalize of none.
    for (kind, header) in [(Nullify, Some(1)), (Finalize, None), (Notarize, None)] {
        assert!(!cast(&anna, kind, 3, header).holds(circle, height));
    }
    let [finalize, nullify] = [cast(&anna, Finalize, 3, Some(1)), cast(&anna, Nullify, 3, Some(1))];
    assert_eq!(of(finalize, nullify).and_then(|evidence| evidence.check(circle)), None);
}

#[test]
fn a_restart_changes_nothing_of_what_may_be_signed() {
    let (one, other) = (HeaderHash([1; 32]), HeaderHash([2; 32]));
    let again = |voter: &Voter<HeaderHash>| Voter::from_record(voter.view(), voter.ballots());
    let mut voter = Voter::default();
    assert!(voter.notarize(0, one).is_some());
    let mut voter = again(&voter);
    assert!(!is_on(Mutant::NotarizeTwice));
    assert_eq!((voter.notarize(0, other), voter.notarize(0, one)), (None, None));
    assert!(voter.nullify(0).is_some());
    let mut voter = again(&voter);
    assert_eq!((voter.nullify(0), voter.see_notarization(0, one), voter.view()), (None, None, 1));
    assert_eq!(voter.see_notarization(3, one), Some(Ballot::finalize(3, one)));
    let mut voter = again(&voter);
    assert_eq!((voter.view(), voter.nullify(3), voter.see_notarization(3, other)), (4, None, None));
    assert_eq!(voter.ballots().collect::<Vec<_>>(), [Ballot::finalize(3, one)]);
}

#[test]
fn the_founder_names_another_sole_witness() {
    let world = World::new();
    let (mut chain, mut dag) = (Chain::new(&world.genesis), world.dag());
    let founds = world.founds();
    take(&mut dag, &founds);
    let first = chain.next(&dag, Some(&Plain), world.founder.device.id(), NOW).unwrap().unwrap();
    let proof = chain.certify(&first, &world.vote);
    chain.adopt(&mut dag, first, proof);
    take(&mut dag, &world.follows(&world.founder.device, &founds, talk("more")));
    let (follower, at) = (chain.clone(), chain.head());
    let vote = VoteSecret::from_secret([0x55; 32]);
    let witness = Witness { device: world.founder.device.id(), vote_key: vote.key(), always_on: false };
    let renewal = Renewal::sign(world.circle, &world.founder.identity, at, witness);
    let stranger = Renewal::sign(world.circle, &Person::new(9).identity, at, witness);
    assert!(!chain.renew(stranger) && chain.is_sole_witness(world.vote.key()));
    // A key of small order "signs" anything, so anybody would vote.
    let anybody = Witness { vote_key: VoteKey([0; 32]), ..witness };
    assert!(!chain.renew(Renewal::sign(world.circle, &world.founder.identity, at, anybody)));
    assert!(chain.renew(renewal) && chain.is_sole_witness(vote.key()));
    let second = chain.next(&dag, Some(&Plain), world.founder.device.id(), NOW).unwrap().unwrap();
    let proof = chain.certify(&second, &vote);
    for opener in [Some(&Plain as &dyn Opener), None] {
        let mut follower = follower.clone();
        let block = follower.check(&dag, opener, &proof, NOW).unwrap();
        let unsigned = Proof { renewal: None, ..proof.clone() };
        assert!(follower.check(&dag, opener, &unsigned, NOW).is_err());
        let mut dag = world.dag();
        take(&mut dag, &founds);
        follower.adopt(&mut dag, block, proof.clone());
        assert_eq!(follower.witnesses().all(), [witness]);
        assert_eq!(follower.witnesses_at(1), Some(&Witnesses::of(&world.genesis)));
    }
}
