//! A liar's pen: signs entries in a member's name outside of any engine, as many at one place as it likes.

use crate::cast::Cast;
use crate::host::Id;
use crate::world::World;
use ledgerno_engine::wire::Topic;
use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::op::Operation;

/// The pen of one member.
pub struct Forger {
    circle: Circle,
    person: Person,
}

impl Forger {
    /// The pen of the person of this number, at its device's beginning.
    pub fn of(cast: &Cast, person: usize, seed: u64) -> Self {
        let mut circle = Circle::new(seed);
        circle.genesis = cast.genesis.clone();
        circle.id = cast.genesis.id();
        circle.keys = cast.keys.clone();
        circle.vote = VoteSecret::from_secret([1; 32]);
        let mut hand = Person::new(seed);
        (hand.identity, hand.device) = (cast.people[person].identity(), cast.people[person].device());
        Forger { circle, person: hand }
    }

    /// Goes on after an entry of the device; without one, at its beginning.
    pub fn go_on_after(&mut self, head: Option<Head>) {
        self.person.seq = head.map_or(0, |head| head.seq + 1);
        self.person.head = head;
    }

    /// The newest entry that it signed, or went on after.
    pub fn head(&self) -> Option<Head> {
        self.person.head
    }

    /// Signs a post.
    pub fn post(&mut self, approves: &[Head], text: &str) -> Packed {
        self.circle.post(&mut self.person, approves, text)
    }

    /// Signs an operation.
    pub fn operate(&mut self, approves: &[Head], operation: &Operation) -> Packed {
        self.circle.operate(&mut self.person, approves, operation)
    }

    /// The id of an entry.
    pub fn id(&self, packed: &Packed) -> EntryId {
        packed.signed.entry.id(self.circle.id)
    }
}

impl World {
    /// The pen of a node's person, after the newest entry of its device that was durable anywhere.
    pub fn forger(&mut self, id: Id) -> Forger {
        let mut forger = Forger::of(&self.cast, id - 1, self.dice.number());
        let device = self.hosts[id].device;
        let newest = self.watch.entries.iter().filter(|seen| seen.device == device).max_by_key(|seen| seen.seq);
        forger.go_on_after(newest.map(|seen| Head { device, seq: seen.seq, id: seen.id }));
        forger
    }

    /// A node says an entry to one other alone.
    pub fn whisper(&mut self, from: Id, to: Id, packed: &Packed) {
        let bytes = codec::encode(packed);
        let peer = self.hosts[from].device;
        self.drive(to, |engine, now| engine.gossip(Topic::Entries, peer, &bytes, now));
    }

    /// A node lies from now on: nothing is demanded of it.
    pub fn suspect(&mut self, id: Id) {
        self.hosts[id].suspect = true;
        self.watch.suspect(id);
    }
}
