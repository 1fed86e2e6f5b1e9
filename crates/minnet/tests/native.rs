//! What only native nodes do: links by TCP and QUIC, and holes in NATs.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use common::{Node, PATIENCE, config, node};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use ledgerno_minnet::{
    Config, DialError, Event, Faults, Listen, NetError, Path, Peer, Standing, Topic, UrlError, Way, Why, start,
};
use libp2p::{Multiaddr, StreamProtocol};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

const TOPIC: Topic = Topic([7; 32]);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// By TCP, and by QUIC.
fn ways() -> [Listen; 2] {
    [Listen::Tcp(loopback()), Listen::Quic(loopback())]
}

fn listening(name: u8, at: &[Listen]) -> Config {
    Config { listen: at.to_vec(), ..config(name) }
}

/// The next URL at which a node listens.
async fn url(node: &mut Node) -> String {
    node.until(|event| match event {
        Event::Listening { url } => Some(url),
        Event::NotListening { why, .. } => panic!("{why}"),
        _ => None,
    })
    .await
}

async fn linked_by(node: &mut Node, to: Peer) -> Path {
    node.until(|event| match event {
        Event::Connected { peer, path } if peer == to => Some(path),
        Event::DialFailed { reason, .. } => panic!("{reason}"),
        _ => None,
    })
    .await
}

async fn dial_failure(node: &mut Node) -> DialError {
    node.until(|event| match event {
        Event::DialFailed { reason, .. } => Some(reason),
        Event::Connected { .. } => panic!("connected"),
        _ => None,
    })
    .await
}

/// A request that is answered with itself.
async fn echo(ask: &mut Node, answer: &mut Node, bytes: Vec<u8>) {
    let (net, to) = (ask.net.clone(), answer.peer());
    let sent = bytes.clone();
    let asked = tokio::spawn(async move { net.request(to, 3, sent.into()).await });
    let from = ask.peer();
    answer
        .until(|event| match event {
            Event::Request { peer, bytes, reply, .. } if peer == from => {
                reply.send(bytes);
                Some(())
            }
            _ => None,
        })
        .await;
    assert_eq!(timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap(), bytes);
}

#[tokio::test]
async fn nodes_are_linked_by_tcp_and_by_quic() {
    for way in ways() {
        let (mut hub, mut guest) = (node(listening(1, &[way])), node(config(2)));
        hub.net.subscribe(TOPIC).unwrap();
        guest.net.subscribe(TOPIC).unwrap();
        let url = url(&mut hub).await;
        guest.net.dial(&url, hub.peer()).unwrap();
        assert_eq!(linked_by(&mut guest, hub.peer()).await, Path::Relay { url: url.clone() });
        assert!(matches!(linked_by(&mut hub, guest.peer()).await, Path::Accepted { .. }));
        hub.net.admit(guest.peer()).unwrap();
        guest.subscribed(hub.peer(), TOPIC).await;
        hub.subscribed(guest.peer(), TOPIC).await;
        guest.net.publish(&TOPIC, Bytes::from_static(b"up")).unwrap();
        assert_eq!(hub.message().await.2, "up");
        hub.net.publish(&TOPIC, Bytes::from_static(b"down")).unwrap();
        assert_eq!(guest.message().await.2, "down");
        echo(&mut guest, &mut hub, vec![1; 200_000]).await;
        echo(&mut hub, &mut guest, vec![2; 200_000]).await;

        // The hub is another run of itself at another port.
        hub.driver.abort();
        guest.disconnected(hub.peer()).await;
        let mut hub = node(listening(1, &[way]));
        let url = self::url(&mut hub).await;
        guest.net.dial(&url, hub.peer()).unwrap();
        linked_by(&mut guest, hub.peer()).await;
        linked_by(&mut hub, guest.peer()).await;
        echo(&mut hub, &mut guest, vec![3; 10]).await;
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_one_that_nobody_has_is_no_peer() {
    for way in ways() {
        let (mut hub, mut guest) = (node(listening(1, &[way])), node(config(2)));
        let url = url(&mut hub).await;
        guest.net.dial(&url.replace("127.0.0.1", "nobody.invalid"), hub.peer()).unwrap();
        assert!(matches!(dial_failure(&mut guest).await, DialError::Unreachable(_)));
        let named = url.replace("127.0.0.1", "localhost");
        guest.net.dial(&named, hub.peer()).unwrap();
        assert_eq!(linked_by(&mut guest, hub.peer()).await, Path::Relay { url: named });
    }
}

#[tokio::test]
async fn dials_that_come_to_nothing_say_why() {
    for way in ways() {
        let mut hub = node(listening(1, &[way]));
        let url = url(&mut hub).await;
        let mut guest = config(2);
        guest.timeout = Duration::from_millis(1_500);
        let mut guest = node(guest);
        guest.net.dial(&url, node(config(3)).peer()).unwrap();
        assert_eq!(dial_failure(&mut guest).await, DialError::WrongPeer { obtained: Some(hub.peer()) });
        // Who is there, and is no node.
        let silent = match way {
            Listen::Tcp(_) => {
                let silent = tokio::net::TcpListener::bind(loopback()).await.unwrap();
                let url = format!("tcp://{}", silent.local_addr().unwrap());
                tokio::spawn(async move {
                    let _held = silent.accept().await;
                    std::future::pending::<()>().await;
                });
                url
            }
            Listen::Quic(_) => {
                let silent = UdpSocket::bind(loopback()).await.unwrap();
                let url = format!("quic://{}", silent.local_addr().unwrap());
                tokio::spawn(async move {
                    let mut packet = [0; 2_000];
                    while silent.recv_from(&mut packet).await.is_ok() {}
                });
                url
            }
        };
        guest.net.dial(&silent, hub.peer()).unwrap();
        assert_eq!(dial_failure(&mut guest).await, DialError::Timeout);
        guest.net.dial(&url, hub.peer()).unwrap();
        linked_by(&mut guest, hub.peer()).await;
        guest.net.dial(&url, hub.peer()).unwrap();
        assert_eq!(dial_failure(&mut guest).await, DialError::Already);
    }
    let guest = node(config(2));
    let peer = guest.peer();
    assert_eq!(guest.net.dial("tcp://a", peer), Err(NetError::Url(UrlError::Port)));
    assert_eq!(guest.net.dial("udp://a:1", peer), Err(NetError::Url(UrlError::Scheme)));
}

#[tokio::test]
async fn links_over_the_bound_are_refused_and_bans_hold() {
    for way in ways() {
        let mut hub = listening(1, &[way]);
        hub.max_connections = 1;
        let banned = node(config(9));
        let (peer, at_ms) = (banned.peer(), now_ms());
        let ban = Standing { peer, until_ms: at_ms + 3_600_000, times: 1, faults: Faults::default(), at_ms };
        hub.standings.put(ban, at_ms);
        let mut hub = node(hub);
        let url = url(&mut hub).await;
        let mut banned = banned;
        banned.net.dial(&url, hub.peer()).unwrap();
        assert_eq!(dial_failure(&mut banned).await, DialError::Dropped);
        let (mut one, mut other) = (node(config(2)), node(config(3)));
        one.net.dial(&url, hub.peer()).unwrap();
        linked_by(&mut one, hub.peer()).await;
        linked_by(&mut hub, one.peer()).await;
        other.net.dial(&url, hub.peer()).unwrap();
        assert_eq!(dial_failure(&mut other).await, DialError::Dropped);
        one.net.disconnect(hub.peer()).unwrap();
        hub.disconnected(one.peer()).await;
        other.net.dial(&url, hub.peer()).unwrap();
        linked_by(&mut other, hub.peer()).await;
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[tokio::test]
async fn a_socket_that_is_taken_is_told_and_too_many_are_refused() {
    let taken = tokio::net::TcpListener::bind(loopback()).await.unwrap();
    let at = Listen::Tcp(taken.local_addr().unwrap());
    let mut node = node(listening(1, &[at, Listen::Tcp(loopback())]));
    let told = node
        .until(|event| match event {
            Event::NotListening { at, why } => Some((at, why)),
            _ => None,
        })
        .await;
    assert_eq!(told.0, at);
    assert!(!told.1.is_empty());
    // The other one is listened at all the same.
    url(&mut node).await;
    assert!(start(listening(1, &[Listen::Tcp(loopback()); 9])).is_err());
}

/// Anything but a handshake costs a closed socket, and the node goes on.
#[tokio::test]
async fn hostile_bytes_do_nothing() {
    let mut hub = node(listening(1, &ways()));
    let (tcp, quic) = (url(&mut hub).await, url(&mut hub).await);
    let at = |url: &str| url.split_once("//").unwrap().1.parse::<SocketAddr>().unwrap();
    let (tcp_at, quic_at) = if tcp.starts_with("tcp") { (at(&tcp), at(&quic)) } else { (at(&quic), at(&tcp)) };
    let garbage = |seed: u32, len: usize| -> Vec<u8> {
        std::iter::successors(Some(seed), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
            .skip(1)
            .take(len)
            .map(|x| (x >> 16) as u8)
            .collect()
    };
    let udp = UdpSocket::bind(loopback()).await.unwrap();
    for seed in 0..60u32 {
        let mut stranger = TcpStream::connect(tcp_at).await.unwrap();
        let mut bytes = garbage(seed, 400);
        if seed % 3 == 0 {
            // As far as the protocol's name, and then something else.
            bytes.splice(..0, b"\x13/multistream/1.0.0\n\x07/noise\n".iter().copied());
        }
        stranger.write_all(&bytes).await.unwrap();
        if seed % 2 == 0 {
            stranger.shutdown().await.ok();
            let mut heard = Vec::new();
            // It is closed, or reset.
            timeout(PATIENCE, stranger.read_to_end(&mut heard)).await.unwrap().ok();
        }
        let mut packet = garbage(seed + 100, 1_200);
        // A long header of version 1, else it is not looked at.
        packet[..5].copy_from_slice(&[0xc0 | (seed as u8 & 0x3f), 0, 0, 0, 1]);
        udp.send_to(&packet[..1_200 - 19 * seed as usize], quic_at).await.unwrap();
    }
    for (name, url) in [(2, &tcp), (3, &quic)] {
        let mut guest = node(config(name));
        guest.net.dial(url, hub.peer()).unwrap();
        linked_by(&mut guest, hub.peer()).await;
        linked_by(&mut hub, guest.peer()).await;
        echo(&mut guest, &mut hub, vec![1; 100]).await;
    }
}

/// A hub, and two that listen, too, and are linked to it.
async fn hub_and_two(hub: &[Listen], first: &[Listen], second: &[Listen]) -> (Node, Node, Node) {
    let mut hub = node(Config { hub: true, ..listening(1, hub) });
    let hub_url = url(&mut hub).await;
    let mut guests = Vec::new();
    for (name, at) in [(2, first), (3, second)] {
        let mut guest = node(listening(name, at));
        guest.net.dial(&hub_url, hub.peer()).unwrap();
        linked_by(&mut guest, hub.peer()).await;
        hub.connected(guest.peer()).await;
        hub.net.admit(guest.peer()).unwrap();
        guests.push(guest);
    }
    let second = guests.pop().unwrap();
    (hub, guests.pop().unwrap(), second)
}

/// Links guests to a hub by WebSocket, which admits them.
async fn by_websocket(hub: &mut Node, guests: [&mut Node; 2]) {
    let at = hub.listen().await;
    for guest in guests {
        guest.net.dial(&at, hub.peer()).unwrap();
        linked_by(guest, hub.peer()).await;
        hub.connected(guest.peer()).await;
        hub.net.admit(guest.peer()).unwrap();
    }
}

/// Waits until a friend is linked directly, which it was by a circuit before.
async fn goes_direct(node: &mut Node, friend: Peer, carrier: Peer) {
    assert_eq!(linked_by(node, friend).await, Path::Circuit { carrier });
    let path = node.until(|event| match event {
        Event::Moved { peer, path } if peer == friend => Some(path),
        Event::Disconnected { peer } if peer == friend => panic!("gone"),
        _ => None,
    });
    assert_eq!(path.await, Path::Direct);
}

#[tokio::test]
async fn two_that_meet_at_a_hub_open_a_hole_and_live_on_without_it() {
    for way in ways() {
        let (hub, mut ann, mut ben) = hub_and_two(&[way], &[way], &[way]).await;
        ann.net.seek(ben.peer()).unwrap();
        ben.net.seek(ann.peer()).unwrap();
        let (ann_peer, ben_peer) = (ann.peer(), ben.peer());
        tokio::join!(goes_direct(&mut ann, ben_peer, hub.peer()), goes_direct(&mut ben, ann_peer, hub.peer()));
        hub.driver.abort();
        ann.disconnected(hub.peer()).await;
        ben.disconnected(hub.peer()).await;
        echo(&mut ann, &mut ben, vec![1; 100_000]).await;
        echo(&mut ben, &mut ann, vec![2; 100_000]).await;
    }
}

/// The hub is linked by WebSocket, so nobody sees where they listen; what they listen at is told all the same.
#[tokio::test]
async fn in_one_network_no_peer_has_to_see_them() {
    let (mut ann, mut ben) = (node(listening(2, &ways())), node(listening(3, &ways())));
    let mut hub = node(Config { hub: true, ..config(1) });
    by_websocket(&mut hub, [&mut ann, &mut ben]).await;
    ann.net.seek(ben.peer()).unwrap();
    ben.net.seek(ann.peer()).unwrap();
    let (ann_peer, ben_peer) = (ann.peer(), ben.peer());
    tokio::join!(goes_direct(&mut ann, ben_peer, hub.peer()), goes_direct(&mut ben, ann_peer, hub.peer()));
}

/// A hole is opened for a friend alone; else the link by the hub stays.
#[tokio::test]
async fn for_who_does_not_seek_no_hole_is_opened_and_the_relayed_link_stays() {
    let [tcp, _] = ways();
    let (hub, mut ann, mut ben) = hub_and_two(&[tcp], &[tcp], &[tcp]).await;
    let (begins, other) = if ann.peer() < ben.peer() { (&mut ann, &mut ben) } else { (&mut ben, &mut ann) };
    begins.net.seek(other.peer()).unwrap();
    let friend = other.peer();
    assert_eq!(linked_by(begins, friend).await, Path::Circuit { carrier: hub.peer() });
    let why = begins
        .until(|event| match event {
            Event::Tried { peer, way: Way::Direct, why } if peer == friend => Some(why),
            Event::Moved { .. } => panic!("it moved"),
            _ => None,
        })
        .await;
    assert!(matches!(why, Why::Broken | Why::NoAnswer), "{why:?}");
    echo(begins, other, vec![5; 1_000]).await;
}

/// <https://github.com/libp2p/specs/blob/master/relay/DCUtR.md>: CONNECT with an address, and SYNC, each with its length.
const DCUTR: StreamProtocol = StreamProtocol::new("/libp2p/dcutr");
const SYNC: [u8; 4] = [3, 0x08, 0xac, 0x02];

fn connect(at: SocketAddr) -> Vec<u8> {
    let address = format!("/ip4/{}/tcp/{}", at.ip(), at.port()).parse::<Multiaddr>().unwrap();
    let message = [&[0x08, 100, 0x12, address.len() as u8][..], address.as_ref()].concat();
    [&[message.len() as u8][..], &message].concat()
}

/// Else a friend could have this node knock at others' doors as fast as it likes.
#[tokio::test]
async fn a_friend_that_opens_a_hole_again_too_soon_is_not_heard() {
    let mut hub = node(Config { hub: true, ..config(1) });
    let (mut ann, mut ben) = (node(listening(2, &ways())), node(config(3)));
    by_websocket(&mut hub, [&mut ann, &mut ben]).await;
    ann.net.seek(ben.peer()).unwrap();
    ann.connected(ben.peer()).await;
    ben.connected(ann.peer()).await;

    let door = TcpListener::bind(loopback()).await.unwrap();
    let mut stream = ben.net.open(ann.peer(), DCUTR).await.unwrap();
    stream.write_all(&connect(door.local_addr().unwrap())).await.unwrap();
    stream.flush().await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    stream.write_all(&SYNC).await.unwrap();
    stream.close().await.unwrap();
    timeout(PATIENCE, door.accept()).await.unwrap().unwrap();

    let mut again = ben.net.open(ann.peer(), DCUTR).await.unwrap();
    let asked = async {
        again.write_all(&connect(door.local_addr().unwrap())).await?;
        again.flush().await?;
        again.read_exact(&mut [0]).await
    };
    assert!(timeout(PATIENCE, asked).await.unwrap().is_err());
}
