//! Whole circles made up from a seed, written and settled: every platform must end at the same roots. What is written is
//! mixed at random; devices fork, weeks pass, and some of it is void.

use super::{Format, Frozen};
use crate::bytes::Hash;
use crate::check::check;
use crate::dag::{self, Dag};
use crate::entry::{Anchor, Entry, Head, Invite, Packed};
use crate::genesis::Rules;
use crate::hostile::{Circle, Dice, Person};
use crate::keys::InviteSecret;
use crate::op::{Change, Operation};
use crate::seal::open_body;
use crate::settle::{Chain, Opener};
use crate::state::Verdict;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

const CIRCLES: u64 = 16;
/// Entries in each, but for its beginning.
const STEPS: usize = 60;
/// Members who come at the beginning, the founder among them; one more comes late.
const EARLY: usize = 4;
/// When the beginning is settled. The invite expires soon after.
const BEGIN: u64 = 500_000;
/// How much later each header is settled, in milliseconds: a day.
const APART: u64 = 86_400_000;

pub fn roots() -> Vec<Format> {
    let none = Format::values("roots of made-up circles", Frozen(1));
    vec![(1..=CIRCLES).fold(none, |format, seed| {
        let told = Told::new(seed);
        let Anchor { height, hash } = told.chain.head();
        let counts = format!("{} entries changed the state and {} are void", told.applied, told.void);
        format.value(&format!("the last header of circle {seed}, at height {height}: {counts}"), hash.0)
    })]
}

/// A circle while it is made up.
struct Told {
    dice: Dice,
    circle: Circle,
    invite: (InviteSecret, Invite),
    /// The founder first.
    people: Vec<Person>,
    dag: Dag,
    chain: Chain,
    /// Proposals made so far.
    proposed: Vec<Head>,
    applied: usize,
    void: usize,
}

impl Told {
    fn new(seed: u64) -> Self {
        let mut circle = Circle::new(seed);
        let first = circle.founders_join();
        let (secret, invite, gives) = circle.invite(seed);
        let founder = core::mem::replace(&mut circle.founder, Person::new(0));
        let dag = Dag::new(&circle.genesis, dag::Limits::default());
        let (chain, dice) = (Chain::new(&circle.genesis), Dice::new(seed));
        let (invite, people) = ((secret, invite), vec![founder]);
        let mut told = Told { dice, circle, invite, people, dag, chain, proposed: Vec::new(), applied: 0, void: 0 };
        told.take(first);
        told.take(gives);
        (1..EARLY).for_each(|_| told.joins());
        told.settle();
        for step in 0..STEPS {
            if step == STEPS / 2 {
                told.joins();
            }
            told.step();
            if told.dice.below(6) == 0 {
                told.settle();
            }
        }
        told.settle();
        told
    }

    #[allow(clippy::expect_used)]
    fn take(&mut self, packed: Packed) {
        let checked = check(self.circle.id, packed).expect("what is made up holds");
        self.dag.insert(checked).expect("what is made up in order is taken");
    }

    fn joins(&mut self) {
        let mut person = Person::new(self.dice.number());
        let packed = self.circle.join(&mut person, &self.invite.0, self.invite.1);
        self.people.push(person);
        self.take(packed);
    }

    /// Somebody writes something, now and then beside the entry before it: a fork.
    fn step(&mut self) {
        let who = self.dice.below(self.people.len());
        let before = (self.people[who].seq, self.people[who].head);
        self.writes(who);
        if self.dice.below(60) == 0 {
            (self.people[who].seq, self.people[who].head) = before;
            self.writes(who);
        }
    }

    fn writes(&mut self, who: usize) {
        let others = self.people.iter().enumerate().filter(|(at, _)| *at != who).filter_map(|(_, other)| other.head);
        let approves: Vec<Head> = others.filter(|_| self.dice.below(2) == 0).collect();
        let operation = self.operation();
        let is_proposal = matches!(operation, Some(Operation::Propose(_)));
        let person = &mut self.people[who];
        let packed = match operation {
            Some(operation) => self.circle.operate(person, &approves, &operation),
            None => self.circle.post(person, &approves, "said"),
        };
        self.proposed.extend(person.head.filter(|_| is_proposal));
        self.take(packed);
    }

    fn operation(&mut self) -> Option<Operation> {
        let document = Hash([self.dice.below(4) as u8; 32]);
        Some(match self.dice.below(12) {
            0..=3 => return None,
            4..=6 => {
                let to = self.people[self.dice.below(self.people.len())].member();
                Operation::Transfer { to, amount: self.dice.number() % 60, reason: Vec::new() }
            }
            7 => Operation::Stamp { document, note: Vec::new() },
            8 => Operation::Endorse(document),
            9 => {
                let allowance = self.dice.number() % 40;
                Operation::Propose(Box::new(Change::Config(Rules { allowance, ..self.circle.genesis.rules.clone() })))
            }
            10 => match self.proposed.get(self.dice.below(self.proposed.len())) {
                Some(proposal) => Operation::Consent(proposal.id),
                None => Operation::Merge,
            },
            _ => Operation::Revoke { key: self.invite.1.key, issuer: self.circle.genesis.device },
        })
    }

    #[allow(clippy::expect_used)]
    fn settle(&mut self) {
        let now = BEGIN + self.chain.height() * APART;
        let proposer = self.circle.genesis.device;
        let next = self.chain.next(&self.dag, Some(&self.circle), proposer, now).expect("all bodies are here");
        let Some(block) = next else { return };
        for (_, verdict) in &block.verdicts {
            match verdict {
                Verdict::Applied => self.applied += 1,
                Verdict::Noop => {}
                Verdict::Void(_) => self.void += 1,
            }
        }
        let proof = self.chain.certify(&block, &self.circle.vote);
        self.chain.adopt(&mut self.dag, block, proof);
    }
}

impl Opener for Circle {
    fn open(&self, entry: &Entry, sealed: &[u8]) -> Option<Vec<u8>> {
        open_body(self.id, entry, self.keys.lane(entry.lane)?, sealed).ok()
    }

    fn salt(&self) -> [u8; 32] {
        self.keys.state.circle_salt()
    }
}
