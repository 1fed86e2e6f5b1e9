//! The compiler of the page's module: rustc, told less.
//!
//! Cargo adds up the features of a crate over all that depend on it, and nothing can take one away again. The curve's
//! tables for its base point are such a feature: 38 KB that nothing packs, asked for by libraries of which none needs
//! them. Without, a signature costs a fraction of a millisecond more, and batches of them are checked as fast. So cargo
//! calls xtask in rustc's place (`RUSTC_WRAPPER`), and xtask calls rustc without that feature.
//!
//! It also tells rustc some things that only nightly compilers listen to, unless they are told by `RUSTC_BOOTSTRAP`. They
//! are about what is said in panics; about functions that are alike, which stay apart until [`crate::quiet`] has emptied
//! what nobody reads by its name, for what it empties must not be another function as well; and about the few functions
//! that are compiled to be fast where all else is to be small (`optimize(speed)`, under `cfg(page)`). None of them changes
//! what a program means.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Set when cargo calls xtask as its compiler.
const MARK: &str = "LEDGERNO_PAGE_COMPILER";
/// What each crate is built without.
const WITHOUT: [(&str, &str); 1] = [("curve25519_dalek", "precomputed-tables")];

/// What rustc is told beyond: functions that are alike stay apart; panics do not say where in the source they are; names
/// are as stable compilers make them; and some functions may ask to be fast.
const UNSTABLE: [&str; 5] = [
    "-Zmerge-functions=disabled",
    "-Zlocation-detail=none",
    "-Zunstable-options",
    "-Csymbol-mangling-version=legacy",
    "-Zcrate-attr=feature(optimize_attribute)",
];

/// Makes cargo call this program for rustc.
pub fn install(cargo: &mut Command) -> Result<()> {
    cargo.env("RUSTC_WRAPPER", std::env::current_exe()?).env(MARK, "1");
    Ok(())
}

/// A flag for rustc that says how it is called, so that cargo builds anew when this changes.
pub fn flag() -> String {
    let without: Vec<String> = WITHOUT.iter().map(|(krate, feature)| format!("{krate}/{feature}")).collect();
    format!("--cfg=page=\"{};{}\" --cfg=page", without.join(","), UNSTABLE.join(","))
}

/// Calls rustc if cargo means us to.
pub fn called() -> Option<Result<ExitCode>> {
    std::env::var_os(MARK)?;
    let mut words = std::env::args_os().skip(1);
    let rustc = words.next()?;
    Some(call(&rustc, &words.collect::<Vec<_>>()))
}

fn call(rustc: &OsStr, words: &[OsString]) -> Result<ExitCode> {
    let mut command = Command::new(rustc);
    command.args(less(words));
    if of_the_page(words) {
        command.env("RUSTC_BOOTSTRAP", "1").args(UNSTABLE);
    }
    let status = command.status().with_context(|| format!("{}", Path::new(rustc).display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The words without `--cfg feature="…"` where that feature is one to leave out. What is built for the builder's own
/// machine stays as it is.
fn less(words: &[OsString]) -> Vec<&OsStr> {
    let page = of_the_page(words);
    let without: Vec<String> = WITHOUT
        .iter()
        .filter(|(krate, _)| page && follows(words, "--crate-name", krate))
        .map(|(_, feature)| format!("feature=\"{feature}\""))
        .collect();
    let mut kept: Vec<&OsStr> = Vec::with_capacity(words.len());
    for word in words {
        if without.iter().any(|feature| word == feature.as_str()) && kept.last().is_some_and(|last| *last == "--cfg") {
            kept.pop();
        } else {
            kept.push(word);
        }
    }
    kept
}

/// Whether cargo compiles a crate for the page. Build scripts that try what a compiler can do name no metadata.
fn of_the_page(words: &[OsString]) -> bool {
    let named = |word: &OsString| word.to_string_lossy().starts_with("metadata=");
    follows(words, "--target", crate::tools::WASM) && words.iter().any(named)
}

fn follows(words: &[OsString], one: &str, other: &str) -> bool {
    words.windows(2).any(|pair| pair[0] == one && pair[1] == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        less(&words).join(OsStr::new(" ")).into_string().unwrap_or_default()
    }

    #[test]
    fn the_feature_goes_from_that_crate_for_the_page_only() {
        let page = |krate: &str, feature: &str| {
            format!(
                "--crate-name {krate} --cfg feature=\"alloc\" {feature}-C metadata=1 --target wasm32-unknown-unknown"
            )
        };
        let tables = "--cfg feature=\"precomputed-tables\" ";
        assert_eq!(called(&page("curve25519_dalek", tables)), page("curve25519_dalek", ""));
        assert_eq!(called(&page("x25519_dalek", tables)), page("x25519_dalek", tables));
        let native = page("curve25519_dalek", tables).replace("wasm32-unknown-unknown", "x86_64-unknown-linux-gnu");
        assert_eq!(called(&native), native);
    }
}
