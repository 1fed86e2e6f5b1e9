//! Who loads which file of the page, by Vite's manifest: the graph of its imports.
//!
//! Everybody loads the entry, what it imports statically, and the styles and assets of all these (the node's module is one);
//! and once the page is drawn, what may be needed without the relay. Of the languages each is imported on its own and one is
//! always loaded. What else is imported dynamically comes on demand, with whatever it needs that the entry has not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What `App.svelte` fetches once the page is drawn.
const AFTERWARDS: &str = "web/src/more/Peer.svelte";
/// The languages' sources, `ja.ts` and so on, and before them the mark of the rest of their words.
const LANGUAGES: &str = "web/src/i18n/";
const REST: &str = "more.";

/// When a visitor loads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// With the page, or once it is drawn.
    Always,
    /// One of these languages, likewise.
    Language(usize),
    /// When it is asked for.
    OnDemand,
}

/// The files that are not everybody's.
#[derive(Debug)]
pub struct Graph {
    languages: Vec<BTreeSet<String>>,
    on_demand: BTreeSet<String>,
}

impl Graph {
    /// Reads the manifest.
    pub fn read(manifest: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(manifest).with_context(|| format!("{}", manifest.display()))?;
        Self::of(&serde_json::from_str(&text).context("the page's manifest")?)
    }

    fn of(manifest: &Value) -> Result<Self> {
        let chunks = manifest.as_object().context("the page's manifest is no object")?;
        let is = |chunk: &Value, mark: &str| chunk[mark].as_bool().unwrap_or(false);
        let entries = chunks.iter().filter(|(_, chunk)| is(chunk, "isEntry"));
        let mut entries: Vec<_> = entries.map(|(name, _)| name.as_str()).collect();
        if entries.is_empty() {
            bail!("the page's manifest has no entry");
        }
        entries.push(AFTERWARDS);
        let always = reach(manifest, entries);
        let (mut languages, mut on_demand) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
        for (name, _) in chunks.iter().filter(|(_, chunk)| is(chunk, "isDynamicEntry")) {
            let language = name.strip_prefix(LANGUAGES).map(|file| file.strip_prefix(REST).unwrap_or(file));
            let files = language.map_or(&mut on_demand, |language| languages.entry(language).or_default());
            files.extend(reach(manifest, vec![name]).difference(&always).cloned());
        }
        let languages: Vec<_> = languages.into_values().collect();
        on_demand.retain(|file| languages.iter().all(|files| !files.contains(file)));
        Ok(Self { languages, on_demand })
    }

    /// When a file is loaded. One that the manifest does not know is counted as everybody's.
    pub fn load(&self, file: &str) -> Load {
        match self.languages.iter().position(|files| files.contains(file)) {
            Some(language) => Load::Language(language),
            None if self.on_demand.contains(file) => Load::OnDemand,
            None => Load::Always,
        }
    }
}

/// The files of these chunks and of all that they import statically.
fn reach<'a>(manifest: &'a Value, mut names: Vec<&'a str>) -> BTreeSet<String> {
    let (mut seen, mut files) = (BTreeSet::new(), BTreeSet::new());
    while let Some(name) = names.pop() {
        if !seen.insert(name) {
            continue;
        }
        let chunk = &manifest[name];
        let list = |key: &'static str| chunk[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        files.extend(chunk["file"].as_str().into_iter().chain(list("css")).chain(list("assets")).map(str::to_owned));
        names.extend(list("imports"));
    }
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_loads_what_follows_from_the_imports() {
        let graph = Graph::of(&serde_json::json!({
            "index.html": {
                "file": "entry.js", "isEntry": true, "imports": ["_shared.js"], "css": ["page.css"], "assets": ["node.wasm"],
                "dynamicImports": ["web/src/i18n/en.ts", "web/src/i18n/ja.ts", "web/src/Proof.svelte"],
            },
            "_shared.js": { "file": "shared.js" },
            "_words.js": { "file": "words.js" },
            "web/src/i18n/en.ts": { "file": "en.js", "isDynamicEntry": true, "imports": ["index.html"] },
            "web/src/i18n/ja.ts": { "file": "ja.js", "isDynamicEntry": true, "imports": ["index.html"] },
            "web/src/i18n/more.ja.ts": { "file": "more.ja.js", "isDynamicEntry": true, "imports": ["index.html"] },
            "web/src/more/Peer.svelte": { "file": "peer.js", "isDynamicEntry": true, "css": ["peer.css"] },
            "web/src/Proof.svelte": {
                "file": "proof.js", "isDynamicEntry": true, "imports": ["index.html", "_words.js"],
                "css": ["proof.css"], "assets": ["proof.wasm", "node.wasm"],
            },
        }))
        .unwrap();
        for always in ["entry.js", "shared.js", "page.css", "node.wasm", "peer.js", "peer.css", "index.html", "unknown"]
        {
            assert_eq!(graph.load(always), Load::Always, "{always}");
        }
        for (file, language) in [("en.js", 0), ("ja.js", 1), ("more.ja.js", 1)] {
            assert_eq!(graph.load(file), Load::Language(language), "{file}");
        }
        for on_demand in ["proof.js", "proof.css", "proof.wasm", "words.js"] {
            assert_eq!(graph.load(on_demand), Load::OnDemand, "{on_demand}");
        }
    }

    #[test]
    fn a_manifest_without_an_entry_is_refused() {
        assert!(Graph::of(&serde_json::json!({ "a.ts": { "file": "a.js" } })).is_err());
    }
}
