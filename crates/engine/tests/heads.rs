//! More open heads than a proposal has room for: devices that write once, on which nobody builds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, World};
use ledgerno_engine::wire::Topic;
use ledgerno_engine::{Event, Seat};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::codec;
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::keys::{Identity, VoteSecret};

/// A founder and three friends, the first `witnesses` of whom vote.
fn circle(seed: u8, witnesses: usize) -> (World, Vec<DeviceId>) {
    let (mut world, all) = World::four_friends(seed);
    promote(&mut world, &all[..witnesses]);
    (world, all)
}

fn promote(world: &mut World, all: &[DeviceId]) {
    for id in &all[1..] {
        world.act(*id, |engine, now| engine.offer_to_witness(false, now)).unwrap();
    }
    world.pass(5_000);
    if all.len() > 1 {
        world.act(all[0], |engine, now| engine.change_witnesses(all[1..].to_vec(), vec![], now)).unwrap();
    }
    world.pass(10_000);
    assert_eq!(world.engine(all[0]).witness_count(), all.len());
}

/// So many further devices of a member say that they are there, to everybody.
fn crowd(world: &mut World, of: DeviceId, many: usize) {
    let (genesis, seat) = world.hosts[&of].make();
    let Seat::Member { identity, .. } = seat else { panic!("a relay is nobody's") };
    let (id, keys) = (genesis.id(), world.engine(of).lane_keys()[0].clone());
    let vote = VoteSecret::from_secret([1; 32]);
    let circle = Circle { genesis, id, keys, founder: Person::new(0), vote };
    let mut member = Person::new(u64::from(many as u32));
    member.identity = Identity::from_secret(*identity.secret());
    for _ in 0..many {
        let mut device = member.with_new_device();
        let bytes = codec::encode(&circle.enrol(&mut device));
        for host in world.hosts.values_mut() {
            host.engine.gossip(Topic::Entries, RELAY, &bytes, world.now);
        }
    }
    world.run();
}

/// Waits until everybody has settled all that there is, and stands at one header.
fn all_settle(world: &mut World, within: u64) {
    let end = world.now + within;
    let ids: Vec<DeviceId> = world.hosts.keys().copied().collect();
    loop {
        let stands: Vec<_> = ids.iter().map(|id| world.engine(*id).settlement()).collect();
        if stands.iter().all(|one| one.unsettled == 0 && one.header == stands[0].header) {
            return;
        }
        assert!(world.now < end, "not settled: {stands:?}");
        world.pass(1_000);
    }
}

fn heads_that_nobody_merges(witnesses: usize, many: usize) {
    let (mut world, all) = circle(51, witnesses);
    crowd(&mut world, all[3], many);
    all_settle(&mut world, 60_000);
    let engine = world.engine(all[0]);
    assert!(engine.devices().len() >= many, "{} devices of {many}", engine.devices().len());
    assert!(world.hosts.values().all(|host| host.events.iter().all(|event| !matches!(event, Event::Refused { .. }))));
    // The merging comes to an end.
    world.pass(10_000);
    let (messages, height) = (world.messages, world.engine(all[0]).settlement().height);
    world.pass(3_600_000);
    assert_eq!((world.messages, world.engine(all[0]).settlement().height), (messages, height));
    // And writing goes on, whoever leads.
    for id in &all {
        world.post(*id, "on");
        all_settle(&mut world, 10_000);
    }
}

#[test]
fn four_witnesses_settle_1500_heads_that_nobody_merges() {
    heads_that_nobody_merges(4, 1_500);
}

#[test]
#[ignore = "long"]
fn four_witnesses_settle_3000_heads_that_nobody_merges() {
    heads_that_nobody_merges(4, 3_000);
}

#[test]
fn a_sole_witness_settles_1200_heads_that_nobody_merges() {
    heads_that_nobody_merges(1, 1_200);
}

/// What one witness settled alone has more heads than several have room for in a proposal.
#[test]
fn a_full_cut_of_a_sole_witness_is_no_end_for_several() {
    let (mut world, all) = circle(52, 1);
    crowd(&mut world, all[3], 900);
    all_settle(&mut world, 60_000);
    promote(&mut world, &all);
    crowd(&mut world, all[3], 300);
    all_settle(&mut world, 60_000);
    assert!(world.engine(all[0]).devices().len() >= 1_200);
}

/// Where messages are lost, what was notarized is proposed again, and has to fit once more.
#[test]
fn heads_that_nobody_merges_settle_over_links_that_lose_messages() {
    let (mut world, all) = circle(53, 4);
    crowd(&mut world, all[3], 700);
    world.loss = 60;
    world.pass(30_000);
    world.loss = 0;
    all_settle(&mut world, 120_000);
    assert!(world.engine(all[0]).devices().len() >= 700);
}

/// An enlisted relay, which reads no post, merges heads as any other witness.
#[test]
fn a_relay_that_settles_alone_merges_heads() {
    let (mut world, all) = circle(54, 1);
    let relay = world.keeper(all[0], 40);
    world.link(relay, all[0]);
    world.pass(5_000);
    world.enlist(all[0], 40);
    world.link(relay, all[0]);
    world.act(relay, |engine, now| engine.enter(None, now)).unwrap();
    world.pass(5_000);
    world.act(relay, |engine, now| engine.offer_to_witness(true, now)).unwrap();
    world.pass(5_000);
    world.act(all[0], |engine, now| engine.change_witnesses(vec![relay], vec![all[0]], now)).unwrap();
    world.pass(10_000);
    crowd(&mut world, all[3], 1_200);
    all_settle(&mut world, 60_000);
    let engine = world.engine(all[0]);
    let votes: Vec<DeviceId> = engine.witnesses().iter().filter(|one| one.votes).map(|one| one.device).collect();
    assert_eq!(votes, [relay]);
    assert!(engine.devices().len() >= 1_200);
}
