//! Every decoder and every mouth of the engine against 20,000 mutated messages and as many random ones: typed errors, no
//! panic, memory in proportion to the input, and an engine that is as well afterwards as before.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;

use alone::{Alone, Friends, LIAR};
use ledgerno_engine::join::Parcel;
use ledgerno_engine::wire::{Answer, Ask, MAX_ASK, No, Place, REGISTER, Range, Register, Topic, Votes, circle_of};
use ledgerno_engine::{Engine, Item, Limits, OpenError, Seat};
use ledgerno_ledger::bytes::Hash;
use ledgerno_ledger::codec::{self, CodecError};
use ledgerno_ledger::entry::{Anchor, Packed, Role};
use ledgerno_ledger::hostile::{Meter, Person, besiege, mutate, random};
use ledgerno_ledger::invite::{self, InviteLink, RelayAddress};
use ledgerno_ledger::settle::Proof;

#[global_allocator]
static METER: Meter = Meter;

const ROUNDS: u64 = 20_000;

/// A list's claimed length reserves room for as many elements as there are bytes left; the greatest element is a proof's or
/// an entry's, of a few hundred bytes, and the decoder reserves no more than a mebibyte before it reads them.
fn bounded<T>(input: &[u8], decode: impl FnOnce(&[u8]) -> T) -> T {
    let (peak, given) = Meter::peak(|| decode(input));
    let bound = (size_of::<Packed>().max(size_of::<Proof>()) * input.len()).min(1 << 20) + 80 * input.len() + 4_096;
    assert!(peak <= bound, "{peak} bytes taken for an input of {}", input.len());
    given
}

/// A circle with some history, a header that settles a part of it, and one entry more.
fn history() -> (Friends, Proof) {
    let mut friends = Friends::new();
    friends.post("one");
    friends.founders_post("two");
    let proof = friends.witness().settle();
    friends.post("three");
    (friends, proof)
}

/// A valid question of every kind.
fn asks(friends: &Friends, proof: &Proof) -> Vec<Ask> {
    let (device, nonce) = (friends.friend.device.id(), [7; 16]);
    let guest = Person::new(77);
    let invited = friends.secret.invited(friends.circle.id, guest.member(), guest.device.id(), friends.invite);
    let admission = guest.identity.admit(friends.circle.id, &guest.device, Role::Write, Some(invited));
    vec![
        Ask::Frontier { digest: Hash([1; 32]), height: 3 },
        Ask::Devices { bits: 3, buckets: vec![0, 1, 5, 7], nonce },
        Ask::Branches { device },
        Ask::Ranges(vec![Range { device, from: 0, to: 900 }, Range { device: LIAR, from: 4, to: 5 }]),
        Ask::Entries(friends.entries.iter().map(|packed| friends.id(packed)).collect()),
        Ask::Headers { from: 1 },
        Ask::Give { entries: friends.entries.clone(), proofs: vec![proof.clone()] },
        Ask::Knock(Box::new(admission)),
        Ask::PutParcel { address: Hash([2; 32]), invite: friends.invite, parcel: vec![9; 300] },
        Ask::GetParcel { address: Hash([2; 32]) },
        Ask::Erased { bits: 2, buckets: vec![0, u64::MAX, 300, 1] },
    ]
}

/// A valid answer of every kind.
fn answers(friends: &Friends, proof: &Proof) -> Vec<Answer> {
    let mut ids: Vec<_> = friends.entries.iter().map(|packed| friends.id(packed)).collect();
    ids.sort_unstable();
    let place = |n: u8| Place { device: friends.friend.device.id(), seq: n.into(), tag: u64::from(n) << 40 };
    vec![
        Answer::Same { height: 4 },
        Answer::Differ { height: 4, bits: 2, buckets: vec![u64::MAX, 0, 1, 300] },
        Answer::Devices((0..9).map(place).collect()),
        Answer::Branches(friends.entries.iter().map(|packed| friends.id(packed)).collect()),
        Answer::Entries { entries: friends.entries.clone(), more: true },
        Answer::Headers { proofs: vec![proof.clone(), proof.clone()], more: false },
        Answer::Held { entries: 3, refused: 300, height: 9 },
        Answer::Kept,
        Answer::Parcel(vec![5; 200]),
        Answer::Erased { buckets: vec![0, 3], ids },
        Answer::No(No::Full),
    ]
}

#[test]
fn questions_of_every_kind() {
    let (friends, proof) = history();
    for ask in asks(&friends, &proof) {
        let kind = ask.kind();
        let valid = ask.to_bytes(friends.circle.id);
        let read = |bytes: &[u8]| {
            let Some((_, question)) = circle_of(bytes) else { return };
            match bounded(question, |bytes| Ask::from_bytes(kind, bytes)) {
                Ok(ask) => assert_eq!(ask.to_bytes(friends.circle.id)[32..], *question, "accepted is canonical"),
                Err(CodecError::TooLong { len, max }) => assert!(len > max),
                Err(CodecError::Malformed | CodecError::NotCanonical) => {}
            }
        };
        besiege(std::slice::from_ref(&valid), ROUNDS, read);
        assert_eq!(Ask::from_bytes(kind, &valid[32..]), Ok(ask));
        assert_eq!(Ask::from_bytes(kind + 1, &valid[32..]), Err(CodecError::Malformed), "of another kind");
    }
    let long = vec![0; MAX_ASK + 1];
    assert!(matches!(Ask::from_bytes(3, &long), Err(CodecError::TooLong { .. })));
}

#[test]
fn answers_of_every_kind() {
    let (friends, proof) = history();
    for answer in answers(&friends, &proof) {
        let valid = answer.to_bytes();
        besiege(std::slice::from_ref(&valid), ROUNDS, |bytes| {
            if let Ok(answer) = bounded(bytes, Answer::from_bytes) {
                assert_eq!(answer.to_bytes(), bytes);
            }
        });
        assert_eq!(Answer::from_bytes(&valid), Ok(answer));
    }
}

#[test]
fn registrations_and_items_of_the_log() {
    let (friends, proof) = history();
    assert_eq!(REGISTER, 9);
    let register = Register { token: "the owner's".to_owned(), genesis: friends.circle.genesis.encode() };
    besiege(&[codec::encode(&register)], ROUNDS, |bytes| {
        if let Ok(register) = bounded(bytes, |bytes| codec::decode::<Register>(bytes, 1 << 14)) {
            assert_eq!(codec::encode(&register), bytes);
        }
    });
    let mut items: Vec<Vec<u8>> = friends.entries.iter().map(|packed| Item::Entry(packed.clone()).to_bytes()).collect();
    items.push(Item::Proof(proof).to_bytes());
    besiege(&items, ROUNDS, |bytes| {
        if let Ok(item) = bounded(bytes, Item::from_bytes) {
            assert_eq!(item.to_bytes(), bytes);
        }
    });
}

#[test]
fn parcels() {
    let (friends, _) = history();
    let parcel = Parcel {
        genesis: friends.circle.genesis.encode(),
        keys: friends.circle.keys.clone(),
        later: Vec::new(),
        invite: friends.invite,
        by: "Anna".to_owned(),
    };
    let secret = {
        // The fixture's secret is not shown; a link of its own does as well.
        ledgerno_ledger::keys::InviteSecret::from_secret([3; 32])
    };
    let link = InviteLink {
        version: invite::VERSION,
        secret: [3; 32],
        circle: friends.circle.id,
        relays: vec![RelayAddress { url: "ws://127.0.0.1:1/".to_owned(), peer: LIAR }],
        pinned: Anchor { height: 0, hash: ledgerno_ledger::bytes::HeaderHash(friends.circle.id.0) },
    };
    let invite =
        ledgerno_ledger::entry::Invite::issue(friends.circle.id, &secret, &friends.circle.founder.device, 1, 9);
    let plain = codec::encode(&Parcel { invite, ..parcel });
    let sealed = secret.seal([1; 24], &plain).unwrap();
    assert!(Parcel::open(&link, &sealed).is_ok());
    // Sealed bytes that were touched do not open; plain ones that the issuer made wrong are told from right ones.
    besiege(std::slice::from_ref(&sealed), ROUNDS, |bytes| {
        assert!(bytes == sealed || Parcel::open(&link, bytes).is_err())
    });
    let seal = |plain: &[u8]| secret.seal([1; 24], plain).unwrap();
    besiege(std::slice::from_ref(&plain), ROUNDS, |bytes| {
        if bytes.len() > 4_096 {
            return;
        }
        if let Ok((parcel, genesis)) = Parcel::open(&link, &seal(bytes)) {
            assert_eq!((genesis.id(), parcel.invite), (friends.circle.id, invite));
        }
    });
}

#[test]
fn records_of_mailbox_and_invitations() {
    let (friends, _) = history();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let parcel = Ask::PutParcel { address: Hash([2; 32]), invite: friends.invite, parcel: vec![9; 300] };
    assert_eq!(relay.ask(friends.circle.founder.device.id(), parcel), Some(Answer::Kept));
    let mut anna = Alone::founder(&friends.circle);
    anna.act(|engine, _| engine.present(None)).unwrap();
    anna.act(|engine, now| engine.enter(Some("Anna"), now)).unwrap();
    anna.act(|engine, now| engine.invite(3, 1_000_000, Vec::new(), now)).unwrap();
    for (records, member) in [(relay.records.clone(), false), (anna.records.clone(), true)] {
        let (name, valid) = records.iter().next().unwrap();
        let open = |name: &str, bytes: &[u8]| {
            let seat = if member { None } else { Some(Seat::Keeper) };
            let seat = seat.unwrap_or_else(|| Alone::seat_of(&friends.circle, &friends.friend));
            let nothing: [Vec<u8>; 0] = [];
            let genesis = friends.circle.genesis.clone();
            Engine::open(genesis, seat, Limits::default(), nothing, [(name, bytes)], [1; 32]).map(|_| ())
        };
        assert_eq!(open(name, valid), Ok(()));
        // Some bytes of the record are data of no form (a parcel, a signature); what is refused is refused by name.
        besiege(std::slice::from_ref(valid), ROUNDS, |bytes| match open(name, bytes) {
            Ok(()) => {}
            Err(error) => assert_eq!(error, OpenError::Record { name: name.clone() }),
        });
        besiege(&[name.clone().into_bytes()], ROUNDS, |bytes| {
            let Ok(name) = std::str::from_utf8(bytes) else { return };
            if let Err(error) = open(name, valid) {
                assert_eq!(error, OpenError::Record { name: name.to_owned() });
            }
        });
    }
}

/// An engine that went through an attack is well: it holds what it held, takes what is right, and opens again.
fn assert_well(mut alone: Alone, friends: &mut Friends, held: usize) {
    assert_eq!(alone.held(), held);
    let more = friends.post("all is well");
    alone.gossip(&more);
    assert_eq!(alone.held(), held + 1);
    assert_eq!(alone.reopen().map(|engine| engine.settlement()), Ok(alone.engine.settlement()));
    // And a friend who has less syncs with it.
    alone.act(|engine, _| engine.disconnected(LIAR));
    let device = friends.friend.device.id();
    let mut friend = Alone::member(&friends.circle, &friends.friend);
    friend.act(|engine, now| engine.connected(LIAR, now));
    friend.talk_to(&mut alone, device);
    assert_eq!(friend.engine.settlement().entries, alone.held());
    assert_eq!(friend.engine.settlement().height, alone.engine.settlement().height);
}

fn settled_engine(friends: &Friends, proof: &Proof) -> Alone {
    let mut alone = Alone::member(&friends.circle, &Person::new(70));
    friends.feed(&mut alone);
    alone.vote(proof);
    assert_eq!(alone.engine.settlement().height, 1);
    alone
}

#[test]
fn gossip() {
    let (mut friends, proof) = history();
    let mut ben = settled_engine(&friends, &proof);
    let held = ben.held();
    let entries: Vec<Vec<u8>> = friends.entries.iter().map(codec::encode).collect();
    let said = |proof: Proof| Votes::Proof(Box::new(proof)).to_bytes();
    let proofs = [said(proof.clone()), said(next_proof(&friends, &proof))];
    for (topic, valid) in
        [(Topic::Entries, &entries[..]), (Topic::Votes, &proofs[..1]), (Topic::Presence, &entries[..1])]
    {
        besiege(valid, ROUNDS, |bytes| ben.act(|engine, now| engine.gossip(topic, LIAR, bytes, now)));
    }
    assert!(ben.engine.refusals().len() <= 8);
    // The next header, touched in any way, is not settled.
    for seed in 0..ROUNDS {
        let touched = mutate(&proofs[1], seed);
        if touched != proofs[1] {
            ben.act(|engine, now| engine.gossip(Topic::Votes, LIAR, &touched, now));
            assert_eq!(ben.engine.settlement().height, 1, "seed {seed}");
        }
    }
    ben.act(|engine, now| engine.gossip(Topic::Votes, LIAR, &proofs[1], now));
    assert_eq!(ben.engine.settlement().height, 2);
    assert_well(ben, &mut friends, held);
}

fn next_proof(friends: &Friends, first: &Proof) -> Proof {
    let mut witness = friends.witness();
    let block = {
        let mut known = Friends::new();
        known.entries = friends.entries[..friends.entries.len() - 1].to_vec();
        known.witness().next()
    };
    assert_eq!(block.header, first.checkpoint.header);
    witness.chain.adopt(&mut witness.dag, block, first.clone());
    witness.settle()
}

#[test]
fn questions_reach_the_engine() {
    let (mut friends, proof) = history();
    let valid: Vec<Vec<u8>> = asks(&friends, &proof).iter().map(|ask| ask.to_bytes(friends.circle.id)).collect();
    for known in [true, false] {
        let mut ben = settled_engine(&friends, &proof);
        let held = ben.held();
        let peer = if known { friends.friend.device.id() } else { LIAR };
        let mut waiting = 0;
        besiege(&valid, ROUNDS, |bytes| {
            let Some((_, question)) = circle_of(bytes) else { return };
            for kind in [2, 3, 4, 5, 8] {
                let Ok(ask) = Ask::from_bytes(kind, question) else { continue };
                let gives = matches!(ask, Ask::Give { .. } | Ask::Knock(_) | Ask::GetParcel { .. });
                match ben.ask(peer, ask) {
                    Some(Answer::No(_)) => {}
                    Some(answer) => assert!(known || gives, "a stranger is told {answer:?}"),
                    None => waiting += 1,
                }
            }
        });
        assert_eq!(waiting, 0, "every question is answered");
        assert_well(ben, &mut friends, held);
        friends.entries.pop();
        friends.friend = alone::twin_before(&friends);
    }
}

#[test]
fn answers_reach_the_engine() {
    let (mut friends, proof) = history();
    let valid: Vec<Vec<u8>> = answers(&friends, &proof).iter().map(Answer::to_bytes).collect();
    let mut ben = settled_engine(&friends, &proof);
    let held = ben.held();
    ben.act(|engine, now| engine.connected(LIAR, now));
    let mut asked = 0;
    let mut reply = |ben: &mut Alone, bytes: &[u8]| {
        // Whatever the engine asks gets this for an answer; when it rests, its clock rings.
        if ben.asks.is_empty() {
            ben.now = ben.engine.due().unwrap_or(ben.now).max(ben.now) + 1;
            ben.act(Engine::tick);
            ben.act(|engine, now| engine.sync(LIAR, now));
        }
        let (_, no, ask) = ben.asks.remove(0);
        assert!(ask.to_bytes(friends.circle.id).len() <= MAX_ASK + 32);
        assert!(ben.asks.is_empty(), "one question to a peer at a time");
        asked += 1;
        ben.act(|engine, now| engine.answered(no, Answer::from_bytes(bytes).ok(), now));
    };
    // Mostly answers that fit, one of them touched: so every step of a session is reached.
    for seed in 0..2 * ROUNDS {
        let fit = match ben.asks.first().map(|(_, _, ask)| ask) {
            Some(Ask::Frontier { .. }) => 1,
            Some(Ask::Devices { .. }) => 2,
            Some(Ask::Branches { .. }) => 3,
            Some(Ask::Ranges(_) | Ask::Entries(_)) => 4,
            Some(Ask::Headers { .. }) => 5,
            Some(Ask::Give { .. }) => 6,
            Some(Ask::Erased { .. }) => 9,
            _ => 0,
        };
        let bytes = match seed % 4 {
            0 => valid[fit].clone(),
            1 => mutate(&valid[fit], seed),
            2 => mutate(&valid[seed as usize / 4 % valid.len()], seed),
            _ => random(300, seed),
        };
        reply(&mut ben, &bytes);
    }
    assert_eq!(asked, 2 * ROUNDS);
    // An answer to nothing does nothing.
    for no in 0..100 {
        ben.act(|engine, now| engine.answered(no, Some(Answer::Kept), now));
    }
    ben.asks.clear();
    assert_well(ben, &mut friends, held);
}
