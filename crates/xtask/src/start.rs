//! `start`: build what is missing, then become the relay.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{build, sizes};

/// Runs the relay in the clone's root with the given arguments.
pub fn start(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    if let Err(over) = sizes::check_budget(&build::everything(workspace)?) {
        eprintln!("warning: {over}");
    }
    let mut relay = Command::new(workspace.relay());
    relay.current_dir(workspace.root()).args(arguments);
    become_it(&mut relay).context("the relay does not start")
}

/// The relay takes this process over, so that a signal reaches it and not a parent that leaves it behind.
#[cfg(unix)]
fn become_it(relay: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(relay.exec().into())
}

#[cfg(not(unix))]
fn become_it(relay: &mut Command) -> Result<ExitCode> {
    Ok(if relay.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
