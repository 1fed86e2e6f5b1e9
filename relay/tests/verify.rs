//! `ledgerno-relay verify`: what the program says of a proof file, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use ledgerno_ledger::bytes::{EntryId, Hash, HeaderHash};
use ledgerno_ledger::codec::encode;
use ledgerno_ledger::hostile::Circle;
use ledgerno_ledger::merkle::{ENTRIES, HISTORY};
use ledgerno_ledger::proof::{Claim, LightChain, ProofFile, StampClaim, StateTree};
use ledgerno_ledger::settle::{Certificate, Checkpoint, Header, Proof, VERSION, Witnesses, cut_hash};
use ledgerno_ledger::state::{Member, Stamped, StateKey};

const DOCUMENT: &[u8] = b"the contract";
/// 2026-11-28 17:03:38 UTC.
const SETTLED: u64 = 1_795_885_418_000;

/// The founder, who settles alone, stamped the document at height 1. The name tries to fool a terminal.
fn stamped(circle: &Circle) -> ProofFile {
    let (by, device) = (circle.founder.member(), circle.founder.device.id());
    let name = "Anna\u{1b}[31m\nIt rests on:".to_owned();
    let member = Member { name, joined_height: 1, ..Member::default() };
    let document = Hash(*blake3::hash(DOCUMENT).as_bytes());
    let entry = EntryId([8; 32]);
    let stamp = Stamped { by, device, entry, height: 1, time: SETTLED, vouched: Vec::new() };
    let records = [(StateKey::Member(by), encode(&member)), (StateKey::Stamp(document), encode(&stamp))];
    let tree = StateTree::new(records, [3; 32]);
    let header = Header {
        version: VERSION,
        circle: circle.id,
        height: 1,
        prev: HeaderHash(circle.id.0),
        proposer: device,
        time: SETTLED,
        cut_hash: cut_hash(&[]),
        entries: 1,
        entries_root: ENTRIES.root([&entry.0]),
        history_root: HISTORY.root([&circle.id.0]),
        state_root: tree.root(),
        witnesses: Witnesses::of(&circle.genesis).hash(),
    };
    let hash = header.hash();
    let vote = Certificate::vote(circle.id, 1, 0, hash).sign(&circle.vote);
    let certificate = Certificate { header: hash, view: 0, votes: vec![(circle.vote.key(), vote)] };
    let checkpoint = Checkpoint { header, certificate };
    let proof = Proof { checkpoint, cut: Vec::new(), witnesses: None, renewal: None };
    let chain = LightChain::new(None, [&proof], &[HeaderHash(circle.id.0), hash]).unwrap();
    let members = vec![tree.prove(StateKey::Member(by))];
    let claim = StampClaim { stamp: tree.prove(StateKey::Stamp(document)), members };
    ProofFile { genesis: circle.genesis.clone(), chain, claim: Claim::Stamp(Box::new(claim)) }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// How the program ends, and what it says on both streams.
fn verify(language: &str, arguments: &[&std::ffi::OsStr]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerno-relay"));
    command.arg("verify").args(arguments).env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", language);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_stamp_is_told_in_words_and_its_document_compared() {
    let folder = tempfile::tempdir().unwrap();
    let circle = Circle::new(1);
    let file = write(folder.path(), "a.ledgerno", &stamped(&circle).encode());
    let document = write(folder.path(), "contract.pdf", DOCUMENT);
    let id = circle.id.to_string();
    let arguments = [file.as_os_str(), "--document".as_ref(), document.as_os_str(), "--circle".as_ref(), id.as_ref()];
    for (language, words) in [
        (
            "C",
            [
                "A document existed at height 1, 2026-11-28 17:03:38 UTC",
                "by the member \"Anna\u{fffd}[31m\u{fffd}It rests on:\"",
                "The document is the one.",
                "the witnesses of the circle \"circle\", from its genesis on (who votes changed 0 times).",
                "by 1 of 1 votes",
                "It does not say:",
                "one witness alone settled it",
            ],
        ),
        (
            "ja_JP.UTF-8",
            [
                "ある文書が存在していました(高さ 1、2026-11-28 17:03:38 UTC)",
                "メンバー「Anna\u{fffd}[31m\u{fffd}It rests on:」",
                "文書は一致しました。",
                "サークル「circle」の創設以来の証人たち(証人の交代 0 回)。",
                "1 票のうち 1 票",
                "証明していないこと:",
                "証人が 1 人だけ",
            ],
        ),
    ] {
        let (code, said, wrong) = verify(language, &arguments);
        assert_eq!((code, wrong.as_str()), (0, ""), "{said}");
        for word in words.into_iter().chain([id.as_str(), &Hash(*blake3::hash(DOCUMENT).as_bytes()).to_string()]) {
            assert!(said.contains(word), "{word} is not in:\n{said}");
        }
        assert!(!said.contains('\u{1b}'));
        let ours = |line: &&str| *line == "It rests on:";
        assert!(said.lines().filter(ours).count() <= 1, "a name passes for a line of ours:\n{said}");
    }
}

#[test]
fn what_does_not_hold_ends_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let circle = Circle::new(1);
    let bytes = stamped(&circle).encode();
    let good = write(folder.path(), "good.ledgerno", &bytes);
    let mut changed = bytes.clone();
    changed[300] ^= 1;
    let damaged = write(folder.path(), "damaged.ledgerno", &changed);
    let mut other = stamped(&circle);
    other.claim = Claim::Header;
    let header = write(folder.path(), "header.ledgerno", &other.encode());
    let document = write(folder.path(), "contract.pdf", b"another contract");
    let missing = folder.path().join("nothing");
    let with = |file: &Path, more: &[&std::ffi::OsStr]| {
        let (code, said, wrong) = verify("C", &[&[file.as_os_str()], more].concat());
        assert_eq!((said.as_str(), wrong.lines().count()), ("", 1), "{wrong}");
        (code, wrong)
    };
    let (flag, id) = ("--document".as_ref(), "0b".repeat(32));
    assert_eq!(with(&damaged, &[]).0, 3);
    assert_eq!(with(&document, &[]).0, 3, "no proof file at all");
    assert_eq!(with(&missing, &[]).0, 1);
    assert_eq!(with(&good, &[flag, missing.as_os_str()]).0, 1);
    assert_eq!(with(&good, &[flag, document.as_os_str()]).0, 4);
    assert_eq!(with(&header, &[flag, document.as_os_str()]).0, 4);
    let (code, wrong) = with(&good, &["--circle".as_ref(), id.as_ref()]);
    assert!(code == 4 && wrong.contains("another circle"), "{wrong}");
}

/// Proof files of every kind, from the fixtures that freeze their bytes: what each is said to be, and the bytes.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let topic = include_str!("../../crates/ledger/conformance/proofs.txt");
    let files = topic.split("format proof file").nth(1).unwrap();
    let files = files.lines().filter_map(|line| line.strip_prefix("accept ")?.split_once(' '));
    let byte = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
    files.map(|(hex, what)| (what.to_owned(), hex.as_bytes().chunks(2).map(byte).collect())).collect()
}

/// What a kind of proof is told as, in English and in Japanese, and what of others it must not be told as.
type Told = (&'static str, [&'static [&'static str]; 2]);

const TOLD: [Told; 8] = [
    (
        "that the first header is settled",
        [
            &["A header was settled at height 1", "by 1 of 1 votes"],
            &["ヘッダーが確定しました(高さ 1", "1 票のうち 1 票"],
        ],
    ),
    (
        "that the founder is a member",
        [&["is a member, at height 1", "Joined at height", "points."], &["はメンバーです(高さ 1", "で参加、"]],
    ),
    (
        "that nobody of this key is a member",
        [&["Nobody with this identity is a member, at height 1"], &["この ID の人はメンバーではありません(高さ 1"]],
    ),
    (
        "that the guest thanked the founder, opened",
        [
            &["wrote an entry, and it was settled at height 1", "The author's clock said", "Thanks of", "took effect"],
            &["がエントリーを書き、確定しました(高さ 1", "書いた人の時計では", "への感謝、", "操作が効力を持ったこと"],
        ],
    ),
    (
        "the same, sealed",
        [
            &["wrote an entry, and it was settled", "What it says is not shown.", "that is the author's word"],
            &["がエントリーを書き、確定しました", "内容は示されていません。", "それは書いた人の申告です"],
        ],
    ),
    (
        "that a device forked, in no header",
        [
            &["signed two entries for one place (0)", "no witness is needed", "whose device it is."],
            &["同じ位置(0)に 2 つのエントリー", "証人は要りません", "その端末が誰のものか。"],
        ],
    ),
    (
        "that a device of the guest forked",
        [
            &["signed two entries for one place (0)", "member:", "by 1 of 1 votes", "who the people are"],
            &["同じ位置(0)に 2 つのエントリー", "メンバー:", "1 票のうち 1 票", "その人が誰であるか"],
        ],
    ),
    (
        "that the guest stamped the document 58 and the founder vouched",
        [
            &["A document existed at height 1", "vouched for it at height 1", "5858585858"],
            &["ある文書が存在していました(高さ 1", "が保証しました(高さ 1", "5858585858"],
        ],
    ),
];

#[test]
fn every_kind_of_proof_has_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let files = fixtures();
    assert_eq!(files.iter().map(|(what, _)| &what[..]).collect::<Vec<_>>(), TOLD.map(|(what, _)| what));
    for ((what, bytes), (_, words)) in files.iter().zip(TOLD) {
        let file = write(folder.path(), "a.ledgerno", bytes);
        for (language, words) in ["C", "ja_JP.UTF-8"].into_iter().zip(words) {
            let (code, said, wrong) = verify(language, &[file.as_os_str()]);
            assert_eq!((code, wrong.as_str()), (0, ""), "{what}");
            for word in words {
                assert!(said.contains(word), "{what}: {word} is not in:\n{said}");
            }
            // The fixtures' entries were written in 1970, and their stamp was settled then; nothing else was.
            let is_dated_so = ["stamped", "opened", "sealed"].iter().any(|word| what.contains(word));
            assert!(is_dated_so || !said.contains(" 1970-"), "{what}: a time that nobody told:\n{said}");
            let stamp = ["A document existed", "ある文書が存在"].iter().any(|word| said.contains(word));
            assert_eq!(stamp, what.contains("stamped"), "{said}");
        }
    }
}

#[test]
fn a_file_of_a_newer_version_is_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = stamped(&Circle::new(1)).encode();
    bytes[8] += 1;
    let file = write(folder.path(), "newer.ledgerno", &bytes);
    for (language, word) in [("C", "a newer version of ledgerno"), ("ja_JP.UTF-8", "新しいバージョンの ledgerno")]
    {
        let (code, said, wrong) = verify(language, &[file.as_os_str()]);
        assert_eq!((code, said.as_str()), (3, ""));
        assert!(wrong.contains(word) && !wrong.contains("damaged") && !wrong.contains("何も証明しません"), "{wrong}");
    }
}
