//! The network between real sockets: links, requests, messages, and what is refused.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Node, PATIENCE, accept, config, dial_failure, node, pair, url_of};
use futures::{AsyncWriteExt as _, future::join_all};
use ledgerno_minnet::{
    CodecError, DialError, Event, NetError, Path, Peer, Rate, RequestError, Topic, UrlError, VERSION,
};
use libp2p::StreamProtocol;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const TOPIC: Topic = Topic([7; 32]);
const GOSSIP: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");

#[tokio::test]
async fn requests_go_both_ways() {
    let (mut hub, mut guest) = pair(config(1), config(2)).await;
    let (hub_peer, guest_peer) = (hub.peer(), guest.peer());
    let asked = tokio::spawn({
        let net = guest.net.clone();
        async move { net.request(hub_peer, 3, Bytes::from_static(b"to the hub")).await }
    });
    hub.until(|event| match event {
        Event::Request { peer, kind: 3, bytes, reply } if peer == guest_peer => {
            assert_eq!(bytes, "to the hub");
            reply.send(Bytes::from_static(b"from the hub"));
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(asked.await.unwrap().unwrap(), "from the hub");

    let asked = tokio::spawn({
        let net = hub.net.clone();
        async move { net.request(guest_peer, 4, Bytes::new()).await }
    });
    guest
        .until(|event| match event {
            Event::Request { peer, kind: 4, reply, .. } if peer == hub_peer => {
                drop(reply);
                Some(())
            }
            _ => None,
        })
        .await;
    assert_eq!(asked.await.unwrap(), Err(RequestError::Refused));
}

#[tokio::test]
async fn the_largest_request_and_answer_pass_and_one_byte_more_does_not() {
    let (mut big, mut small) = (config(1), config(2));
    (small.max_request, small.max_response) = (300_000, 2_000_000);
    (big.max_request, big.max_response) = (300_000, 2_000_000);
    let (hub, guest) = pair(big, small).await;
    let peer = hub.peer();
    hub.serve(|kind, bytes| Some(vec![bytes[0]; if kind == 1 { 2_000_000 } else { 2_000_001 }].into()));
    let answer = guest.net.request(peer, 1, vec![9; 300_000].into()).await.unwrap();
    assert_eq!((answer.len(), answer[1_999_999]), (2_000_000, 9));
    assert_eq!(guest.net.request(peer, 2, vec![9; 1].into()).await, Err(RequestError::OverPeersBounds));
    let too_long = RequestError::Codec(CodecError::TooLong { len: 300_001, max: 300_000 });
    assert_eq!(guest.net.request(peer, 1, vec![9; 300_001].into()).await, Err(too_long));
}

#[tokio::test]
async fn a_request_or_an_answer_over_the_other_sides_bound_is_refused_in_words() {
    let (mut hub, mut guest) = (config(1), config(2));
    (hub.max_request, guest.max_response) = (1_000, 1_000);
    let (hub, guest) = pair(hub, guest).await;
    let peer = hub.peer();
    hub.serve(|_, _| Some(vec![1; 5_000].into()));
    assert_eq!(guest.net.request(peer, 1, vec![9; 1_100].into()).await, Err(RequestError::OverPeersBounds));
    let answer = guest.net.request(peer, 1, vec![9; 900].into()).await;
    assert!(matches!(answer, Err(RequestError::Codec(CodecError::TooLong { max: 1_000, .. }))), "{answer:?}");
}

/// A hub and two guests, all of whom listen to the topic and know it of each other.
async fn subscribed() -> (Node, Node, Node) {
    let mut hub = config(1);
    hub.hub = true;
    let (mut hub, mut ann, mut ben) = (node(hub), node(config(2)), node(config(3)));
    for node in [&hub, &ann, &ben] {
        node.net.subscribe(TOPIC).unwrap();
    }
    let url = hub.listen().await;
    for guest in [&mut ann, &mut ben] {
        guest.net.dial(&url, hub.peer()).unwrap();
        hub.admits(guest.peer()).await;
        guest.subscribed(hub.peer(), TOPIC).await;
        hub.subscribed(guest.peer(), TOPIC).await;
    }
    (hub, ann, ben)
}

#[tokio::test]
async fn a_message_reaches_the_other_guest_through_the_hub_once() {
    let (mut hub, mut ann, mut ben) = subscribed().await;
    ann.net.publish(&TOPIC, Bytes::from_static(b"first")).unwrap();
    assert_eq!(hub.message().await, (TOPIC, ann.peer(), Bytes::from_static(b"first")));
    assert_eq!(ben.message().await, (TOPIC, hub.peer(), Bytes::from_static(b"first")));
    // The same bytes again are the same message; the next one that arrives is another.
    ann.net.publish(&TOPIC, Bytes::from_static(b"first")).unwrap();
    ann.net.publish(&TOPIC, vec![5; 72 * 1024].into()).unwrap();
    assert_eq!(ben.message().await.2.len(), 72 * 1024);
    let over = ann.net.publish(&TOPIC, vec![5; 72 * 1024 + 1].into());
    assert_eq!(over, Err(NetError::TooLong { len: 72 * 1024 + 1, max: 72 * 1024 }));
    // And back.
    ben.net.publish(&TOPIC, Bytes::from_static(b"reply")).unwrap();
    assert_eq!(ann.message().await, (TOPIC, hub.peer(), Bytes::from_static(b"reply")));
}

/// A node that hands nothing on still hears, and what it says itself goes out.
#[tokio::test]
async fn a_node_hands_on_what_comes_on_a_topic_only_if_it_is_told_to() {
    let (mut hub, mut ann, mut ben) = subscribed().await;
    hub.net.hand_on(TOPIC, false).unwrap();
    ann.net.publish(&TOPIC, Bytes::from_static(b"for the hub")).unwrap();
    assert_eq!(hub.message().await.2, "for the hub");
    hub.net.publish(&TOPIC, Bytes::from_static(b"for both")).unwrap();
    assert_eq!(ben.message().await.2, "for both", "the first it does not hear");
    assert_eq!(ann.message().await.2, "for both");
    hub.net.hand_on(TOPIC, true).unwrap();
    hub.net.publish(&TOPIC, Bytes::from_static(b"now")).unwrap();
    assert_eq!(ann.message().await.2, "now");
    ann.net.publish(&TOPIC, Bytes::from_static(b"for all")).unwrap();
    assert_eq!(ben.message().await.2, "now");
    assert_eq!(ben.message().await.2, "for all");
}

#[tokio::test]
async fn a_hub_hands_a_message_to_every_one_of_many_guests() {
    let mut hub = config(1);
    hub.hub = true;
    let mut hub = node(hub);
    hub.net.subscribe(TOPIC).unwrap();
    let url = hub.listen().await;
    let mut guests = Vec::new();
    for name in 2..32 {
        let mut guest = node(config(name));
        guest.net.subscribe(TOPIC).unwrap();
        guest.net.dial(&url, hub.peer()).unwrap();
        hub.admits(guest.peer()).await;
        guest.subscribed(hub.peer(), TOPIC).await;
        hub.subscribed(guest.peer(), TOPIC).await;
        guests.push(guest);
    }
    let mut author = guests.pop().unwrap();
    author.net.publish(&TOPIC, Bytes::from_static(b"all")).unwrap();
    for got in join_all(guests.iter_mut().map(Node::message)).await {
        assert_eq!(got.2, "all");
    }
    assert_eq!(hub.message().await.2, "all");
    // The author hears others, too.
    guests[0].net.publish(&TOPIC, Bytes::from_static(b"back")).unwrap();
    assert_eq!(author.message().await.2, "back");
}

#[tokio::test]
async fn another_version_is_refused_on_both_sides() {
    let mut other = config(2);
    other.version = VERSION + 1;
    let (mut hub, mut guest) = (node(config(1)), node(other));
    let url = hub.listen().await;
    guest.net.dial(&url, hub.peer()).unwrap();
    for (node, ours, theirs) in [(&mut hub, VERSION, VERSION + 1), (&mut guest, VERSION + 1, VERSION)] {
        let told = node
            .until(|event| match event {
                Event::Refused { theirs, ours, .. } => Some((ours, theirs)),
                Event::Connected { .. } | Event::DialFailed { .. } => panic!("{event:?}"),
                _ => None,
            })
            .await;
        assert_eq!(told, (ours, theirs));
    }
    let request = guest.net.request(hub.peer(), 1, Bytes::new()).await;
    assert_eq!(request, Err(RequestError::NotConnected));
    // The link is closed, so that a new dial is possible and refused again.
    let (net, peer) = (guest.net.clone(), hub.peer());
    net.dial(&url, peer).unwrap();
    let again = guest.until(|event| match event {
        Event::Refused { theirs, .. } => Some(theirs),
        Event::DialFailed { reason: DialError::Already, .. } => {
            net.dial(&url, peer).unwrap();
            None
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(again.await, VERSION);
}

#[tokio::test]
async fn dials_that_come_to_nothing_say_why() {
    let hub = node(config(1));
    let url = hub.listen().await;
    let mut guest = node(config(2));

    guest.net.dial(&url, node(config(3)).peer()).unwrap();
    assert_eq!(dial_failure(&mut guest).await, DialError::WrongPeer { obtained: Some(hub.peer()) });

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    guest.net.dial(&url_of(nobody), hub.peer()).unwrap();
    assert!(matches!(dial_failure(&mut guest).await, DialError::Unreachable(_)));

    // A server that is no relay.
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    guest.net.dial(&url_of(server.local_addr().unwrap()), hub.peer()).unwrap();
    let (mut tcp, _) = server.accept().await.unwrap();
    let mut head = [0; 4096];
    assert!(tcp.read(&mut head).await.unwrap() > 0);
    tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert!(matches!(dial_failure(&mut guest).await, DialError::Unreachable(_)));

    // One that says nothing.
    let mut impatient = config(4);
    impatient.timeout = Duration::from_millis(300);
    let mut impatient = node(impatient);
    impatient.net.dial(&url_of(server.local_addr().unwrap()), hub.peer()).unwrap();
    let _silent = server.accept().await.unwrap();
    assert_eq!(dial_failure(&mut impatient).await, DialError::Timeout);

    assert_eq!(guest.net.dial("http://localhost/", hub.peer()), Err(NetError::Url(UrlError::Scheme)));
    guest.net.dial(&url, guest.peer()).unwrap();
    assert!(matches!(dial_failure(&mut guest).await, DialError::Itself | DialError::WrongPeer { .. }));
}

#[tokio::test]
async fn a_link_that_is_closed_is_noticed_by_both() {
    let (mut hub, mut guest) = pair(config(1), config(2)).await;
    guest.net.disconnect(hub.peer()).unwrap();
    guest.disconnected(hub.peer()).await;
    hub.disconnected(guest.peer()).await;
    assert_eq!(hub.net.request(guest.peer(), 1, Bytes::new()).await, Err(RequestError::NotConnected));
}

#[tokio::test]
async fn a_network_without_handles_ends_and_its_peer_notices() {
    let (mut hub, guest) = pair(config(1), config(2)).await;
    let peer = guest.peer();
    drop(guest.net);
    timeout(PATIENCE, guest.driver).await.unwrap().unwrap();
    hub.disconnected(peer).await;
}

#[tokio::test]
async fn a_network_whose_events_nobody_takes_ends_and_its_peer_notices() {
    let (mut hub, guest) = pair(config(1), config(2)).await;
    let peer = guest.peer();
    drop(guest.events);
    timeout(PATIENCE, guest.driver).await.unwrap().unwrap();
    hub.disconnected(peer).await;
    drop(guest.net);
}

/// A hub's subscriptions are its circles, and what is said there is for those that the caller knows.
#[tokio::test]
async fn who_is_not_admitted_hears_nothing_and_is_not_heard() {
    let (mut hub, mut guest) = pair(config(1), config(2)).await;
    let mut stranger = node(config(3));
    let url = hub.listen().await;
    stranger.net.dial(&url, hub.peer()).unwrap();
    stranger.connected(hub.peer()).await;
    for node in [&hub, &guest, &stranger] {
        node.net.subscribe(TOPIC).unwrap();
    }
    let (hub_peer, guest_peer, peer) = (hub.peer(), guest.peer(), stranger.peer());
    let mut heard_of = vec![peer, guest_peer];
    hub.until(|event| {
        if let Event::Subscribed { peer, .. } = event {
            heard_of.retain(|one| *one != peer);
        }
        heard_of.is_empty().then_some(())
    })
    .await;
    guest.subscribed(hub_peer, TOPIC).await;
    // It may speak all the same, by streams of its own.
    let frame = |text: &str| {
        let message =
            [&[0x12, text.len() as u8][..], text.as_bytes(), &[0x22, 64], TOPIC.to_string().as_bytes()].concat();
        [&[message.len() as u8 + 2, 0x12, message.len() as u8][..], &message].concat()
    };
    let mut stream = stranger.net.open(hub_peer, GOSSIP).await.unwrap();
    stream.write_all(&frame("from the stranger")).await.unwrap();
    stream.flush().await.unwrap();
    guest.net.publish(&TOPIC, Bytes::from_static(b"from the guest")).unwrap();
    assert_eq!(hub.message().await.2, "from the guest");
    hub.net.publish(&TOPIC, Bytes::from_static(b"from the hub")).unwrap();
    assert_eq!(guest.message().await.2, "from the hub");

    hub.net.admit(peer).unwrap();
    let subscribed = stranger.until(|event| match event {
        Event::Subscribed { topic, .. } => Some(topic),
        Event::Message { bytes, .. } => panic!("heard {bytes:?}"),
        _ => None,
    });
    assert_eq!(subscribed.await, TOPIC);
    stream.write_all(&frame("from who is a friend now")).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(hub.message().await.2, "from who is a friend now");
    assert_eq!(guest.message().await.2, "from who is a friend now");
}

/// What is dropped for one peer's sake is no reason to pass over another's.
#[tokio::test]
async fn a_message_that_one_peer_had_no_right_to_is_taken_from_another() {
    let mut few = config(1);
    few.messages = Rate { burst: 2, per_second: 0 };
    let (mut hub, eager) = pair(few, config(2)).await;
    let mut other = node(config(3));
    let url = hub.listen().await;
    other.net.dial(&url, hub.peer()).unwrap();
    other.connected(hub.peer()).await;
    hub.admits(other.peer()).await;
    let (mut eager, hub_peer) = (eager, hub.peer());
    for node in [&hub, &eager, &other] {
        node.net.subscribe(TOPIC).unwrap();
    }
    eager.subscribed(hub_peer, TOPIC).await;
    other.subscribed(hub_peer, TOPIC).await;
    for text in ["1", "2", "3"] {
        eager.net.publish(&TOPIC, text.into()).unwrap();
    }
    for text in ["1", "2"] {
        assert_eq!(hub.message().await.2, text);
    }
    // What the other says of its own comes after that.
    timeout(PATIENCE, eager.net.request(hub_peer, 9, Bytes::new())).await.unwrap().ok();
    other.net.publish(&TOPIC, Bytes::from_static(b"3")).unwrap();
    let (_, from, bytes) = hub.message().await;
    assert_eq!((from, bytes), (other.peer(), Bytes::from_static(b"3")));
}

/// A link through a wire that can be cut without a word.
#[tokio::test]
async fn a_dead_link_is_noticed_by_ping() {
    let mut quick = config(2);
    quick.ping = Duration::from_secs(1);
    let (mut hub, mut guest) = (node(config(1)), node(quick));
    let url = hub.listen().await;
    let wire = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wired = url_of(wire.local_addr().unwrap());
    let inner = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let (cut, mut is_cut) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut one, _) = wire.accept().await.unwrap();
        let mut other = TcpStream::connect(inner).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut one, &mut other) => {}
            _ = &mut is_cut => {}
        }
        // Both ends stay open, and nothing goes through any more.
        std::future::pending::<()>().await;
        drop((one, other));
    });
    guest.net.dial(&wired, hub.peer()).unwrap();
    guest.connected(hub.peer()).await;
    hub.connected(guest.peer()).await;
    cut.send(()).unwrap();
    guest.disconnected(hub.peer()).await;
}

/// A tab reloaded: the same key comes back while its old link still stands.
#[tokio::test]
async fn the_newest_link_of_a_peer_wins_and_hears_messages() {
    let mut hub = config(1);
    hub.hub = true;
    let mut hub = node(hub);
    hub.net.subscribe(TOPIC).unwrap();
    let url = hub.listen().await;
    let mut old = node(config(2));
    old.net.dial(&url, hub.peer()).unwrap();
    old.connected(hub.peer()).await;
    hub.admits(old.peer()).await;

    let mut new = node(config(2));
    new.net.subscribe(TOPIC).unwrap();
    new.net.dial(&url, hub.peer()).unwrap();
    new.subscribed(hub.peer(), TOPIC).await;
    hub.disconnected(new.peer()).await;
    hub.subscribed(new.peer(), TOPIC).await;
    old.disconnected(hub.peer()).await;
    hub.net.publish(&TOPIC, Bytes::from_static(b"down")).unwrap();
    assert_eq!(new.message().await.2, "down");
    new.net.publish(&TOPIC, Bytes::from_static(b"up")).unwrap();
    assert_eq!(hub.message().await.2, "up");
}

#[tokio::test]
async fn a_second_dial_says_that_there_is_a_link() {
    let (hub, mut guest) = pair(config(1), config(2)).await;
    let url = hub.listen().await;
    guest.net.dial(&url, hub.peer()).unwrap();
    assert_eq!(dial_failure(&mut guest).await, DialError::Already);
}

#[tokio::test]
async fn links_over_the_bound_are_refused_and_a_freed_place_is_taken() {
    let mut hub = config(1);
    hub.max_connections = 2;
    let mut hub = node(hub);
    let url = hub.listen().await;
    let mut guests = [node(config(2)), node(config(3)), node(config(4))];
    for guest in &mut guests[..2] {
        guest.net.dial(&url, hub.peer()).unwrap();
        guest.connected(hub.peer()).await;
        hub.connected(guest.peer()).await;
    }
    guests[2].net.dial(&url, hub.peer()).unwrap();
    assert_eq!(dial_failure(&mut guests[2]).await, DialError::Dropped);
    guests[0].net.disconnect(hub.peer()).unwrap();
    hub.disconnected(guests[0].peer()).await;
    guests[2].net.dial(&url, hub.peer()).unwrap();
    guests[2].connected(hub.peer()).await;
}

#[tokio::test]
async fn messages_over_the_rate_are_dropped_and_in_the_end_the_link() {
    let mut strict = config(1);
    strict.messages = Rate { burst: 10, per_second: 0 };
    let (mut hub, mut guest) = pair(strict, config(2)).await;
    hub.net.subscribe(TOPIC).unwrap();
    guest.subscribed(hub.peer(), TOPIC).await;
    let flood = tokio::spawn({
        let net = guest.net.clone();
        async move {
            for number in 0u32.. {
                match net.publish(&TOPIC, Bytes::copy_from_slice(&number.to_be_bytes())) {
                    Ok(()) | Err(NetError::Busy) => tokio::task::yield_now().await,
                    Err(_) => return,
                }
            }
        }
    });
    let mut messages = 0;
    hub.until(|event| {
        messages += usize::from(matches!(event, Event::Message { .. }));
        matches!(event, Event::Disconnected { .. }).then_some(())
    })
    .await;
    flood.abort();
    assert_eq!(messages, 10);
}

/// The consumer sleeps while a peer asks and asks. No more than the queues hold is taken in; awake, it gets on with it.
#[tokio::test]
async fn a_slow_consumer_holds_its_peers_up() {
    let mut sleepy = config(1);
    sleepy.events = 4;
    sleepy.requests = Rate { burst: 100_000, per_second: 100_000 };
    let mut guest = config(2);
    guest.timeout = Duration::from_millis(400);
    let (mut hub, guest) = pair(sleepy, guest).await;
    let mut unanswered = 0;
    for _ in 0..6 {
        let asked = join_all((0..8).map(|_| guest.net.request(hub.peer(), 1, vec![1; 1_000].into())));
        unanswered += asked.await.into_iter().filter(Result::is_err).count();
    }
    assert_eq!(unanswered, 48);
    // What waits in all: 4 events, one in the driver's hand, and what the link's own queues hold.
    let mut waiting = 0;
    while let Ok(Some(event)) = timeout(Duration::from_millis(300), futures::StreamExt::next(&mut hub.events)).await {
        waiting += usize::from(matches!(event, Event::Request { .. }));
    }
    assert!((5..=32).contains(&waiting), "{waiting}");
    let peer = hub.peer();
    hub.serve(|_, bytes| Some(bytes));
    let answered = async {
        loop {
            match guest.net.request(peer, 1, Bytes::from_static(b"awake")).await {
                Ok(answer) => return answer,
                Err(RequestError::NotConnected) => panic!("the link is gone"),
                Err(_) => {}
            }
        }
    };
    assert_eq!(timeout(PATIENCE, answered).await.unwrap(), "awake");
}

/// Strangers that send anything but a handshake cost a closed socket, and the node goes on.
#[tokio::test]
async fn garbage_on_a_socket_harms_nothing() {
    let hub = node(config(1));
    let (peer, net) = (hub.peer(), hub.net.clone());
    let url = hub.listen().await;
    hub.serve(|_, bytes| Some(bytes));
    for seed in 0..50u8 {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(server.local_addr().unwrap()), server.accept());
        let (mut client, (tcp, from)) = (client.unwrap(), accepted.unwrap());
        let garbage: Vec<u8> =
            std::iter::successors(Some(u32::from(seed) + 1), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1)))
                .take(200)
                .map(|x| (x >> 16) as u8)
                .collect();
        // Half of them speak WebSocket, half are no HTTP at all.
        if seed % 2 == 0 {
            let (_, upgraded) = tokio::join!(accept(&net, tcp, from), async {
                let mut socket = tokio_tungstenite::client_async("ws://localhost/", client).await.unwrap().0;
                let message = tokio_tungstenite::tungstenite::Message::binary(garbage);
                futures::SinkExt::send(&mut socket, message).await.unwrap();
                socket
            });
            drop(upgraded);
        } else {
            client.write_all(&garbage).await.unwrap();
            drop(client);
            accept(&net, tcp, from).await;
        }
    }
    let mut guest = node(config(2));
    guest.net.dial(&url, peer).unwrap();
    let path = guest
        .until(|event| match event {
            Event::Connected { path, .. } => Some(path),
            _ => None,
        })
        .await;
    assert_eq!(path, Path::Relay { url });
    assert_eq!(guest.net.request(peer, 1, Bytes::from_static(b"well?")).await.unwrap(), "well?");
}

#[tokio::test]
async fn topics_are_bounded() {
    let node = node(config(1));
    let topic = |number: u16| {
        let mut topic = [0; 32];
        topic[..2].copy_from_slice(&number.to_be_bytes());
        Topic(topic)
    };
    for number in 0..900 {
        while let Err(error) = node.net.subscribe(topic(number)) {
            assert_eq!(error, NetError::Busy);
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(node.net.subscribe(topic(900)), Err(NetError::TooManyTopics));
    assert_eq!(node.net.subscribe(topic(899)), Ok(()));
    while node.net.unsubscribe(topic(899)).is_err() {
        tokio::task::yield_now().await;
    }
    while node.net.subscribe(topic(900)) == Err(NetError::Busy) {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.net.subscribe(topic(901)), Err(NetError::TooManyTopics));
}

#[test]
fn a_peer_is_the_public_key() {
    // RFC 8032, test 1.
    let secret = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let (net, ..) = ledgerno_minnet::start(ledgerno_minnet::Config::new(secret, "test/0")).unwrap();
    assert_eq!(net.peer(), Peer(public));
}

fn hex(text: &str) -> [u8; 32] {
    let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
