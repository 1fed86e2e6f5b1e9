//! cargo's tests, read from its output as it runs.

use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};

use super::{Options, Report};
use crate::tools::{self, BARE_METAL};
use crate::workspace::Workspace;

/// Runs the tests of all native crates, and builds the ledger for bare metal.
pub fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    if options.filter.is_none() {
        let name = "ledgerno-ledger builds without std";
        if report.step(name, without_std(workspace)) {
            report.add(name, true);
        }
    }
    let tests = cargo_test(workspace, options, report);
    report.step("cargo test", tests);
}

fn without_std(workspace: &Workspace) -> Result<()> {
    tools::ensure_target(workspace, BARE_METAL)?;
    tools::run(tools::cargo(workspace).args(["build", "--package", "ledgerno-ledger", "--target", BARE_METAL]))
}

fn cargo_test(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    let mut cargo = tools::cargo(workspace);
    cargo.args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--exclude",
        "ledgerno-browser-tests",
        "--exclude",
        "ledgerno-webrtc-browser-tests",
        "--exclude",
        "ledgerno-interop",
        "--exclude",
        "ledgerno-webrtc-example",
    ]);
    if options.long {
        cargo.args(["--profile", "long", "--", "--include-ignored"]);
    } else {
        cargo.arg("--");
    }
    cargo.args(options.filter.as_deref());
    options.environment(&mut cargo);
    // One pipe for both streams keeps "Running …" before the tests that it announces.
    let (reader, writer) = std::io::pipe().context("no pipe")?;
    cargo.stdout(writer.try_clone()?).stderr(writer);
    let mut child = cargo.spawn().context("cargo does not start")?;
    drop(cargo);
    let mut reading = Reading::default();
    for line in BufReader::new(reader).lines() {
        let line = line.context("cargo's output")?;
        println!("{line}");
        reading.line(&line, report);
    }
    let status = child.wait().context("cargo")?;
    // Beside failed tests, cargo fails when something does not compile or a test's process dies.
    if !status.success() && reading.failed == 0 {
        anyhow::bail!("{}", if reading.suites == 0 { "does not compile" } else { "a test's process died, see above" });
    }
    Ok(())
}

/// What the lines so far said.
#[derive(Default)]
struct Reading {
    suite: String,
    suites: usize,
    failed: usize,
}

impl Reading {
    fn line(&mut self, line: &str, report: &mut Report) {
        let text = line.trim();
        if let Some(suite) = suite(text) {
            self.suite = suite;
            self.suites += 1;
        } else if let Some((name, outcome)) = text.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            let passed = match outcome.split_whitespace().next() {
                Some("ok") => true,
                Some("ignored" | "ignored,") => return,
                _ => false,
            };
            self.failed += usize::from(!passed);
            report.add(format!("{}: {name}", self.suite), passed);
        }
    }
}

/// The name that a line of cargo announces: a test binary's without its hash, or a crate's of doc tests.
fn suite(line: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{rest} docs"));
    }
    let (_, binary) = line.strip_prefix("Running ")?.rsplit_once('(')?;
    let file = binary.trim_end_matches(')').rsplit(['/', '\\']).next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cargos_output() {
        let mut report = Report::default();
        let mut reading = Reading::default();
        for line in [
            "   Compiling a v0.1.0 (/a)",
            "     Running unittests src/lib.rs (target/debug/deps/ledgerno_ledger-0123456789abcdef)",
            "running 3 tests",
            "test dag::tests::any_order ... ok",
            "test dag::tests::slow ... ignored, long",
            "test dag::tests::bad ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "   Doc-tests ledgerno_node",
            "test crates/node/src/lib.rs - open (line 3) ... ok",
        ] {
            reading.line(line, &mut report);
        }
        assert_eq!(report.line(), "2 passed, 1 failed");
        assert_eq!(report.failed(), ["ledgerno_ledger: dag::tests::bad"]);
        assert_eq!(reading.suites, 2);
    }
}
