//! Bakes the page into the binary: every file of the page's build output becomes one row of a table, with the brotli
//! (`.br`) and gzip (`.gz`) forms that lie beside it. Without a page the table is empty and the relay says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed=LEDGERNO_PAGE_DIR");
    println!("cargo:rerun-if-changed=build.rs");
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let page = match env::var_os("LEDGERNO_PAGE_DIR") {
        Some(folder) => here.join(folder),
        None => here.join("../web/dist"),
    };
    println!("cargo:rerun-if-changed={}", page.display());

    let mut files = Vec::new();
    if page.join("index.html").is_file() {
        collect(&page.canonicalize()?, &mut files)?;
        files.sort();
    } else {
        println!("cargo:warning=no page in {}: the relay will serve none (build it first)", page.display());
    }
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("page.rs"), table(&page.canonicalize().unwrap_or(page), &files))
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The table's source. A compressed form is a column of its original, never a row of its own.
fn table(page: &Path, files: &[PathBuf]) -> String {
    let beside = |file: &Path, ending: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let is_packed = |file: &Path| {
        matches!(file.extension().and_then(|e| e.to_str()), Some("br" | "gz"))
            && files.iter().any(|other| *other == file.with_extension(""))
    };
    let column = |file: &Path| match files.iter().any(|other| other == file) {
        true => format!("Some(include_bytes!({:?}))", file.display().to_string()),
        false => "None".to_owned(),
    };
    let mut source = String::from("&[\n");
    for file in files.iter().filter(|file| !is_packed(file)) {
        let name = file.strip_prefix(page).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let row = writeln!(
            source,
            "    Embedded {{ path: {:?}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
            format!("/{name}"),
            file.display().to_string(),
            column(&beside(file, ".br")),
            column(&beside(file, ".gz")),
        );
        debug_assert!(row.is_ok(), "writing to a string does not fail");
    }
    source.push_str("]\n");
    source
}
