//! Conformance fixtures: the bytes of every format, as text that other implementations can read.
//!
//! Each topic is a file in `conformance/`, written from the tables here; `conformance/README.md` says how it reads and how
//! to add to it. [`check`] demands that the code gives exactly the bytes of the file, reads those that the file accepts
//! and refuses those that it refuses; it runs natively and in a browser. [`write`] writes the files anew, but changes no
//! line of a frozen format: whoever changes its bytes changes its version too.
//!
//! Built under `cfg(test)` and the feature `hostile` only.

extern crate std;

mod acts;
mod blobs;
mod bundles;
mod entries;
mod keys;
mod messages;
mod proof_files;
mod proofs;
mod roots;
mod samples;
mod sealing;
mod settle;
mod state;
mod trees;

use crate::codec::{self, CodecError};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Debug;
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Whether a format may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Draft,
    /// Not without another version than this.
    Frozen(u8),
}

pub use Standing::{Draft, Frozen};

type Read = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, String>>;

/// A format with its fixtures.
pub struct Format {
    /// Its name, unique in its topic: lower-case words.
    pub name: &'static str,
    standing: Standing,
    read: Read,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// A reader takes the bytes, and would write the same.
    Accept,
    /// A reader refuses the bytes.
    Refuse,
    /// The bytes follow from what is told.
    Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    verb: Verb,
    bytes: Vec<u8>,
    told: String,
}

/// A file of fixtures.
pub struct Topic {
    /// The file's name, without `.txt`.
    pub name: &'static str,
    /// The file as it is.
    pub text: &'static str,
    /// Its first lines, for a reader.
    pub about: &'static str,
    /// What it should hold.
    pub formats: fn() -> Vec<Format>,
}

macro_rules! topics {
    ($($name:ident, $formats:path, $about:literal;)*) => {
        /// All topics of the ledger.
        pub const TOPICS: &[Topic] = &[$(Topic {
            name: stringify!($name),
            text: include_str!(concat!("../conformance/", stringify!($name), ".txt")),
            about: $about,
            formats: $formats,
        }),*];
    };
}

// The one table of topics: name of the file, the formats in it, what it is about. The file must exist, be it empty.
topics! {
    contexts, keys::contexts, "The contexts of BLAKE3 in derive_key mode, each with the hash of no bytes under it.";
    keys, keys::keys, "Which bytes are admitted as a public key, and what is derived from a secret.";
    signatures, keys::signatures, "The one signature rule, ZIP-215: key (32 bytes), signature (64), message.";
    genesis, entries::genesis, "What a circle starts from.";
    entry, entries::entry, "Entries, how they travel, and what their admissions and invites sign.";
    operations, entries::operations, "What sealed bodies hold.";
    sealing, sealing::sealing, "Sealed bytes: nonce (24), commitment (32), XChaCha20-Poly1305 of the padded text.";
    invite, entries::invite_token, "The token that an invite's link carries.";
    state, state::state, "The keys and records of the state, and its root.";
    roots, roots::roots, "Circles made up from a seed: where every platform ends that settles them.";
    trees, trees::trees, "Roots of trees and mountains of every small size, odd and empty ones too, and paths in them.";
    settle, settle::settle, "Headers, votes, certificates, and what travels of a settled height.";
    bundles, bundles::bundles, "What a witness tells of an open height: bundles and proposals, of four witnesses.";
    proofs, proofs::proofs, "What is shown to who holds nothing but a header.";
    blobs, blobs::blobs, "What is too long for a body, in sealed chunks: request kind 7.";
    messages, messages::messages, "Direct messages, sealed to the devices of two members.";
}

impl Format {
    /// A format of which `read` gives the bytes as it would write them, or why it refuses them.
    pub fn new(
        name: &'static str,
        standing: Standing,
        read: impl Fn(&[u8]) -> Result<Vec<u8>, String> + 'static,
    ) -> Self {
        Format { name, standing, read: Box::new(read), lines: Vec::new() }
    }

    /// A format by its reader and its writer.
    pub fn of<T, E: Debug>(
        name: &'static str,
        standing: Standing,
        decode: impl Fn(&[u8]) -> Result<T, E> + 'static,
        encode: impl Fn(&T) -> Vec<u8> + 'static,
    ) -> Self {
        let read = move |bytes: &[u8]| decode(bytes).map(|value| encode(&value)).map_err(|error| format!("{error:?}"));
        Self::new(name, standing, read)
    }

    /// A format that is nothing but canonical postcard of a type, of at most `max` bytes.
    pub fn plain<T: DeserializeOwned + Serialize>(name: &'static str, standing: Standing, max: usize) -> Self {
        Self::of(name, standing, move |bytes| codec::decode::<T>(bytes, max), |value| codec::encode(value))
    }

    /// A format that is canonical postcard, for which there is a faster reader too: both take the same bytes for the same.
    pub fn twice<T: DeserializeOwned + Serialize>(
        name: &'static str,
        standing: Standing,
        max: usize,
        decode: impl Fn(&[u8]) -> Result<T, CodecError> + 'static,
        encode: impl Fn(&T) -> Vec<u8> + 'static,
    ) -> Self {
        Self::new(name, standing, move |bytes| {
            let plain = codec::decode::<T>(bytes, max).map(|value| codec::encode(&value));
            match (decode(bytes), plain) {
                (Ok(value), Ok(plain)) if encode(&value) == plain => Ok(plain),
                (Err(_), Err(why)) => Err(format!("{why:?}")),
                // Neither to be taken nor to be refused.
                (Ok(_), _) => Ok(Vec::new()),
                (Err(why), Ok(_)) => Err(format!("{why:?}, which postcard takes")),
            }
        })
    }

    /// Values that follow from something else: hashes, derived keys.
    pub fn values(name: &'static str, standing: Standing) -> Self {
        Self::new(name, standing, |_| Err("not to be read".to_string()))
    }

    /// Bytes that are accepted. The first brings its neighbours, which are refused: cut, lengthened, and with a number
    /// that is not written in its shortest form.
    pub fn accepts(self, told: &str, bytes: Vec<u8>) -> Self {
        let is_first = self.lines.is_empty();
        let format = self.accepts_alone(told, bytes.clone());
        if is_first { format.refuses_neighbours(&bytes) } else { format }
    }

    /// As [`Format::accepts`], without neighbours: where a longer or shorter one holds as well.
    pub fn accepts_alone(self, told: &str, bytes: Vec<u8>) -> Self {
        self.line(Verb::Accept, told, bytes)
    }

    /// Bytes that are refused.
    pub fn refuses(self, told: &str, bytes: Vec<u8>) -> Self {
        self.line(Verb::Refuse, told, bytes)
    }

    /// A value.
    pub fn value(self, told: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.line(Verb::Value, told, bytes.into())
    }

    fn line(mut self, verb: Verb, told: &str, bytes: Vec<u8>) -> Self {
        self.lines.push(Line { verb, bytes, told: told.to_string() });
        self
    }

    fn refuses_neighbours(self, bytes: &[u8]) -> Self {
        let cut = bytes[..bytes.len().saturating_sub(1)].to_vec();
        let half = bytes[..bytes.len() / 2].to_vec();
        let longer = [bytes, &[0]].concat();
        let long: Vec<(usize, Vec<u8>)> = (0..bytes.len())
            .filter(|at| bytes[*at] < 0x80)
            .map(|at| (at, [&bytes[..at], &[bytes[at] | 0x80, 0], &bytes[at + 1..]].concat()))
            .filter(|(_, long)| self.is_only_long(long))
            .collect();
        let mut format = self
            .refuses("the same without its last byte", cut)
            .refuses("the same, its first half", half)
            .refuses("the same with a zero behind it", longer);
        let ends = [long.first(), long.last().filter(|_| long.len() > 1)];
        for (at, long) in ends.into_iter().flatten() {
            format = format.refuses(&format!("the same, the number at byte {at} in two bytes"), long.clone());
        }
        format
    }

    /// Whether bytes are refused for a number in a long form: not for a byte left over, without which they would be taken.
    fn is_only_long(&self, bytes: &[u8]) -> bool {
        let not_canonical = |bytes: &[u8]| (self.read)(bytes).map_err(|error| error.contains("NotCanonical"));
        let cut = bytes.split_last().map_or(bytes, |(_, cut)| cut);
        not_canonical(bytes) == Err(true) && not_canonical(cut) == Err(false)
    }

    /// Reads bytes of this format, and writes them again.
    ///
    /// # Errors
    /// Why they are refused.
    pub fn read(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        (self.read)(bytes)
    }

    /// The bytes that are accepted; none if the format has values only.
    pub fn accepted(&self) -> impl Iterator<Item = &[u8]> {
        self.of_verb(Verb::Accept)
    }

    /// The bytes that are refused.
    pub fn refused(&self) -> impl Iterator<Item = &[u8]> {
        self.of_verb(Verb::Refuse)
    }

    fn of_verb(&self, verb: Verb) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |line| line.verb == verb).map(|line| line.bytes.as_slice())
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("{}\n", line.text()));
        core::iter::once(format!("{}\n", self.head())).chain(lines).collect()
    }

    fn head(&self) -> String {
        match self.standing {
            Draft => format!("format {}: draft", self.name),
            Frozen(version) => format!("format {}: {version}", self.name),
        }
    }

    /// Whether the reader says of a line's bytes what the line says.
    fn check(&self, line: &Line) -> Result<(), String> {
        match (line.verb, self.read(&line.bytes)) {
            (Verb::Accept, Ok(again)) if again != line.bytes => Err("is written otherwise than it is read".to_string()),
            (Verb::Accept, Err(error)) => Err(format!("is refused: {error}")),
            (Verb::Refuse, Ok(_)) => Err("is accepted".to_string()),
            _ => Ok(()),
        }
    }
}

impl Line {
    fn text(&self) -> String {
        let verb = match self.verb {
            Verb::Accept => "accept",
            Verb::Refuse => "refuse",
            Verb::Value => "value",
        };
        let bytes = if self.bytes.is_empty() { "-".to_string() } else { HEXLOWER.encode(&self.bytes) };
        format!("{verb} {bytes} {}", self.told)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let verb = match parts.next()? {
            "accept" => Verb::Accept,
            "refuse" => Verb::Refuse,
            "value" => Verb::Value,
            _ => return None,
        };
        let bytes = match parts.next()? {
            "-" => Vec::new(),
            hex => HEXLOWER.decode(hex.as_bytes()).ok()?,
        };
        Some(Line { verb, bytes, told: parts.next()?.to_string() })
    }
}

impl Topic {
    /// Checks the file; how many fixtures are in it.
    ///
    /// # Errors
    /// The first line that is not as it should be.
    pub fn check(&self) -> Result<usize, String> {
        let formats = (self.formats)();
        let (mut current, mut fixtures) = (None, 0);
        for line in self.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with("format ") {
                current = formats.iter().find(|format| format.head() == line);
                current.ok_or_else(|| format!("{}: there is no \"{line}\"", self.name))?;
                continue;
            }
            let format = current.ok_or_else(|| format!("{}: no format before \"{line}\"", self.name))?;
            let line = Line::parse(line).ok_or_else(|| format!("{}: unreadable: \"{line}\"", self.name))?;
            let Line { told, .. } = &line;
            format.check(&line).map_err(|error| format!("{}, {}: \"{told}\" {error}", self.name, format.name))?;
            fixtures += 1;
        }
        self.compare(&formats)?;
        Ok(fixtures)
    }

    /// Whether the code writes what the file says.
    fn compare(&self, formats: &[Format]) -> Result<(), String> {
        let (expected, is) = (self.written(formats), self.text);
        if expected == is {
            return Ok(());
        }
        let differing = expected.lines().zip(is.lines()).find(|(expected, is)| expected != is);
        let (expected, is) = differing.unwrap_or(("another number of lines", ""));
        Err(format!("{}: the code gives\n  {expected}\nand the file says\n  {is}", self.name))
    }

    fn written(&self, formats: &[Format]) -> String {
        let formats = formats.iter().map(|format| format!("\n{}", format.text()));
        core::iter::once(format!("# {}\n", self.about)).chain(formats).collect()
    }

    /// The file anew, if no line of a frozen format is lost by it.
    fn rewritten(&self, old: &str) -> Result<String, String> {
        let formats = (self.formats)();
        for (head, lines) in sections(old).into_iter().filter(|(head, _)| !head.ends_with(": draft")) {
            let now: Vec<String> = formats
                .iter()
                .filter(|format| format.head() == head)
                .flat_map(|format| format.lines.iter().map(Line::text))
                .collect();
            if let Some(lost) = lines.iter().find(|line| !now.iter().any(|now| now == *line)) {
                let told = "changes its version, or takes its lines out of the file by hand";
                return Err(format!("{}, {head} is frozen: whoever changes it {told}:\n  {lost}", self.name));
            }
        }
        Ok(self.written(&formats))
    }
}

/// Heads and lines of the formats in a file.
fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match sections.last_mut() {
            _ if line.starts_with("format ") => sections.push((line, Vec::new())),
            Some((_, lines)) if !line.is_empty() => lines.push(line),
            _ => {}
        }
    }
    sections
}

/// Checks all files of these topics; how many fixtures are in them.
///
/// # Errors
/// The first that is not as it should be.
pub fn check(topics: &[Topic]) -> Result<usize, String> {
    topics.iter().map(Topic::check).sum()
}

/// Writes the files of these topics anew into a folder.
///
/// # Errors
/// When a line of a frozen format would be lost by it, or the folder takes no files.
pub fn write(topics: &[Topic], folder: &str) -> Result<(), String> {
    for topic in topics {
        let path = format!("{folder}/{}.txt", topic.name);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let text = topic.rewritten(&old)?;
        std::fs::write(&path, text).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}

/// [`check`], or [`write`] if the environment has `WRITE_FIXTURES`: for the test of each crate that has topics.
///
/// # Errors
/// As these.
pub fn check_or_write(topics: &[Topic], folder: &str) -> Result<(), String> {
    if std::env::var_os("WRITE_FIXTURES").is_some() { write(topics, folder) } else { check(topics).map(drop) }
}

#[cfg(test)]
mod tests;
