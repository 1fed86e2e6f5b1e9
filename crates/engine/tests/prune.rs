//! Light nodes let go of what is old once an archive holds it; what they hold and settle stays that of a full replay.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World, forgetful};
use ledgerno_engine::view::{Settlement, ShownMember};
use ledgerno_engine::{Engine, Limits};
use ledgerno_ledger::bytes::DeviceId;
use proptest::prelude::*;

const DAY: u64 = 24 * 3_600_000;

/// What everybody agrees on.
fn agreed(engine: &Engine) -> (Settlement, Vec<ShownMember>) {
    (engine.settlement(), engine.members())
}

/// An engine of the same seat that replays all that the archive holds.
fn replayed(world: &World, id: DeviceId) -> Engine {
    let (genesis, seat) = world.hosts[&id].make();
    let log = &world.hosts[&RELAY].disk.log;
    let whole = Limits { snapshot_every: usize::MAX, ..forgetful() };
    Engine::open(genesis, seat, whole, log, Vec::<(String, Vec<u8>)>::new(), [1; 32]).unwrap()
}

/// A circle that keeps things for a week, whose relay is an archive; the founder, and a friend who witnesses nothing.
fn circle(seed: u8) -> (World, DeviceId, DeviceId) {
    let mut world = World::new(seed);
    world.retention_days = 7;
    let anna = world.found("Anna");
    world.limit(RELAY, Limits { archive: true, ..forgetful() });
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    (world, anna, ben)
}

fn empty(world: &World, id: DeviceId) -> usize {
    world.hosts[&id].disk.log.iter().filter(|item| item.is_empty()).count()
}

/// Posts of both over some days, each settled.
fn live(world: &mut World, by: &[DeviceId], days: u64) {
    for at in 0..days {
        for id in by {
            world.post(*id, &format!("day {at}"));
            world.pass(1_000);
        }
        world.pass(DAY);
        for id in by {
            world.act(*id, |engine, now| engine.sync(RELAY, now));
        }
    }
}

#[test]
fn a_light_node_lets_go_of_what_is_old_and_asks_the_archive_for_it() {
    let (mut world, anna, ben) = circle(3);
    // Everybody sees all that there is at each step; so does Anna, who fetches what she let go.
    live(&mut world, &[anna, ben], 30);
    let (at_anna, at_ben) = (empty(&world, anna), empty(&world, ben));
    assert!(at_anna > 10 && at_ben > 10, "{at_anna} and {at_ben} are let go");
    assert_eq!(empty(&world, RELAY), 0, "an archive lets nothing go");
    assert!(world.engine(anna).let_go() > 10);
    for id in [anna, ben] {
        let texts = world.texts(id);
        assert_eq!(texts.iter().filter(|text| *text == "day 0").count(), 2, "fetched back to be shown");
        assert_eq!(texts.len(), 60);
        // What is one's own is on the disk.
        world.crash(id);
        assert_eq!(agreed(world.engine(id)), agreed(&replayed(&world, id)));
    }
    // Without the archive the newest are shown, and the rest is said to be there.
    assert!(world.texts(anna).len() < 40);
    assert!(world.engine(anna).let_go() > 10);
    world.link(anna, RELAY);
    world.post(anna, "back");
    assert_eq!(world.texts(anna).len(), 61);
}

#[test]
fn nothing_is_let_go_on_nobodys_word_or_a_strangers() {
    let mut world = World::new(4);
    world.retention_days = 7;
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    // The relay keeps all, but does not promise it.
    live(&mut world, &[anna, ben], 30);
    assert_eq!(empty(&world, anna) + empty(&world, ben), 0);
    // A relay that promises it, which neither of them chose.
    let other = world.keeper(anna, 40);
    world.limit(other, Limits { archive: true, ..forgetful() });
    world.act(other, |engine, _| engine.set_keepers(vec![]));
    world.link(anna, other);
    live(&mut world, &[anna], 20);
    world.act(anna, |engine, now| engine.sync(other, now));
    assert_eq!(empty(&world, anna), 0);
}

#[test]
fn a_circle_without_a_retention_lets_nothing_go() {
    let mut world = World::new(5);
    let anna = world.found("Anna");
    world.limit(RELAY, Limits { archive: true, ..forgetful() });
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    live(&mut world, &[anna, ben], 30);
    assert_eq!(empty(&world, anna) + empty(&world, ben), 0);
}

/// Nothing new has to be settled for it.
#[test]
fn who_is_told_to_keep_less_lets_go_once_the_archive_is_back() {
    let mut world = World::new(6);
    let anna = world.found("Anna");
    world.limit(RELAY, Limits { archive: true, ..forgetful() });
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    live(&mut world, &[anna, ben], 30);
    assert_eq!(empty(&world, ben), 0);
    world.unlink(ben, RELAY);
    world.limit(ben, Limits { retention: Some(5 * DAY), ..forgetful() });
    world.run();
    assert_eq!(empty(&world, ben), 0, "nobody says that it is kept");
    world.link(ben, RELAY);
    world.run();
    let let_go = empty(&world, ben);
    assert!(let_go > 10, "{let_go} are let go");
    assert_eq!(agreed(world.engine(ben)), agreed(&replayed(&world, ben)));
    assert_eq!(world.texts(ben).len(), 60, "fetched back to be shown");
    world.crash(ben);
    assert_eq!(agreed(world.engine(ben)), agreed(&replayed(&world, ben)));
}

/// What a person does, or what happens to a device.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Post(bool),
    Days(u8),
    Crash(bool),
    Away(bool),
    Back(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = any::<bool>;
    let deed = prop_oneof![
        8 => who().prop_map(Deed::Post),
        4 => (1..6u8).prop_map(Deed::Days),
        2 => who().prop_map(Deed::Crash),
        1 => who().prop_map(Deed::Away),
        2 => who().prop_map(Deed::Back),
    ];
    prop::collection::vec(deed, 30..90)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Pruned, restarted and written on in any order: the same members, balances and root as a full replay has.
    #[test]
    fn pruned_and_restarted_nodes_end_at_the_root_of_a_full_replay(seed in 0..200u8, deeds in deeds()) {
        let (mut world, anna, ben) = circle(seed);
        let who = |first: bool| if first { anna } else { ben };
        for deed in deeds {
            match deed {
                Deed::Post(by) => {
                    world.post(who(by), "something");
                    world.pass(1_000);
                }
                Deed::Days(days) => world.pass(u64::from(days) * DAY),
                Deed::Crash(id) => world.crash(who(id)),
                Deed::Away(id) => world.unlink(who(id), RELAY),
                Deed::Back(id) => world.link(who(id), RELAY),
            }
        }
        for id in [anna, ben] {
            world.link(id, RELAY);
        }
        world.pass(DAY);
        for id in [anna, ben] {
            world.post(id, "after all");
            world.pass(DAY);
        }
        for id in [anna, ben] {
            world.act(id, |engine, now| engine.sync(RELAY, now));
        }
        for id in [anna, ben] {
            let full = agreed(&replayed(&world, id));
            prop_assert_eq!(&agreed(world.engine(id)), &full);
            let texts = world.texts(id).len();
            world.crash(id);
            prop_assert_eq!(&agreed(world.engine(id)), &full, "after a restart");
            world.link(id, RELAY);
            world.run();
            prop_assert_eq!(world.texts(id).len(), texts, "all is shown again");
        }
        prop_assert_eq!(empty(&world, RELAY), 0);
    }
}
