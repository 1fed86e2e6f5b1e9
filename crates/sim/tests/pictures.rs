//! The pictures in the docs are what the simulator draws: what they show is a run that can be played again.

#![allow(clippy::expect_used)]

use ledgerno_sim::scenario::Scenario;
use ledgerno_sim::svg;

/// Scenario, members, seed, entries left out and entries drawn, and the picture.
const PICTURES: [(&str, usize, u64, usize, usize, &str); 3] = [
    ("four-witnesses", 4, 3, 0, 24, include_str!("../../../docs/settling.svg")),
    ("equivocating-member", 5, 6, 0, 26, include_str!("../../../docs/fork.svg")),
    ("witnesses-parted", 4, 2, 14, 46, include_str!("../../../docs/parted.svg")),
];

#[test]
#[ignore = "long"]
fn the_pictures_in_the_docs_are_drawn_again() {
    for (name, members, seed, skip, most, picture) in PICTURES {
        let scenario = Scenario::named(name).expect("a scenario");
        let outcome = scenario.run(members, seed, false).expect("a run");
        let drawn = svg::dag(&outcome.world, outcome.first + skip, most);
        assert!(
            drawn == picture,
            "draw it anew: cargo xtask sim --scenario {name} --nodes {} --seed {seed} --skip {skip} --draw {most} --svg FILE",
            members + 1
        );
    }
}
