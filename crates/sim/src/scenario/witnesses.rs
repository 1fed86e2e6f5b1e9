//! Several witnesses: nodes 1 to 4, of whom one may lie (W = 4, B = 1, Q = 3).

use super::Scenario;
use super::faults::{calm, copy, rough};
use super::liars::{honest_life, honest_members};
use crate::host::Id;
use crate::liar::Said;
use crate::net::Topology;
use crate::world::{Setup, World};
use ledgerno_engine::Event;
use ledgerno_engine::wire::{PlacedVote, Topic, Votes};
use ledgerno_ledger::bytes::HeaderHash;
use ledgerno_ledger::settle::{Vote, VoteKind};
use std::cell::Cell;
use std::rc::Rc;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// The witness that is ill or lies.
const ILL: Id = 3;

fn four(setup: &mut Setup) {
    (setup.topology, setup.witnesses) = (Topology::Mesh { degree: 4 }, 4);
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let calm = Scenario { least: 5, setup: four, ..calm() };
    vec![
        Scenario {
            name: "four-witnesses",
            about: "Four witnesses settle what all write; nothing breaks.",
            ..copy(&calm)
        },
        Scenario {
            name: "rough-witnesses",
            about: "Four witnesses by the relay, with loss, doubles, reordering, wrong clocks, slow disks and crashes.",
            setup: |setup| {
                rough(setup);
                setup.witnesses = 4;
            },
            play: |world| world.rough_life(60),
            ..copy(&calm)
        },
        Scenario {
            name: "witnesses-parted",
            about: "Two witnesses on each side of a network that is parted for a day: none settles, and then all do.",
            play: |world| {
                world.plan_writes(20, 0, MINUTE);
                world.at(MINUTE, |world| world.part(|id| u8::from(id > 2)));
                world.plan_writes(40, 2 * MINUTE, 24 * HOUR);
                world.run_until(24 * HOUR);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "silent-leader",
            about: "A witness leads when its turn comes and says nothing about votes, its own or others'.",
            play: |world| {
                world.suspect(ILL);
                world.hosts[ILL].liar = Some(Box::new(|_: u64, _: Id, said: Said| {
                    Some(said).filter(|said| !matches!(said, Said::Gossip(Topic::Votes | Topic::Witnesses, _)))
                }));
                honest_life(world);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "withheld-votes",
            about: "Witnesses in a ring count on the relay to hand votes on, and it hands none on.",
            setup: |setup| (setup.topology, setup.witnesses) = (Topology::Mesh { degree: 2 }, 4),
            play: |world| {
                (1..=4).for_each(|id| world.introduce(0, id));
                world.suspect(0);
                world.hosts[0].liar = Some(Box::new(|_: u64, _: Id, said: Said| {
                    Some(said).filter(|said| !matches!(said, Said::Gossip(Topic::Votes | Topic::Witnesses, _)))
                }));
                honest_life(world);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "two-faced-leader",
            about: "A witness shows its header to one, votes for another one to a second, and says neither to the relay.",
            setup: |setup| (setup.topology, setup.witnesses) = (Topology::Mesh { degree: setup.members }, 4),
            play: |world| {
                two_faced(world);
                honest_life(world);
            },
            check: check_convicted,
            ..copy(&calm)
        },
        Scenario {
            name: "clock-in-2035",
            about: "A witness's clock is in 2035.",
            play: |world| {
                world.hosts[ILL].skew = 9 * 365 * 24 * HOUR as i64;
                let late = world.now + 365 * 24 * HOUR;
                let proposed = Rc::new(Cell::new(false));
                let says = Rc::clone(&proposed);
                // It is no liar; its mouth is listened to.
                world.hosts[ILL].liar = Some(Box::new(move |_: u64, _: Id, said: Said| {
                    says.set(says.get() || proposes_after(&said, late));
                    Some(said)
                }));
                honest_life(world);
                if !proposed.get() {
                    world
                        .watch
                        .fault("the fault did not happen: no header with a time in 2035 was proposed".to_owned());
                }
            },
            ..copy(&calm)
        },
        Scenario {
            name: "sleeping-witnesses",
            about: "Two of four witnesses are phones, awake one minute an hour; each minute settles what has come.",
            play: |world| {
                world.awake_by_the_hour(&[3, 4], 12 * HOUR);
                world.plan_writes(40, 0, 12 * HOUR);
                world.run_until(12 * HOUR);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "all-witnesses-asleep",
            about: "All four witnesses are asleep for a week, and the others write.",
            play: |world| {
                world.plan_writes(10, 0, MINUTE);
                for id in 1..=4 {
                    world.at(MINUTE + id as u64 * 10, move |world| world.sleep(id));
                }
                world.plan_writes(60, 2 * MINUTE, 7 * 24 * HOUR);
                world.run_until(7 * 24 * HOUR);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "equivocating-witness",
            about: "A witness was copied with its vote key: one copy votes on each side of a parted network, and then for two headers at once.",
            setup: |setup| {
                four(setup);
                setup.twins = vec![ILL];
            },
            play: |world| {
                part_with_twins(world, 1);
                world.at(MINUTE / 2, |world| world.part(|_| 0));
                // A copy that hears of the other stops by itself; what it signed may be no evidence, so a pen goes on.
                for at in [45_000, 50_000, 55_000] {
                    world.at(at, vote_twice);
                }
                honest_life(world);
            },
            check: check_convicted,
            ..copy(&calm)
        },
        Scenario {
            name: "two-equivocating-witnesses",
            about: "Two of four witnesses vote on both sides of a parted network: more than are borne, so it must fork.",
            setup: |setup| {
                four(setup);
                setup.twins = vec![2, ILL];
            },
            play: |world| {
                part_with_twins(world, 2);
                honest_life(world);
            },
            must_fork: true,
            check: |world| {
                for id in honest_members(world) {
                    if world.hosts[id].engine.as_ref().is_some_and(|engine| engine.conflict().is_none()) {
                        world.watch.fault(format!("hidden: node {id} knows of one history alone"));
                    }
                }
            },
            ..copy(&calm)
        },
        Scenario {
            name: "witness-rolled-back",
            about: "A witness's disk is set back to an earlier one, so that it has forgotten votes of an open height.",
            play: |world| {
                world.at(10_000, |world| {
                    let backup = world.hosts[ILL].disk.backup();
                    world.at(30_000, move |world| world.roll_back(ILL, backup));
                });
                // Too few are awake to end the height.
                for id in [1, 2] {
                    world.at(20_000, move |world| world.sleep(id));
                    world.at(40_000, move |world| world.wake(id));
                }
                let remembered = Rc::new(Cell::new(false));
                let remembers = Rc::clone(&remembered);
                world.at(29_999, move |world| remembers.set(is_remembered(world)));
                honest_life(world);
                let retired = |(_, id, event): &(u64, Id, Event)| *id == ILL && matches!(event, Event::VoteRetired(_));
                if remembered.get() && !world.events.iter().any(retired) {
                    world.watch.fault("a witness votes on, and another keeps votes that it forgot".to_owned());
                }
            },
            ..copy(&calm)
        },
    ]
}

/// Every honest member holds two votes of the ill one against each other: by nothing else a witness leaves here.
fn check_convicted(world: &mut World) {
    let liar = world.hosts[ILL].device;
    for id in honest_members(world) {
        let witnesses = world.hosts[id].engine.as_ref().map_or_else(Vec::new, |engine| engine.witnesses());
        if witnesses.iter().any(|one| one.votes && one.device == liar) {
            world
                .watch
                .fault(format!("the fault did not happen: node {id} holds no evidence, and the liar still votes"));
        }
    }
}

/// Whether another one who votes keeps votes of the ill one at the open height.
fn is_remembered(world: &World) -> bool {
    let Some(key) = world.hosts[ILL].engine.as_ref().and_then(|engine| Some(engine.vote_secret()?.key())) else {
        return false;
    };
    let kept = world.hosts[4].engine.as_ref().map_or_else(Vec::new, |engine| engine.bundles());
    kept.iter().any(|bundle| bundle.key == key && !bundle.own.is_empty())
}

/// Whether a header with a time after this one is put to the vote.
fn proposes_after(said: &Said, time: u64) -> bool {
    let Said::Gossip(Topic::Votes | Topic::Witnesses, bytes) = said else { return false };
    match Votes::from_bytes(bytes) {
        Ok(Votes::Opening(brief)) => brief.time() > time,
        Ok(Votes::Proposal(proposal)) => proposal.header.time > time,
        _ => false,
    }
}

/// What notarizes a made-up header at a height in the ill one's name, as long as it votes.
fn vote_of_the_ill(world: &World) -> Option<impl Fn(u64, u8) -> Vec<u8> + 'static> {
    let engine = world.hosts[ILL].engine.as_ref()?;
    let (circle, device, secret) = (engine.circle(), engine.device(), engine.vote_secret()?.clone());
    let place = engine.witnesses().iter().position(|one| one.votes && Some(one.device) == device)?;
    let place = u8::try_from(place).ok()?;
    Some(move |height, header| {
        let header = Some(HeaderHash([header; 32]));
        let vote = Vote { kind: VoteKind::Notarize, circle, height, view: 0, header };
        Votes::Vote { height, vote: PlacedVote::of(&vote.cast(&secret), place) }.to_bytes()
    })
}

/// The ill one votes for two headers of one height.
fn vote_twice(world: &mut World) {
    let Some(vote) = vote_of_the_ill(world) else { return };
    let height = world.watch.height(1) + 1;
    for header in [8, 9] {
        world.publish(ILL, Topic::Witnesses, vote(height, header));
    }
}

/// When it leads, the ill one shows what it proposes to node 1, a vote for another header to node 2, and nothing to others.
/// It says none of it again.
fn two_faced(world: &mut World) {
    world.suspect(ILL);
    let Some(other) = vote_of_the_ill(world) else { return };
    world.hosts[ILL].liar = Some(Box::new(move |_: u64, to: Id, said: Said| {
        let Said::Gossip(topic, bytes) = &said else { return Some(said) };
        match Votes::from_bytes(bytes) {
            Ok(Votes::Opening(brief)) if *topic == Topic::Witnesses => match to {
                1 => Some(said),
                2 => Some(Said::Gossip(*topic, other(brief.height(), 9).into())),
                _ => None,
            },
            Ok(Votes::Proposal(_) | Votes::Bundle(_)) => None,
            _ => Some(said),
        }
    }));
}

/// Parts the network for half a minute: the witnesses 1 (and, with it, one copy of each twin) on one side, 4 on the other.
fn part_with_twins(world: &mut World, twins: usize) {
    let first = world.nodes() - twins;
    world.part(|id| match id {
        0 | 1 | ILL => 0,
        2 if twins > 1 => 0,
        2 | 4 => 1,
        id if id >= first => 1,
        id => (id % 2) as u8,
    });
    for id in first..world.nodes() {
        world.wake(id);
        // The copies' links are drawn anew, so that they reach somebody on their side.
        world.introduce(id, 4);
    }
    world.introduce(1, ILL);
    world.introduce(1, 2);
    world.introduce(2, 4);
    world.introduce(1, 0);
    let honest = honest_members(world);
    for id in honest {
        world.introduce(id, if world.links.parts[id] == 0 { 1 } else { 4 });
    }
}
