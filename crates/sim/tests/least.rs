//! How few nodes a scenario can be told with.

use ledgerno_sim::scenario::{RunError, all};

#[test]
fn with_fewer_nodes_than_it_needs_no_scenario_is_played() {
    for scenario in all() {
        for nodes in 1..scenario.least {
            let Err(refused) = scenario.run(nodes - 1, 1, false) else {
                panic!("scenario {} is played with {nodes} nodes", scenario.name)
            };
            let RunError::TooFew { scenario: name, least, nodes: wanted } = refused else { panic!("{refused}") };
            assert_eq!((name, least, wanted), (scenario.name, scenario.least, nodes));
            assert_eq!(
                refused.to_string(),
                format!("The scenario {name} needs at least {least} nodes, the relay among them; {nodes} are too few.")
            );
        }
    }
}

#[test]
fn with_as_few_nodes_as_it_needs_each_scenario_holds() {
    for scenario in all() {
        let outcome = match scenario.run(scenario.least - 1, 1, false) {
            Ok(outcome) => outcome,
            Err(error) => panic!("{error}"),
        };
        let (name, least, faults) = (scenario.name, scenario.least, &outcome.report.faults);
        assert!(scenario.holds(&outcome.report), "{name} with {least} nodes and seed 1: {faults:#?}");
    }
}
