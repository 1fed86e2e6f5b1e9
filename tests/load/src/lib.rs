//! A circle with a long history, and a member who takes all of it in: what the benchmarks measure, natively and in a page.
//!
//! It takes all that a node does: an answer's bytes are decoded, ids hashed, form and signatures checked, the DAG, index
//! and timeline filled, the log's items encoded. The relay's answers are made in a first run and found again by their
//! questions, so that its work is not counted; a question never asked before is answered on the clock.

use std::collections::{HashMap, VecDeque};

use ledgerno_engine::wire::{Answer, Ask, circle_of};
use ledgerno_engine::{Engine, Event, Item, Keyring, Limits, OpenError, Output, Peer, Seat};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::check::Checked;
use ledgerno_ledger::dag::{self, Dag};
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::settle::Chain;

/// The clock of engines and fixtures, in milliseconds.
pub const NOW: u64 = 100_000;
/// How many come by one invite of the fixtures.
const USES: usize = 10;
/// The relay's key; it signs nothing.
pub const RELAY: Peer = DeviceId([7; 32]);

/// What a new node has stored: no records,
pub const NO_RECORDS: [(&str, &[u8]); 0] = [];
/// and no log.
pub const NO_LOG: [&[u8]; 0] = [];

/// Why the work could not be done.
#[derive(Debug)]
pub enum Fault {
    /// An engine did not open.
    Open(OpenError),
    /// A question is none, or has no answer.
    Question,
    /// The reader never held what the relay holds.
    Differs,
    /// The history could not be settled.
    Unsettled,
}

/// A circle's history at a relay, and a member who has none of it.
pub struct Load {
    circle: Circle,
    reader: Person,
    relay: Engine,
    entries: Vec<Packed>,
    /// What the relay answered, by question.
    answers: HashMap<Vec<u8>, Vec<u8>>,
}

impl Load {
    /// Makes a history of `entries` entries by `authors` members besides the reader: joins, invites, and then posts of
    /// 100 characters in turn, each approving the two before it. Nothing of it is settled.
    pub fn new(entries: usize, authors: usize) -> Result<Self, Fault> {
        Self::settled(entries, authors, usize::MAX)
    }

    /// As [`Load::new`], where each header settles so many entries, and the last may be left over: settled history is
    /// taken in by hash.
    pub fn settled(entries: usize, authors: usize, by_header: usize) -> Result<Self, Fault> {
        let mut circle = Circle::new(1);
        let (reader, entries) = history(&mut circle, entries, authors);
        let log = settle(&circle, &entries, by_header)?;
        let limits = Limits { snapshot_every: usize::MAX, ..Limits::default() };
        let relay = Engine::open(circle.genesis.clone(), Seat::Keeper, limits, log, NO_RECORDS, [1; 32]);
        Ok(Self { circle, reader, relay: relay.map_err(Fault::Open)?, entries, answers: HashMap::new() })
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// What is signed in each entry, one after the other: the key (32 bytes), the message (32), the signature (64).
    pub fn claims(&self) -> Vec<u8> {
        let claim = |packed: &Packed| {
            let signed = &packed.signed;
            [&signed.entry.device.0[..], &signed.entry.id(self.circle.id).0, &signed.signature.0].concat()
        };
        self.entries.iter().flat_map(claim).collect()
    }

    /// The member's engine, on a device that holds nothing yet.
    pub fn reader(&self) -> Result<Engine, Fault> {
        let seat = Seat::Member {
            device: self.reader.device.clone(),
            identity: self.reader.identity.clone(),
            keyring: Keyring::new(self.circle.id, self.circle.keys.clone()),
            vote: None,
        };
        let engine = Engine::open(self.circle.genesis.clone(), seat, Limits::default(), NO_LOG, NO_RECORDS, [2; 32]);
        engine.map_err(Fault::Open)
    }

    /// What the relay answers, or has answered.
    pub fn answer(&mut self, ask: &Ask) -> Result<&[u8], Fault> {
        let question = ask.to_bytes(self.circle.id);
        if !self.answers.contains_key(&question) {
            let (_, bytes) = circle_of(&question).ok_or(Fault::Question)?;
            let ask = Ask::from_bytes(ask.kind(), bytes).map_err(|_| Fault::Question)?;
            self.relay.asked(self.reader.device.id(), 1, ask, NOW);
            while let Some(output) = self.relay.output() {
                if let Output::Answer { answer, .. } = output {
                    self.answers.insert(question.clone(), answer.to_bytes());
                }
            }
        }
        self.answers.get(&question).map(Vec::as_slice).ok_or(Fault::Question)
    }

    /// Takes all of it in by a disk that takes no time: the engine, which holds it now.
    pub fn ingest(&mut self) -> Result<Engine, Fault> {
        let mut reader = self.reader()?;
        let mut same = false;
        reader.connected(RELAY, NOW);
        while let Some(output) = reader.output() {
            match output {
                Output::Write { no, .. } => reader.written(no, NOW),
                Output::Ask { no, ask, .. } => reader.answered(no, Answer::from_bytes(self.answer(&ask)?).ok(), NOW),
                Output::Event(Event::Synced { .. }) => same = true,
                Output::Read { .. }
                | Output::Replace { .. }
                | Output::Publish { .. }
                | Output::Answer { .. }
                | Output::Event(_) => {}
            }
        }
        if same { Ok(reader) } else { Err(Fault::Differs) }
    }
}

/// The log of who holds all of it, with the sole witness's headers.
fn settle(circle: &Circle, entries: &[Packed], by_header: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let (mut dag, mut chain) = (Dag::new(&circle.genesis, dag::Limits::default()), Chain::new(&circle.genesis));
    let (keyring, founder) = (Keyring::new(circle.id, circle.keys.clone()), circle.founder.device.id());
    let mut log = Vec::new();
    for entries in entries.chunks(by_header) {
        log.extend(entries.iter().map(|packed| Item::Entry(packed.clone()).to_bytes()));
        if entries.len() < by_header {
            break;
        }
        for packed in entries {
            dag.insert(Checked::stored(circle.id, packed.clone())).map_err(|_| Fault::Unsettled)?;
        }
        let next = chain.next(&dag, Some(&keyring), founder, NOW);
        let block = next.ok().flatten().ok_or(Fault::Unsettled)?;
        let proof = chain.certify(&block, &circle.vote);
        chain.adopt(&mut dag, block, proof.clone());
        log.push(Item::Proof(proof).to_bytes());
    }
    Ok(log)
}

/// A history of `count` entries by `authors` members, and a member besides who has written nothing but their join.
pub fn history(circle: &mut Circle, count: usize, authors: usize) -> (Person, Vec<Packed>) {
    let mut entries = vec![circle.founders_join()];
    let mut people: Vec<Person> = Vec::new();
    while people.len() <= authors {
        let (secret, invite, packed) = circle.invite(people.len() as u64);
        entries.push(packed);
        for _ in 0..USES.min(authors + 1 - people.len()) {
            let mut person = Person::new(1_000 + people.len() as u64);
            entries.push(circle.join(&mut person, &secret, invite));
            people.push(person);
        }
    }
    let reader = people.remove(0);
    let mut before: VecDeque<Head> = VecDeque::new();
    for number in entries.len()..count {
        let author = number % people.len();
        let person = &mut people[author];
        let text = format!("{number:0>100}");
        let approves: Vec<Head> = before.iter().filter(|head| head.device != person.device.id()).copied().collect();
        entries.push(circle.post(person, &approves, &text));
        before.extend(person.head);
        if before.len() > 2 {
            before.pop_front();
        }
    }
    (reader, entries)
}
