//! Keyboxes at a keeper: who may leave one, how large, and that the newest is kept over a crash.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, World};
use ledgerno_engine::wire::{Answer, Ask, MAX_KEYBOX, No};
use ledgerno_ledger::bytes::DeviceId;

/// Asks the relay, through the bytes, and carries out what it writes.
fn put(world: &mut World, from: DeviceId, sealed: Vec<u8>) -> Answer {
    let now = world.now;
    let engine = &mut world.hosts.get_mut(&RELAY).unwrap().engine;
    let ask = Ask::PutKeybox { sealed };
    let bytes = ask.to_bytes(engine.circle());
    engine.asked(from, u64::MAX, Ask::from_bytes(8, &bytes[32..]).unwrap(), now);
    let mut answer = None;
    let mut outputs = Vec::new();
    while let Some(output) = engine.output() {
        match output {
            ledgerno_engine::Output::Write { no, log, records } => {
                assert!(log.is_empty());
                outputs.extend(records);
                engine.written(no, now);
            }
            ledgerno_engine::Output::Answer { no: u64::MAX, answer: said } => answer = Some(said),
            _ => {}
        }
    }
    let disk = &mut world.hosts.get_mut(&RELAY).unwrap().disk;
    disk.records.extend(outputs.into_iter().map(|(name, bytes)| (name, bytes.unwrap())));
    answer.unwrap()
}

#[test]
fn a_members_device_leaves_one_and_a_stranger_does_not() {
    let mut world = World::new(5);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let member = world.engine(anna).own_member().unwrap();
    assert_eq!(put(&mut world, DeviceId([66; 32]), vec![1; 128]), Answer::No(No::NotAdmitted));
    assert!(world.engine(RELAY).keybox(&member).is_none());
    assert_eq!(put(&mut world, anna, vec![1; MAX_KEYBOX + 1]), Answer::No(No::Malformed));
    assert_eq!(put(&mut world, anna, vec![1; MAX_KEYBOX]), Answer::Kept);
    world.pass(1_000);
    assert_eq!(put(&mut world, anna, vec![2; 128]), Answer::Kept);
    world.crash(RELAY);
    let kept = world.engine(RELAY).keybox(&member).unwrap();
    assert_eq!((kept.sealed.as_slice(), kept.at), ([2; 128].as_slice(), world.now));
}
