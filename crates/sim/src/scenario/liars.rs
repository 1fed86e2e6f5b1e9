//! Liars: members, relays and witnesses whose engine is honest and whose mouth or pen is not.

use super::Scenario;
use super::faults::{calm, copy};
use crate::check::Waived;
use crate::host::Id;
use crate::liar::Said;
use crate::net::Topology;
use crate::world::World;
use ledgerno_engine::Event;
use ledgerno_engine::wire::{Answer, Ask, Topic};
use ledgerno_ledger::codec;
use ledgerno_ledger::dag;
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::hostile::Dice;
use ledgerno_ledger::invite::InviteLink;
use std::collections::BTreeSet;
use std::rc::Rc;

const MINUTE: u64 = 60_000;
/// Which node lies, where one does.
const LIAR: Id = 3;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mesh = Scenario { least: LIAR + 1, setup: |setup| setup.topology = Topology::Mesh { degree: 4 }, ..calm() };
    vec![
        Scenario {
            name: "equivocating-member",
            about: "A member signs two entries at each place, and says one to these and the other to those.",
            play: |world| {
                world.suspect(LIAR);
                for at in [5_000, 12_000, 20_000] {
                    world.at(at, equivocate);
                }
                honest_life(world);
            },
            check: check_forked,
            ..copy(&mesh)
        },
        Scenario {
            name: "twins",
            about: "A device was copied, and both copies write, at the same places.",
            setup: |setup| (setup.topology, setup.twins) = (Topology::Mesh { degree: 4 }, vec![LIAR]),
            play: |world| {
                let twin = world.nodes() - 1;
                world.at(3_000, move |world| world.wake(twin));
                for at in 0..5 {
                    world.at(3_010 + at * 3_000, move |world| {
                        world.write_something(LIAR);
                        world.write_something(twin);
                    });
                }
                honest_life(world);
            },
            check: |world| {
                check_forked(world);
                check_told(world, &[LIAR, world.nodes() - 1]);
            },
            ..copy(&mesh)
        },
        Scenario {
            name: "stale-backup",
            about: "A member's disk is set back to an earlier one, and its device writes on.",
            play: |world| {
                world.at(10_000, |world| {
                    let backup = world.hosts[LIAR].disk.backup();
                    world.at(25_000, move |world| world.roll_back(LIAR, backup));
                });
                // At 26,002 it has just started and has heard of nothing.
                for at in [4_000, 12_000, 15_000, 20_000, 26_002, 28_000, 35_000] {
                    world.at(at, |world| world.write_something(LIAR));
                }
                honest_life(world);
            },
            check: |world| {
                check_forked(world);
                check_told(world, &[LIAR]);
            },
            ..copy(&mesh)
        },
        Scenario {
            name: "selective-sender",
            about: "A member says what it writes to one other alone, and answers nobody else.",
            play: |world| {
                world.suspect(LIAR);
                let friend = world.links.neighbours(LIAR).iter().copied().find(|id| *id != 0).unwrap_or(0);
                world.hosts[LIAR].liar =
                    Some(Box::new(move |_: u64, to: Id, said: Said| (to == friend).then_some(said)));
                for at in 0..10 {
                    world.at(at * 3_000, |world| world.write_something(LIAR));
                }
                honest_life(world);
            },
            // Whoever never answers is asked again once a minute, by each of the others that is linked to it.
            waived: Waived { messages: 8 * 24 * 60, never_rest: true, ..Waived::default() },
            ..copy(&mesh)
        },
        Scenario {
            name: "withheld-bodies",
            about: "A member says its entries without their bodies; only one other gets them whole.",
            play: |world| {
                world.suspect(LIAR);
                let friend = world.links.neighbours(LIAR).iter().copied().find(|id| *id != 0).unwrap_or(0);
                let device = world.hosts[LIAR].device;
                world.hosts[LIAR].liar = Some(Box::new(move |_: u64, to: Id, said: Said| {
                    Some(if to == friend { said } else { without_bodies(said, device) })
                }));
                for at in 0..10 {
                    world.at(at * 3_000, |world| world.write_something(LIAR));
                }
                honest_life(world);
            },
            ..copy(&mesh)
        },
        Scenario {
            name: "two-histories",
            about: "A relay that votes alone shows one history to these and another to those; the members must be shown it.",
            setup: |setup| {
                (setup.topology, setup.twins) = (Topology::Mesh { degree: 4 }, vec![0]);
                setup.relay_votes = true;
            },
            play: |world| show_two_histories(world, 0),
            must_fork: true,
            check: check_shown,
            ..copy(&mesh)
        },
        Scenario {
            name: "founders-two-histories",
            about: "As two-histories, by a founder who is the sole witness.",
            setup: |setup| (setup.topology, setup.twins) = (Topology::Mesh { degree: 4 }, vec![1]),
            play: |world| show_two_histories(world, 1),
            must_fork: true,
            check: check_shown,
            ..copy(&mesh)
        },
        Scenario {
            name: "orphans",
            about: "A member floods the others with entries whose ancestors nobody has.",
            play: |world| {
                world.suspect(LIAR);
                for burst in 0..20 {
                    world.at(1_000 + burst * 1_500, flood);
                }
                for at in 0..40 {
                    world.at(at * 1_000, check_pools);
                }
                honest_life(world);
            },
            waived: Waived { waiting: usize::MAX, ..Waived::default() },
            check: check_pools,
            ..copy(&mesh)
        },
        Scenario {
            name: "invite-twice",
            about: "Two newcomers come by an invite for one, at once and without knowing of each other.",
            setup: |setup| setup.strangers = 2,
            play: |world| {
                let (one, other) = (world.nodes() - 2, world.nodes() - 1);
                world.at(5_000, move |world| come_by_one_invite(world, [one, other]));
                honest_life(world);
            },
            check: |world| {
                let strangers = [world.nodes() - 2, world.nodes() - 1].map(|id| world.cast.people[id - 1].member());
                for id in honest_members(world) {
                    let Some(state) = world.hosts[id].engine.as_ref().and_then(|engine| engine.state()) else {
                        continue;
                    };
                    let members = strangers.iter().filter(|stranger| state.member(stranger).is_some()).count();
                    if members != 1 {
                        world.watch.fault(format!("{members} came by an invite for one, says node {id}"));
                    }
                }
            },
            ..copy(&mesh)
        },
    ]
}

/// Everybody but the liars writes for a while.
pub(super) fn honest_life(world: &mut World) {
    for _ in 0..60 {
        let (at, id) = (world.dice.below(40_000) as u64, 1 + world.dice.below(world.cast.people.len()));
        world.at(at, move |world| {
            if !world.hosts[id].suspect {
                world.write_something(id);
            }
        });
    }
    // Whoever wrote last is built upon, so that all can be settled.
    world.at(MINUTE, |world| world.write_something(1));
    world.run_until(MINUTE + 30_000);
}

pub(super) fn honest_members(world: &World) -> Vec<Id> {
    (1..world.nodes()).filter(|id| !world.hosts[*id].suspect).collect()
}

/// Signs two entries at one place, and says each to half of the neighbours.
fn equivocate(world: &mut World) {
    let mut pen = world.forger(LIAR);
    let place = pen.head();
    let one = pen.post(&[], "I never said the other");
    pen.go_on_after(place);
    let other = pen.post(&[], "nor this");
    for (at, to) in world.links.neighbours(LIAR).to_vec().into_iter().enumerate() {
        world.whisper(LIAR, to, if at % 2 == 0 { &one } else { &other });
    }
}

/// The liar's device signed two entries of one seq, and every honest node shows it as forked.
fn check_forked(world: &mut World) {
    let device = world.hosts[LIAR].device;
    let places = || world.watch.entries.iter().filter(|seen| seen.device == device).map(|seen| seen.seq);
    if places().count() == places().collect::<BTreeSet<u64>>().len() {
        world.watch.fault("the fault did not happen: nothing was signed twice".to_owned());
    }
    for id in (0..world.nodes()).filter(|id| !world.hosts[*id].suspect).collect::<Vec<_>>() {
        let members = world.hosts[id].engine.as_ref().map_or_else(Vec::new, |engine| engine.members());
        if !members.iter().any(|member| member.devices.contains(&device) && member.forked) {
            world.watch.fault(format!("node {id} does not show the fork"));
        }
    }
}

/// Each of these nodes was told that a copy of its device is about.
fn check_told(world: &mut World, copies: &[Id]) {
    for id in copies {
        if !world.events.iter().any(|(_, at, event)| at == id && matches!(event, Event::Twin { .. })) {
            world.watch.fault(format!("node {id} is not told of its copy"));
        }
    }
}

/// Each copy of the sole witness serves a part of the members alone.
fn show_two_histories(world: &mut World, witness: Id) {
    let twin = world.nodes() - 1;
    let side = move |id: Id| u8::from(id == twin || id != witness && id.is_multiple_of(2));
    world.part(side);
    world.wake(twin);
    for id in honest_members(world) {
        world.introduce(if side(id) == 1 { twin } else { witness }, id);
    }
    honest_life(world);
}

/// Every honest member is shown that there are two histories.
fn check_shown(world: &mut World) {
    for id in honest_members(world) {
        let engine = world.hosts[id].engine.as_ref();
        if engine.is_none_or(|engine| engine.conflict().is_none() && engine.divisions().is_empty()) {
            world.watch.fault(format!("hidden: node {id} shows one history alone"));
        }
    }
}

/// What a liar says, without the bodies of its own entries.
fn without_bodies(said: Said, device: ledgerno_ledger::bytes::DeviceId) -> Said {
    let bare = |packed: Packed| match packed.signed.entry.device == device {
        true => Packed { body: None, ..packed },
        false => packed,
    };
    match said {
        Said::Gossip(Topic::Entries, bytes) => match codec::decode::<Packed>(&bytes, bytes.len()) {
            Ok(packed) => Said::Gossip(Topic::Entries, Rc::from(codec::encode(&bare(packed)))),
            Err(_) => Said::Gossip(Topic::Entries, bytes),
        },
        Said::Ask(Ask::Give { entries, proofs }) => {
            Said::Ask(Ask::Give { entries: entries.into_iter().map(bare).collect(), proofs })
        }
        Said::Answer(Answer::Entries { entries, more }) => {
            Said::Answer(Answer::Entries { entries: entries.into_iter().map(bare).collect(), more })
        }
        other => other,
    }
}

/// Says a burst of entries that stand on what never was.
fn flood(world: &mut World) {
    let mut pen = world.forger(LIAR);
    let mut dice = Dice::new(world.dice.number());
    let device = world.hosts[LIAR].device;
    for _ in 0..60 {
        let seq = 1_000 + dice.below(100_000) as u64;
        pen.go_on_after(Some(Head { device, seq, id: ledgerno_ledger::bytes::EntryId(dice.bytes()) }));
        let orphan = pen.post(&[], &"a".repeat(200));
        for to in world.links.neighbours(LIAR).to_vec() {
            world.whisper(LIAR, to, &orphan);
        }
    }
}

/// Pools stay within their bounds.
fn check_pools(world: &mut World) {
    let limits = dag::Limits::default();
    for id in honest_members(world) {
        let Some(load) = world.hosts[id].engine.as_ref().map(|engine| engine.load()) else { continue };
        if load.waiting > limits.waiting {
            world.watch.fault(format!("node {id} lets {} entries wait", load.waiting));
        }
    }
}

/// The founder gives an invite for one, and two come by it.
fn come_by_one_invite(world: &mut World, newcomers: [Id; 2]) {
    let expiry = world.now + 24 * 60 * MINUTE;
    let Some(Ok((invitation, _))) = world.drive(1, |engine, now| engine.invite(1, expiry, Vec::new(), now)) else {
        return world.watch.fault("the founder gives no invite".to_owned());
    };
    let Ok(link) = InviteLink::from_token(&invitation.token) else {
        return world.watch.fault("the invite's link does not read".to_owned());
    };
    for id in newcomers {
        let secret = link.invite_secret();
        world.after(2_000, move |world| {
            world.wake(id);
            let presented = world.drive(id, |engine, _| engine.present(Some((&secret, invitation.invite))));
            if !matches!(presented, Some(Ok(()))) {
                world.watch.fault(format!("node {id} can not come: {presented:?}"));
            }
        });
        // Each has read, and neither has heard of the other.
        world.after(12_000, move |world| {
            let entered = world.drive(id, |engine, now| engine.enter(Some("newcomer"), now));
            if !matches!(entered, Some(Ok(_))) {
                world.watch.fault(format!("node {id} does not enter: {entered:?}"));
            }
        });
    }
}
