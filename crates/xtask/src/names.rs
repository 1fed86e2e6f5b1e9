//! Shortens the names by which a bound module and its JavaScript call each other. wasm-bindgen's say what they do and end
//! in a hash; both files hold each, and hashes do not pack.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use walrus::ModuleConfig;

/// Renames in `STEM_bg.wasm` and `STEM.js` alike.
pub fn shorten(folder: &Path, stem: &str) -> Result<()> {
    let (module, script) = (folder.join(format!("{stem}_bg.wasm")), folder.join(format!("{stem}.js")));
    let mut wasm = ModuleConfig::new()
        .generate_producers_section(false)
        .parse_file(&module)
        .with_context(|| format!("{}", module.display()))?;
    let imports = wasm.imports.iter_mut().map(|import| &mut import.name);
    let exports = wasm.exports.iter_mut().map(|export| &mut export.name);
    let mut short = HashMap::new();
    for name in imports.chain(exports).filter(|name| is_generated(name)) {
        let next = format!("${}", short.len());
        *name = short.entry(std::mem::take(name)).or_insert(next).clone();
    }
    let text = std::fs::read_to_string(&script).with_context(|| format!("{}", script.display()))?;
    std::fs::write(&script, renamed(&text, &short)).with_context(|| format!("{}", script.display()))?;
    wasm.emit_wasm_file(&module).with_context(|| format!("{}", module.display()))
}

/// Those that nobody but the script calls by.
fn is_generated(name: &str) -> bool {
    name.starts_with("__wb") || name.starts_with("wasm_bindgen__")
}

/// The script, every whole word that has a short form in it.
fn renamed(script: &str, short: &HashMap<String, String>) -> String {
    let is_word = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '$';
    let mut text = String::with_capacity(script.len());
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|sign| is_word(sign) != is_word(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        text.push_str(short.get(word).map_or(word, String::as_str));
        rest = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_renamed() {
        let short =
            HashMap::from([("__wbg_get_1f".to_owned(), "$0".to_owned()), ("__wbg_".to_owned(), "$1".to_owned())]);
        let script = "{__wbg_get_1f: f(wasm.__wbg_), a: '__wbg_get_1f2', ü__wbg_: 1}";
        assert_eq!(renamed(script, &short), "{$0: f(wasm.$1), a: '__wbg_get_1f2', ü__wbg_: 1}");
    }
}
