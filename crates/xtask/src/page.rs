//! The page: Vite builds it into web/dist, and each file gets its compressed forms beside it, as browsers ask for them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::stamp::{self, Inputs};
use crate::tools;
use crate::workspace::Workspace;

/// Below this a compressed form saves nothing on the wire.
const WORTH_COMPRESSING: u64 = 200;

/// Where Vite writes its manifest, within what it builds (vite.config.ts).
const MANIFEST: &str = "manifest.json";

const INPUTS: [&str; 10] = [
    "index.html",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
    "crates/wasm/npm/package.json",
    "crates/wasm/npm/pkg",
    "crates/wasm/npm/pkg-proof",
    "crates/wasm/npm/src",
    "web/src",
];

/// Builds the page unless it is up to date; true if it was built.
pub fn build(workspace: &Workspace) -> Result<bool> {
    let out = workspace.path("web/dist");
    let manifest = manifest(workspace);
    let mut inputs = Inputs::new("page 2");
    for input in INPUTS.into_iter().chain(["web/public"]) {
        inputs.path(&workspace.path(input))?;
    }
    if !manifest.exists() {
        stamp::forget(workspace, "page")?;
    }
    stamp::unless_done(workspace, "page", &inputs, &out, || {
        println!("Building the page");
        let mut vite = tools::node(workspace);
        tools::run(vite.args(["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"]))
            .context("the page does not build")?;
        // It is for us and not for visitors, who would be served all that lies in web/dist.
        let built = out.join(MANIFEST);
        stamp::write(&manifest, &std::fs::read(&built).context("the page's manifest")?)?;
        std::fs::remove_file(&built).with_context(|| format!("{}", built.display()))?;
        stamp::files(&out)?.iter().try_for_each(|file| compress(file))
    })
}

/// Vite's manifest of the page that was built last: which file imports which.
pub fn manifest(workspace: &Workspace) -> PathBuf {
    workspace.target("xtask/page-manifest.json")
}

/// Writes `file.br` and `file.gz` where they are smaller than the file.
fn compress(file: &Path) -> Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    if bytes.len() as u64 <= WORTH_COMPRESSING {
        return Ok(());
    }
    for (suffix, packed) in [("br", brotli(&bytes)?), ("gz", gzip(&bytes)?)] {
        if packed.len() < bytes.len() {
            stamp::write(&beside(file, suffix), &packed)?;
        }
    }
    Ok(())
}

/// The name of a file's compressed form.
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Brotli at its best, with the widest window that browsers read.
pub fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let parameters =
        brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, size_hint: bytes.len(), ..Default::default() };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters).context("brotli")?;
    Ok(packed)
}

/// Gzip at its best.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).context("gzip")?;
    encoder.finish().context("gzip")
}
