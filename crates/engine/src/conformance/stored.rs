//! What an engine keeps, item by item and record by record: who changes these bytes makes old stores unreadable.

use super::{CIRCLE, certified, frozen, invite};
use crate::history::{History, ROW, Row};
use crate::left::Left;
use crate::settler::agreement::MAX_STORED;
use crate::snapshot::{self, MAX_SNAPSHOT};
use crate::store::Item;
use crate::unchecked::Unchecked;
use crate::unvoted::Unvoted;
use crate::wire::{MAX_GOSSIP, MAX_KEYBOX, MAX_PARCEL};
use crate::write::Invitation;
use crate::{erasing, joining, keybox, mailbox};
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash, HeaderHash, MemberId, Signature, VoteKey};
use ledgerno_ledger::codec::{self, encode};
use ledgerno_ledger::conformance::{Format, Frozen};
use ledgerno_ledger::dag::{Base, Place};
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::erasure::Erasure;
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::proof::LightChain;
use ledgerno_ledger::seal::{LaneKey, LaneKeys};
use ledgerno_ledger::settle::{Bundle, MAX_PROOF, Proof, Renewal};
use ledgerno_ledger::state::StateKey;

pub fn formats() -> Vec<Format> {
    let (proof, _) = certified();
    let entry = Circle::new(1).founders_join();
    let (member, device) = (MemberId([20; 32]), DeviceId([10; 32]));
    let keys = LaneKeys {
        epoch: EntryId([12; 32]),
        state: LaneKey::from_secret([21; 32]),
        talk: Some(LaneKey::from_secret([22; 32])),
    };
    let blind = LaneKeys { talk: None, ..keys.clone() };
    let bundle = frozen("bundle", |bytes| codec::decode::<Bundle>(bytes, MAX_GOSSIP));
    let renewal = frozen("renewal", |bytes| codec::decode::<Renewal>(bytes, 256));
    let bundle = bundle.as_ref().map(encode).unwrap_or_default();
    let renewal = renewal.as_ref().map(encode).unwrap_or_default();
    // Each record as its fields, for these have no other name than their order.
    let kept_parcel = |parcel: Option<Vec<u8>>| encode(&(invite(), parcel));
    let invitation = ("token".to_owned(), invite(), true, Hash([92; 32]), vec![1_u8, 2]);
    let (spans, forged) = (vec![(3_u64, 300_u64), (301, 302)], vec![7_u64, 300]);
    let erasure = Erasure { by: None, signature: Signature([21; 64]) };
    let erased: erasing::Stored =
        (vec![EntryId([11; 32]), EntryId([12; 32])], vec![Packed::erased(entry.signed.clone(), erasure)]);
    let unvoted_spans = vec![(3_u64, 300_u64, device), (302, 302, device)];
    vec![
        Format::of("item", Frozen(1), Item::from_bytes, Item::to_bytes)
            .accepts("an entry", Item::Entry(entry.clone()).to_bytes())
            .accepts("a settled header", Item::Proof(proof.clone()).to_bytes()),
        Format::plain::<LaneKeys>("record epoch", Frozen(1), 256)
            .accepts("of a member", encode(&keys))
            .accepts("of an enlisted relay", encode(&blind)),
        Format::plain::<[u8; 32]>("record vote", Frozen(1), 32).accepts("the secret 3d, 32 times", vec![61; 32]),
        Format::plain::<Bundle>("record bundle", Frozen(2), MAX_STORED).accepts("as in the topic bundles", bundle),
        Format::plain::<VoteKey>("record retired", Frozen(1), 32).accepts("a vote key", encode(&VoteKey([31; 32]))),
        Format::plain::<Proof>("record conflict", Frozen(1), MAX_PROOF).accepts("a settled header", encode(&proof)),
        Format::plain::<u64>("record sent", Frozen(1), 16).accepts("300 entries", encode(&300_u64)),
        Format::of("record unchecked", Frozen(1), unchecked, encode::<Unchecked>)
            .accepts("two stretches, two that are forged", encode(&(&spans, &forged)))
            .refuses("stretches that touch", encode(&(vec![(3_u64, 5_u64), (5, 6)], &forged)))
            .refuses("out of order", encode(&(&spans, vec![300_u64, 7]))),
        Format::of("record unvoted", Frozen(1), unvoted, encode::<Unvoted>)
            .accepts("two stretches, one height that is spoiled", encode(&(&unvoted_spans, Some(7_u64))))
            .refuses("a stretch that ends before it begins", encode(&(vec![(3_u64, 2_u64, device)], None::<u64>)))
            .refuses("out of order", encode(&(vec![(3_u64, 5_u64, device), (4, 6, device)], None::<u64>))),
        Format::plain::<Left>("record left", Frozen(1), 4 * 1024 * 1024)
            .accepts("a member at 3, a device at 300", encode(&(vec![(member, 3_u64)], vec![(device, 300_u64)]))),
        Format::plain::<erasing::Stored>("record erased", Frozen(1), erasing::MAX_RECORD)
            .accepts("one whose body is in the log, one whose is not", encode(&erased)),
        Format::plain::<Renewal>("record renewal", Frozen(1), 256).accepts("as in the topic settle", renewal),
        Format::plain::<keybox::Kept>("record keybox", Frozen(1), MAX_KEYBOX + 128)
            .accepts("a member's", encode(&(member, 1_800_000_000_000_u64, vec![1_u8, 2]))),
        Format::plain::<mailbox::Kept>("record parcel", Frozen(1), MAX_PARCEL + 512)
            .accepts("kept", kept_parcel(Some(vec![1, 2])))
            .accepts("given out", kept_parcel(None)),
        Format::plain::<Invitation>("record invite", Frozen(1), 16 * 1024).accepts("an own one", encode(&invitation)),
        Format::plain::<snapshot::Snapshot>("record snapshot", Frozen(2), MAX_SNAPSHOT)
            .accepts("of the founder's join", snapshot(&entry, &proof)),
        Format::new("row of a snapshot", Frozen(2), row)
            .accepts_alone("of an entry", row_bytes(&[]))
            .accepts_alone("of one that was let go", row_bytes(&[0x80]))
            .refuses("a byte short", row_bytes(&[])[1..].to_vec())
            .refuses("a verdict that there is not", row_bytes(&[1, 0x7f])),
        Format::new("header of a snapshot", Frozen(2), header)
            .accepts_alone("item 300, of 700 bytes", header_bytes())
            .refuses("a byte short", header_bytes()[1..].to_vec())
            .refuses("a byte more", [header_bytes(), vec![0]].concat()),
        Format::plain::<joining::Snapshot>("record joined", Frozen(1), joining::MAX_SNAPSHOT)
            .accepts("of the founder's join", joined(entry)),
    ]
}

fn unvoted(bytes: &[u8]) -> Result<Unvoted, &'static str> {
    Unvoted::from_record(bytes).ok_or("no such record")
}

fn unchecked(bytes: &[u8]) -> Result<Unchecked, &'static str> {
    Unchecked::from_record(bytes).ok_or("no such record")
}

fn row(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = <&[u8; ROW]>::try_from(bytes).map_err(|_| "another length")?;
    let out = Row::from_bytes(bytes).ok_or("no such row")?.to_bytes();
    // What stands behind the verdict is not looked at at a start; no row is written with something there.
    if out == *bytes { Ok(out.to_vec()) } else { Err("not as a row is written".to_owned()) }
}

/// One header alone, as a record of many is read.
fn header(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let read = History::from_stored(&[], std::iter::empty(), std::iter::once(bytes));
    let (history, hashes) = read.filter(|(history, _)| history.headers() == 1).ok_or("not one header")?;
    Ok(history.to_store(&hashes).1.into_iter().flat_map(|(_, record)| record).collect())
}

/// Its item and length in the log, its time, little end first, and its hash.
fn header_bytes() -> Vec<u8> {
    [&300_u32.to_le_bytes()[..], &700_u32.to_le_bytes(), &1_800_000_000_000_u64.to_le_bytes(), &[44; 32]].concat()
}

/// Id, then each number little end first, then whether it was let go and how long the verdict is, and the verdict.
fn row_bytes(verdict: &[u8]) -> Vec<u8> {
    let mut bytes = vec![11; 32];
    // Its device by number, seq, item and its length, rank.
    [3_u32, 300, 5, 700, 4].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(300_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend_from_slice(verdict);
    bytes.resize(ROW, 0);
    bytes
}

fn snapshot(entry: &Packed, proof: &Proof) -> Vec<u8> {
    let head = Head { device: DeviceId([10; 32]), seq: 7, id: EntryId([12; 32]) };
    let place = Place { device: head.device, settled: Some(7), heads: vec![head], forked: false };
    let base = Base { places: vec![place], cut: vec![head] };
    let counts = (2_u8, 300_u64, 200_u64, 290_u64, 10_u64);
    let (devices, chain): (Vec<DeviceId>, Vec<u8>) = (vec![head.device], vec![1, 2]);
    [encode(&counts), encode(&(devices, base, vec![entry], Some(proof), Vec::<Proof>::new(), chain))].concat()
}

fn joined(entry: Packed) -> Vec<u8> {
    let chain = LightChain { start: None, links: Vec::new() };
    let hashes = vec![HeaderHash(CIRCLE.0), HeaderHash([44; 32])];
    let state = vec![(StateKey::Device(Person::new(3).device.id()), vec![1_u8, 2])];
    let cut = vec![Head { device: DeviceId([10; 32]), seq: 7, id: EntryId([12; 32]) }];
    encode(&(1_u8, &chain, Some(&chain), cut, hashes, state, vec![entry]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The names of records that a source file declares: all its constants that are text are such names.
    fn declared(source: &str, into: &mut BTreeSet<String>) {
        let shipped = source.split("#[cfg(test)]\nmod ").next().unwrap_or(source);
        for line in shipped.lines().filter(|line| line.contains("const ") && line.contains(": &str = \"")) {
            let name = line.split('"').nth(1).unwrap();
            into.insert(name.trim_end_matches('-').to_owned());
        }
    }

    fn walk(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                declared(&std::fs::read_to_string(&path).unwrap(), into);
            }
        }
    }

    /// Of the names in the sources and the fixtures neither has one that the other lacks: there is no list to forget.
    #[test]
    fn every_record_has_a_fixture() {
        let mut declares = BTreeSet::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut declares);
        let formats = formats();
        let fixed = formats.iter().filter_map(|format| format.name.strip_prefix("record ")).map(str::to_owned);
        assert_eq!(declares, fixed.collect());
    }
}
