//! Several witnesses settle together: with one silent, crashed, asleep or cut off, over links that lose messages, and as
//! the set of them changes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::RELAY;
use common::four::Four;
use ledgerno_engine::Event;
use ledgerno_engine::view::{Content, Deed};
use ledgerno_engine::wire::{PlacedVote, Topic, Votes};
use ledgerno_ledger::bytes::{DeviceId, EntryId, HeaderHash};
use ledgerno_ledger::codec;
use ledgerno_ledger::settle::{Bundle, Header, Proposal, Vote, VoteKind};

#[test]
fn four_witnesses_settle_what_anybody_writes() {
    let mut four = Four::elected(21, 4);
    for who in 0..4 {
        let id = four.world.post(four.all[who], "hello");
        four.all_settle(id, 3_000);
    }
    // What was settled is offered once more, a moment later.
    four.world.pass(3_000);
    let messages = four.world.messages;
    four.world.pass(3_600_000);
    assert_eq!(four.world.messages, messages, "with nothing unsettled nothing is said");
    let header = four.world.engine(RELAY).settlement().header;
    assert_eq!(header, four.world.engine(four.all[0]).settlement().header, "the relay follows");
}

#[test]
fn whoever_is_silent_they_settle_without() {
    for silent in 0..4 {
        let mut four = Four::elected(22, 4);
        four.unlink(silent);
        let ids: Vec<_> = (0..6).map(|at| four.post((silent + 1 + at % 3) % 4, "on")).collect();
        four.world.pass(60_000);
        for id in &ids {
            let mut settled = four.settled(id);
            assert!(!settled.remove(silent));
            assert_eq!(settled, [true; 3], "{silent} is silent");
        }
        four.link(silent);
        four.all_settle(ids[5], 30_000);
    }
}

/// Three witnesses and a member: what only witnesses need does not reach her.
#[test]
fn votes_go_to_witnesses_and_relays() {
    let mut four = Four::elected(33, 3);
    for who in 0..4 {
        let id = four.world.post(four.all[who], "hello");
        four.all_settle(id, 3_000);
    }
    for who in 0..3 {
        assert!(four.world.engine(four.all[who]).hears_witnesses());
        assert!(four.world.engine(four.all[who]).votes_reach(), "{who} hears the others on their own topic");
    }
    assert!(four.world.engine(RELAY).hears_witnesses() && !four.world.engine(four.all[3]).hears_witnesses());
    (0..2).for_each(|who| four.unlink(who));
    let post = four.post(2, "who hears me?");
    assert!(!four.world.engine(RELAY).bundles().is_empty(), "the relay keeps bundles for who is away");
    (0..2).for_each(|who| four.link(who));
    four.all_settle(post, 60_000);
}

/// Three witnesses that are linked by nobody but a member, who does not listen to their topic.
#[test]
fn votes_find_their_way_through_who_does_not_listen() {
    let mut four = Four::elected(34, 3);
    for who in 0..4 {
        four.unlink(who);
    }
    let dora = four.all[3];
    for who in 0..3 {
        four.world.link(four.all[who], dora);
    }
    for who in 0..4 {
        let id = four.world.post(four.all[who], "through Dora");
        four.all_settle(id, 10_000);
        assert!(four.all[..3].iter().all(|at| !four.world.engine(*at).votes_reach()));
    }
}

#[test]
fn two_of_four_settle_nothing_and_then_all_do() {
    let mut four = Four::elected(23, 4);
    (2..4).for_each(|who| four.unlink(who));
    let id = four.post(0, "alone");
    four.world.pass(600_000);
    assert_eq!(four.settled(&id), [false; 4]);
    (2..4).for_each(|who| four.link(who));
    four.all_settle(id, 60_000);
}

#[test]
fn they_settle_over_links_that_lose_messages() {
    for seed in 0..8 {
        let mut four = Four::elected(30 + seed, 4);
        for loss in [10, 30] {
            four.world.loss = loss;
            let ids: Vec<_> = (0..4).map(|who| four.post(who, "through")).collect();
            for id in ids {
                four.all_settle(id, 1_200_000);
            }
        }
    }
}

/// Stops a witness at any of its writes, while the height is open, and opens it from its disk.
#[test]
fn a_witness_that_crashes_at_any_write_goes_on() {
    for kept in 0..8 {
        for who in 0..4 {
            let mut four = Four::elected(24, 4);
            let id = four.all[who];
            four.world.hosts.get_mut(&id).unwrap().disk.holds = true;
            let post = four.world.post(four.all[(who + 1) % 4], "crash");
            // So many writes reach the disk, each before what it permits is said.
            for _ in 0..kept {
                four.world.pass(100);
                four.world.flush_one(id);
            }
            four.world.crash(id);
            four.world.hosts.get_mut(&id).unwrap().disk.holds = false;
            four.link(who);
            four.all_settle(post, 120_000);
            assert!(!four.world.engine(id).is_vote_retired());
            assert!(four.world.hosts.values().all(|host| host.engine.evidence().is_empty()));
        }
    }
}

/// All notarize what the leader proposes, and all crash before anybody hears of another's vote. What they voted for is as
/// durable as the votes: else these would add up for a header that nobody holds, and the height would never be settled.
#[test]
fn what_was_notarized_outlives_a_crash_of_all_who_held_it() {
    for away in 0..5 {
        let mut four = Four::elected(35, 4);
        let post = four.world.post(four.all[1], "held by all");
        let leader = four.all_notarize(3);
        // Its own bundle is said again by whoever is there; one may be away for ever.
        let away = four.all.get(away).copied();
        for id in four.all.clone() {
            four.world.crash(id);
            four.world.hosts.get_mut(&id).unwrap().disk.holds = false;
        }
        four.world.crash(RELAY);
        let there: Vec<usize> = (0..4).filter(|who| Some(four.all[*who]) != away).collect();
        there.iter().for_each(|who| four.link(*who));
        four.world.pass(120_000);
        let settled = four.settled(&post);
        assert!(there.iter().all(|who| settled[*who]), "{leader:?} led, {away:?} is away: {settled:?}");
    }
}

/// A leader that lies shows one header after the other: a witness keeps the one that it voted for.
#[test]
fn many_headers_of_one_leader_push_out_none_that_was_voted_for() {
    let mut four = Four::elected(37, 4);
    four.world.post(four.all[1], "one");
    let leader = four.all_notarize(0);
    let told = four.world.engine(RELAY).bundles().pop().unwrap();
    let (header, cut) = told.voted.clone().expect("who hears a proposal keeps its header for who is away");
    let liar = four.world.engine(leader).vote_secret().unwrap().clone();
    let others: Vec<DeviceId> = four.all.iter().filter(|id| **id != leader).copied().collect();
    let (other, third) = (others[0], four.world.engine(others[1]).vote_secret().unwrap().clone());
    for later in 1..=8 {
        let header = Header { time: header.time + later, ..header.clone() };
        let (kind, height, view) = (VoteKind::Notarize, header.height, 0);
        let vote = Vote { kind, circle: header.circle, height, view, header: Some(header.hash()) }.cast(&liar);
        let bundle = Bundle { own: vec![vote], voted: None, ..told.clone() };
        let proposal = Proposal { header, cut: cut.clone(), bundle };
        let bytes = Votes::Proposal(Box::new(proposal)).to_bytes();
        four.world.act(other, |engine, now| engine.gossip(Topic::Witnesses, RELAY, &bytes, now));
    }
    assert_eq!(four.world.engine(other).evidence().len(), 1);
    // It hears two others, so its time runs: it nullifies, and writes its bundle anew.
    let (circle, height, kind) = (header.circle, header.height, VoteKind::Nullify);
    let vote = Vote { kind, circle, height, view: 0, header: None }.cast(&third);
    let bundle = Bundle { key: third.key(), own: vec![vote], voted: None, ..told };
    let bytes = Votes::Bundle(Box::new(bundle)).to_bytes();
    four.world.act(other, |engine, now| engine.gossip(Topic::Witnesses, RELAY, &bytes, now));
    four.world.pass(5_000);
    four.world.flush(other);
    let record: Bundle = codec::decode(&four.world.hosts[&other].disk.records["bundle"], 1 << 20).unwrap();
    assert!(record.own.iter().any(|vote| vote.kind == VoteKind::Nullify && vote.view == 0), "{:?}", record.own);
    assert_eq!(record.voted, Some((header, cut)));
}

/// In version 1 the record of the own bundle ended with its votes.
#[test]
fn a_bundle_of_version_1_is_read() {
    let mut four = Four::elected(36, 4);
    let id = four.post(1, "hello");
    four.all_settle(id, 3_000);
    for who in 0..4 {
        let id = four.all[who];
        let record = four.world.hosts.get_mut(&id).unwrap().disk.records.get_mut("bundle").unwrap();
        assert_eq!(record.pop(), Some(0), "no header that it votes for");
        four.world.crash(id);
        four.link(who);
    }
    let id = four.post(1, "after a restart");
    four.all_settle(id, 10_000);
}

#[test]
fn a_disk_that_was_rolled_back_retires_its_vote() {
    let mut four = Four::elected(25, 4);
    let id = four.all[2];
    four.unlink(0);
    let mut old = four.world.hosts[&id].disk.clone();
    // It votes on a height that does not end: where it leads, or who is awake with it.
    let post = loop {
        four.unlink(3);
        let post = four.post(1, "open");
        four.world.pass(60_000);
        let key = four.world.engine(id).vote_secret().unwrap().key();
        if four.world.engine(RELAY).bundles().iter().any(|bundle| bundle.key == key && !bundle.own.is_empty()) {
            break post;
        }
        four.link(3);
        four.world.pass(60_000);
        old = four.world.hosts[&id].disk.clone();
    };
    four.world.hosts.get_mut(&id).unwrap().disk = old;
    four.world.crash(id);
    four.link(2);
    four.world.pass(10_000);
    assert!(four.world.engine(id).is_vote_retired());
    assert!(four.world.hosts[&id].events.iter().any(|event| matches!(event, Event::VoteRetired(_))));
    // Without it three are left, and settle.
    four.link(0);
    four.link(3);
    four.all_settle(post, 120_000);
    four.world.crash(id);
    assert!(four.world.engine(id).is_vote_retired(), "it stays so");
    // With it three of four are awake, and it votes on no later height either.
    four.link(2);
    four.unlink(0);
    let post = four.post(1, "who votes?");
    four.world.pass(120_000);
    assert_eq!(four.settled(&post), [false; 4]);
    four.link(0);
    four.all_settle(post, 120_000);
}

#[test]
fn no_vote_is_said_before_its_bundle_is_durable() {
    let mut four = Four::elected(27, 4);
    four.unlink(3);
    let slow = four.all[2];
    four.world.hosts.get_mut(&slow).unwrap().disk.holds = true;
    let post = four.post(0, "without the third vote there is no quorum");
    four.world.pass(60_000);
    let held = &four.world.hosts[&slow].disk.held;
    assert!(held.iter().any(|(_, _, records)| records.iter().any(|(name, _)| name == "bundle")), "it votes");
    assert_eq!(four.settled(&post), [false; 4]);
    four.world.hosts.get_mut(&slow).unwrap().disk.holds = false;
    four.world.flush(slow);
    four.link(3);
    four.all_settle(post, 120_000);
}

#[test]
fn after_a_restart_nothing_is_signed_until_another_node_was_asked() {
    let mut four = Four::elected(26, 4);
    four.post(1, "before");
    let bundles = |four: &Four| -> Vec<_> {
        four.all.iter().map(|id| four.world.hosts[id].disk.records.get("bundle").cloned()).collect()
    };
    for at in 0..4 {
        four.unlink(at);
        four.world.crash(four.all[at]);
    }
    let before = bundles(&four);
    // Whoever leads this height holds something to propose.
    let posts: Vec<EntryId> = (0..4).map(|at| four.world.post(four.all[at], "alone")).collect();
    four.world.pass(60_000);
    assert_eq!(bundles(&four), before, "a bundle is on the disk before what it permits is said");
    (0..4).for_each(|at| four.link(at));
    posts.into_iter().for_each(|post| four.all_settle(post, 120_000));
    assert_ne!(bundles(&four), before);
}

/// One of four votes for two headers, against a view and for it: whoever hears both writes it, and it leaves.
#[test]
fn a_witness_that_lies_leaves_by_its_own_votes() {
    let mut four = Four::elected(31, 4);
    let liar = four.world.engine(four.all[3]).vote_secret().unwrap().clone();
    four.unlink(3);
    let (circle, height) = (four.world.engine(four.all[0]).circle(), four.height(four.all[0]) + 1);
    let all = four.world.engine(four.all[0]).witnesses();
    let place = all.iter().position(|one| one.device == four.all[3]).unwrap() as u8;
    let cast = |header| {
        let (kind, header) = (VoteKind::Notarize, Some(HeaderHash([header; 32])));
        Vote { kind, circle, height, view: 0, header }.cast(&liar)
    };
    let say = |four: &mut Four, votes: Votes| {
        let bytes = votes.to_bytes();
        four.world.act(four.all[0], |engine, now| engine.gossip(Topic::Witnesses, RELAY, &bytes, now));
    };
    // What others say in its name is no vote of its own, alone or in a bundle.
    for mut vote in [1, 2].map(cast) {
        vote.signature.0[7] ^= 1;
        say(&mut four, Votes::Vote { height, vote: PlacedVote::of(&vote, place) });
        let key = liar.key();
        let (certificate, notarization, nullifications) = (None, None, Vec::new());
        let own = vec![vote];
        let bundle = Bundle { height, key, view: 0, certificate, notarization, nullifications, own, voted: None };
        say(&mut four, Votes::Bundle(Box::new(bundle)));
    }
    assert_eq!(four.world.engine(four.all[0]).evidence(), []);
    assert!(four.world.engine(four.all[0]).bundles().iter().all(|bundle| bundle.key != liar.key()));
    for vote in [1, 2].map(cast) {
        say(&mut four, Votes::Vote { height, vote: PlacedVote::of(&vote, place) });
    }
    assert_eq!(four.world.engine(four.all[0]).evidence().len(), 1);
    four.world.pass(30_000);
    for at in &four.all[..3] {
        let witnesses = four.world.engine(*at).witnesses();
        assert!(witnesses.iter().all(|one| !one.votes || one.device != four.all[3]), "it left");
    }
    let id = four.post(1, "without it");
    assert_eq!(four.settled(&id)[..3], [true; 3]);
}

#[test]
fn from_one_to_three_to_four_and_back_to_the_relays_friend() {
    let mut four = Four::new(26);
    for n in [3, 4, 1] {
        four.elect(n);
        for who in 0..4 {
            let id = four.world.post(four.all[who], "hello");
            four.all_settle(id, 5_000);
        }
    }
    let id = four.all[0];
    four.world.crash(id);
    four.link(0);
    let id = four.post(2, "after a restart");
    four.all_settle(id, 10_000);
}

/// The founder enlists a relay: it settles alone while everybody else sleeps, and reads no post.
#[test]
fn an_enlisted_relay_takes_the_vote_over() {
    const SECRET: u8 = 77;
    let mut four = Four::new(32);
    let hub = four.world.keeper(four.all[0], SECRET);
    for who in 0..4 {
        four.unlink(who);
        four.world.link(four.all[who], hub);
    }
    four.world.pass(5_000);
    four.world.enlist(four.all[0], SECRET);
    for who in 0..4 {
        four.world.link(four.all[who], hub);
    }
    four.world.act(hub, |engine, now| engine.enter(None, now)).unwrap();
    four.world.pass(5_000);
    four.world.act(hub, |engine, now| engine.offer_to_witness(true, now)).unwrap();
    four.world.pass(5_000);
    let founder = four.all[0];
    four.world.act(founder, |engine, now| engine.change_witnesses(vec![hub], vec![founder], now)).unwrap();
    four.world.pass(5_000);
    let voting: Vec<_> = four.world.engine(founder).witnesses().into_iter().filter(|one| one.votes).collect();
    assert_eq!(voting.iter().map(|one| (one.device, one.always_on)).collect::<Vec<_>>(), [(hub, true)]);
    // Of what the relay wrote its coming is shown, and not as a person's device.
    let shown = four.world.engine(four.all[1]).timeline(1_000);
    let deeds: Vec<Deed> = shown
        .iter()
        .filter_map(|one| if let Content::Done { deed, .. } = one.content { Some(deed) } else { None })
        .filter(|deed| matches!(deed, Deed::Enlist | Deed::Offer))
        .collect();
    assert_eq!(deeds, [Deed::Enlist]);
    assert!(!shown.iter().any(|one| one.content == Content::Enrol));
    // The founder sleeps; what others write settles.
    four.world.unlink(founder, hub);
    let id = four.post(1, "while Anna sleeps");
    assert_eq!(four.settled(&id), [false, true, true, true]);
    assert!(four.world.texts(hub).is_empty(), "a relay reads no post");
    assert!(four.world.act(hub, |engine, now| engine.post("hello", now)).is_err());
    // Its vote key was durable before it was offered: it goes on after a crash.
    four.world.crash(hub);
    for who in 0..4 {
        four.world.link(four.all[who], hub);
    }
    let id = four.post(2, "after a crash");
    four.all_settle(id, 10_000);
}

/// A phone awake one minute an hour: it nullifies nothing that came while it slept, and the others are not held up.
#[test]
fn a_sleeper_holds_nobody_up() {
    let mut four = Four::elected(27, 4);
    let start = four.height(four.all[0]);
    for hour in 0..4 {
        four.unlink(3);
        let before = four.world.now;
        for who in 0..3 {
            four.post(who, "awake");
        }
        four.world.pass_without(four.all[3], before + 3_540_000 - four.world.now);
        four.link(3);
        four.world.pass(60_000);
        let id = four.world.post(four.all[3], "good morning");
        four.all_settle(id, 60_000);
        assert!(four.height(four.all[3]) > start + hour);
    }
}

#[test]
fn all_asleep_then_one_by_one_for_a_minute_settle_once_enough_are_awake() {
    let mut four = Four::elected(28, 4);
    (0..4).for_each(|who| four.unlink(who));
    let id = four.world.post(four.all[1], "in the night");
    for hour in 0..8 {
        let who = hour % 4;
        four.link(who);
        four.world.pass(60_000);
        four.unlink(who);
        four.world.pass(3_540_000);
    }
    (0..3).for_each(|who| four.link(who));
    four.world.pass(120_000);
    assert_eq!(four.settled(&id)[..3], [true; 3]);
}

#[test]
fn votes_from_a_stranger_or_changed_count_nothing() {
    let mut four = Four::elected(29, 4);
    (1..4).for_each(|who| four.unlink(who));
    four.post(0, "one");
    let height = four.height(four.all[0]);
    let bundles = four.world.engine(RELAY).bundles();
    assert!(!bundles.is_empty(), "the relay keeps the newest bundle");
    for bundle in bundles {
        for byte in 0..bundle.own.len() * 64 {
            let mut touched = bundle.clone();
            touched.own[byte / 64].signature.0[byte % 64] ^= 1;
            let bytes = Votes::Bundle(Box::new(touched)).to_bytes();
            four.world.act(four.all[0], |engine, now| engine.gossip(Topic::Witnesses, RELAY, &bytes, now));
        }
    }
    assert_eq!(four.height(four.all[0]), height);
    assert!(four.world.engine(four.all[0]).evidence().is_empty());
}
