//! Rust to a wasm module with its JavaScript: cargo, wasm-bindgen (as a library, of the one pinned version), wasm-opt.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::compiler;
use crate::names;
use crate::quiet;
use crate::stamp::{self, Inputs};
use crate::tools::{self, WASM};
use crate::workspace::Workspace;

/// What rustc emits for the target; the module may use no more, so that every browser of the last years reads it.
const FEATURES: [&str; 7] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];
/// Without inlining: it makes the module smaller and its brotli form 46 KB larger, for LLVM's repetitions compress well.
/// `-Os` until nothing changes is 3 KB of brotli smaller than `-Oz`, though raw it is larger.
const OPTIMIZE: [&str; 7] = [
    "-Os",
    "--converge",
    "--skip-pass=inlining",
    "--skip-pass=inlining-optimizing",
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
];

/// What a page loads at once, and what it loads when it is asked for: crate, and folder in the npm package.
const MODULES: [(&str, &str); 2] = [("ledgerno-wasm", "pkg"), ("ledgerno-proof", "pkg-proof")];

/// Builds the page's modules into the npm package.
pub fn modules(workspace: &Workspace) -> Result<()> {
    MODULES.iter().try_for_each(|(name, folder)| module(workspace, name, folder))
}

fn module(workspace: &Workspace, name: &str, folder: &str) -> Result<()> {
    let compiled = compile(workspace, name)?;
    let package = workspace.path("crates/wasm/npm").join(folder);
    let mut inputs = Inputs::new("wasm module 3");
    inputs.path(&compiled)?;
    inputs.path(&workspace.path("node_modules/binaryen/package.json"))?;
    for option in FEATURES.iter().chain(&OPTIMIZE) {
        inputs.text(option);
    }
    stamp::unless_done(workspace, name, &inputs, &package, || {
        println!("Making the module {name} small");
        bind(&compiled, &package)?;
        optimize(workspace, &package.join(format!("{}_bg.wasm", name.replace('-', "_"))))
    })?;
    Ok(())
}

/// Builds a crate of tests for a page; answers the folder where it is.
pub fn for_tests(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let compiled = compile(workspace, name)?;
    bound(workspace, name, &compiled, bind)
}

/// Builds an example for a page by cargo alone, as who finds it does: with debug information and all texts of libraries,
/// which our page's compiler leaves out.
pub fn example(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    tools::ensure_target(workspace, WASM)?;
    tools::run(tools::cargo(workspace).args(["build", "--target", WASM, "--package", name]))
        .with_context(|| format!("{name} does not build for a page"))?;
    let compiled = workspace.target(&format!("{WASM}/debug/{}.wasm", name.replace('-', "_")));
    bound(workspace, name, &compiled, |compiled, out| {
        empty(out)?;
        let mut bindgen = Bindgen::new();
        bindgen.input_path(compiled).web(true)?.omit_default_module_path(false);
        bindgen.generate(out).context("wasm-bindgen failed")
    })
}

/// The folder where a compiled module's JavaScript is.
fn bound(
    workspace: &Workspace,
    name: &str,
    compiled: &Path,
    bind: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let package = workspace.target(&format!("xtask/{name}"));
    let mut inputs = Inputs::new("browser tests 1");
    inputs.path(compiled)?;
    stamp::unless_done(workspace, name, &inputs, &package, || bind(compiled, &package))?;
    Ok(package)
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    Ok(())
}

/// Builds a cdylib crate of the workspace for the page; cargo knows itself when nothing changed.
pub fn compile(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    tools::ensure_target(workspace, WASM)?;
    let mut cargo = tools::cargo(workspace);
    compiler::install(&mut cargo)?;
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", rust_flags());
    tools::run(cargo.args(["build", "--profile", "web", "--target", WASM, "--package", package]))
        .with_context(|| format!("{package} does not build for the page"))?;
    Ok(workspace.target(&format!("{WASM}/web/{}.wasm", package.replace('-', "_"))))
}

/// SIMD, which browsers have since 2021 (Safari since 2023), takes entries in 8 % faster. Panics name no folder of the
/// builder's machine: cargo calls the workspace's own files by their place in it, but those of libraries by their place
/// in its home.
fn rust_flags() -> String {
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned(), compiler::flag()];
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    for registry in registries.into_iter().flatten().flatten() {
        flags.push(format!("--remap-path-prefix={}=lib", registry.path().display()));
    }
    flags.join(" ")
}

/// Writes the module and its JavaScript and types into a folder, emptied first.
pub fn bind(compiled: &Path, out: &Path) -> Result<()> {
    empty(out)?;
    let bytes = std::fs::read(compiled).with_context(|| format!("{}", compiled.display()))?;
    let name = compiled.file_stem().context("a module without a name")?.to_string_lossy();
    Bindgen::new()
        .input_bytes(&name, quiet::module(&bytes)?)
        .web(true)?
        .typescript(true)
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)
        .context("wasm-bindgen failed")?;
    names::shorten(out, &name)
}

/// Makes a bound module as small as the page's.
pub fn optimize(workspace: &Workspace, module: &Path) -> Result<()> {
    let mut command = tools::node(workspace);
    command.arg("node_modules/binaryen/bin/wasm-opt").args(FEATURES).args(OPTIMIZE);
    tools::run(command.arg(module).arg("-o").arg(module)).context("wasm-opt failed")
}
