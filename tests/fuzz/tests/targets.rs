//! Every target on stable Rust: over its seeds, and over mutations of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ledgerno_fuzz_targets::targets;
use ledgerno_ledger::hostile::besiege;
use ledgerno_ledger::mutant::{Mutant, with};
use std::collections::BTreeSet;

fn attack(rounds: u64) {
    for target in targets() {
        println!("{}", target.name);
        target.seeds.iter().for_each(|seed| target.run(seed));
        besiege(&target.seeds, rounds / target.cost, |bytes| target.run(bytes));
    }
}

#[test]
fn every_target_stands_its_seeds_and_mutations_of_them() {
    attack(1_000);
}

#[test]
#[ignore = "minutes: a hundred times the rounds"]
fn every_target_stands_many_mutations() {
    attack(100_000);
}

/// Cargo wants a list of what libFuzzer is built for: it must name every target, each once. With `WRITE_FIXTURES` in the
/// environment it is written anew.
#[test]
fn every_target_is_built_for_libfuzzer_fixtures() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/Cargo.toml");
    let manifest = std::fs::read_to_string(path).unwrap();
    let list: String = targets().iter().map(|target| format!("    {}\n", bin(&target.name))).collect();
    let (before, rest) = manifest.split_once("bin = [\n").unwrap();
    let (built, after) = rest.split_once("]\n").unwrap();
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        std::fs::write(path, format!("{before}bin = [\n{list}]\n{after}")).unwrap();
    } else {
        assert_eq!(built, list);
    }
    let are = targets();
    let names: BTreeSet<&str> = are.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names.len(), are.len(), "two of one name");
}

fn bin(name: &str) -> String {
    format!("{{ name = \"{name}\", path = \"fuzz_targets/target.rs\", test = false, doc = false, bench = false }},")
}

/// The siege of an engine that hears votes can fail: the seeds alone show these rules broken.
#[test]
fn rules_broken_on_purpose_are_noticed_by_the_siege() {
    let all = targets();
    let siege = all.iter().find(|target| target.name == "engine_votes").unwrap();
    let is_noticed = |mutant| {
        let falls = |seed: &Vec<u8>| {
            let run = || with(Some(mutant), || siege.run(seed));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
        };
        siege.seeds.iter().any(falls)
    };
    siege.run(&[]);
    for mutant in [
        Mutant::SmallQuorum,
        Mutant::VotesCounted,
        Mutant::FinalizeAfterNullify,
        Mutant::VoteForgotten,
        Mutant::CertificateNotKept,
    ] {
        assert!(is_noticed(mutant), "{mutant:?}");
    }
}
