//! From sources to a relay that carries the page: wasm, page, sizes, relay.

use anyhow::{Context, Result};

use crate::sizes::Size;
use crate::workspace::Workspace;
use crate::{page, sizes, tools, wasm};

/// Builds all that is not up to date; answers the page's sizes. What the budget says is the caller's to ask: a page that
/// grew too large still runs, so its tests can.
pub fn everything(workspace: &Workspace) -> Result<Vec<Size>> {
    tools::ensure_node_modules(workspace)?;
    wasm::modules(workspace)?;
    let built = page::build(workspace)?;
    let sizes = sizes::of_page(workspace)?;
    if built || sizes::check_budget(&sizes).is_err() {
        sizes::print(&sizes);
    }
    relay(workspace)?;
    Ok(sizes)
}

/// Builds everything, and fails when the page is over its budget.
pub fn within_budget(workspace: &Workspace) -> Result<()> {
    sizes::check_budget(&everything(workspace)?)
}

/// Builds the liars of the end-to-end tests; they embed the same page.
pub fn harness(workspace: &Workspace) -> Result<()> {
    tools::run(tools::cargo(workspace).args(["build", "--release", "--package", "ledgerno-harness"]))
        .context("the harness does not build")
}

/// Builds the relay in release mode; it embeds the page as it lies in web/dist.
pub fn relay(workspace: &Workspace) -> Result<()> {
    tools::run(tools::cargo(workspace).args(["build", "--release", "--package", "ledgerno-relay"]))
        .context("the relay does not build")
}
