//! Erasing: an author's word takes the place of a body at everybody, whether they hold the entry, come later, or slept.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World, forgetful};
use ledgerno_engine::view::Content;
use ledgerno_engine::wire::{Answer, Ask};
use ledgerno_engine::{Item, Limits, WriteError};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::entry::Packed;

/// A founder and a friend, at a relay.
fn circle(seed: u8) -> (World, DeviceId, DeviceId, String) {
    let mut world = World::new(seed);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 9, START + WEEK);
    let ben = world.join("Ben", &token);
    world.pass(10_000);
    (world, anna, ben, token)
}

fn erase(world: &mut World, by: DeviceId, id: EntryId) {
    world.act(by, |engine, now| engine.erase(id, now)).unwrap();
}

/// An entry as it lies on a host's disk.
fn on_disk(world: &World, host: DeviceId, id: EntryId) -> Packed {
    let circle = world.engine(host).circle();
    let items = world.hosts[&host].disk.log.iter().map(|item| Item::from_bytes(item).unwrap());
    let mut entries = items.filter_map(|item| if let Item::Entry(packed) = item { Some(packed) } else { None });
    entries.find(|packed| packed.signed.entry.id(circle) == id).unwrap()
}

/// How many entries are shown as erased.
fn shown_erased(world: &World, host: DeviceId) -> usize {
    world.engine(host).timeline(1_000).iter().filter(|shown| shown.content == Content::Erased).count()
}

/// That so many are erased here: none is shown, none is on the disk, and none comes back by a start.
fn holds_no_body(world: &mut World, host: DeviceId, ids: &[EntryId]) {
    for when in ["at once", "after a start"] {
        for id in ids {
            assert!(world.engine(host).is_erased(id), "{when}");
            let packed = on_disk(world, host, *id);
            assert!(packed.body.is_none() && packed.erasure.is_some(), "{when}");
        }
        let links: Vec<DeviceId> = if host == RELAY { Vec::new() } else { vec![RELAY] };
        world.crash(host);
        links.into_iter().for_each(|to| world.link(host, to));
    }
}

#[test]
fn what_is_erased_is_gone_at_everybody_who_held_it() {
    let (mut world, anna, ben, _) = circle(1);
    let (first, second) = (world.post(anna, "first"), world.post(anna, "second"));
    let bens = world.post(ben, "Ben's");
    world.pass(10_000);
    assert_eq!(world.texts(ben), ["first", "second", "Ben's"]);
    erase(&mut world, anna, first);
    for host in [anna, ben] {
        assert_eq!(world.texts(host), ["second", "Ben's"]);
        assert_eq!(shown_erased(&world, host), 1);
    }
    // Erased twice is erased once; others' words and deeds are not one's own to erase.
    erase(&mut world, anna, first);
    assert_eq!(world.act(anna, |engine, now| engine.erase(bens, now)), Err(WriteError::NotOwn));
    let joins = world.engine(anna).timeline(100).iter().find(|shown| shown.mine).unwrap().id;
    assert_eq!(world.act(anna, |engine, now| engine.erase(joins, now)), Err(WriteError::NoTalk));
    assert_eq!(world.act(RELAY, |engine, now| engine.erase(first, now)), Err(WriteError::NoSeat));
    assert_eq!(world.act(anna, |engine, now| engine.erase(EntryId([1; 32]), now)), Err(WriteError::NotHere));
    for host in [ben, RELAY, anna] {
        holds_no_body(&mut world, host, &[first]);
    }
    world.link(ben, RELAY);
    // All goes on above it.
    world.post(ben, "third");
    world.pass(10_000);
    assert_eq!(world.texts(anna), ["second", "Ben's", "third"]);
    let settled = world.engine(anna).settlement();
    assert_eq!(settled.unsettled, 0);
    assert_eq!(world.engine(ben).settlement(), settled);
    assert!(on_disk(&world, ben, second).body.is_some());
}

#[test]
fn who_slept_hears_of_it_and_who_erased_alone_tells() {
    let (mut world, anna, ben, _) = circle(2);
    let (annas, bens) = (world.post(anna, "Anna's"), world.post(ben, "Ben's"));
    world.pass(10_000);
    world.unlink(ben, RELAY);
    // Neither writes an entry meanwhile: they hold the same, but for this.
    erase(&mut world, anna, annas);
    erase(&mut world, ben, bens);
    assert_eq!(world.texts(ben), ["Anna's"]);
    assert_eq!(world.texts(anna), ["Ben's"]);
    world.link(ben, RELAY);
    for host in [anna, ben, RELAY] {
        assert_eq!(world.texts(host), [""; 0]);
        assert!(world.engine(host).is_erased(&annas) && world.engine(host).is_erased(&bens));
    }
    // Nothing differs now, and little is said of it.
    world.unlink(ben, RELAY);
    let (messages, bytes) = (world.messages, world.bytes);
    world.link(ben, RELAY);
    assert!(world.messages - messages < 20 && world.bytes - bytes < 2_000);
    for host in [anna, RELAY] {
        holds_no_body(&mut world, host, &[annas, bens]);
    }
}

/// Who is linked all the time and lost the gossip hears of it once it compares again.
#[test]
fn what_gossip_lost_is_heard_of_later() {
    let (mut world, anna, ben, _) = circle(10);
    let id = world.post(anna, "first");
    world.pass(10_000);
    world.loss = 100;
    erase(&mut world, anna, id);
    world.loss = 0;
    assert_eq!(world.texts(ben), ["first"]);
    // Anna's session tries again, and tells the relay, which tells everybody; Ben does not hear that either.
    world.unlink(ben, RELAY);
    world.pass(60_000);
    assert!(world.engine(RELAY).is_erased(&id));
    world.link(ben, RELAY);
    assert_eq!(world.texts(ben), [""; 0]);

    let second = world.post(ben, "second");
    world.pass(10_000);
    world.loss = 100;
    world.act(ben, |engine, now| engine.erase(second, now)).unwrap();
    world.loss = 0;
    world.pass(60_000);
    // It reached Anna by the relay's gossip, or reaches her when she writes ten minutes later.
    world.pass(11 * 60_000);
    world.post(anna, "third");
    world.pass(10_000);
    assert_eq!(world.texts(anna), ["third"]);
}

#[test]
fn many_are_compared_in_buckets() {
    let (mut world, anna, ben, _) = circle(3);
    let posts: Vec<EntryId> = (0..120).map(|at| world.post(anna, &format!("{at}"))).collect();
    world.pass(10_000);
    world.unlink(ben, RELAY);
    for id in &posts[..100] {
        erase(&mut world, anna, *id);
    }
    assert_eq!(world.texts(ben).len(), 120);
    world.link(ben, RELAY);
    assert_eq!(world.texts(ben), world.texts(anna));
    assert_eq!(world.texts(ben).len(), 20);
    world.crash(ben);
    world.link(ben, RELAY);
    assert_eq!((world.texts(ben).len(), shown_erased(&world, ben)), (20, 100));
}

/// In the one case the entries come by ranges, in the other by hash.
#[test]
fn a_newcomer_takes_it_without_its_body() {
    for (posts, seed) in [(10, 4), (120, 5)] {
        let (mut world, anna, _, token) = circle(seed);
        let ids: Vec<EntryId> = (0..posts).map(|at| world.post(anna, &format!("{at}"))).collect();
        world.pass(10_000);
        erase(&mut world, anna, ids[3]);
        let again = world.further(anna);
        world.act(again, |engine, now| engine.erase(ids[4], now)).unwrap();
        world.pass(10_000);
        let carl = world.join("Carl", &token);
        world.pass(10_000);
        assert_eq!(world.texts(carl), world.texts(anna));
        assert_eq!(world.texts(carl).len(), posts - 2);
        assert_eq!(shown_erased(&world, carl), 2);
        assert_eq!(world.engine(carl).settlement(), world.engine(anna).settlement());
        holds_no_body(&mut world, carl, &ids[3..5]);
        world.post(carl, "last");
        world.pass(10_000);
        assert_eq!(world.texts(anna).last().unwrap(), "last");
        assert_eq!(world.engine(carl).settlement(), world.engine(anna).settlement());
    }
}

#[test]
fn a_crash_before_the_body_left_the_disk_brings_nothing_back() {
    let (mut world, anna, ben, _) = circle(6);
    let id = world.post(anna, "first");
    world.pass(10_000);
    world.hosts.get_mut(&ben).unwrap().disk.holds = true;
    erase(&mut world, anna, id);
    // The record is written, and then the power fails.
    let disk = &mut world.hosts.get_mut(&ben).unwrap().disk;
    let (_, log, records) = disk.held.pop_front().unwrap();
    assert_eq!(records.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["erased-0"]);
    disk.write(log, records);
    disk.holds = false;
    assert!(on_disk(&world, ben, id).body.is_some());
    world.crash(ben);
    world.link(ben, RELAY);
    assert_eq!(world.texts(ben), [""; 0]);
    world.post(ben, "goes on");
    assert_eq!(world.texts(ben), ["goes on"]);
    holds_no_body(&mut world, ben, &[id]);
}

#[test]
fn nobody_erases_what_others_said() {
    let (mut world, anna, ben, _) = circle(7);
    let id = world.post(anna, "first");
    let deed = world.engine(anna).timeline(100).iter().find(|shown| shown.mine).unwrap().id;
    world.pass(10_000);
    let (_, seat) = world.hosts[&ben].make();
    let ledgerno_engine::Seat::Member { device, identity, .. } = seat else { panic!("Ben is a member") };
    let circle = world.engine(anna).circle();
    let (signed, state) = (on_disk(&world, anna, id).signed, on_disk(&world, anna, deed).signed);
    use ledgerno_ledger::erasure::Erasure;
    let own = Erasure::by_device(circle, id, &device);
    let lies = [
        Packed::erased(signed.clone(), own),
        Packed::erased(signed.clone(), Erasure::by_member(circle, id, &identity)),
        Packed { signed: signed.clone(), body: None, erasure: None },
        Packed::erased(state, Erasure::by_device(circle, deed, &device)),
    ];
    for lie in &lies {
        let entries = vec![lie.clone()];
        world.act(anna, |engine, now| engine.asked(ben, 1, Ask::Give { entries, proofs: Vec::new() }, now));
        let bytes = ledgerno_ledger::codec::encode(lie);
        world.act(RELAY, |engine, now| {
            engine.gossip(ledgerno_engine::wire::Topic::Entries, ben, &bytes, now);
        });
    }
    assert_eq!(world.texts(anna), ["first"]);
    assert!(!world.engine(RELAY).is_erased(&id) && !world.engine(anna).is_erased(&id));
    assert!(on_disk(&world, RELAY, id).body.is_some());
    // Nor is a question answered that is none.
    let differs = Ask::Erased { bits: 13, buckets: Vec::new() };
    let mut answers = Vec::new();
    world.hosts.get_mut(&anna).unwrap().engine.asked(ben, 2, differs, START);
    while let Some(output) = world.hosts.get_mut(&anna).unwrap().engine.output() {
        if let ledgerno_engine::Output::Answer { answer, .. } = output {
            answers.push(answer);
        }
    }
    assert!(matches!(answers[..], [Answer::No(_)]), "{answers:?}");
}

/// A node that let an entry go asks an archive for it to show it, and gets it as it is.
#[test]
fn what_was_let_go_comes_back_erased() {
    const DAY: u64 = 24 * 3_600_000;
    let mut world = World::new(8);
    world.retention_days = 7;
    let anna = world.found("Anna");
    world.limit(RELAY, Limits { archive: true, ..forgetful() });
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    let mut posts = Vec::new();
    for day in 0..30 {
        // Each settled by itself: what is settled with one's own stays.
        posts.push(world.post(anna, &format!("Anna {day}")));
        world.pass(1_000);
        world.post(ben, &format!("Ben {day}"));
        world.pass(DAY);
        for id in [anna, ben] {
            world.act(id, |engine, now| engine.sync(RELAY, now));
        }
    }
    assert!(world.engine(ben).let_go() > 10);
    world.crash(ben);
    world.link(ben, RELAY);
    // One that Ben let go, one that he holds.
    for id in [posts[2], posts[28]] {
        erase(&mut world, anna, id);
        assert!(world.engine(ben).is_erased(&id));
    }
    for when in ["at once", "after a start"] {
        for host in [anna, ben] {
            let texts = world.texts(host);
            assert_eq!(texts.len(), 58, "{when}");
            assert!(!texts.contains(&"Anna 2".to_owned()) && !texts.contains(&"Anna 28".to_owned()));
            assert_eq!(shown_erased(&world, host), 2, "{when}");
        }
        for host in [anna, ben, RELAY] {
            world.crash(host);
        }
        world.link(anna, RELAY);
        world.link(ben, RELAY);
    }
}

/// A snapshot holds whole what is not settled; a start from it leaves out what was erased since.
#[test]
fn a_start_takes_nothing_back_from_a_snapshot() {
    let (mut world, anna, ben, _) = circle(9);
    world.unlink(ben, RELAY);
    let id = world.post(ben, "offline");
    for at in 0..30 {
        world.post(anna, &format!("{at}"));
        world.pass(5_000);
    }
    // Ben hears of all of it at once, and nothing is settled with his.
    world.link(ben, RELAY);
    assert!(world.engine(ben).settlement().height > 5);
    assert!(world.hosts[&ben].disk.records.contains_key("snapshot"));
    erase(&mut world, ben, id);
    world.crash(ben);
    // He looks through all of it.
    world.run();
    assert_eq!((world.texts(ben).len(), shown_erased(&world, ben)), (30, 1));
    world.link(ben, RELAY);
    for at in 0..30 {
        world.post(anna, &format!("more {at}"));
        world.pass(5_000);
    }
    assert_eq!(world.texts(ben).len(), 60);
    holds_no_body(&mut world, ben, &[id]);
}
