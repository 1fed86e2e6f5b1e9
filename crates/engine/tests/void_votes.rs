//! Headers that came in a run and became void before their votes were checked: a renewal can make a node give up what it
//! settled. What stands is checked and given on all the same, and what comes in their place can be read back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;

use alone::{Alone, Friends};
use ledgerno_engine::wire::{Answer, Ask};
use ledgerno_engine::{Item, Limits};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::check::check;
use ledgerno_ledger::hostile::Person;
use ledgerno_ledger::settle::Proof;

const RELAY: DeviceId = DeviceId([5; 32]);
const OTHER: DeviceId = DeviceId([6; 32]);

fn given(alone: &mut Alone, by: DeviceId) -> Option<Vec<u64>> {
    match alone.ask(by, Ask::Headers { from: 1 }) {
        Some(Answer::Headers { proofs, .. }) => Some(proofs.iter().map(Proof::height).collect()),
        _ => None,
    }
}

#[test]
fn votes_of_headers_that_became_void_are_not_waited_for() {
    let mut friends = Friends::new();
    let mut reader = Person::new(30);
    let joined = friends.circle.join(&mut reader, &friends.secret, friends.invite);
    friends.entries.push(joined);
    let mut witness = friends.witness();
    let mut proofs = vec![witness.settle()];
    for height in 0..99 {
        let packed = friends.post(&height.to_string());
        witness.dag.insert(check(friends.circle.id, packed).unwrap()).unwrap();
        proofs.push(witness.settle());
    }
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    proofs.iter().for_each(|proof| relay.vote(proof));
    let (by, own) = (friends.friend.device.id(), reader.device.id());
    let mut reader = Alone::reader(&friends.circle, &reader, Limits { by_hash: 1, ..Limits::default() });
    reader.act(|engine, now| engine.connected(RELAY, now));
    reader.talk_to(&mut relay, own);
    assert_eq!((reader.engine.settlement().height, reader.engine.withheld()), (100, 99));

    let is_void = |item: &Vec<u8>| matches!(Item::from_bytes(item), Ok(Item::Proof(proof)) if proof.height() > 60);
    let all = reader.log.clone();
    reader.log.retain(|item| !is_void(item));
    reader.engine = reader.reopen_with(Limits { by_hash: 1, ..Limits::default() }).unwrap();
    assert_eq!((reader.engine.settlement().height, reader.engine.withheld()), (60, 60));
    // What comes then, and by whom, is noted above what is left.
    reader.act(|engine, now| engine.connected(OTHER, now));
    reader.talk_to(&mut relay, own);
    assert_eq!(reader.engine.settlement().height, 100);
    assert_eq!(reader.log.len(), all.len());
    reader.engine = reader.reopen().unwrap();
    for _ in 0..100 {
        reader.act(|engine, now| engine.tick(now));
    }
    assert_eq!((reader.engine.withheld(), reader.engine.refusals().len()), (0, 0));
    assert_eq!(given(&mut reader, by), Some((1..=100).collect()));
}
