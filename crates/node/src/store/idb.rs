//! The store of a page: one IndexedDB database for all spaces, with a log and a table of records.
//!
//! - A write resolves only when its transaction is *complete*, of durability `strict`: Chromium's default answers before
//!   the disk does, and then a crash would make the device fork itself.
//! - Bytes are stored as `Uint8Array`, under keys `[space, number]` and `[space, key]`.
//! - Writes to one space wait for each other, since each builds on the log's tail. A tail is out of its place while a
//!   write runs, so a write that is dropped midway leaves none, and the next one reads it again.
//! - A connection gives way to a newer version of the page (`versionchange`), and says [`StoreError::Closed`] then.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use ::idb::event::{DatabaseEvent, VersionChangeEvent};
use ::idb::{Database, Factory, KeyRange, ObjectStore, ObjectStoreParams, Query, Request, Transaction};
use bytes::Bytes;
use futures::channel::oneshot;
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use tokio::sync::Mutex;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbTransaction};

use super::log::{self, Damage, Reader, Tail};
use super::{Batch, First, Loaded, Space, Store, StoreError, check_name};

/// The database's name where nothing else is wanted.
pub const NAME: &str = "ledgerno";
/// The version of what lies in it.
pub const VERSION: u32 = 1;

const LOG: &str = "log";
const RECORDS: &str = "records";
/// Rows read at once: of full log records this is 64 MiB.
const ROWS: u32 = 16;

/// A store in the browser. Clones are the same store.
#[derive(Clone)]
pub struct IndexedDb {
    inner: Rc<Inner>,
}

struct Inner {
    name: String,
    database: IdbDatabase,
    /// Keeps the handlers of `versionchange` and `close`.
    _handlers: Database,
    closed: Rc<Cell<bool>>,
    tails: RefCell<BTreeMap<String, Rc<Mutex<Option<Tail>>>>>,
}

impl IndexedDb {
    /// Opens or makes the database of this name.
    ///
    /// Fails with [`StoreError::Unavailable`] where the browser gives no storage, [`StoreError::Newer`] when a newer
    /// page wrote it, [`StoreError::Blocked`] when another tab holds an older version open, [`StoreError::Full`].
    pub async fn open(name: &str) -> Result<Self, StoreError> {
        let factory = Factory::new().map_err(|_| StoreError::Unavailable { detail: "there is no IndexedDB".into() })?;
        Self::open_in(&factory, name, VERSION).await
    }

    /// As [`Self::open`], in another of the browser's places for databases, or as another version.
    #[doc(hidden)]
    pub async fn open_in(factory: &Factory, name: &str, version: u32) -> Result<Self, StoreError> {
        let fault = |error: ::idb::Error| open_fault(name, &error.to_string());
        let (opened, waited) = oneshot::channel();
        // One answer, by whichever event comes first.
        let opened = Rc::new(Cell::new(Some(opened)));
        let answer = move |opened: &Cell<Option<oneshot::Sender<_>>>, result| match opened.take() {
            Some(opened) => opened.send(result),
            None => Err(result),
        };

        let mut request = factory.open(name, Some(version)).map_err(fault)?;
        request.on_upgrade_needed(|event| {
            if let Err(error) = make_tables(&event) {
                tracing::error!(%error, "IndexedDB could not be prepared");
            }
        });
        request.on_blocked({
            let (opened, blocked) = (opened.clone(), StoreError::Blocked { path: name.into() });
            // When the other tab closes later, success comes after all, and finds that nobody waits.
            move |_| drop(answer(&opened, Err(blocked)))
        });
        request.on_success({
            let opened = opened.clone();
            move |event| {
                let database = event.database().map(IdbDatabase::from).map_err(|error| error.to_string());
                let database = database.map_err(|detail| StoreError::Unavailable { detail });
                if let Err(Ok(unwanted)) = answer(&opened, database) {
                    unwanted.close();
                }
            }
        });
        request.on_error({
            let name = name.to_owned();
            move |event| {
                let error = ::idb::event::Event::target(&event).and_then(|request| request.error());
                let detail = match error {
                    Ok(Some(error)) => format!("{}: {}", error.name(), error.message()),
                    Ok(None) => "no reason given".into(),
                    Err(error) => error.to_string(),
                };
                drop(answer(&opened, Err(open_fault(&name, &detail))));
            }
        });
        request.forget_callbacks();

        let closed = StoreError::Unavailable { detail: "opening was given up".into() };
        let database = waited.await.unwrap_or(Err(closed))?;
        Self::new(name, database)
    }

    fn new(name: &str, database: IdbDatabase) -> Result<Self, StoreError> {
        let closed = Rc::new(Cell::new(false));
        let mut handlers = Database::from(database.clone());
        handlers.on_version_change({
            let (database, closed) = (database.clone(), closed.clone());
            move |_| {
                closed.set(true);
                database.close();
            }
        });
        handlers.on_close({
            let closed = closed.clone();
            move |_| closed.set(true)
        });
        let found = handlers.store_names();
        let inner = Inner { name: name.into(), database, _handlers: handlers, closed, tails: RefCell::default() };
        for table in [LOG, RECORDS] {
            if !found.iter().any(|name| name == table) {
                return Err(inner.damaged(format!("there is no table {table}")));
            }
        }
        Ok(Self { inner: Rc::new(inner) })
    }

    /// The place of a space's tail, whose lock is the space's turn to write, given in the order asked for.
    fn tail(&self, space: &str) -> Rc<Mutex<Option<Tail>>> {
        self.inner.tails.borrow_mut().entry(space.to_owned()).or_default().clone()
    }
}

impl Inner {
    fn begin(&self, mode: &str) -> Result<Running<'_>, StoreError> {
        if self.closed.get() {
            return Err(StoreError::Closed);
        }
        let begun = || -> Result<IdbTransaction, JsValue> {
            // By hand, because web-sys knows `durability` only as an unstable API.
            let options = Object::new();
            Reflect::set(&options, &"durability".into(), &"strict".into())?;
            let begin: Function = Reflect::get(&self.database, &"transaction".into())?.dyn_into()?;
            let tables = Array::of2(&LOG.into(), &RECORDS.into());
            begin.call3(&self.database, &tables, &mode.into(), &options)?.dyn_into()
        };
        let raw = begun().map_err(|error| self.fault(&text(&error)))?;
        Ok(Running::new(self, raw))
    }

    fn damaged(&self, detail: Damage) -> StoreError {
        StoreError::Damaged { path: self.name.clone(), detail }
    }

    /// What an exception's text means. idb keeps exceptions in many variants, but each text starts with the name.
    fn fault(&self, detail: &str) -> StoreError {
        let path = self.name.clone();
        if detail.contains("QuotaExceededError") {
            StoreError::Full { path }
        } else if detail.contains("InvalidStateError") {
            StoreError::Closed
        } else if detail.contains("ConstraintError") {
            // Only a second node that writes here has put a log record where none was.
            StoreError::InUse { path }
        } else if detail.contains("NotReadableError") || detail.contains("NotFoundError") {
            StoreError::Damaged { path, detail: detail.into() }
        } else {
            StoreError::Io { path, detail: detail.into() }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.database.close();
        // JavaScript must not call what is dropped with this.
        self.database.set_onversionchange(None);
        self.database.set_onclose(None);
    }
}

/// A transaction; aborted when dropped before it is complete.
struct Running<'a> {
    inner: &'a Inner,
    raw: IdbTransaction,
    transaction: Transaction,
    complete: oneshot::Receiver<bool>,
}

impl<'a> Running<'a> {
    fn new(inner: &'a Inner, raw: IdbTransaction) -> Self {
        let mut transaction = Transaction::from(raw.clone());
        let (done, complete) = oneshot::channel();
        let done = Rc::new(Cell::new(Some(done)));
        let tell = move |done: &Cell<Option<oneshot::Sender<bool>>>, complete| {
            if let Some(done) = done.take() {
                done.send(complete).ok();
            }
        };
        transaction.on_complete({
            let done = done.clone();
            move |_| tell(&done, true)
        });
        transaction.on_abort(move |_| tell(&done, false));
        Self { inner, raw, transaction, complete }
    }

    fn table(&self, name: &str) -> Result<Table<'a>, StoreError> {
        let table = self.transaction.object_store(name).map_err(|error| self.inner.fault(&error.to_string()))?;
        Ok(Table { inner: self.inner, table })
    }

    /// Resolves when the transaction is complete, or with what aborted it.
    async fn finish(mut self) -> Result<(), StoreError> {
        // An error event is always followed by abort, which alone says that nothing was written.
        match (&mut self.complete).await {
            Ok(true) => Ok(()),
            _ => Err(match self.raw.error() {
                Some(error) => self.inner.fault(&format!("{}: {}", error.name(), error.message())),
                None => StoreError::Closed,
            }),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.raw.set_oncomplete(None);
        self.raw.set_onabort(None);
        // Refused when it has ended already, and that is as well.
        self.raw.abort().ok();
    }
}

struct Table<'a> {
    inner: &'a Inner,
    table: ObjectStore,
}

impl Table<'_> {
    fn put(&self, key: &JsValue, value: &[u8]) -> Result<(), StoreError> {
        let value = Uint8Array::from(value);
        self.table.put(&value, Some(key)).map(drop).map_err(|error| self.inner.fault(&error.to_string()))
    }

    /// Aborts the transaction if there is one by this key.
    fn add(&self, key: &JsValue, value: &[u8]) -> Result<(), StoreError> {
        let value = Uint8Array::from(value);
        self.table.add(&value, Some(key)).map(drop).map_err(|error| self.inner.fault(&error.to_string()))
    }

    fn delete(&self, what: impl Into<Query>) -> Result<(), StoreError> {
        self.table.delete(what).map(drop).map_err(|error| self.inner.fault(&error.to_string()))
    }

    /// Calls for each row of the space from the key `first` on, in order.
    async fn each(
        &self,
        space: &str,
        first: Option<JsValue>,
        mut row: impl FnMut(JsValue, Bytes) -> Result<(), Damage>,
    ) -> Result<(), StoreError> {
        let fault = |error: ::idb::Error| self.inner.fault(&error.to_string());
        let mut damaged = |key, value| {
            bytes(value).and_then(|value| row(key, value)).map_err(|detail| self.inner.damaged(within(space, &detail)))
        };
        let mut lower = first.unwrap_or_else(|| Array::of1(&space.into()).into());
        let mut open = false;
        loop {
            let range = KeyRange::bound(&lower, &after(space), Some(open), None).map_err(fault)?;
            let keys = self.table.get_all_keys(Some(range.clone().into()), Some(ROWS)).map_err(fault)?;
            let values = self.table.get_all(Some(range.into()), Some(ROWS)).map_err(fault)?;
            let (keys, values) = (keys.await.map_err(fault)?, values.await.map_err(fault)?);
            let Some(last) = keys.last().cloned() else { return Ok(()) };
            for (key, value) in keys.into_iter().zip(values) {
                damaged(Array::from(&key).get(1), value)?;
            }
            (lower, open) = (last, true);
        }
    }

    /// The name of the first space with a row after all of `name`'s.
    async fn next_space(&self, name: Option<&str>) -> Result<Option<String>, StoreError> {
        let fault = |error: ::idb::Error| self.inner.fault(&error.to_string());
        let range = name.map(|name| KeyRange::lower_bound(&after(name), None)).transpose().map_err(fault)?;
        let keys = self.table.get_all_keys(range.map(Query::from), Some(1)).map_err(fault)?.await.map_err(fault)?;
        Ok(keys.first().and_then(|key| Array::from(key).get(0).as_string()))
    }

    /// The record that holds an item, how many items come before it, and its items.
    async fn seek(&self, space: &str, item: u64, to_start: bool) -> Result<(u64, u64, Vec<Bytes>), StoreError> {
        let fault = |error: ::idb::Error| self.inner.fault(&error.to_string());
        let damaged = |detail: Damage| self.inner.damaged(within(space, &detail));
        let all = KeyRange::bound(&Array::of1(&space.into()), &after(space), None, None).map_err(fault)?;
        let records = self.table.count(Some(all.into())).map_err(fault)?.await.map_err(fault)?;
        let mut seek = log::Seek::new(space, item, records.into(), to_start);
        while let Some(number) = seek.wants() {
            let record = self.table.get(log_key(space, number)).map_err(fault)?.await.map_err(fault)?;
            let record = record.map(bytes).transpose().map_err(damaged)?;
            seek.look(record).map_err(damaged)?;
        }
        Ok(seek.found())
    }

    /// The log from an item on, or from some before it; how many come before these, and the tail.
    async fn read_log(&self, space: &str, item: u64) -> Result<(u64, Vec<Bytes>, Tail), StoreError> {
        let (number, before, _) = if item == 0 { Default::default() } else { self.seek(space, item, true).await? };
        let mut reader = Reader::at(space, number, before);
        let first = (number > 0).then(|| log_key(space, number));
        self.each(space, first, |number, record| {
            let number = number.as_f64().ok_or("a log record's key is no number")?;
            reader.push(number as u64, record)
        })
        .await?;
        let (log, tail) = reader.finish();
        Ok((before, log, tail))
    }

    /// Puts what is thinner in the place of items.
    async fn thin(&self, space: &str, tail: &mut Tail, batch: &Batch) -> Result<(), StoreError> {
        let mut at = 0;
        while let Some(item) = batch.replace.get(at) {
            let found = self.seek(space, *item, false).await?;
            let number = found.0;
            let (record, count) = log::thin(space, tail, found, &batch.replace[at..], &batch.by[at..]);
            self.put(&log_key(space, number), &record)?;
            at += count.max(1);
        }
        Ok(())
    }

    async fn append(&self, space: &str, tail: &Tail, items: &[Bytes]) -> Result<Tail, StoreError> {
        let (change, tail) = if tail.is_due(items) {
            let mut stored = Vec::new();
            let first = log_key(space, tail.records().start);
            self.each(space, Some(first), |_, record| {
                stored.push(record);
                Ok(())
            })
            .await?;
            let compacted = tail.compact(space, stored, items);
            compacted.map_err(|detail| self.inner.damaged(within(space, &detail)))?
        } else {
            tail.append(space, items)
        };
        for (number, record) in change.put {
            let key = log_key(space, number);
            if number < change.fresh { self.put(&key, &record) } else { self.add(&key, &record) }?;
        }
        for number in change.delete {
            self.delete(log_key(space, number))?;
        }
        Ok(tail)
    }
}

/// A space of an [`IndexedDb`].
#[derive(Clone)]
pub struct IndexedDbSpace {
    store: IndexedDb,
    name: String,
}

impl IndexedDbSpace {
    /// What becomes of the tail, if the write is complete.
    async fn write_with(&self, tail: Option<&Tail>, batch: &Batch) -> Result<Option<Tail>, StoreError> {
        let running = self.store.inner.begin("readwrite")?;
        let mut after = tail.cloned();
        if batch.changes_log() {
            let table = running.table(LOG)?;
            let mut tail = match after {
                Some(tail) => tail,
                None => table.read_log(&self.name, 0).await?.2,
            };
            table.thin(&self.name, &mut tail, batch).await?;
            after = Some(if batch.log.is_empty() { tail } else { table.append(&self.name, &tail, &batch.log).await? });
        }
        let records = running.table(RECORDS)?;
        for (key, value) in &batch.records {
            let place = record_key(&self.name, key);
            match value {
                Some(value) => records.put(&place, &log::encode_value(&self.name, key, value))?,
                None => records.delete(place)?,
            }
        }
        running.finish().await?;
        Ok(after)
    }
}

impl Space for IndexedDbSpace {
    async fn load_from(&self, from: First) -> Result<Loaded, StoreError> {
        let place = self.store.tail(&self.name);
        let mut tail = place.lock().await;
        let running = self.store.inner.begin("readonly")?;
        let mut loaded = Loaded::default();
        let table = running.table(RECORDS)?;
        table
            .each(&self.name, None, |key, value| {
                let key = key.as_string().ok_or("a record's key is no text")?;
                let value = log::decode_value(&self.name, &key, value);
                loaded.take_record(&key, value)
            })
            .await?;
        let first = from(&loaded.records);
        let found;
        (loaded.first, loaded.log, found) = running.table(LOG)?.read_log(&self.name, first).await?;
        *tail = Some(found);
        Ok(loaded)
    }

    async fn read(&self, items: Vec<u64>) -> Result<Vec<Bytes>, StoreError> {
        let running = self.store.inner.begin("readonly")?;
        let table = running.table(LOG)?;
        let (mut rest, mut read) = (&items[..], Vec::with_capacity(items.len()));
        while let Some(item) = rest.first() {
            let (_, before, record) = table.seek(&self.name, *item, false).await?;
            let picked = log::pick(rest, before, &record, &mut read);
            rest = &rest[picked.map_err(|detail| self.store.inner.damaged(within(&self.name, &detail)))?..];
        }
        Ok(read)
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        let place = self.store.tail(&self.name);
        let mut tail = place.lock().await;
        let before = tail.take();
        let written = self.write_with(before.as_ref(), &batch).await;
        // What failed was aborted, so that the tail is as before.
        *tail = match &written {
            Ok(after) => after.clone(),
            Err(_) => before,
        };
        written.map(drop)
    }
}

impl Store for IndexedDb {
    type Space = IndexedDbSpace;

    async fn space(&self, name: &str) -> Result<IndexedDbSpace, StoreError> {
        check_name(name)?;
        Ok(IndexedDbSpace { store: self.clone(), name: name.to_owned() })
    }

    async fn spaces(&self) -> Result<Vec<String>, StoreError> {
        let running = self.inner.begin("readonly")?;
        let (log, records) = (running.table(LOG)?, running.table(RECORDS)?);
        let mut names: Vec<String> = Vec::new();
        loop {
            let last = names.last().map(String::as_str);
            let (in_log, in_records) = (log.next_space(last).await?, records.next_space(last).await?);
            match in_log.into_iter().chain(in_records).min() {
                Some(name) => names.push(name),
                None => return Ok(names),
            }
        }
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        let place = self.tail(name);
        let mut tail = place.lock().await;
        *tail = None;
        let running = self.inner.begin("readwrite")?;
        for table in [LOG, RECORDS] {
            let all = KeyRange::bound(&Array::of1(&name.into()), &after(name), None, None);
            running.table(table)?.delete(all.map_err(|error| self.inner.fault(&error.to_string()))?)?;
        }
        running.finish().await
    }

    async fn close(&self) {
        // Those that write wait for their turn before this does.
        let places: Vec<_> = self.inner.tails.borrow().values().cloned().collect();
        for place in places {
            drop(place.lock().await);
        }
        self.inner.closed.set(true);
        self.inner.database.close();
    }
}

fn make_tables(event: &VersionChangeEvent) -> Result<(), ::idb::Error> {
    let database = event.database()?;
    let found = database.store_names();
    for table in [LOG, RECORDS] {
        if !found.iter().any(|name| name == table) {
            database.create_object_store(table, ObjectStoreParams::new())?;
        }
    }
    Ok(())
}

fn log_key(space: &str, number: u64) -> JsValue {
    // Exact: no log comes near 2^53 records.
    Array::of2(&space.into(), &(number as f64).into()).into()
}

fn record_key(space: &str, key: &str) -> JsValue {
    Array::of2(&space.into(), &key.into()).into()
}

/// A key after all of the space's, and before the next one's: arrays come after numbers and texts.
fn after(space: &str) -> JsValue {
    Array::of2(&space.into(), &Array::new()).into()
}

fn bytes(value: JsValue) -> Result<Bytes, Damage> {
    let value = value.dyn_into::<Uint8Array>().map_err(|_| "a value is not of bytes")?;
    Ok(value.to_vec().into())
}

fn within(space: &str, detail: &str) -> Damage {
    format!("in space {space}, {detail}")
}

fn text(error: &JsValue) -> String {
    let part = |name: &str| Reflect::get(error, &name.into()).ok().and_then(|part| part.as_string());
    match (part("name"), part("message")) {
        (Some(name), message) => format!("{name}: {}", message.unwrap_or_default()),
        (None, _) => format!("{error:?}"),
    }
}

fn open_fault(name: &str, detail: &str) -> StoreError {
    if detail.contains("QuotaExceededError") {
        StoreError::Full { path: name.into() }
    } else if detail.contains("VersionError") {
        StoreError::Newer { path: name.into(), detail: detail.into() }
    } else {
        StoreError::Unavailable { detail: detail.into() }
    }
}
