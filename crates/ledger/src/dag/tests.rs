#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::fixture::*;
use super::*;
use crate::entry::{MAX_APPROVES, Role};
use crate::keys::{DeviceKey, InviteSecret};
use alloc::string::ToString;
use proptest::prelude::*;

fn limits(waiting_per_device: usize, waiting: usize, waiting_bytes: usize) -> Limits {
    Limits { waiting_per_device, waiting, waiting_bytes }
}

/// The founder's first entry and `len` posts after it.
fn founders_chain(world: &World, len: usize) -> Vec<Checked> {
    let mut chain = alloc::vec![world.founds()];
    for at in 0..len {
        let next = world.follows(&world.founder.device, &chain[at], talk(&at.to_string()));
        chain.push(next);
    }
    chain
}

/// A newcomer who is admitted by the founder's invite.
fn newcomer(world: &World, seed: u8) -> (Person, Checked) {
    let (person, secret) = (Person::new(seed), InviteSecret::from_secret([seed; 32]));
    let invite = world.invite(&secret, &world.founder.device, 5);
    let joins = world.joins(&person, &secret, invite, Vec::new());
    (person, joins)
}

#[test]
fn a_chain_backwards_waits_and_is_taken_at_once() {
    let world = World::new();
    let chain = founders_chain(&world, 4);
    let mut dag = world.dag();
    for at in (1..chain.len()).rev() {
        let outcome = dag.insert(chain[at].clone()).unwrap();
        assert_eq!(outcome, Outcome::Waiting { missing: alloc::vec![chain[at - 1].id()] });
        assert!(!dag.contains(&chain[at].id()));
        assert_eq!(dag.wanted(), [chain[at - 1].id()]);
    }
    let taken = take(&mut dag, &chain[0]);
    assert_eq!(taken, chain.iter().map(Checked::id).collect::<Vec<_>>());
    assert_eq!(dag.insert(chain[2].clone()), Ok(Outcome::Held));
    assert_eq!((dag.len(), dag.waiting(), dag.next_seq(&world.founder.device.id())), (5, 0, 5));
    assert_eq!(dag.heads(), [head(&chain[4])]);
    assert!(dag.wanted().is_empty());
}

#[test]
fn devices_are_admitted_by_a_chain_back_to_the_genesis() {
    let world = World::new();
    let (alice, alice_joins) = newcomer(&world, 2);
    let secret = InviteSecret::from_secret([3; 32]);
    let bob = Person::new(3);
    let bob_joins = world.joins(&bob, &secret, world.invite(&secret, &alice.device, 1), Vec::new());
    let second = DeviceKey::from_secret([77; 32]);
    let bobs_second = world.enrols(&bob.identity, &second, Role::Write);
    let mut dag = world.dag();
    // Each is admitted by the one after it.
    for waits in [&bobs_second, &bob_joins, &alice_joins] {
        assert_eq!(dag.insert(waits.clone()), Ok(Outcome::Waiting { missing: Vec::new() }));
    }
    assert_eq!(dag.device_count(), 0);
    let taken = take(&mut dag, &world.founds());
    assert_eq!(taken.len(), 4);
    assert_eq!(dag.member_of(&second.id()), Some(bob.member()));
    assert_eq!(dag.admitted().map(|(_, first)| first).collect::<Vec<_>>(), taken);
    assert_eq!(dag.members().count(), 3);
}

#[test]
fn nobody_admits_a_stranger() {
    let world = World::new();
    let (stranger, secret) = (Person::new(9), InviteSecret::from_secret([9; 32]));
    let own_invite = world.joins(&stranger, &secret, world.invite(&secret, &stranger.device, 1), Vec::new());
    let enrols = world.enrols(&stranger.identity, &stranger.device, Role::Write);
    let mut dag = world.dag();
    take(&mut dag, &world.founds());
    for entry in [own_invite, enrols] {
        assert!(matches!(dag.insert(entry), Ok(Outcome::Waiting { .. })));
    }
    assert_eq!(dag.device_count(), 1);
}

#[test]
fn the_founders_device_is_the_founders() {
    let world = World::new();
    let thief = Person::new(9);
    let taken_over = world.enrols(&thief.identity, &world.founder.device, Role::Write);
    let device = world.founder.device.id();
    assert_eq!(world.dag().insert(taken_over), Err(Refused::NotAdmitted(device)));
}

#[test]
fn a_parent_is_where_it_is_said_to_be() {
    let world = World::new();
    let chain = founders_chain(&world, 2);
    let (alice, joins) = newcomer(&world, 2);
    let mut dag = world.dag();
    chain.iter().chain([&joins]).for_each(|entry| drop(take(&mut dag, entry)));
    let skips = world.write(&world.founder.device, Draft { seq: 4, prev: Some(chain[2].id()), ..talk("") });
    assert_eq!(dag.insert(skips), Err(Refused::Parent));
    let others = world.write(&world.founder.device, Draft { seq: 1, prev: Some(joins.id()), ..talk("") });
    assert_eq!(dag.insert(others), Err(Refused::Parent));
    let misnamed = Head { seq: 1, ..head(&chain[2]) };
    let approves = world.follows(&alice.device, &joins, Draft { approves: alloc::vec![misnamed], ..talk("") });
    assert_eq!(dag.insert(approves), Err(Refused::Parent));
}

#[test]
fn forks_are_branches() {
    let world = World::new();
    let chain = founders_chain(&world, 2);
    let device = world.founder.device.id();
    let other = world.follows(&world.founder.device, &chain[1], talk("other"));
    let longer = world.follows(&world.founder.device, &other, talk("longer"));
    let mut dag = world.dag();
    chain.iter().for_each(|entry| drop(take(&mut dag, entry)));
    assert!(!dag.forked(&device));
    [&other, &longer].into_iter().for_each(|entry| drop(take(&mut dag, entry)));
    assert!(dag.forked(&device));
    let mut twins = [chain[2].id(), other.id()];
    twins.sort_unstable();
    assert_eq!(dag.at(&device, 2), twins);
    assert_eq!(dag.heads(), [head(&chain[2]), head(&longer)]);
    // The longer branch is carried on.
    assert_eq!((dag.parents(&device).seq, dag.parents(&device).prev), (4, longer.id()));
}

#[test]
fn branches_too_many_come_when_another_device_builds_on_them() {
    let world = World::new();
    let first = world.founds();
    let (alice, joins) = newcomer(&world, 2);
    let mut dag = world.dag();
    [&first, &joins].into_iter().for_each(|entry| drop(take(&mut dag, entry)));
    let branch = |at: usize| world.follows(&world.founder.device, &first, talk(&at.to_string()));
    (0..BRANCHES).for_each(|at| drop(take(&mut dag, &branch(at))));
    let (ninth, tenth) = (branch(8), branch(9));
    let after_ninth = world.follows(&world.founder.device, &ninth, talk("after"));
    for held_back in [&ninth, &tenth, &after_ninth] {
        assert_eq!(dag.insert(held_back.clone()), Ok(Outcome::Waiting { missing: Vec::new() }));
    }
    let approves = alloc::vec![head(&after_ninth)];
    let approved = world.follows(&alice.device, &joins, Draft { approves, ..talk("") });
    assert_eq!(take(&mut dag, &approved), [ninth.id(), after_ninth.id(), approved.id()]);
    assert_eq!(dag.waiting(), 1);
    assert_eq!(dag.name(&[tenth.id()]), [tenth.id()]);
    assert_eq!(dag.waiting(), 0);
}

#[test]
fn the_word_of_another_device_may_come_first() {
    let world = World::new();
    let first = world.founds();
    let (alice, joins) = newcomer(&world, 2);
    let mut dag = world.dag();
    [&first, &joins].into_iter().for_each(|entry| drop(take(&mut dag, entry)));
    let branch = |at: usize| world.follows(&world.founder.device, &first, talk(&at.to_string()));
    (0..BRANCHES).for_each(|at| drop(take(&mut dag, &branch(at))));
    let ninth = branch(8);
    let after_ninth = world.follows(&world.founder.device, &ninth, talk("after"));
    let approves = alloc::vec![head(&after_ninth)];
    let approved = world.follows(&alice.device, &joins, Draft { approves, ..talk("") });
    for waits in [&approved, &after_ninth] {
        assert!(matches!(dag.insert(waits.clone()), Ok(Outcome::Waiting { .. })));
    }
    assert_eq!(take(&mut dag, &ninth), [ninth.id(), after_ninth.id(), approved.id()]);
}

#[test]
fn what_waits_is_bounded_per_device_by_distance() {
    let world = World::new();
    let chain = founders_chain(&world, 9);
    let mut dag = Dag::new(&world.genesis, limits(3, 100, 1 << 20));
    for at in [9, 3, 4, 2] {
        assert!(matches!(dag.insert(chain[at].clone()), Ok(Outcome::Waiting { .. })), "{at}");
    }
    assert_eq!((dag.waiting(), dag.forgotten()), (3, 1));
    assert_eq!(dag.insert(chain[7].clone()), Err(Refused::WaitingFull));
    take(&mut dag, &chain[0]);
    assert_eq!(take(&mut dag, &chain[1]).len(), 4);
}

#[test]
fn strangers_are_forgotten_first() {
    let world = World::new();
    let chain = founders_chain(&world, 3);
    let mut dag = Dag::new(&world.genesis, limits(10, 4, 1 << 20));
    take(&mut dag, &chain[0]);
    assert!(matches!(dag.insert(chain[3].clone()), Ok(Outcome::Waiting { .. })));
    for seed in 20..80 {
        let (stranger, secret) = (Person::new(seed), InviteSecret::from_secret([seed; 32]));
        let own = world.joins(&stranger, &secret, world.invite(&secret, &stranger.device, 1), Vec::new());
        assert!(matches!(dag.insert(own), Ok(Outcome::Waiting { .. })));
        assert!(dag.waiting() <= 4);
    }
    take(&mut dag, &chain[1]);
    assert_eq!(take(&mut dag, &chain[2]), [chain[2].id(), chain[3].id()]);
}

#[test]
fn the_bytes_that_wait_are_bounded() {
    let world = World::new();
    let mut dag = Dag::new(&world.genesis, limits(1_000, 1_000, 100_000));
    let first = world.founds();
    let large = "x".repeat(30_000);
    for seq in 2..40 {
        let far = world.write(&world.founder.device, Draft { seq, prev: Some(first.id()), ..talk(&large) });
        assert!(matches!(dag.insert(far), Ok(Outcome::Waiting { .. })));
    }
    assert_eq!(dag.waiting(), 3);
    let larger = "x".repeat(101_000);
    let too_large = world.write(&world.founder.device, Draft { seq: 50, prev: Some(first.id()), ..talk(&larger) });
    assert_eq!(dag.insert(too_large), Err(Refused::WaitingFull));
}

#[test]
fn a_missing_body_is_brought_later() {
    let world = World::new();
    let chain = founders_chain(&world, 1);
    let mut bare = chain[1].clone().into_packed();
    let body = bare.body.take();
    let mut dag = world.dag();
    take(&mut dag, &chain[0]);
    take(&mut dag, &Checked::stored(world.circle, bare.clone()));
    let (alice, joins) = newcomer(&world, 2);
    take(&mut dag, &joins);
    // It is not held whole: nobody approves it.
    assert_eq!(dag.parents(&alice.device.id()).approves, []);
    assert_eq!(take(&mut dag, &chain[1]), [chain[1].id()]);
    assert_eq!(dag.get(&chain[1].id()).unwrap().body, body);
    assert_eq!(dag.insert(Checked::stored(world.circle, bare)), Ok(Outcome::Held));
    assert_eq!(dag.parents(&alice.device.id()).approves, [head(&chain[1])]);
}

#[test]
fn an_erased_body_stays_away_and_its_entry_is_approved() {
    let world = World::new();
    let chain = founders_chain(&world, 1);
    let post = &chain[1];
    let erasure = Erasure::by_member(world.circle, post.id(), &world.founder.identity);
    let erased = Packed::erased(post.packed().signed.clone(), erasure);
    let (alice, joins) = newcomer(&world, 2);
    let by_alice = Erasure::by_member(world.circle, post.id(), &alice.identity);
    let by_alice = Checked::stored(world.circle, Packed::erased(erased.signed.clone(), by_alice));
    for comes_erased in [true, false] {
        let mut dag = world.dag();
        // It waits for what admits its device; nobody else's word is taken then.
        let waits = Ok(Outcome::Waiting { missing: alloc::vec![chain[0].id()] });
        assert_eq!(dag.insert(by_alice.clone()), waits);
        take(&mut dag, &chain[0]);
        take(&mut dag, &joins);
        assert!(!dag.contains(&post.id()));
        assert_eq!(dag.insert(by_alice.clone()), Err(Refused::NotTheEraser));
        if comes_erased {
            take(&mut dag, &Checked::stored(world.circle, erased.clone()));
        } else {
            take(&mut dag, post);
            dag.erase(&post.id(), erasure);
        }
        assert_eq!(dag.insert(post.clone()), Ok(Outcome::Held));
        assert_eq!(dag.get(&post.id()), Some(&erased));
        assert_eq!(dag.parents(&alice.device.id()).approves, [head(post)]);
    }
}

#[test]
fn composing_approves_what_is_news_and_no_more_than_allowed() {
    let world = World::new();
    let first = world.founds();
    let mut dag = world.dag();
    take(&mut dag, &first);
    assert_eq!(
        dag.parents(&Person::new(2).device.id()),
        Parents { seq: 0, prev: world.circle.into(), approves: alloc::vec![head(&first)] }
    );
    let joins: Vec<_> = (2..14).map(|seed| newcomer(&world, seed)).collect();
    joins.iter().for_each(|(_, joins)| drop(take(&mut dag, joins)));
    let founder = world.founder.device.id();
    let parents = dag.parents(&founder);
    assert_eq!(parents.approves.len(), MAX_APPROVES);
    let approving =
        world.follows(&world.founder.device, &first, Draft { approves: parents.approves.clone(), ..talk("") });
    take(&mut dag, &approving);
    let rest = dag.parents(&founder).approves;
    assert_eq!(rest.len(), 4);
    assert!(rest.iter().all(|head| !parents.approves.contains(head)));
    // Another sees them through the founder's.
    let (other, _) =
        joins.iter().find(|(person, _)| rest.iter().any(|head| head.device == person.device.id())).unwrap();
    let others = dag.parents(&other.device.id()).approves;
    assert!(others.contains(&head(&approving)));
    assert!(parents.approves.iter().all(|seen| !others.contains(seen)));
    assert_eq!(others.len(), 4);
}

#[test]
fn of_a_forked_device_two_heads_are_approved() {
    let world = World::new();
    let first = world.founds();
    let mut dag = world.dag();
    take(&mut dag, &first);
    let branches: Vec<_> =
        ["one", "two", "three"].map(|text| world.follows(&world.founder.device, &first, talk(text))).into();
    branches.iter().for_each(|branch| drop(take(&mut dag, branch)));
    let approves = dag.parents(&Person::new(2).device.id()).approves;
    assert_eq!(approves.len(), 2);
    assert!(approves.is_sorted() && approves.iter().all(|named| branches.iter().any(|branch| head(branch) == *named)));
    // A newcomer's next entry names the one that is left.
    let (alice, joins) = newcomer(&world, 2);
    take(&mut dag, &joins);
    take(&mut dag, &world.follows(&alice.device, &joins, Draft { approves: approves.clone(), ..talk("") }));
    let rest = dag.parents(&alice.device.id()).approves;
    assert_eq!(rest.len(), 1);
    assert!(!approves.contains(&rest[0]));
}

#[test]
fn a_cut_settles_so_many_at_once_and_what_is_above_comes_next() {
    let world = World::new();
    let mut dag = world.dag();
    let mut chain = alloc::vec![world.founds()];
    take(&mut dag, &chain[0]);
    dag.mark_later();
    for at in 1..=MAX_NEW {
        let next = world.follows(&world.founder.device, &chain[at - 1], talk(""));
        take(&mut dag, &next);
        chain.push(next);
    }
    let [fits, is_more] = [MAX_NEW - 1, MAX_NEW].map(|at| alloc::vec![head(&chain[at])]);
    assert_eq!(dag.order(&is_more), Err(CutError::TooMuch));
    assert_eq!(dag.cut(), fits);
    let order = dag.order(&fits).unwrap();
    assert!(order.iter().eq(chain[..MAX_NEW].iter().map(Checked::id).collect::<Vec<_>>().iter()));
    dag.settle(fits, &order);
    assert_eq!((dag.cut(), dag.order(&is_more)), (is_more.clone(), Ok(alloc::vec![chain[MAX_NEW].id()])));
}

#[test]
fn seen_by_counts_other_members_once() {
    let world = World::new();
    let first = world.founds();
    let mut dag = world.dag();
    take(&mut dag, &first);
    let second = DeviceKey::from_secret([70; 32]);
    let own = world.enrols(&world.founder.identity, &second, Role::Write);
    take(&mut dag, &own);
    let own_sees = world.follows(&second, &own, Draft { approves: alloc::vec![head(&first)], ..talk("") });
    take(&mut dag, &own_sees);
    assert_eq!(dag.seen_by(&first.id()), 0);
    let (alice, joins) = newcomer(&world, 2);
    take(&mut dag, &joins);
    let sees = world.follows(&alice.device, &joins, Draft { approves: alloc::vec![head(&own_sees)], ..talk("") });
    take(&mut dag, &sees);
    assert_eq!((dag.seen_by(&first.id()), dag.seen_by(&own_sees.id())), (1, 1));
    let twice = world.follows(&alice.device, &sees, Draft { approves: alloc::vec![head(&first)], ..talk("") });
    take(&mut dag, &twice);
    assert_eq!((dag.seen_by(&first.id()), dag.seen_by(&sees.id())), (1, 0));
}

#[test]
fn below_the_settled_seq_counts_as_held() {
    let world = World::new();
    let chain = founders_chain(&world, 2);
    let (alice, joins) = newcomer(&world, 2);
    let unheard = world.follows(&world.founder.device, &chain[0], talk("unheard"));
    let approves = alloc::vec![head(&unheard)];
    let approving = world.follows(&alice.device, &joins, Draft { approves, ..talk("") });
    let mut dag = world.dag();
    chain.iter().chain([&joins]).for_each(|entry| drop(take(&mut dag, entry)));
    assert_eq!(dag.insert(approving.clone()), Ok(Outcome::Waiting { missing: alloc::vec![unheard.id()] }));
    let cut = dag.cut();
    let order = dag.order(&cut).unwrap();
    assert_eq!(dag.settle(cut, &order), [approving.id()]);
    assert_eq!(dag.unsettled(), 1);
    take(&mut dag, &unheard);
    assert!(dag.is_passed_by(&unheard.id()) && !dag.is_settled(&unheard.id()));
    assert_eq!(dag.unsettled(), 1);
}

#[test]
fn a_cut_is_refused_for_each_fault() {
    let world = World::new();
    let chain = founders_chain(&world, 3);
    let (alice, joins) = newcomer(&world, 2);
    let approves = alloc::vec![head(&chain[2])];
    let second = world.follows(&alice.device, &joins, Draft { approves, ..talk("") });
    let mut dag = world.dag();
    let settled_cut = alloc::vec![head(&chain[1])];
    chain[..2].iter().for_each(|entry| drop(take(&mut dag, entry)));
    let order = dag.order(&settled_cut).unwrap();
    assert_eq!(dag.order(&[]), Err(CutError::NothingNew));
    dag.settle(settled_cut.clone(), &order);
    assert_eq!(dag.order(&settled_cut), Err(CutError::NothingNew));
    assert_eq!(dag.cut(), []);
    chain[2..].iter().chain([&joins]).for_each(|entry| drop(take(&mut dag, entry)));

    let sorted = |heads: &[&Checked]| {
        let mut heads: Vec<Head> = heads.iter().map(|checked| head(checked)).collect();
        heads.sort_unstable();
        heads
    };
    assert_eq!(dag.order(&sorted(&[&second, &chain[3]])), Err(CutError::Missing(alloc::vec![head(&second)])));
    take(&mut dag, &second);
    let good = sorted(&[&second, &chain[3]]);
    assert_eq!(dag.order(&good).unwrap().len(), 4);
    assert_eq!(dag.cut(), good);
    let reversed: Vec<Head> = good.iter().rev().copied().collect();
    assert_eq!(dag.order(&reversed), Err(CutError::Unsorted));
    assert_eq!(dag.order(&sorted(&[&chain[2], &chain[3]])), Err(CutError::Unsorted));
    assert_eq!(dag.order(&sorted(&[&second, &chain[2]])), Err(CutError::NotMinimal(head(&chain[2]))));
    assert_eq!(dag.order(&sorted(&[&joins])), Err(CutError::LeavesOut(head(&chain[1]))));
    assert_eq!(dag.order(&sorted(&[&second, &chain[0]])), Err(CutError::Passed(head(&chain[0]))));
    assert_eq!(dag.order(&sorted(&[&joins, &chain[1]])).unwrap(), [joins.id()]);
    let wrong = Head { seq: 2, ..head(&chain[3]) };
    assert_eq!(dag.order(&[wrong]), Err(CutError::Wrong(wrong)));
    let endless = alloc::vec![head(&second); MAX_CUT + 1];
    assert_eq!(dag.order(&endless), Err(CutError::TooLong(MAX_CUT + 1)));
}

/// Everything that two nodes with the same entries must have in common.
fn common(dag: &Dag) -> (Vec<Head>, Vec<Head>, Vec<EntryId>, usize, Vec<u32>) {
    let cut = dag.cut();
    let order = dag.order(&cut).unwrap_or_default();
    let seen = order.iter().map(|id| dag.seen_by(id)).collect();
    (dag.heads(), cut, order, dag.len(), seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_delivery_gives_the_same_dag(steps in steps(40, true), dice in prop::collection::vec(any::<u16>(), 16..64)) {
        let history = History::play(&steps);
        let (mut straight, mut shaken) = (history.world.dag(), history.world.dag());
        history.entries.iter().for_each(|entry| drop(take(&mut straight, entry)));
        for (place, at) in shuffled(history.entries.len(), &dice).into_iter().enumerate() {
            // Now and then many are marked at once.
            match dice[place % dice.len()] % 8 {
                0 => shaken.mark_later(),
                1 => shaken.mark_now(),
                _ => {}
            }
            prop_assert!(shaken.insert(history.entries[at].clone()).is_ok());
        }
        shaken.mark_now();
        prop_assert_eq!(shaken.waiting(), 0);
        prop_assert_eq!(common(&straight), common(&shaken));
        // What one builds on comes before it, in the order taken.
        let mut before = BTreeSet::new();
        for (id, packed) in shaken.since(0) {
            prop_assert!(refs(&packed.signed.entry).all(|named| before.contains(&named.id)));
            before.insert(id);
        }
    }

    #[test]
    fn cuts_settle_everything_once_in_an_order_of_causes(
        steps in steps(40, true),
        pauses in prop::collection::vec(any::<bool>(), 40),
    ) {
        let history = History::play(&steps);
        let mut dag = history.world.dag();
        let mut settled: BTreeSet<EntryId> = BTreeSet::new();
        for (at, entry) in history.entries.iter().enumerate() {
            take(&mut dag, entry);
            if pauses[at % pauses.len()] && at + 1 < history.entries.len() {
                continue;
            }
            let cut = dag.cut();
            if cut.is_empty() {
                continue;
            }
            let order = dag.order(&cut).unwrap();
            for id in &order {
                let entry = &dag.get(id).unwrap().signed.entry;
                let is_after = |named: &Head| settled.contains(&named.id) || dag.is_passed_by(&named.id);
                prop_assert!(refs(entry).all(|named| is_after(&named)));
                prop_assert!(settled.insert(*id));
            }
            dag.settle(cut, &order);
        }
        // Only branches may be left.
        let left = dag.since(0).filter(|(id, _)| !settled.contains(id));
        for (_, packed) in left {
            let is_branch = dag.forked(&packed.signed.entry.device)
                || refs(&packed.signed.entry).any(|named| dag.get(&named.id).is_some_and(|_| !settled.contains(&named.id)));
            prop_assert!(is_branch);
        }
    }

    #[test]
    fn a_cut_of_few_heads_is_one_and_settles_something(
        (forks, steps) in any::<bool>().prop_flat_map(|forks| (Just(forks), steps(40, forks))),
        rooms in prop::collection::vec(1_usize..5, 40),
    ) {
        let history = History::play(&steps);
        let mut dag = history.world.dag();
        for (at, entry) in history.entries.iter().enumerate() {
            take(&mut dag, entry);
            let most = rooms[at % rooms.len()];
            let (before, cut) = (dag.base().cut.len(), dag.cut_of(most));
            prop_assert!(cut.len() <= most);
            if cut.is_empty() {
                let is_full = before >= most || forks;
                prop_assert!(is_full || dag.cut().is_empty(), "{before} heads of {most}");
                // Room is made by an entry that builds on what there is.
                prop_assert!(dag.cut().is_empty() || dag.cut_of(dag.tops().len()) == dag.cut());
                continue;
            }
            let order = dag.order(&cut);
            prop_assert!(order.is_ok(), "{order:?}");
            dag.settle(cut, &order.unwrap());
        }
    }
}
