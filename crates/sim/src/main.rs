//! `cargo xtask sim`: plays scenarios from the command line.

use clap::Parser;
use ledgerno_sim::scenario::{self, Scenario};
use std::process::ExitCode;

/// Plays scenarios in the simulator.
#[derive(Parser)]
#[command(name = "sim")]
struct Arguments {
    /// Which scenario; without it, all are listed.
    #[arg(long)]
    scenario: Option<String>,
    /// What everything follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Nodes: the members and the relay.
    #[arg(long)]
    nodes: Option<usize>,
    /// Print what happens.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(name) = &arguments.scenario else {
        for scenario in scenario::all() {
            println!("{:<20} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    };
    let Some(scenario) = Scenario::named(name) else {
        eprintln!("There is no scenario {name}; without --scenario all are listed.");
        return ExitCode::FAILURE;
    };
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.seeds);
    let held = seeds.map(|seed| play(&scenario, seed, &arguments)).filter(|holds| !holds).count() == 0;
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays one run and prints what it came to; whether everything held.
fn play(scenario: &Scenario, seed: u64, arguments: &Arguments) -> bool {
    let members = arguments.nodes.map_or(scenario.members, |nodes| nodes.saturating_sub(1).max(2));
    let started = std::time::Instant::now();
    let outcome = match scenario.run(members, seed, arguments.trace) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    for line in outcome.world.trace.lines() {
        println!("{line}");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("scenario {} · {} nodes · seed {seed} · {seconds:.1} s", scenario.name, members + 1);
    println!("{}", outcome.report.table());
    for fault in &outcome.report.faults {
        println!("FAULT {fault}");
    }
    let holds = scenario.holds(&outcome.report);
    if scenario.must_fork && holds {
        println!("as it must: more lie than are borne");
    }
    if !holds {
        println!("again: cargo xtask sim --scenario {} --nodes {} --seed {seed}", scenario.name, members + 1);
    }
    holds
}
