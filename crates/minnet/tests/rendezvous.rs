//! Who is findable under a key is found, between real sockets.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Node, accept, config, found, node, url_of};
use ledgerno_minnet::{Event, Listen, Peer};
use tokio::{net::TcpListener, time::timeout};

const KEY: [u8; 32] = [42; 32];

fn relay(name: u8) -> Node {
    let mut config = config(name);
    config.hub = true;
    node(config)
}

async fn dial(guest: &mut Node, relay: &mut Node, url: &str) {
    guest.net.dial(url, relay.peer()).unwrap();
    guest.connected(relay.peer()).await;
    relay.connected(guest.peer()).await;
}

#[tokio::test]
async fn who_announced_a_key_is_found_under_it_and_where() {
    let mut relay = relay(1);
    let url = relay.listen().await;
    let (mut ann, mut ben) = (node(config(2)), node(config(3)));
    dial(&mut ann, &mut relay, &url).await;
    dial(&mut ben, &mut relay, &url).await;
    ann.net.announce(KEY).unwrap();
    assert_eq!(found(&mut ben, KEY).await, (ann.peer(), vec![(relay.peer(), url)]));
    // Who looks for its own key does not find itself.
    ben.net.announce(KEY).unwrap();
    assert_eq!(found(&mut ann, KEY).await.0, ben.peer());
}

#[tokio::test]
async fn what_was_asked_before_there_was_a_relay_is_done_when_there_is_one() {
    let mut relay = relay(1);
    let url = relay.listen().await;
    let (mut ann, mut ben) = (node(config(2)), node(config(3)));
    ann.net.announce(KEY).unwrap();
    dial(&mut ann, &mut relay, &url).await;
    dial(&mut ben, &mut relay, &url).await;
    assert_eq!(found(&mut ben, KEY).await.0, ann.peer());
    let mut cy = node(config(4));
    cy.net.find(KEY).unwrap();
    dial(&mut cy, &mut relay, &url).await;
    let peer = cy.until(|event| match event {
        Event::Found { key: KEY, peer, .. } => Some(peer),
        _ => None,
    });
    assert_eq!(peer.await, ann.peer());
}

/// The relay is another run of itself, and knows nothing any more.
#[tokio::test]
async fn a_relay_that_comes_back_is_told_anew() {
    let mut first = relay(1);
    let (listener, inner) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), first.net.clone());
    let url = url_of(listener.local_addr().unwrap());
    let (switch, mut now) = tokio::sync::watch::channel(inner);
    tokio::spawn(async move {
        while let Ok((tcp, from)) = listener.accept().await {
            let net = now.borrow_and_update().clone();
            accept(&net, tcp, from).await;
        }
    });
    let mut ann = node(config(2));
    dial(&mut ann, &mut first, &url).await;
    ann.net.announce(KEY).unwrap();
    let mut ben = node(config(3));
    dial(&mut ben, &mut first, &url).await;
    found(&mut ben, KEY).await;

    let mut second = relay(1);
    switch.send(second.net.clone()).unwrap();
    first.driver.abort();
    for guest in [&mut ann, &mut ben] {
        guest.disconnected(second.peer()).await;
        dial(guest, &mut second, &url).await;
    }
    assert_eq!(found(&mut ben, KEY).await.0, ann.peer());
}

/// Both are linked to a relay that the other does not know, and to one that both know.
#[tokio::test]
async fn with_several_relays_all_are_told_where_a_node_is() {
    let (mut one, mut other) = (relay(1), relay(2));
    let (first, second) = (one.listen().await, other.listen().await);
    let (mut ann, mut ben) = (node(config(3)), node(config(4)));
    dial(&mut ann, &mut one, &first).await;
    ann.net.announce(KEY).unwrap();
    dial(&mut ann, &mut other, &second).await;
    dial(&mut ben, &mut other, &second).await;
    let (peer, mut at) = found(&mut ben, KEY).await;
    at.sort();
    let mut both = vec![(one.peer(), first), (other.peer(), second)];
    both.sort();
    assert_eq!((peer, at), (ann.peer(), both));
}

#[tokio::test]
async fn a_relay_with_a_url_is_found_itself() {
    let mut home = relay(1);
    let url = home.listen().await;
    let mut announcing = config(2);
    (announcing.hub, announcing.urls) = (true, vec!["ws://127.0.0.1:9/".to_owned()]);
    let mut announcing = node(announcing);
    dial(&mut announcing, &mut home, &url).await;
    announcing.net.announce(KEY).unwrap();
    let mut guest = node(config(3));
    dial(&mut guest, &mut home, &url).await;
    let (peer, at) = found(&mut guest, KEY).await;
    assert_eq!(peer, announcing.peer());
    assert_eq!(at[0], (peer, "ws://127.0.0.1:9/".to_owned()));
}

/// A node that is no hub does not speak the protocol, and nothing breaks by it.
#[tokio::test]
async fn who_keeps_nothing_is_asked_in_vain() {
    let mut plain = node(config(1));
    let url = plain.listen().await;
    let mut guest = node(config(2));
    dial(&mut guest, &mut plain, &url).await;
    guest.net.announce(KEY).unwrap();
    guest.net.find(KEY).unwrap();
    let mut relay = relay(3);
    let url = relay.listen().await;
    dial(&mut guest, &mut relay, &url).await;
    let mut other = node(config(4));
    dial(&mut other, &mut relay, &url).await;
    assert_eq!(found(&mut other, KEY).await.0, guest.peer());
}

fn hub_that_knows(name: u8, others: &[u8]) -> Node {
    let mut config = config(name);
    config.hub = true;
    config.hubs = others.iter().map(|name| node(common::config(*name)).peer()).collect();
    node(config)
}

/// Whom a node finds within a time in which it would have been found.
async fn finds(node: &mut Node, key: [u8; 32]) -> Vec<Peer> {
    let mut found = Vec::new();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        node.net.find(key).unwrap();
        if let Ok(Event::Found { peer, .. }) = timeout(Duration::from_millis(200), node.next()).await {
            found.push(peer);
        }
    }
    found
}

#[tokio::test]
async fn who_announced_at_another_relay_is_found_when_the_relays_know_each_other() {
    let (mut one, mut other) = (hub_that_knows(1, &[2]), hub_that_knows(2, &[1]));
    let (first, second) = (one.listen().await, other.listen().await);
    dial(&mut one, &mut other, &second).await;
    let (mut ann, mut ben) = (node(config(3)), node(config(4)));
    dial(&mut ann, &mut one, &first).await;
    dial(&mut ben, &mut other, &second).await;
    ann.net.announce(KEY).unwrap();
    assert_eq!(found(&mut ben, KEY).await, (ann.peer(), vec![(one.peer(), first.clone())]));
    ben.net.announce(KEY).unwrap();
    assert_eq!(found(&mut ann, KEY).await, (ben.peer(), vec![(other.peer(), second)]));
    // And those of the relay itself, still.
    let mut cy = node(config(5));
    dial(&mut cy, &mut one, &first).await;
    cy.net.announce([9; 32]).unwrap();
    assert_eq!(found(&mut ann, [9; 32]).await.0, cy.peer());
}

/// By QUIC a stream that is given up must not overtake what was said on it.
#[tokio::test]
async fn native_nodes_announce_and_find_by_tcp_and_quic() {
    let at = "127.0.0.1:0".parse().unwrap();
    for way in [Listen::Tcp(at), Listen::Quic(at)] {
        let mut relay = config(1);
        (relay.hub, relay.listen) = (true, vec![way]);
        let mut relay = node(relay);
        let url = relay
            .until(|event| match event {
                Event::Listening { url } => Some(url),
                _ => None,
            })
            .await;
        let (mut ann, mut ben) = (node(config(2)), node(config(3)));
        dial(&mut ann, &mut relay, &url).await;
        dial(&mut ben, &mut relay, &url).await;
        ann.net.announce(KEY).unwrap();
        assert_eq!(found(&mut ben, KEY).await, (ann.peer(), vec![(relay.peer(), url)]));
    }
}

/// A question goes one step: in a chain, or in a ring, it does not go round.
#[tokio::test]
async fn a_question_is_passed_on_once() {
    let (mut one, mut two, mut three) = (hub_that_knows(1, &[2]), hub_that_knows(2, &[3]), hub_that_knows(3, &[1]));
    let urls = [one.listen().await, two.listen().await, three.listen().await];
    dial(&mut one, &mut two, &urls[1]).await;
    dial(&mut two, &mut three, &urls[2]).await;
    dial(&mut three, &mut one, &urls[0]).await;
    let (mut asks, mut near, mut far) = (node(config(4)), node(config(5)), node(config(6)));
    dial(&mut asks, &mut one, &urls[0]).await;
    dial(&mut near, &mut two, &urls[1]).await;
    dial(&mut far, &mut three, &urls[2]).await;
    far.net.announce(KEY).unwrap();
    near.net.announce(KEY).unwrap();
    assert_eq!(found(&mut asks, KEY).await.0, near.peer());
    // It has arrived where it was said: the one before it in the ring asks there.
    let mut before = node(config(7));
    dial(&mut before, &mut two, &urls[1]).await;
    while found(&mut before, KEY).await.0 != far.peer() {}
    assert!(finds(&mut asks, KEY).await.iter().all(|peer| *peer == near.peer()));
}
