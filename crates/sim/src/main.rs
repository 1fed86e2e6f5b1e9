//! `cargo xtask sim`: plays scenarios from the command line.

use clap::{Parser, Subcommand};
use ledgerno_sim::growth;
use ledgerno_sim::scenario::{self, Scenario};
use ledgerno_sim::svg;
use std::path::PathBuf;
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
    /// Draw the DAG with its checkpoints.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// So many entries are not drawn, the first ones.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// So many entries are drawn after them.
    #[arg(long, default_value_t = 400)]
    draw: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The same load on more and more nodes: a table, and a plot if wanted.
    Growth {
        /// Which numbers of nodes.
        #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000, 5_000])]
        nodes: Vec<usize>,
        /// Where to draw the plot.
        #[arg(long)]
        plot: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Growth { nodes, plot }) = &arguments.command {
        return grow(nodes, plot.as_ref(), arguments.seed);
    }
    let Some(name) = &arguments.scenario else {
        for scenario in scenario::all() {
            println!("{:<26} {} At least {} nodes.", scenario.name, scenario.about, scenario.least);
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

/// Plays the growth, and prints each run as it ends.
fn grow(nodes: &[usize], plot: Option<&PathBuf>, seed: u64) -> ExitCode {
    let mut runs = Vec::new();
    for (nodes, rate) in nodes.iter().flat_map(|nodes| [(*nodes, 1), (*nodes, 20)]) {
        match growth::grow(nodes.max(3), rate, seed) {
            Ok(run) => {
                eprintln!("{nodes} nodes, {rate} writes a second: {:.0} s {:?}", run.took, run.report.faults);
                runs.push(run);
            }
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}\nBytes a node and entry by kind:\n\n{}", growth::table(&runs), growth::split(&runs));
    match growth::find_missing(1_000, 20, seed) {
        Ok(found) => println!(
            "Finding {} missing entries among {} devices: {} bytes beyond the {} of the entries and the {} of the headers.",
            found.missing,
            found.devices,
            found.beyond(),
            found.entries,
            found.headers
        ),
        Err(error) => eprintln!("{error}"),
    }
    if let Some(path) = plot {
        return save(path, &growth::plot(&runs));
    }
    ExitCode::SUCCESS
}

fn save(path: &PathBuf, drawing: &str) -> ExitCode {
    match std::fs::write(path, drawing) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Plays one run and prints what it came to; whether everything held.
fn play(scenario: &Scenario, seed: u64, arguments: &Arguments) -> bool {
    let members = arguments.nodes.map_or(scenario.members, |nodes| nodes.saturating_sub(1));
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
    if let Some(path) = &arguments.svg
        && save(path, &svg::dag(&outcome.world, outcome.first + arguments.skip, arguments.draw)) != ExitCode::SUCCESS
    {
        return false;
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
