//! Friends that are linked by circuits: through a relay, and through one another.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use bytes::Bytes;
use common::{Node, config, node};
use ledgerno_minnet::{Event, Path, Topic, Way};

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
            Event::Tried { peer, way: Way::Circuit { carrier }, reason } if peer == ann.peer() => {
                assert_eq!(carrier, relay.peer());
                Some(reason)
            }
            Event::Connected { .. } => panic!("linked"),
            _ => None,
        })
        .await;
    assert!(why.to_string().contains("does not know this node"), "{why}");
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
