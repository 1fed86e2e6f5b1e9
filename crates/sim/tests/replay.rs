//! The same seed gives the same run, byte for byte.

use ledgerno_sim::scenario::{Scenario, all};

#[test]
fn the_same_seed_gives_the_same_run() {
    play_twice(|name| ["rough", "mesh", "twins", "invite-twice"].contains(&name));
}

#[test]
#[ignore = "long"]
fn the_same_seed_gives_the_same_run_of_every_scenario() {
    play_twice(|_| true);
}

fn play_twice(wanted: impl Fn(&str) -> bool) {
    for scenario in all().into_iter().filter(|scenario| wanted(scenario.name)) {
        let play = |seed| match scenario.run(scenario.members, seed, true) {
            Ok(outcome) => outcome.world.trace,
            Err(error) => panic!("{error}"),
        };
        let (once, twice, other) = (play(7), play(7), play(8));
        let differ = once.lines().iter().zip(twice.lines()).position(|(a, b)| a != b);
        if let Some(at) = differ {
            panic!("scenario {}: {:?} and {:?}", scenario.name, once.lines()[at], twice.lines()[at]);
        }
        assert_eq!(once.lines().len(), twice.lines().len(), "scenario {}", scenario.name);
        assert_eq!(once.hash(), twice.hash(), "scenario {}", scenario.name);
        assert_ne!(once.hash(), other.hash(), "scenario {}: the seed changes nothing", scenario.name);
    }
}

#[test]
fn a_scenario_of_another_name_is_none() {
    assert!(Scenario::named("none such").is_none());
}
