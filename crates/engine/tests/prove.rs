//! Proof files of what real engines settled, checked by who holds nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;
mod common;

use alone::{Alone, Friends, NOW, fork};
use common::{RELAY, START, WEEK, World};
use ledgerno_engine::ProveError;
use ledgerno_ledger::bytes::{DeviceId, EntryId, Hash, MemberId};
use ledgerno_ledger::op::{Operation, Talk};
use ledgerno_ledger::proof::{Content, Limit, Parts, ProofFile, Statement, Subject};

fn two() -> (World, DeviceId, DeviceId) {
    let mut world = World::new(1);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 10, START + WEEK);
    let ben = world.join("Ben", &token);
    world.pass(10_000);
    (world, anna, ben)
}

/// The file as it travels.
fn verified(file: Result<ProofFile, ProveError>) -> Statement {
    let bytes = file.unwrap().encode();
    ProofFile::verify(&bytes).unwrap().statement
}

#[test]
fn what_was_written_and_settled_is_proven_to_a_stranger() {
    let (mut world, anna, ben) = two();
    let mut posts: Vec<(DeviceId, EntryId, String)> = Vec::new();
    for round in 0..4 {
        for writer in [anna, ben, anna] {
            let text = format!("round {round} of {}", posts.len());
            posts.push((writer, world.post(writer, &text), text));
        }
        world.pass(10_000);
    }
    assert!(world.engine(anna).settlement().height > 4);
    for by in [anna, ben] {
        for (writer, id, text) in &posts {
            let member = world.engine(*writer).own_member().unwrap();
            let Statement::Entry { id: proven, author, settled, content, .. } =
                verified(world.engine(by).prove_entry(id, true))
            else {
                panic!("another claim")
            };
            assert_eq!((proven, author.device, author.member), (*id, *writer, member));
            assert_eq!(author.name, if *writer == anna { "Anna" } else { "Ben" });
            assert_eq!(content, Content::Talk(Talk::Post { text: text.clone() }));
            assert!((1..=world.engine(anna).settlement().height).contains(&settled.height));
            let sealed = world.engine(by).prove_entry(id, false).unwrap().encode();
            let inside = |needle: &[u8]| sealed.windows(needle.len()).any(|window| window == needle);
            assert!(!inside(text.as_bytes()));
        }
    }
}

#[test]
fn thanks_are_proven_with_their_reason_and_members_with_their_points() {
    let (mut world, anna, ben) = two();
    let to = world.engine(ben).own_member().unwrap();
    let thanks = world.act(anna, |engine, now| engine.thank(to, 7, "for coming", now)).unwrap().id;
    assert_eq!(world.engine(anna).prove_entry(&thanks, true), Err(ProveError::NotSettled));
    world.pass(10_000);
    let Statement::Entry { content: Content::Operation(Operation::Transfer { amount: 7, .. }, reason), .. } =
        verified(world.engine(ben).prove_entry(&thanks, true))
    else {
        panic!("another claim")
    };
    assert_eq!(reason.as_deref(), Some("for coming"));
    let Statement::Member { name, balance, .. } = verified(world.engine(anna).prove_member(to)) else {
        panic!("another claim")
    };
    assert_eq!((name.as_str(), balance), ("Ben", 107));
    let stranger = MemberId([9; 32]);
    assert_eq!(verified(world.engine(anna).prove_member(stranger)), Statement::NoMember(stranger));
}

#[test]
fn who_cannot_prove_says_why() {
    let (mut world, anna, _) = two();
    let post = world.post(anna, "hello");
    world.pass(10_000);
    assert_eq!(world.engine(RELAY).prove_entry(&post, false), Err(ProveError::NoState));
    assert_eq!(world.engine(anna).prove_entry(&EntryId([9; 32]), false), Err(ProveError::NotHeld));
    assert_eq!(world.engine(anna).prove_fork(anna), Err(ProveError::NoFork));
    let to = world.engine(anna).own_member().unwrap();
    // What is not durable yet is not told.
    world.hosts.get_mut(&anna).unwrap().disk.holds = true;
    world.post(anna, "on its way");
    world.pass(10_000);
    assert_eq!(world.engine(anna).prove_member(to), Err(ProveError::NotSettled));
}

#[test]
fn a_stamp_is_proven_with_who_vouched_and_what_it_was_said_to_be() {
    let (mut world, anna, ben) = two();
    let document = Hash([5; 32]);
    let stamp = world.act(anna, |engine, now| engine.stamp(document, "the contract", now)).unwrap().id;
    assert_eq!(world.engine(anna).prove_stamp(document), Err(ProveError::NotStamped));
    world.pass(10_000);
    world.act(ben, |engine, now| engine.endorse(document, now)).unwrap();
    world.pass(10_000);
    for by in [anna, ben] {
        let Statement::Stamp { document: proven, by: author, entry, height, time, vouchers } =
            verified(world.engine(by).prove_stamp(document))
        else {
            panic!("another claim")
        };
        assert_eq!((proven, author.name.as_str(), author.device, entry), (document, "Anna", anna, stamp));
        let [ben_vouched] = &vouchers[..] else { panic!("{vouchers:?}") };
        assert_eq!((ben_vouched.person.name.as_str(), ben_vouched.person.device), ("Ben", ben));
        assert!(height < ben_vouched.height && START <= time && time < ben_vouched.time);
    }
    let Statement::Entry { content: Content::Operation(Operation::Stamp { .. }, note), .. } =
        verified(world.engine(ben).prove_entry(&stamp, true))
    else {
        panic!("another claim")
    };
    assert_eq!(note.as_deref(), Some("the contract"));
    assert_eq!(world.engine(anna).prove_stamp(Hash([6; 32])), Err(ProveError::NotStamped));
}

#[test]
fn a_fork_is_proven_by_whoever_saw_it_with_whose_device_it_is_or_without() {
    let friends = Friends::new();
    let device = friends.friend.device.id();
    for settles in [true, false] {
        let mut alone = if settles { Alone::founder(&friends.circle) } else { Alone::keeper(&friends.circle) };
        friends.feed(&mut alone);
        for text in ["one", "other"] {
            alone.gossip(&fork(&friends.circle, &friends.friend, text).0);
        }
        while let Some(due) = alone.engine.due().filter(|due| *due < NOW + 60_000) {
            alone.now = due;
            alone.act(|engine, now| engine.tick(now));
        }
        let proven = ProofFile::verify(&alone.engine.prove_fork(device).unwrap().encode()).unwrap();
        let Statement::Fork { device: forked, ref author, seq, .. } = proven.statement else { panic!("{proven:?}") };
        assert_eq!((forked, seq), (device, friends.friend.seq));
        assert_eq!(author.as_ref().map(|author| author.member), settles.then(|| friends.friend.member()));
        assert_eq!(proven.limits().contains(&Limit::NoAuthor), !settles);
        if settles {
            // As a person asks for it: of a member, whose devices are not told apart.
            let asked = alone.engine.prove(Subject::Fork(friends.friend.member())).unwrap();
            let asked = Parts::decode(&ledgerno_ledger::codec::encode(&asked)).unwrap();
            assert_eq!(asked.make().unwrap(), alone.engine.prove_fork(device).unwrap());
            let honest = alone.engine.own_member().unwrap();
            assert_eq!(alone.engine.prove(Subject::Fork(honest)), Err(ProveError::NoFork));
        }
    }
}
