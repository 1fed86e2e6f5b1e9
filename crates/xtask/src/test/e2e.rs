//! Whole stories over the relay and real browsers: `tests/e2e/*.mjs`.

use anyhow::Result;

use super::{Options, Report, scripts};
use crate::workspace::Workspace;
use crate::{build, sizes};

/// Builds the relay with its page, and runs the stories one after the other.
pub fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    let tests = build_and_run(workspace, options, report);
    report.step("end to end", tests);
}

fn build_and_run(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    let files = scripts::files(workspace, "tests/e2e", options.long)?;
    if files.is_empty() {
        return Ok(());
    }
    let page = build::everything(workspace)?;
    build::harness(workspace)?;
    if options.filter.is_none() {
        let name = "the page is within its budget";
        if report.step(name, sizes::check_budget(&page)) {
            report.add(name, true);
        }
    }
    scripts::run(workspace, options, report, "e2e", files, |node| {
        node.env("LEDGERNO_RELAY", workspace.relay()).env("LEDGERNO_HARNESS", workspace.harness());
    })
}
