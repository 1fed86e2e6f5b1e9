//! What is fuzzed. Each target takes any bytes, and must return: a panic is a finding, and so is a message that is read
//! and would be written otherwise.
//!
//! There is a target for each format of the conformance fixtures (so a new format is fuzzed as soon as it has a fixture)
//! and some that need more than a reader: signatures, and engines that hear votes. `fuzz/` runs them under libFuzzer, and a
//! test of this crate runs them over their seeds and some thousand mutations on stable Rust. The seeds are the fixtures,
//! accepted and refused, and scripts.

#![deny(missing_docs)]

mod batch;
mod net;
mod siege;

use ledgerno_ledger::conformance::{self, Format};
use std::cell::OnceCell;

type Body = Box<dyn Fn(&[u8])>;

/// Something to be fuzzed.
pub struct Target {
    /// Its name: topic and format, in lower-case letters and underscores.
    pub name: String,
    /// Where fuzzing starts from.
    pub seeds: Vec<Vec<u8>>,
    /// One try takes about so many times as long as of a reader.
    pub cost: u64,
    body: Body,
}

impl Target {
    /// Tries any bytes.
    ///
    /// # Panics
    /// When something is wrong.
    pub fn run(&self, bytes: &[u8]) {
        (self.body)(bytes);
    }

    fn of(topic: &str, format: Format) -> Option<Self> {
        let accepted: Vec<Vec<u8>> = format.accepted().map(<[u8]>::to_vec).collect();
        if accepted.is_empty() {
            return None;
        }
        let refused = format.refused().map(<[u8]>::to_vec);
        let name = format!("{topic}_{}", format.name).replace(|c: char| !c.is_ascii_lowercase(), "_");
        let seeds = accepted.into_iter().chain(refused).collect();
        let body = move |bytes: &[u8]| {
            if let Ok(again) = format.read(bytes) {
                assert_eq!(again, bytes, "what is read is written otherwise");
            }
        };
        Some(Target { name, seeds, cost: 1, body: Box::new(body) })
    }
}

/// All targets.
pub fn targets() -> Vec<Target> {
    let topics = conformance::TOPICS.iter().chain(ledgerno_engine::conformance::TOPICS);
    let topics = topics.chain(ledgerno_node::conformance::TOPICS);
    let formats = topics.flat_map(|topic| (topic.formats)().into_iter().map(|format| (topic.name, format)));
    formats
        .filter_map(|(topic, format)| Target::of(topic, format))
        .chain([batch::target(), siege::target()])
        .chain(net::targets())
        .collect()
}

/// Makes the target of that name, before anything is timed: some fixtures take seconds.
///
/// # Panics
/// When there is no such target.
pub fn prepare(name: &str) {
    with(name, |target| target.run(&[]));
}

/// Runs the target of that name, for `fuzz/`.
///
/// # Panics
/// When something is wrong, or there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    with(name, |target| target.run(bytes));
}

#[allow(clippy::expect_used, reason = "there is nothing to fuzz under a wrong name")]
fn with(name: &str, run: impl FnOnce(&Target)) {
    thread_local!(static TARGET: OnceCell<Target> = const { OnceCell::new() });
    TARGET.with(|target| {
        run(target
            .get_or_init(|| targets().into_iter().find(|target| target.name == name).expect("a target of this name")));
    });
}
