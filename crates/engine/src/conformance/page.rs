//! docs/formats.md held to the code: what the page says of names, fields, kinds, numbers, contexts and limits is read
//! from it and compared, so that a changed format without a changed page fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::probe::{fields, fields_of, kinds};
use super::*;
use crate::bulk::MAX_HEIGHTS;
use crate::wire::MAX_ANSWER;
use crate::wire::{ANSWER_BYTES, BATCH_BYTES, ENLIST, KEYBOX, MAX_ASK, MAX_KEYBOX, MAX_LEFT, MAX_PARCEL};
use crate::write::MAX_LATER;
use crate::{joining, session, store};
use ledgerno_ledger::blob::{self, Blob, ChunkAsk, Chunks};
use ledgerno_ledger::entry::{self, Invited};
use ledgerno_ledger::erasure::Erasure;
use ledgerno_ledger::genesis::{self, Genesis, Rules};
use ledgerno_ledger::hash::context;
use ledgerno_ledger::message::{self, DirectMessage};
use ledgerno_ledger::op::{self, Operation};
use ledgerno_ledger::proof::{self, LightChain, Link};
use ledgerno_ledger::settle::{self, Evidence, Notarization, Nullification, Renewal, Vote};
use ledgerno_ledger::state::{Device, Epoch, Member, Motion, Pot, Ready, Registered, Stamped, Totals};
use ledgerno_ledger::{epoch, invite, seal};
use serde::Deserialize;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/formats.md");

/// What a line of a block says behind a type's name, with the lines that go on from it.
fn said_of(name: &str) -> String {
    let said = PAGE.split("```").skip(1).step_by(2).find_map(|block| {
        let from = block.lines().position(|line| line.split(' ').next() == Some(name))?;
        let mut lines = block.lines().skip(from);
        let first = lines.next()?.strip_prefix(name)?;
        Some(lines.take_while(|line| line.starts_with(' ')).fold(first.to_owned(), |said, line| said + line))
    });
    said.unwrap_or_else(|| panic!("docs/formats.md has no line for {name}"))
}

/// The name that something said begins with: what is behind it explains it.
fn name(said: &str) -> &str {
    let said = said.trim();
    said.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(said)
}

fn names(said: &str, between: char) -> Vec<&str> {
    said.split(between).map(name).filter(|name| !name.is_empty()).collect()
}

fn has_fields<'de, T: Deserialize<'de>>(of: &str) {
    assert!(!fields::<T>().is_empty(), "{of} has no named fields");
    assert_eq!(names(&said_of(of), '·'), fields::<T>(), "docs/formats.md, {of}");
}

fn has_kinds<'de, T: Deserialize<'de>>(of: &str) {
    let said = said_of(of);
    assert_eq!(names(&said, '·'), kinds::<T>(), "docs/formats.md, {of}");
    for kind in said.split('·') {
        let (kind, rest) = kind.trim().split_once(' ').unwrap_or((kind.trim(), ""));
        let fields = fields_of::<T>(kind);
        if !fields.is_empty() {
            assert_eq!(names(rest, ','), fields, "docs/formats.md, {of} {kind}");
        }
    }
}

/// The cells of the table under these heads.
fn table(heads: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(heads).unwrap_or_else(|| panic!("docs/formats.md has no table {heads}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// A message as the page quotes it, its fields in braces.
fn message(name: &str, fields: &[&str]) -> String {
    if fields.is_empty() { name.to_owned() } else { format!("{name} {{ {} }}", fields.join(", ")) }
}

/// The same of what is quoted: what is in parentheses has no names, and a mark of what may be absent is none.
fn normal(quoted: &str) -> String {
    quoted.split('(').next().unwrap_or(quoted).replace('?', "")
}

#[test]
fn the_page_names_the_fields_in_order() {
    macro_rules! page {
        ($($name:ident)*) => { $(has_fields::<$name>(stringify!($name));)* };
    }
    page!(Admission Invited Invite Handout Blob ChunkAsk Chunks DirectMessage Genesis Rules Header Vote SignedVote);
    page!(Certificate Witnesses Evidence Renewal Proof Bundle Notarization Nullification Proposal);
    page!(Totals Member Device Registered Ready Epoch Motion Stamped Pot LightChain Link InviteLink Parcel);
    page!(Brief There Range Place);
    // These are read by hand; how they are shown names their fields.
    let settled = Settled { proof: None, entries: Vec::new() };
    let erasure = Erasure { by: None, signature: ledgerno_ledger::bytes::Signature([0; 64]) };
    let shown = format!("{:?} {settled:?} {erasure:?}", Circle::new(1).founders_join());
    for of in ["Entry", "Signed", "Packed", "Settled", "Erasure"] {
        let (_, rest) = shown.split_once(&format!("{of} {{ ")).unwrap();
        assert_eq!(names(&said_of(of), '·'), top_fields(rest), "docs/formats.md, {of}");
    }
}

/// The fields of a struct as it is shown, behind its opening brace.
fn top_fields(shown: &str) -> Vec<&str> {
    let (mut depth, mut from, mut fields) = (0, 0, Vec::new());
    for (at, c) in shown.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' if depth == 0 => {
                fields.push(name(&shown[from..at]));
                break;
            }
            '}' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                fields.push(name(&shown[from..at]));
                from = at + 1;
            }
            _ => {}
        }
    }
    fields
}

#[test]
fn the_page_names_the_kinds_in_order() {
    has_kinds::<Operation>("Operation");
    has_kinds::<Votes>("Votes");
    has_kinds::<Order>("Order");
    has_kinds::<No>("No");
}

#[test]
fn the_page_names_the_versions() {
    let versions = [
        ("Entry", entry::VERSION),
        ("Header", settle::VERSION),
        ("Genesis", genesis::VERSION),
        ("DirectMessage", message::VERSION),
        ("InviteLink", invite::VERSION),
    ];
    for (of, version) in versions {
        assert!(said_of(of).contains(&format!("version u8 = {version} ·")), "docs/formats.md, {of}: version {version}");
    }
}

#[test]
fn the_page_numbers_the_messages() {
    let rows = table("| kind | questions | answers |");
    let said = rows.iter().flat_map(|row| quoted(row[1]).map(|quoted| (row[0].parse().unwrap(), normal(quoted))));
    let question = formats().into_iter().find(|format| format.name == "question").unwrap();
    let asks = question.accepted().map(|bytes| {
        let kind = kinds::<Ask>()[usize::from(bytes[2])];
        (u16::from_be_bytes([bytes[0], bytes[1]]), message(kind, fields_of::<Ask>(kind)))
    });
    let others = [
        (7, message("ChunkAsk", fields::<ChunkAsk>())),
        (REGISTER, message("Register", fields::<Register>())),
        (KEYBOX, message("ClaimKeybox", fields::<ClaimKeybox>())),
        (ENLIST, message("Enlist", fields::<Enlist>())),
    ];
    assert_eq!(said.collect::<BTreeSet<_>>(), asks.chain(others).collect(), "docs/formats.md, questions");

    // Said once with its fields, an answer may be named by its name alone where it is given again.
    let said: BTreeSet<String> = rows.iter().flat_map(|row| quoted(row[2]).map(normal)).collect();
    let answers = kinds::<Answer>().iter().filter(|kind| **kind != "No");
    let answers: BTreeSet<String> = answers.map(|kind| message(kind, fields_of::<Answer>(kind))).collect();
    let chunks = BTreeSet::from(["Chunks".to_owned()]);
    let named: BTreeSet<String> = answers.iter().map(|answer| name(answer).to_owned()).chain(chunks).collect();
    assert!(answers.is_subset(&said), "docs/formats.md lacks answers: {:?}", answers.difference(&said));
    let unknown: Vec<&String> = said.iter().filter(|said| !answers.contains(*said) && !named.contains(*said)).collect();
    assert!(unknown.is_empty(), "docs/formats.md tells of no answers: {unknown:?}");
}

#[test]
fn the_page_numbers_the_topics() {
    let rows = table("| topic | carries |");
    let said: Vec<(u16, &str)> =
        rows.iter().map(|row| (row[0].parse().unwrap(), quoted(row[1]).next().unwrap())).collect();
    let topics = [
        (Gossip::Entries, "Packed"),
        (Gossip::Votes, "Votes"),
        (Gossip::Presence, "There"),
        (Gossip::Witnesses, "Votes"),
    ];
    assert_eq!(said, topics.map(|(topic, carries)| (topic as u16, carries)), "docs/formats.md");
}

#[test]
fn the_page_lists_the_contexts() {
    let (_, block) = PAGE.split_once("All contexts, in the order of the table in the code:\n\n```\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let said: Vec<String> =
        block.split('·').map(|said| said.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let contexts: Vec<&str> =
        context::ALL.iter().map(|context| context.text.trim_start_matches("ledgerno v1 ")).collect();
    assert_eq!(said, contexts, "docs/formats.md: it should be\n{}", contexts.join(" · "));
}

#[test]
fn the_page_lists_the_limits() {
    let limits = [
        ("signed entry", entry::MAX_SIGNED),
        ("heads that an entry approves, in number", entry::MAX_APPROVES),
        ("sealed body", entry::MAX_BODY),
        ("operation", op::MAX_OPERATION),
        ("name, in characters", op::MAX_NAME),
        ("text of a post", op::MAX_TEXT),
        ("sealed reason or note", seal::MAX_REASON),
        ("devices in a handout, in number", epoch::MAX_SEALED_TO),
        ("epochs that are handed out at once, in number", epoch::MAX_RING),
        ("genesis", genesis::MAX_GENESIS),
        ("text in a chunk of a blob", blob::CHUNK_PLAIN),
        ("chunks of a blob, in number", blob::MAX_CHUNKS as usize),
        ("chunks asked for at once, in number", blob::MAX_RUN),
        ("devices of a direct message, in number", message::MAX_DEVICES),
        ("relays in a link, in number", invite::MAX_RELAYS),
        ("address of a relay", invite::MAX_URL),
        ("parcel, sealed", MAX_PARCEL),
        ("keybox, sealed", MAX_KEYBOX),
        ("header", settle::MAX_HEADER),
        ("settled header with its cut", settle::MAX_PROOF),
        ("light chain", proof::MAX_LIGHT_CHAIN),
        ("proof file", proof::MAX_PROOF_FILE),
        ("gossip message", MAX_GOSSIP),
        ("question", MAX_ASK),
        ("answer", MAX_ANSWER),
        ("entries given at once, up to the first past it", BATCH_BYTES),
        ("entries asked for at once, up to the first past it; a full chunk of a snapshot", ANSWER_BYTES),
        ("ids in a message, in number", session::MAX_IDS),
        ("records of who left in a message, in number", MAX_LEFT),
        ("snapshot to join by", joining::MAX_SNAPSHOT),
        ("item of the log", store::MAX_ITEM),
    ];
    let number = |number: &str| number.replace(',', "").parse::<usize>().ok();
    let rows = table("| what | at most |");
    let said: Vec<(&str, Option<usize>)> = rows.iter().map(|row| (row[0], number(row[1]))).collect();
    let row = |(what, most): (&str, usize)| format!("| {what} | {most} |");
    let should = limits.map(row).join("\n");
    assert_eq!(said, limits.map(|(what, most)| (what, Some(most))), "docs/formats.md: it should be\n{should}");
}

#[test]
fn the_page_says_the_limits_in_its_prose() {
    let said = [
        format!("later [keys], of at most {MAX_LATER} epochs"),
        format!("{MAX_HEIGHTS} heights at most and about {} MiB", ANSWER_BYTES >> 20),
        format!("a bundle or proposal has at most {} KiB", settle::MAX_BUNDLE >> 10),
    ];
    let page = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in said {
        assert!(page.contains(&said), "docs/formats.md should say: {said}");
    }
}

#[test]
fn the_page_lists_the_fixtures() {
    let topics = || conformance::TOPICS.iter().chain(TOPICS);
    let format = |head: &str| {
        let (name, standing) = head.rsplit_once(": ").unwrap();
        format!("{name} ({standing})")
    };
    let should: Vec<String> = topics()
        .map(|topic| {
            let heads = topic.text.lines().filter_map(|line| line.strip_prefix("format "));
            format!("| `{}.txt` | {} |", topic.name, heads.map(format).collect::<Vec<_>>().join(", "))
        })
        .collect();
    let rows = table("| file | formats |");
    let said: Vec<String> = rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    assert_eq!(said, should, "docs/formats.md: it should be\n{}", should.join("\n"));
}
