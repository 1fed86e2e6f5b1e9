//! A whole relay in this process. Nothing here starts another program: a fork holds our files' locks until its exec.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::get;
use futures::{FutureExt, StreamExt};
use ledgerno_minnet::{self as minnet, DialError, Event, Events, Net, Peer, RequestError};
use ledgerno_node::Listen;
use ledgerno_relay::cli::PeerUrl;
use ledgerno_relay::host::HostError;
use ledgerno_relay::secrets::{Lost, SecretError, Secrets};
use ledgerno_relay::{Config, Language, Ready, RelayError, serve};
use tokio::sync::oneshot;

/// Runs a relay until `during` has ended.
async fn with_relay<T>(data: &Path, during: impl AsyncFnOnce(Ready) -> T) -> Result<T, RelayError> {
    with(Config::new("127.0.0.1:0".parse().unwrap(), data.to_owned()), during).await
}

/// The same, with what else it is told.
async fn with<T>(config: Config, during: impl AsyncFnOnce(Ready) -> T) -> Result<T, RelayError> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let config = Config { page: common::page(), version: 9, shutdown: stopped.map(|_| ()).boxed(), ..config };
    let relay = serve(config, |ready| tell.send(ready).unwrap());
    let user = async {
        let Ok(ready) = told.await else { return None };
        let result = during(ready).await;
        stop.send(()).unwrap();
        Some(result)
    };
    let (ended, result) = futures::join!(relay, user);
    ended.map(|()| result.unwrap())
}

#[tokio::test]
async fn it_serves_its_page_and_says_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let served = with_relay(folder.path(), async |ready| {
        assert_eq!(ready.page, format!("http://{}/", ready.address));
        assert!(ready.only_here);
        let token = ready.owner.strip_prefix(&format!("{}#/owner/", ready.page)).unwrap();
        assert_eq!(token.len(), 22);
        let answer = get(ready.address, "/", "").await;
        let peer = data_encoding::HEXLOWER.encode(&ready.peer);
        let html = String::from_utf8(answer.body).unwrap();
        assert!(html.contains(&peer) && html.contains(r#""version":9"#), "{html}");
        ready.address
    });
    let address = served.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// A node of another program, as a page is one.
fn node(secret: u8, version: u16) -> (Net, Events) {
    let config = minnet::Config { version, ..minnet::Config::new([secret; 32], "test") };
    let (net, events, network) = minnet::start(config).unwrap();
    tokio::spawn(network);
    (net, events)
}

#[tokio::test]
async fn nodes_meet_it_through_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let mut left_behind = with_relay(folder.path(), async |ready| {
        let (relay, url) = (Peer(ready.peer), format!("ws://{}/", ready.address));

        let (net, mut same) = node(1, 9);
        net.dial(&url, relay).unwrap();
        let met = same.next().await.unwrap();
        assert!(matches!(met, Event::Connected { peer, .. } if peer == relay), "{met:?}");

        let (net_of_another, mut another) = node(2, 3);
        net_of_another.dial(&url, relay).unwrap();
        let refused = another.next().await.unwrap();
        assert!(matches!(refused, Event::Refused { theirs: 9, ours: 3, .. }), "{refused:?}");

        let (net_of_deceived, mut deceived) = node(3, 9);
        net_of_deceived.dial(&url, net.peer()).unwrap();
        let failed = deceived.next().await.unwrap();
        assert!(matches!(failed, Event::DialFailed { reason: DialError::WrongPeer { .. }, .. }), "{failed:?}");
        (net, same)
    })
    .await
    .unwrap();
    // The relay is gone, and the node notices without asking.
    let gone = left_behind.1.next().await.unwrap();
    assert!(matches!(gone, Event::Disconnected { .. }), "{gone:?}");
}

#[tokio::test]
async fn it_is_the_same_relay_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let who = async |ready: Ready| (ready.peer, ready.owner.split_once('#').unwrap().1.to_owned());
    let first = with_relay(folder.path(), who).await.unwrap();
    let second = with_relay(folder.path(), who).await.unwrap();
    assert_eq!(first, second);
    let other = tempfile::tempdir().unwrap();
    let third = with_relay(other.path(), who).await.unwrap();
    assert!(first.0 != third.0 && first.1 != third.1);
}

/// What comes of a dial: whether it is linked.
async fn comes(net: &Net, events: &mut Events, ready: &Ready) -> bool {
    net.dial(&format!("ws://{}/", ready.address), Peer(ready.peer)).unwrap();
    loop {
        match events.next().await.unwrap() {
            Event::Connected { .. } => return true,
            Event::DialFailed { reason, .. } => {
                assert_eq!(reason, DialError::Dropped);
                return false;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_was_banned_is_turned_away_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let (net, mut events) = node(1, 9);
    let flooded = with_relay(folder.path(), async |ready| {
        assert!(comes(&net, &mut events, &ready).await);
        let flood = (0..8).map(async |_| {
            let busy = |error| matches!(error, RequestError::Busy | RequestError::Refused | RequestError::Overloaded);
            while net.request(Peer(ready.peer), 1, Bytes::new()).await.err().is_none_or(busy) {}
        });
        futures::future::join_all(flood).await;
        assert!(!comes(&net, &mut events, &ready).await);
    });
    flooded.await.unwrap();
    let again = with_relay(folder.path(), async |ready| {
        assert!(!comes(&net, &mut events, &ready).await);
        let (other, mut events) = node(2, 9);
        assert!(comes(&other, &mut events, &ready).await);
    });
    again.await.unwrap();
}

#[tokio::test]
async fn a_taken_port_and_a_taken_folder_are_refused() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inside = with_relay(first.path(), async |ready| {
        let taken = serve(Config::new(ready.address, second.path().to_owned()), |_| unreachable!()).await;
        let error = taken.unwrap_err();
        assert!(matches!(error, RelayError::AddressInUse(address) if address == ready.address));
        assert_eq!(error.exit_code(), 2);
        let again = with_relay(first.path(), async |_| ()).await;
        assert!(matches!(again, Err(RelayError::Secret(SecretError::InUse(_)))));
    });
    inside.await.unwrap();
}

/// A free port, which nobody takes in the next moments.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Two relays that are told of each other, by TCP and by QUIC: whoever announced at one is found at the other, however often
/// one of them starts anew.
#[tokio::test]
async fn relays_that_know_each_other_find_each_others_friends() {
    const KEY: [u8; 32] = [5; 32];
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let peers = folders.each_ref().map(|folder| {
        let secrets = Secrets::open(folder.path()).map_err(|error| error.to_string()).unwrap();
        minnet::start(minnet::Config::new(secrets.device, "test")).unwrap().0.peer()
    });
    let at = [free(), free()];
    let url = |which: usize| format!("{}://{}", ["tcp", "quic"][which], at[which]);
    let config = |which: usize| {
        let other = 1 - which;
        let named = format!("{}#{}", url(other), data_encoding::HEXLOWER.encode(&peers[other].0));
        Config {
            native: vec![[Listen::Tcp, Listen::Quic][which](at[which])],
            peers: vec![named.parse::<PeerUrl>().unwrap().0],
            ..Config::new("127.0.0.1:0".parse().unwrap(), folders[which].path().to_owned())
        }
    };
    let once = async || {
        with(config(1), async |_| {
            let ((ann, mut ann_events), (ben, mut ben_events)) = (node(1, 9), node(2, 9));
            linked(&ann, &mut ann_events, &url(0), peers[0]).await;
            linked(&ben, &mut ben_events, &url(1), peers[1]).await;
            ann.announce(KEY).unwrap();
            found(&ben, &mut ben_events, KEY, ann.peer()).await;
            ben.announce(KEY).unwrap();
            found(&ann, &mut ann_events, KEY, ben.peer()).await;
        })
        .await
    };
    let meet = async || {
        let until = Instant::now() + Duration::from_secs(60);
        // In one process a socket is free only when what ran on it has ended.
        loop {
            match once().await {
                Err(RelayError::AddressInUse(_)) if Instant::now() < until => tokio::task::yield_now().await,
                ended => return ended.unwrap(),
            }
        }
    };
    let first = with(config(0), async |_| {
        meet().await;
        meet().await;
    });
    first.await.unwrap();
}

async fn linked(net: &Net, events: &mut Events, url: &str, to: Peer) {
    net.dial(url, to).unwrap();
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { peer, .. } if peer == to => return,
            Event::DialFailed { .. } => net.dial(url, to).unwrap(),
            _ => {}
        }
    }
}

/// Looks for a key again and again, for relays link to each other in their own time.
async fn found(net: &Net, events: &mut Events, key: [u8; 32], who: Peer) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < until, "nobody was found");
        net.find(key).unwrap();
        let next = tokio::time::timeout(Duration::from_millis(200), events.next()).await;
        if let Ok(Some(Event::Found { peer, .. })) = next
            && peer == who
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_native_socket_that_is_taken_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp, udp) = ((tcp.local_addr().unwrap(), tcp), (udp.local_addr().unwrap(), udp));
    for (native, taken) in [(Listen::Tcp(tcp.0), tcp.0), (Listen::Quic(udp.0), udp.0)] {
        let config =
            Config { native: vec![native], ..Config::new("127.0.0.1:0".parse().unwrap(), folder.path().to_owned()) };
        let refused = with(config, async |_| unreachable!("it must not serve")).await;
        assert!(matches!(refused, Err(RelayError::AddressInUse(address)) if address == taken), "{refused:?}");
    }
}

#[test]
fn a_damaged_secret_is_refused_and_left_as_it_is() {
    let cases: [(&str, Lost, &[u8]); 8] = [
        ("relay.key", Lost::Key, b""),
        ("relay.key", Lost::Key, &[1; 31]),
        ("relay.key", Lost::Key, &[1; 33]),
        ("relay.key", Lost::Key, &[0; 32]),
        ("owner.token", Lost::Token, b""),
        ("owner.token", Lost::Token, b"AAAAAAAAAAAAAAAAAAAAA"),
        ("owner.token", Lost::Token, b"AAAAAAAAAAAAAAAAAAAAAB"),
        ("owner.token", Lost::Token, &[0; 23]),
    ];
    for (name, lost, content) in cases {
        let folder = tempfile::tempdir().unwrap();
        drop(Secrets::open(folder.path()).map_err(|error| error.to_string()).unwrap());
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = Secrets::open(folder.path()).err().unwrap();
        assert!(matches!(&error, SecretError::Damaged { lost: found, .. } if *found == lost), "{name}: {error}");
        assert!(error.to_string().contains(name));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_damaged_store_is_refused_with_a_way_on_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    with_relay(folder.path(), async |_| ()).await.unwrap();
    let path = folder.path().join("ledgerno.redb");
    let whole = fs::read(&path).unwrap();
    for damaged in [Vec::new(), whole[..whole.len() / 2].to_vec(), vec![7; whole.len()]] {
        fs::write(&path, &damaged).unwrap();
        let refused = with_relay(folder.path(), async |_| unreachable!("it must not serve")).await;
        let Err(error @ RelayError::Host(HostError::Damaged(_))) = refused else { panic!("{refused:?}") };
        let sentence = error.sentence(Language::English);
        for word in ["ledgerno.redb", "damaged", "Nothing was changed", "backup"] {
            assert!(sentence.contains(word), "{sentence}");
        }
        assert!(fs::read(&path).unwrap() == damaged, "the file was changed");
    }
    fs::write(&path, &whole).unwrap();
    with_relay(folder.path(), async |_| ()).await.unwrap();
}

#[test]
fn an_unreadable_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("relay.key")).unwrap();
    assert!(matches!(Secrets::open(folder.path()).err().unwrap(), SecretError::Unreadable { .. }));
}

#[test]
fn a_start_that_was_cut_short_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("relay.key.new"), b"half a k").unwrap();
    let secrets = Secrets::open(folder.path()).map_err(|error| error.to_string()).unwrap();
    assert_eq!(fs::read(folder.path().join("relay.key")).unwrap(), secrets.device);
}

#[cfg(unix)]
#[test]
fn secrets_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(Secrets::open(&folder).map_err(|error| error.to_string()).unwrap());
    assert_eq!(mode(&folder), 0o700);
    let files = ["relay.key", "owner.token"].map(|name| folder.join(name));
    for file in &files {
        assert_eq!(mode(file), 0o600);
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    drop(Secrets::open(&folder).map_err(|error| error.to_string()).unwrap());
    assert_eq!(files.map(|file| mode(&file)), [0o600; 2]);
}
