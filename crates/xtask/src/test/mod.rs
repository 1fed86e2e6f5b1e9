//! `test`: every test of every kind, and one last line `N passed, N failed`.

mod browser;
mod e2e;
mod interop;
mod native;
mod scripts;

use std::process::ExitCode;

use anyhow::Result;

use crate::stamp;
use crate::workspace::Workspace;

/// A kind of tests.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// cargo test of all crates, and the build without std.
    Rust,
    /// The crates' tests inside a real browser.
    Browser,
    /// Whole stories: the relay and real browsers.
    E2e,
    /// Our network and js-libp2p with each other, in real browsers.
    Interop,
}

/// What to run.
pub struct Options {
    pub long: bool,
    pub only: Option<Suite>,
    pub filter: Option<String>,
}

impl Options {
    /// What the tests' own code reads to choose its effort.
    fn environment(&self, command: &mut std::process::Command) {
        if self.long {
            command.env("LEDGERNO_LONG", "1");
            if std::env::var_os("PROPTEST_CASES").is_none() {
                // Twice what is usual; whole stories say for themselves how many fewer they are, and are told twenty times as often.
                command.env("PROPTEST_CASES", "512");
            }
        }
    }
}

/// What was found, over all kinds.
#[derive(Default)]
pub struct Report {
    tests: Vec<(String, bool)>,
    /// Those that could not be run here, and why.
    skipped: Vec<String>,
}

impl Report {
    /// Adds one test by its full name.
    pub fn add(&mut self, name: impl Into<String>, passed: bool) {
        self.tests.push((name.into(), passed));
    }

    /// Notes one that could not be run here.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped.push(format!("skip   {name}: {why}"));
    }

    /// Adds a step that must work for its tests to run at all; its failure is a failed test with the error shown.
    pub fn step(&mut self, name: &str, result: Result<()>) -> bool {
        if let Err(error) = &result {
            eprintln!("{name}: {error:#}");
            self.add(name, false);
        }
        result.is_ok()
    }

    fn failed(&self) -> Vec<&str> {
        self.tests.iter().filter(|(_, passed)| !passed).map(|(name, _)| name.as_str()).collect()
    }

    /// The last line.
    fn line(&self) -> String {
        let failed = self.failed().len();
        format!("{} passed, {failed} failed", self.tests.len() - failed)
    }

    /// All of it as text: what `test:long` keeps in docs.
    fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .tests
            .iter()
            .map(|(name, passed)| format!("{} {name}", if *passed { "ok    " } else { "FAILED" }))
            .collect();
        lines.extend(self.skipped.iter().cloned());
        lines.push(self.line());
        lines.join("\n") + "\n"
    }
}

/// Runs the chosen kinds, and answers failure if any test failed or none ran.
pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let mut report = Report::default();
    let wanted = |suite| options.only.is_none_or(|only| only == suite);
    if wanted(Suite::Rust) {
        native::run(workspace, options, &mut report);
    }
    if wanted(Suite::Browser) {
        browser::run(workspace, options, &mut report);
    }
    if wanted(Suite::E2e) {
        e2e::run(workspace, options, &mut report);
    }
    if wanted(Suite::Interop) {
        interop::run(workspace, options, &mut report);
    }
    if options.long && options.only.is_none() && options.filter.is_none() {
        stamp::write(&workspace.path("docs/test-long.txt"), report.text().as_bytes())?;
    }
    println!();
    let failed = report.failed();
    if report.tests.is_empty() {
        println!("No test has such a name.");
    }
    report.skipped.iter().for_each(|line| println!("{line}"));
    failed.iter().for_each(|name| println!("FAILED {name}"));
    println!("{}", report.line());
    Ok(if failed.is_empty() && !report.tests.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
