//! Engines that start from a snapshot, forget what is settled and read it back: they show, say and settle what one does
//! that replays everything.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Disk, RELAY, START, WEEK, World, forgetful};
use ledgerno_engine::store::{NoSnapshot, SNAPSHOT, window};
use ledgerno_engine::view::{Settlement, Shown, ShownMember};
use ledgerno_engine::{Engine, Event, Limits, Output, ProveError};
use ledgerno_ledger::bytes::DeviceId;
use std::collections::BTreeMap;

/// A founder and a friend who wrote in turns, everything settled.
fn grown(posts: usize) -> (World, DeviceId, DeviceId, String) {
    let mut world = World::new(7);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    for at in 0..posts {
        let by = if at % 3 == 0 { ben } else { anna };
        world.post(by, &format!("post {at}"));
        if at % 4 == 0 {
            world.pass(200);
        }
    }
    world.pass(1_000);
    (world, anna, ben, token)
}

/// All that an engine shows, after it has read back what it needs.
fn look(engine: &mut Engine, disk: &Disk) -> (Vec<Shown>, Vec<ShownMember>, Settlement) {
    loop {
        engine.look_back();
        let mut reads = false;
        while let Some(output) = engine.output() {
            if let Output::Read { no, items } = output {
                let items: Vec<&Vec<u8>> = items.iter().map(|item| &disk.log[*item as usize]).collect();
                engine.read(no, &items, START);
                reads = true;
            }
        }
        if !reads {
            return (engine.timeline(1_000), engine.members(), engine.settlement());
        }
    }
}

fn without_snapshot(disk: &Disk) -> Disk {
    let mut whole = disk.clone();
    whole.records.retain(|name, _| !name.starts_with(SNAPSHOT));
    whole
}

#[test]
fn who_starts_from_a_snapshot_shows_what_a_full_replay_shows() {
    let (world, anna, ben, _) = grown(40);
    for id in [anna, ben] {
        let disk = &world.hosts[&id].disk;
        assert!(window(disk.records.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))) > 0);
        let (genesis, seat) = world.hosts[&id].make();
        let mut light = disk.open(genesis, seat, [1; 32]);
        let (genesis, seat) = world.hosts[&id].make();
        let whole = without_snapshot(disk);
        let large = Limits::default();
        let mut full = Engine::open(genesis, seat, large, &whole.log, &whole.records, [1; 32]).unwrap();
        let (light, full) = (look(&mut light, disk), look(&mut full, &whole));
        assert_eq!(light.2, full.2);
        assert_eq!(light.1, full.1);
        assert_eq!(light.0.len(), 42);
        assert_eq!(light.0, full.0);
    }
}

#[test]
fn a_newcomer_gets_from_a_forgetful_relay_what_the_relay_no_longer_holds() {
    let (mut world, anna, _, token) = grown(40);
    world.unlink(anna, RELAY);
    let carl = world.join("Carl", &token);
    world.pass(1_000);
    assert_eq!(world.texts(carl), world.texts(anna));
    assert_eq!(world.engine(carl).settlement().height, world.engine(anna).settlement().height);
}

#[test]
fn a_damaged_snapshot_is_left_and_said_and_made_anew() {
    let (world, anna, _, _) = grown(30);
    let host = &world.hosts[&anna];
    let names: Vec<String> = host.disk.records.keys().filter(|name| name.starts_with(SNAPSHOT)).cloned().collect();
    assert!(names.len() >= 3, "{names:?}");
    let (genesis, seat) = host.make();
    let shown = look(&mut host.disk.open(genesis, seat, [1; 32]), &host.disk);
    for name in names {
        for damage in 0..4 {
            let mut disk = host.disk.clone();
            let bytes = disk.records.get_mut(&name).unwrap();
            let middle = bytes.len() / 2;
            match damage {
                0 => drop(disk.records.remove(&name)),
                1 => bytes.truncate(middle),
                2 => bytes.clear(),
                // The store's checksums find what changes elsewhere.
                _ => bytes.iter_mut().rev().take(24).for_each(|byte| *byte = 0xff),
            }
            let (genesis, seat) = host.make();
            let mut engine = Engine::open(genesis, seat, forgetful(), &disk.log, &disk.records, [1; 32]).unwrap();
            let (mut said, mut anew) = (false, BTreeMap::new());
            while let Some(output) = engine.output() {
                match output {
                    Output::Event(Event::NoSnapshot(_)) => said = true,
                    Output::Write { no, records, .. } => {
                        anew.extend(records);
                        engine.written(no, START);
                    }
                    _ => {}
                }
            }
            assert!(said, "{name}, damage {damage}");
            assert!(anew.contains_key(&name), "{name} is written anew");
            assert_eq!(look(&mut engine, &disk), shown, "{name}, damage {damage}");
        }
    }
}

/// Old entries are proven by what is read back for it.
#[test]
fn a_forgotten_entry_is_proven_from_the_log() {
    let (mut world, anna, _, _) = grown(40);
    let host = world.hosts.get_mut(&anna).unwrap();
    let (genesis, seat) = host.make();
    let mut engine = host.disk.open(genesis, seat, [1; 32]);
    let id = host.engine.timeline(1_000)[5].id;
    assert_eq!(engine.prove_entry(&id, true).err(), Some(ProveError::NotHeld));
    assert!(!engine.bring(&id));
    while let Some(output) = engine.output() {
        if let Output::Read { no, items } = output {
            let items: Vec<&Vec<u8>> = items.iter().map(|item| &host.disk.log[*item as usize]).collect();
            engine.read(no, &items, START);
        }
    }
    assert!(engine.bring(&id));
    engine.prove_entry(&id, true).unwrap().check().unwrap();
}

/// A log that is shorter than its snapshot says is another one.
#[test]
fn a_snapshot_of_another_log_is_not_started_from() {
    let (world, anna, ben, _) = grown(30);
    let (genesis, seat) = world.hosts[&anna].make();
    let mut disk = world.hosts[&anna].disk.clone();
    disk.records = world.hosts[&ben].disk.records.clone();
    let first = window(disk.records.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    let opened =
        Engine::open_from(genesis, seat, forgetful(), first, &disk.log[..first as usize], &disk.records, [1; 32]);
    let error = opened.map(drop).unwrap_err();
    assert_eq!(error, ledgerno_engine::OpenError::Snapshot(NoSnapshot::Log));
}

/// A crash after any number of writes, the snapshots' among them: what is durable opens, and is what was durable.
#[test]
fn a_crash_between_any_two_writes_loses_nothing_that_was_durable() {
    let mut world = World::new(8);
    let anna = world.found("Anna");
    world.hosts.get_mut(&anna).unwrap().disk.holds = true;
    let before = world.hosts[&anna].disk.clone();
    let mut writes = Vec::new();
    for at in 0..40 {
        world.act(anna, |engine, now| engine.post(&format!("post {at}"), now)).unwrap();
        world.pass(200);
        writes.extend(world.hosts[&anna].disk.held.iter().cloned());
        world.flush(anna);
        writes.extend(world.hosts[&anna].disk.held.iter().cloned());
        world.flush(anna);
    }
    let snapshots = writes.iter().filter(|(_, _, records)| records.iter().any(|(name, _)| name == SNAPSHOT)).count();
    assert!(snapshots > 3, "{snapshots} snapshots");
    let mut disk = before;
    disk.holds = false;
    for (_, log, records) in writes {
        disk.write(log, records);
        let (genesis, seat) = world.hosts[&anna].make();
        let mut engine = disk.open(genesis, seat, [1; 32]);
        let whole = without_snapshot(&disk);
        let (genesis, seat) = world.hosts[&anna].make();
        let mut full = Engine::open(genesis, seat, Limits::default(), &whole.log, &whole.records, [1; 32]).unwrap();
        let (light, full) = (look(&mut engine, &disk), look(&mut full, &whole));
        assert_eq!(light, full);
    }
}
