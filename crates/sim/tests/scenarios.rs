//! Every scenario, with a few seeds each here and with many in the long tests.

use ledgerno_sim::scenario::{Scenario, all};

/// Plays a scenario with so many seeds.
fn play(name: &str, seeds: std::ops::Range<u64>) {
    let Some(scenario) = Scenario::named(name) else { panic!("no scenario {name}") };
    for seed in seeds {
        let report = scenario.must_hold(seed).report;
        assert!(report.entries >= 10, "scenario {name} with seed {seed}: little happens, {} entries", report.entries);
    }
}

macro_rules! scenarios {
    ($($test:ident = $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            play($name, 0..2);
        })*

        #[test]
        fn each_has_a_test() {
            let tested = [$($name),*];
            let untested: Vec<&str> =
                all().iter().map(|scenario| scenario.name).filter(|name| !tested.contains(name)).collect();
            assert_eq!(untested, Vec::<&str>::new());
        }
    };
}

scenarios! {
    calm = "calm",
    mesh = "mesh",
    rough = "rough",
    what_members_said_is_erased_everywhere = "erasers",
    partition_of_a_day = "partition",
    phones_awake_one_minute_an_hour = "phones",
    all_witnesses_asleep_for_a_week = "week-asleep",
    equivocating_member = "equivocating-member",
    twins = "twins",
    stale_backup_restored = "stale-backup",
    selective_sender = "selective-sender",
    withheld_bodies = "withheld-bodies",
    two_histories_are_shown = "two-histories",
    two_histories_of_a_founder_are_shown = "founders-two-histories",
    flood_of_orphans = "orphans",
    an_invite_used_twice_at_once = "invite-twice",
    four_witnesses = "four-witnesses",
    four_witnesses_in_rough_weather = "rough-witnesses",
    two_witnesses_on_each_side = "witnesses-parted",
    silent_leader = "silent-leader",
    a_witness_with_a_clock_in_2035 = "clock-in-2035",
    two_witnesses_asleep_but_a_minute_an_hour = "sleeping-witnesses",
    four_witnesses_asleep_for_a_week = "all-witnesses-asleep",
    equivocating_witness = "equivocating-witness",
    two_faced_leader = "two-faced-leader",
    withheld_votes = "withheld-votes",
    more_liars_than_are_borne_fork = "two-equivocating-witnesses",
    a_witness_whose_disk_was_rolled_back = "witness-rolled-back",
    a_removed_member_writes_on = "removed-member",
    two_removals_at_once = "two-removals",
}

/// Four witnesses, a member and the relay in rough weather.
fn play_with_few(seeds: impl Iterator<Item = u64>) {
    let Some(scenario) = Scenario::named("rough-witnesses") else { panic!("no such scenario") };
    let scenario = Scenario { members: 5, ..scenario };
    for seed in seeds {
        scenario.must_hold(seed);
    }
}

/// Of what a quorum had notarized all holders had crashed, with their votes on their disks and the header on none.
#[test]
fn a_header_outlives_the_crash_of_all_who_voted_for_it() {
    play_with_few([1, 108, 200].into_iter());
}

#[test]
#[ignore = "long"]
fn many_seeds_of_four_witnesses_in_rough_weather_and_few_others() {
    play_with_few(1..341);
}

/// A node heard of the second history before it was as far as that.
#[test]
fn two_histories_are_shown_to_who_was_behind() {
    play("founders-two-histories", 201..202);
}

/// A node had heard the last header too early to take it, and its gossip does not come twice.
#[test]
fn a_header_that_came_too_early_is_offered_again() {
    play("partition", 102..103);
}

/// The backup was made while a write waited.
#[test]
fn a_backup_made_amid_a_write_is_written_on() {
    play("stale-backup", 108..109);
}

#[test]
#[ignore = "long"]
fn many_seeds_of_each() {
    for scenario in all() {
        play(scenario.name, 100..140);
    }
}
