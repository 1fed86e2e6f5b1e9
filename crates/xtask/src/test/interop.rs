//! Our network, the example of `crates/webrtc`, and js-libp2p in real browsers, at our relay: `tests/interop/*.mjs`.

use anyhow::Result;

use super::{Options, Report, scripts};
use crate::workspace::Workspace;
use crate::{build, tools, wasm};

/// Builds ours for a page, and the relay, with the page that lies there or without; then runs the tests.
pub fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    let tests = build_and_run(workspace, options, report);
    report.step("interop", tests);
}

fn build_and_run(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    let mut files = scripts::files(workspace, "tests/interop", options.long)?;
    let folder = workspace.path("tests/interop");
    files.retain(|file| file.parent() == Some(&folder));
    tools::ensure_node_modules(workspace)?;
    let ours = wasm::for_tests(workspace, "ledgerno-interop")?;
    let example = wasm::example(workspace, "ledgerno-webrtc-example")?;
    build::relay(workspace)?;
    scripts::run(workspace, options, report, "interop", files, |node| {
        node.env("LEDGERNO_RELAY", workspace.relay());
        node.env("LEDGERNO_INTEROP", ours).env("LEDGERNO_EXAMPLE", example);
    })
}
