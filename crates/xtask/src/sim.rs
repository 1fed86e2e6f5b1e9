//! `sim`: builds the simulator in release mode and hands it the arguments.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::tools;
use crate::workspace::Workspace;

/// Runs the simulator; its exit code is ours.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    let mut cargo = tools::cargo(workspace);
    cargo.args(["run", "--quiet", "--release", "--package", "ledgerno-sim", "--"]).args(arguments);
    let status = cargo.status().context("cargo does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
