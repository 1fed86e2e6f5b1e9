//! What is announced and looked for, with hubs that keep records in memory.

use std::time::Duration;

use libp2p::swarm::ConnectionId;
use proptest::prelude::*;
use web_time::Instant;

use super::{
    super::{
        client::{Do, Found, Link, MAX_FOUND, MAX_KEYS, Rendezvous},
        store::{KEPT, Store},
        wire::{self, FIND_NODE, GET_PROVIDERS},
    },
    *,
};

const KEY: [u8; 32] = [4; 32];
const URL: &str = "ws://relay/";

/// A node with what it asks; its hubs answer at once.
struct Side {
    own: Peer,
    rendezvous: Rendezvous,
    found: Vec<Found>,
    told: usize,
}

impl Side {
    fn new(number: u64) -> Self {
        Side { own: peer(number), rendezvous: Rendezvous::new(peer(number)), found: Vec::new(), told: 0 }
    }

    fn run(&mut self, hubs: &mut [(Peer, Store)], now: Instant) {
        while let Some(todo) = self.rendezvous.next(now) {
            match todo {
                Do::Ask { walk, peer, message } => {
                    let asked = wire::read(&message).unwrap();
                    let hub = hubs.iter().find(|(hub, _)| *hub == peer);
                    let answer = hub.map(|(_, store)| {
                        let providers = match asked.kind {
                            GET_PROVIDERS => store.providers(place(asked.key), now),
                            kind => (assert_eq!(kind, FIND_NODE), Vec::new()).1,
                        };
                        super::message(asked.kind, asked.key, &[], &providers)
                    });
                    self.found.extend(self.rendezvous.answered(walk, peer, answer.as_deref()));
                }
                Do::Tell { peers, key } => {
                    for peer in peers {
                        self.told += 1;
                        let addresses = vec![wire::address_of(URL, peer, self.own).unwrap()];
                        if let Some((_, store)) = hubs.iter_mut().find(|(hub, _)| *hub == peer) {
                            let provider = Node { peer: self.own, addresses };
                            assert!(store.add(place(&wire::multihash(&key)), provider, now));
                        }
                    }
                }
            }
        }
    }

    fn finds(&mut self, hubs: &mut [(Peer, Store)], now: Instant) -> Vec<Found> {
        assert!(self.rendezvous.add(KEY, false, now));
        self.run(hubs, now);
        std::mem::take(&mut self.found)
    }
}

fn hubs(numbers: std::ops::Range<u64>) -> Vec<(Peer, Store)> {
    numbers.map(|number| (peer(number), Store::default())).collect()
}

fn links(hubs: &[(Peer, Store)], first: usize) -> Vec<Link> {
    hubs.iter().enumerate().map(|(at, (hub, _))| (*hub, ConnectionId::new_unchecked(first + at))).collect()
}

#[test]
fn what_is_announced_is_found_for_as_long_as_it_is_announced() {
    let (mut hubs, mut now) = (hubs(10..13), Instant::now());
    let (mut ann, mut ben) = (Side::new(1), Side::new(2));
    for side in [&mut ann, &mut ben] {
        side.rendezvous.linked(links(&hubs, 0), now);
    }
    assert!(ann.rendezvous.add(KEY, true, now));
    ann.run(&mut hubs, now);
    assert_eq!(ann.told, 3);
    let found = ben.finds(&mut hubs, now);
    assert_eq!(found.iter().map(|found| found.at.len()).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(found.iter().all(|found| found.peer == ann.own && found.key == KEY));
    assert_eq!(ann.finds(&mut hubs, now), [], "it found itself");
    // A day long it does what is due when it is due.
    let end = now + Duration::from_secs(24 * 60 * 60);
    while let Some(due) = ann.rendezvous.due().filter(|due| *due < end) {
        assert!(due > now, "it rings without an end");
        now = due;
        assert_eq!(ben.finds(&mut hubs, now).len(), 3);
        ann.run(&mut hubs, now);
    }
    assert!((20 * 3..32 * 3).contains(&ann.told), "{}", ann.told);
    ann.rendezvous.withdraw(&KEY);
    assert!(ann.rendezvous.is_idle());
    assert_eq!(ben.finds(&mut hubs, now + KEPT), []);
}

#[test]
fn a_relay_that_comes_is_told_also_if_it_is_another_run_of_one_that_was_there() {
    let (mut hubs, now) = (hubs(10..11), Instant::now());
    let (mut ann, mut ben) = (Side::new(1), Side::new(2));
    ann.rendezvous.add(KEY, true, now);
    assert_eq!(ann.rendezvous.due(), None, "nobody is there");
    ann.rendezvous.linked(links(&hubs, 0), now);
    ann.run(&mut hubs, now);
    ben.rendezvous.linked(links(&hubs, 0), now);
    assert_eq!(ben.finds(&mut hubs, now).len(), 1);
    hubs[0].1 = Store::default();
    ann.rendezvous.linked(links(&hubs, 0), now);
    ann.run(&mut hubs, now);
    assert_eq!(ben.finds(&mut hubs, now), []);
    ann.rendezvous.linked(links(&hubs, 5), now);
    ann.run(&mut hubs, now);
    assert_eq!(ben.finds(&mut hubs, now).len(), 1);
}

#[test]
fn when_nobody_took_it_it_is_tried_again_soon() {
    let (mut hubs, now) = (hubs(10..11), Instant::now());
    let mut ann = Side::new(1);
    ann.rendezvous.linked(links(&hubs, 0), now);
    ann.rendezvous.add(KEY, true, now);
    ann.run(&mut [], now);
    let due = ann.rendezvous.due().unwrap();
    assert!(due > now && due <= now + Duration::from_secs(60));
    ann.run(&mut hubs, due);
    assert_eq!(ann.told, 1);
}

#[test]
fn keys_are_bounded() {
    let now = Instant::now();
    let mut ann = Side::new(1);
    let taken = (0..=255u8).filter(|key| ann.rendezvous.add([*key; 32], true, now)).count();
    assert_eq!(taken, MAX_KEYS);
    assert!(ann.rendezvous.add([0; 32], true, now), "it is announced already");
    assert_eq!((0..=255u8).filter(|key| ann.rendezvous.add([*key; 32], false, now)).count(), MAX_KEYS);
    // All of them get their turn.
    let mut hubs = hubs(10..11);
    ann.rendezvous.linked(links(&hubs, 0), now);
    ann.run(&mut hubs, now);
    assert_eq!(ann.told, MAX_KEYS);
    assert!(ann.rendezvous.add([255; 32], false, now));
}

proptest! {
    /// Any providers under any names: what is told is bounded, and the timer never rings for nothing.
    #[test]
    fn whatever_is_answered_is_bounded(answers in prop::collection::vec(
        prop::option::of((0u64..40, 0u64..60, prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4))),
        1..200,
    )) {
        let now = Instant::now();
        let mut ann = Side::new(1);
        ann.rendezvous.linked(links(&hubs(10..20), 0), now);
        ann.rendezvous.add(KEY, false, now);
        ann.rendezvous.add(KEY, true, now);
        let mut told = 0;
        let mut answers = answers.into_iter();
        while let Some(todo) = ann.rendezvous.next(now) {
            let Do::Ask { walk, peer: asked, .. } = todo else { continue };
            let answer = answers.next().flatten().map(|(closer, providers, mut addresses)| {
                addresses.push(wire::address_of(URL, peer(closer), peer(2)).unwrap());
                let node = |number| Node { peer: peer(number), addresses: addresses.clone() };
                let closer: Vec<Node> = (closer..closer + K as u64).map(node).collect();
                let providers: Vec<Node> = (providers..providers + K as u64).map(node).collect();
                super::message(GET_PROVIDERS, &[], &closer, &providers)
            });
            for found in ann.rendezvous.answered(walk, asked, answer.as_deref()) {
                told += found.at.len();
                prop_assert!(found.peer != ann.own);
            }
        }
        prop_assert!(told <= MAX_FOUND);
        prop_assert!(ann.rendezvous.due().is_some_and(|due| due > now));
    }
}
