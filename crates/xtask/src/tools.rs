//! The programs that the steps call: cargo, rustup, npm and node, and how each is got when it is missing.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stamp::Inputs;
use crate::workspace::Workspace;

/// The page's target.
pub const WASM: &str = "wasm32-unknown-unknown";
/// A target without an operating system: what builds for it needs no std.
pub const BARE_METAL: &str = "thumbv7em-none-eabihf";

/// Cargo in the clone. What `cargo run` put into the environment for xtask is taken out again: some build scripts watch
/// these variables, and would otherwise rebuild at every change between a call from here and one by hand.
pub fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace.root());
    for (key, _) in std::env::vars_os() {
        let Some(name) = key.to_str() else { continue };
        let for_xtask = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter();
        if for_xtask.clone().any(|prefix| name.starts_with(prefix)) || matches!(name, "CARGO" | "LD_LIBRARY_PATH") {
            command.env_remove(key);
        }
    }
    command
}

/// Node in the clone.
pub fn node(workspace: &Workspace) -> Command {
    let mut command = Command::new("node");
    command.current_dir(workspace.root());
    command
}

/// Runs a command to its end with our output; an error names it.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} does not start", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).take(4).collect::<Vec<_>>().join(" ")
}

/// Installs a compilation target by rustup when the compiler in use lacks it.
pub fn ensure_target(workspace: &Workspace, target: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(workspace.root()).args(["--print", "target-libdir", "--target", target]);
    let output = rustc.output().context("rustc does not start")?;
    if output.status.success() && std::path::Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    println!("Installing the target {target}");
    run(Command::new("rustup").current_dir(workspace.root()).args(["target", "add", target]))
        .with_context(|| format!("install the target {target} for this compiler"))
}

/// Installs the npm packages when they are missing or the lockfile changed.
pub fn ensure_node_modules(workspace: &Workspace) -> Result<()> {
    check_node(workspace)?;
    let mut inputs = Inputs::new("npm ci");
    for manifest in ["package.json", "package-lock.json", ".npmrc", "crates/wasm/npm/package.json"] {
        inputs.path(&workspace.path(manifest))?;
    }
    let wanted = inputs.finish();
    // The stamp lies inside, so that it goes when the folder goes.
    let stamp = workspace.path("node_modules/.ledgerno");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    println!("Installing the npm packages");
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm).current_dir(workspace.root()).arg("ci"))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("{}", stamp.display()))
}

fn check_node(workspace: &Workspace) -> Result<()> {
    let output = node(workspace).arg("--version").output().context("Node 20.19 or newer is needed (nodejs.org)")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < (20, 19) {
        bail!("Node 20.19 or newer is needed, this is {version}");
    }
    Ok(())
}
