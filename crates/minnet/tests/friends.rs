//! Friends that are linked by circuits: through a relay, and through one another.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use bytes::Bytes;
use common::{Node, config, node};
use ledgerno_minnet::{Event, Path, Topic, Way, Why};

const TOPIC: Topic = Topic([7; 32]);

/// A relay, and guests that it admits.
async fn relay_and_guests(names: std::ops::Range<u8>) -> (Node, Vec<Node>) {
    let mut relay = config(1);
    relay.hub = true;
    let mut relay = node(relay);
    let url = relay.listen().await;
    let mut guests = Vec::new();
    for name in names {
        let mut guest = node(config(name));
        guest.net.dial(&url, relay.peer()).unwrap();
        guest.connected(relay.peer()).await;
        relay.connected(guest.peer()).await;
        relay.net.admit(guest.peer()).unwrap();
        guests.push(guest);
    }
    (relay, guests)
}

async fn linked_by(node: &mut Node, to: ledgerno_minnet::Peer) -> Path {
    node.until(|event| match event {
        Event::Connected { peer, path } if peer == to => Some(path),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn two_friends_meet_by_their_relay() {
    let (relay, mut guests) = relay_and_guests(2..4).await;
    let (mut ben, mut ann) = (guests.pop().unwrap(), guests.pop().unwrap());
    ann.net.seek(ben.peer()).unwrap();
    ben.net.seek(ann.peer()).unwrap();
    let by = Path::Circuit { carrier: relay.peer() };
    assert_eq!(linked_by(&mut ann, ben.peer()).await, by);
    assert_eq!(linked_by(&mut ben, ann.peer()).await, by);
    let (_net, peer, large) = (ben.net.clone(), ben.peer(), Bytes::from(vec![3; 1 << 20]));
    ben.serve(|_, bytes| Some(bytes));
    assert_eq!(ann.net.request(peer, 5, large.clone()).await.unwrap(), large);
}

#[tokio::test]
async fn one_that_seeks_is_enough() {
    let (_relay, mut guests) = relay_and_guests(2..4).await;
    let (mut ben, mut ann) = (guests.pop().unwrap(), guests.pop().unwrap());
    // If it is the one with the higher id, it waits a while for the other.
    ann.net.seek(ben.peer()).unwrap();
    ben.connected(ann.peer()).await;
    ann.connected(ben.peer()).await;
}

/// The relay knows the one that is sought, and not the one that seeks.
#[tokio::test]
async fn who_is_not_admitted_gets_no_circuit() {
    let (relay, mut guests) = relay_and_guests(2..3).await;
    let ann = guests.pop().unwrap();
    let mut stranger = node(config(9));
    stranger.net.dial(&relay.listen().await, relay.peer()).unwrap();
    stranger.connected(relay.peer()).await;
    stranger.net.seek(ann.peer()).unwrap();
    let why = stranger
        .until(|event| match event {
            Event::Tried { peer, way: Way::Circuit { carrier }, why } if peer == ann.peer() => {
                assert_eq!(carrier, relay.peer());
                Some(why)
            }
            Event::Connected { .. } => panic!("linked"),
            _ => None,
        })
        .await;
    assert_eq!(why, Why::NotAdmitted);
}

/// Nobody has a relay: the one in the middle is linked to both.
#[tokio::test]
async fn two_friends_meet_by_a_third() {
    let mut middle = node(config(1));
    let url = middle.listen().await;
    let (mut ann, mut ben) = (node(config(2)), node(config(3)));
    for friend in [&mut ann, &mut ben] {
        friend.net.dial(&url, middle.peer()).unwrap();
        friend.connected(middle.peer()).await;
        middle.connected(friend.peer()).await;
        middle.net.admit(friend.peer()).unwrap();
    }
    ann.net.seek(ben.peer()).unwrap();
    ben.net.seek(ann.peer()).unwrap();
    assert_eq!(linked_by(&mut ben, ann.peer()).await, Path::Circuit { carrier: middle.peer() });
    assert_eq!(linked_by(&mut ann, ben.peer()).await, Path::Circuit { carrier: middle.peer() });
    // A friend carries enough to arrange a link, and no more.
    let (_net, peer) = (ben.net.clone(), ben.peer());
    ben.serve(|_, bytes| Some(bytes));
    assert_eq!(ann.net.request(peer, 5, vec![1; 100_000].into()).await.unwrap().len(), 100_000);
    assert!(ann.net.request(peer, 5, vec![1; 900_000].into()).await.is_err());
    ann.disconnected(peer).await;
}

/// Messages go over the circuit when nobody in the middle hands them on.
#[tokio::test]
async fn messages_reach_a_friend_over_a_circuit() {
    let (relay, mut guests) = relay_and_guests(2..4).await;
    let (mut ben, mut ann) = (guests.pop().unwrap(), guests.pop().unwrap());
    for friend in [&ann, &ben] {
        friend.net.subscribe(TOPIC).unwrap();
    }
    ann.net.seek(ben.peer()).unwrap();
    ben.net.seek(ann.peer()).unwrap();
    ann.subscribed(ben.peer(), TOPIC).await;
    ben.subscribed(ann.peer(), TOPIC).await;
    ann.net.publish(&TOPIC, Bytes::from_static(b"by the circuit")).unwrap();
    assert_eq!(ben.message().await, (TOPIC, ann.peer(), Bytes::from_static(b"by the circuit")));
    drop(relay);
}

/// A circuit ends with the links that carry it, and is made again by another carrier.
#[tokio::test]
async fn a_circuit_is_made_again_by_another_carrier() {
    let (relay, mut guests) = relay_and_guests(2..4).await;
    let (mut ben, mut ann) = (guests.pop().unwrap(), guests.pop().unwrap());
    ann.net.seek(ben.peer()).unwrap();
    ben.net.seek(ann.peer()).unwrap();
    ann.connected(ben.peer()).await;
    ben.connected(ann.peer()).await;

    let mut other = config(9);
    other.hub = true;
    let mut other = node(other);
    let url = other.listen().await;
    for friend in [&mut ann, &mut ben] {
        friend.net.dial(&url, other.peer()).unwrap();
        friend.connected(other.peer()).await;
        other.connected(friend.peer()).await;
        other.net.admit(friend.peer()).unwrap();
    }
    relay.net.disconnect(ann.peer()).unwrap();
    // The one that is dialled may not even have noticed that the old one was gone.
    let by = Path::Circuit { carrier: other.peer() };
    let peers = (ann.peer(), ben.peer());
    for (friend, to) in [(&mut ann, peers.1), (&mut ben, peers.0)] {
        friend
            .until(|event| match event {
                Event::Connected { peer, path } | Event::Moved { peer, path } if peer == to => {
                    (path == by).then_some(())
                }
                _ => None,
            })
            .await;
    }
}

/// Nodes with direct links, over a simulated browser.
mod direct {
    use std::{sync::Arc, time::Duration};

    use ledgerno_minnet::{Config, Direct};
    use ledgerno_webrtc::memory::{Fault, Memory};

    use super::*;

    fn with(memory: &Arc<Memory>, name: u8) -> Config {
        let mut config = config(name);
        config.direct = Some(Direct { backend: memory.clone(), ice_servers: Vec::new() });
        config
    }

    fn memory() -> Arc<Memory> {
        Arc::new(Memory::new(|task| {
            tokio::spawn(task);
        }))
    }

    async fn friends(memory: &Arc<Memory>, count: u8) -> (Node, Vec<Node>) {
        let mut relay = config(1);
        relay.hub = true;
        let mut relay = node(relay);
        let url = relay.listen().await;
        let mut friends = Vec::new();
        for name in 2..2 + count {
            let mut friend = node(with(memory, name));
            friend.net.subscribe(TOPIC).unwrap();
            friend.net.dial(&url, relay.peer()).unwrap();
            friend.connected(relay.peer()).await;
            relay.connected(friend.peer()).await;
            relay.net.admit(friend.peer()).unwrap();
            friends.push(friend);
        }
        (relay, friends)
    }

    /// Whether somebody is linked directly, or that this came to nothing.
    async fn upgraded(node: &mut Node, to: ledgerno_minnet::Peer) -> Result<(), Why> {
        node.until(|event| match event {
            Event::Tried { peer, way: Way::Direct, why } if peer == to => Some(Err(why)),
            Event::Moved { peer, path: Path::Direct } if peer == to => Some(Ok(())),
            _ => None,
        })
        .await
    }

    async fn direct_with(node: &mut Node, to: ledgerno_minnet::Peer) {
        node.until(|event| match event {
            Event::Connected { peer, path } | Event::Moved { peer, path } if peer == to => {
                (path == Path::Direct).then_some(())
            }
            _ => None,
        })
        .await;
    }

    #[tokio::test]
    async fn friends_go_direct_and_live_on_without_their_relay() {
        let memory = memory();
        let (relay, mut friends) = friends(&memory, 2).await;
        let (mut ben, mut ann) = (friends.pop().unwrap(), friends.pop().unwrap());
        ann.net.seek(ben.peer()).unwrap();
        ben.net.seek(ann.peer()).unwrap();
        direct_with(&mut ann, ben.peer()).await;
        direct_with(&mut ben, ann.peer()).await;
        for friend in [&mut ann, &mut ben] {
            relay.net.disconnect(friend.peer()).unwrap();
            friend.disconnected(relay.peer()).await;
        }
        ann.net.publish(&TOPIC, Bytes::from_static(b"without a relay")).unwrap();
        assert_eq!(ben.message().await.2, "without a relay");
        let (_net, peer, large) = (ben.net.clone(), ben.peer(), Bytes::from(vec![3; 1 << 20]));
        ben.serve(|_, bytes| Some(bytes));
        assert_eq!(ann.net.request(peer, 5, large.clone()).await.unwrap(), large);
    }

    /// Nothing is lost by the change: whatever is asked while it happens is answered.
    #[tokio::test]
    async fn nothing_is_lost_while_a_link_moves() {
        let memory = memory();
        let (_relay, mut friends) = friends(&memory, 2).await;
        let (ben, mut ann) = (friends.pop().unwrap(), friends.pop().unwrap());
        ann.net.seek(ben.peer()).unwrap();
        ben.net.seek(ann.peer()).unwrap();
        ann.connected(ben.peer()).await;
        let (_net, peer) = (ben.net.clone(), ben.peer());
        ben.serve(|_, bytes| Some(bytes));
        let net = ann.net.clone();
        let asking = tokio::spawn(async move {
            for number in 0u32..300 {
                let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
                assert_eq!(net.request(peer, 5, bytes.clone()).await.unwrap(), bytes);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        let mut moved = 0;
        let mut asking = asking;
        loop {
            tokio::select! {
                done = &mut asking => break done.unwrap(),
                event = ann.next() => match event {
                    Event::Moved { path: Path::Direct, .. } => moved += 1,
                    Event::Disconnected { .. } => panic!("a link was lost"),
                    _ => {}
                },
            }
        }
        assert_eq!(moved, 1);
    }

    /// By a relay anybody may be linked: that tells nobody this node's addresses.
    #[tokio::test]
    async fn who_is_neither_sought_nor_admitted_gets_no_answer() {
        let memory = memory();
        let (_relay, mut peers) = friends(&memory, 2).await;
        // The one with the lower id begins.
        peers.sort_by_key(|peer| peer.peer().0);
        let (mut ben, mut stranger) = (peers.pop().unwrap(), peers.pop().unwrap());
        stranger.net.seek(ben.peer()).unwrap();
        ben.connected(stranger.peer()).await;
        assert_eq!(upgraded(&mut stranger, ben.peer()).await, Err(Why::Broken));
        assert_eq!(memory.opened(), 1, "the offer's alone");
    }

    /// What a node that is open to other programs has always done.
    #[tokio::test]
    async fn who_is_open_answers_everybody() {
        let memory = memory();
        let (relay, mut peers) = friends(&memory, 1).await;
        let mut stranger = peers.pop().unwrap();
        let url = relay.listen().await;
        // One with a higher id, for it does not wait to be dialled.
        let name = (9..).find(|name| node(config(*name)).peer().0 > stranger.peer().0).unwrap();
        let mut open = with(&memory, name);
        open.open = true;
        let mut open = node(open);
        open.net.dial(&url, relay.peer()).unwrap();
        open.connected(relay.peer()).await;
        stranger.net.seek(open.peer()).unwrap();
        assert_eq!(upgraded(&mut stranger, open.peer()).await, Ok(()));
    }

    /// One hears of the other first, and offers before the other knows whom it is linked with.
    #[tokio::test]
    async fn who_is_admitted_once_it_is_linked_is_answered_at_once_and_only_while_it_is() {
        let memory = memory();
        let (_relay, mut friends) = friends(&memory, 2).await;
        friends.sort_by_key(|friend| friend.peer().0);
        let (mut ben, mut ann) = (friends.pop().unwrap(), friends.pop().unwrap());
        ann.net.seek(ben.peer()).unwrap();
        ben.connected(ann.peer()).await;
        ben.net.admit(ann.peer()).unwrap();
        // By the first offer: a second one would have been told as tried before.
        assert_eq!(upgraded(&mut ann, ben.peer()).await, Ok(()));
        assert_eq!(memory.opened(), 2);

        // The circuit goes meanwhile.
        tokio::time::sleep(Duration::from_secs(3)).await;
        memory.cut();
        ann.disconnected(ben.peer()).await;
        ben.disconnected(ann.peer()).await;
        ben.connected(ann.peer()).await;
        assert_eq!(upgraded(&mut ann, ben.peer()).await, Err(Why::Broken));
        assert_eq!(memory.opened(), 2 + 1);
    }

    /// The offer is there before anybody says who made it.
    #[tokio::test]
    async fn an_offer_waits_for_who_made_it_to_be_known() {
        let memory = memory();
        let (_relay, mut friends) = friends(&memory, 2).await;
        friends.sort_by_key(|friend| friend.peer().0);
        let (mut ben, mut ann) = (friends.pop().unwrap(), friends.pop().unwrap());
        ann.net.seek(ben.peer()).unwrap();
        ben.connected(ann.peer()).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(memory.opened(), 1, "it has offered");
        ben.net.seek(ann.peer()).unwrap();
        // By the first offer: a second one would have been told as tried before.
        assert_eq!(upgraded(&mut ann, ben.peer()).await, Ok(()));
        assert_eq!(memory.opened(), 2);
    }

    #[tokio::test]
    async fn offers_of_strangers_do_not_hold_a_friend_up() {
        let memory = memory();
        let (relay, mut friends) = friends(&memory, 2).await;
        let (mut ben, mut ann) = (friends.pop().unwrap(), friends.pop().unwrap());
        let (url, mut strangers, mut held) = (relay.listen().await, Vec::new(), Vec::new());
        for name in [8, 9] {
            let mut stranger = node(config(name));
            stranger.net.dial(&url, relay.peer()).unwrap();
            stranger.connected(relay.peer()).await;
            stranger.net.seek(ben.peer()).unwrap();
            relay.net.admit(stranger.peer()).unwrap();
            stranger.connected(ben.peer()).await;
            for _ in 0..10 {
                held.push(stranger.net.open(ben.peer(), ledgerno_webrtc::PROTOCOL).await.unwrap());
            }
            strangers.push(stranger);
        }
        ann.net.seek(ben.peer()).unwrap();
        ben.net.seek(ann.peer()).unwrap();
        assert_eq!(upgraded(&mut ann, ben.peer()).await, Ok(()));
        assert_eq!(upgraded(&mut ben, ann.peer()).await, Ok(()));
        assert_eq!(memory.opened(), 2, "nobody else's offer is answered");
    }

    /// A chain: each is linked with its neighbours only, and there is no relay any more.
    #[tokio::test]
    async fn a_chain_of_friends_becomes_a_mesh_by_neighbours() {
        let memory = memory();
        let (relay, mut friends) = friends(&memory, 5).await;
        for at in 0..4 {
            let (one, other) = (friends[at].peer(), friends[at + 1].peer());
            friends[at].net.seek(other).unwrap();
            friends[at + 1].net.seek(one).unwrap();
            direct_with(&mut friends[at], other).await;
            direct_with(&mut friends[at + 1], one).await;
            friends[at].net.admit(other).unwrap();
            friends[at + 1].net.admit(one).unwrap();
        }
        for friend in &mut friends {
            relay.net.disconnect(friend.peer()).unwrap();
            friend.disconnected(relay.peer()).await;
        }
        let peers: Vec<_> = friends.iter().map(Node::peer).collect();
        let mesh = friends.into_iter().map(|mut friend| {
            let peers = peers.clone();
            tokio::spawn(async move {
                for peer in &peers {
                    if *peer != friend.peer() {
                        friend.net.seek(*peer).unwrap();
                    }
                }
                let at = peers.iter().position(|peer| *peer == friend.peer()).unwrap();
                let mut left: Vec<_> =
                    (0..peers.len()).filter(|other| other.abs_diff(at) > 1).map(|other| peers[other]).collect();
                while !left.is_empty() {
                    match friend.next().await {
                        Event::Connected { peer, path } | Event::Moved { peer, path } => {
                            // As the node does with friends.
                            friend.net.admit(peer).unwrap();
                            if path == Path::Direct {
                                left.retain(|one| *one != peer);
                            }
                        }
                        _ => {}
                    }
                }
                friend
            })
        });
        futures::future::try_join_all(mesh).await.unwrap();
    }

    /// No way is found: the circuit stays, and carries on.
    #[tokio::test]
    async fn where_there_is_no_way_the_relayed_link_stays() {
        let memory = memory();
        memory.set_fault(Fault::Lost);
        let (_relay, mut friends) = friends(&memory, 2).await;
        // The one with the lower id begins; the other does not try for a while, and hears what came of it all the same.
        friends.sort_by_key(|friend| friend.peer().0);
        let (mut ben, mut ann) = (friends.pop().unwrap(), friends.pop().unwrap());
        ann.net.seek(ben.peer()).unwrap();
        ben.net.seek(ann.peer()).unwrap();
        ann.connected(ben.peer()).await;
        let begun = ann.peer();
        for (friend, other) in [(&mut ann, ben.peer()), (&mut ben, begun)] {
            let why = friend.until(|event| match event {
                Event::Tried { way: Way::Direct, peer, why } if peer == other => Some(why),
                Event::Disconnected { .. } => panic!("the relayed link was lost"),
                _ => None,
            });
            assert!(matches!(why.await, Why::NoWay | Why::GivenUp));
        }
        let (_net, peer) = (ben.net.clone(), ben.peer());
        ben.serve(|_, bytes| Some(bytes));
        assert_eq!(ann.net.request(peer, 5, Bytes::from_static(b"still")).await.unwrap(), "still");
    }
}
