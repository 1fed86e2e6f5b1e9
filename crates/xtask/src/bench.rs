//! `bench`: what the page weighs, what the relay needs, how fast the paths are. A table on the screen and in
//! docs/benchmarks.md, between two markers; the words around it are written by hand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::stamp::Inputs;
use crate::workspace::Workspace;
use crate::{build, sizes, stamp, tools, wasm};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";
/// The relay's binary: at most this many bytes (20 MB).
const RELAY_BUDGET: u64 = 20_000_000;
/// What the ledger measures of itself, natively: `crates/ledger/examples/measure.rs`.
const LEDGER: &str = "crates/ledger/examples/measure";

/// One measured value: what, how much, what it shall be, and whether it is.
struct Row {
    what: String,
    value: String,
    aim: String,
    met: Option<bool>,
}

/// Builds, measures, prints, and writes if all was measured.
pub fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let page = build::everything(workspace)?;
    // The one holds the ingest, the other the network.
    let module = browser_module(workspace, "ledgerno-browser-tests")?;
    let interop = browser_module(workspace, "ledgerno-interop")?;
    let load = native_load(workspace)?;
    let relay = std::fs::metadata(workspace.relay()).context("the relay")?.len();
    let mut rows = vec![Row {
        what: "relay, size of the stripped binary".into(),
        value: format!("{:.1} MB", relay as f64 / 1e6),
        aim: format!("at most {} MB", RELAY_BUDGET / 1_000_000),
        met: Some(relay <= RELAY_BUDGET),
    }];
    if filter.is_none_or(|part| LEDGER.contains(part)) {
        rows.extend(ledger(workspace)?);
    }
    for script in scripts(workspace, filter)? {
        rows.extend(measure(workspace, [&module, &load, &interop], &script)?);
    }
    let machine = machine(workspace)?;
    let table = format!("{machine}\n\n{}\n{}", sizes_table(&page), rows_table(&rows));
    println!("\n{table}");
    if filter.is_none() {
        write(workspace, &table)?;
    }
    sizes::check_budget(&page)
}

/// A crate of tests for a page, made as the page's own module is.
fn browser_module(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let compiled = wasm::compile(workspace, package)?;
    let name = format!("bench-{package}");
    let out = workspace.target(&format!("xtask/{name}"));
    let mut inputs = Inputs::new("bench module 1");
    inputs.path(&compiled)?;
    stamp::unless_done(workspace, &name, &inputs, &out, || {
        wasm::bind(&compiled, &out)?;
        wasm::optimize(workspace, &out.join(format!("{}_bg.wasm", package.replace('-', "_"))))
    })?;
    Ok(out)
}

/// What the ingest in a page is measured beside: the same work, natively.
fn native_load(workspace: &Workspace) -> Result<PathBuf> {
    tools::run(tools::cargo(workspace).args(["build", "--release", "--package", "ledgerno-load"]))
        .context("the native load does not build")?;
    Ok(workspace.target("release/ledgerno-load"))
}

/// `tests/bench/*.mjs`: each prints a JSON array of `{ what, value, aim?, met? }` on its last line.
fn scripts(workspace: &Workspace, filter: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut scripts = stamp::files(&workspace.path("tests/bench"))?;
    scripts.retain(|script| {
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".mjs") && filter.is_none_or(|part| name.contains(part))
    });
    Ok(scripts)
}

fn measure(workspace: &Workspace, [module, load, interop]: [&Path; 3], script: &Path) -> Result<Vec<Row>> {
    let name = script.strip_prefix(workspace.root()).unwrap_or(script).display().to_string();
    let mut node = tools::node(workspace);
    node.arg(script)
        .env("LEDGERNO_RELAY", workspace.relay())
        .env("LEDGERNO_BROWSER_TESTS", module)
        .env("LEDGERNO_LOAD", load)
        .env("LEDGERNO_INTEROP", interop);
    rows(node, &name)
}

fn ledger(workspace: &Workspace) -> Result<Vec<Row>> {
    let mut cargo = tools::cargo(workspace);
    cargo.args(["run", "--quiet", "--release", "--package", "ledgerno-ledger", "--features", "hostile"]);
    cargo.args(["--example", "measure"]);
    rows(cargo, LEDGER)
}

/// Runs what measures, and reads the rows on its last line.
fn rows(command: std::process::Command, name: &str) -> Result<Vec<Row>> {
    println!("Measuring by {name}");
    let last = last_line(command, name)?;
    let values: Vec<serde_json::Value> = serde_json::from_str(&last).with_context(|| format!("{name}: {last}"))?;
    let part = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let row = |value| Row {
        what: part(value, "what"),
        value: part(value, "value"),
        aim: part(value, "aim"),
        met: value["met"].as_bool(),
    };
    Ok(values.iter().map(row).collect())
}

/// What the figures were measured on.
fn machine(workspace: &Workspace) -> Result<String> {
    let mut node = tools::node(workspace);
    node.arg("tests/lib/machine.mjs");
    last_line(node, "tests/lib/machine.mjs")
}

fn last_line(mut command: std::process::Command, name: &str) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| name.to_owned())?;
    if !output.status.success() {
        bail!("{name} failed ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim_end().lines().next_back().unwrap_or_default().to_owned())
}

fn sizes_table(page: &[sizes::Size]) -> String {
    let mut text = String::from("| the page loads, bytes | raw | gzip | brotli |\n|---|---:|---:|---:|\n");
    let sums = sizes::sums(page);
    let files = page.iter().map(|size| (sizes::label(size), size.raw, size.gzip, size.brotli));
    let rows = files.chain(sums.iter().map(|sum| (sum.what.to_owned(), sum.raw, sum.gzip, sum.brotli)));
    for (what, raw, gzip, brotli) in rows {
        let line = writeln!(text, "| {what} | {raw} | {gzip} | {brotli} |");
        debug_assert!(line.is_ok(), "a String takes all");
    }
    for sum in &sums {
        let verdict = match sum.budget.checked_sub(sum.brotli) {
            Some(left) => format!("met, {left} left"),
            None => format!("**missed** by {}", sum.brotli - sum.budget),
        };
        text += &format!("| the budget of what is {}: {verdict} | | | {} |\n", sum.what, sum.budget);
    }
    text
}

fn rows_table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let met = row.met.map_or("", |met| if met { "met" } else { "**missed**" });
        format!("| {} | {} | {} | {met} |\n", row.what, row.value, row.aim)
    };
    "| measured | | aim | |\n|---|---:|---|---|\n".to_owned() + &rows.iter().map(line).collect::<String>()
}

fn write(workspace: &Workspace, table: &str) -> Result<()> {
    let path = workspace.path("docs/benchmarks.md");
    let old = std::fs::read_to_string(&path).unwrap_or_else(|_| format!("# Benchmarks\n\n{BEGIN}\n{END}\n"));
    let parts = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else { bail!("{} lacks the lines {BEGIN} and {END}", path.display()) };
    stamp::write(&path, format!("{head}{BEGIN}\n\n{table}\n{END}{tail}").as_bytes())
}
