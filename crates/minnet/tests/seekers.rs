//! Hubs among peers that announce and ask without a rule: what is kept stays bounded, and others are found as ever.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Node, PATIENCE, config, found, node};
use futures::{AsyncReadExt, AsyncWriteExt};
use ledgerno_minnet::{Event, Peer, Rate};
use libp2p::{Stream, StreamProtocol};
use tokio::time::timeout;

const KAD: StreamProtocol = StreamProtocol::new("/ledgerno/kad/1.0.0");
const ADD_PROVIDER: u8 = 2;
const GET_PROVIDERS: u8 = 3;
/// Keys that a hub keeps for one peer.
const KEPT: usize = 64;

fn put(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.extend([field << 3 | 2, bytes.len() as u8 & 0x7f | 0x80, (bytes.len() >> 7) as u8]);
    message.extend(bytes);
}

/// A message with its length before it.
fn message(kind: u8, key: u16, provider: Option<(Peer, usize)>) -> Vec<u8> {
    let mut message = vec![1 << 3, kind];
    put(&mut message, 2, &[&[0, 32][..], &key.to_be_bytes().repeat(16)].concat());
    if let Some((peer, addresses)) = provider {
        let mut node = Vec::new();
        put(&mut node, 1, &[&[0, 36, 8, 1, 18, 32][..], &peer.0].concat());
        (0..addresses).for_each(|_| put(&mut node, 2, &[7; 200]));
        put(&mut message, 9, &node);
    }
    [&[message.len() as u8 & 0x7f | 0x80, (message.len() >> 7) as u8][..], &message].concat()
}

async fn open(node: &Node, hub: Peer) -> Stream {
    timeout(PATIENCE, node.net.open(hub, KAD)).await.unwrap().unwrap()
}

/// All that comes until the stream ends or breaks.
async fn rest(stream: &mut Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the stream ends");
    read.unwrap_or_default();
    bytes
}

/// What a hub answers, with its length before it.
async fn ask(node: &Node, hub: Peer, key: u16) -> Vec<u8> {
    let mut stream = open(node, hub).await;
    stream.write_all(&message(GET_PROVIDERS, key, None)).await.unwrap();
    stream.close().await.unwrap();
    rest(&mut stream).await
}

fn names(answer: &[u8], peer: Peer) -> bool {
    answer.windows(32).any(|bytes| bytes == peer.0)
}

/// A hub, and so many guests that are linked with it.
async fn hub(requests: Rate, guests: u8) -> (Node, Vec<Node>) {
    let mut config = config(1);
    (config.hub, config.requests) = (true, requests);
    let mut hub = node(config);
    let url = hub.listen().await;
    let mut all = Vec::new();
    for name in 0..guests {
        let mut guest = node(common::config(name + 2));
        guest.net.dial(&url, hub.peer()).unwrap();
        guest.connected(hub.peer()).await;
        hub.connected(guest.peer()).await;
        all.push(guest);
    }
    (hub, all)
}

const PLENTY: Rate = Rate { burst: 10_000, per_second: 1_000 };

#[tokio::test]
async fn of_many_keys_and_addresses_few_are_kept_and_nobody_speaks_for_another() {
    let (hub, guests) = hub(PLENTY, 2).await;
    let (liar, honest) = (&guests[0], &guests[1]);
    let mut stream = open(honest, hub.peer()).await;
    stream.write_all(&message(ADD_PROVIDER, 7, Some((honest.peer(), 1)))).await.unwrap();
    stream.close().await.unwrap();
    rest(&mut stream).await;
    // On one stream, one after the other; the last is heard before the stream ends.
    let mut stream = open(liar, hub.peer()).await;
    for key in 0..300 {
        stream.write_all(&message(ADD_PROVIDER, key, Some((liar.peer(), 60)))).await.unwrap();
        stream.write_all(&message(ADD_PROVIDER, key + 1_000, Some((honest.peer(), 1)))).await.unwrap();
    }
    stream.close().await.unwrap();
    rest(&mut stream).await;
    let mut kept = 0;
    for key in 0..300 {
        let answer = ask(honest, hub.peer(), key).await;
        assert!(answer.len() < 1_200 + if key == 7 { 300 } else { 0 }, "{} bytes", answer.len());
        kept += usize::from(names(&answer, liar.peer()));
        assert_eq!(names(&answer, honest.peer()), key == 7);
        assert!(!names(&ask(honest, hub.peer(), key + 1_000).await, honest.peer()), "somebody spoke for it");
    }
    assert_eq!(kept, KEPT);
}

#[tokio::test]
async fn what_is_no_question_ends_its_stream_and_nothing_else() {
    let (hub, mut guests) = hub(PLENTY, 2).await;
    let mut other = guests.pop().unwrap();
    let liar = &guests[0];
    let long = [&[0x81, 0x80, 0x01][..], &[0; 16 * 1024 + 1]].concat();
    let whole = message(GET_PROVIDERS, 7, None);
    let wrong: [&[u8]; 9] = [
        &[],
        &[0xff],
        &[0xff; 64],
        &[0x00],
        &[0x02, 0x08],
        &[0x04, 0x12, 0xff, 0xff, 0x03],
        &[0x02, 0x08, 0x63],
        &long,
        &whole[..whole.len() - 1],
    ];
    for bytes in wrong {
        let mut stream = open(liar, hub.peer()).await;
        // It may end before all is said.
        stream.write_all(bytes).await.unwrap_or_default();
        stream.close().await.unwrap_or_default();
        let answer = rest(&mut stream).await;
        assert!(answer.len() < 10, "{bytes:?} is answered by {answer:?}");
    }
    // What is cut off is waited for, not for ever, and others are answered meanwhile.
    let mut cut = open(liar, hub.peer()).await;
    cut.write_all(&whole[..10]).await.unwrap();
    cut.flush().await.unwrap();
    liar.net.announce([7; 32]).unwrap();
    assert_eq!(found(&mut other, [7; 32]).await.0, liar.peer());
    assert_eq!(rest(&mut cut).await, []);
}

#[tokio::test]
async fn who_floods_a_hub_with_announcements_is_banned_and_others_are_found() {
    let (mut hub, mut guests) = hub(Rate { burst: 100, per_second: 50 }, 3).await;
    let (mut seeker, announcer, mut liar) = (guests.remove(0), guests.remove(0), guests.remove(0));
    let (at, who) = (hub.peer(), liar.peer());
    announcer.net.announce([7; 32]).unwrap();
    let flood = (0..16u16).map(|round| {
        let net = liar.net.clone();
        tokio::spawn(async move {
            loop {
                // So many at once are too many for the link too.
                let Ok(mut stream) = net.open(at, KAD).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                for key in 0..8 {
                    let said = stream.write_all(&message(ADD_PROVIDER, round * 8 + key, Some((who, 4)))).await;
                    if said.is_err() {
                        break;
                    }
                }
                stream.close().await.unwrap_or_default();
            }
        })
    });
    let flood: Vec<_> = flood.collect();
    assert_eq!(found(&mut seeker, [7; 32]).await.0, announcer.peer());
    let banned = hub.until(|event| match event {
        Event::Judged(standing) if standing.times > 0 => Some(standing.peer),
        Event::Disconnected { peer } => panic!("{peer} is gone"),
        _ => None,
    });
    assert_eq!(banned.await, who);
    liar.disconnected(at).await;
    flood.iter().for_each(|one| one.abort());
    assert_eq!(found(&mut seeker, [7; 32]).await.0, announcer.peer());
}

/// Else two that ask within what they may would have their hub banned by another.
#[tokio::test]
async fn a_flood_of_questions_at_one_hub_is_none_at_the_next() {
    let next = node(config(90)).peer();
    let mut first = config(1);
    (first.hub, first.requests, first.hubs) = (true, PLENTY, vec![next]);
    let mut first = node(first);
    let mut second = config(90);
    (second.hub, second.hubs) = (true, vec![first.peer()]);
    let mut second = node(second);
    let (at_first, at_second) = (first.listen().await, second.listen().await);
    first.net.dial(&at_second, next).unwrap();
    first.connected(next).await;
    second.connected(first.peer()).await;
    let (mut liar, mut ann, mut ben) = (node(config(2)), node(config(3)), node(config(4)));
    for guest in [&mut liar, &mut ann] {
        guest.net.dial(&at_first, first.peer()).unwrap();
        guest.connected(first.peer()).await;
        first.connected(guest.peer()).await;
    }
    ben.net.dial(&at_second, next).unwrap();
    ben.connected(next).await;
    second.connected(ben.peer()).await;
    let flood = async || {
        let (mut answers, mut questions) = open(&liar, first.peer()).await.split();
        let asked = async {
            for key in 0..800 {
                questions.write_all(&message(GET_PROVIDERS, key, None)).await?;
            }
            questions.close().await
        };
        let mut bytes = Vec::new();
        let (asked, heard) = futures::join!(asked, answers.read_to_end(&mut bytes));
        asked.unwrap();
        heard.unwrap();
    };
    futures::join!(flood(), flood(), flood(), flood());
    ben.net.announce([5; 32]).unwrap();
    assert_eq!(found(&mut ann, [5; 32]).await.0, ben.peer());
    // Nothing else happened there.
    second.net.announce([6; 32]).unwrap();
    let judged = timeout(std::time::Duration::from_millis(200), second.next()).await;
    assert!(judged.is_err(), "{judged:?}");
}
