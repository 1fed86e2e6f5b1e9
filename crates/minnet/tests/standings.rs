//! What is remembered of peers that behave badly: over links, and over restarts.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use common::{Node, PATIENCE, config, dial_failure, node, pair};
use futures::AsyncWriteExt;
use ledgerno_minnet::{Config, DialError, Event, NetError, Rate, RequestError, Standing, Topic};
use libp2p::StreamProtocol;
use tokio::time::timeout;

const TOPIC: Topic = Topic([7; 32]);

/// When a peer is banned, as the hub tells it.
async fn banned(hub: &mut Node) -> Standing {
    hub.until(|event| match event {
        Event::Judged(standing) if standing.times > 0 => Some(standing),
        _ => None,
    })
    .await
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Bans hold over links, and over a restart.
#[tokio::test]
async fn who_floods_is_banned_for_a_while_after_a_restart_too() {
    let mut strict = config(1);
    strict.requests = Rate { burst: 10, per_second: 0 };
    let (mut hub, mut guest) = pair(strict.clone(), config(2)).await;
    let (net, peer) = (guest.net.clone(), hub.peer());
    let flood = tokio::spawn(async move {
        loop {
            match net.request(peer, 1, Bytes::new()).await {
                Err(RequestError::Busy | RequestError::Refused | RequestError::Overloaded) => {}
                _ => return,
            }
        }
    });
    let ban = banned(&mut hub).await;
    assert_eq!((ban.peer, ban.times), (guest.peer(), 1));
    guest.disconnected(hub.peer()).await;
    timeout(PATIENCE, flood).await.unwrap().unwrap();
    let url = hub.listen().await;
    guest.net.dial(&url, hub.peer()).unwrap();
    assert_eq!(dial_failure(&mut guest).await, DialError::Dropped);

    strict.standings.put(ban, now_ms());
    let again = node(strict);
    let url = again.listen().await;
    guest.net.dial(&url, again.peer()).unwrap();
    assert_eq!(dial_failure(&mut guest).await, DialError::Dropped);
    let mut other = node(config(3));
    other.net.dial(&url, again.peer()).unwrap();
    other.connected(again.peer()).await;
}

/// Each keeps to its rate, and all of it goes on through one: that one is not banned for them, and what others say still passes.
#[tokio::test]
async fn who_hands_on_what_many_say_is_not_taken_for_a_flooder() {
    let bounded = |name| paced(name, 20);
    let [mut far, mut between, mut honest] = [1, 2, 3].map(|name| node(bounded(name)));
    let (to_far, to_between) = (far.listen().await, between.listen().await);
    far.net.subscribe(TOPIC).unwrap();
    join(&mut between, &mut far, &to_far).await;
    join(&mut honest, &mut between, &to_between).await;
    let heard = tokio::spawn(async move {
        far.until(|event| match event {
            Event::Message { bytes, .. } => (bytes.len() == 4).then_some(None),
            Event::Judged(standing) => Some(Some(standing)),
            _ => None,
        })
        .await
    });
    for name in 4..34 {
        let mut flooder = node(bounded(name));
        join(&mut flooder, &mut between, &to_between).await;
        for number in 0..100 {
            flooder.net.publish(&TOPIC, vec![name, number].into()).unwrap();
            assert_eq!(between.message().await.1, flooder.peer());
        }
    }
    between.serve(|_, _| None);
    // At a pace, for what is over a rate is passed over.
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for number in 0u32.. {
        if heard.is_finished() {
            break;
        }
        honest.net.publish(&TOPIC, Bytes::copy_from_slice(&number.to_be_bytes())).unwrap();
        pace.tick().await;
    }
    assert_eq!(heard.await.unwrap(), None, "nobody is judged");
}

/// All that one says is no more than its share of what goes on.
#[tokio::test]
async fn who_says_all_it_may_leaves_room_for_what_others_say() {
    let bounded = |name| paced(name, 0);
    let [mut far, mut between, mut honest, mut flooder] = [1, 2, 3, 4].map(|name| node(bounded(name)));
    let (to_far, to_between) = (far.listen().await, between.listen().await);
    far.net.subscribe(TOPIC).unwrap();
    join(&mut between, &mut far, &to_far).await;
    join(&mut honest, &mut between, &to_between).await;
    join(&mut flooder, &mut between, &to_between).await;
    for number in 0..100 {
        flooder.net.publish(&TOPIC, vec![number].into()).unwrap();
        assert_eq!(between.message().await.1, flooder.peer());
    }
    honest.net.publish(&TOPIC, Bytes::from_static(b"not lost")).unwrap();
    while far.message().await.2 != "not lost" {}
}

/// A node whose own words are many, as those of a program may be, keeps to what others take of it.
#[tokio::test]
async fn who_has_much_to_say_is_not_banned_for_it() {
    let (mut hub, mut guest) = pair(paced(1, 20), paced(2, 20)).await;
    hub.net.subscribe(TOPIC).unwrap();
    guest.subscribed(hub.peer(), TOPIC).await;
    let net = guest.net.clone();
    let speech = tokio::spawn(async move {
        for number in 0u32..20_000 {
            while net.publish(&TOPIC, Bytes::copy_from_slice(&number.to_be_bytes())) == Err(NetError::Busy) {
                tokio::task::yield_now().await;
            }
        }
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for number in 0u64.. {
            net.publish(&TOPIC, Bytes::copy_from_slice(&number.to_be_bytes())).unwrap();
            pace.tick().await;
        }
    });
    hub.until(|event| match event {
        Event::Message { bytes, .. } => (bytes.len() == 8).then_some(()),
        Event::Judged(standing) => panic!("{standing:?}"),
        _ => None,
    })
    .await;
    speech.abort();
}

/// A node that takes a hundred messages of each at once.
fn paced(name: u8, per_second: u32) -> Config {
    let mut config = config(name);
    config.messages = Rate { burst: 100, per_second };
    config
}

/// Links a member to a node that listens to the topic.
async fn join(member: &mut Node, to: &mut Node, url: &str) {
    member.net.subscribe(TOPIC).unwrap();
    member.net.dial(url, to.peer()).unwrap();
    to.admits(member.peer()).await;
    member.subscribed(to.peer(), TOPIC).await;
    to.subscribed(member.peer(), TOPIC).await;
}

/// Frames of which each says nothing cost as well.
#[tokio::test]
async fn who_says_nothing_again_and_again_is_banned() {
    let mut strict = config(1);
    strict.messages = Rate { burst: 10, per_second: 0 };
    let (mut hub, guest) = pair(strict, config(2)).await;
    let mut stream = guest.net.open(hub.peer(), StreamProtocol::new("/meshsub/1.1.0")).await.unwrap();
    stream.write_all(&[0; 2_000]).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(banned(&mut hub).await.peer, guest.peer());
}

#[tokio::test]
async fn who_comes_again_and_again_is_banned() {
    let mut hub = node(config(1));
    let url = hub.listen().await;
    let banned = tokio::spawn(async move { (banned(&mut hub).await, hub) });
    let mut guest = node(config(2));
    let peer = node(config(1)).peer();
    while !banned.is_finished() {
        guest.net.dial(&url, peer).unwrap();
        let linked = guest
            .until(|event| match event {
                Event::Connected { .. } => Some(true),
                Event::DialFailed { .. } => Some(false),
                _ => None,
            })
            .await;
        if linked {
            guest.net.disconnect(peer).unwrap();
            guest.disconnected(peer).await;
        }
    }
    assert_eq!(banned.await.unwrap().0.peer, guest.peer());
}

/// A message that the hub does not take, being too long, each of which counts; what the hub says of that.
async fn offend(hub: &mut Node, guest: &Node, round: u8) -> Standing {
    guest.net.publish(&TOPIC, vec![round; 3_000].into()).unwrap();
    hub.until(|event| match event {
        Event::Judged(standing) => Some(standing),
        Event::Message { .. } => panic!("it was taken"),
        _ => None,
    })
    .await
}

/// Eight of these in a row make a ban. Three on one link, three on the next, and then at a hub that has started anew: there
/// the sum is what counts, with one or two more for the time that passes.
#[tokio::test]
async fn what_a_peer_did_counts_when_it_comes_anew_and_after_a_restart() {
    let mut strict = config(1);
    (strict.hub, strict.max_message) = (true, 2_000);
    let (mut hub, mut guest) = pair(strict.clone(), config(2)).await;
    let mut told: Vec<Standing> = Vec::new();
    for link in 0..3 {
        if link > 0 {
            guest.net.disconnect(hub.peer()).unwrap();
            guest.disconnected(hub.peer()).await;
            hub.disconnected(guest.peer()).await;
        }
        if link == 2 {
            told.iter().for_each(|standing| strict.standings.put(*standing, now_ms()));
            hub = node(strict.clone());
        }
        if link > 0 {
            guest.net.dial(&hub.listen().await, hub.peer()).unwrap();
            hub.admits(guest.peer()).await;
        }
        hub.net.subscribe(TOPIC).unwrap();
        guest.subscribed(hub.peer(), TOPIC).await;
        for _ in 0..3 {
            if told.last().is_none_or(|standing| standing.times == 0) {
                told.push(offend(&mut hub, &guest, told.len() as u8).await);
            }
        }
        if link < 2 {
            assert!(told.iter().all(|standing| standing.times == 0), "{told:?}");
        }
    }
    if told.last().is_none_or(|standing| standing.times == 0) {
        told.push(offend(&mut hub, &guest, 100).await);
    }
    let ban = told.last().unwrap();
    assert_eq!((ban.peer, ban.times, ban.faults.wrong), (guest.peer(), 1, 0), "{told:?}");
}
