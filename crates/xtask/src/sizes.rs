//! How much a visitor loads, and the budget for it.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::page::beside;
use crate::stamp;
use crate::workspace::Workspace;

/// All that the page loads, compressed by brotli: at most this many bytes (520 KB).
pub const BUDGET: u64 = 520_000;
/// The module that is loaded when a proof is to be verified: at most this many bytes by itself (120 KB).
pub const PROOF_BUDGET: u64 = 120_000;
/// The languages: each is a file, and a visitor loads one (`web/src/i18n`); the largest counts.
const LANGUAGES: [&str; 2] = ["en", "ja"];

/// One file of the page in its three forms, in bytes; a form that is not smaller counts as the file itself.
pub struct Size {
    pub name: String,
    pub raw: u64,
    pub gzip: u64,
    pub brotli: u64,
}

/// The files of web/dist, largest first.
pub fn of_page(workspace: &Workspace) -> Result<Vec<Size>> {
    let folder = workspace.path("web/dist");
    let mut sizes = Vec::new();
    for file in stamp::files(&folder)? {
        if file.extension().is_some_and(|extension| extension == "br" || extension == "gz") {
            continue;
        }
        let raw = length(&file)?;
        let form = |suffix| length(&beside(&file, suffix)).unwrap_or(raw);
        let name = file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy().into_owned();
        sizes.push(Size { name, raw, gzip: form("gz"), brotli: form("br") });
    }
    sizes.sort_by(|one, other| other.brotli.cmp(&one.brotli).then_with(|| one.name.cmp(&other.name)));
    Ok(sizes)
}

fn length(file: &Path) -> Result<u64> {
    Ok(std::fs::metadata(file).with_context(|| format!("{}", file.display()))?.len())
}

/// The sum of what one visitor loads: everything, but of the languages the largest only, and nothing that is loaded when
/// it is asked for.
pub fn total(sizes: &[Size]) -> Size {
    let language = sizes.iter().filter(|size| is_language(size)).max_by_key(|size| size.brotli);
    let loaded = || sizes.iter().filter(|size| !is_language(size) && !is_proof(size)).chain(language);
    let sum = |part: fn(&Size) -> u64| loaded().map(part).sum();
    Size {
        name: "loaded, in one language".into(),
        raw: sum(|size| size.raw),
        gzip: sum(|size| size.gzip),
        brotli: sum(|size| size.brotli),
    }
}

fn is_proof(size: &Size) -> bool {
    size.name.starts_with("assets/ledgerno_proof") && size.name.ends_with(".wasm")
}

fn is_language(size: &Size) -> bool {
    let file = size.name.strip_prefix("assets/").filter(|file| file.ends_with(".js"));
    let stem = file.and_then(|file| file.split_once('-'));
    stem.is_some_and(|(language, _)| LANGUAGES.contains(&language))
}

/// The table on the screen.
pub fn print(sizes: &[Size]) {
    let all = total(sizes);
    println!("{:<44} {:>10} {:>10} {:>10}", "the page", "raw", "gzip", "brotli");
    for size in sizes.iter().chain([&all]) {
        println!("{:<44} {:>10} {:>10} {:>10}", size.name, size.raw, size.gzip, size.brotli);
    }
    println!("{:<44} {:>32}", "budget", BUDGET);
}

/// Fails when the page is over its budget.
pub fn check_budget(sizes: &[Size]) -> Result<()> {
    let brotli = total(sizes).brotli;
    if brotli > BUDGET {
        bail!("the page loads {brotli} bytes (brotli), {} over its budget of {BUDGET}", brotli - BUDGET);
    }
    if let Some(proof) = sizes.iter().find(|size| is_proof(size) && size.brotli > PROOF_BUDGET) {
        bail!("{} has {} bytes (brotli), over its budget of {PROOF_BUDGET}", proof.name, proof.brotli);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(brotli: u64) -> Vec<Size> {
        vec![Size { name: "a".into(), raw: 9, gzip: 9, brotli: 1 }, Size { name: "b".into(), raw: 9, gzip: 9, brotli }]
    }

    #[test]
    fn one_language_counts_the_larger() {
        let file = |name: &str, brotli| Size { name: name.into(), raw: 9, gzip: 9, brotli };
        let sizes = [file("assets/ja-A_-1.js", 5), file("assets/en-Bc.js", 3), file("assets/entry-x.js", 1)];
        assert_eq!(total(&sizes).brotli, 6);
    }

    #[test]
    fn what_is_loaded_on_demand_has_a_budget_of_its_own() {
        let proof = |brotli| Size { name: "assets/ledgerno_proof_bg-x.wasm".into(), raw: 9, gzip: 9, brotli };
        let with = |brotli| page(BUDGET - 1).into_iter().chain([proof(brotli)]).collect::<Vec<_>>();
        assert_eq!(total(&with(7)).brotli, BUDGET);
        assert!(check_budget(&with(PROOF_BUDGET)).is_ok());
        assert!(check_budget(&with(PROOF_BUDGET + 1)).is_err());
    }

    #[test]
    fn the_budget_holds_to_the_byte() {
        assert!(check_budget(&page(BUDGET - 1)).is_ok());
        assert!(check_budget(&page(BUDGET)).is_err());
    }
}
