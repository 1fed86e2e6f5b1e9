//! Who left the circle learns that, and gets nothing more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World};
use ledgerno_ledger::bytes::DeviceId;

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
