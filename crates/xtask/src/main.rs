//! `cargo xtask build | start | test | bench | sim | fuzz`: everything that a fresh clone needs, with Rust by rustup and Node only.
//!
//! npm's scripts are thin over this. A step whose inputs did not change is skipped, so a second start is quick.

mod bench;
mod build;
mod compiler;
mod fuzz;
mod graph;
mod names;
mod page;
mod quiet;
mod sim;
mod sizes;
mod stamp;
mod start;
mod test;
mod tools;
mod wasm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::test::Suite;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "xtask", about = "Builds, starts, tests and measures ledgerno.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the wasm module, the page and the relay in release mode.
    Build,
    /// Build what is missing and run the relay; arguments go to it.
    Start {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        relay: Vec<OsString>,
    },
    /// Run the tests of every kind; the last line says how many passed and failed.
    Test {
        /// Also what takes long: ignored tests, *.long.mjs, more cases a property.
        #[arg(long)]
        long: bool,
        /// Only one kind.
        #[arg(long, value_enum)]
        only: Option<Suite>,
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Measure: a table on the screen and in docs/benchmarks.md.
    Bench {
        /// Only by the scripts whose name contains this; then only on the screen.
        filter: Option<String>,
    },
    /// Run every decoder and verifier under libFuzzer; a table on the screen and in docs/testing.md.
    Fuzz {
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Only targets whose name contains this; then only on the screen.
        filter: Option<String>,
    },
    /// Play a scenario in the simulator; without one, all are listed. Arguments go to it.
    Sim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match compiler::called().unwrap_or_else(|| run(Arguments::parse())) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match arguments.command {
        Command::Build => build::within_budget(&workspace).map(|()| ExitCode::SUCCESS),
        Command::Start { relay } => start::start(&workspace, &relay),
        Command::Test { long, only, filter } => test::run(&workspace, &test::Options { long, only, filter }),
        Command::Fuzz { seconds, filter } => {
            fuzz::run(&workspace, seconds, filter.as_deref()).map(|()| ExitCode::SUCCESS)
        }
        Command::Sim { arguments } => sim::run(&workspace, &arguments),
        Command::Bench { filter } => bench::run(&workspace, filter.as_deref()).map(|()| ExitCode::SUCCESS),
    }
}
