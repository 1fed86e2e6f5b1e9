//! The crates' tests inside a real Chromium, built like the page's module, run by Playwright.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::{Options, Report};
use crate::workspace::Workspace;
use crate::{tools, wasm};

/// The crates that hold them, by package, and whether they are run in each of the Chromiums of `tests/lib/chromium.mjs`.
const CRATES: [(&str, bool); 2] = [("ledgerno-browser-tests", false), ("ledgerno-webrtc-browser-tests", true)];

/// Builds and runs them.
pub fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    for (package, each) in CRATES {
        let tests = build_and_run(workspace, package, each, options, report);
        report.step(package, tests);
    }
}

fn build_and_run(workspace: &Workspace, name: &str, each: bool, options: &Options, report: &mut Report) -> Result<()> {
    tools::ensure_node_modules(workspace)?;
    let package = wasm::for_tests(workspace, name)?;

    let mut node = tools::node(workspace);
    node.arg("tests/lib/run-browser-crate.mjs").args(each.then_some("--each-chromium"));
    node.arg(&package).args(options.filter.as_deref());
    options.environment(&mut node);
    let mut child = node.stdout(Stdio::piped()).spawn().context("node does not start")?;
    let output = child.stdout.take().context("no output")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("the runner's output")?;
        // A line of JSON is a test's outcome; what else is printed is for the reader.
        match serde_json::from_str::<serde_json::Value>(&line) {
            Ok(test) if test.is_object() => {
                let name = format!("browser: {}", test["name"].as_str().unwrap_or("without a name"));
                let passed = test["ok"].as_bool().unwrap_or(false);
                println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
                if let (false, Some(error)) = (passed, test["error"].as_str()) {
                    println!("    {error}");
                }
                report.add(name, passed);
            }
            _ => println!("{line}"),
        }
    }
    let status = child.wait().context("node")?;
    if !status.success() {
        bail!("the browser's run broke off ({status})");
    }
    Ok(())
}
