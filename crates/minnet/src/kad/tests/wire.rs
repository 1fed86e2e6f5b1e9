//! Messages: what is written comes back, what is damaged is read within the bounds or refused.

use libp2p::{Multiaddr, PeerId};
use proptest::prelude::*;

use super::{super::wire::*, *};
use crate::proto::put_bytes;

const URL: &str = "ws://127.0.0.1:8080/";

fn node() -> impl Strategy<Value = Node> {
    let addresses = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..256), 0..=MAX_ADDRESSES);
    (any::<[u8; 32]>(), addresses).prop_map(|(peer, addresses)| Node { peer: Peer(peer), addresses })
}

fn some() -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec(node(), 0..=K)
}

fn is_bounded(message: &Message<'_>) -> bool {
    let few = |named: &[Named<'_>]| {
        let nodes = nodes(named);
        nodes.len() <= K
            && nodes.iter().all(|node| {
                node.addresses.len() <= MAX_ADDRESSES && node.addresses.iter().all(|address| address.len() <= 256)
            })
    };
    message.key.len() <= 80 && few(&message.closer) && few(&message.providers)
}

proptest! {
    #[test]
    fn a_message_comes_back_as_far_as_it_fits(
        kind in 0u64..9,
        key in prop::collection::vec(any::<u8>(), 0..80),
        closer in some(),
        providers in some(),
    ) {
        let bytes = message(kind, &key, &closer, &providers);
        prop_assert!(bytes.len() <= MAX_MESSAGE);
        let back = read(&bytes).unwrap();
        prop_assert_eq!((back.kind, back.key), (kind, &key[..]));
        let back = (nodes(&back.closer), nodes(&back.providers));
        prop_assert!(back.0.iter().all(|node| closer.contains(node)));
        prop_assert!(back.1.iter().all(|node| providers.contains(node)));
        if bytes.len() < MAX_MESSAGE - 1_200 {
            prop_assert_eq!(back, (closer, providers));
        }
    }

    #[test]
    fn damaged_messages_are_read_within_the_bounds_or_refused(
        closer in some(),
        providers in some(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        let mut bytes = message(GET_PROVIDERS, &[1; 34], &closer, &providers);
        for (at, byte, how) in damages {
            let at = at.index(bytes.len().max(1));
            match how {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), byte),
                2 if at < bytes.len() => { bytes.remove(at); }
                _ => if let Some(one) = bytes.get_mut(at) { *one = byte },
            }
        }
        if let Ok(message) = read(&bytes) {
            prop_assert!(is_bounded(&message));
        }
    }

    #[test]
    fn any_bytes_are_read_within_the_bounds_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(message) = read(&bytes) {
            prop_assert!(is_bounded(&message));
        }
    }

    /// Thousands of nodes, long addresses, many of them: no more than the bounds is kept.
    #[test]
    fn too_much_is_passed_over(count in 20u64..400, addresses in 0usize..12, len in 0usize..600) {
        let mut bytes = Vec::new();
        for number in 0..count {
            let mut node = Vec::new();
            put_bytes(&mut node, 1, &id_of(&peer(number % 300)));
            (0..addresses).for_each(|_| put_bytes(&mut node, 2, &vec![7; len]));
            put_bytes(&mut bytes, 9, &node);
        }
        let message = read(&bytes).unwrap();
        prop_assert!(is_bounded(&message));
        prop_assert_eq!(message.providers.len(), K);
    }

    /// Any address is a relay's with a URL to dial, or nothing.
    #[test]
    fn any_address_is_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..120), name in "\\PC{0,30}") {
        let named = Multiaddr::empty()
            .with(libp2p::multiaddr::Protocol::Dns(name.clone().into()))
            .with(libp2p::multiaddr::Protocol::Tcp(1))
            .with(libp2p::multiaddr::Protocol::Ws(name.into()));
        for bytes in [bytes, named.to_vec()] {
            if let Some((_, url)) = read_address(&bytes, peer(1)) {
                prop_assert!(crate::ws::to_address(&url).is_ok(), "{}", url);
            }
        }
    }
}

#[test]
fn nodes_with_other_keys_are_passed_over() {
    let mut node = Vec::new();
    put_bytes(&mut node, 1, &PeerId::random().to_bytes());
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, 8, &node);
    assert!(read(&bytes).unwrap().closer.is_empty());
    assert!(read(&write(FIND_NODE, &[0; 81])).unwrap().key.is_empty(), "a key that is too long");
}

#[test]
fn an_address_tells_the_relay_and_its_url() {
    let (of, relay, other) = (peer(1), peer(2), peer(3));
    let at = |address: String| read_address(&address.parse::<Multiaddr>().unwrap().to_vec(), of);
    let (of_id, relay_id, other_id) = (of.to_id().unwrap(), relay.to_id().unwrap(), other.to_id().unwrap());
    let base = "/ip4/127.0.0.1/tcp/8080/x-parity-ws/%2f";
    let by_relay = Some((relay, URL.to_owned()));
    assert_eq!(read_address(&address_of(URL, relay, of).unwrap(), of), by_relay);
    assert_eq!(at(format!("{base}/p2p/{relay_id}/p2p-circuit")), by_relay);
    assert_eq!(at(format!("{base}/p2p/{relay_id}/p2p-circuit/p2p/{of_id}")), by_relay);
    let itself = Some((of, URL.to_owned()));
    assert_eq!(read_address(&address_of(URL, of, of).unwrap(), of), itself);
    assert_eq!(at(base.to_owned()), itself);
    assert_eq!(at(format!("{base}/p2p/{of_id}")), itself);
    for (url, native) in
        [("tcp://127.0.0.1:8080", "/ip4/127.0.0.1/tcp/8080"), ("quic://[::1]:9", "/ip6/::1/udp/9/quic-v1")]
    {
        assert_eq!(at(native.to_owned()), Some((of, url.to_owned())));
        assert_eq!(read_address(&address_of(url, relay, of).unwrap(), of), Some((relay, url.to_owned())));
    }
    for wrong in [
        format!("{base}/p2p/{relay_id}"),
        format!("{base}/p2p-circuit"),
        format!("{base}/p2p-circuit/p2p/{of_id}"),
        format!("{base}/p2p/{relay_id}/p2p-circuit/p2p/{other_id}"),
        format!("{base}/p2p/{relay_id}/p2p-circuit/webrtc"),
        format!("/p2p/{relay_id}/p2p-circuit"),
        "/ip4/127.0.0.1/udp/8080".to_owned(),
        "/ip4/127.0.0.1/tcp/8080/tls".to_owned(),
        "/dns/a%20b/tcp/8080/ws".to_owned(),
    ] {
        assert_eq!(at(wrong.clone()), None, "{wrong}");
    }
    assert_eq!(address_of("http://a/", relay, of), None);
    assert_eq!(address_of(&format!("ws://a/{}", "a".repeat(300)), relay, of), None);
}
