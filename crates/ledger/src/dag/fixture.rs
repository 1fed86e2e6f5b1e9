//! A small circle for the tests of the DAG, the fold and the settlement. Bodies are not sealed here: the opener gives
//! them as they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{Dag, Limits, Outcome};
use crate::bytes::{CircleId, EntryId, HeaderHash, MemberId};
use crate::check::Checked;
use crate::entry::{Admission, Anchor, Entry, Head, Invite, Lane, Packed, Role, Signed, VERSION, hash_body};
use crate::genesis::{self, Genesis, Kind, Rules};
use crate::keys::{DeviceKey, Identity, InviteSecret, VoteSecret};
use crate::op::Operation;
use crate::settle::Opener;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;

/// When everything here happens.
pub const NOW: u64 = 1_000_000;
/// When the invites here expire.
pub const EXPIRY: u64 = NOW + 1_000;

pub struct Plain;

impl Opener for Plain {
    fn open(&self, _: &Entry, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(sealed.to_vec())
    }

    fn salt(&self) -> [u8; 32] {
        [7; 32]
    }
}

pub struct Person {
    pub identity: Identity,
    pub device: DeviceKey,
}

impl Person {
    pub fn new(seed: u8) -> Self {
        Person { identity: Identity::from_secret([seed; 32]), device: DeviceKey::from_secret([seed ^ 0x80; 32]) }
    }

    pub fn member(&self) -> MemberId {
        self.identity.member()
    }
}

/// What a test says of an entry; the rest follows.
#[derive(Default)]
pub struct Draft {
    pub seq: u64,
    pub prev: Option<EntryId>,
    pub approves: Vec<Head>,
    pub admission: Option<Admission>,
    pub operation: Option<Operation>,
    pub time: Option<u64>,
    pub text: String,
}

pub struct World {
    pub genesis: Genesis,
    pub circle: CircleId,
    pub founder: Person,
    pub vote: VoteSecret,
}

impl World {
    pub fn new() -> Self {
        Self::with(Rules::default())
    }

    pub fn with(rules: Rules) -> Self {
        let (founder, vote) = (Person::new(1), VoteSecret::from_secret([0xee; 32]));
        let genesis = Genesis {
            version: genesis::VERSION,
            name: "circle".to_string(),
            kind: Kind::Private,
            founder: founder.member(),
            device: founder.device.id(),
            box_key: founder.device.box_key(),
            vote_key: vote.key(),
            rules,
            salt: [9; 32],
            created: NOW - 1_000,
            succeeds: None,
        };
        World { circle: genesis.id(), genesis, founder, vote }
    }

    pub fn dag(&self) -> Dag {
        Dag::new(&self.genesis, Limits::default())
    }

    /// An entry as drafted: in the talk lane if it bears no operation.
    pub fn write(&self, device: &DeviceKey, draft: Draft) -> Checked {
        let (lane, body) = match &draft.operation {
            Some(operation) => (Lane::State, operation.encode()),
            None => (Lane::Talk, draft.text.into_bytes()),
        };
        let mut approves = draft.approves;
        approves.sort_unstable();
        let entry = Entry {
            version: VERSION,
            device: device.id(),
            seq: draft.seq,
            prev: draft.prev.unwrap_or(self.circle.into()),
            approves,
            time: draft.time.unwrap_or(NOW),
            checkpoint: Anchor { height: 0, hash: HeaderHash(self.circle.0) },
            lane,
            epoch: self.circle.into(),
            body_hash: hash_body(&body),
            body_len: body.len() as u32,
            admission: draft.admission.map(Box::new),
        };
        Checked::stored(
            self.circle,
            Packed { signed: Signed::sign(entry, self.circle, device), body: Some(body), erasure: None },
        )
    }

    pub fn invite(&self, secret: &InviteSecret, issuer: &DeviceKey, uses: u32) -> Invite {
        Invite::issue(self.circle, secret, issuer, uses, EXPIRY)
    }

    pub fn founds(&self) -> Checked {
        let admission = self.founder.identity.admit(self.circle, &self.founder.device, Role::Write, None);
        let join = Operation::Join { name: "founder".to_string() };
        self.write(
            &self.founder.device,
            Draft { admission: Some(admission), operation: Some(join), ..Draft::default() },
        )
    }

    /// A newcomer's first entry.
    pub fn joins(&self, person: &Person, secret: &InviteSecret, invite: Invite, approves: Vec<Head>) -> Checked {
        let invited = secret.invited(self.circle, person.member(), person.device.id(), invite);
        let admission = person.identity.admit(self.circle, &person.device, Role::Write, Some(invited));
        let operation = Some(Operation::Join { name: "somebody".to_string() });
        self.write(&person.device, Draft { admission: Some(admission), operation, approves, ..Draft::default() })
    }

    /// The first entry of a member's further device.
    pub fn enrols(&self, identity: &Identity, device: &DeviceKey, role: Role) -> Checked {
        let admission = Some(identity.admit(self.circle, device, role, None));
        self.write(device, Draft { admission, operation: Some(Operation::Enrol), ..Draft::default() })
    }

    /// The entry after `prev` of the same device.
    pub fn follows(&self, device: &DeviceKey, prev: &Checked, draft: Draft) -> Checked {
        assert_eq!(prev.entry().device, device.id());
        self.write(device, Draft { seq: prev.entry().seq + 1, prev: Some(prev.id()), ..draft })
    }
}

pub fn head(checked: &Checked) -> Head {
    checked.entry().head(checked.id())
}

pub fn talk(text: &str) -> Draft {
    Draft { text: text.to_string(), ..Draft::default() }
}

pub fn operation(operation: Operation) -> Draft {
    Draft { operation: Some(operation), ..Draft::default() }
}

/// Inserts, and demands that it is taken.
pub fn take(dag: &mut Dag, checked: &Checked) -> Vec<EntryId> {
    match dag.insert(checked.clone()) {
        Ok(Outcome::Taken(ids)) => ids,
        other => panic!("not taken: {other:?}"),
    }
}

/// One step of a made-up history: who writes, what, building on what.
#[derive(Clone, Debug)]
pub struct Step {
    who: usize,
    forks: bool,
    approves: Vec<prop::sample::Index>,
    what: u8,
    amount: u64,
    to: usize,
}

pub fn steps(max: usize, forks: bool) -> impl Strategy<Value = Vec<Step>> {
    let fork = if forks { 0u8..12 } else { 1u8..2 };
    let approves = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let step = (0usize..7, fork, approves, 0u8..8, 0u64..160, 0usize..7)
        .prop_map(|(who, fork, approves, what, amount, to)| Step { who, forks: fork == 0, approves, what, amount, to });
    prop::collection::vec(step, 1..max)
}

/// The people of a made-up history: the founder, five more of whom two invites (of 2 and 1 uses) admit, and one more
/// device of the founder's.
pub struct History {
    pub world: World,
    /// In an order in which all of them are taken.
    pub entries: Vec<Checked>,
}

impl History {
    /// Plays the steps. A device writes its join when its turn comes first; at most three steps fork.
    pub fn play(steps: &[Step]) -> Self {
        let world = World::new();
        let secrets = [InviteSecret::from_secret([0xa1; 32]), InviteSecret::from_secret([0xa2; 32])];
        let invites =
            [world.invite(&secrets[0], &world.founder.device, 2), world.invite(&secrets[1], &world.founder.device, 1)];
        let people: Vec<Person> = (1..=7).map(Person::new).collect();
        let founding = world.founds();
        let mut chains: Vec<Vec<Checked>> = (0..7).map(|_| Vec::new()).collect();
        let mut entries = alloc::vec![founding.clone()];
        chains[0].push(founding);
        let mut forks_left = 3;
        for (at, step) in steps.iter().enumerate() {
            let person = &people[step.who];
            let mut approves: Vec<Head> = Vec::new();
            for index in &step.approves {
                let named = head(index.get(&entries));
                let alike = approves.iter().filter(|other| other.device == named.device).count();
                if named.device != person.device.id() && alike < 2 && !approves.contains(&named) {
                    approves.push(named);
                }
            }
            let mut draft = match step.what {
                0..=3 => talk(&at.to_string()),
                4 => operation(Operation::Invite(invites[usize::from(step.amount % 2 == 0)])),
                _ => {
                    let to = people[step.to].member();
                    operation(Operation::Transfer { to, amount: step.amount, reason: at.to_string().into_bytes() })
                }
            };
            draft.approves = approves;
            // No two entries are one.
            draft.time = Some(NOW + at as u64);
            let tips = &chains[step.who];
            let written = match tips.last() {
                None if step.who == 6 => world.enrols(&world.founder.identity, &person.device, Role::Write),
                None => {
                    let which = usize::from(step.who > 3);
                    world.joins(person, &secrets[which], invites[which], draft.approves)
                }
                // A fork: from the entry before the newest.
                Some(_) if step.forks && forks_left > 0 && tips.len() > 1 => {
                    forks_left -= 1;
                    world.follows(&person.device, &tips[tips.len() - 2], draft)
                }
                Some(tip) => world.follows(&person.device, tip, draft),
            };
            chains[step.who].push(written.clone());
            entries.push(written);
        }
        History { world, entries }
    }
}

/// A permutation of `0..len` with some doubled, made of random numbers.
pub fn shuffled(len: usize, dice: &[u16]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).chain((0..len).filter(|at| dice[at % dice.len()].is_multiple_of(3))).collect();
    for at in (1..order.len()).rev() {
        let other = usize::from(dice[(at * 7) % dice.len()]).wrapping_mul(at + 13) % (at + 1);
        order.swap(at, other);
    }
    order
}
