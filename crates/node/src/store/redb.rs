//! The store of a native node: one file `ledgerno.redb` in its folder, for all spaces.
//!
//! One thread owns the file, so that no commit blocks the reactor, and takes jobs in the order in which they come;
//! writes that wait together share a commit. The rule for what is damaged: say so, and change nothing.
//!
//! - Commits are two-phase. In one phase redb tells a torn commit by checksums, and falls back to the commit before it;
//!   then a flipped bit would undo what was acknowledged, and so would a body made to match a checksum.
//! - Opening checks the whole file (a start reads all of it anyway), since redb checks a cleanly closed one nowhere.
//! - redb still panics on some damage, so each job runs under `catch_unwind`; what panicked is closed and reported.
//! - A new file is made under another name and then renamed, so that a file by the right name was once whole, and an
//!   empty one is damage. `ledgerno.lock` keeps other processes off, also while there is no file yet.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::log::{self, Damage, Reader, Tail};
use super::{Batch, First, Loaded, MAX_BATCH, Space, Store, StoreError, check_name};

const FILE: &str = "ledgerno.redb";
const NEW_FILE: &str = "ledgerno.redb.new";
const LOCK: &str = "ledgerno.lock";

const LOG: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("log");
const RECORDS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("records");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
const FORMAT: u64 = 1;

/// Everything is loaded once and then kept by the engine, so a large cache would only cost memory.
const CACHE: usize = 4 * 1024 * 1024;
/// Most jobs that wait; further ones wait at their senders.
const JOBS: usize = 64;
/// Comes after every name.
const AFTER_NAMES: &str = "~";

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
pub(super) type Opener = Arc<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync>;

enum Job {
    Load { space: String, from: First, reply: Reply<Loaded> },
    Read { space: String, items: Vec<u64>, reply: Reply<Vec<Bytes>> },
    Write { space: String, batch: Batch, reply: Reply<()> },
    Spaces { reply: Reply<Vec<String>> },
    Remove { space: String, reply: Reply<()> },
    Close { reply: oneshot::Sender<()> },
}

/// A store in a file. Clones are the same store; when the last one is gone the file is closed.
#[derive(Clone)]
pub struct Redb {
    jobs: mpsc::Sender<Job>,
    /// Whose turn it is to put a job into the queue.
    turn: Arc<Mutex<()>>,
}

impl Redb {
    /// Opens the store in this folder, or makes folder and store when there is none.
    ///
    /// Fails with [`StoreError::InUse`] while another process has it, [`StoreError::Damaged`] when the file is not
    /// whole (it is left as it is), [`StoreError::Newer`], [`StoreError::Full`] or [`StoreError::Io`].
    pub async fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let opener: Opener = Arc::new(|path| Builder::new().set_cache_size(CACHE).open(path));
        Self::open_with(folder.into(), opener).await
    }

    pub(super) async fn open_with(folder: PathBuf, opener: Opener) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(JOBS);
        let (opened, waited) = oneshot::channel();
        let path = folder.join(FILE);
        let run = move || match Keeper::open(&folder, opener) {
            Ok(keeper) => {
                if opened.send(Ok(())).is_ok() {
                    keeper.run(queue);
                }
            }
            Err(error) => answer(opened, Err(error)),
        };
        std::thread::Builder::new()
            .name("ledgerno-store".into())
            .spawn(run)
            .map_err(|error| io_fault(&path, &error))?;
        waited.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(Self { jobs, turn: Arc::new(Mutex::new(())) })
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        // One after the other in the order of asking: the channel alone lets one who comes as a place gets free overtake one
        // who was promised it. Unconstrained, so that a task that has spent its turn still stands in the queue.
        let sent = tokio::task::unconstrained(async {
            let _turn = self.turn.lock().await;
            self.jobs.send(job(reply)).await
        });
        sent.await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Store for Redb {
    type Space = RedbSpace;

    async fn space(&self, name: &str) -> Result<RedbSpace, StoreError> {
        check_name(name)?;
        Ok(RedbSpace { store: self.clone(), name: name.to_owned() })
    }

    async fn spaces(&self) -> Result<Vec<String>, StoreError> {
        self.ask(|reply| Job::Spaces { reply }).await
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        self.ask(|reply| Job::Remove { space: name.to_owned(), reply }).await
    }

    async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        // Failures of both mean the same: it is closed already.
        if self.jobs.send(Job::Close { reply }).await.is_ok() {
            closed.await.ok();
        }
    }
}

/// A space of a [`Redb`].
#[derive(Clone)]
pub struct RedbSpace {
    store: Redb,
    name: String,
}

impl Space for RedbSpace {
    async fn load_from(&self, from: First) -> Result<Loaded, StoreError> {
        self.store.ask(|reply| Job::Load { space: self.name.clone(), from, reply }).await
    }

    async fn read(&self, items: Vec<u64>) -> Result<Vec<Bytes>, StoreError> {
        self.store.ask(|reply| Job::Read { space: self.name.clone(), items, reply }).await
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        self.store.ask(|reply| Job::Write { space: self.name.clone(), batch, reply }).await
    }
}

/// The thread's own: the file, and what it must know of each log to append to it.
struct Keeper {
    path: PathBuf,
    opener: Opener,
    /// None after a failure, until the next job opens it again.
    database: Option<Database>,
    tails: HashMap<String, Tail>,
    /// Released with the process too.
    _lock: File,
}

impl Keeper {
    fn open(folder: &Path, opener: Opener) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let lock = make_and_lock(folder, &path)?;
        let mut keeper = Self { path, opener, database: None, tails: HashMap::new(), _lock: lock };
        keeper.guarded(|_| Ok(()))?;
        Ok(keeper)
    }

    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| queue.blocking_recv()) {
            match job {
                Job::Load { space, from, reply } => answer(reply, self.guarded(|keeper| keeper.load(&space, from))),
                Job::Read { space, items, reply } => answer(reply, self.guarded(|keeper| keeper.read(&space, &items))),
                Job::Spaces { reply } => answer(reply, self.guarded(|keeper| keeper.spaces())),
                Job::Remove { space, reply } => answer(reply, self.guarded(|keeper| keeper.remove(&space))),
                Job::Write { space, batch, reply } => {
                    let (writes, replies) = gather((space, batch), reply, &mut queue, &mut next);
                    self.write_all(&writes, replies);
                }
                Job::Close { reply } => {
                    queue.close();
                    self.drop_database();
                    drop(self);
                    answer(reply, ());
                    return;
                }
            }
        }
        self.drop_database();
    }

    /// Runs a job on the open file. After a failure the file is closed, so that the next job finds what is on the disk:
    /// redb does not go on after an I/O error, and nothing in memory is trusted after a panic.
    fn guarded<T>(&mut self, job: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, StoreError> {
        let done = catch_unwind(AssertUnwindSafe(|| {
            if self.database.is_none() {
                self.tails.clear();
                self.database = Some(self.open_file()?);
            }
            job(self)
        }));
        let fault = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(fault)) => self.name_fault(fault),
            Err(panic) => self.damaged(format!("reading it failed: {}", panic_text(&*panic))),
        };
        self.drop_database();
        Err(fault)
    }

    fn drop_database(&mut self) {
        let database = self.database.take();
        self.tails.clear();
        // Closing writes, and may panic where reading did.
        if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
            tracing::error!(path = %self.path.display(), "closing the store failed");
        }
    }

    fn open_file(&self) -> Result<Database, Fault> {
        let mut database = (self.opener)(&self.path).map_err(|error| match error {
            DatabaseError::UpgradeRequired(version) => Fault::Damage(format!("redb format {version} is not known")),
            other => Fault::Redb(other.into()),
        })?;
        if !database.check_integrity().map_err(::redb::Error::from)? {
            tracing::warn!(path = %self.path.display(), "the store's free pages were counted anew");
        }
        let format = {
            let reading = database.begin_read().map_err(::redb::Error::from)?;
            let meta = reading.open_table(META).map_err(::redb::Error::from)?;
            meta.get(FORMAT_KEY).map_err(::redb::Error::from)?.map(|value| value.value())
        };
        match format {
            Some(FORMAT) => Ok(database),
            Some(newer) => Err(Fault::Newer(format!("format {newer}, and this program knows {FORMAT}"))),
            None => Err(Fault::Damage("it does not say its format".into())),
        }
    }

    fn database(&self) -> Result<&Database, Fault> {
        self.database.as_ref().ok_or_else(|| Fault::Damage("it is not open".into()))
    }

    fn load(&mut self, space: &str, from: First) -> Result<Loaded, Fault> {
        let reading = self.database()?.begin_read().map_err(::redb::Error::from)?;
        let mut loaded = Loaded::default();
        let table = reading.open_table(RECORDS).map_err(::redb::Error::from)?;
        for row in table.range((space, "")..(space, AFTER_NAMES))? {
            let (key, value) = row?;
            let key = key.value().1;
            let value = log::decode_value(space, key, Bytes::copy_from_slice(value.value()));
            loaded.take_record(key, value).map_err(within(space))?;
        }
        let log = reading.open_table(LOG).map_err(::redb::Error::from)?;
        let (first, log, tail) = read_log(&log, space, from(&loaded.records))?;
        (loaded.first, loaded.log) = (first, log);
        self.tails.insert(space.to_owned(), tail);
        Ok(loaded)
    }

    fn read(&mut self, space: &str, items: &[u64]) -> Result<Vec<Bytes>, Fault> {
        let reading = self.database()?.begin_read().map_err(::redb::Error::from)?;
        let log = reading.open_table(LOG).map_err(::redb::Error::from)?;
        let (mut rest, mut read) = (items, Vec::with_capacity(items.len()));
        while let Some(item) = rest.first() {
            let (_, before, record) = seek(&log, space, *item, false)?;
            rest = &rest[log::pick(rest, before, &record, &mut read).map_err(within(space))?..];
        }
        Ok(read)
    }

    fn spaces(&mut self) -> Result<Vec<String>, Fault> {
        let reading = self.database()?.begin_read().map_err(::redb::Error::from)?;
        let log = reading.open_table(LOG).map_err(::redb::Error::from)?;
        let records = reading.open_table(RECORDS).map_err(::redb::Error::from)?;
        let mut names = Vec::new();
        let mut after = String::new();
        loop {
            // The first row after everything of the last space found, in either table.
            let in_log = log.range((after.as_str(), 0)..)?.next().transpose()?.map(|(key, _)| key.value().0.to_owned());
            let in_records =
                records.range((after.as_str(), "")..)?.next().transpose()?.map(|(key, _)| key.value().0.to_owned());
            let Some(name) = in_log.into_iter().chain(in_records).min() else { return Ok(names) };
            after = format!("{name}\0");
            names.push(name);
        }
    }

    fn remove(&mut self, space: &str) -> Result<(), Fault> {
        self.commit(|writing| {
            let mut log = writing.open_table(LOG).map_err(::redb::Error::from)?;
            log.retain_in((space, 0)..=(space, u64::MAX), |_, _| false)?;
            let mut records = writing.open_table(RECORDS).map_err(::redb::Error::from)?;
            records.retain_in((space, "")..(space, AFTER_NAMES), |_, _| false)?;
            Ok(())
        })?;
        self.tails.remove(space);
        Ok(())
    }

    /// One commit for all; where one of them meets damage, one for each, so that it fails alone.
    fn write_all(&mut self, writes: &[(String, Batch)], replies: Vec<Reply<()>>) {
        let together = self.guarded(|keeper| keeper.write(writes));
        let alone = writes.len() > 1 && matches!(together, Err(StoreError::Damaged { .. }));
        for (index, reply) in replies.into_iter().enumerate() {
            let result =
                if alone { self.guarded(|keeper| keeper.write(&writes[index..=index])) } else { together.clone() };
            answer(reply, result);
        }
    }

    fn write(&mut self, writes: &[(String, Batch)]) -> Result<(), Fault> {
        let mut tails = HashMap::new();
        self.commit(|writing| {
            let mut table = writing.open_table(LOG).map_err(::redb::Error::from)?;
            let mut records = writing.open_table(RECORDS).map_err(::redb::Error::from)?;
            for (space, batch) in writes {
                let space = space.as_str();
                if batch.changes_log() {
                    let mut tail = match tails.get(space).or_else(|| self.tails.get(space)) {
                        Some(tail) => Tail::clone(tail),
                        None => read_log(&table, space, 0)?.2,
                    };
                    thin(&mut table, space, &mut tail, batch)?;
                    let tail = if batch.log.is_empty() { tail } else { append(&mut table, space, &tail, &batch.log)? };
                    tails.insert(space, tail);
                }
                for (key, value) in &batch.records {
                    match value {
                        Some(value) => {
                            let stored = log::encode_value(space, key, value);
                            records.insert((space, key.as_str()), stored.as_slice())?;
                        }
                        None => drop(records.remove((space, key.as_str()))?),
                    }
                }
            }
            Ok(())
        })?;
        self.tails.extend(tails.into_iter().map(|(space, tail)| (space.to_owned(), tail)));
        Ok(())
    }

    fn commit(&self, change: impl FnOnce(&::redb::WriteTransaction) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut writing = self.database()?.begin_write().map_err(::redb::Error::from)?;
        writing.set_two_phase_commit(true);
        change(&writing)?;
        writing.commit().map_err(::redb::Error::from)?;
        Ok(())
    }

    fn name_fault(&self, fault: Fault) -> StoreError {
        let path = || self.path.display().to_string();
        match fault {
            Fault::Damage(detail) => self.damaged(detail),
            Fault::Newer(detail) => StoreError::Newer { path: path(), detail },
            Fault::Redb(::redb::Error::DatabaseAlreadyOpen) => StoreError::InUse { path: path() },
            Fault::Redb(::redb::Error::Io(error)) => io_fault(&self.path, &error),
            Fault::Redb(error @ (::redb::Error::PreviousIo | ::redb::Error::LockPoisoned(_))) => {
                StoreError::Io { path: path(), detail: error.to_string() }
            }
            // Tables missing or of other types, values too large, corruption: the file is not what was written.
            Fault::Redb(error) => self.damaged(error.to_string()),
        }
    }

    fn damaged(&self, detail: String) -> StoreError {
        StoreError::Damaged { path: self.path.display().to_string(), detail }
    }
}

/// What a job met, before the file is named.
enum Fault {
    Damage(Damage),
    Newer(String),
    Redb(::redb::Error),
}

impl From<::redb::Error> for Fault {
    fn from(error: ::redb::Error) -> Self {
        Self::Redb(error)
    }
}

impl From<::redb::StorageError> for Fault {
    fn from(error: ::redb::StorageError) -> Self {
        Self::Redb(error.into())
    }
}

fn within(space: &str) -> impl Fn(Damage) -> Fault {
    move |detail| Fault::Damage(format!("in space {space}, {detail}"))
}

/// Whoever asked may have gone; what was asked is done all the same.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    reply.send(value).ok();
}

/// The write and those that already wait behind it, up to one batch's bytes; what is no write comes next.
fn gather(
    write: (String, Batch),
    reply: Reply<()>,
    queue: &mut mpsc::Receiver<Job>,
    next: &mut Option<Job>,
) -> (Vec<(String, Batch)>, Vec<Reply<()>>) {
    let mut bytes = write.1.bytes();
    let (mut writes, mut replies) = (vec![write], vec![reply]);
    while bytes < MAX_BATCH && writes.len() < JOBS {
        match queue.try_recv() {
            Ok(Job::Write { space, batch, reply }) => {
                bytes += batch.bytes();
                writes.push((space, batch));
                replies.push(reply);
            }
            Ok(job) => {
                *next = Some(job);
                break;
            }
            Err(_) => break,
        }
    }
    (writes, replies)
}

/// Puts what is thinner in the place of items.
fn thin(
    table: &mut ::redb::Table<'_, (&'static str, u64), &'static [u8]>,
    space: &str,
    tail: &mut Tail,
    batch: &Batch,
) -> Result<(), Fault> {
    let mut at = 0;
    while let Some(item) = batch.replace.get(at) {
        let found = seek(table, space, *item, false)?;
        let number = found.0;
        let (record, count) = log::thin(space, tail, found, &batch.replace[at..], &batch.by[at..]);
        table.insert((space, number), record.as_slice())?;
        at += count.max(1);
    }
    Ok(())
}

/// The record that holds an item, how many items come before it, and its items.
fn seek(
    table: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    space: &str,
    item: u64,
    to_start: bool,
) -> Result<(u64, u64, Vec<Bytes>), Fault> {
    let last = table.range((space, 0)..=(space, u64::MAX))?.next_back().transpose()?;
    let records = last.map_or(0, |(key, _)| key.value().1.saturating_add(1));
    let mut seek = log::Seek::new(space, item, records, to_start);
    while let Some(number) = seek.wants() {
        let record = table.get((space, number))?.map(|record| Bytes::copy_from_slice(record.value()));
        seek.look(record).map_err(within(space))?;
    }
    Ok(seek.found())
}

/// The log from an item on, or from some before it; how many come before these, and the tail.
fn read_log(
    table: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    space: &str,
    item: u64,
) -> Result<(u64, Vec<Bytes>, Tail), Fault> {
    let (number, before, _) = if item == 0 { Default::default() } else { seek(table, space, item, true)? };
    let mut reader = Reader::at(space, number, before);
    for row in table.range((space, number)..=(space, u64::MAX))? {
        let (key, value) = row?;
        reader.push(key.value().1, Bytes::copy_from_slice(value.value())).map_err(within(space))?;
    }
    let (log, tail) = reader.finish();
    Ok((before, log, tail))
}

fn append(
    table: &mut ::redb::Table<(&'static str, u64), &'static [u8]>,
    space: &str,
    tail: &Tail,
    items: &[Bytes],
) -> Result<Tail, Fault> {
    let (change, tail) = if tail.is_due(items) {
        let mut stored = Vec::new();
        for row in table.range((space, tail.records().start)..(space, tail.records().end))? {
            stored.push(Bytes::copy_from_slice(row?.1.value()));
        }
        tail.compact(space, stored, items).map_err(within(space))?
    } else {
        tail.append(space, items)
    };
    for (number, record) in &change.put {
        let replaced = table.insert((space, *number), record.as_slice())?.is_some();
        if replaced && *number >= change.fresh {
            return Err(within(space)(format!("log record {number} was there before it was written")));
        }
    }
    for number in change.delete {
        table.remove((space, number))?;
    }
    Ok(tail)
}

/// The folder, with its lock taken and a whole file in it.
fn make_and_lock(folder: &Path, path: &Path) -> Result<File, StoreError> {
    let failed = |error: io::Error| io_fault(path, &error);
    private_folder(folder).map_err(failed)?;
    let lock = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(folder.join(LOCK))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.display().to_string() }),
        // Some file systems know no locks; redb's own is left then.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    if !path.try_exists().map_err(failed)? {
        make_file(folder, path)?;
    }
    Ok(lock)
}

fn make_file(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| io_fault(path, &error);
    let new = folder.join(NEW_FILE);
    // Left by a start that was cut short; nothing was ever acknowledged in it.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = private(OpenOptions::new().read(true).write(true).create_new(true)).open(&new).map_err(failed)?;
    let filled = || -> Result<(), ::redb::Error> {
        let database = Builder::new().set_cache_size(CACHE).create_file(file)?;
        let mut writing = database.begin_write()?;
        writing.set_two_phase_commit(true);
        writing.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
        writing.open_table(LOG)?;
        writing.open_table(RECORDS)?;
        Ok(writing.commit()?)
    };
    filled().map_err(|error| match error {
        ::redb::Error::Io(error) => failed(error),
        error => StoreError::Io { path: path.display().to_string(), detail: error.to_string() },
    })?;
    fs::rename(&new, path).map_err(failed)?;
    // The name is durable when the folder is.
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}

/// Keys are in there: nobody else's business.
fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn io_fault(path: &Path, error: &io::Error) -> StoreError {
    let (path, detail) = (path.display().to_string(), error.to_string());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full { path },
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            StoreError::Damaged { path, detail }
        }
        _ => StoreError::Io { path, detail },
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
