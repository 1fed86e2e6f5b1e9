//! Tests in `*.mjs`, by node's own test runner.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Options, Report};
use crate::workspace::Workspace;
use crate::{stamp, tools};

/// One test's longest time, in milliseconds: far above what any needs, below what a builder waits.
const TIMEOUT: u32 = 300_000;
const LONG_TIMEOUT: u32 = 3_600_000;

/// Runs the files one after the other; `kind` goes before each test's name.
pub fn run(
    workspace: &Workspace,
    options: &Options,
    report: &mut Report,
    kind: &str,
    files: Vec<PathBuf>,
    environment: impl FnOnce(&mut Command),
) -> Result<()> {
    let results = workspace.target(&format!("xtask/{kind}.jsonl"));
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
    environment(&mut node);
    let status = node.args(files).status().context("node does not start")?;
    let before = report.failed().len();
    for line in std::fs::read_to_string(&results).context("the tests' results")?.lines() {
        let test: serde_json::Value = serde_json::from_str(line).context("the tests' results")?;
        let name = test["name"].as_str().unwrap_or("without a name");
        let name = format!("{kind}: {name}");
        match test["skip"].as_str() {
            Some(why) => report.skip(&name, why),
            None => report.add(name, test["ok"].as_bool().unwrap_or(false)),
        }
    }
    if !status.success() && report.failed().len() == before {
        bail!("node's test runner failed ({status})");
    }
    Ok(())
}

/// `*.mjs` in a folder, and with `long` also `*.long.mjs`.
pub fn files(workspace: &Workspace, folder: &str, long: bool) -> Result<Vec<PathBuf>> {
    let mut files = stamp::files(&workspace.path(folder))?;
    files.retain(|file| {
        let name = file.to_string_lossy();
        name.ends_with(".mjs") && (long || !name.ends_with(".long.mjs"))
    });
    Ok(files)
}
