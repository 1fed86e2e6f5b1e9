//! For tests, here and in the crates above: a mutator of messages, and a small circle to take messages from.
//!
//! Everything follows from a seed, so that a failure is found again; [`besiege`] prints the seed of the attack that
//! panicked. Built under `cfg(test)` and the feature `hostile` only.

extern crate std;

mod meter;
#[cfg(test)]
mod tests;

pub use meter::Meter;

use crate::bytes::{CircleId, EntryId, HeaderHash, MemberId};
use crate::entry::{Admission, Anchor, Entry, Head, Invite, Lane, Packed, Role, Signed, VERSION, hash_body};
use crate::genesis::{self, Genesis, Kind, Rules};
use crate::keys::{DeviceKey, Identity, InviteSecret, VoteSecret};
use crate::op::{Operation, Talk};
use crate::seal::{self, BodyContext, LaneKey, LaneKeys};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A small random generator (SplitMix64): seeded, quick, and no more than a test needs.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.number() % bound as u64) as usize }
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.number() as u8)
    }

    /// A range within `len`, short more often than long.
    fn range(&mut self, len: usize) -> core::ops::Range<usize> {
        let start = self.below(len);
        let most = if self.below(2) == 0 { 8 } else { len };
        start..(start + 1 + self.below(most)).min(len)
    }
}

/// Random bytes of a random length up to `max`, short ones more often.
pub fn random(max: usize, seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let most = if dice.below(2) == 0 { max.min(64) } else { max };
    let len = dice.below(most + 1);
    core::iter::repeat_with(|| dice.number() as u8).take(len).collect()
}

/// What becomes of a valid message in a liar's hands: one to four of: cut, lengthened, bits flipped, false lengths,
/// ranges swapped, doubled, taken out or filled.
pub fn mutate(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        mutate_once(&mut bytes, &mut dice);
    }
    bytes
}

fn mutate_once(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let len = bytes.len();
    let range = dice.range(len);
    if range.is_empty() {
        bytes.extend_from_slice(&dice.bytes::<3>());
        return;
    }
    match dice.below(9) {
        0 => bytes.truncate(dice.below(len)),
        1 => bytes.extend((0..=dice.below(40)).map(|_| dice.number() as u8)),
        2 => bytes[range.start] ^= 1 << dice.below(8),
        3 => bytes[range].iter_mut().for_each(|byte| *byte = dice.number() as u8),
        // A varint where a length may stand: much too long, or not in its shortest form.
        4 => {
            let lies: [&[u8]; 6] =
                [&[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff; 10], &[0x80, 0], &[0x80, 0x80, 0x04], &[0x7f], &[0]];
            let lie = lies[dice.below(lies.len())];
            bytes.splice(range.start..range.start + 1, lie.iter().copied());
        }
        5 => bytes[range.start] = bytes[range.start].wrapping_add(1),
        6 => {
            let other = dice.below(len - range.len() + 1);
            for at in 0..range.len() {
                bytes.swap(range.start + at, other + at);
            }
        }
        7 => drop(bytes.drain(range)),
        _ => {
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
    }
}

/// Attacks a decoder with `rounds` mutations of the valid messages and as many random ones. The decoder must return;
/// what panicked is printed as a seed for [`mutate`] or [`random`].
pub fn besiege(valid: &[Vec<u8>], rounds: u64, mut decoder: impl FnMut(&[u8])) {
    let longest = valid.iter().map(Vec::len).max().unwrap_or(0);
    for seed in 0..rounds {
        let _told = Told("mutate", seed);
        let message = &valid[seed as usize % valid.len()];
        decoder(&mutate(message, seed));
    }
    for seed in 0..rounds {
        let _told = Told("random", seed);
        decoder(&random(2 * longest, seed));
    }
}

/// Flips each bit of a valid message, one at a time, and demands that the change is refused.
///
/// # Panics
/// When one is accepted, with its place.
pub fn flip_every_bit(valid: &[u8], mut accepted: impl FnMut(&[u8]) -> bool) {
    assert!(accepted(valid), "the message is accepted as it is");
    let mut bytes = valid.to_vec();
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepted(&bytes), "accepted with bit {} of byte {} changed", bit % 8, bit / 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Tells the seed if the attack panics.
struct Told(&'static str, u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!("the attack: {} with seed {}", self.0, self.1);
        }
    }
}

/// A person with one device, which writes a chain of entries.
pub struct Person {
    /// The member.
    pub identity: Identity,
    /// The device.
    pub device: DeviceKey,
    /// What the member is called.
    pub name: String,
    /// The next entry's seq.
    pub seq: u64,
    /// The newest entry, if there is one.
    pub head: Option<Head>,
    dice: Dice,
}

impl Person {
    /// A person made of a seed; two of one seed are one.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0x706f_7273);
        Person {
            identity: Identity::from_secret(dice.bytes()),
            device: DeviceKey::from_secret(dice.bytes()),
            name: format!("person {seed}"),
            seq: 0,
            head: None,
            dice,
        }
    }

    /// The same person with another device, which has written nothing yet.
    pub fn with_new_device(&mut self) -> Self {
        let device = DeviceKey::from_secret(self.dice.bytes());
        let dice = Dice::new(self.dice.number());
        Person { identity: self.identity.clone(), device, name: self.name.clone(), seq: 0, head: None, dice }
    }

    /// The member's id.
    pub fn member(&self) -> MemberId {
        self.identity.member()
    }
}

/// A circle with its founder, who has written nothing yet.
pub struct Circle {
    /// What it starts from.
    pub genesis: Genesis,
    /// Its id.
    pub id: CircleId,
    /// The keys of epoch 0.
    pub keys: LaneKeys,
    /// The founder.
    pub founder: Person,
    /// The founder's vote secret: the sole witness.
    pub vote: VoteSecret,
}

impl Circle {
    /// A private circle made of a seed, by [`Rules::default`].
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let founder = Person::new(dice.number());
        let vote = VoteSecret::from_secret(dice.bytes());
        let genesis = Genesis {
            version: genesis::VERSION,
            name: "circle".to_string(),
            kind: Kind::Private,
            founder: founder.member(),
            device: founder.device.id(),
            box_key: founder.device.box_key(),
            vote_key: vote.key(),
            rules: Rules::default(),
            salt: dice.bytes(),
            created: 1_000,
            succeeds: None,
        };
        let id = genesis.id();
        let state = LaneKey::from_secret(dice.bytes());
        let keys = LaneKeys { epoch: id.into(), state, talk: Some(LaneKey::from_secret(dice.bytes())) };
        Circle { genesis, id, keys, founder, vote }
    }

    /// The founder's seq 0: an admission without invite, and the join.
    pub fn founders_join(&mut self) -> Packed {
        let mut founder = core::mem::replace(&mut self.founder, Person::new(0));
        let admission = founder.identity.admit(self.id, &founder.device, Role::Write, None);
        let join = Operation::Join { name: founder.name.clone() };
        let packed = self.first(&mut founder, admission, &join);
        self.founder = founder;
        packed
    }

    /// The newcomer's seq 0 by an invite: admission and join.
    pub fn join(&self, person: &mut Person, secret: &InviteSecret, invite: Invite) -> Packed {
        let invited = secret.invited(self.id, person.member(), person.device.id(), invite);
        let admission = person.identity.admit(self.id, &person.device, Role::Write, Some(invited));
        let join = Operation::Join { name: person.name.clone() };
        self.first(person, admission, &join)
    }

    /// The seq 0 of a member's further device.
    pub fn enrol(&self, person: &mut Person) -> Packed {
        let admission = person.identity.admit(self.id, &person.device, Role::Write, None);
        self.first(person, admission, &Operation::Enrol)
    }

    fn first(&self, person: &mut Person, admission: Admission, operation: &Operation) -> Packed {
        self.write(person, &[], Lane::State, Some(admission), &operation.encode())
    }

    /// The founder gives an invite (ten uses, expiring at a million): its secret, the invite and the entry.
    pub fn invite(&mut self, seed: u64) -> (InviteSecret, Invite, Packed) {
        let secret = InviteSecret::from_secret(Dice::new(seed).bytes());
        let mut founder = core::mem::replace(&mut self.founder, Person::new(0));
        let invite = Invite::issue(self.id, &secret, &founder.device, 10, 1_000_000);
        let packed = self.operate(&mut founder, &[], &Operation::Invite(invite));
        self.founder = founder;
        (secret, invite, packed)
    }

    /// The person's next entry, in the state lane.
    pub fn operate(&self, person: &mut Person, approves: &[Head], operation: &Operation) -> Packed {
        self.write(person, approves, Lane::State, None, &operation.encode())
    }

    /// The person's next entry, in the talk lane.
    pub fn post(&self, person: &mut Person, approves: &[Head], text: &str) -> Packed {
        self.write(person, approves, Lane::Talk, None, &Talk::Post { text: text.to_string() }.encode())
    }

    /// The person's next entry with any body, at the time 1,000 plus its seq and with the genesis as checkpoint.
    #[allow(clippy::expect_used)]
    pub fn write(
        &self,
        person: &mut Person,
        approves: &[Head],
        lane: Lane,
        admission: Option<Admission>,
        plain: &[u8],
    ) -> Packed {
        let nonce = person.dice.bytes();
        let mut approves = approves.to_vec();
        approves.sort_unstable();
        let mut entry = Entry {
            version: VERSION,
            device: person.device.id(),
            seq: person.seq,
            prev: person.head.map_or(EntryId::from(self.id), |head| head.id),
            approves,
            time: 1_000 + person.seq,
            checkpoint: Anchor { height: 0, hash: HeaderHash(self.id.0) },
            lane,
            epoch: self.keys.epoch,
            body_hash: hash_body(&[]),
            body_len: 0,
            admission: admission.map(Box::new),
        };
        let key = self.keys.lane(lane).expect("a fixture's circle has both keys");
        let body = seal::seal_body(&BodyContext::of(self.id, &entry), key, nonce, plain).expect("the body fits");
        entry.body_hash = hash_body(&body);
        entry.body_len = body.len() as u32;
        person.head = Some(entry.head(entry.id(self.id)));
        person.seq += 1;
        Packed { signed: Signed::sign(entry, self.id, &person.device), body: Some(body), erasure: None }
    }
}
