//! How much a visitor loads, with the page and on demand, and the budgets for both.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::graph::{Graph, Load};
use crate::page::{self, beside};
use crate::stamp;
use crate::workspace::Workspace;

/// All that everybody loads, in one language, compressed by brotli: at most this many bytes (560 KB).
pub const BUDGET: u64 = 560_000;
/// All that comes on demand, together, compressed by brotli: at most this many bytes (150 KB).
pub const ON_DEMAND_BUDGET: u64 = 150_000;

/// One file of the page in its three forms, in bytes; a form that is not smaller counts as the file itself.
pub struct Size {
    pub name: String,
    pub load: Load,
    pub raw: u64,
    pub gzip: u64,
    pub brotli: u64,
}

/// A sum over files, its budget, and what is loaded so.
pub struct Sum {
    pub what: &'static str,
    pub raw: u64,
    pub gzip: u64,
    pub brotli: u64,
    pub budget: u64,
}

/// The files of web/dist, largest first.
pub fn of_page(workspace: &Workspace) -> Result<Vec<Size>> {
    let folder = workspace.path("web/dist");
    let graph = Graph::read(&page::manifest(workspace))?;
    let mut sizes = Vec::new();
    for file in stamp::files(&folder)? {
        if file.extension().is_some_and(|extension| extension == "br" || extension == "gz") {
            continue;
        }
        let raw = length(&file)?;
        let form = |suffix| length(&beside(&file, suffix)).unwrap_or(raw);
        let name = file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        sizes.push(Size { load: graph.load(&name), name, raw, gzip: form("gz"), brotli: form("br") });
    }
    sizes.sort_by(|one, other| other.brotli.cmp(&one.brotli).then_with(|| one.name.cmp(&other.name)));
    Ok(sizes)
}

fn length(file: &Path) -> Result<u64> {
    Ok(std::fs::metadata(file).with_context(|| format!("{}", file.display()))?.len())
}

/// What everybody loads, of the languages the largest; and what comes on demand.
pub fn sums(sizes: &[Size]) -> [Sum; 2] {
    let of = |load| sizes.iter().filter(move |size| size.load == load);
    let languages = (0..).map(|number| of(Load::Language(number))).take_while(|files| files.clone().next().is_some());
    let language = languages.max_by_key(|files| files.clone().map(|size| size.brotli).sum::<u64>());
    let sum = |what, budget, files: Vec<&Size>| Sum {
        what,
        budget,
        raw: files.iter().map(|size| size.raw).sum(),
        gzip: files.iter().map(|size| size.gzip).sum(),
        brotli: files.iter().map(|size| size.brotli).sum(),
    };
    [
        sum(
            "loaded by everybody, in one language",
            BUDGET,
            of(Load::Always).chain(language.into_iter().flatten()).collect(),
        ),
        sum("loaded on demand", ON_DEMAND_BUDGET, of(Load::OnDemand).collect()),
    ]
}

/// The table on the screen.
pub fn print(sizes: &[Size]) {
    let row = |what: &str, raw, gzip, brotli| println!("{what:<52} {raw:>10} {gzip:>10} {brotli:>10}");
    println!("{:<52} {:>10} {:>10} {:>10}", "the page", "raw", "gzip", "brotli");
    for size in sizes {
        row(&label(size), size.raw, size.gzip, size.brotli);
    }
    for sum in sums(sizes) {
        row(sum.what, sum.raw, sum.gzip, sum.brotli);
        println!("{:<52} {:>32}", "budget", sum.budget);
    }
}

/// A file's name, and that it comes on demand.
pub fn label(size: &Size) -> String {
    format!("{}{}", size.name, if size.load == Load::OnDemand { " (on demand)" } else { "" })
}

/// Fails when the page is over a budget.
pub fn check_budget(sizes: &[Size]) -> Result<()> {
    for sum in sums(sizes) {
        if sum.brotli > sum.budget {
            bail!(
                "{}: {} bytes (brotli), {} over the budget of {}",
                sum.what,
                sum.brotli,
                sum.brotli - sum.budget,
                sum.budget
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(load: Load, brotli: u64) -> Size {
        Size { name: "a".into(), load, raw: 9, gzip: 9, brotli }
    }

    #[test]
    fn of_the_languages_the_larger_counts() {
        let sizes = [
            file(Load::Language(0), 6),
            file(Load::Language(1), 3),
            file(Load::Language(1), 4),
            file(Load::Always, 1),
            file(Load::OnDemand, 7),
            file(Load::OnDemand, 8),
        ];
        assert_eq!(sums(&sizes).map(|sum| sum.brotli), [8, 15]);
    }

    #[test]
    fn each_budget_holds_to_the_byte() {
        let page = |always, on_demand| check_budget(&[file(Load::Always, always), file(Load::OnDemand, on_demand)]);
        assert!(page(BUDGET, ON_DEMAND_BUDGET).is_ok());
        assert!(page(BUDGET + 1, 0).is_err());
        assert!(page(1, ON_DEMAND_BUDGET + 1).is_err());
    }
}
