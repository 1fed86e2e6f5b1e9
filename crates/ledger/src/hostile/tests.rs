//! Every decoder of this part of the ledger against 20,000 mutated and 20,000 random inputs: no panic, memory bounded by
//! the input's length, and what is accepted is canonical.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::bytes::DeviceId;
use crate::check;
use crate::hash;
use crate::invite::{self, InviteLink, RelayAddress};
use alloc::vec;
use data_encoding::BASE64URL_NOPAD;

#[global_allocator]
static METER: Meter = Meter;

const ROUNDS: u64 = 20_000;

/// A list's claimed length reserves memory for as many elements as there are bytes left (a [`Head`] takes 72 bytes) and
/// no more than a mebibyte; all else is in proportion to the input.
const PER_BYTE: usize = size_of::<Head>() + 8;

fn bounded<T>(input: &[u8], decode: impl FnOnce(&[u8]) -> T) -> T {
    let (peak, given) = Meter::peak(|| decode(input));
    assert!(peak <= PER_BYTE * input.len() + 4_096, "{peak} bytes taken for an input of {}", input.len());
    given
}

fn link(circle: &Circle) -> InviteLink {
    let relay = |url: &str| RelayAddress { url: url.to_string(), peer: DeviceId([7; 32]) };
    InviteLink {
        version: invite::VERSION,
        secret: [5; 32],
        circle: circle.id,
        relays: vec![relay("ws://127.0.0.1:8080/"), relay("wss://relay.example/")],
        pinned: Anchor { height: 300, hash: HeaderHash([9; 32]) },
    }
}

/// Entries of each shape: founder's join, invite, newcomer's join, post with approvals.
fn entries() -> (Circle, Vec<Packed>) {
    let mut circle = Circle::new(1);
    let join = circle.founders_join();
    let (secret, invite, given) = circle.invite(2);
    let mut guest = Person::new(3);
    let joined = circle.join(&mut guest, &secret, invite);
    let approves = [circle.founder.head.unwrap()];
    let post = circle.post(&mut guest, &approves, "good evening");
    (circle, vec![join, given, joined, post])
}

#[test]
fn the_fixtures_are_valid() {
    let (circle, entries) = entries();
    for packed in entries {
        assert!(check::check(circle.id, packed).is_ok());
    }
}

#[test]
fn signed_entries() {
    let valid: Vec<_> = entries().1.iter().map(|packed| packed.signed.encode()).collect();
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(signed) = bounded(bytes, Signed::decode) {
            assert_eq!(signed.encode(), bytes);
        }
    });
}

#[test]
fn packed_entries_and_their_check() {
    let (circle, entries) = entries();
    let valid: Vec<_> = entries.iter().map(Packed::encode).collect();
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(packed) = bounded(bytes, Packed::decode) {
            assert_eq!(packed.encode(), bytes);
            let erased = packed.body.is_none();
            let checked = check::check(circle.id, packed).is_ok();
            assert_eq!(checked, valid.iter().any(|valid| valid == bytes) || checked && erased);
        }
    });
}

#[test]
fn genesis() {
    let valid = [Circle::new(1).genesis.encode()];
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(genesis) = bounded(bytes, Genesis::decode) {
            assert_eq!(genesis.encode(), bytes);
        }
    });
}

#[test]
fn operations() {
    let (_, invite, _) = Circle::new(1).invite(2);
    let to = Person::new(4).member();
    let valid = [
        Operation::Join { name: "花子".to_string() },
        Operation::Enrol,
        Operation::Invite(invite),
        Operation::Transfer { to, amount: 300, reason: vec![1; 128] },
    ]
    .map(|operation| operation.encode());
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(operation) = bounded(bytes, Operation::decode) {
            assert_eq!(operation.encode(), bytes);
        }
    });
}

#[test]
fn talk() {
    let valid =
        ["a", "こんばんは、みなさん", &"long ".repeat(100)].map(|text| Talk::Post { text: text.to_string() }.encode());
    besiege(&valid, ROUNDS, |bytes| {
        if let Ok(talk) = bounded(bytes, Talk::decode) {
            assert_eq!(talk.encode(), bytes);
        }
    });
}

#[test]
fn tokens_of_invites() {
    let token = link(&Circle::new(1)).to_token();
    besiege(&[token.clone().into_bytes()], ROUNDS, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(link) = bounded(text.as_bytes(), |_| InviteLink::from_token(&text)) {
            assert_eq!(link.to_token(), token);
        }
    });
}

#[test]
fn links_behind_a_right_checksum() {
    let valid = [crate::codec::encode(&link(&Circle::new(1)))];
    besiege(&valid, ROUNDS, |bytes| {
        let mut bytes = bytes.to_vec();
        let checksum = hash::hash(hash::context::INVITE_TOKEN, &[&bytes]);
        bytes.extend_from_slice(&checksum[..4]);
        let token = BASE64URL_NOPAD.encode(&bytes);
        if let Ok(link) = bounded(token.as_bytes(), |_| InviteLink::from_token(&token)) {
            assert_eq!(link.to_token(), token);
        }
    });
}

#[test]
fn sealed_bodies_and_parcels() {
    let (circle, mut entries) = entries();
    let entry = entries.remove(3);
    let key = circle.keys.talk.as_ref().unwrap();
    let secret = InviteSecret::from_secret([3; 32]);
    let body = entry.body.unwrap();
    let valid = [body.clone(), secret.seal([4; 24], b"keys").unwrap()];
    besiege(&valid, ROUNDS, |bytes| {
        let opened = bounded(bytes, |bytes| seal::open_body(circle.id, &entry.signed.entry, key, bytes));
        assert_eq!(opened.is_ok(), bytes == body);
        let opened = bounded(bytes, |bytes| secret.open(bytes));
        assert_eq!(opened.is_ok(), bytes == valid[1]);
    });
}
