//! Epochs among real engines: who reads what, how keys find their way, and what a removed member can still do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World};
use ledgerno_engine::view::Content;
use ledgerno_engine::wire::{Answer, No};
use ledgerno_engine::{Engine, Keyring, Limits, Output, Random, Seat, WriteError, join};
use ledgerno_ledger::bytes::{CircleId, DeviceId, Hash, HeaderHash};
use ledgerno_ledger::entry::Anchor;
use ledgerno_ledger::genesis::{Genesis, Kind, Rules};
use ledgerno_ledger::invite::InviteLink;
use ledgerno_ledger::keys::{DeviceKey, Identity};
use ledgerno_ledger::seal::LaneKeys;
use ledgerno_ledger::state::VoidReason;

struct Three {
    world: World,
    anna: DeviceId,
    ben: DeviceId,
    carl: DeviceId,
    token: String,
}

/// A founder and two friends, all linked to the relay, everything settled.
fn three() -> Three {
    let mut world = World::new(7);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 10, START + WEEK);
    let ben = world.join("Ben", &token);
    let carl = world.join("Carl", &token);
    world.pass(10_000);
    Three { world, anna, ben, carl, token }
}

fn assert_one_root(world: &World, devices: &[DeviceId]) {
    let first = world.engine(devices[0]).settlement();
    assert_eq!(first.unsettled, 0);
    for device in devices {
        assert_eq!(world.engine(*device).settlement(), first);
        assert!(world.engine(*device).refusals().is_empty());
    }
}

#[test]
fn a_removed_member_reads_nothing_new_and_writes_nothing_that_counts() {
    let Three { mut world, anna, ben, carl, .. } = three();
    world.post(anna, "for all");
    let out = world.engine(ben).own_member().unwrap();
    world.act(anna, |engine, now| engine.remove(out, now)).unwrap();
    world.pass(10_000);
    assert_eq!(world.engine(anna).epochs(), 2);
    world.post(anna, "without Ben");
    world.post(carl, "indeed");
    world.pass(10_000);
    assert_eq!(world.texts(carl), ["for all", "without Ben", "indeed"]);
    assert_eq!(world.texts(ben), ["for all"]);
    let to = world.engine(anna).own_member().unwrap();
    let thanks = world.act(ben, |engine, now| engine.thank(to, 5, "sorry", now)).unwrap().id;
    world.pass(10_000);
    assert_one_root(&world, &[anna, carl]);
    let shown = world.engine(carl).timeline(100).into_iter().find(|shown| shown.id == thanks).unwrap();
    assert_eq!(shown.void, Some(VoidReason::Removed));
    // Over a restart, from the disk alone.
    for device in [anna, carl] {
        world.crash(device);
        world.link(device, RELAY);
    }
    assert_eq!(world.texts(carl), ["for all", "without Ben", "indeed"]);
    assert_one_root(&world, &[anna, carl]);
}

#[test]
fn of_two_removals_at_once_one_is_void() {
    let Three { mut world, anna, ben, carl, .. } = three();
    let members = [ben, carl].map(|device| world.engine(device).own_member().unwrap());
    let entries = members.map(|member| world.act(anna, |engine, now| engine.remove(member, now)).unwrap().id);
    world.pass(10_000);
    assert_eq!(world.engine(anna).epochs(), 2);
    let voids = entries.map(|id| world.engine(anna).timeline(100).into_iter().find(|one| one.id == id).unwrap().void);
    assert_eq!(voids, [None, Some(VoidReason::EpochPassed)]);
    world.post(anna, "just us");
    world.pass(10_000);
    assert_one_root(&world, &[anna, carl]);
    assert_eq!(world.texts(carl), ["just us"]);
}

#[test]
fn a_link_that_was_given_before_an_epoch_leads_into_it() {
    let Three { mut world, anna, ben, carl, token } = three();
    // Whoever fetched the parcel before, holds old keys alone.
    let Answer::Parcel(old) = world.parcel(&token) else { panic!("no parcel") };
    world.act(carl, |engine, now| engine.start_epoch(now)).unwrap();
    world.pass(10_000);
    world.post(anna, "in the new epoch");
    world.pass(10_000);
    let dora = world.join("Dora", &token);
    let late = world.newcomer(&token, &old);
    world.act(late, |engine, now| engine.enter(Some("Late"), now)).unwrap();
    world.pass(60_000);
    assert_one_root(&world, &[anna, ben, carl, dora, late]);
    for device in [ben, dora, late] {
        assert_eq!(world.texts(device), ["in the new epoch"]);
        assert!(!world.engine(device).devices().iter().any(|one| one.lacks_keys));
    }
    world.post(late, "thank you");
    world.pass(10_000);
    assert_eq!(world.texts(ben), ["in the new epoch", "thank you"]);
}

#[test]
fn whoever_slept_through_two_epochs_finds_the_way() {
    let Three { mut world, anna, ben, carl, token } = three();
    world.unlink(ben, RELAY);
    for text in ["one", "two"] {
        world.act(anna, |engine, now| engine.start_epoch(now)).unwrap();
        world.pass(10_000);
        world.post(carl, text);
        world.pass(10_000);
    }
    assert_eq!(world.engine(anna).epochs(), 3);
    world.link(ben, RELAY);
    world.pass(30_000);
    assert_eq!(world.texts(ben), ["one", "two"]);
    assert_one_root(&world, &[anna, ben, carl]);
    assert!(InviteLink::from_token(&token).is_ok());
}

#[test]
fn nothing_is_sent_once_everybody_has_the_keys() {
    let Three { mut world, anna, ben, .. } = three();
    world.act(anna, |engine, now| engine.start_epoch(now)).unwrap();
    world.pass(60_000);
    let sent = world.messages;
    world.pass(WEEK);
    assert_eq!(world.messages, sent);
    assert_eq!(world.engine(ben).epochs(), 2);
}

#[test]
fn stamps_ranking_and_allowance_are_seen_by_all() {
    let Three { mut world, anna, ben, carl, .. } = three();
    let document = Hash([5; 32]);
    world.act(ben, |engine, now| engine.stamp(document, "the lease", now)).unwrap();
    world.pass(10_000);
    world.act(carl, |engine, now| engine.endorse(document, now)).unwrap();
    let to = world.engine(carl).own_member().unwrap();
    world.act(anna, |engine, now| engine.thank(to, 7, "", now)).unwrap();
    world.pass(10_000);
    for device in [anna, ben, carl] {
        let stamp = world.engine(device).stamps().remove(0);
        assert_eq!((stamp.name.as_str(), stamp.note.as_str()), ("Ben", "the lease"));
        assert_eq!(stamp.vouchers.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["Carl"]);
        let ranking = world.engine(device).ranking(world.now);
        assert_eq!((ranking.len(), ranking[0].name.as_str(), ranking[0].in_all, ranking[0].lately), (1, "Carl", 7, 7));
        assert_eq!(world.engine(device).witnesses().len(), 1);
    }
    assert_eq!(world.engine(anna).allowance(world.now), 0);
    world.pass(WEEK);
    assert_eq!(world.engine(anna).allowance(world.now), Rules::default().allowance);
    assert_eq!(world.engine(anna).spendable(world.now), 93 + Rules::default().allowance);
}

#[test]
fn what_a_majority_wants_is_done_without_the_founder() {
    let Three { mut world, anna, ben, carl, .. } = three();
    let rules = Rules { allowance: 5, ..Rules::default() };
    let proposal = world.act(ben, |engine, now| engine.change_rules(rules.clone(), now)).unwrap().id;
    world.pass(10_000);
    let motion = world.engine(carl).motions().remove(0);
    assert_eq!((motion.id, motion.name.as_str(), motion.consents, motion.needed), (proposal, "Ben", 1, 2));
    world.act(carl, |engine, now| engine.consent(proposal, now)).unwrap();
    world.pass(10_000);
    assert_eq!(world.engine(anna).rules(), &rules);
    assert!(world.engine(anna).motions().is_empty());
    assert_one_root(&world, &[anna, ben, carl]);
}

#[test]
fn a_settled_change_of_rules_binds_who_writes_and_not_what_was_written_before() {
    let Three { mut world, anna, ben, .. } = three();
    let long = "long".repeat(500);
    world.unlink(ben, RELAY);
    world.post(ben, &long);
    let rules = Rules { body_limit: 1_024, ..Rules::default() };
    world.act(anna, |engine, now| engine.change_rules(rules, now)).unwrap();
    world.pass(10_000);
    let refused = world.act(anna, |engine, now| engine.post(&long, now));
    assert!(matches!(refused, Err(WriteError::TooLong { limit: 1_024, .. })), "{refused:?}");
    world.link(ben, RELAY);
    world.pass(10_000);
    assert!(world.texts(anna).contains(&long), "Ben wrote it before he heard of the rules");
    let refused = world.act(ben, |engine, now| engine.post(&long, now));
    assert!(matches!(refused, Err(WriteError::TooLong { limit: 1_024, .. })), "{refused:?}");
}

#[test]
fn an_offer_to_witness_is_kept_over_a_restart() {
    let Three { mut world, anna, ben, .. } = three();
    world.act(ben, |engine, now| engine.offer_to_witness(true, now)).unwrap();
    world.pass(10_000);
    let ready = world.engine(anna).witnesses().into_iter().find(|one| !one.votes).unwrap();
    assert_eq!((ready.device, ready.always_on, ready.name.as_str()), (ben, true, "Ben"));
    assert_eq!(world.hosts[&ben].disk.records.keys().filter(|name| name.starts_with("vote-")).count(), 1);
    world.crash(ben);
    world.link(ben, RELAY);
    world.pass(10_000);
    // A second offer takes the place of the first, whose secret is wiped.
    world.act(ben, |engine, now| engine.offer_to_witness(false, now)).unwrap();
    world.pass(10_000);
    assert_eq!(world.hosts[&ben].disk.records.keys().filter(|name| name.starts_with("vote-")).count(), 1);
    assert!(world.engine(ben).vote_secret().is_none());
    assert!(world.engine(anna).vote_secret().is_some());
}

#[test]
fn a_readable_circle_is_audited_by_a_stranger() {
    let (founder, founders_device) = (Identity::from_secret([1; 32]), DeviceKey::from_secret([2; 32]));
    let mut random = Random::new([3; 32]);
    let old = ledgerno_ledger::genesis::Predecessor {
        circle: CircleId([4; 32]),
        header: Anchor { height: 9, hash: HeaderHash([5; 32]) },
        state_root: Hash([6; 32]),
    };
    let founding =
        join::found_as(Kind::Readable, Some(old), "Open", &founder, &founders_device, &mut random, START).unwrap();
    let genesis = founding.genesis.clone();
    let open = |identity: Identity, device: DeviceKey, keys, vote, log: &[Vec<u8>]| {
        let keyring = Keyring::new(genesis.id(), keys);
        let seat = Seat::Member { device, identity, keyring, vote };
        let nothing: [(String, Vec<u8>); 0] = [];
        Engine::open(genesis.clone(), seat, Limits::default(), log, nothing, [7; 32]).unwrap()
    };
    let mut engine = open(founder, founders_device, founding.keys, Some(founding.vote), &[]);
    let mut log = Vec::new();
    let mut settle = |engine: &mut Engine, now| {
        while let Some(output) = engine.output() {
            if let Output::Write { no, log: items, .. } = output {
                log.extend(items);
                engine.written(no, now);
            }
        }
    };
    engine.present(None).unwrap();
    engine.enter(Some("Anna"), START).unwrap();
    engine.post("for everybody to read", START).unwrap();
    settle(&mut engine, START);
    engine.tick(START + 1_000);
    settle(&mut engine, START + 1_000);
    let circle = genesis.id();
    let keys = LaneKeys::readable(circle, circle.into());
    let stranger = open(Identity::from_secret([8; 32]), DeviceKey::from_secret([9; 32]), keys, None, &log);
    assert_eq!(stranger.settlement(), engine.settlement());
    assert!(stranger.settlement().height > 0);
    let texts = stranger.timeline(10).into_iter().filter(|shown| matches!(shown.content, Content::Post(_)));
    assert_eq!(texts.count(), 1);
    assert_eq!(Genesis::decode(&genesis.encode()).unwrap().succeeds, Some(old));
}

#[test]
fn several_witnesses_settle_on_through_an_epoch() {
    let Three { mut world, anna, ben, carl, token } = three();
    for device in [ben, carl] {
        world.act(device, |engine, now| engine.offer_to_witness(false, now)).unwrap();
    }
    world.pass(10_000);
    world.act(anna, |engine, now| engine.change_witnesses(vec![ben, carl], Vec::new(), now)).unwrap();
    world.pass(10_000);
    assert_eq!(world.engine(carl).witnesses().iter().filter(|one| one.votes).count(), 3);
    world.act(ben, |engine, now| engine.start_epoch(now)).unwrap();
    world.pass(30_000);
    world.post(carl, "three of us");
    world.pass(30_000);
    let dora = world.join("Dora", &token);
    world.pass(60_000);
    assert_eq!(world.engine(dora).epochs(), 2);
    assert_eq!(world.texts(dora), ["three of us"]);
    assert_one_root(&world, &[anna, ben, carl, dora]);
    // One who is removed votes no more, and the others settle on.
    let out = world.engine(carl).own_member().unwrap();
    world.act(anna, |engine, now| engine.remove(out, now)).unwrap();
    world.pass(60_000);
    assert_eq!(world.engine(dora).witnesses().iter().filter(|one| one.votes).count(), 2);
    world.post(dora, "without Carl");
    world.pass(60_000);
    assert_one_root(&world, &[anna, ben, dora]);
    assert_eq!(world.texts(carl), ["three of us"]);
}

#[test]
fn a_link_that_was_taken_back_reads_nothing() {
    let Three { mut world, anna, token, .. } = three();
    let (other, invite) = world.invite(anna, 2, START + WEEK);
    assert!(matches!(world.parcel(&other), Answer::Parcel(_)));
    world.act(anna, |engine, now| engine.revoke(invite.key, invite.issuer, now)).unwrap();
    world.act(anna, |engine, now| engine.start_epoch(now)).unwrap();
    world.pass(10_000);
    assert_eq!(world.parcel(&other), Answer::No(No::NoParcel));
    world.crash(RELAY);
    assert_eq!(world.parcel(&other), Answer::No(No::NoParcel));
    assert!(matches!(world.parcel(&token), Answer::Parcel(_)));
}

/// A circle may have begun very many epochs: its relay and a newcomer find their way all the same.
#[test]
fn after_150_epochs_a_relay_is_enlisted_and_a_newcomer_reads() {
    let Three { mut world, anna, .. } = three();
    for _ in 0..150 {
        world.act(anna, |engine, now| engine.start_epoch(now)).unwrap();
        world.pass(1_000);
    }
    assert_eq!(world.engine(anna).epochs(), 151);
    let relay = world.keeper(anna, 40);
    world.link(relay, anna);
    world.pass(5_000);
    world.enlist(anna, 40);
    world.link(relay, anna);
    world.act(relay, |engine, now| engine.enter(None, now)).unwrap();
    world.pass(5_000);
    let post = world.post(anna, "in the newest epoch");
    world.pass(5_000);
    assert!(world.engine(relay).status(&post).is_some());
    let (ours, theirs) = (world.engine(anna).settlement(), world.engine(relay).settlement());
    assert_eq!((ours.header, ours.unsettled), (theirs.header, theirs.unsettled));
    assert_eq!(world.engine(relay).state().map(|state| state.epochs().len()), Some(151), "it folds");

    let (token, _) = world.invite(anna, 10, START + WEEK);
    let eve = world.join("Eve", &token);
    world.pass(60_000);
    assert!(world.texts(eve).contains(&"in the newest epoch".to_owned()));
    assert_one_root(&world, &[anna, eve]);
}
