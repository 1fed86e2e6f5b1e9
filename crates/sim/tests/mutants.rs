//! Rules of the settlement that are broken on purpose are noticed here by liveness: what the unbroken rules settle in the
//! same run is never settled. The links are left as they are at the end: one that is made anew would mend it.

#![allow(clippy::expect_used)]

use ledgerno_engine::wire::Topic;
use ledgerno_ledger::mutant::{Mutant, with};
use ledgerno_sim::host::Id;
use ledgerno_sim::liar::Said;
use ledgerno_sim::net::Topology;
use ledgerno_sim::world::{Setup, World};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Six members of whom four vote.
fn world(seed: u64, topology: Topology) -> World {
    let mut setup = Setup::new(6, seed);
    (setup.witnesses, setup.topology) = (4, topology);
    // Of the founder the genesis does not say that it is always on; so node 2 alone is.
    setup.always_on = 2;
    let mut world = World::new(&setup).expect("a cast");
    world.relink_all();
    world
}

/// Whether these nodes have settled all that they hold, and anything was written. Nothing that must never be may have been:
/// it is by liveness alone that a change is noticed.
fn all_settled(world: &World, mut nodes: std::ops::Range<Id>) -> bool {
    assert_eq!(world.watch.faults, Vec::<String>::new());
    let left = |id: Id| world.hosts[id].engine.as_ref().map_or(1, |engine| engine.settlement().unsettled);
    world.watch.entries.iter().any(|seen| seen.written > world.watch.entries[0].written)
        && nodes.all(|id| left(id) == 0)
}

/// The unbroken rules settle each of these runs, the broken ones not all of them.
fn noticed(mutant: Mutant, seeds: std::ops::Range<u64>, settles: fn(u64) -> bool) {
    let mut caught = 0;
    for seed in seeds.clone() {
        assert!(settles(seed), "seed {seed}: the unbroken rules do not settle");
        caught += u64::from(!with(Some(mutant), || settles(seed)));
    }
    println!("{mutant:?}: noticed in {caught} of {} runs", seeds.end - seeds.start);
    assert!(caught > 0, "{mutant:?} is not noticed with seeds {seeds:?}");
}

#[test]
fn a_certificate_that_is_not_forwarded_is_noticed() {
    noticed(Mutant::CertificateNotForwarded, 0..2, |seed| {
        let mut world = world(seed, Topology::Hub);
        world.plan_writes(6, 0, 5_000);
        world.run_until(MINUTE);
        all_settled(&world, 0..7)
    });
}

#[test]
fn no_bundle_in_reply_is_noticed() {
    // One witness hears of no votes while the others settle; then it says where it stands, and nobody else has to speak.
    noticed(Mutant::NoBundleInReply, 0..2, |seed| {
        let mut world = world(seed, Topology::Hub);
        world.hosts[0].liar = Some(Box::new(|_: u64, to: Id, said: Said| {
            Some(said).filter(|said| to != 4 || !matches!(said, Said::Gossip(Topic::Votes | Topic::Witnesses, _)))
        }));
        world.plan_writes(6, 0, 5_000);
        world.run_until(30_000);
        world.hosts[0].liar = None;
        world.run_until(20 * MINUTE);
        all_settled(&world, 1..5)
    });
}

#[test]
fn certificates_that_are_not_kept_are_noticed() {
    noticed(Mutant::CertificateNotKept, 0..2, |seed| {
        let mut world = world(seed, Topology::Hub);
        world.plan_writes(6, 0, 5_000);
        world.run_until(MINUTE);
        (1..5).for_each(|id| world.crash(id, 1_000));
        world.plan_writes(6, 2 * MINUTE, 3 * MINUTE);
        world.run_until(10 * MINUTE);
        all_settled(&world, 0..7)
    });
}

#[test]
fn timers_that_run_asleep_are_noticed() {
    // One witness is always on and leads; the three others are phones that are never awake together.
    noticed(Mutant::TimersRunAsleep, 0..2, |seed| {
        let mut world = world(seed, Topology::Hub);
        for id in [1, 3, 4] {
            world.sleep(id);
            for hour in 0..24 {
                let at = hour * HOUR + id as u64 * 10 * MINUTE;
                world.at(at, move |world| world.wake(id));
                world.at(at + MINUTE, move |world| world.sleep(id));
            }
        }
        for hour in 0..12 {
            world.at(hour * HOUR, |world| world.write_something(5));
        }
        world.run_until(24 * HOUR);
        all_settled(&world, 2..3)
    });
}
