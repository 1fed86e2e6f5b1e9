//! Random stories: people write while links break, disks are slow and nodes lose power; at the end everybody is linked and
//! awake. Whatever showed *here* is with everybody once, in one order, settled, and nobody forked.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World};
use ledgerno_engine::status::Status;
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::hostile::Dice;
use std::collections::BTreeSet;

const FRIENDS: usize = 4;
const STEPS: usize = 120;

struct Story {
    world: World,
    people: Vec<DeviceId>,
    linked: BTreeSet<DeviceId>,
    /// Texts that showed *here* at their author.
    here: BTreeSet<String>,
    written: usize,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let mut world = World::new(seed as u8);
        let founder = world.found("Founder");
        world.link(founder, RELAY);
        let mut people = vec![founder];
        for n in 1..FRIENDS {
            let (token, _) = world.invite(founder, 1, START + WEEK);
            people.push(world.join(&format!("Friend {n}"), &token));
            world.pass(1_000);
        }
        let linked = people.iter().copied().collect();
        Story { world, people, linked, here: BTreeSet::new(), written: 0 }
    }

    fn step(&mut self, dice: &mut Dice) {
        let who = self.people[dice.below(self.people.len())];
        match dice.below(10) {
            0..=3 => self.post(who),
            4 => self.thank(who, dice),
            5 => self.toggle_link(who),
            6 => self.hold(if dice.below(2) == 0 { RELAY } else { who }),
            7 => self.world.pass(1 + dice.below(5_000) as u64),
            8 => self.crash(who),
            _ if dice.below(3) == 0 => self.crash(RELAY),
            _ => self.world.pass(100),
        }
    }

    fn post(&mut self, who: DeviceId) {
        self.written += 1;
        let text = format!("text {}", self.written);
        let id = self.world.post(who, &text);
        if self.world.engine(who).status(&id).is_some() {
            self.here.insert(text);
        }
    }

    fn thank(&mut self, who: DeviceId, dice: &mut Dice) {
        let to = self.people[dice.below(self.people.len())];
        let to = self.world.engine(to).own_member().unwrap();
        // Too much, or to oneself: refused, which is as good.
        self.world.act(who, |engine, now| engine.thank(to, 1 + dice.below(60) as u64, "why not", now)).ok();
    }

    fn toggle_link(&mut self, who: DeviceId) {
        if self.linked.remove(&who) {
            self.world.unlink(who, RELAY);
        } else {
            self.linked.insert(who);
            self.world.link(who, RELAY);
        }
    }

    /// The disk stops, or writes what it held back.
    fn hold(&mut self, who: DeviceId) {
        let holds = &mut self.world.hosts.get_mut(&who).unwrap().disk.holds;
        *holds = !*holds;
        if !*holds {
            self.world.flush(who);
        }
    }

    fn crash(&mut self, who: DeviceId) {
        self.world.crash(who);
        if who == RELAY {
            self.linked.clear();
        } else {
            self.linked.remove(&who);
        }
    }

    /// All disks write, all are linked, time passes.
    fn heal(&mut self) {
        for who in self.people.iter().copied().chain([RELAY]) {
            self.world.hosts.get_mut(&who).unwrap().disk.holds = false;
            self.world.flush(who);
        }
        for who in self.people.clone() {
            if self.linked.insert(who) {
                self.world.link(who, RELAY);
            }
        }
        self.world.pass(300_000);
    }

    fn check(&self, seed: u64) {
        let founder = self.people[0];
        let settlement = self.world.engine(founder).settlement();
        assert_eq!(settlement.unsettled, 0, "seed {seed}: something is never settled");
        assert_eq!(self.world.engine(RELAY).settlement().header, settlement.header, "seed {seed}: the relay");
        let texts = self.world.texts(founder);
        let distinct: BTreeSet<String> = texts.iter().cloned().collect();
        assert_eq!(distinct.len(), texts.len(), "seed {seed}: something is there twice");
        for text in &self.here {
            assert!(distinct.contains(text), "seed {seed}: {text:?} was here and is lost");
        }
        for who in &self.people {
            let engine = self.world.engine(*who);
            assert_eq!(engine.settlement(), settlement, "seed {seed}: two settlements");
            assert_eq!(self.world.texts(*who), texts, "seed {seed}: two timelines");
            assert!(engine.refusals().is_empty() && engine.divisions().is_empty(), "seed {seed}: false alarm");
            let members = engine.members();
            assert!(members.iter().all(|member| !member.forked && member.settled), "seed {seed}: somebody forked");
            assert_eq!(
                members.iter().map(|member| member.balance).sum::<u64>(),
                100 * FRIENDS as u64,
                "seed {seed}: points"
            );
            for shown in engine.timeline(1_000) {
                assert_eq!(shown.status, Status::Settled, "seed {seed}: {shown:?}");
            }
        }
    }
}

/// Tells a story; answers how many posts showed *here*.
fn tell(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let mut story = Story::begin(seed);
    for _ in 0..STEPS {
        story.step(&mut dice);
    }
    story.heal();
    story.check(seed);
    story.here.len()
}

#[test]
fn whatever_happens_nothing_is_lost() {
    let here: usize = (0..40).chain([1_269, 1_462]).map(tell).sum();
    assert!(here > 400, "stories in which little happens: {here}");
}

#[test]
#[ignore = "long"]
fn whatever_happens_nothing_is_lost_in_a_thousand_stories() {
    let here: usize = (1_000..2_500).map(tell).sum();
    assert!(here > 15_000, "stories in which little happens: {here}");
}
