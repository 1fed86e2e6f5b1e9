//! Four who may vote.

use super::{RELAY, World};
use ledgerno_engine::status::Status;
use ledgerno_ledger::bytes::{DeviceId, EntryId};

/// A founder and three friends, all linked to the relay.
pub struct Four {
    pub world: World,
    pub all: Vec<DeviceId>,
}

impl Four {
    pub fn new(seed: u8) -> Self {
        let (world, all) = World::four_friends(seed);
        Four { world, all }
    }

    /// The first `n` vote from now on: those who do not yet offer themselves, and the founder promotes them in one step.
    pub fn elect(&mut self, n: usize) {
        let votes = |four: &Self, id: &DeviceId| {
            four.world.engine(four.all[0]).witnesses().iter().any(|one| one.votes && one.device == *id)
        };
        let (promote, demote) = self.all.split_at(n);
        let promote: Vec<_> = promote.iter().copied().filter(|id| !votes(self, id)).collect();
        let demote: Vec<_> = demote.iter().copied().filter(|id| votes(self, id)).collect();
        for id in &promote {
            self.world.act(*id, |engine, now| engine.offer_to_witness(false, now)).unwrap();
        }
        self.world.pass(5_000);
        self.world.act(self.all[0], |engine, now| engine.change_witnesses(promote, demote, now)).unwrap();
        self.world.pass(5_000);
        for at in &self.all {
            assert_eq!(self.world.engine(*at).witnesses().iter().filter(|one| one.votes).count(), n);
        }
    }

    pub fn elected(seed: u8, n: usize) -> Self {
        let mut four = Self::new(seed);
        four.elect(n);
        four
    }

    pub fn height(&self, id: DeviceId) -> u64 {
        self.world.engine(id).settlement().height
    }

    /// Writes, and gives it a while to settle.
    pub fn post(&mut self, who: usize, text: &str) -> EntryId {
        let id = self.world.post(self.all[who], text);
        self.world.pass(10_000);
        id
    }

    pub fn settled(&self, id: &EntryId) -> Vec<bool> {
        self.all.iter().map(|at| self.world.engine(*at).status(id) == Some(Status::Settled)).collect()
    }

    /// Waits until all have settled an entry, and stand at one header and one state.
    pub fn all_settle(&mut self, id: EntryId, within: u64) {
        let end = self.world.now + within;
        let stand = |four: &Self| -> Vec<_> {
            let ends = four.all.iter().map(|at| four.world.engine(*at).settlement());
            ends.map(|end| (end.height, end.header, end.state_root)).collect()
        };
        while self.settled(&id) != [true; 4] || stand(self).iter().any(|one| *one != stand(self)[0]) {
            assert!(self.world.now < end, "not settled: {:?} {:?}", self.settled(&id), stand(self));
            self.world.pass(1_000);
        }
    }

    /// The next header is proposed, and so many of the others notarize it: their votes are durable, and not said. Gives who
    /// leads.
    pub fn all_notarize(&mut self, others: usize) -> DeviceId {
        let votes = |four: &Self, id: &DeviceId| {
            let held = &four.world.hosts[id].disk.held;
            held.iter().any(|(_, _, records)| records.iter().any(|(name, _)| name == "bundle"))
        };
        for id in &self.all {
            self.world.hosts.get_mut(id).unwrap().disk.holds = true;
        }
        let leader = loop {
            if let Some(leader) = self.all.iter().find(|id| votes(self, id)) {
                break *leader;
            }
            self.world.pass(50);
        };
        self.world.flush(leader);
        let voted: Vec<DeviceId> = self.all.iter().filter(|id| **id != leader && votes(self, id)).copied().collect();
        assert_eq!(voted.len(), 3, "all hear the proposal");
        for id in voted.iter().take(others) {
            let disk = &mut self.world.hosts.get_mut(id).unwrap().disk;
            while let Some((_, log, records)) = disk.held.pop_front() {
                disk.write(log, records);
            }
        }
        leader
    }

    pub fn unlink(&mut self, who: usize) {
        self.world.unlink(self.all[who], RELAY);
    }

    pub fn link(&mut self, who: usize) {
        self.world.link(self.all[who], RELAY);
    }
}
