//! Faults without liars: the network, the disks, the power, the clocks and the sleepers.

use super::Scenario;
use crate::check::Waived;
use crate::host::Id;
use crate::net::{Conditions, Topology};
use crate::world::{Setup, World};
use ledgerno_engine::Engine;
use ledgerno_engine::view::Content;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

pub(super) fn scenarios() -> Vec<Scenario> {
    let calm = calm();
    vec![
        Scenario {
            name: "mesh",
            about: "Everybody is linked to a few others; messages are lost, come twice and overtake each other.",
            setup: |setup| {
                setup.topology = Topology::Mesh { degree: 4 };
                setup.conditions = Conditions { loss: 100, twice: 100, spread: 400, ..Conditions::default() };
            },
            ..copy(&calm)
        },
        Scenario {
            name: "rough",
            about: "By the relay, with lost, doubled and reordered messages, wrong clocks, slow disks and crashes.",
            setup: rough,
            play: |world| world.rough_life(80),
            ..copy(&calm)
        },
        Scenario {
            name: "erasers",
            about: "As rough; and members erase what they posted, which in the end is erased at everybody.",
            setup: rough,
            play: |world| {
                world.plan_erasures(40, 80_000);
                world.rough_life(80);
            },
            check: |world| world.check_erased(),
            ..copy(&calm)
        },
        Scenario {
            name: "partition",
            about: "The network is parted for a day; both sides write.",
            setup: |setup| setup.topology = Topology::Mesh { degree: 4 },
            play: |world| {
                world.plan_writes(20, 0, MINUTE);
                world.at(MINUTE, |world| world.part(|id| (id % 2) as u8));
                world.plan_writes(60, 2 * MINUTE, 24 * HOUR);
                world.run_until(24 * HOUR);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "phones",
            about: "All members but the founder are phones, awake one minute an hour.",
            play: |world| {
                let phones: Vec<Id> = (2..world.nodes()).collect();
                world.awake_by_the_hour(&phones, 12 * HOUR);
                world.plan_writes_awake(&phones, 40, 12 * HOUR);
                world.run_until(12 * HOUR);
            },
            ..copy(&calm)
        },
        Scenario {
            name: "week-asleep",
            about: "All witnesses are asleep for a week, and the others write.",
            play: |world| {
                world.plan_writes(10, 0, MINUTE);
                world.at(MINUTE, |world| world.sleep(1));
                world.plan_writes(40, 2 * MINUTE, 7 * 24 * HOUR);
                world.run_until(7 * 24 * HOUR);
            },
            ..copy(&calm)
        },
        calm,
    ]
}

/// Everybody is linked to the relay and writes.
pub(super) fn calm() -> Scenario {
    Scenario {
        name: "calm",
        about: "Everybody is linked to the relay, and writes; nothing breaks.",
        members: 8,
        least: 3,
        setup: |_| {},
        play: |world| {
            world.plan_writes(60, 0, 30_000);
            world.run_until(40_000);
        },
        must_fork: false,
        waived: Waived::default(),
        check: |_| {},
    }
}

impl World {
    /// Plans so many erasures of own posts by random members till a moment, in milliseconds after the start.
    fn plan_erasures(&mut self, count: usize, to: u64) {
        for _ in 0..count {
            let (at, pick) = (self.dice.below(to as usize) as u64, self.dice.below(1_000));
            let id = 1 + self.dice.below(self.nodes() - 1);
            self.at(at, move |world| {
                world.drive(id, |engine, now| {
                    let said = engine.timeline(50).into_iter().filter(|shown| shown.mine);
                    let posts: Vec<_> = said.filter(|shown| matches!(shown.content, Content::Post(_))).collect();
                    // One that is at hand is one's own, so it is refused to nobody.
                    posts.get(pick % posts.len().max(1)).map(|post| engine.erase(post.id, now))
                });
            });
        }
    }

    /// Whether something was erased, and the same at all nodes once they have compared.
    fn check_erased(&mut self) {
        self.relink_all();
        self.run_for(MINUTE);
        let ids: Vec<_> = self.watch.entries.iter().map(|seen| seen.id).collect();
        let erased = |engine: &Engine| ids.iter().filter(|id| engine.is_erased(id)).count();
        let all: Vec<usize> = self.hosts.iter().filter_map(|host| host.engine.as_ref()).map(erased).collect();
        if all.iter().any(|count| *count == 0 || *count != all[0]) {
            self.watch.fault(format!("erased: {all:?} entries at the nodes"));
        }
    }
}

/// Messages are lost, doubled and overtake each other; clocks are wrong and disks slow.
pub(super) fn rough(setup: &mut Setup) {
    setup.conditions = Conditions { loss: 150, twice: 150, spread: 800, ..Conditions::default() };
    setup.skew = 4 * MINUTE;
    setup.disk = 400;
}

pub(super) fn copy(scenario: &Scenario) -> Scenario {
    Scenario { ..*scenario }
}

impl World {
    /// So many writes in five minutes, in which nodes crash.
    pub(super) fn rough_life(&mut self, writes: usize) {
        self.plan_writes(writes, 0, 5 * MINUTE);
        for _ in 0..12 {
            let (at, id) = (self.dice.below(300_000) as u64, self.dice.below(self.nodes()));
            self.at(at, move |world| {
                let pause = 1 + world.dice.below(20_000) as u64;
                world.crash(id, pause);
            });
        }
        self.run_until(6 * MINUTE);
    }

    /// Phones sleep from the start on and are awake one minute an hour, each at its own minute, for so long.
    pub(super) fn awake_by_the_hour(&mut self, phones: &[Id], for_ms: u64) {
        for &id in phones {
            self.sleep(id);
            for hour in 0..for_ms / HOUR {
                let at = hour * HOUR + minute_of(id);
                self.at(at, move |world| world.wake(id));
                self.at(at + MINUTE, move |world| world.sleep(id));
            }
        }
    }

    /// So many writes of phones, at moments when they are awake.
    fn plan_writes_awake(&mut self, phones: &[Id], count: usize, for_ms: u64) {
        for _ in 0..count {
            let id = phones[self.dice.below(phones.len())];
            let hour = self.dice.below((for_ms / HOUR) as usize) as u64;
            let at = hour * HOUR + minute_of(id) + self.dice.below(MINUTE as usize) as u64;
            self.at(at, move |world| world.write_something(id));
        }
    }
}

/// In which minute of the hour a phone is awake.
fn minute_of(id: Id) -> u64 {
    (id as u64 * 7 % 59) * MINUTE
}
