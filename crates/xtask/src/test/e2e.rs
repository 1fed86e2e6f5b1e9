//! Whole stories over the relay and real browsers: `tests/e2e/*.mjs` by node's own test runner.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::{Options, Report};
use crate::workspace::Workspace;
use crate::{build, sizes, stamp, tools};

/// One test's longest time, in milliseconds: far above what any needs, below what a builder waits.
const TIMEOUT: u32 = 300_000;
const LONG_TIMEOUT: u32 = 3_600_000;

/// Builds the relay with its page, and runs the stories one after the other.
pub fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    let tests = build_and_run(workspace, options, report);
    report.step("end to end", tests);
}

fn build_and_run(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    let files = files(workspace, options.long)?;
    if files.is_empty() {
        return Ok(());
    }
    let page = build::everything(workspace)?;
    build::harness(workspace)?;
    if options.filter.is_none() {
        let name = "the page is within its budget";
        if report.step(name, sizes::check_budget(&page)) {
            report.add(name, true);
        }
    }
    let results = workspace.target("xtask/e2e.jsonl");
    stamp::write(&results, b"")?;
    let timeout = if options.long { LONG_TIMEOUT } else { TIMEOUT };
    let mut node = tools::node(workspace);
    node.args(["--test", "--test-concurrency=1"]).arg(format!("--test-timeout={timeout}"));
    node.args(["--test-reporter=spec", "--test-reporter-destination=stdout"]);
    node.arg("--test-reporter=./tests/lib/reporter.mjs");
    node.arg(format!("--test-reporter-destination={}", results.display()));
    if let Some(filter) = &options.filter {
        node.arg(format!("--test-name-pattern={filter}"));
    }
    options.environment(&mut node);
    node.env("LEDGERNO_RELAY", workspace.relay()).env("LEDGERNO_HARNESS", workspace.harness());
    let status = node.args(files).status().context("node does not start")?;
    let before = report.failed().len();
    for line in std::fs::read_to_string(&results).context("the stories' results")?.lines() {
        let test: serde_json::Value = serde_json::from_str(line).context("the stories' results")?;
        let name = test["name"].as_str().unwrap_or("without a name");
        report.add(format!("e2e: {name}"), test["ok"].as_bool().unwrap_or(false));
    }
    if !status.success() && report.failed().len() == before {
        bail!("node's test runner failed ({status})");
    }
    Ok(())
}

/// `*.mjs`, and with `long` also `*.long.mjs`.
fn files(workspace: &Workspace, long: bool) -> Result<Vec<PathBuf>> {
    let mut files = stamp::files(&workspace.path("tests/e2e"))?;
    files.retain(|file| {
        let name = file.to_string_lossy();
        name.ends_with(".mjs") && (long || !name.ends_with(".long.mjs"))
    });
    Ok(files)
}
