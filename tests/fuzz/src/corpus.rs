//! Writes the seeds of all targets under a folder, one folder a target: `write-corpus fuzz/corpus`.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: write-corpus FOLDER"));
    };
    for target in ledgerno_fuzz_targets::targets() {
        let folder = folder.join(&target.name);
        std::fs::create_dir_all(&folder)?;
        for (at, seed) in target.seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{at}")), seed)?;
        }
    }
    Ok(())
}
