//! `fuzz`: every target of `fuzz/` under libFuzzer for some seconds, from the fixtures on. A table on the screen and, if all
//! targets ran, in docs/testing.md between two markers; an error if one of them found something.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{stamp, tools};

const BEGIN: &str = "<!-- fuzzed: begin -->";
const END: &str = "<!-- fuzzed: end -->";
/// An input that takes longer than so many seconds is a finding.
const SLOW_S: u32 = 5;
/// A target that needs more MiB is a finding.
const MOST_MIB: u32 = 1024;

/// What became of a target.
struct Row {
    target: String,
    /// Inputs that were tried.
    tried: u64,
    /// Edges of the code that they reached.
    edges: u64,
    found: bool,
}

/// Builds the targets, writes the seeds, fuzzes each target whose name contains the filter.
pub fn run(workspace: &Workspace, seconds: u32, filter: Option<&str>) -> Result<()> {
    let version = cargo_fuzz(workspace, &["--version"]).output().context("cargo does not start")?;
    if !version.status.success() {
        bail!("cargo-fuzz is needed: cargo install --locked cargo-fuzz");
    }
    let seeds = ["run", "--quiet", "--package", "ledgerno-fuzz-targets", "--bin", "write-corpus", "fuzz/corpus"];
    tools::run(tools::cargo(workspace).args(seeds))?;
    tools::run(cargo_fuzz(workspace, &["build"]).arg("--sanitizer=none"))?;
    let mut rows = Vec::new();
    for target in targets(workspace)?.iter().filter(|target| filter.is_none_or(|part| target.contains(part))) {
        let row = fuzz(workspace, target, seconds)?;
        println!("{}", line(&row).trim_end());
        rows.push(row);
    }
    if filter.is_none() {
        write(workspace, &table(&rows, seconds))?;
    }
    let found: Vec<&str> = rows.iter().filter(|row| row.found).map(|row| row.target.as_str()).collect();
    if !found.is_empty() {
        bail!("something was found by {}: see fuzz/artifacts", found.join(", "));
    }
    Ok(())
}

/// `cargo fuzz` in its folder, which is a workspace of its own. It asks for a nightly compiler's switches.
fn cargo_fuzz(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut cargo = tools::cargo(workspace);
    cargo.current_dir(workspace.path("fuzz")).env("RUSTC_BOOTSTRAP", "1").arg("fuzz").args(arguments);
    cargo
}

fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let output = cargo_fuzz(workspace, &["list"]).output().context("cargo fuzz list")?;
    if !output.status.success() {
        bail!("cargo fuzz list failed ({})", output.status);
    }
    let targets: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    if targets.is_empty() {
        bail!("there is no target to fuzz");
    }
    Ok(targets)
}

fn fuzz(workspace: &Workspace, target: &str, seconds: u32) -> Result<Row> {
    let mut run = cargo_fuzz(workspace, &["run", "--sanitizer=none", target, "--", "-print_final_stats=1"]);
    run.args([format!("-max_total_time={seconds}"), format!("-timeout={SLOW_S}"), format!("-rss_limit_mb={MOST_MIB}")]);
    let output = run.output().with_context(|| target.to_owned())?;
    let told = String::from_utf8_lossy(&output.stderr);
    let found = !output.status.success();
    if found {
        eprintln!("{told}");
    }
    let number = |text: &str| text.split_whitespace().next()?.parse().ok();
    let tried = told.rsplit_once("number_of_executed_units:").and_then(|(_, rest)| number(rest));
    let edges = told.rsplit_once("cov:").and_then(|(_, rest)| number(rest));
    if !found && tried.is_none_or(|tried: u64| tried == 0) {
        bail!("{target} did not run:\n{told}");
    }
    Ok(Row { target: target.to_owned(), tried: tried.unwrap_or(0), edges: edges.unwrap_or(0), found })
}

fn line(row: &Row) -> String {
    let found = if row.found { "**something**" } else { "nothing" };
    format!("| `{}` | {} | {} | {found} |\n", row.target, row.tried, row.edges)
}

fn table(rows: &[Row], seconds: u32) -> String {
    let tried: u64 = rows.iter().map(|row| row.tried).sum();
    let head = format!("{} targets, {seconds} seconds each, {tried} inputs in all:", rows.len());
    let lines: String = rows.iter().map(line).collect();
    format!("{head}\n\n| target | inputs tried | edges reached | found |\n|---|---:|---:|---|\n{lines}")
}

fn write(workspace: &Workspace, table: &str) -> Result<()> {
    let path = workspace.path("docs/testing.md");
    let old = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let parts = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else { bail!("{} lacks the lines {BEGIN} and {END}", path.display()) };
    stamp::write(&path, format!("{head}{BEGIN}\n\n{table}\n{END}{tail}").as_bytes())
}
