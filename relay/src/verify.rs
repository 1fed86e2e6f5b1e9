//! `ledgerno-relay verify`: checks a proof file offline, and says what it proves, by whom and when, and what it does not.

mod words;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use ledgerno_ledger::proof::{FileError, MAX_PROOF_FILE, ProofFile, Proven};

use crate::cli::Verify;
use crate::error::Language;

/// How the program ends.
pub const EXIT_CODES: &str = "Exit codes: 0 it holds, and is about the document and the circle that were named; \
1 a file cannot be read; 2 the command line is wrong; 3 the file proves nothing; \
4 it holds, but is about another document or circle";

/// Why a file does not prove what was asked.
#[derive(Debug)]
pub enum Unproven {
    /// A file cannot be read.
    Unreadable(String, io::Error),
    /// It proves nothing.
    Nothing(FileError),
    /// It holds, and is about another document.
    OtherDocument,
    /// It holds, and is about no document.
    NoDocument,
    /// It holds, and is of another circle.
    OtherCircle,
}

impl Unproven {
    /// The process's exit code; see [`EXIT_CODES`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable(..) => 1,
            Self::Nothing(_) => 3,
            Self::OtherDocument | Self::NoDocument | Self::OtherCircle => 4,
        }
    }
}

/// Verifies, and says so: what holds on `out`, what does not on `wrong`.
pub fn run(options: &Verify, language: Language, out: &mut impl Write, wrong: &mut impl Write) -> ExitCode {
    let (said, code) = match verify(options) {
        Ok((proven, document)) => (write!(out, "{}", words::proven(&proven, document, language)), 0),
        Err(why) => (writeln!(wrong, "ledgerno-relay: {}", words::unproven(&why, language)), why.exit_code()),
    };
    // Nobody reads it, so nobody may take it for proven.
    ExitCode::from(if said.is_ok() { code } else { code.max(1) })
}

/// What a file proves, and whether it is about a document that was given.
fn verify(options: &Verify) -> Result<(Proven, bool), Unproven> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        |error| Unproven::Unreadable(path, error)
    };
    let bytes = read(&options.file).map_err(unreadable(&options.file))?;
    let proven = ProofFile::verify(&bytes).map_err(Unproven::Nothing)?;
    if options.circle.is_some_and(|circle| circle != proven.circle) {
        return Err(Unproven::OtherCircle);
    }
    if let Some(path) = &options.document {
        let stamped = proven.document().ok_or(Unproven::NoDocument)?;
        if hash(path).map_err(unreadable(path))? != stamped.0 {
            return Err(Unproven::OtherDocument);
        }
    }
    Ok((proven, options.document.is_some()))
}

/// One byte more than a proof file may have is enough to refuse it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_PROOF_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// BLAKE3 of a document of any size.
fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
}
