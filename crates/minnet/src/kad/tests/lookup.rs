//! Walks in a network of hundreds of nodes, some dead and some lying.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use web_time::Instant;

use super::{
    super::{
        lookup::{Lookup, MAX_ASKED, TIME},
        wire::{FIND_NODE, read},
    },
    *,
};

const NOBODY: Peer = Peer([0; 32]);

/// What a node does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Honest,
    Dead,
    /// Names nodes that are nowhere.
    Invents,
    /// Names liars that are there, always others.
    Endless,
    /// Names who asks, and itself, and thousands.
    Floods,
}

struct World {
    manners: BTreeMap<Peer, Manner>,
    /// What each honest node knows.
    tables: BTreeMap<Peer, Vec<Peer>>,
    invented: u64,
}

impl World {
    /// Every node knows up to 20 others of each common prefix's length, as Kademlia's buckets do.
    fn new(seed: u64, manners: &[Manner]) -> Self {
        let peers: Vec<Peer> = (0..manners.len() as u64).map(|at| peer(seed << 20 | at)).collect();
        let places: Vec<Place> = peers.iter().map(|peer| place(&id_of(peer))).collect();
        let tables = peers.iter().zip(&places).map(|(one, at)| {
            let mut buckets: BTreeMap<usize, Vec<Peer>> = BTreeMap::new();
            for (other, there) in peers.iter().zip(&places).filter(|(other, _)| *other != one) {
                let prefix = prefix(at, there);
                let bucket = buckets.entry(prefix).or_default();
                if bucket.len() < K {
                    bucket.push(*other);
                }
            }
            (*one, buckets.into_values().flatten().collect())
        });
        World {
            tables: tables.collect(),
            manners: peers.iter().copied().zip(manners.iter().copied()).collect(),
            invented: 0,
        }
    }

    fn peers(&self, manner: Manner) -> impl Iterator<Item = Peer> {
        self.manners.iter().filter(move |(_, one)| **one == manner).map(|(peer, _)| *peer)
    }

    fn nearest(&self, target: &Place, of: impl Iterator<Item = Peer>) -> Vec<Peer> {
        let mut all: Vec<_> = of.collect();
        all.sort_by_key(|peer| distance(target, peer));
        all.truncate(K);
        all
    }

    /// One that does not exist, nearer to the target than those that do mostly are.
    fn invent(&mut self, target: &Place) -> Peer {
        loop {
            self.invented += 1;
            let made = peer(1 << 60 | self.invented);
            if distance(target, &made)[0] < 8 {
                return made;
            }
        }
    }

    fn ask(&mut self, asked: Peer, target: &Place) -> Option<Vec<Peer>> {
        match self.manners.get(&asked).copied() {
            Some(Manner::Honest) => Some(self.nearest(target, self.tables[&asked].iter().copied())),
            None | Some(Manner::Dead) => None,
            Some(Manner::Invents) => Some((0..K).map(|_| self.invent(target)).collect()),
            Some(Manner::Endless) => {
                let next = self.invent(target);
                self.manners.insert(next, Manner::Endless);
                Some(vec![next])
            }
            Some(Manner::Floods) => Some((0..5_000).map(peer).chain([NOBODY, asked]).collect()),
        }
    }

    /// Walks, hearing answers in another order than they were asked for; gives the nearest, and how many were asked.
    fn walk(&mut self, target: Place, from: &[Peer], order: u64) -> (Vec<Peer>, usize) {
        let now = Instant::now();
        let mut lookup = Lookup::new(NOBODY, target, from, now);
        let (mut asked, mut waiting) = (BTreeSet::new(), VecDeque::new());
        loop {
            while let Some(next) = lookup.next(now) {
                assert_ne!(next, NOBODY, "it asked itself");
                assert!(asked.insert(next), "it asked twice");
                waiting.push_back(next);
            }
            assert!(waiting.len() <= 3);
            if !waiting.is_empty() {
                waiting.rotate_left((order as usize ^ asked.len()) % waiting.len());
            }
            let Some(next) = waiting.pop_front() else { break };
            let named = self.ask(next, &target);
            let named = named.map(|named| {
                let nodes: Vec<_> = named.into_iter().map(|peer| Node { peer, addresses: Vec::new() }).collect();
                message(FIND_NODE, &target, &nodes, &[])
            });
            let named = named.as_ref().map(|named| read(named).unwrap().closer);
            lookup.ended(next, named.as_deref());
            assert!(lookup.knows() <= K * (1 + asked.len()), "it holds more than it may");
        }
        assert!(lookup.is_over(now));
        assert!(asked.len() <= MAX_ASKED);
        (lookup.nearest(), asked.len())
    }
}

fn prefix(one: &Place, other: &Place) -> usize {
    let differs = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(32);
    differs * 8 + one.get(differs).map_or(0, |byte| (byte ^ other[differs]).leading_zeros() as usize)
}

fn mixed(honest: usize, rest: &[(Manner, usize)]) -> Vec<Manner> {
    let others = rest.iter().flat_map(|(manner, count)| std::iter::repeat_n(*manner, *count));
    std::iter::repeat_n(Manner::Honest, honest).chain(others).collect()
}

#[test]
fn among_honest_nodes_the_nearest_are_found_exactly_and_soon() {
    for seed in 0..6 {
        let mut world = World::new(seed, &mixed(400, &[]));
        let from: Vec<Peer> = world.peers(Manner::Honest).take(1).collect();
        let target = place(&seed.to_le_bytes());
        let (nearest, asked) = world.walk(target, &from, seed);
        assert_eq!(nearest, world.nearest(&target, world.peers(Manner::Honest)));
        assert!(asked < 45, "{asked} of 400 were asked");
    }
}

#[test]
fn one_that_is_alone_is_asked_and_is_the_nearest() {
    let mut world = World::new(9, &[Manner::Honest]);
    let from: Vec<Peer> = world.peers(Manner::Honest).collect();
    assert_eq!(world.walk([7; 32], &from, 0), (from.clone(), 1));
    assert_eq!(world.walk([7; 32], &[], 0), (Vec::new(), 0));
}

/// Among dead nodes and such as lie, two who walk to one place end at nodes in common: that is what makes them meet.
#[test]
fn who_announces_and_who_looks_meet_in_spite_of_the_dead_and_of_liars() {
    let liars = [(Manner::Dead, 80), (Manner::Invents, 15), (Manner::Endless, 5), (Manner::Floods, 15)];
    for seed in 0..12 {
        let mut world = World::new(seed, &mixed(300, &liars));
        let honest: Vec<Peer> = world.peers(Manner::Honest).collect();
        let target = place(&seed.to_le_bytes());
        let (announced, _) = world.walk(target, &honest[..3], seed);
        let (sought, _) = world.walk(target, &honest[100..103], !seed);
        let common = announced.iter().filter(|peer| sought.contains(peer) && honest.contains(peer)).count();
        assert!(common >= 3, "seed {seed}: {common} in common");
    }
}

#[test]
fn where_all_lie_it_ends() {
    for manner in [Manner::Dead, Manner::Invents, Manner::Endless, Manner::Floods] {
        let mut world = World::new(3, &mixed(0, &[(manner, 60)]));
        let from: Vec<Peer> = world.peers(manner).collect();
        let (nearest, asked) = world.walk([1; 32], &from, 5);
        assert!(asked <= MAX_ASKED && nearest.len() <= K);
    }
}

#[test]
fn who_never_answers_holds_it_up_for_a_minute_at_most() {
    let now = Instant::now();
    let mut lookup = Lookup::new(NOBODY, [0; 32], &(0..10).map(peer).collect::<Vec<_>>(), now);
    let asked = std::iter::from_fn(|| lookup.next(now)).count();
    assert_eq!((asked, lookup.is_over(now)), (3, false));
    assert!(lookup.is_over(now + TIME));
    assert_eq!(lookup.next(now + TIME), None);
}

proptest! {
    /// Any mixture ends within the bounds, and what it ends with has answered.
    #[test]
    fn any_network_is_walked_within_the_bounds(
        seed in 0u64..1_000,
        manners in prop::collection::vec(
            prop_oneof![
                4 => Just(Manner::Honest),
                1 => Just(Manner::Dead),
                1 => Just(Manner::Invents),
                1 => Just(Manner::Endless),
                1 => Just(Manner::Floods),
            ],
            1..60,
        ),
        target: [u8; 32],
        begin in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(seed, &manners);
        let all: Vec<Peer> = world.manners.keys().copied().collect();
        let (nearest, _) = world.walk(target, &[*begin.get(&all)], seed);
        for peer in &nearest {
            prop_assert!(world.manners.get(peer).is_some_and(|manner| *manner != Manner::Dead));
        }
        prop_assert!(nearest.is_sorted_by_key(|peer| distance(&target, peer)));
    }
}
