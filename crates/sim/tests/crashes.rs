//! A crash at each write of a run, one at a time: nothing that was sent is lost, nobody forks, nothing stalls.

#![allow(clippy::expect_used)]

use ledgerno_sim::check::Waived;
use ledgerno_sim::host::Id;
use ledgerno_sim::world::{Setup, World};

/// A short run in which a node crashes at a write; how many writes that node made.
fn story(seed: u64, node: Id, crash_at: Option<u64>) -> u64 {
    let mut setup = Setup::new(4, seed);
    setup.disk = 60;
    let mut world = World::new(&setup).expect("a cast");
    world.hosts[node].crash_at = crash_at;
    world.relink_all();
    world.plan_writes(16, 0, 8_000);
    world.run_until(12_000);
    let writes = world.hosts[node].writes;
    world.finish(Waived::default());
    let faults = &world.watch.faults;
    assert!(faults.is_empty(), "seed {seed}, node {node} crashes at write {crash_at:?}:\n  {}", faults.join("\n  "));
    let started_anew = world.hosts[node].life > 0;
    assert_eq!(started_anew, crash_at.is_some_and(|at| at <= writes), "seed {seed}, node {node}, write {crash_at:?}");
    writes
}

/// Crashes each of the relay, the witness and a member at each of its writes.
fn crash_everywhere(seed: u64, step: usize) {
    for node in [0, 1, 2] {
        let writes = story(seed, node, None);
        assert!(writes > 10, "node {node} writes {writes} times only");
        for at in (1..=writes).step_by(step) {
            story(seed, node, Some(at));
        }
    }
}

#[test]
fn a_crash_at_every_third_write() {
    crash_everywhere(5, 3);
}

#[test]
#[ignore = "long"]
fn a_crash_at_every_write() {
    (20..26).for_each(|seed| crash_everywhere(seed, 1));
}
