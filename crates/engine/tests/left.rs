//! Who left the circle learns that, and gets nothing more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World};
use ledgerno_engine::Output;
use ledgerno_engine::wire::{Answer, Ask, No};
use ledgerno_ledger::bytes::{DeviceId, MemberId};
use ledgerno_ledger::proof::{Claim, StateProof};

/// A founder, and a friend who is linked to nobody for now.
fn parted(seed: u8) -> (World, DeviceId, DeviceId) {
    let mut world = World::new(seed);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 10, START + WEEK);
    let ben = world.join("Ben", &token);
    world.post(anna, "to all");
    world.pass(5_000);
    world.unlink(ben, RELAY);
    (world, anna, ben)
}

#[test]
fn a_removed_member_learns_it_and_gets_nothing_after() {
    let (mut world, anna, ben) = parted(60);
    let member = world.engine(ben).own_member().unwrap();
    world.post(anna, "before");
    world.pass(5_000);
    world.act(anna, |engine, now| engine.remove(member, now)).unwrap();
    world.pass(5_000);
    let height = world.engine(anna).settlement().height;
    let after = world.post(anna, "after");
    world.pass(5_000);
    let words = world.post(ben, "I write on");
    world.link(ben, anna);
    world.pass(60_000);
    assert!(world.engine(ben).is_removed(&member), "Ben learns it");
    assert_eq!(world.engine(ben).settlement().height, height);
    assert_eq!(world.engine(ben).status(&after), None, "what came after is not given");
    assert!(world.texts(ben).contains(&"before".to_owned()));
    assert!(world.engine(anna).status(&words).is_some(), "what he wrote is taken");
}

#[test]
fn a_retired_device_learns_it_and_gets_nothing_after() {
    let (mut world, anna, ben) = parted(61);
    let phone = world.further(ben);
    world.pass(5_000);
    world.act(phone, |engine, now| engine.retire(ben, now)).unwrap();
    world.pass(5_000);
    let height = world.engine(anna).settlement().height;
    let after = world.post(anna, "after");
    world.pass(5_000);
    world.link(ben, anna);
    world.pass(60_000);
    let devices = world.engine(ben).devices();
    assert!(devices.iter().any(|device| device.id == ben && device.retired), "the device learns it");
    assert_eq!(world.engine(ben).settlement().height, height);
    assert_eq!(world.engine(ben).status(&after), None);
    // The other one is in as before.
    assert!(world.engine(phone).status(&after).is_some());
}

/// A thief holds the device and hears all that travels.
#[test]
fn what_is_written_after_a_device_was_retired_it_can_not_open() {
    let (mut world, anna, ben) = parted(63);
    let phone = world.further(ben);
    world.link(ben, anna);
    world.pass(5_000);
    world.post(anna, "before");
    world.pass(5_000);
    world.act(phone, |engine, now| engine.retire(ben, now)).unwrap();
    world.pass(10_000);
    let epochs = |device| world.engine(device).lane_keys().len();
    assert_eq!((epochs(anna), epochs(phone), epochs(ben)), (2, 2, 1), "an epoch began without it");
    assert!(
        !world.engine(anna).devices().iter().any(|one| one.lacks_keys && !one.retired),
        "and nobody else is left out"
    );
    world.post(anna, "after");
    world.pass(10_000);
    assert!(world.texts(phone).contains(&"after".to_owned()));
    assert!(world.texts(ben).contains(&"before".to_owned()) && !world.texts(ben).contains(&"after".to_owned()));
}

/// What a relay answers who tells it that these left, by its newest header.
fn tell(world: &mut World, by: DeviceId, proofs: Vec<StateProof>) -> Answer {
    let (height, now) = (world.engine(RELAY).settlement().height, world.now);
    let host = world.hosts.get_mut(&RELAY).unwrap();
    host.engine.asked(by, 1 << 40, Ask::Left { height, proofs }, now);
    let mut answered = None;
    while let Some(output) = host.engine.output() {
        match output {
            Output::Write { no, log, records } => {
                host.disk.write(log, records);
                host.engine.written(no, now);
            }
            Output::Answer { answer, .. } => answered = Some(answer),
            _ => {}
        }
    }
    answered.unwrap()
}

fn proof_of(world: &World, by: DeviceId, member: MemberId) -> StateProof {
    let Claim::Member(proof) = world.engine(by).prove_member(member).unwrap().claim else { panic!("another claim") };
    *proof
}

#[test]
fn a_relay_without_keys_learns_of_a_removed_member_and_gives_nothing_after() {
    let (mut world, anna, ben) = parted(62);
    let member = world.engine(ben).own_member().unwrap();
    world.act(anna, |engine, now| engine.remove(member, now)).unwrap();
    world.pass(5_000);
    let height = world.engine(anna).settlement().height;
    let after = world.post(anna, "after");
    world.pass(5_000);
    for restart in [false, true] {
        if restart {
            world.unlink(ben, RELAY);
            world.crash(RELAY);
        }
        world.link(ben, RELAY);
        world.pass(60_000);
        assert!(world.engine(ben).is_removed(&member), "Ben learns it");
        assert_eq!(world.engine(ben).settlement().height, height);
        assert_eq!(world.engine(ben).status(&after), None, "what came after is not given");
    }
    // It is told once.
    world.link(anna, RELAY);
    world.pass(5_000);
    let messages = world.messages;
    world.pass(3_600_000);
    assert_eq!(world.messages, messages);
}

#[test]
fn a_relay_without_keys_learns_of_a_retired_device_and_gives_nothing_after() {
    let (mut world, anna, ben) = parted(63);
    let phone = world.further(ben);
    world.pass(5_000);
    world.act(phone, |engine, now| engine.retire(ben, now)).unwrap();
    world.pass(5_000);
    let after = world.post(anna, "after");
    world.pass(5_000);
    world.link(ben, RELAY);
    world.pass(60_000);
    assert!(
        world.engine(ben).devices().iter().any(|device| device.id == ben && device.retired),
        "the device learns it"
    );
    assert_eq!(world.engine(ben).status(&after), None);
    assert!(world.engine(phone).status(&after).is_some(), "the other one is in as before");
}

#[test]
fn nobody_can_tell_a_relay_that_somebody_left_who_did_not() {
    let (mut world, anna, ben) = parted(64);
    let member = world.engine(ben).own_member().unwrap();
    let is_in = proof_of(&world, anna, member);
    let absent = proof_of(&world, anna, MemberId([3; 32]));
    for proof in [is_in, absent] {
        assert_eq!(tell(&mut world, anna, vec![proof]), Answer::No(No::Malformed));
    }
    assert_eq!(tell(&mut world, DeviceId([3; 32]), Vec::new()), Answer::No(No::NotAdmitted));
    // Of another history of the circle, in which he is removed: true there, and nothing to this relay.
    let mut elsewhere = parted(64).0;
    elsewhere.act(anna, |engine, now| engine.remove(member, now)).unwrap();
    elsewhere.pass(5_000);
    let removed = proof_of(&elsewhere, anna, member);
    world.post(anna, "here all goes on");
    world.pass(5_000);
    assert_eq!(world.engine(anna).settlement().height, elsewhere.engine(anna).settlement().height);
    assert_eq!(tell(&mut world, anna, vec![removed; 2]), Answer::No(No::Malformed));
    let on = world.post(anna, "on");
    world.pass(5_000);
    world.link(ben, RELAY);
    world.pass(5_000);
    assert!(world.engine(ben).status(&on).is_some(), "he is in");
}
