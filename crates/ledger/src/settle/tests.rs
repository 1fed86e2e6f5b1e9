#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::bytes::{EntryId, Signature, VoteKey};
use crate::check::Checked;
use crate::dag::fixture::*;
use crate::dag::{CutError, Dag, Limits};
use crate::entry::{Entry, Packed};
use crate::genesis::Rules;
use crate::keys::{DeviceKey, VoteSecret};
use crate::merkle::{ENTRIES, HISTORY};
use crate::op::Operation;
use crate::state::{Verdict, VoidReason};
use proptest::prelude::*;

/// A witness, and a follower that holds the same entries.
struct Scene {
    world: World,
    chain: Chain,
    dag: Dag,
    entries: Vec<Checked>,
}

impl Scene {
    /// With one settled height, and two entries above it.
    fn new() -> Self {
        let world = World::new();
        let (mut chain, mut dag) = (Chain::new(&world.genesis), world.dag());
        let founds = world.founds();
        take(&mut dag, &founds);
        let block = chain.next(&dag, Some(&Plain), world.founder.device.id(), NOW).unwrap().unwrap();
        let proof = chain.certify(&block, &world.vote);
        chain.adopt(&mut dag, block, proof);
        let mut entries = alloc::vec![founds];
        for text in ["one", "two"] {
            let next = world.follows(&world.founder.device, entries.last().unwrap(), talk(text));
            take(&mut dag, &next);
            entries.push(next);
        }
        Scene { world, chain, dag, entries }
    }

    fn next(&self) -> Block {
        self.chain.next(&self.dag, Some(&Plain), self.world.founder.device.id(), NOW + 5).unwrap().unwrap()
    }

    fn check(&self, proof: &Proof) -> Result<(), Refusal> {
        self.chain.check(&self.dag, Some(&Plain), proof, NOW + 5).map(drop)
    }

    /// What is said of the next header with one thing changed, and certified so by the witness.
    fn changed(&self, change: impl FnOnce(&mut Block)) -> Result<(), Refusal> {
        let mut block = self.next();
        change(&mut block);
        self.check(&self.chain.certify(&block, &self.world.vote))
    }

    /// What is said of the next header with its certificate changed.
    fn certified(&self, change: impl FnOnce(&mut Certificate, &Header)) -> Result<(), Refusal> {
        let mut proof = self.chain.certify(&self.next(), &self.world.vote);
        change(&mut proof.checkpoint.certificate, &proof.checkpoint.header);
        self.check(&proof)
    }

    fn vote(&self, vote: Vote) -> (VoteKey, Signature) {
        (self.world.vote.key(), vote.sign(&self.world.vote))
    }
}

const OTHER: Hash = Hash([1; 32]);

fn wrong(which: Root) -> Result<(), Refusal> {
    Err(Refusal::WrongRoot { which })
}

#[test]
fn the_unchanged_header_is_adopted() {
    let mut scene = Scene::new();
    assert_eq!(scene.changed(|_| ()), Ok(()));
    let (block, hash) = (scene.next(), scene.next().header.hash());
    let proof = scene.chain.certify(&block, &scene.world.vote);
    assert_eq!(scene.check(&proof), Ok(()));
    scene.chain.adopt(&mut scene.dag, block, proof.clone());
    assert_eq!((scene.chain.head().height, scene.chain.head().hash, scene.dag.unsettled()), (2, hash, 0));
    assert_eq!(scene.check(&proof), Err(Refusal::Known(2)));
    let settled = scene.chain.settled(&scene.entries[2].id());
    assert_eq!(settled, Some(Settled { height: 2, verdict: Some(Verdict::Noop) }));
    assert!(scene.chain.is_sole_witness(scene.world.vote.key()));
    let nothing = scene.chain.next(&scene.dag, Some(&Plain), scene.world.founder.device.id(), NOW);
    assert!(matches!(nothing, Ok(None)));
}

#[test]
fn a_header_names_all_that_it_follows() {
    let scene = Scene::new();
    let Block { header, cut, order, .. } = scene.next();
    let first = scene.chain.hash_at(1).unwrap();
    assert_eq!((header.height, header.prev), (2, first));
    assert_eq!(header.history_root, HISTORY.root([&scene.world.circle.0, &first.0]));
    assert_eq!(order, [scene.entries[1].id(), scene.entries[2].id()]);
    assert_eq!(header.entries_root, ENTRIES.root([&order[0].0, &order[1].0]));
    assert_eq!(header.cut_hash, cut_hash(&cut));
    assert_eq!(header.witnesses, Witnesses::of(&scene.world.genesis).hash());
    assert_eq!(scene.chain.hash_at(0), Some(HeaderHash(scene.world.circle.0)));
    assert_eq!(scene.chain.header().map(Header::hash), Some(first));
}

#[test]
fn a_changed_header_is_refused() {
    let scene = Scene::new();
    assert_eq!(scene.changed(|block| block.header.version = 2), Err(Refusal::Version(2)));
    assert_eq!(scene.changed(|block| block.header.circle.0[0] ^= 1), Err(Refusal::WrongCircle));
    assert_eq!(scene.changed(|block| block.header.prev.0[0] ^= 1), Err(Refusal::WrongPrev));
    assert_eq!(scene.changed(|block| block.header.height = 3), Err(Refusal::Ahead(3)));
    assert_eq!(scene.changed(|block| block.header.height = u64::MAX), Err(Refusal::Ahead(u64::MAX)));
    assert_eq!(scene.changed(|block| block.header.height = 0), Err(Refusal::WrongPrev));
    assert!(matches!(scene.changed(|block| block.header.height = 1), Err(Refusal::Conflict { height: 1, .. })));
    let stranger = Person::new(9).device.id();
    assert_eq!(scene.changed(|block| block.header.proposer = stranger), Err(Refusal::WrongProposer));
    assert_eq!(scene.changed(|block| block.header.cut_hash = OTHER), wrong(Root::Cut));
    assert_eq!(scene.changed(|block| block.header.entries = 3), Err(Refusal::WrongCount { says: 3, are: 2 }));
    assert_eq!(scene.changed(|block| block.header.entries_root = OTHER), wrong(Root::Entries));
    assert_eq!(scene.changed(|block| block.header.history_root = OTHER), wrong(Root::History));
    assert_eq!(scene.changed(|block| block.header.state_root = OTHER), wrong(Root::State));
    assert_eq!(scene.changed(|block| block.header.witnesses = OTHER), wrong(Root::Witnesses));
    // They are told where they change, and nowhere else.
    let mut told = scene.chain.certify(&scene.next(), &scene.world.vote);
    told.witnesses = Some(Witnesses::of(&scene.world.genesis));
    assert_eq!(scene.check(&told), wrong(Root::Witnesses));
    // Another header of a settled height is a second history where its votes hold, and nothing else.
    let mut block = scene.next();
    block.header.height = 1;
    let mut other = scene.chain.certify(&block, &scene.world.vote);
    other.checkpoint.certificate.votes[0].1.0[3] ^= 1;
    let own = scene.world.vote.key();
    assert_eq!(scene.check(&other), Err(Refusal::BadCertificate(CertificateError::BadVote(own))));
}

#[test]
fn time_neither_runs_back_nor_far_ahead() {
    let scene = Scene::new();
    let bound = Rules::default().clock_bound_ms;
    let (from, to) = (NOW, NOW + 5 + bound);
    for time in [from, to] {
        assert_eq!(scene.changed(|block| block.header.time = time), Ok(()));
    }
    for time in [from - 1, to + 1, 0, u64::MAX] {
        assert_eq!(scene.changed(|block| block.header.time = time), Err(Refusal::Time { time, from, to }));
    }
    // A clock that is behind accepts the previous header's time, and proposes no earlier one.
    let proof = scene.chain.certify(&scene.next(), &scene.world.vote);
    assert!(matches!(scene.chain.check(&scene.dag, Some(&Plain), &proof, 3), Err(Refusal::Time { to: NOW, .. })));
    let slow = scene.chain.next(&scene.dag, Some(&Plain), scene.world.founder.device.id(), 3).unwrap().unwrap();
    assert_eq!(slow.header.time, NOW);
    let proof = scene.chain.certify(&slow, &scene.world.vote);
    assert!(scene.chain.check(&scene.dag, Some(&Plain), &proof, 3).is_ok());
}

#[test]
fn a_certificate_is_of_witnesses_for_this_header_height_and_view() {
    let scene = Scene::new();
    let bad = |error| Err(Refusal::BadCertificate(error));
    let (own, other) = (scene.world.vote.key(), VoteSecret::from_secret([5; 32]));
    assert_eq!(scene.certified(|certificate, _| certificate.header.0[0] ^= 1), bad(CertificateError::OtherHeader));
    assert_eq!(scene.certified(|certificate, _| certificate.view = 1), bad(CertificateError::BadVote(own)));
    assert_eq!(
        scene.certified(|certificate, _| certificate.votes.clear()),
        bad(CertificateError::NoQuorum { have: 0, need: 1 })
    );
    let doubled = |certificate: &mut Certificate, _: &Header| certificate.votes.push(certificate.votes[0]);
    assert_eq!(scene.certified(doubled), bad(CertificateError::Unsorted));
    let flipped = |certificate: &mut Certificate, _: &Header| certificate.votes[0].1.0[3] ^= 1;
    assert_eq!(scene.certified(flipped), bad(CertificateError::BadVote(own)));
    let by_another = scene.certified(|certificate, header| {
        let vote = Certificate::vote(header.circle, header.height, 0, header.hash());
        certificate.votes = alloc::vec![(other.key(), vote.sign(&other))];
    });
    assert_eq!(by_another, bad(CertificateError::NoWitness(other.key())));
    let faults: [fn(&mut Vote); 5] = [
        |vote| vote.height += 1,
        |vote| vote.view += 1,
        |vote| vote.kind = VoteKind::Notarize,
        |vote| vote.circle.0[0] ^= 1,
        |vote| vote.header = None,
    ];
    for fault in faults {
        let refused = scene.certified(|certificate, header| {
            let mut vote = Certificate::vote(header.circle, header.height, 0, header.hash());
            fault(&mut vote);
            certificate.votes = alloc::vec![scene.vote(vote)];
        });
        assert_eq!(refused, bad(CertificateError::BadVote(own)));
    }
    // In a later view it is as good.
    let later = scene.certified(|certificate, header| {
        certificate.view = 4;
        certificate.votes = alloc::vec![scene.vote(Certificate::vote(header.circle, header.height, 4, header.hash()))];
    });
    assert_eq!(later, Ok(()));
}

#[test]
fn a_quorum_is_of_distinct_witnesses() {
    let secrets: Vec<VoteSecret> = (1..=4).map(|seed| VoteSecret::from_secret([seed; 32])).collect();
    let witness = |secret: &VoteSecret| Witness {
        device: DeviceKey::from_secret([1; 32]).id(),
        vote_key: secret.key(),
        always_on: false,
    };
    let all = Witnesses::new(secrets.iter().map(witness).collect(), None);
    assert_eq!((all.quorum(), all.liars()), (3, 1));
    let world = World::new();
    let header = HeaderHash([3; 32]);
    let signed = |secrets: &[VoteSecret]| {
        let vote = Certificate::vote(world.circle, 7, 2, header);
        let mut votes: Vec<_> = secrets.iter().map(|secret| (secret.key(), vote.sign(secret))).collect();
        votes.sort_unstable();
        Certificate { header, view: 2, votes }
    };
    let check = |certificate: &Certificate| certificate.check(world.circle, 7, header, &all);
    assert_eq!(check(&signed(&secrets[..3])), Ok(()));
    assert_eq!(check(&signed(&secrets)), Ok(()));
    assert_eq!(check(&signed(&secrets[1..3])), Err(CertificateError::NoQuorum { have: 2, need: 3 }));
    let mut twice = signed(&secrets[..2]);
    twice.votes.push(twice.votes[1]);
    assert_eq!(check(&twice), Err(CertificateError::Unsorted));
    let mut reversed = signed(&secrets);
    reversed.votes.reverse();
    assert_eq!(check(&reversed), Err(CertificateError::Unsorted));
    for (witnesses, liars, quorum) in [(1, 0, 1), (3, 0, 2), (4, 1, 3), (7, 2, 5), (10, 3, 7)] {
        let all = Witnesses::new(alloc::vec![witness(&secrets[0]); witnesses], None);
        assert_eq!((all.liars(), all.quorum()), (liars, quorum), "{witnesses}");
    }
    // The circle's rules may say less than a third of them, and no more.
    for (said, liars, quorum) in [(0, 0, 4), (1, 1, 5), (2, 2, 5), (3, 2, 5), (255, 2, 5)] {
        let all = Witnesses::new(alloc::vec![witness(&secrets[0]); 7], Some(said));
        assert_eq!((all.liars(), all.quorum()), (liars, quorum), "{said}");
    }
}

#[test]
fn a_cut_is_minimal_sorted_and_holds_the_previous() {
    let mut scene = Scene::new();
    let device = DeviceKey::from_secret([40; 32]);
    let enrols = scene.world.enrols(&scene.world.founder.identity, &device, crate::entry::Role::Write);
    take(&mut scene.dag, &enrols);
    // Recomputes all that depends on the cut, as far as it goes.
    let recut = |cut: Vec<Head>| scene.changed(|block| (block.header.cut_hash, block.cut) = (cut_hash(&cut), cut));
    let good = scene.next().cut;
    assert_eq!(good.len(), 2);
    assert_eq!(recut(good.clone()), Ok(()));
    assert_eq!(recut(good.iter().rev().copied().collect()), Err(Refusal::BadCut(CutError::Unsorted)));
    let newest = head(&scene.entries[2]);
    assert_eq!(recut(alloc::vec![newest, newest]), Err(Refusal::BadCut(CutError::Unsorted)));
    assert_eq!(recut(Vec::new()), Err(Refusal::BadCut(CutError::LeavesOut(head(&scene.entries[0])))));
    assert_eq!(recut(alloc::vec![head(&enrols)]), Err(Refusal::BadCut(CutError::LeavesOut(head(&scene.entries[0])))));
    assert_eq!(recut(alloc::vec![newest]), Err(Refusal::WrongCount { says: 3, are: 2 }));
    let approves = alloc::vec![newest];
    let builds = scene.world.follows(&device, &enrols, Draft { approves, ..talk("") });
    take(&mut scene.dag, &builds);
    let mut lower = alloc::vec![head(&builds), newest];
    lower.sort_unstable();
    let recut = |cut: Vec<Head>| scene.changed(|block| (block.header.cut_hash, block.cut) = (cut_hash(&cut), cut));
    assert_eq!(recut(lower), Err(Refusal::BadCut(CutError::NotMinimal(newest))));
}

#[test]
fn what_is_missing_is_said_and_then_it_is_adopted() {
    let scene = Scene::new();
    let proof = scene.chain.certify(&scene.next(), &scene.world.vote);
    let (chain, mut dag) = (scene.chain.clone(), scene.world.dag());
    let mut late = Chain::new(&scene.world.genesis);
    assert_eq!(late.check(&dag, Some(&Plain), &proof, NOW).unwrap_err(), Refusal::Ahead(2));
    // Height 1 again, as the follower gets it.
    take(&mut dag, &scene.entries[0]);
    let block = late.next(&dag, Some(&Plain), scene.world.founder.device.id(), NOW).unwrap().unwrap();
    let first = late.certify(&block, &scene.world.vote);
    late.adopt(&mut dag, block, first);
    assert_eq!(late.head(), chain.head());
    let missing = Refusal::Missing(alloc::vec![head(&scene.entries[2])]);
    assert_eq!(late.check(&dag, Some(&Plain), &proof, NOW).unwrap_err(), missing);
    // It is here, but what it builds on is not.
    assert!(dag.insert(scene.entries[2].clone()).is_ok());
    assert_eq!(late.check(&dag, Some(&Plain), &proof, NOW).unwrap_err(), missing);
    take(&mut dag, &scene.entries[1]);
    assert!(late.check(&dag, Some(&Plain), &proof, NOW).is_ok());
}

#[test]
fn without_keys_all_but_the_state_is_checked() {
    let mut scene = Scene::new();
    let with = |scene: &Scene, change: fn(&mut Header)| {
        let mut block = scene.next();
        change(&mut block.header);
        let proof = scene.chain.certify(&block, &scene.world.vote);
        scene.chain.check(&scene.dag, None, &proof, NOW + 5).map(|block| (block, proof))
    };
    assert!(with(&scene, |header| header.entries_root = OTHER).is_err());
    let (block, proof) = with(&scene, |header| header.state_root = OTHER).unwrap();
    assert!(block.state.is_none() && block.verdicts.is_empty());
    scene.chain.adopt(&mut scene.dag, block, proof);
    assert!(scene.chain.state().is_none());
    assert_eq!(scene.chain.settled(&scene.entries[1].id()), Some(Settled { height: 2, verdict: None }));
    let more = scene.world.follows(&scene.world.founder.device, &scene.entries[2], talk("three"));
    take(&mut scene.dag, &more);
    let next = scene.chain.next(&scene.dag, Some(&Plain), scene.world.founder.device.id(), NOW);
    assert!(matches!(next, Err(SettleError::NotFolded)));
    // Nor does it vote on what it can not compute.
    let mut header = scene.chain.header().unwrap().clone();
    let cut = scene.dag.cut();
    (header.height, header.prev, header.cut_hash) = (3, scene.chain.head().hash, cut_hash(&cut));
    let put = scene.chain.check_proposal(&scene.dag, &Plain, (&header, &cut), false, NOW);
    assert_eq!(put.unwrap_err(), Refusal::NotFolded);
    let next = scene.chain.next(&scene.dag, Some(&Plain), Person::new(9).device.id(), NOW);
    assert!(matches!(next, Err(SettleError::NoWitness(_))));
}

#[test]
fn what_does_not_follow_is_not_adopted() {
    let mut scene = Scene::new();
    let block = scene.next();
    let proof = scene.chain.certify(&block, &scene.world.vote);
    let mut other = block.clone();
    other.header.time += 1;
    scene.chain.adopt(&mut scene.dag, other, proof.clone());
    assert_eq!(scene.chain.height(), 1);
    scene.chain.adopt(&mut scene.dag, block.clone(), proof.clone());
    let head = scene.chain.head();
    scene.chain.adopt(&mut scene.dag, block, proof);
    assert_eq!(scene.chain.head(), head);
}

/// Opens nothing that says so.
struct Picky;

impl Opener for Picky {
    fn open(&self, entry: &Entry, sealed: &[u8]) -> Option<Vec<u8>> {
        (entry.seq != 3).then(|| sealed.to_vec())
    }

    fn salt(&self) -> [u8; 32] {
        Plain.salt()
    }
}

#[test]
fn what_does_not_open_or_is_of_no_epoch_is_void() {
    let mut scene = Scene::new();
    let device = scene.world.founder.device.clone();
    let closed = scene.world.follows(&device, &scene.entries[2], operation(Operation::Enrol));
    take(&mut scene.dag, &closed);
    let Packed { mut signed, body, erasure } =
        scene.world.follows(&device, &closed, operation(Operation::Enrol)).into_packed();
    signed.entry.epoch = EntryId([4; 32]);
    let strange = Checked::stored(scene.world.circle, Packed { signed, body, erasure });
    take(&mut scene.dag, &strange);
    let block = scene.chain.next(&scene.dag, Some(&Picky), device.id(), NOW).unwrap().unwrap();
    let unreadable = Verdict::Void(VoidReason::Unreadable);
    assert_eq!(block.verdicts[2..], [(closed.id(), unreadable), (strange.id(), unreadable)]);
}

/// Lacks the keys of all epochs but the first.
struct Behind(EntryId);

impl Opener for Behind {
    fn open(&self, _: &Entry, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(sealed.to_vec())
    }

    fn salt(&self) -> [u8; 32] {
        Plain.salt()
    }

    fn holds(&self, epoch: &EntryId) -> bool {
        *epoch == self.0
    }
}

#[test]
fn who_lacks_an_epochs_key_neither_makes_nor_checks_a_header_above_its_beginning() {
    use crate::bytes::BoxKey;
    use crate::epoch::{Handout, Marks, NewEpoch};
    let mut scene = Scene::new();
    let device = scene.world.founder.device.clone();
    let marks = Marks { state: OTHER, talk: OTHER };
    let keys = Handout { sealer: BoxKey([9; 32]), to: Vec::new() };
    let new = NewEpoch { after: scene.world.circle.into(), marks, keys };
    let starts = scene.world.follows(&device, &scene.entries[2], operation(Operation::Epoch(new)));
    take(&mut scene.dag, &starts);
    let behind = Behind(scene.world.circle.into());
    let next = |scene: &Scene| scene.chain.next(&scene.dag, Some(&behind), device.id(), NOW);
    let block = next(&scene).unwrap().unwrap();
    let proof = scene.chain.certify(&block, &scene.world.vote);
    scene.chain.adopt(&mut scene.dag, block, proof);
    take(&mut scene.dag, &scene.world.follows(&device, &starts, talk("above")));
    assert!(matches!(next(&scene), Err(SettleError::NoBody(epoch)) if epoch == starts.id()));
    let (proof, now) = (scene.chain.certify(&scene.next(), &scene.world.vote), NOW + 5);
    let why = scene.chain.check(&scene.dag, Some(&behind), &proof, now).unwrap_err();
    assert_eq!(why, Refusal::NoBody(starts.id()));
    let header = (&proof.checkpoint.header, &proof.cut[..]);
    let why = scene.chain.check_proposal(&scene.dag, &behind, header, false, now).unwrap_err();
    assert_eq!(why, Refusal::NoBody(starts.id()));
    assert_eq!(scene.check(&proof), Ok(()));
}

#[test]
fn a_proof_survives_its_encoding_within_its_bound() {
    let scene = Scene::new();
    let mut proof = scene.chain.certify(&scene.next(), &scene.world.vote);
    assert_eq!(Proof::decode(&proof.encode()), Ok(proof.clone()));
    let furthest = Head { seq: u64::MAX, ..proof.cut[0] };
    proof.cut = alloc::vec![furthest; MAX_CUT];
    let vote = proof.checkpoint.certificate.votes[0];
    proof.checkpoint.certificate.votes = alloc::vec![vote; MAX_WITNESSES];
    proof.checkpoint.certificate.view = u64::MAX;
    let header = &mut proof.checkpoint.header;
    (header.height, header.time, header.entries) = (u64::MAX, u64::MAX, u32::MAX);
    assert!(codec::encode(header).len() <= MAX_HEADER);
    assert!(proof.encode().len() <= MAX_PROOF);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A witness that gets the entries in one order and settles now and then; a follower that gets them in another, all
    /// before the first header or each just when it is missing.
    #[test]
    fn all_who_hold_the_same_settle_the_same(
        steps in steps(40, true),
        dice in prop::collection::vec(any::<u16>(), 16..64),
        pauses in prop::collection::vec(any::<bool>(), 8),
        is_late: bool,
    ) {
        let History { world, entries } = History::play(&steps);
        let (mut witness, mut witness_dag) = (Chain::new(&world.genesis), world.dag());
        let mut proofs = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            take(&mut witness_dag, entry);
            if pauses[at % pauses.len()] && at + 1 < entries.len() {
                continue;
            }
            let now = NOW + at as u64;
            if let Some(block) = witness.next(&witness_dag, Some(&Plain), world.founder.device.id(), now).unwrap() {
                let proof = witness.certify(&block, &world.vote);
                let checked = witness.check(&witness_dag, Some(&Plain), &proof, now).unwrap();
                prop_assert_eq!(&checked.verdicts, &block.verdicts);
                witness.adopt(&mut witness_dag, block, proof.clone());
                proofs.push(proof);
            }
        }

        let (mut follower, mut follower_dag) = (Chain::new(&world.genesis), world.dag());
        let mut arrivals = shuffled(entries.len(), &dice).into_iter();
        if !is_late {
            arrivals.by_ref().for_each(|at| drop(follower_dag.insert(entries[at].clone()).unwrap()));
        }
        for proof in &proofs {
            let block = loop {
                match follower.check(&follower_dag, Some(&Plain), proof, NOW + 100) {
                    Ok(block) => break block,
                    Err(Refusal::Missing(_)) => {
                        let at = arrivals.next().expect("when all is here, nothing is missing");
                        drop(follower_dag.insert(entries[at].clone()).unwrap());
                    }
                    Err(why) => panic!("{why:?}"),
                }
            };
            follower.adopt(&mut follower_dag, block, proof.clone());
        }
        prop_assert_eq!(follower.head(), witness.head());
        prop_assert_eq!(follower.state().unwrap(), witness.state().unwrap());
        let state = witness.state().unwrap();
        let sum: u64 = state.members().map(|(_, member)| member.balance).sum();
        prop_assert_eq!(sum, state.totals().granted);
        for registered in state.invites() {
            prop_assert!(registered.used <= registered.invite.uses);
        }
        for entry in &entries {
            prop_assert_eq!(follower.settled(&entry.id()), witness.settled(&entry.id()));
        }
        arrivals.for_each(|at| drop(follower_dag.insert(entries[at].clone()).unwrap()));
        prop_assert_eq!(follower_dag.heads(), witness_dag.heads());
        prop_assert_eq!(follower_dag.cut(), witness_dag.cut());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A node that forgets what is settled, is stored and goes on from there, again and again, ends as one that holds and
    /// replays all.
    #[test]
    fn who_forgets_and_resumes_ends_as_who_replays_all(
        steps in steps(60, true),
        pauses in prop::collection::vec(any::<bool>(), 8),
        keeps in 0usize..6,
    ) {
        let History { world, entries } = History::play(&steps);
        let (mut whole, mut whole_dag) = (Chain::new(&world.genesis), world.dag());
        let (mut light, mut light_dag) = (Chain::new(&world.genesis), world.dag());
        for (at, entry) in entries.iter().enumerate() {
            take(&mut whole_dag, entry);
            take(&mut light_dag, entry);
            if pauses[at % pauses.len()] && at + 1 < entries.len() {
                continue;
            }
            let now = NOW + at as u64;
            prop_assert_eq!(light_dag.cut(), whole_dag.cut());
            let Some(block) = whole.next(&whole_dag, Some(&Plain), world.founder.device.id(), now).unwrap() else {
                continue;
            };
            let proof = whole.certify(&block, &world.vote);
            let checked = light.check(&light_dag, Some(&Plain), &proof, now).unwrap();
            prop_assert_eq!(&checked.order, &block.order);
            whole.adopt(&mut whole_dag, block, proof.clone());
            light.adopt(&mut light_dag, checked, proof);

            let recent: Vec<EntryId> = entries[..=at].iter().rev().take(keeps).map(Checked::id).collect();
            light_dag.forget(|_, id| recent.contains(id));
            light.forget_but(light_dag.ids());
            let kept: Vec<(Checked, bool)> = light_dag
                .since(0)
                .map(|(id, packed)| (Checked::stored(world.circle, packed.clone()), whole_dag.is_settled(&id)))
                .collect();
            let unsettled = |dag: &Dag| {
                dag.known_before(dag.len()).filter(|known| known.needed).map(|known| known.id).collect::<Vec<_>>()
            };
            prop_assert_eq!(unsettled(&light_dag), unsettled(&whole_dag));
            let base = light_dag.base();
            prop_assert_eq!(&base, &whole_dag.base());
            light_dag = Dag::resume(&world.genesis, Limits::default(), base, kept).unwrap();
            let stored = light.to_stored();
            let hashes = light.hashes().to_vec();
            light = Chain::resume(&world.genesis, &stored, stored.len(), hashes, Some(&Plain)).unwrap();
        }
        prop_assert_eq!(light.head(), whole.head());
        prop_assert_eq!(light.state().unwrap(), whole.state().unwrap());
        prop_assert_eq!(light_dag.heads(), whole_dag.heads());
        prop_assert_eq!(light_dag.unsettled(), whole_dag.unsettled());
        prop_assert_eq!(light_dag.admitted().collect::<Vec<_>>(), whole_dag.admitted().collect::<Vec<_>>());
    }
}

#[test]
fn a_stored_history_that_is_not_the_settled_one_is_found() {
    let mut scene = Scene::new();
    let block = scene.next();
    let proof = scene.chain.certify(&block, &scene.world.vote);
    scene.chain.adopt(&mut scene.dag, block, proof);
    let (genesis, hashes) = (&scene.world.genesis, scene.chain.hashes().to_vec());
    let stored = scene.chain.to_stored();
    let resume =
        |stored: &[u8], hashes: Vec<_>| Chain::resume(genesis, stored, stored.len(), hashes, Some(&Plain)).err();
    assert_eq!(resume(&stored, hashes.clone()), None);
    assert_eq!(resume(&stored, hashes[..1].to_vec()), Some(Unfit::Headers));
    // The state's first records are rules and totals: a changed one is not what the header names.
    let grant = crate::codec::encode(&scene.world.genesis.rules);
    let at = stored.windows(grant.len()).position(|part| part == grant).unwrap();
    let mut changed = stored.clone();
    changed[at] ^= 1;
    assert!(matches!(resume(&changed, hashes.clone()), Some(Unfit::State | Unfit::Damaged(_))));
}
