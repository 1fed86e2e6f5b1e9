//! A circle's settled history, told to one who has none of it.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use crate::alone::{Alone, Friends, Witness};
use crate::common::RELAY;
use ledgerno_engine::Limits;
use ledgerno_engine::wire::{Answer, Ask, Range, Settled};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::check::{Checked, check};
use ledgerno_ledger::hostile::Person;
use ledgerno_ledger::settle::Proof;

/// A circle of three, its settled history, and one who has none of it.
pub struct Story {
    pub friends: Friends,
    pub reader: Person,
    pub witness: Witness,
    pub proofs: Vec<Proof>,
    /// Those of the entries that no honest node takes by itself.
    pub forged: Vec<EntryId>,
}

pub fn eager() -> Limits {
    Limits { by_hash: 1, ..Limits::default() }
}

pub fn ordinary() -> Limits {
    Limits { by_hash: u64::MAX, ..Limits::default() }
}

impl Story {
    pub fn new() -> Self {
        let mut friends = Friends::new();
        let mut reader = Person::new(30);
        let joined = friends.circle.join(&mut reader, &friends.secret, friends.invite);
        friends.entries.push(joined);
        let mut witness = friends.witness();
        let proofs = vec![witness.settle()];
        Story { friends, reader, witness, proofs, forged: Vec::new() }
    }

    /// So many headers of so many posts with texts of that length.
    pub fn tell(mut self, heights: usize, posts: usize, len: usize) -> Self {
        for height in 0..heights {
            for at in 0..posts {
                let text = format!("{height}-{at} {}", "x".repeat(len));
                let packed = if at % 2 == 0 { self.friends.post(&text) } else { self.friends.founders_post(&text) };
                self.witness.dag.insert(check(self.friends.circle.id, packed).unwrap()).unwrap();
            }
            self.proofs.push(self.witness.settle());
        }
        self
    }

    /// A header more, over an entry that its author never signed.
    pub fn forge(mut self) -> Self {
        let mut packed = self.friends.post("never said");
        packed.signed.signature.0[3] ^= 1;
        *self.friends.entries.last_mut().unwrap() = packed.clone();
        self.forged.push(self.friends.id(&packed));
        self.witness.dag.insert(Checked::stored(self.friends.circle.id, packed)).unwrap();
        self.proofs.push(self.witness.settle());
        self
    }

    /// A relay that holds all of it.
    pub fn relay(&self) -> Alone {
        let mut relay = Alone::keeper(&self.friends.circle);
        self.friends.feed(&mut relay);
        self.proofs.iter().for_each(|proof| relay.vote(proof));
        assert_eq!(relay.engine.settlement().height, self.height());
        relay
    }

    /// A relay that was told it by hash, and has checked nothing: for what an honest one does not hold.
    pub fn liar(&self) -> Alone {
        let mut log: Vec<Vec<u8>> = Vec::new();
        let mut entries = self.friends.entries.iter();
        for proof in &self.proofs {
            let count = proof.checkpoint.header.entries as usize;
            let items =
                entries.by_ref().take(count).map(|packed| ledgerno_engine::Item::Entry(packed.clone()).to_bytes());
            log.extend(items);
            log.push(ledgerno_engine::Item::Proof(proof.clone()).to_bytes());
        }
        let mut liar = Alone::keeper(&self.friends.circle);
        liar.log = log;
        liar.engine = liar.reopen().unwrap();
        liar
    }

    pub fn height(&self) -> u64 {
        self.proofs.len() as u64
    }

    pub fn reader(&self, limits: Limits) -> Alone {
        Alone::reader(&self.friends.circle, &self.reader, limits)
    }

    /// The reader asks a peer till both rest.
    pub fn read(&self, reader: &mut Alone, from: &mut Alone) -> usize {
        reader.act(|engine, now| engine.connected(RELAY, now));
        reader.talk_to(from, self.reader.device.id())
    }

    /// All of two devices' chains.
    pub fn all(&self) -> Ask {
        let mut ranges = [self.friends.friend.device.id(), self.friends.circle.founder.device.id()]
            .map(|device| Range { device, from: 0, to: 1_000 });
        ranges.sort_unstable_by_key(|range| range.device);
        Ask::Ranges(ranges.to_vec())
    }
}

/// Checks what waits for it, till nothing does.
pub fn check_all(alone: &mut Alone) {
    for _ in 0..100 {
        if alone.engine.unchecked() == 0 && alone.engine.withheld() == 0 {
            return;
        }
        assert!(alone.engine.due().is_some_and(|due| due <= alone.now), "nothing is due");
        alone.act(|engine, now| engine.tick(now));
    }
    panic!("the check never ends");
}

pub fn digest(alone: &mut Alone, by: DeviceId) -> Answer {
    let other = Ask::Frontier { digest: ledgerno_ledger::bytes::Hash([0; 32]), height: 0 };
    alone.ask(by, other).unwrap()
}

pub fn assert_same(story: &Story, one: &mut Alone, other: &mut Alone) {
    let by = story.friends.friend.device.id();
    assert_eq!(one.engine.settlement(), other.engine.settlement());
    assert_eq!(digest(one, by), digest(other, by));
    assert_eq!(one.engine.timeline(1_000), other.engine.timeline(1_000));
    // They came in another order.
    let members = |alone: &Alone| {
        let mut members = alone.engine.members();
        members.sort_unstable_by_key(|member| member.id);
        members
    };
    assert_eq!(members(one), members(other));
}

/// The votes that come with a header hold no more.
pub fn spoil_votes(height: &mut Settled) {
    height.proof.as_mut().unwrap().checkpoint.certificate.votes[0].1.0[5] ^= 1;
}
