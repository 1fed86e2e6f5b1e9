//! The sole witness is lost, and the founder lets another device settle: everybody follows, and if the lost one comes back,
//! so does it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{RELAY, START, WEEK, World};
use ledgerno_engine::status::Status;
use ledgerno_engine::{Event, WriteError};
use ledgerno_ledger::bytes::{DeviceId, EntryId};

/// A founder whose device is lost, two friends, and the device with which the founder comes back.
struct Lost {
    world: World,
    old: DeviceId,
    friends: [DeviceId; 2],
    new: DeviceId,
}

impl Lost {
    /// So many headers the old device settled alone after its link broke.
    fn new(seed: u8, alone: usize) -> Self {
        let mut world = World::new(seed);
        let old = world.found("Anna");
        world.link(old, RELAY);
        let (token, _) = world.invite(old, 10, START + WEEK);
        let friends = ["Ben", "Carl"].map(|name| world.join(name, &token));
        world.pass(10_000);
        world.unlink(old, RELAY);
        for _ in 0..alone {
            world.post(old, "alone");
            world.pass(2_000);
        }
        let new = world.further(old);
        world.post(friends[0], "who settles?");
        world.pass(60_000);
        Lost { world, old, friends, new }
    }

    fn renew(&mut self) {
        let lost = self.world.engine(self.new).may_renew();
        assert_eq!(lost, Some(self.old));
        self.world.act(self.new, |engine, now| engine.renew(now)).unwrap();
        self.world.pass(5_000);
    }

    fn agree(&self, all: &[DeviceId]) {
        let stand = |id: &DeviceId| {
            let stand = self.world.engine(*id).settlement();
            (stand.height, stand.header, stand.state_root, stand.unsettled, stand.entries)
        };
        for id in all {
            assert_eq!(stand(id), stand(&self.new));
            assert_eq!(stand(id).3, 0, "all is settled");
            let engine = self.world.engine(*id);
            let voting: Vec<_> = engine.witnesses().iter().filter(|one| one.votes).map(|one| one.device).collect();
            assert_eq!(voting, [self.new]);
            assert!(engine.conflict().is_none());
            assert_eq!((engine.refusals(), engine.divisions()), (&[][..], &[][..]), "nobody is alarmed");
        }
    }

    fn all(&self) -> [DeviceId; 4] {
        [self.new, self.friends[0], self.friends[1], RELAY]
    }

    fn settles(&mut self, who: DeviceId) -> EntryId {
        let id = self.world.post(who, "on");
        self.world.pass(5_000);
        assert_eq!(self.world.engine(self.new).status(&id), Some(Status::Settled));
        id
    }

    /// What the driver does when it hears that the engine was overruled.
    fn open_anew(&mut self, id: DeviceId) -> bool {
        let host = self.world.hosts.get_mut(&id).unwrap();
        let overruled = host.events.iter().any(|event| matches!(event, Event::Overruled { .. }));
        if overruled {
            host.events.clear();
            self.world.crash(id);
            self.world.link(id, RELAY);
            self.world.pass(10_000);
        }
        overruled
    }
}

#[test]
fn the_founder_settles_on_another_device_and_everybody_follows() {
    let mut lost = Lost::new(40, 0);
    let height = lost.world.engine(lost.new).settlement().height;
    assert!(lost.world.engine(lost.new).settlement().unsettled > 0, "nobody settles");
    lost.renew();
    lost.agree(&lost.all());
    assert!(lost.world.engine(lost.new).settlement().height > height);
    lost.settles(lost.friends[1]);
    // The state knows who votes: the set changes as ever.
    let (new, ben) = (lost.new, lost.friends[0]);
    lost.world.act(ben, |engine, now| engine.offer_to_witness(false, now)).unwrap();
    lost.world.pass(5_000);
    lost.world.act(new, |engine, now| engine.change_witnesses(vec![ben], vec![new], now)).unwrap();
    lost.world.pass(5_000);
    let id = lost.settles(lost.friends[1]);
    assert_eq!(lost.world.engine(RELAY).status(&id), Some(Status::Settled));
    // It is in everybody's log.
    for id in lost.all() {
        let before = lost.world.engine(id).settlement();
        lost.world.crash(id);
        assert_eq!(lost.world.engine(id).settlement(), before);
    }
    // A newcomer takes it in too.
    let (token, _) = lost.world.invite(ben, 10, START + 2 * WEEK);
    lost.world.link(ben, RELAY);
    lost.world.link(new, RELAY);
    let dora = lost.world.join("Dora", &token);
    lost.world.pass(10_000);
    assert_eq!(lost.world.engine(dora).settlement(), lost.world.engine(ben).settlement());
}

#[test]
fn a_renewal_is_the_founders_and_waits_until_all_is_here() {
    let mut lost = Lost::new(41, 0);
    for friend in lost.friends {
        assert_eq!(lost.world.engine(friend).may_renew(), None);
        let refused = lost.world.act(friend, |engine, now| engine.renew(now));
        assert_eq!(refused, Err(WriteError::NoRenewal));
    }
    lost.world.unlink(lost.new, RELAY);
    assert_eq!(lost.world.engine(lost.new).may_renew(), None, "it can not tell what others hold");
    lost.world.link(lost.new, RELAY);
    lost.renew();
    assert_eq!(lost.world.engine(lost.new).may_renew(), None, "once is enough");
    lost.agree(&lost.all());
}

#[test]
fn a_crash_at_any_write_of_a_renewal_leaves_one_history() {
    for kept in 0..8 {
        let mut lost = Lost::new(42, 0);
        let new = lost.new;
        lost.world.hosts.get_mut(&new).unwrap().disk.holds = true;
        lost.world.act(new, |engine, now| engine.renew(now)).unwrap();
        for _ in 0..kept {
            lost.world.pass(200);
            lost.world.flush_one(new);
        }
        lost.world.crash(new);
        lost.world.hosts.get_mut(&new).unwrap().disk.holds = false;
        lost.world.link(new, RELAY);
        lost.world.pass(10_000);
        if lost.world.engine(new).may_renew().is_some() {
            lost.renew();
        }
        lost.settles(lost.friends[0]);
        for id in lost.all() {
            let (ours, theirs) = (lost.world.engine(id).settlement(), lost.world.engine(new).settlement());
            assert_eq!((ours.header, ours.unsettled), (theirs.header, 0), "{kept} writes kept");
            assert!(lost.world.engine(id).conflict().is_none());
        }
    }
}

#[test]
fn the_lost_device_comes_back_and_what_it_settled_alone_is_void() {
    for (alone, later) in [(0, 1), (1, 1), (1, 3), (3, 1), (3, 0)] {
        let mut lost = Lost::new(43, alone);
        lost.renew();
        for _ in 0..later {
            lost.settles(lost.friends[0]);
        }
        let old = lost.old;
        let before = lost.world.engine(old).settlement();
        lost.world.link(old, RELAY);
        lost.world.pass(10_000);
        lost.settles(lost.friends[1]);
        lost.world.pass(10_000);
        assert_eq!(lost.open_anew(old), alone > 0, "{alone} alone, {later} later");
        lost.settles(old);
        let all = [&lost.all()[..], &[old]].concat();
        lost.agree(&all);
        assert!(lost.world.engine(old).settlement().height >= before.height.min(4));
        // What it wrote alone is kept, and settled by the other.
        let texts = |id| lost.world.engine(id).timeline(1_000).len();
        assert_eq!(texts(old), texts(lost.new));
        // So it is after a restart of each.
        for id in all {
            let before = lost.world.engine(id).settlement();
            lost.world.crash(id);
            assert_eq!(lost.world.engine(id).settlement(), before, "{alone} alone, {later} later");
        }
    }
}

/// Somebody else holds what the lost one settled beyond: it was *sent* after all. Two histories, and no choice is made.
#[test]
fn who_holds_a_void_header_is_shown_both_histories() {
    let mut world = World::new(44);
    let old = world.found("Anna");
    world.link(old, RELAY);
    let (token, _) = world.invite(old, 10, START + WEEK);
    let [ben, carl] = ["Ben", "Carl"].map(|name| world.join(name, &token));
    world.pass(10_000);
    for id in [old, ben] {
        world.unlink(id, RELAY);
    }
    world.link(old, ben);
    world.post(old, "between us");
    world.pass(10_000);
    assert_eq!(world.engine(old).settlement(), world.engine(ben).settlement());
    world.unlink(old, ben);
    let new = world.further(old);
    world.pass(10_000);
    world.act(new, |engine, now| engine.renew(now)).unwrap();
    world.pass(10_000);
    world.link(ben, RELAY);
    world.post(carl, "hello");
    world.pass(30_000);
    assert!(world.engine(ben).conflict().is_some(), "Ben is shown that there are two");
    assert!(world.engine(carl).conflict().is_none());
}
