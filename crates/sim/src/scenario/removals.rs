//! Members are removed: what they write then counts nothing, and who remains reads on with new keys.

use super::Scenario;
use super::faults::{calm, copy};
use super::liars::{honest_life, honest_members};
use crate::cast::START;
use crate::host::Id;
use crate::net::Topology;
use crate::watch::Seen;
use crate::world::World;
use ledgerno_ledger::bytes::{EntryId, MemberId};
use ledgerno_ledger::entry::Lane;

/// Whom the founder removes beside the other one.
const BY_FOUNDER: Id = 7;
/// Who is removed.
const OUT: Id = 8;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mesh = Scenario {
        least: OUT + 1,
        setup: |setup| (setup.topology, setup.witnesses) = (Topology::Mesh { degree: 4 }, 4),
        ..calm()
    };
    vec![
        Scenario {
            name: "removed-member",
            about: "A member is removed while away, and writes on without knowing; what it wrote comes later.",
            play: |world| {
                world.at(4_000, |world| world.part(|id| u8::from(id == OUT)));
                world.at(5_000, |world| remove(world, 1, OUT));
                for at in [6_000, 9_000, 12_000, 45_000] {
                    world.at(at, |world| world.write_something(OUT));
                }
                for at in [7_000, 10_000] {
                    world.at(at, |world| {
                        let to = member(world, 1);
                        let thanked = world.drive(OUT, |engine, now| engine.thank(to, 1, "too late", now));
                        if !matches!(thanked, Some(Ok(_))) {
                            world.watch.fault(format!("the fault did not happen: {thanked:?}"));
                        }
                    });
                }
                world.at(20_000, |world| {
                    world.suspect(OUT);
                    world.part(|_| 0);
                });
                honest_life(world);
            },
            check: |world| {
                check_removed(world, &[OUT], 1);
                check_void(world, OUT, 5_000);
            },
            ..copy(&mesh)
        },
        Scenario {
            name: "two-removals",
            about: "The founder removes one member, and at the same time, beyond a partition, a majority removes another.",
            play: |world| {
                world.at(4_000, |world| world.part(|id| u8::from(![0, 1, BY_FOUNDER, OUT].contains(&id))));
                world.at(5_000, |world| remove(world, 1, BY_FOUNDER));
                world.at(5_000, |world| {
                    let out = member(world, OUT);
                    let Some(Ok(proposed)) = world.drive(4, |engine, now| engine.remove(out, now)) else {
                        return world.watch.fault("nobody proposes a removal".to_owned());
                    };
                    world.after(2_000, move |world| {
                        for id in [2, 3, 5, 6] {
                            let consented = world.drive(id, |engine, now| engine.consent(proposed.id, now));
                            if !matches!(consented, Some(Ok(_))) {
                                world.watch.fault(format!("node {id} does not consent: {consented:?}"));
                            }
                        }
                    });
                });
                world.at(10_000, |world| {
                    world.suspect(BY_FOUNDER);
                    world.suspect(OUT);
                    world.part(|_| 0);
                });
                honest_life(world);
            },
            check: |world| check_removed(world, &[BY_FOUNDER, OUT], 1),
            ..copy(&mesh)
        },
    ]
}

fn member(world: &World, id: Id) -> MemberId {
    world.cast.people[id - 1].member()
}

fn remove(world: &mut World, by: Id, out: Id) {
    let out = member(world, out);
    let removed = world.drive(by, |engine, now| engine.remove(out, now));
    if !matches!(removed, Some(Ok(_))) {
        world.watch.fault(format!("node {by} does not remove: {removed:?}"));
    }
}

/// At least so many of these are removed, the same ones everywhere, and whoever remains holds the keys of all epochs.
fn check_removed(world: &mut World, out: &[Id], least: usize) {
    let out: Vec<MemberId> = out.iter().map(|id| member(world, *id)).collect();
    for id in honest_members(world) {
        let Some(engine) = world.hosts[id].engine.as_ref() else { continue };
        let Some(state) = engine.state() else {
            world.watch.fault(format!("node {id} does not fold the state"));
            continue;
        };
        let removed = out.iter().filter(|one| state.member(one).is_some_and(|known| known.removed.is_some())).count();
        let (epochs, keys) = (engine.epochs(), engine.lane_keys().len());
        if removed < least || epochs != removed + 1 || keys < epochs {
            let why = format!("node {id} knows {removed} removed, {epochs} epochs, and holds the keys of {keys}");
            world.watch.fault(why);
        }
    }
}

/// Whatever operation this node wrote so many milliseconds after the start or later is settled and void, everywhere.
fn check_void(world: &mut World, out: Id, from: u64) {
    let device = world.hosts[out].device;
    let is_late = |seen: &&Seen| seen.device == device && seen.lane == Lane::State && seen.written > START + from;
    let late: Vec<EntryId> = world.watch.entries.iter().filter(is_late).map(|seen| seen.id).collect();
    if late.len() < 2 {
        world.watch.fault("the fault did not happen: nothing was written late".to_owned());
    }
    for id in honest_members(world) {
        let Some(engine) = world.hosts[id].engine.as_ref() else { continue };
        if let Some(counts) = late.iter().find(|late| !engine.is_void(late)) {
            world.watch.fault(format!("{counts:?} of who was removed is not void at node {id}"));
        }
    }
}
