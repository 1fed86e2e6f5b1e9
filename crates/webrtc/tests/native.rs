//! Two swarms that meet over memory, Noise and Yamux, and link directly over simulated peer connections.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::*;
use futures::{AsyncReadExt, AsyncWriteExt, future::join};
use ledgerno_webrtc::{
    Answers, Config,
    memory::{Fault, Memory},
};
use libp2p::{Multiaddr, multiaddr::Protocol};

fn spawn(task: futures::future::BoxFuture<'static, ()>) {
    drop(tokio::spawn(task));
}

fn memory() -> Memory {
    Memory::new(spawn)
}

fn node(memory: &Memory, config: Config) -> Node {
    Node::start(spawn, config, Arc::new(memory.clone()), true)
}

async fn pair(memory: &Memory) -> Pair {
    Pair::link(node(memory, Config::default()), node(memory, Config::default())).await.unwrap()
}

/// Two nodes whose first connection stands.
async fn strangers(memory: &Memory, config: Config) -> (Node, Node) {
    let (a, mut b) = (node(memory, config.clone()), node(memory, config));
    a.dial(b.peer, b.address.clone()).await.unwrap();
    b.connected().await.unwrap();
    (a, b)
}

async fn gone(memory: &Memory) {
    until("no peer connection is left", || memory.live() == 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_carries_streams_both_ways_and_reports_no_circuit() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    assert_eq!(pair.a_link.address, direct(pair.b.peer));
    assert_eq!(pair.b_link.address, direct(pair.a.peer));
    assert!(pair.a_link.dialler && !pair.b_link.dialler);
    for len in [1, 16_384, 3_000_000] {
        let (ours, theirs) = pair.stream().await.unwrap();
        let (there, back) = (pattern(len, 1), pattern(len, 2));
        let (at_us, at_them) = join(exchange(ours, &there), exchange(theirs, &back)).await;
        assert!(at_us.unwrap() == back && at_them.unwrap() == there);
    }
    // The other side opens streams as well.
    let mut theirs = pair.b.open(&pair.b_link).await.unwrap();
    write_all(&mut theirs, b"from b").await.unwrap();
    let mut ours = pair.a.accept(&pair.a_link).await.unwrap();
    assert_eq!(read_exact(&mut ours, 6).await.unwrap(), b"from b");
    drop((ours, theirs));
    until("no channel is left", || memory.channels() == 0).await.unwrap();
    // Both roles: now b dials.
    let again = pair.b.dial(pair.a.peer, direct(pair.a.peer)).await.unwrap();
    let at_a = pair.a.connected().await.unwrap();
    assert_eq!(at_a.peer, pair.b.peer);
    pair.b.close(&again);
    pair.a.lost(&at_a).await.unwrap();
    assert_eq!(memory.live(), 2);
    drop(pair);
    gone(&memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_with_a_circuit_makes_its_own_carrier() {
    let memory = memory();
    let (a, mut b) = (node(&memory, Config::default()), node(&memory, Config::default()));
    let address = b.address.clone().with(Protocol::P2pCircuit).with(Protocol::WebRTC).with(Protocol::P2p(b.peer));
    let link = a.dial(b.peer, address).await.unwrap();
    let carrier = b.connected().await.unwrap();
    let at_b = b.connected().await.unwrap();
    assert_eq!(at_b.address, direct(a.peer));
    assert!(carrier.address.iter().all(|part| part != Protocol::WebRTC));
    // The carrier may go; the link stays.
    b.close(&carrier);
    b.lost(&carrier).await.unwrap();
    let mut ours = a.open(&link).await.unwrap();
    write_all(&mut ours, b"direct").await.unwrap();
    assert_eq!(read_exact(&mut b.accept(&at_b).await.unwrap(), 6).await.unwrap(), b"direct");
    // libp2p reports what was dialled, and then the change.
    let moved = a.moved(&link).await.unwrap();
    assert_eq!(moved, direct(b.peer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_link_carries_an_offer_only_where_no_relay_is_named() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    pair.a.close(&pair.a_carrier);
    pair.b.lost(&pair.b_carrier).await.unwrap();
    pair.a.dial(pair.b.peer, direct(pair.b.peer)).await.unwrap();
    assert_eq!(pair.b.connected().await.unwrap().address, direct(pair.a.peer));
    // Both links fall silent, and nobody knows it yet.
    memory.silence();
    let relay = pair.b.address.clone().with(Protocol::P2pCircuit);
    pair.a.dial(pair.b.peer, relay.with(Protocol::WebRTC).with(Protocol::P2p(pair.b.peer))).await.unwrap();
    let carrier = pair.b.connected().await.unwrap();
    assert!(carrier.address.iter().all(|part| part != Protocol::WebRTC));
    assert_eq!(pair.b.connected().await.unwrap().address, direct(pair.a.peer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_carrier_the_error_says_so() {
    let memory = memory();
    let (a, b) = (node(&memory, Config::default()), node(&memory, Config::default()));
    let error = a.dial(b.peer, direct(b.peer)).await.unwrap_err();
    assert!(error.contains("NoConnection"), "{error}");
    let nowhere = Multiaddr::from(Protocol::Memory(u64::MAX - 7)).with(Protocol::P2pCircuit);
    let address = nowhere.with(Protocol::WebRTC).with(Protocol::P2p(b.peer));
    let error = a.dial(b.peer, address).await.unwrap_err();
    assert!(error.contains("RelayFailed"), "{error}");
    assert_eq!(memory.opened(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_others_are_not_taken() {
    let memory = memory();
    let (a, b) = strangers(&memory, Config::default()).await;
    let webrtc = Multiaddr::from(Protocol::WebRTC);
    let strange = Multiaddr::from(Protocol::Memory(5)).with(Protocol::WebRTC).with(Protocol::P2p(b.peer));
    assert!(a.dial(b.peer, strange).await.is_err());
    assert!(a.dial(b.peer, webrtc.with(Protocol::P2pCircuit)).await.is_err());
    assert_eq!(memory.opened(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_or_speak_refuses() {
    let memory = memory();
    let a = node(&memory, Config::default());
    let mut b = Node::start(spawn, Config::default(), Arc::new(memory.clone()), false);
    a.dial(b.peer, b.address.clone()).await.unwrap();
    b.connected().await.unwrap();
    let error = a.dial(b.peer, direct(b.peer)).await.unwrap_err();
    assert!(error.contains("Interrupted"), "{error}");
    gone(&memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_says_its_step_and_closes_everything() {
    for (fault, step, cause) in [
        (Fault::Refused, "Offer", "Refused"),
        (Fault::Description, "Answer", "Interrupted"),
        (Fault::Lost, "Connect", "NoPath"),
    ] {
        let memory = memory();
        memory.set_fault(fault);
        let (a, b) = strangers(&memory, Config::default()).await;
        let error = a.dial(b.peer, direct(b.peer)).await.unwrap_err();
        assert!(error.contains(step) && error.contains(cause), "{fault:?}: {error}");
        gone(&memory).await;
        // The carrier does not suffer: with the fault gone, the next dial goes through.
        memory.set_fault(Fault::None);
        a.dial(b.peer, direct(b.peer)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_ends_with_its_time() {
    for (fault, step) in [(Fault::NoPath, "Connect"), (Fault::Late(Duration::from_secs(5)), "Offer")] {
        let memory = memory();
        memory.set_fault(fault);
        // The other side has longer: if it ended first, that would be seen.
        let hasty = Config { timeout: Duration::from_millis(500), ..Config::default() };
        let (a, mut b) = (node(&memory, hasty), node(&memory, Config::default()));
        a.dial(b.peer, b.address.clone()).await.unwrap();
        b.connected().await.unwrap();
        let error = a.dial(b.peer, direct(b.peer)).await.unwrap_err();
        assert!(error.contains(step) && error.contains("TimedOut"), "{error}");
        gone(&memory).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_that_is_dropped_closes_its_peer_connection() {
    let memory = memory();
    memory.set_fault(Fault::NoPath);
    let (a, b) = strangers(&memory, Config::default()).await;
    drop(a.begin(b.peer, direct(b.peer)));
    until("both have their peer connection", || memory.live() == 2).await.unwrap();
    // With the swarm go its dials; the other side hears that the signalling broke off.
    drop(a);
    gone(&memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_offers_are_answered_at_once() {
    let memory = memory();
    memory.set_fault(Fault::NoPath);
    let config = Config { timeout: Duration::from_secs(5), max_answering_per_connection: 2, ..Config::default() };
    let (a, b) = strangers(&memory, config).await;
    let dials: Vec<_> = (0..6).map(|_| a.begin(b.peer, direct(b.peer))).collect();
    for dial in dials {
        let error = within("a dial's end", dial).await.unwrap().unwrap().unwrap_err();
        // Whose time is up first closes, and the other sees that.
        assert!(["Interrupted", "TimedOut", "NoPath"].iter().any(|cause| error.contains(cause)), "{error}");
    }
    // Each offer had one; of the answers only two.
    assert_eq!(memory.opened(), 6 + 2);
    gone(&memory).await;
    memory.set_fault(Fault::None);
    a.dial(b.peer, direct(b.peer)).await.unwrap();
}

/// Each costs a peer connection. One that comes too soon is refused, and a later one taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_are_taken_no_faster_than_they_may_come() {
    let memory = memory();
    let (a, b) = strangers(&memory, Config { max_offers_per_second: 1, ..Config::default() }).await;
    let begin = Instant::now();
    let dials: Vec<_> = (0..6).map(|_| a.begin(b.peer, direct(b.peer))).collect();
    let mut linked = 0;
    for dial in dials {
        linked += usize::from(within("a dial's end", dial).await.unwrap().unwrap().is_ok());
    }
    // As many as seconds had begun.
    assert!((1..=1 + begin.elapsed().as_secs() as usize).contains(&linked), "{linked}");
    assert_eq!(memory.opened(), 6 + linked);
    let again = async { while a.dial(b.peer, direct(b.peer)).await.is_err() {} };
    within("an offer is taken again", again).await.unwrap();
}

/// Answers those only that it is told to.
fn host(memory: &Memory) -> Node {
    node(memory, Config { answers: Answers::Welcome, max_answering: 4, ..Config::default() })
}

/// Somebody who is connected with it.
async fn guest(memory: &Memory, host: &mut Node) -> Node {
    let guest = node(memory, Config::default());
    guest.dial(host.peer, host.address.clone()).await.unwrap();
    host.connected().await.unwrap();
    guest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_welcome_gets_no_answer() {
    let memory = memory();
    let mut host = host(&memory);
    let (friend, stranger) = (guest(&memory, &mut host).await, guest(&memory, &mut host).await);
    host.welcome(friend.peer, true);
    // Let go, not forgotten: the dialler's own time is not over.
    let error = stranger.dial(host.peer, direct(host.peer)).await.unwrap_err();
    assert!(error.contains("Answer") && error.contains("Interrupted"), "{error}");
    assert_eq!(memory.opened(), 1, "the offer's alone");
    friend.dial(host.peer, direct(host.peer)).await.unwrap();
    host.welcome(friend.peer, false);
    friend.dial(host.peer, direct(host.peer)).await.unwrap_err();
    assert_eq!(memory.opened(), 1 + 2 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_of_strangers_take_nobodys_place() {
    let memory = memory();
    memory.set_fault(Fault::NoPath);
    let mut host = host(&memory);
    let strangers = [guest(&memory, &mut host).await, guest(&memory, &mut host).await];
    let friend = guest(&memory, &mut host).await;
    let dials: Vec<_> = (0..20).map(|number| strangers[number % 2].begin(host.peer, direct(host.peer))).collect();
    until("all have their peer connection", || memory.opened() >= 20).await.unwrap();
    memory.set_fault(Fault::None);
    host.welcome(friend.peer, true);
    friend.dial(host.peer, direct(host.peer)).await.unwrap();
    for dial in dials {
        within("a dial's end", dial).await.unwrap().unwrap().unwrap_err();
    }
    assert_eq!(memory.opened(), 20 + 2, "of the answers one");
    until("the friend's link is left", || memory.live() == 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_waits_for_its_peer_to_be_welcome_and_a_newer_takes_its_place() {
    let memory = memory();
    let mut host = host(&memory);
    let guest = guest(&memory, &mut host).await;
    let older = guest.begin(host.peer, direct(host.peer));
    until("it offers", || memory.opened() == 1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let newer = guest.begin(host.peer, direct(host.peer));
    within("the older one's end", older).await.unwrap().unwrap().unwrap_err();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(memory.opened(), 2, "no answer yet");
    host.welcome(guest.peer, true);
    within("the newer one's end", newer).await.unwrap().unwrap().unwrap();
    assert_eq!(memory.opened(), 3);
}

/// What is held goes with its connection; who was welcome is so on the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_closes_takes_what_is_held_with_it() {
    let memory = memory();
    let mut host = host(&memory);
    let guest = node(&memory, Config::default());
    guest.dial(host.peer, host.address.clone()).await.unwrap();
    let carrier = host.connected().await.unwrap();
    let dial = guest.begin(host.peer, direct(host.peer));
    until("it offers", || memory.opened() == 1).await.unwrap();
    host.close(&carrier);
    within("the dial's end", dial).await.unwrap().unwrap().unwrap_err();
    gone(&memory).await;
    host.welcome(guest.peer, true);
    guest.dial(host.peer, host.address.clone()).await.unwrap();
    guest.dial(host.peer, direct(host.peer)).await.unwrap();
    assert_eq!(memory.opened(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unless_it_is_set_everybody_is_answered() {
    let memory = memory();
    let (a, b) = strangers(&memory, Config::default()).await;
    b.welcome(b.peer, true);
    b.welcome(a.peer, false);
    a.dial(b.peer, direct(b.peer)).await.unwrap();
    assert_eq!(memory.opened(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_close_one_by_one() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    let (mut ours, mut theirs) = pair.stream().await.unwrap();
    write_all(&mut ours, b"question").await.unwrap();
    close(&mut ours).await.unwrap();
    assert_eq!(read_end(&mut theirs).await.unwrap(), b"question");
    write_all(&mut theirs, &pattern(100_000, 1)).await.unwrap();
    assert!(ours.write_all(b"more").await.is_err());
    close(&mut theirs).await.unwrap();
    assert_eq!(read_end(&mut ours).await.unwrap(), pattern(100_000, 1));
    // Both halves are done: the channels go, though the streams are still held.
    until("the channel is closed", || memory.channels() == 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_is_reset_and_its_channel_goes() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    let (mut ours, theirs) = pair.stream().await.unwrap();
    write_all(&mut ours, b"x").await.unwrap();
    drop(theirs);
    assert!(within("a reset", ours.read(&mut [0; 8])).await.unwrap().is_err());
    until("the channel is closed", || memory.channels() == 0).await.unwrap();
    // The link lives.
    pair.stream().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_writer_and_nobody_else() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    let (mut slow, mut slow_reader) = pair.stream().await.unwrap();
    let bytes = pattern(5_000_000, 4);
    let (mut full, mut written) = (false, 0);
    while !full {
        let part = tokio::time::timeout(Duration::from_millis(300), slow.write(&bytes[written..])).await;
        full = part.is_err();
        written += part.map_or(0, Result::unwrap);
        assert!(written <= Config::default().window as usize);
    }
    let (ours, theirs) = pair.stream().await.unwrap();
    let (at_us, at_them) = join(exchange(ours, &bytes), exchange(theirs, &bytes)).await;
    assert!(at_us.unwrap() == bytes && at_them.unwrap() == bytes);
    let rest = async {
        write_all(&mut slow, &bytes[written..]).await.unwrap();
        close(&mut slow).await.unwrap();
    };
    assert!(join(rest, read_end(&mut slow_reader)).await.1.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_over_the_bound_are_closed_and_the_link_lives() {
    let memory = memory();
    let few = Config { max_inbound_streams: 4, ..Config::default() };
    let mut pair = Pair::link(node(&memory, Config::default()), node(&memory, few)).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pair.stream().await.unwrap());
    }
    let refused = match pair.a.open(&pair.a_link).await {
        Ok(mut stream) => within("an end", stream.read(&mut [0])).await.unwrap().is_err(),
        Err(_) => true,
    };
    assert!(refused);
    drop(held.pop());
    until("there is room again", || memory.channels() == 6).await.unwrap();
    held.push(pair.stream().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_breaks_ends_for_both() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    let (mut ours, _theirs) = pair.stream().await.unwrap();
    memory.cut();
    assert!(within("an end", ours.read(&mut [0])).await.unwrap().is_err());
    pair.a.lost(&pair.a_link).await.unwrap();
    pair.b.lost(&pair.b_link).await.unwrap();
    gone(&memory).await;
    // What carried it still does.
    pair.a.dial(pair.b.peer, direct(pair.b.peer)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_falls_silent_can_still_be_closed() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    let (ours, _theirs) = pair.stream().await.unwrap();
    memory.silence();
    drop(ours);
    pair.a.close(&pair.a_link);
    pair.a.lost(&pair.a_link).await.unwrap();
    until("its peer connection is closed", || memory.live() == 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_close_without_a_word_reset_their_streams() {
    let memory = memory();
    let mut pair = pair(&memory).await;
    let (mut ours, mut theirs) = pair.stream().await.unwrap();
    memory.close_channels();
    assert!(within("an end", ours.read(&mut [0])).await.unwrap().is_err());
    assert!(within("an end", theirs.read(&mut [0])).await.unwrap().is_err());
    pair.stream().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_is_not_lost() {
    let memory = memory();
    memory.set_fault(Fault::Late(Duration::from_millis(20)));
    let mut pair = pair(&memory).await;
    let (ours, theirs) = pair.stream().await.unwrap();
    let bytes = pattern(300_000, 9);
    let (at_us, at_them) = join(exchange(ours, &bytes), exchange(theirs, &bytes)).await;
    assert!(at_us.unwrap() == bytes && at_them.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn again_and_again_leaves_nothing() {
    let memory = memory();
    let hurried = Config { max_offers_per_second: usize::MAX, ..Config::default() };
    let (a, mut b) = strangers(&memory, hurried).await;
    for round in 0..100 {
        let at_a = a.dial(b.peer, direct(b.peer)).await.unwrap();
        let at_b = b.connected().await.unwrap();
        if round % 2 == 0 {
            a.close(&at_a)
        } else {
            b.close(&at_b)
        }
        b.lost(&at_b).await.unwrap();
    }
    gone(&memory).await;
    assert_eq!(memory.opened(), 200);
}
