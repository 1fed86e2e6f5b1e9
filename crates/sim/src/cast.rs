//! The people of a run: a circle that all have joined already, and the log that each of them begins with.
//!
//! The circle is made by engines, as in life, but without a network: the founder founds and invites, each newcomer joins
//! with what the link's parcel would hold, the founder settles. So a run begins with members and not with a crowd at the
//! door; joining itself is a scenario's matter.

use crate::host::MakeSeat;
use ledgerno_engine::wire::Topic;
use ledgerno_engine::{Engine, Item, Keyring, Limits, Output, Random, Seat, join};
use ledgerno_ledger::bytes::{DeviceId, EntryId, MemberId};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Invite, MAX_APPROVES};
use ledgerno_ledger::genesis::{Genesis, Rules};
use ledgerno_ledger::invite::{InviteLink, RelayAddress};
use ledgerno_ledger::keys::{DeviceKey, Identity, InviteSecret, VoteSecret};
use ledgerno_ledger::seal::LaneKeys;
use std::collections::BTreeMap;
use std::rc::Rc;

/// When runs begin, in milliseconds since 1970.
pub const START: u64 = 1_800_000_000_000;
/// How many join by one invite: fewer than may be unsettled at once.
const COHORT: usize = 50;
const WEEK: u64 = 7 * 24 * 3_600_000;

/// The circle could not be made: a fault of the engine.
#[derive(Debug, thiserror::Error)]
#[error("the cast: {0}")]
pub struct CastError(pub String);

fn fault(why: impl std::fmt::Display) -> CastError {
    CastError(why.to_string())
}

/// A person with one device.
#[derive(Clone)]
pub struct Person {
    identity: [u8; 32],
    device: [u8; 32],
    vote: Option<[u8; 32]>,
}

impl Person {
    fn new(random: &mut Random) -> Self {
        Person { identity: random.bytes(), device: random.bytes(), vote: None }
    }

    /// The identity.
    pub fn identity(&self) -> Identity {
        Identity::from_secret(self.identity)
    }

    /// The device's key.
    pub fn device(&self) -> DeviceKey {
        DeviceKey::from_secret(self.device)
    }

    /// The member.
    pub fn member(&self) -> MemberId {
        self.identity().member()
    }

    /// The device.
    pub fn id(&self) -> DeviceId {
        self.device().id()
    }

    /// The vote, if there is one.
    pub fn vote(&self) -> Option<VoteSecret> {
        self.vote.map(VoteSecret::from_secret)
    }
}

/// The circle and all who are in it.
pub struct Cast {
    /// What the circle starts from.
    pub genesis: Genesis,
    /// Its lane keys.
    pub keys: LaneKeys,
    /// The relay's device.
    pub relay: DeviceId,
    /// The records that its disk begins with.
    pub relay_records: BTreeMap<String, Vec<u8>>,
    relay_secret: [u8; 32],
    /// The state keys, at a relay that was enlisted.
    relay_keys: Option<LaneKeys>,
    /// The members, the founder first.
    pub people: Vec<Person>,
    /// What every node's log begins with.
    pub log: Vec<Rc<[u8]>>,
    /// The records that each person's disk begins with.
    pub records: Vec<BTreeMap<String, Vec<u8>>>,
    random: Random,
}

/// What an engine without network wrote.
#[derive(Default)]
struct Wrote {
    log: Vec<Vec<u8>>,
    records: BTreeMap<String, Vec<u8>>,
}

impl Wrote {
    /// The first entry that was written, as it is gossiped.
    fn gossip(&self) -> Result<Vec<u8>, CastError> {
        match self.log.first().map(|item| Item::from_bytes(item)) {
            Some(Ok(Item::Entry(packed))) => Ok(codec::encode(&packed)),
            _ => Err(fault("nothing was written")),
        }
    }

    /// Makes all durable that an engine wants written, and drops what it wants said.
    fn carry(&mut self, engine: &mut Engine) {
        while let Some(output) = engine.output() {
            let Output::Write { no, log, records } = output else { continue };
            self.log.extend(log);
            for (name, bytes) in records {
                match bytes {
                    Some(bytes) => self.records.insert(name, bytes),
                    None => self.records.remove(&name),
                };
            }
            engine.written(no, START);
        }
    }
}

impl Cast {
    /// A circle of so many members, the first of whom are its witnesses, made of a seed. A relay that votes does so alone.
    ///
    /// # Errors
    /// When an engine refuses: a fault.
    pub fn gather(
        members: usize,
        witnesses: usize,
        always_on: usize,
        relay_votes: bool,
        seed: u64,
        rules: Rules,
    ) -> Result<Self, CastError> {
        let mut wide = [0; 32];
        wide[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = Random::new(wide);
        let mut founder = Person::new(&mut random);
        let founding = join::found("Circle", &founder.identity(), &founder.device(), &mut random, START);
        let mut founding = founding.map_err(fault)?;
        founding.genesis.rules = rules;
        founding.keys.epoch = EntryId::from(founding.genesis.id());
        founder.vote = Some(*founding.vote.secret());
        let relay_secret: [u8; 32] = random.bytes();
        // One that nobody enlists signs nothing, and any name does for it.
        let relay = if relay_votes { DeviceKey::from_secret(relay_secret).id() } else { DeviceId(relay_secret) };
        let mut cast = Cast {
            genesis: founding.genesis,
            keys: founding.keys,
            relay,
            relay_records: BTreeMap::new(),
            relay_secret,
            relay_keys: None,
            people: vec![founder],
            log: Vec::new(),
            records: Vec::new(),
            random,
        };
        cast.fill(members, witnesses.min(members), always_on, relay_votes)?;
        Ok(cast)
    }

    fn fill(&mut self, members: usize, witnesses: usize, always_on: usize, relay_votes: bool) -> Result<(), CastError> {
        let mut wrote = Wrote::default();
        let seed = self.random.bytes();
        let mut founder = self.open(0, &[], seed)?;
        founder.present(None).map_err(fault)?;
        founder.enter(Some("person 0"), START).map_err(fault)?;
        wrote.carry(&mut founder);
        // All invites first: then they stand on the founder's own chain alone, and so need the joins.
        let mut invites = Vec::new();
        for first in (1..members).step_by(COHORT) {
            let uses = COHORT.min(members - first);
            invites.push((uses, invite(&mut founder, uses)?));
            wrote.carry(&mut founder);
        }
        let on_which_joins_stand = wrote.log.clone();
        for (uses, (secret, invite)) in invites {
            for _ in 0..uses {
                let joined = self.newcomer(&on_which_joins_stand, &secret, invite)?;
                founder.gossip(Topic::Entries, self.relay, &joined, START);
                wrote.carry(&mut founder);
            }
            settle(&mut founder, &mut wrote)?;
        }
        self.welcome(&mut founder, &mut wrote)?;
        self.records.resize(self.people.len(), BTreeMap::new());
        if witnesses > 1 {
            self.elect(witnesses, always_on, &mut founder, &mut wrote)?;
        }
        if relay_votes {
            self.enlist(&mut founder, &mut wrote)?;
        }
        self.log = wrote.log.into_iter().map(Rc::from).collect();
        self.records[0] = wrote.records;
        Ok(())
    }

    /// The founder writes until the joins are built upon: each newcomer knew the founder alone, where in life it would have
    /// built on the heads that it found, and a cut names all heads.
    fn welcome(&mut self, founder: &mut Engine, wrote: &mut Wrote) -> Result<(), CastError> {
        loop {
            settle(founder, wrote)?;
            let newest = wrote.log.iter().rev().find_map(|item| match Item::from_bytes(item) {
                Ok(Item::Proof(proof)) => Some(proof),
                _ => None,
            });
            let heads = newest.map_or(0, |proof| proof.cut.len());
            if heads <= MAX_APPROVES {
                return Ok(());
            }
            for _ in 0..heads.div_ceil(MAX_APPROVES) {
                founder.post("Welcome!", START).map_err(fault)?;
                wrote.carry(founder);
            }
        }
    }

    /// Members offer themselves as witnesses, and the founder takes them in, all in one step.
    fn elect(
        &mut self,
        witnesses: usize,
        always_on: usize,
        founder: &mut Engine,
        wrote: &mut Wrote,
    ) -> Result<(), CastError> {
        for id in 1..witnesses {
            let seed = self.random.bytes();
            let mut engine = self.open(id, &wrote.log, seed)?;
            engine.offer_to_witness(id < always_on, START).map_err(fault)?;
            let mut offered = Wrote::default();
            offered.carry(&mut engine);
            founder.gossip(Topic::Entries, self.relay, &offered.gossip()?, START);
            self.records[id] = offered.records;
            wrote.carry(founder);
        }
        settle(founder, wrote)?;
        let promoted = self.people[1..witnesses].iter().map(Person::id).collect();
        founder.change_witnesses(promoted, Vec::new(), START).map_err(fault)?;
        wrote.carry(founder);
        settle(founder, wrote)?;
        match founder.witness_count() {
            elected if elected == witnesses => Ok(()),
            elected => Err(fault(format!("{elected} witnesses were elected"))),
        }
    }

    /// The founder enlists the relay, and it takes the vote over.
    fn enlist(&mut self, founder: &mut Engine, wrote: &mut Wrote) -> Result<(), CastError> {
        let key = DeviceKey::from_secret(self.relay_secret);
        let (admission, keys) = founder.enlist(self.relay, key.box_key()).map_err(fault)?;
        self.relay_keys = keys.open(self.genesis.id(), &key).and_then(|keys| keys.into_iter().next());
        let mut relay = self.open_seat(self.relay_seat()(), &wrote.log, [1; 32])?;
        relay.enlisted(admission);
        relay.enter(None, START).map_err(fault)?;
        let mut entered = Wrote::default();
        entered.carry(&mut relay);
        founder.gossip(Topic::Entries, self.relay, &entered.gossip()?, START);
        wrote.carry(founder);
        settle(founder, wrote)?;
        let seed = self.random.bytes();
        let mut relay = self.open_seat(self.relay_seat()(), &wrote.log, seed)?;
        relay.offer_to_witness(true, START).map_err(fault)?;
        let mut offered = Wrote::default();
        offered.carry(&mut relay);
        founder.gossip(Topic::Entries, self.relay, &offered.gossip()?, START);
        self.relay_records = offered.records;
        wrote.carry(founder);
        settle(founder, wrote)?;
        founder.change_witnesses(vec![self.relay], vec![self.people[0].id()], START).map_err(fault)?;
        wrote.carry(founder);
        settle(founder, wrote)?;
        let voting: Vec<DeviceId> = founder.witnesses().iter().filter(|one| one.votes).map(|one| one.device).collect();
        if voting == [self.relay] { Ok(()) } else { Err(fault("the relay does not vote")) }
    }

    /// A newcomer joins, over a log that admits it: the bytes of its join, as they are gossiped.
    fn newcomer(&mut self, log: &[Vec<u8>], secret: &InviteSecret, invite: Invite) -> Result<Vec<u8>, CastError> {
        let id = self.people.len();
        self.people.push(Person::new(&mut self.random));
        let seed = self.random.bytes();
        let mut engine = self.open(id, log, seed)?;
        engine.present(Some((secret, invite))).map_err(fault)?;
        engine.enter(Some(&format!("person {id}")), START).map_err(fault)?;
        let mut wrote = Wrote::default();
        wrote.carry(&mut engine);
        wrote.gossip()
    }

    fn open(&self, person: usize, log: &[Vec<u8>], seed: [u8; 32]) -> Result<Engine, CastError> {
        self.open_seat(self.seat(person), log, seed)
    }

    fn open_seat(&self, seat: Seat, log: &[Vec<u8>], seed: [u8; 32]) -> Result<Engine, CastError> {
        let nothing = Vec::<(String, Vec<u8>)>::new();
        Engine::open(self.genesis.clone(), seat, Limits::default(), log, nothing, seed).map_err(fault)
    }

    /// A person's seat.
    pub fn seat(&self, person: usize) -> Seat {
        (self.make_seat(person))()
    }

    /// Makes a person's seat, as often as it is wanted.
    pub fn make_seat(&self, person: usize) -> MakeSeat {
        let (one, circle, keys) = (self.people[person].clone(), self.genesis.id(), self.keys.clone());
        Rc::new(move || Seat::Member {
            device: one.device(),
            identity: one.identity(),
            keyring: Keyring::new(circle, keys.clone()),
            vote: one.vote(),
        })
    }

    /// Makes the relay's seat: a witness's, if it was enlisted.
    pub fn relay_seat(&self) -> MakeSeat {
        let Some(keys) = self.relay_keys.clone() else { return Rc::new(|| Seat::Keeper) };
        let (secret, circle) = (self.relay_secret, self.genesis.id());
        Rc::new(move || Seat::Witness {
            device: DeviceKey::from_secret(secret),
            keyring: Keyring::new(circle, keys.clone()),
        })
    }

    /// One more person, who has not joined.
    pub fn stranger(&mut self) -> Person {
        Person::new(&mut self.random)
    }
}

/// The founder's next invite.
fn invite(founder: &mut Engine, uses: usize) -> Result<(InviteSecret, Invite), CastError> {
    let uses = u32::try_from(uses).map_err(fault)?;
    let nowhere = Vec::<RelayAddress>::new();
    let (invitation, _) = founder.invite(uses, START + WEEK, nowhere, START).map_err(fault)?;
    let link = InviteLink::from_token(&invitation.token).map_err(fault)?;
    Ok((link.invite_secret(), invitation.invite))
}

/// Rings the founder's timer until all is settled.
fn settle(founder: &mut Engine, wrote: &mut Wrote) -> Result<(), CastError> {
    for _ in 0..1_000 {
        let Some(due) = founder.due() else { break };
        founder.tick(due);
        wrote.carry(founder);
    }
    match founder.settlement().unsettled {
        0 => Ok(()),
        left => Err(fault(format!("{left} entries are not settled"))),
    }
}
