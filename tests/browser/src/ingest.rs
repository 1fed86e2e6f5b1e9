//! How fast a page takes a circle in: the real engine asks a relay's engine for 10,000 entries and writes them to
//! IndexedDB, as the driver does: a write is under way while the next answer is taken in.
//!
//! It takes all that the page does: an answer's bytes are decoded, ids hashed, form and signatures checked, the DAG,
//! index and timeline filled, the log's items encoded and made durable. The relay's answers are made in a first run and
//! found again by their questions, so that its work is not counted; a question never asked before is answered on the
//! clock.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;

use bytes::Bytes;
use futures::future::{Either, select};
use idb::Factory;
use js_sys::{Function, Promise, Uint8Array};
use ledgerno_engine::wire::{Answer, Ask, circle_of};
use ledgerno_engine::{Engine, Event, Item, Keyring, Limits, Output, Peer, Seat};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_node::store::idb::IndexedDb;
use ledgerno_node::store::{Batch, Space, Store};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_time::Instant;

use crate::store::shown;

/// The clock of engines and fixtures, in milliseconds.
const NOW: u64 = 100_000;
/// How many come by one invite of the fixtures.
const USES: usize = 10;
/// The relay's key; it signs nothing.
const RELAY: Peer = DeviceId([7; 32]);

/// A circle's history at a relay, and a member who has none of it.
#[wasm_bindgen]
pub struct Ingest {
    circle: Circle,
    reader: Person,
    relay: Engine,
    entries: Vec<Packed>,
    /// What the relay answered, by question.
    answers: HashMap<Vec<u8>, Vec<u8>>,
}

#[wasm_bindgen]
impl Ingest {
    /// Makes a history of `entries` entries by `authors` members besides the reader: joins, invites, and then posts of
    /// 100 characters in turn, each approving the two before it.
    #[wasm_bindgen(constructor)]
    pub fn new(entries: usize, authors: usize) -> Result<Self, JsValue> {
        let mut circle = Circle::new(1);
        let (reader, entries) = history(&mut circle, entries, authors);
        let log = entries.iter().map(|packed| Item::Entry(packed.clone()).to_bytes());
        let relay = Engine::open(circle.genesis.clone(), Seat::Keeper, Limits::default(), log, NO_RECORDS, [1; 32]);
        Ok(Self { circle, reader, relay: relay.map_err(error)?, entries, answers: HashMap::new() })
    }

    /// What is signed in each entry, one after the other: the key (32 bytes), the message (32), the signature (64).
    pub fn claims(&self) -> Uint8Array {
        let claim = |packed: &Packed| {
            let signed = &packed.signed;
            [&signed.entry.device.0[..], &signed.entry.id(self.circle.id).0, &signed.signature.0].concat()
        };
        Uint8Array::from(self.entries.iter().flat_map(claim).collect::<Vec<u8>>().as_slice())
    }

    /// Takes all of it in, into a new database: milliseconds until the last entry is durable and the reader knows that
    /// nothing is missing. `travels` gives a promise, which an answer takes to arrive.
    pub async fn run(&mut self, travels: &Function) -> Result<f64, JsValue> {
        let name = format!("ingest-{}-{}", js_sys::Date::now(), js_sys::Math::random());
        let store = IndexedDb::open(&name).await.map_err(error)?;
        let space = store.space("circle").await.map_err(error)?;
        let begin = Instant::now();
        self.sync(&space, travels).await?;
        let time = begin.elapsed();

        let log = space.load().await.map_err(error)?.log;
        let durable = log.iter().filter(|item| matches!(Item::from_bytes(item), Ok(Item::Entry(_)))).count();
        store.close().await;
        Factory::new().and_then(|factory| factory.delete(&name)).map_err(error)?.await.map_err(error)?;
        if durable != self.entries.len() {
            return Err(error(format!("{durable} entries are durable of {}", self.entries.len())));
        }
        Ok(time.as_secs_f64() * 1_000.0)
    }
}

const NO_RECORDS: [(&str, &[u8]); 0] = [];
const NO_LOG: [&[u8]; 0] = [];

impl Ingest {
    async fn sync(&mut self, space: &impl Space, travels: &Function) -> Result<(), JsValue> {
        let mut reader = self.reader()?;
        let (mut writes, mut questions, mut same) = (VecDeque::new(), VecDeque::new(), false);
        let (mut writing, mut arriving) = (None, None);
        reader.connected(RELAY, NOW);
        loop {
            while let Some(output) = reader.output() {
                match output {
                    Output::Write { no, log, records } => {
                        let log = log.into_iter().map(Bytes::from).collect();
                        let records = records.into_iter().map(|(name, bytes)| (name, bytes.map(Bytes::from))).collect();
                        writes.push_back((no, Batch { log, records }));
                    }
                    Output::Ask { no, ask, .. } => questions.push_back((no, ask)),
                    Output::Event(Event::Synced { .. }) => same = true,
                    Output::Read { .. } | Output::Publish { .. } | Output::Answer { .. } | Output::Event(_) => {}
                }
            }
            if writing.is_none() {
                writing = writes.pop_front().map(|(no, batch)| boxed(async move { (no, space.write(batch).await) }));
            }
            if arriving.is_none() {
                arriving =
                    questions.pop_front().map(|(no, ask)| boxed(async move { (no, ask, travel(travels).await) }));
            }
            let (written, arrived) = match (writing.take(), arriving.take()) {
                (None, None) => break,
                (Some(write), None) => (Some(write.await), None),
                (None, Some(arrival)) => (None, Some(arrival.await)),
                (Some(write), Some(arrival)) => match select(write, arrival).await {
                    Either::Left((written, arrival)) => {
                        arriving = Some(arrival);
                        (Some(written), None)
                    }
                    Either::Right((arrived, write)) => {
                        writing = Some(write);
                        (None, Some(arrived))
                    }
                },
            };
            if let Some((no, written)) = written {
                written.map_err(error)?;
                reader.written(no, NOW);
            }
            if let Some((no, ask, arrived)) = arrived {
                arrived?;
                reader.answered(no, Answer::from_bytes(self.answer(&ask)?).ok(), NOW);
            }
        }
        if same { Ok(()) } else { Err(error("the reader never held what the relay holds")) }
    }

    /// The member's engine, on a device that holds nothing yet.
    fn reader(&self) -> Result<Engine, JsValue> {
        let seat = Seat::Member {
            device: self.reader.device.clone(),
            identity: self.reader.identity.clone(),
            keyring: Keyring::new(self.circle.id, self.circle.keys.clone()),
            vote: None,
        };
        Engine::open(self.circle.genesis.clone(), seat, Limits::default(), NO_LOG, NO_RECORDS, [2; 32]).map_err(error)
    }

    /// What the relay answers, or has answered.
    fn answer(&mut self, ask: &Ask) -> Result<&[u8], JsValue> {
        let question = ask.to_bytes(self.circle.id);
        if !self.answers.contains_key(&question) {
            let (_, bytes) = circle_of(&question).ok_or_else(|| error("a question without a circle"))?;
            self.relay.asked(self.reader.device.id(), 1, Ask::from_bytes(ask.kind(), bytes).map_err(error)?, NOW);
            while let Some(output) = self.relay.output() {
                if let Output::Answer { answer, .. } = output {
                    self.answers.insert(question.clone(), answer.to_bytes());
                }
            }
        }
        self.answers.get(&question).map(Vec::as_slice).ok_or_else(|| error("no answer"))
    }
}

fn boxed<'a, T>(future: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(future)
}

/// An answer comes as an event of its own, between which the browser does its other work.
async fn travel(travels: &Function) -> Result<(), JsValue> {
    let promise: Promise = travels.call0(&JsValue::NULL)?.dyn_into()?;
    JsFuture::from(promise).await.map(drop)
}

fn history(circle: &mut Circle, count: usize, authors: usize) -> (Person, Vec<Packed>) {
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

fn error(error: impl std::fmt::Debug) -> JsValue {
    js_sys::Error::new(&shown(error)).into()
}
