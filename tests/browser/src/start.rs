//! How soon a page can draw the timeline of a long circle, and what it holds then: the real engine and store fill a
//! database as a founder's page would, over many headers; another page starts from it.

use bytes::Bytes;
use ledgerno_engine::store::window;
use ledgerno_engine::wire::Ask;
use ledgerno_engine::{Engine, Keyring, Limits, Output, Seat};
use ledgerno_ledger::entry::Packed;
use ledgerno_ledger::hostile::Circle;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_load::{NO_LOG, NO_RECORDS, NOW, RELAY, history};
use ledgerno_node::store::idb::IndexedDb;
use ledgerno_node::store::{Batch, Records, Space, Store};
use wasm_bindgen::prelude::*;
use web_time::Instant;

use crate::ingest::error;

/// So many entries come at once, and one header settles them.
const TOGETHER: usize = 20;
/// Items of one write, as many as a busy driver gathers.
const WRITTEN: usize = 500;
/// As many entries as the page draws first.
const DRAWN: usize = 100;
const SPACE: &str = "circle";

/// The founder of the circle that [`fill`] makes.
fn founder(circle: &Circle) -> Seat {
    Seat::Member {
        device: circle.founder.device.clone(),
        identity: circle.founder.identity.clone(),
        keyring: Keyring::new(circle.id, circle.keys.clone()),
        vote: Some(VoteSecret::from_secret(*circle.vote.secret())),
    }
}

/// Makes a circle of `entries` entries by `authors` members besides the founder, all of it settled, in a new database.
#[wasm_bindgen]
pub async fn fill(name: &str, entries: usize, authors: usize) -> Result<(), JsValue> {
    let mut circle = Circle::new(1);
    let (_, history) = history(&mut circle, entries, authors);
    let store = IndexedDb::open(name).await.map_err(error)?;
    let space = store.space(SPACE).await.map_err(error)?;
    let (genesis, seat) = (circle.genesis.clone(), founder(&circle));
    let mut engine = Engine::open(genesis, seat, Limits::default(), NO_LOG, NO_RECORDS, [1; 32]).map_err(error)?;
    engine.set_keepers(vec![RELAY]);
    let (mut now, mut batch, mut written) = (NOW, Batch::default(), 0);
    let give = |some: &[Packed]| Ask::Give { entries: some.to_vec(), proofs: Vec::new() };
    // Who holds nothing waits for a relay's snapshot first, and none comes.
    engine.asked(RELAY, 1, give(&history[..1]), now);
    now = now.max(engine.due().ok_or_else(|| error("nothing is waited for"))?);
    engine.tick(now);
    for some in history.chunks(TOGETHER) {
        engine.asked(RELAY, 1, give(some), now);
        while engine.settlement().unsettled > 0 {
            now = now.max(engine.due().ok_or_else(|| error("nobody settles"))?);
            engine.tick(now);
        }
        while let Some(output) = engine.output() {
            let Output::Write { no, log, records } = output else { continue };
            batch.log.extend(log.into_iter().map(Bytes::from));
            batch.records.extend(records.into_iter().map(|(name, bytes)| (name, bytes.map(Bytes::from))));
            written = no;
        }
        if batch.log.len() >= WRITTEN {
            space.write(std::mem::take(&mut batch)).await.map_err(error)?;
            engine.written(written, now);
        }
    }
    space.write(batch).await.map_err(error)?;
    store.close().await;
    let held = engine.settlement().entries;
    if held == entries { Ok(()) } else { Err(error(format!("{held} entries are held of {entries}"))) }
}

/// A node that started from what [`fill`] made.
#[wasm_bindgen]
pub struct Started {
    engine: Engine,
    times: Vec<f64>,
}

#[wasm_bindgen]
impl Started {
    /// Opens the database and starts as the driver does, until what the page draws first is at hand.
    pub async fn open(name: &str) -> Result<Started, JsValue> {
        let circle = Circle::new(1);
        let begin = Instant::now();
        let time = || begin.elapsed().as_secs_f64() * 1_000.0;
        let store = IndexedDb::open(name).await.map_err(error)?;
        let space = store.space(SPACE).await.map_err(error)?;
        let opened = time();
        let loaded = space.load_from(from).await.map_err(error)?;
        let read = time();
        let (genesis, seat) = (circle.genesis.clone(), founder(&circle));
        let limits = Limits::default();
        let engine = Engine::open_from(genesis, seat, limits, loaded.first, loaded.log, loaded.records, [2; 32]);
        let engine = engine.map_err(error)?;
        let started = time();
        let drawn = engine.timeline(DRAWN).len();
        if drawn < DRAWN || engine.members().is_empty() {
            return Err(error(format!("{drawn} entries can be drawn of {DRAWN}")));
        }
        Ok(Started { engine, times: vec![opened, read, started, time()] })
    }

    /// Milliseconds until the database was open, what is needed was read, the engine stood, the timeline could be drawn.
    pub fn times(&self) -> Vec<f64> {
        self.times.clone()
    }

    /// How many entries the circle has.
    pub fn entries(&self) -> usize {
        self.engine.settlement().entries
    }

    /// Bytes of the module's memory.
    pub fn memory(&self) -> usize {
        core::arch::wasm32::memory_size::<0>() * 65_536
    }
}

fn from(records: &Records) -> u64 {
    window(records.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])))
}
