//! Records: they end, and no flood of them is more than the bounds.

use std::time::Duration;

use proptest::prelude::*;
use web_time::Instant;

use super::{
    super::store::{KEPT, MAX_PER_PEER, MAX_RECORDS, Store},
    *,
};

fn node(number: u64) -> Node {
    Node { peer: peer(number), addresses: vec![vec![number as u8]] }
}

fn at(number: u64) -> Place {
    place(&number.to_be_bytes())
}

#[test]
fn a_record_ends_unless_it_is_said_again() {
    let (mut store, start) = (Store::default(), Instant::now());
    let half = start + KEPT / 2;
    assert!(store.add(at(1), node(1), start) && store.add(at(1), node(2), start));
    assert!(store.add(at(1), node(1), half));
    assert_eq!(store.providers(at(1), half), [node(1), node(2)]);
    assert_eq!(store.providers(at(2), half), []);
    assert_eq!(store.providers(at(1), start + KEPT), [node(1)]);
    assert_eq!(store.providers(at(1), half + KEPT), []);
    // And their memory is free again.
    assert!(store.add(at(2), node(3), half + KEPT));
    assert_eq!(store.len(), 1);
}

#[test]
fn what_is_said_again_may_have_changed() {
    let (mut store, now) = (Store::default(), Instant::now());
    let moved = Node { peer: peer(1), addresses: vec![vec![9]] };
    assert!(store.add(at(1), node(1), now) && store.add(at(1), moved.clone(), now));
    assert_eq!(store.providers(at(1), now), [moved]);
    assert_eq!(store.len(), 1);
}

#[test]
fn the_newest_of_many_are_kept_under_one_key() {
    let (mut store, now) = (Store::default(), Instant::now());
    for number in 0..100 {
        assert!(store.add(at(1), node(number), now + Duration::from_millis(number)));
    }
    let newest: Vec<Node> = (80..100).rev().map(node).collect();
    assert_eq!(store.providers(at(1), now), newest);
}

#[test]
fn one_peer_has_its_share_and_no_more() {
    let (mut store, now) = (Store::default(), Instant::now());
    let taken = (0..1_000).filter(|key| store.add(at(*key), node(1), now)).count();
    assert_eq!((taken, store.len()), (MAX_PER_PEER, MAX_PER_PEER));
    // Old ones make room.
    assert!(store.add(at(2_000), node(1), now + KEPT));
}

/// So many flood that it is full: who comes with a key or two finds room all the same.
#[test]
fn who_has_much_makes_room_for_who_has_little() {
    let (mut store, now) = (Store::default(), Instant::now());
    let share = MAX_PER_PEER as u64;
    for number in 0..2 * MAX_RECORDS as u64 {
        store.add(at(number), node(1 << 32 | (number / share)), now);
    }
    assert_eq!(store.len(), MAX_RECORDS);
    for number in 0..1_000 {
        assert!(store.add(at(1 << 40 | number), node(number), now));
        assert_eq!(store.providers(at(1 << 40 | number), now), [node(number)]);
    }
    assert_eq!(store.len(), MAX_RECORDS);
}

/// As many keys as there is room, one record each: those that stay linked keep theirs, the others make room.
#[test]
fn who_is_linked_no_more_makes_room_for_who_is() {
    let (mut store, now) = (Store::default(), Instant::now());
    let full = MAX_RECORDS as u64;
    for number in 0..full {
        assert!(store.add(at(number), node(number), now + Duration::from_millis(number)));
    }
    let now = now + Duration::from_millis(full);
    assert!(!store.add(at(full), node(full), now), "all are there");
    for number in [7, 9, 5] {
        store.left(peer(number));
    }
    // Nine has said it again.
    assert!(store.add(at(9), node(9), now));
    for (new, gone) in [(full, 5), (full + 1, 7)] {
        assert!(store.add(at(new), node(new), now));
        assert_eq!((store.providers(at(new), now), store.providers(at(gone), now)), (vec![node(new)], vec![]));
    }
    assert!(!store.add(at(full + 2), node(full + 2), now));
    assert_eq!((store.len(), store.providers(at(9), now)), (MAX_RECORDS, vec![node(9)]));
}

proptest! {
    /// Whatever is said, in whatever order: the bounds hold, and what was just taken is there.
    #[test]
    fn any_order_keeps_the_bounds(said in prop::collection::vec((0u64..8, 0u64..40, 0u64..4_000), 1..400)) {
        let (mut store, mut now) = (Store::default(), Instant::now());
        for (key, number, wait) in said {
            now += Duration::from_secs(wait);
            prop_assert!(store.add(at(key), node(number), now));
            let providers = store.providers(at(key), now);
            prop_assert!(providers.contains(&node(number)));
            prop_assert!(providers.len() <= K);
            prop_assert!(store.len() <= 8 * K);
        }
    }
}
