//! How fast a page takes a circle in: [`ledgerno_load`] with a page around it. Without a disk; and writing to IndexedDB as
//! the driver does: a write is under way while the next answer is taken in.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use futures::future::{Either, select};
use idb::Factory;
use js_sys::{Function, Promise, Uint8Array};
use ledgerno_engine::wire::Answer;
use ledgerno_engine::{Event, Item, Output};
use ledgerno_load::{Load, NOW, RELAY};
use ledgerno_node::store::idb::IndexedDb;
use ledgerno_node::store::{Batch, Space, Store};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_time::Instant;

use crate::store::shown;

/// A circle's history at a relay, and a member who has none of it.
#[wasm_bindgen]
pub struct Ingest(Load);

#[wasm_bindgen]
impl Ingest {
    /// As [`Load::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(entries: usize, authors: usize) -> Result<Self, JsValue> {
        Load::new(entries, authors).map(Ingest).map_err(error)
    }

    /// As [`Load::settled`].
    pub fn settled(entries: usize, authors: usize, by_header: usize) -> Result<Self, JsValue> {
        Load::settled(entries, authors, by_header).map(Ingest).map_err(error)
    }

    /// As [`Load::claims`].
    pub fn claims(&self) -> Uint8Array {
        Uint8Array::from(self.0.claims().as_slice())
    }

    /// Takes all of it in without a disk: milliseconds.
    pub fn run_without_disk(&mut self) -> Result<f64, JsValue> {
        let begin = Instant::now();
        let engine = self.0.ingest().map_err(error)?;
        let time = begin.elapsed();
        drop(engine);
        Ok(time.as_secs_f64() * 1_000.0)
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
        if durable != self.0.entries() {
            return Err(error(format!("{durable} entries are durable of {}", self.0.entries())));
        }
        Ok(time.as_secs_f64() * 1_000.0)
    }
}

impl Ingest {
    async fn sync(&mut self, space: &impl Space, travels: &Function) -> Result<(), JsValue> {
        let mut reader = self.0.reader().map_err(error)?;
        let (mut writes, mut questions, mut same) = (VecDeque::new(), VecDeque::new(), false);
        let (mut writing, mut arriving) = (None, None);
        reader.connected(RELAY, NOW);
        loop {
            while let Some(output) = reader.output() {
                match output {
                    Output::Write { no, log, records } => {
                        let log = log.into_iter().map(Bytes::from).collect();
                        let records = records.into_iter().map(|(name, bytes)| (name, bytes.map(Bytes::from))).collect();
                        writes.push_back((no, Batch { log, records, ..Batch::default() }));
                    }
                    Output::Ask { no, ask, .. } => questions.push_back((no, ask)),
                    Output::Event(Event::Synced { .. }) => same = true,
                    Output::Read { .. }
                    | Output::Replace { .. }
                    | Output::Publish { .. }
                    | Output::Answer { .. }
                    | Output::Event(_) => {}
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
                reader.answered(no, Answer::from_bytes(self.0.answer(&ask).map_err(error)?).ok(), NOW);
            }
        }
        if same { Ok(()) } else { Err(error("the reader never held what the relay holds")) }
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

pub(crate) fn error(error: impl std::fmt::Debug) -> JsValue {
    js_sys::Error::new(&shown(error)).into()
}
