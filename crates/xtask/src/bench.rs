//! `bench`: what the page weighs, what the relay needs, how fast the paths are. A table on the screen and in
//! docs/benchmarks.md, between two markers; the words around it are written by hand.

use std::fmt::Write as _;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{build, sizes, stamp, tools};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// One measured value: what, how much, and what it shall be.
struct Row {
    what: String,
    value: String,
    aim: String,
}

/// Builds, measures, prints and writes.
pub fn run(workspace: &Workspace) -> Result<()> {
    let page = build::everything(workspace)?;
    let relay = std::fs::metadata(workspace.relay()).context("the relay")?.len();
    let mut rows = vec![Row {
        what: "relay, size of the stripped binary".into(),
        value: format!("{:.1} MB", relay as f64 / 1e6),
        aim: "at most 20 MB".into(),
    }];
    for script in scripts(workspace)? {
        rows.extend(measure(workspace, &script)?);
    }
    let table = format!("{}\n{}", sizes_table(&page), rows_table(&rows));
    println!("\n{table}");
    write(workspace, &table)
}

/// `tests/bench/*.mjs`: each prints a JSON array of `{what, value, aim}` on its last line.
fn scripts(workspace: &Workspace) -> Result<Vec<std::path::PathBuf>> {
    let mut scripts = stamp::files(&workspace.path("tests/bench"))?;
    scripts.retain(|script| script.extension().is_some_and(|extension| extension == "mjs"));
    Ok(scripts)
}

fn measure(workspace: &Workspace, script: &std::path::Path) -> Result<Vec<Row>> {
    let name = script.display();
    println!("Measuring by {name}");
    let mut node = tools::node(workspace);
    node.arg(script).env("LEDGERNO_RELAY", workspace.relay()).stderr(Stdio::inherit());
    let output = node.output().with_context(|| format!("{name}"))?;
    if !output.status.success() {
        bail!("{name} failed ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    let values: Vec<serde_json::Value> = serde_json::from_str(last).with_context(|| format!("{name}: {last}"))?;
    let part = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let row = |value| Row { what: part(value, "what"), value: part(value, "value"), aim: part(value, "aim") };
    Ok(values.iter().map(row).collect())
}

fn sizes_table(page: &[sizes::Size]) -> String {
    let mut text = String::from("| the page loads, bytes | raw | gzip | brotli |\n|---|---:|---:|---:|\n");
    for size in page.iter().chain([&sizes::total(page)]) {
        let line = writeln!(text, "| {} | {} | {} | {} |", size.name, size.raw, size.gzip, size.brotli);
        debug_assert!(line.is_ok(), "a String takes all");
    }
    text
}

fn rows_table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| format!("| {} | {} | {} |\n", row.what, row.value, row.aim));
    "| measured | | aim |\n|---|---:|---|\n".to_owned() + &lines.collect::<String>()
}

fn write(workspace: &Workspace, table: &str) -> Result<()> {
    let path = workspace.path("docs/benchmarks.md");
    let old = std::fs::read_to_string(&path).unwrap_or_else(|_| format!("# Benchmarks\n\n{BEGIN}\n{END}\n"));
    let parts = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else { bail!("{} lacks the lines {BEGIN} and {END}", path.display()) };
    stamp::write(&path, format!("{head}{BEGIN}\n\n{table}\n{END}{tail}").as_bytes())
}
