//! A thousand nodes, each linked with eight to twenty others at random: what a node hears, how often, and how soon, with loss,
//! deaths and liars. A failure names its seed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    world::{BAD, World},
    *,
};

const COUNT: usize = 1_000;
const LINKS: std::ops::RangeInclusive<usize> = 8..=20;
const SEEDS: std::ops::Range<u64> = 1..3;

fn mesh(seed: u64) -> World {
    println!("seed {seed}");
    let mut world = World::new(COUNT, false, seed);
    let ids = world.ids();
    let mut links: BTreeMap<PeerId, usize> = BTreeMap::new();
    for id in &ids {
        while links.get(id).copied().unwrap_or(0) < *LINKS.start() {
            let other = ids[world.below(COUNT)];
            let free = links.get(&other).copied().unwrap_or(0) < *LINKS.end();
            if free && other != *id && !world.linked.contains(&(*id, other)) {
                world.link(*id, other);
                *links.entry(*id).or_default() += 1;
                *links.entry(other).or_default() += 1;
            }
        }
    }
    world.subscribe_all();
    world.settle();
    world.beat(3);
    world
}

/// So many of a world's nodes, at random.
fn some(world: &mut World, count: usize) -> BTreeSet<PeerId> {
    let ids = world.ids();
    let mut some = BTreeSet::new();
    while some.len() < count {
        some.insert(ids[world.below(ids.len())]);
    }
    some
}

fn one_of(world: &mut World) -> PeerId {
    let ids = world.ids();
    ids[world.below(ids.len())]
}

/// Messages heard by all.
fn heard(world: &World) -> usize {
    world.heard.values().map(Vec::len).sum()
}

/// Heartbeats until all but its author have heard one more message than before.
fn beats_until_heard(world: &mut World, nodes: usize, messages: usize, most: usize) -> usize {
    for beats in 0..=most {
        if heard(world) == messages * (nodes - 1) {
            return beats;
        }
        world.beat(1);
    }
    panic!("{most} heartbeats were not enough for {messages} messages");
}

#[test]
fn a_thousand_hear_everything_at_once_and_few_copies_of_it() {
    for seed in SEEDS {
        let mut world = mesh(seed);
        let ids = world.ids();
        let meshes: usize = ids.iter().map(|id| world.degree(*id)).sum();
        assert!(ids.iter().all(|id| (4..=12).contains(&world.degree(*id))));
        world.copies = 0;
        for message in 0u8..10 {
            let author = one_of(&mut world);
            world.publish(author, [message; 100]);
        }
        assert_eq!(beats_until_heard(&mut world, COUNT, 10, 0), 0);
        // Each hands it on to its mesh, but not to where it came from; an author tells everybody that it is linked with.
        let (copies, degree) = (world.copies as f64 / 10.0 / COUNT as f64, meshes as f64 / COUNT as f64);
        println!("{copies:.2} copies at each, in meshes of {degree:.2}");
        assert!(copies < degree && degree <= 8.0);
        // What is told beside the mesh is known, and nobody asks for it.
        let before = world.copies;
        world.beat(4);
        assert_eq!(world.copies, before);
    }
}

/// Up to half of each node's links carry nothing, and nobody knows; or a fifth of all that is said is lost. Who is left out
/// hears at one of the next heartbeats, for those beside its mesh tell it what there is, and it asks.
#[test]
fn what_is_lost_is_heard_at_one_of_the_next_heartbeats() {
    for cuts in [true, false] {
        let (mut late, mut most) = (0, 0);
        for seed in SEEDS {
            let mut world = mesh(seed);
            if cuts {
                let mut living: BTreeMap<PeerId, usize> =
                    world.neighbours().iter().map(|(id, with)| (*id, with.len())).collect();
                for (one, other) in world.linked.clone() {
                    if one < other && living[&one].min(living[&other]) > 4 && world.below(2) == 0 {
                        world.cut.extend([(one, other), (other, one)]);
                        for end in [one, other] {
                            living.entry(end).and_modify(|living| *living -= 1);
                        }
                    }
                }
            } else {
                world.loss = 20;
            }
            for messages in 1..=10 {
                let author = one_of(&mut world);
                world.publish(author, [messages as u8; 100]);
                late += messages * (COUNT - 1) - heard(&world);
                most = most.max(beats_until_heard(&mut world, COUNT, messages, 5));
            }
        }
        println!("{late} of {} heard late, after {most} heartbeats at most", 2 * 10 * (COUNT - 1));
        assert!(late > 0, "nothing was lost");
    }
}

/// A fifth of the nodes end. The meshes of the others are made up again at the next heartbeat, and all hear everything.
#[test]
fn who_is_left_heals_the_mesh_at_the_next_heartbeat() {
    for seed in SEEDS {
        let mut world = mesh(seed);
        let ends = some(&mut world, COUNT / 5);
        world.end(&ends);
        let left = world.ids().len();
        let author = one_of(&mut world);
        world.publish(author, b"before");
        assert!(beats_until_heard(&mut world, left, 1, 5) <= 5);
        world.beat(1);
        let thin = world.ids().iter().filter(|id| world.degree(**id) < 4).count();
        let poor = world.neighbours().values().filter(|with| with.len() < 4).count();
        assert!(thin <= poor + left / 100, "{thin} meshes are thin, {poor} nodes have few links");
        world.heard.clear();
        let author = one_of(&mut world);
        world.publish(author, b"after");
        assert_eq!(beats_until_heard(&mut world, left, 1, 2), 0);
    }
}

/// A fifth hand nothing on, and neither give what they are asked for: the others hear everything all the same.
#[test]
fn who_hands_nothing_on_keeps_nothing_from_others() {
    for seed in SEEDS {
        let mut world = mesh(seed);
        world.mute = some(&mut world, COUNT / 5);
        let honest: Vec<PeerId> = world.ids().into_iter().filter(|id| !world.mute.contains(id)).collect();
        for message in 1..=10 {
            let author = honest[world.below(honest.len())];
            world.publish(author, [message; 100]);
            world.beat(1);
        }
        // They are told at three heartbeats what there is, by others each time.
        world.beat(4);
        let all: usize = honest.iter().filter_map(|id| world.heard.get(id)).map(Vec::len).sum();
        assert_eq!(all, 10 * (honest.len() - 1));
    }
}

/// Some are honest for long, and have all the credit that there is; then they send what is wrong. Others promise what they do
/// not have. Both are out of every mesh soon and passed over in the end, and no honest node thinks ill of another.
#[test]
fn liars_are_out_of_every_mesh_soon_and_credit_does_not_help() {
    for seed in SEEDS {
        let mut world = mesh(seed);
        for message in 0..60u8 {
            let author = one_of(&mut world);
            world.publish(author, [message; 100]);
        }
        let liars = some(&mut world, COUNT / 10);
        let farmers: BTreeSet<PeerId> = liars.iter().copied().step_by(2).collect();
        let neighbours = world.neighbours();
        let rich =
            |world: &World, of: &PeerId| neighbours[of].iter().filter(|at| score(&world.nodes[at], of) > 3.0).count();
        assert!(farmers.iter().map(|liar| rich(&world, liar)).sum::<usize>() > 50, "there was credit to farm");
        let mut number = 0u32;
        let mut lie = |world: &mut World, beats: usize| {
            for _ in 0..beats {
                for liar in &liars {
                    for to in &neighbours[liar] {
                        number += 1;
                        let rpc = if farmers.contains(liar) {
                            let data: Bytes = [BAD, &number.to_be_bytes()].concat().into();
                            Rpc { messages: vec![(TOPIC, data)], ..Rpc::default() }
                        } else {
                            let mut id = [0xee; 20];
                            id[..4].copy_from_slice(&number.to_be_bytes());
                            Rpc { have: vec![(TOPIC, vec![id])], ..Rpc::default() }
                        };
                        world.said.push((*liar, Frame { to: *to, bytes: rpc.frame(), what: What::Message }));
                    }
                }
                world.settle();
                world.beat(1);
            }
        };
        let within = |world: &World, who: &dyn Fn(&PeerId) -> bool, is: &dyn Fn(&Peer) -> bool| {
            let honest = world.nodes.iter().filter(|(id, _)| !liars.contains(id));
            honest.flat_map(|(_, node)| &node.peers).filter(|peer| who(&peer.id) && is(peer)).count()
        };
        let farms = |id: &PeerId| farmers.contains(id);
        let promises = |id: &PeerId| liars.contains(id) && !farms(id);
        let in_mesh = |peer: &Peer| !peer.mesh.is_empty();
        // At most ten deliveries' worth of credit: two lies.
        lie(&mut world, 3);
        assert_eq!(within(&world, &farms, &in_mesh), 0);
        lie(&mut world, 8);
        assert_eq!(within(&world, &farms, &|peer| peer.score.value() > IGNORED), 0);
        // A promise is waited for five seconds, and three are forgiven.
        lie(&mut world, 25);
        assert_eq!(within(&world, &promises, &in_mesh), 0);
        assert_eq!(within(&world, &|id| !liars.contains(id), &|peer| peer.score.value() < 0.0), 0);
        // All others still hear everything.
        world.heard.clear();
        let author = *world.nodes.keys().find(|id| !liars.contains(id)).unwrap();
        world.publish(author, b"good");
        world.beat(5);
        let heard = world.heard.keys().filter(|id| !liars.contains(id)).count();
        assert_eq!(heard, COUNT - liars.len() - 1);
    }
}

fn score(node: &Gossip, of: &PeerId) -> f32 {
    node.peers.iter().find(|peer| peer.id == *of).map_or(0.0, |peer| peer.score.value())
}
