//! What the ledger costs by itself, natively: the root of a large state, and how many bytes a header, a certificate and
//! each kind of proof takes. `cargo xtask bench` runs it; its last line is the rows of the table as JSON.
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

use ledgerno_ledger::bytes::{DeviceId, Hash, HeaderHash, MemberId};
use ledgerno_ledger::codec::encode;
use ledgerno_ledger::hash::{context, hash};
use ledgerno_ledger::hostile::Dice;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::merkle::{HISTORY, StateLeaf, state_root};
use ledgerno_ledger::proof::{HistoryProof, StateTree};
use ledgerno_ledger::settle::{Certificate, Header, VERSION, Witness, Witnesses};
use ledgerno_ledger::state::StateKey;
use std::hint::black_box;
use std::time::Instant;

const RECORDS: usize = 10_000;
const RUNS: usize = 9;
const WITNESSES: u8 = 7;
const SALT: [u8; 32] = [7; 32];

struct Row {
    what: String,
    value: String,
    aim: Option<(&'static str, bool)>,
}

fn main() {
    let rows = [root_of_a_large_state(), header(), certificate(), state_proofs(), history_proofs()];
    let json: Vec<String> = rows.iter().map(Row::json).collect();
    println!("[{}]", json.join(","));
}

impl Row {
    /// The texts are this file's own: no quotation marks, nothing to escape.
    fn json(&self) -> String {
        let Row { what, value, aim } = self;
        let aim = aim.map_or(String::new(), |(aim, met)| format!(r#","aim":"{aim}","met":{met}"#));
        format!(r#"{{"what":"{what}","value":"{value}"{aim}}}"#)
    }
}

/// As many records of a member's size as asked for.
fn records(count: usize) -> Vec<(StateKey, Vec<u8>)> {
    let mut dice = Dice::new(count as u64);
    (0..count).map(|_| (StateKey::Member(MemberId(dice.bytes())), dice.bytes::<24>().to_vec())).collect()
}

fn root_of_a_large_state() -> Row {
    let records = records(RECORDS);
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            let leaves = records.iter().map(|(key, value)| StateLeaf::new(&SALT, &encode(key), value)).collect();
            black_box(state_root(leaves));
            begin.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    let median = times[RUNS / 2];
    Row {
        what: format!("state root over {RECORDS} records from nothing, native, median of {RUNS}"),
        value: format!("{median:.1} ms (at most {:.1} ms)", times[RUNS - 1]),
        aim: Some(("at most 10 ms", median <= 10.0)),
    }
}

/// With every number at its longest.
fn longest_header() -> Header {
    let root = Hash([255; 32]);
    Header {
        version: VERSION,
        circle: ledgerno_ledger::bytes::CircleId([255; 32]),
        height: u64::MAX,
        prev: HeaderHash(root.0),
        proposer: DeviceId(root.0),
        time: u64::MAX,
        cut_hash: root,
        entries: u32::MAX,
        entries_root: root,
        history_root: root,
        state_root: root,
        witnesses: root,
    }
}

fn header() -> Row {
    let bytes = encode(&longest_header()).len();
    let aim = Some(("at most 300 B", bytes <= 300));
    Row { what: "header, every number at its longest".into(), value: format!("{bytes} B"), aim }
}

fn certificate() -> Row {
    let header = longest_header();
    let secrets: Vec<VoteSecret> = (0..WITNESSES).map(|seed| VoteSecret::from_secret([seed; 32])).collect();
    let witness =
        |secret: &VoteSecret| Witness { device: DeviceId(secret.key().0), vote_key: secret.key(), always_on: true };
    let witnesses = Witnesses::new(secrets.iter().map(witness).collect(), None);
    let (hash, view) = (header.hash(), u64::MAX);
    let vote = Certificate::vote(header.circle, header.height, view, hash);
    let quorum = witnesses.quorum();
    let mut votes: Vec<_> = secrets[..quorum].iter().map(|secret| (secret.key(), vote.sign(secret))).collect();
    votes.sort_unstable();
    let certificate = Certificate { header: hash, view, votes };
    certificate.check(header.circle, header.height, hash, &witnesses).expect("a quorum signed it");
    let bytes = encode(&certificate).len();
    Row {
        what: format!("certificate of {WITNESSES} witnesses, {quorum} of which are a quorum"),
        value: format!("{bytes} B"),
        aim: Some(("at most 700 B", bytes <= 700)),
    }
}

fn state_proofs() -> Row {
    let sizes = [100, 1_000, RECORDS].map(|count| {
        let records = records(count);
        let tree = StateTree::new(records.clone(), SALT);
        let root = tree.root();
        let longest = |keys: Vec<StateKey>, present: bool| {
            let proofs = keys.into_iter().map(|key| tree.prove(key));
            let checked = proofs.inspect(|proof| assert_eq!(proof.check(&root).expect("it holds").is_some(), present));
            checked.map(|proof| proof.encode().len()).max().unwrap_or_default()
        };
        let some = records.iter().step_by(count.div_ceil(50)).map(|(key, _)| *key).collect();
        let none = (0..50).map(|number: u8| StateKey::Member(MemberId(hash(context::MESSAGE, &[&[number]])))).collect();
        format!("{} / {} B", longest(some, true), longest(none, false))
    });
    Row {
        what: format!("proof of a record of 24 bytes / of none, in a state of 100, 1,000, {RECORDS} records"),
        value: sizes.join(", "),
        aim: None,
    }
}

fn history_proofs() -> Row {
    let sizes = [10, 1_000, 100_000].map(|heights: u64| {
        let mut dice = Dice::new(heights);
        let hashes: Vec<HeaderHash> = (0..heights).map(|_| HeaderHash(dice.bytes())).collect();
        let history_root = HISTORY.root(hashes.iter().map(|hash| &hash.0));
        let newest = Header { height: heights, history_root, ..longest_header() };
        let longest = [0, heights / 3, heights - 1].map(|height| {
            let proof = HistoryProof::new(&hashes, height, heights).expect("the height is there");
            let older = ledgerno_ledger::entry::Anchor { height, hash: hashes[height as usize] };
            proof.check(&newest, older).expect("it holds");
            encode(&proof).len()
        });
        format!("{} B", longest.into_iter().max().unwrap_or_default())
    });
    Row { what: "proof of a header among 10, 1,000, 100,000".into(), value: sizes.join(", "), aim: None }
}
