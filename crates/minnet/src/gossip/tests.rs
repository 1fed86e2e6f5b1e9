#![allow(clippy::unwrap_used, clippy::expect_used)]

mod large;
mod world;

use proptest::prelude::*;

use self::world::World;
use super::*;

const TOPIC: Topic = Topic([7; 32]);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// In any connected graph everybody hears every message once, and no mesh is larger than it may be.
    #[test]
    fn a_message_reaches_everybody_once(count in 2usize..60, more in 0usize..200, seed in any::<u64>()) {
        let mut world = World::new(count, false, seed);
        let ids = world.ids();
        for at in 1..count {
            let to = world.below(at);
            world.link(ids[at], ids[to]);
        }
        for _ in 0..more {
            let (one, other) = (world.below(count), world.below(count));
            world.link(ids[one], ids[other]);
        }
        world.subscribe_all();
        world.settle();
        world.beat(3);
        for id in &ids {
            prop_assert!(world.degree(*id) <= 12);
        }
        world.publish(ids[0], b"one");
        let last = ids[count - 1];
        world.publish(last, b"two");
        world.beat(2);
        for id in &ids {
            let mut heard = world.heard.get(id).cloned().unwrap_or_default();
            heard.sort();
            let expected: Vec<&[u8]> =
                [(ids[0], &b"one"[..]), (last, b"two")].iter().filter(|(by, _)| by != id).map(|(_, data)| *data).collect();
            prop_assert_eq!(heard, expected);
        }
    }

    /// Nothing that a peer says, however it is changed, does more than lower its score.
    #[test]
    fn changed_frames_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let now = Instant::now();
        let rpc = Rpc {
            subscriptions: vec![(TOPIC, true)],
            messages: vec![(TOPIC, Bytes::from_static(b"message"))],
            have: vec![(TOPIC, vec![[1; 20]; 3])],
            want: vec![[2; 20]],
            graft: vec![TOPIC],
            prune: vec![(Topic([8; 32]), 60)],
            wrong: 0,
        };
        let mut bytes = rpc.frame()[2..].to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (mut node, peer) = (Gossip::new(false, 1, now), PeerId::random());
        node.subscribe(TOPIC, now);
        node.joined(peer, false, Faults::default());
        let heard = node.heard(peer, &bytes.into(), now);
        prop_assert!(heard.len() <= 2);
        prop_assert!(node.peers[0].topics.len() <= 1 && node.peers[0].asked <= 3);
    }

    #[test]
    fn an_rpc_comes_back(topics in prop::collection::vec(any::<[u8; 32]>(), 0..4), data in prop::collection::vec(any::<u8>(), 0..400), ids in prop::collection::vec(any::<[u8; 20]>(), 0..9), backoff in any::<u64>()) {
        let topics: Vec<Topic> = topics.into_iter().map(Topic).collect();
        let rpc = Rpc {
            subscriptions: topics.iter().map(|topic| (*topic, topic.0[0] & 1 == 0)).collect(),
            messages: topics.iter().map(|topic| (*topic, Bytes::from(data.clone()))).collect(),
            have: topics.iter().map(|topic| (*topic, ids.clone())).collect(),
            want: ids.clone(),
            graft: topics.clone(),
            prune: topics.iter().map(|topic| (*topic, backoff)).collect(),
            wrong: 0,
        };
        let frame = rpc.frame();
        let skip = frame.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        prop_assert_eq!(Rpc::read(&frame.slice(skip..), 100).unwrap(), rpc);
    }
}

fn said(frames: &[Frame], to: PeerId) -> Vec<Rpc> {
    let read = |frame: &Frame| {
        let skip = frame.bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        Rpc::read(&frame.bytes.slice(skip..), 100).unwrap()
    };
    frames.iter().filter(|frame| frame.to == to).map(read).collect()
}

fn heard_of(node: &mut Gossip, from: PeerId, rpc: &Rpc, now: Instant) -> Vec<Heard> {
    let frame = rpc.frame();
    let skip = frame.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    node.heard(from, &frame.slice(skip..), now)
}

#[test]
fn a_guest_hears_nothing_and_is_not_heard_until_it_is_welcome() {
    let now = Instant::now();
    for hub in [true, false] {
        let (mut node, guest, other) = (Gossip::new(hub, 1, now), PeerId::random(), PeerId::random());
        node.subscribe(TOPIC, now);
        node.joined(guest, true, Faults::default());
        node.joined(other, false, Faults::default());
        let subscribes = Rpc { subscriptions: vec![(TOPIC, true)], graft: vec![TOPIC], ..Rpc::default() };
        for peer in [guest, other] {
            assert_eq!(heard_of(&mut node, peer, &subscribes, now), [Heard::Subscribed(TOPIC)]);
        }
        let message = |text: &'static str| Rpc { messages: vec![(TOPIC, text.into())], ..Rpc::default() };
        assert!(heard_of(&mut node, guest, &message("from the guest"), now).is_empty());
        node.publish(TOPIC, "from here".into(), now);
        node.heartbeat(now + HEARTBEAT);
        let frames: Vec<Frame> = std::iter::from_fn(|| node.next()).collect();
        assert!(said(&frames, guest).is_empty());
        assert!(said(&frames, other).iter().any(|rpc| !rpc.messages.is_empty()));

        node.welcome(guest, now);
        let frames: Vec<Frame> = std::iter::from_fn(|| node.next()).collect();
        let to_guest = said(&frames, guest);
        assert!(to_guest.iter().any(|rpc| rpc.subscriptions == [(TOPIC, true)]));
        assert!(to_guest.iter().any(|rpc| rpc.graft == [TOPIC]));
        assert_eq!(heard_of(&mut node, guest, &message("from the guest"), now).len(), 1, "as new");
    }
}

#[test]
fn what_is_not_taken_from_one_is_taken_from_another() {
    let now = Instant::now();
    let (mut node, one, other) = (Gossip::new(false, 1, now), PeerId::random(), PeerId::random());
    node.subscribe(TOPIC, now);
    for peer in [one, other] {
        node.joined(peer, false, Faults::default());
    }
    let message = Rpc { messages: vec![(TOPIC, "m".into())], ..Rpc::default() };
    let id = id_of(&TOPIC, b"m");
    assert_eq!(heard_of(&mut node, one, &message, now).len(), 1);
    assert_eq!(heard_of(&mut node, other, &message, now).len(), 1);
    assert!(node.take(id, other, now) && !node.take(id, one, now));
    assert!(heard_of(&mut node, one, &message, now).is_empty());
}

#[test]
fn a_hub_tells_everybody_at_once() {
    let mut world = World::new(300, true, 1);
    let hub = *world.nodes.iter().find(|(_, node)| node.degrees.low == usize::MAX).unwrap().0;
    for id in world.ids() {
        world.link(hub, id);
    }
    world.subscribe_all();
    world.settle();
    let author = *world.ids().iter().find(|id| **id != hub).unwrap();
    world.sent = 0;
    world.publish(author, b"all");
    assert_eq!(world.heard.len(), 299);
    assert_eq!(world.sent, 1 + 298, "once to the hub and from there once to each of the others");
}

/// Two who are beside each other's mesh: what one has is told at a heartbeat, asked for, and given.
#[test]
fn who_is_beside_the_mesh_hears_at_the_next_heartbeat() {
    let mut world = World::new(2, false, 1);
    let ids = world.ids();
    world.link(ids[0], ids[1]);
    world.subscribe_all();
    world.settle();
    let now = world.now;
    for (own, other) in [(0, 1), (1, 0)] {
        let peer = world.nodes.get_mut(&ids[own]).unwrap().peer(ids[other]).unwrap();
        remove(&mut peer.mesh, &TOPIC);
        peer.back_off(TOPIC, 60, now);
    }
    // It was heard from somebody else, and is handed on to the mesh, in which nobody is.
    let (topic, data) = (TOPIC, Bytes::from_static(b"beside"));
    let id = id_of(&topic, &data);
    let node = world.nodes.get_mut(&ids[0]).unwrap();
    node.seen.note(id, now);
    node.hand_on(id, topic, data.clone(), PeerId::random());
    world.settle();
    assert!(world.heard.is_empty());
    world.beat(1);
    assert_eq!(world.heard[&ids[1]], [data]);
}

#[test]
fn a_crowded_mesh_is_thinned_and_a_pruned_peer_stays_away() {
    let mut world = World::new(30, false, 3);
    let ids = world.ids();
    let now = world.now;
    for id in &ids[1..] {
        world.link(ids[0], *id);
    }
    world.subscribe_all();
    world.settle();
    for id in &ids[1..] {
        insert(&mut world.nodes.get_mut(&ids[0]).unwrap().peer(*id).unwrap().mesh, TOPIC);
    }
    world.beat(1);
    assert_eq!(world.degree(ids[0]), 6);
    let is_pruned = |peer: &&Peer| peer.backs_off(&TOPIC, now) && peer.mesh.is_empty();
    let pruned: Vec<PeerId> = world.nodes[&ids[0]].peers.iter().filter(is_pruned).map(|peer| peer.id).collect();
    assert!(pruned.len() >= 20);
    world.beat(30);
    assert!(pruned.iter().all(|id| world.nodes[&ids[0]].mesh(&TOPIC).all(|peer| peer.id != *id)));
}

fn one_peer(now: Instant) -> (Gossip, PeerId) {
    let (mut node, peer) = (Gossip::new(false, 1, now), PeerId::random());
    node.subscribe(TOPIC, now);
    node.joined(peer, false, Faults::default());
    (node, peer)
}

fn say(node: &mut Gossip, peer: PeerId, rpc: &Rpc, now: Instant) -> Vec<Heard> {
    let frame = rpc.frame();
    let skip = frame.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    node.heard(peer, &frame.slice(skip..), now)
}

#[test]
fn who_grafts_against_a_prune_is_passed_over_in_the_end() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    say(&mut node, peer, &Rpc { subscriptions: vec![(TOPIC, true)], ..Rpc::default() }, now);
    node.peer(peer).unwrap().back_off(TOPIC, 60, now);
    let graft = Rpc { graft: vec![TOPIC], ..Rpc::default() };
    for _ in 0..3 {
        say(&mut node, peer, &graft, now);
    }
    assert!(node.peers[0].score.value() >= 0.0, "a race is forgiven");
    for _ in 0..20 {
        say(&mut node, peer, &graft, now);
    }
    assert_eq!(node.mesh(&TOPIC).count(), 0);
    let message = Rpc { messages: vec![(TOPIC, Bytes::from_static(b"ignored"))], ..Rpc::default() };
    assert_eq!(say(&mut node, peer, &message, now), []);
}

#[test]
fn what_is_signed_or_of_a_strange_topic_is_not_taken_and_costs_score() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    let mut part = Vec::new();
    crate::proto::put_bytes(&mut part, 2, b"signed");
    crate::proto::put_bytes(&mut part, 4, TOPIC.to_string().as_bytes());
    crate::proto::put_bytes(&mut part, 5, &[1; 64]);
    let mut rpc = Vec::new();
    crate::proto::put_bytes(&mut rpc, 2, &part);
    for _ in 0..20 {
        assert_eq!(node.heard(peer, &rpc.clone().into(), now), []);
    }
    assert!(node.peers[0].score.value() <= IGNORED);
    // It fades, slowly.
    for beat in 1..3_000 {
        node.heartbeat(now + secs(beat));
    }
    assert!(node.peers[0].score.value() > GOSSIP);
}

#[test]
fn who_promises_and_does_not_give_loses_score() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    for round in 0u8..10 {
        let start = now + secs(u64::from(round) * 10);
        say(&mut node, peer, &Rpc { have: vec![(TOPIC, vec![[round; 20]])], ..Rpc::default() }, start);
        node.heartbeat(start + secs(6));
    }
    assert!(node.peers[0].score.value() < GOSSIP);
    while node.next().is_some() {}
    say(&mut node, peer, &Rpc { have: vec![(TOPIC, vec![[99; 20]])], ..Rpc::default() }, now + secs(200));
    assert!(node.next().is_none(), "nothing is asked of it any more");
}

/// Deliveries give a little credit, whatever their number.
#[test]
fn score_can_not_be_farmed() {
    let mut score = Score::default();
    (0..100_000).for_each(|_| score.delivered());
    assert!(score.value() <= 10.0);
    score.wrong(10);
    assert!(score.value() <= IGNORED);
}

#[test]
fn what_a_peer_asks_for_is_bounded_in_each_heartbeat() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    say(&mut node, peer, &Rpc { subscriptions: vec![(TOPIC, true)], ..Rpc::default() }, now);
    let large = |byte: u8| Bytes::from(vec![byte; 60_000]);
    let ids: Vec<Id> = (0..30).map(|byte| id_of(&TOPIC, &large(byte))).collect();
    for byte in 0..30 {
        node.publish(TOPIC, large(byte), now);
    }
    while node.next().is_some() {}
    for _ in 0..5 {
        say(&mut node, peer, &Rpc { want: ids.clone(), ..Rpc::default() }, now);
    }
    let given: usize = std::iter::from_fn(|| node.next()).map(|frame| frame.bytes.len()).sum();
    assert!((500_000..=MAX_GIVEN + 20_000).contains(&given), "{given}");
}

#[test]
fn who_asks_and_asks_is_passed_over_in_the_end() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    let want = Rpc { want: (0..100).map(|byte| [byte; 20]).collect(), ..Rpc::default() };
    for _ in 0..5 {
        say(&mut node, peer, &want, now);
    }
    assert!(node.peers[0].score.value() >= 0.0);
    for _ in 0..20 {
        say(&mut node, peer, &want, now);
    }
    assert!(node.peers[0].wanted <= MAX_ASKED && node.peers[0].score.value() <= GOSSIP);
}

#[test]
fn subscriptions_of_a_peer_are_bounded() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    for round in 0u16..30 {
        let topic = |number: u16| {
            let mut topic = [1; 32];
            topic[..2].copy_from_slice(&(round * 100 + number).to_be_bytes());
            (Topic(topic), true)
        };
        say(&mut node, peer, &Rpc { subscriptions: (0..100).map(topic).collect(), ..Rpc::default() }, now);
    }
    assert_eq!(node.topics_of(peer).len(), MAX_TOPICS);
}

#[test]
fn what_was_heard_is_known_for_a_minute_and_bounded() {
    let now = Instant::now();
    let mut seen = Seen::new(now);
    let id = |number: u32| {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    };
    assert!(seen.note(id(0), now) && !seen.note(id(0), now + secs(59)));
    assert!(seen.note(id(1), now + secs(60)));
    assert!(!seen.note(id(0), now + secs(100)), "the older generation is known too");
    assert!(seen.note(id(2), now + secs(121)));
    assert!(seen.note(id(0), now + secs(125)), "and then it is forgotten");
}

#[test]
fn a_frame_that_was_lost_is_said_again() {
    let now = Instant::now();
    let (mut node, peer) = one_peer(now);
    while node.next().is_some() {}
    node.lost(peer);
    node.heartbeat(now + secs(1));
    let frame = node.next().unwrap();
    assert!(frame.what == What::Topics && frame.to == peer);
    node.heartbeat(now + secs(2));
    assert!(node.next().is_none());
}
