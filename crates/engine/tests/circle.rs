//! Stories of a circle, with the network and the disks carried by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World};
use ledgerno_engine::status::Status;
use ledgerno_engine::wire::{Answer, No};

/// A founder and a friend, both linked to the relay, everything settled.
fn two() -> (World, ledgerno_ledger::bytes::DeviceId, ledgerno_ledger::bytes::DeviceId) {
    let mut world = World::new(1);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 10, START + WEEK);
    let ben = world.join("Ben", &token);
    world.pass(10_000);
    (world, anna, ben)
}

#[test]
fn a_friend_joins_and_both_end_at_one_root() {
    let (mut world, anna, ben) = two();
    let hello = world.post(anna, "hello");
    let reply = world.post(ben, "hi Anna");
    let to = world.engine(ben).own_member().unwrap();
    world.act(anna, |engine, now| engine.thank(to, 7, "for coming", now)).unwrap();
    world.pass(10_000);
    assert_eq!(world.texts(anna), ["hello", "hi Anna"]);
    assert_eq!(world.texts(ben), ["hello", "hi Anna"]);
    for id in [hello, reply] {
        assert_eq!(world.engine(anna).status(&id), Some(Status::Settled));
        assert_eq!(world.engine(ben).status(&id), Some(Status::Settled));
    }
    let (a, b) = (world.engine(anna).settlement(), world.engine(ben).settlement());
    assert_eq!(a, b);
    assert_eq!(world.engine(RELAY).settlement().header, a.header);
    assert_eq!(a.unsettled, 0);
    let balances = |id| world.engine(id).members().iter().map(|member| member.balance).collect::<Vec<_>>();
    assert_eq!(balances(anna), [93, 107]);
    assert_eq!(balances(ben), [93, 107]);
}

#[test]
fn a_third_joins_while_everybody_sleeps() {
    let (mut world, anna, ben) = two();
    world.post(anna, "one");
    let (token, _) = world.invite(anna, 1, START + WEEK);
    world.post(ben, "two");
    world.pass(10_000);
    world.unlink(anna, RELAY);
    world.unlink(ben, RELAY);
    let carl = world.join("Carl", &token);
    world.pass(10_000);
    assert!(world.engine(carl).is_in());
    assert_eq!(world.texts(carl), ["one", "two"]);
    assert!(!world.engine(carl).members().iter().find(|member| member.name == "Carl").unwrap().settled);
    world.link(anna, RELAY);
    world.pass(10_000);
    assert!(world.engine(carl).members().iter().all(|member| member.settled));
    assert_eq!(world.engine(carl).settlement(), world.engine(anna).settlement());
    assert_eq!(world.parcel(&token), Answer::No(No::UsedUp));
}

#[test]
fn an_expired_or_unknown_invite_gets_a_clear_word() {
    let (mut world, anna, _) = two();
    let expiry = world.now + 1_000;
    let (token, _) = world.invite(anna, 10, expiry);
    assert!(matches!(world.parcel(&token), Answer::Parcel(_)));
    world.pass(2_000);
    assert_eq!(world.parcel(&token), Answer::No(No::Expired));
    world.crash(RELAY);
    assert_eq!(world.parcel(&token), Answer::No(No::Expired));
    world.unlink(anna, RELAY);
    let soon = world.now + WEEK;
    let (never_brought, _) = world.invite(anna, 10, soon);
    assert_eq!(world.parcel(&never_brought), Answer::No(No::NoParcel));
}

#[test]
fn alone_and_offline_everything_stays_here() {
    let mut world = World::new(2);
    let anna = world.found("Anna");
    let post = world.post(anna, "to myself");
    world.pass(60_000);
    assert_eq!(world.engine(anna).settlement().unsettled, 0, "the founder settles alone");
    assert_eq!(world.engine(anna).status(&post), Some(Status::Here), "but nothing is sent, so it is only here");
    world.link(anna, RELAY);
    assert_eq!(world.engine(anna).status(&post), Some(Status::Settled));
    world.crash(anna);
    assert_eq!(world.engine(anna).status(&post), Some(Status::Settled), "what was sent stays sent");
}

#[test]
fn sent_waits_for_the_other_sides_disk() {
    let (mut world, anna, _) = two();
    world.hosts.get_mut(&RELAY).unwrap().disk.holds = true;
    let post = world.post(anna, "careful");
    world.pass(100);
    assert_eq!(world.engine(anna).status(&post), Some(Status::Here));
    world.crash(RELAY);
    world.hosts.get_mut(&RELAY).unwrap().disk.holds = false;
    assert_eq!(world.engine(anna).status(&post), Some(Status::Here));
    world.link(anna, RELAY);
    assert!(world.engine(anna).status(&post).unwrap() >= Status::Sent);
}

#[test]
fn nothing_is_said_before_it_is_durable_here() {
    let (mut world, anna, ben) = two();
    world.hosts.get_mut(&anna).unwrap().disk.holds = true;
    let post = world.post(anna, "not yet");
    assert_eq!(world.engine(anna).status(&post), None);
    assert!(world.texts(ben).is_empty() && world.texts(anna).is_empty());
    world.crash(anna);
    world.hosts.get_mut(&anna).unwrap().disk.holds = false;
    world.link(anna, RELAY);
    world.post(anna, "again");
    world.pass(10_000);
    assert_eq!(world.texts(ben), ["again"], "the lost one never was, and nobody forked");
    assert!(world.engine(ben).members().iter().all(|member| !member.forked));
}

#[test]
fn the_relay_is_lost_while_people_write() {
    let (mut world, anna, ben) = two();
    world.crash(RELAY);
    for n in 0..50 {
        let post = world.post(anna, &format!("a{n}"));
        assert_eq!(world.engine(anna).status(&post), Some(Status::Here));
        world.post(ben, &format!("b{n}"));
    }
    world.pass(60_000);
    world.link(anna, RELAY);
    world.link(ben, RELAY);
    world.pass(60_000);
    let mut texts = world.texts(anna);
    assert_eq!(texts, world.texts(ben));
    assert_eq!(texts.len(), 100);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 100, "each once");
    assert_eq!(world.engine(anna).settlement(), world.engine(ben).settlement());
    assert_eq!(world.engine(anna).settlement().unsettled, 0);
}

#[test]
fn with_nothing_unsettled_no_message_is_sent() {
    let (mut world, anna, _) = two();
    world.post(anna, "last");
    world.pass(10_000);
    let before = world.messages;
    world.pass(WEEK);
    assert_eq!(world.messages, before);
}

#[test]
fn two_diverged_engines_converge_by_digests_without_a_relay() {
    let (mut world, anna, ben) = two();
    for friend in [anna, ben] {
        world.unlink(friend, RELAY);
    }
    for n in 0..20 {
        world.post(anna, &format!("a{n}"));
        world.post(ben, &format!("b{n}"));
    }
    let entry = {
        let before = world.hosts[&ben].disk.log.len();
        world.post(ben, "b20");
        world.hosts[&ben].disk.log[before].len()
    };
    let entries = 41 * entry;
    world.bytes = 0;
    world.link(anna, ben);
    let exchange = world.bytes;
    assert_eq!(world.texts(anna), world.texts(ben));
    assert_eq!(world.texts(anna).len(), 41);
    // Each entry crosses once by sync, and once more by the gossip of who took it; the rest is digests.
    assert!(exchange < 3 * entries + 8_192, "{exchange} bytes for {entries} bytes of entries");
    world.pass(10_000);
    assert_eq!(world.engine(anna).settlement(), world.engine(ben).settlement());
    world.bytes = 0;
    world.act(anna, |engine, now| engine.sync(ben, now));
    assert!(world.bytes < 128, "when equal, one digest is asked and answered: {} bytes", world.bytes);
}

#[test]
fn a_used_up_invite_admits_nobody_more() {
    let (mut world, anna, ben) = two();
    let (token, _) = world.invite(anna, 1, START + WEEK);
    let Answer::Parcel(parcel) = world.parcel(&token) else { panic!("no parcel") };
    let first = world.newcomer(&token, &parcel);
    let second = world.newcomer(&token, &parcel);
    // Both come before the relay knows of either.
    for (id, name) in [(first, "First"), (second, "Second")] {
        let now = world.now;
        world.hosts.get_mut(&id).unwrap().engine.enter(Some(name), now).unwrap();
    }
    world.run();
    world.pass(10_000);
    let members = world.engine(ben).members();
    let settled: Vec<_> = members.iter().filter(|member| ["First", "Second"].contains(&member.name.as_str())).collect();
    assert_eq!(settled.iter().filter(|member| member.settled).count(), 1, "one use, one member");
    assert_eq!(settled.iter().filter(|member| member.void.is_some()).count(), 1, "the other is told why");
}

#[test]
fn a_slow_disk_does_not_look_like_a_difference() {
    let (mut world, anna, ben) = two();
    world.unlink(ben, RELAY);
    for n in 0..5 {
        world.post(anna, &format!("{n}"));
    }
    world.pass(10_000);
    world.hosts.get_mut(&ben).unwrap().disk.holds = true;
    world.hosts.get_mut(&ben).unwrap().events.clear();
    world.link(ben, RELAY);
    world.flush(ben);
    for _ in 0..10 {
        world.flush(ben);
    }
    let synced = |event: &ledgerno_engine::Event| matches!(event, ledgerno_engine::Event::Synced { .. });
    assert!(world.hosts[&ben].events.iter().any(synced), "the session ended with both the same");
    assert_eq!(world.texts(ben).len(), 5);
}

#[test]
fn a_second_history_is_seen() {
    let (mut world, anna, ben) = two();
    let head = world.engine(ben).settlement();
    let other =
        ledgerno_ledger::entry::Anchor { height: head.height, hash: ledgerno_ledger::bytes::HeaderHash([3; 32]) };
    world.act(ben, |engine, _| engine.pin(Some(other)));
    assert_eq!(world.engine(ben).divisions().len(), 1, "another header of that height was pinned");
    let ahead = ledgerno_ledger::entry::Anchor { height: head.height + 1, ..other };
    world.act(ben, |engine, _| engine.pin(Some(ahead)));
    assert_eq!(world.engine(ben).divisions().len(), 1, "that height is to come");
    world.post(anna, "settles it");
    world.pass(10_000);
    assert_eq!(world.engine(ben).divisions().len(), 2, "and it is another one");
    assert!(world.engine(anna).divisions().is_empty());
}

#[test]
fn a_witness_says_no_header_that_it_may_forget() {
    let (mut world, anna, ben) = two();
    let before = world.engine(ben).settlement().height;
    world.hosts.get_mut(&anna).unwrap().disk.holds = true;
    // Ben's post comes, is settled at Anna, and none of it is on her disk when a session gives what is settled.
    world.post(ben, "settle me");
    world.pass(1_000);
    world.unlink(anna, RELAY);
    world.link(anna, RELAY);
    world.pass(1_000);
    assert_eq!(world.engine(ben).settlement().height, before, "nobody has heard of it");
    world.crash(anna);
    world.hosts.get_mut(&anna).unwrap().disk.holds = false;
    world.link(anna, RELAY);
    world.pass(10_000);
    assert_eq!(world.engine(ben).settlement(), world.engine(anna).settlement());
    assert!(world.engine(ben).refusals().is_empty());
}
