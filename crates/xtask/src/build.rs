//! From sources to a relay that carries the page: wasm, page, sizes, relay.

use anyhow::{Context, Result};

use crate::sizes::Size;
use crate::workspace::Workspace;
use crate::{page, sizes, tools, wasm};

/// Builds all that is not up to date; answers the page's sizes. Fails when the page is over its budget.
pub fn everything(workspace: &Workspace) -> Result<Vec<Size>> {
    tools::ensure_node_modules(workspace)?;
    wasm::module(workspace)?;
    let built = page::build(workspace)?;
    let sizes = sizes::of_page(workspace)?;
    let within = sizes::check_budget(&sizes);
    if built || within.is_err() {
        sizes::print(&sizes);
    }
    within?;
    relay(workspace)?;
    Ok(sizes)
}

/// Builds the relay in release mode; it embeds the page as it lies in web/dist.
fn relay(workspace: &Workspace) -> Result<()> {
    tools::run(tools::cargo(workspace).args(["build", "--release", "--package", "ledgerno-relay"]))
        .context("the relay does not build")
}
