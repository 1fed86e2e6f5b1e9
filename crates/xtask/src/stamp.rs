//! Skips a step whose inputs and outputs are as it left them.
//!
//! A stamp holds two hashes by content: of all that went in, and of all that came out. So a touched file rebuilds
//! nothing, and a removed or foreign output is made again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// What a step depends on, hashed by content.
pub struct Inputs(blake3::Hasher);

impl Inputs {
    /// Begins with the step's name, and whatever of its way of working a change shall redo it.
    pub fn new(step: &str) -> Self {
        let mut inputs = Self(blake3::Hasher::new());
        inputs.text(step);
        inputs
    }

    /// A piece of text.
    pub fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// A file, or all files of a folder. What does not exist counts as such.
    pub fn path(&mut self, path: &Path) -> Result<()> {
        for file in files(path)? {
            let bytes = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
            self.text(&file.to_string_lossy());
            self.0.update(&(bytes.len() as u64).to_le_bytes());
            self.0.update(&bytes);
        }
        self.text("end");
        Ok(())
    }

    /// The hash, as hex.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// Runs `step` unless `inputs` are those of its last run and `output` is what that run left. True if it ran.
pub fn unless_done(
    workspace: &Workspace,
    name: &str,
    inputs: &Inputs,
    output: &Path,
    step: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    let stamp = stamp(workspace, name);
    let state = || -> Result<String> {
        let mut after = Inputs::new("output");
        after.path(output)?;
        Ok(format!("{}\n{}\n", inputs.finish(), after.finish()))
    };
    if std::fs::read_to_string(&stamp).ok() == Some(state()?) {
        return Ok(false);
    }
    step()?;
    write(&stamp, state()?.as_bytes())?;
    Ok(true)
}

/// Makes the next run of a step do its work.
pub fn forget(workspace: &Workspace, name: &str) -> Result<()> {
    let stamp = stamp(workspace, name);
    match std::fs::remove_file(&stamp) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}", stamp.display()))
        }
        _ => Ok(()),
    }
}

fn stamp(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target(&format!("xtask/{name}.stamp"))
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("{}", path.display()))
}

/// All files at or below a path, sorted; none if it does not exist. Installed packages and hidden files do not count.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("{}", path.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "node_modules" {
            continue;
        }
        found.extend(files(&entry.path())?);
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hash(folder: &Path) -> String {
        let mut inputs = Inputs::new("test");
        inputs.path(folder).unwrap();
        inputs.finish()
    }

    #[test]
    fn inputs_differ_by_content_name_and_presence_only() {
        let folder = tempfile::tempdir().unwrap();
        let empty = hash(folder.path());
        let file = folder.path().join("inner/a");
        write(&file, b"one").unwrap();
        let one = hash(folder.path());
        write(&file, b"two").unwrap();
        let two = hash(folder.path());
        std::fs::rename(&file, folder.path().join("inner/b")).unwrap();
        let renamed = hash(folder.path());
        let all = std::collections::BTreeSet::from([&empty, &one, &two, &renamed]);
        assert_eq!(all.len(), 4);
        std::fs::remove_dir_all(folder.path().join("inner")).unwrap();
        assert_eq!(hash(folder.path()), empty);
    }
}
