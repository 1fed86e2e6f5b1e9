#![allow(clippy::unwrap_used, clippy::expect_used)]
//! Headers checked as a run hold exactly where each of them would: but for the votes of all but the last, whatever one of them
//! says otherwise is found. And what the founder's renewal makes void, and for whom.

use super::*;
use crate::bytes::VoteKey;
use crate::check::Vouched;
use crate::dag::Dag;
use crate::dag::fixture::*;
use crate::entry::Anchor;
use crate::keys::{DeviceKey, VoteSecret};
use crate::merkle::{HISTORY, Mountains};

const OTHER: Hash = Hash([1; 32]);
const HEIGHTS: usize = 5;

struct Told {
    world: World,
    /// At height 1, as who takes the run is.
    chain: Chain,
    dag: Dag,
    /// The next, each over one entry.
    blocks: Vec<Block>,
    entries: Vec<Vec<u8>>,
}

impl Told {
    fn new() -> Self {
        let world = World::new();
        let (mut chain, mut dag) = (Chain::new(&world.genesis), world.dag());
        let mut last = world.founds();
        take(&mut dag, &last);
        let device = world.founder.device.clone();
        let next = |chain: &mut Chain, dag: &mut Dag, now| {
            let block = chain.next(dag, Some(&Plain), device.id(), now).unwrap().unwrap();
            let proof = chain.certify(&block, &world.vote);
            chain.adopt(dag, block.clone(), proof);
            block
        };
        next(&mut chain, &mut dag, NOW);
        let (at_1, mut here) = (chain.clone(), world.dag());
        take(&mut here, &last);
        here.settle(alloc::vec![head(&last)], &[last.id()]);
        let (mut blocks, mut entries) = (Vec::new(), Vec::new());
        for at in 1..=HEIGHTS as u64 {
            last = world.follows(&device, &last, talk(&alloc::format!("{at}")));
            take(&mut dag, &last);
            entries.push(last.packed().encode());
            blocks.push(next(&mut chain, &mut dag, NOW + 10 * at));
        }
        Told { world, chain: at_1, dag: here, blocks, entries }
    }

    /// The run with a change to one of its headers, whose place is told; those after it follow the changed one, and all are
    /// settled by the witness. The proofs may be changed afterwards.
    fn run(&self, change: impl Fn(usize, &mut Block), then: impl Fn(usize, &mut Proof)) -> Vec<(Proof, Vouched)> {
        let mut history = Mountains::new(HISTORY);
        [self.world.circle.0, self.chain.head().hash.0].iter().for_each(|hash| history.push(hash));
        let mut prev = self.chain.head().hash;
        let told = |(at, block): (usize, &Block)| {
            let mut block = block.clone();
            (block.header.prev, block.header.history_root) = (prev, history.root());
            change(at, &mut block);
            prev = block.header.hash();
            history.push(&prev.0);
            let mut proof = self.chain.certify(&block, &self.world.vote);
            then(at, &mut proof);
            let bytes = self.entries[at].as_slice();
            let entries = Vouched::read(self.world.circle, &proof.checkpoint.header, core::iter::once(bytes)).unwrap();
            (proof, entries)
        };
        self.blocks.iter().enumerate().map(told).collect()
    }

    fn check(&self, run: &[(Proof, Vouched)]) -> Option<Vec<Block>> {
        let run: Vec<_> = run.iter().map(|(proof, entries)| (proof, entries)).collect();
        self.chain.check_run(&run, Some(&Plain), NOW)
    }
}

#[test]
fn a_run_ends_where_its_headers_one_by_one_end() {
    let told = Told::new();
    let run = told.run(|_, _| (), |_, _| ());
    let blocks = told.check(&run).unwrap();
    assert_eq!(blocks.len(), HEIGHTS);
    for (block, one) in blocks.iter().zip(&told.blocks) {
        assert_eq!((&block.header, &block.order, &block.verdicts), (&one.header, &one.order, &one.verdicts));
    }
    assert_eq!(blocks.last().unwrap().state, told.blocks.last().unwrap().state);
    // Also without folding; and any beginning of it.
    let by_proofs: Vec<_> = run.iter().map(|(proof, entries)| (proof, entries)).collect();
    assert!(told.chain.check_run(&by_proofs, None, NOW).is_some());
    (1..=HEIGHTS).for_each(|len| assert!(told.check(&run[..len]).is_some()));
    assert!(told.check(&run[1..]).is_none(), "its first is not the next");
    // The votes of one in between are looked at later.
    let flip = |proof: &mut Proof| proof.checkpoint.certificate.votes[0].1.0[3] ^= 1;
    assert!(
        told.check(&told.run(
            |_, _| (),
            |at, proof| if at == 2 {
                flip(proof)
            }
        ))
        .is_some()
    );
    assert!(
        told.check(&told.run(
            |_, _| (),
            |at, proof| if at + 1 == HEIGHTS {
                flip(proof)
            }
        ))
        .is_none()
    );
}

#[test]
fn whatever_a_header_of_a_run_says_otherwise_is_found() {
    let told = Told::new();
    let changes: [fn(&mut Block); 10] = [
        |block| block.header.version = 2,
        |block| block.header.circle.0[0] ^= 1,
        |block| block.header.height += 1,
        |block| block.header.prev.0[0] ^= 1,
        |block| block.header.proposer = Person::new(9).device.id(),
        |block| block.header.time = NOW - 1,
        |block| block.header.time = u64::MAX,
        |block| block.header.cut_hash = OTHER,
        |block| block.cut.clear(),
        |block| block.header.witnesses = OTHER,
    ];
    for (fault, change) in changes.into_iter().enumerate() {
        for at in [0, 2, HEIGHTS - 1] {
            let run = told.run(
                |of, block| {
                    if of == at {
                        change(block)
                    }
                },
                |_, _| (),
            );
            assert!(told.check(&run).is_none(), "fault {fault} at {at}");
        }
    }
    // The roots of the last tell of all before.
    let roots: [fn(&mut Block); 2] =
        [|block| block.header.history_root = OTHER, |block| block.header.state_root = OTHER];
    for change in roots {
        assert!(
            told.check(&told.run(
                |at, block| if at + 1 == HEIGHTS {
                    change(block)
                },
                |_, _| ()
            ))
            .is_none()
        );
    }
}

#[test]
fn each_header_of_a_run_is_voted_for_by_its_witnesses() {
    let told = Told::new();
    let stranger = VoteSecret::from_secret([5; 32]);
    let witness = Witness { device: told.world.founder.device.id(), vote_key: stranger.key(), always_on: false };
    let others = Witnesses::new(alloc::vec![witness], None);
    let renewal = Renewal::sign(told.world.circle, &told.world.founder.identity, told.chain.head(), witness);
    let changes: [&dyn Fn(&mut Proof); 6] = [
        &|proof| proof.checkpoint.certificate.votes.clear(),
        &|proof| proof.checkpoint.certificate.votes.push(proof.checkpoint.certificate.votes[0]),
        &|proof| proof.checkpoint.certificate.votes[0].0 = stranger.key(),
        &|proof| proof.checkpoint.certificate.header = HeaderHash([1; 32]),
        &|proof| proof.witnesses = Some(others.clone()),
        &|proof| proof.renewal = Some(renewal),
    ];
    for (fault, change) in changes.iter().enumerate() {
        for at in [0, 2, HEIGHTS - 1] {
            let run = told.run(
                |_, _| (),
                |of, proof| {
                    if of == at {
                        change(proof)
                    }
                },
            );
            assert!(told.check(&run).is_none(), "fault {fault} at {at}");
        }
    }
    // Those who are told again are told where nothing changed.
    let same = Witnesses::of(&told.world.genesis);
    let run = told.run(
        |_, _| (),
        |at, proof| {
            if at + 1 == HEIGHTS {
                proof.witnesses = Some(same.clone())
            }
        },
    );
    assert!(told.check(&run).is_none());
    // Under a renewal the next header brings that, and is no run.
    let mut renewed = told.chain.clone();
    let run = told.run(|_, _| (), |_, _| ());
    assert_eq!(renewed.longest_run(run.iter().map(|(proof, _)| proof)), HEIGHTS);
    assert!(renewed.renew(renewal));
    assert_eq!(renewed.longest_run(run.iter().map(|(proof, _)| proof)), 0);
}

#[test]
fn a_renewal_is_over_the_newest_header_of_a_sole_witness_and_settles_one() {
    let Told { world, mut chain, mut dag, blocks, .. } = Told::new();
    let vote = VoteSecret::from_secret([0x55; 32]);
    let witness = Witness { device: world.founder.device.id(), vote_key: vote.key(), always_on: false };
    let over = |after: Anchor| Renewal::sign(world.circle, &world.founder.identity, after, witness);
    let at = chain.head();
    for elsewhere in
        [Anchor { height: 0, ..at }, Anchor { height: 2, ..at }, Anchor { hash: HeaderHash([1; 32]), ..at }]
    {
        assert!(!chain.renew(over(elsewhere)));
    }
    let post = world.follows(&world.founder.device, &world.founds(), talk("on"));
    take(&mut dag, &post);
    let lost = chain.clone();
    assert!(chain.renew(over(at)));
    let next =
        |chain: &Chain, dag: &Dag| chain.next(dag, Some(&Plain), world.founder.device.id(), NOW).unwrap().unwrap();
    let block = next(&chain, &dag);
    let proof = chain.certify(&block, &vote);
    let unsaid = Proof { renewal: None, ..proof.clone() };
    assert_eq!(chain.check(&dag, Some(&Plain), &unsaid, NOW).unwrap_err(), Refusal::BadRenewal);
    chain.check(&dag, Some(&Plain), &proof, NOW).unwrap();
    chain.adopt(&mut dag, block, proof.clone());
    // It is over with that header.
    let more = world.follows(&world.founder.device, &post, talk("more"));
    take(&mut dag, &more);
    let block = next(&chain, &dag);
    let after = chain.certify(&block, &vote);
    assert_eq!((after.renewal, chain.check(&dag, Some(&Plain), &after, NOW).map(drop)), (None, Ok(())));
    let again = Proof { renewal: proof.renewal, ..after };
    assert_eq!(chain.check(&dag, Some(&Plain), &again, NOW).unwrap_err(), Refusal::BadRenewal);

    // Whoever went on with the lost witness is overruled by exactly such a header.
    let mut own = lost.clone();
    let mut other = world.dag();
    take(&mut other, &world.founds());
    own.adopt(&mut other, blocks[0].clone(), lost.certify(&blocks[0], &world.vote));
    assert_eq!(own.height(), 2);
    assert!(own.is_overruled_by(&proof) && !chain.is_overruled_by(&proof), "it is ours there");
    let faults: [&dyn Fn(&mut Proof); 5] = [
        &|proof| proof.renewal = None,
        &|proof| proof.renewal = Some(over(Anchor { height: 0, ..at })),
        &|proof| proof.renewal = Some(over(Anchor { hash: HeaderHash([1; 32]), ..at })),
        &|proof| proof.renewal = Some(Renewal::sign(world.circle, &Person::new(9).identity, at, witness)),
        &|proof| proof.checkpoint.certificate.votes[0].1.0[4] ^= 1,
    ];
    for (fault, change) in faults.iter().enumerate() {
        let mut wrong = proof.clone();
        change(&mut wrong);
        assert!(!own.is_overruled_by(&wrong), "fault {fault}");
    }
    // Settled by the new key over another header than the renewal names.
    let forged = |change: fn(&mut Header)| {
        let mut header = proof.checkpoint.header.clone();
        change(&mut header);
        let vote_for = Certificate::vote(header.circle, header.height, 0, header.hash());
        let votes = alloc::vec![(vote.key(), vote_for.sign(&vote))];
        let certificate = Certificate { header: header.hash(), view: 0, votes };
        Proof { checkpoint: Checkpoint { header, certificate }, ..proof.clone() }
    };
    assert!(own.is_overruled_by(&forged(|header| header.time += 1)));
    assert!(!own.is_overruled_by(&forged(|header| header.prev = HeaderHash([1; 32]))));
    assert!(!own.is_overruled_by(&forged(|header| header.circle.0[0] ^= 1)));
    assert!(!own.is_overruled_by(&forged(|header| header.height += 1)));
    // Where the founder names a header that never was here.
    let strange = Anchor { hash: HeaderHash([1; 32]), ..at };
    let mut elsewhere = forged(|header| header.prev = HeaderHash([1; 32]));
    elsewhere.renewal = Some(over(strange));
    assert!(!own.is_overruled_by(&elsewhere));
}

#[test]
fn where_several_vote_none_is_renewed() {
    let told = Told::new();
    let [one, other] = [1, 2].map(|seed| VoteSecret::from_secret([seed; 32]));
    let votes: [VoteKey; 2] = [one.key(), other.key()];
    let witness = |vote_key| Witness { device: DeviceKey::from_secret([1; 32]).id(), vote_key, always_on: false };
    plan::from(2, Witnesses::new(votes.map(witness).to_vec(), None));
    let (mut chain, mut dag) = (Chain::new(&told.world.genesis), told.world.dag());
    take(&mut dag, &told.world.founds());
    let block = chain.next(&dag, Some(&Plain), told.world.founder.device.id(), NOW).unwrap().unwrap();
    let proof = chain.certify(&block, &told.world.vote);
    chain.adopt(&mut dag, block, proof);
    assert_eq!(chain.witnesses().all().len(), 2);
    let founder = &told.world.founder.identity;
    let renewal = Renewal::sign(told.world.circle, founder, chain.head(), witness(votes[0]));
    assert!(!chain.renew(renewal));
    // Nor is what they settled overruled by one of them.
    take(&mut dag, &told.world.follows(&told.world.founder.device, &told.world.founds(), talk("on")));
    let block = chain.next(&dag, Some(&Plain), DeviceKey::from_secret([1; 32]).id(), NOW).unwrap().unwrap();
    let mut lone =
        chain.certify(&Block { header: Header { time: NOW + 1, ..block.header.clone() }, ..block.clone() }, &one);
    lone.renewal = Some(renewal);
    let proof = chain.certify(&block, &one);
    chain.adopt(&mut dag, block, proof);
    assert!(chain.height() == 2 && !chain.is_overruled_by(&lone));
}
