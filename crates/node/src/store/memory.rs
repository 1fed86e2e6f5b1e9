//! A store in memory, with hooks that stand for what disks do to a node.
//!
//! A write first waits in a queue, as in a system's cache, and is then synced. [`Memory::hold`] keeps writes waiting,
//! [`Memory::lose_unsynced`] is the power cut that loses them, [`Memory::fail_next`] a disk's refusal. A test can so
//! prove that nothing is acknowledged before it is durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::channel::oneshot;

use super::log::pick;
use super::{Batch, First, Loaded, Space, Store, StoreError, check_name};

/// Clones are the same store: to restart a node, hand a clone to the next one.
#[derive(Clone, Default)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    durable: BTreeMap<String, Loaded>,
    waiting: VecDeque<Waiting>,
    /// Told when a write begins to wait.
    watchers: Vec<(usize, oneshot::Sender<()>)>,
    held: bool,
    fail: Option<StoreError>,
    writes: u64,
}

struct Waiting {
    space: String,
    change: Change,
    done: oneshot::Sender<Result<(), StoreError>>,
}

enum Change {
    Write(Batch),
    Remove,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next write or removal fails with this, and nothing of it is kept.
    pub fn fail_next(&self, error: StoreError) {
        self.lock().fail = Some(error);
    }

    /// From now on writes wait unsynced, until [`Self::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Syncs what waits, in order, and holds no more.
    pub fn release(&self) {
        let mut inner = self.lock();
        inner.held = false;
        inner.sync();
    }

    /// How many writes wait.
    pub fn held(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Resolves when at least `count` writes wait.
    pub async fn until_held(&self, count: usize) {
        let waited = {
            let mut inner = self.lock();
            if inner.waiting.len() >= count {
                return;
            }
            let (sender, waited) = oneshot::channel();
            inner.watchers.push((count, sender));
            waited
        };
        // An error means that the store is gone, and then so is what waited here.
        if waited.await.is_err() {
            futures::future::pending::<()>().await;
        }
    }

    /// The power cut: forgets what waits unsynced (its writers get [`StoreError::Closed`]) and holds no more.
    pub fn lose_unsynced(&self) {
        let mut inner = self.lock();
        inner.held = false;
        inner.waiting.clear();
    }

    /// How many writes and removals became durable.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    async fn change(&self, space: &str, change: Change) -> Result<(), StoreError> {
        let synced = {
            let mut inner = self.lock();
            if let Some(error) = inner.fail.take() {
                return Err(error);
            }
            let (done, synced) = oneshot::channel();
            inner.waiting.push_back(Waiting { space: space.to_owned(), change, done });
            inner.tell_watchers();
            if !inner.held {
                inner.sync();
            }
            synced
        };
        synced.await.unwrap_or(Err(StoreError::Closed))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked elsewhere says so itself; the data here is whole between statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn sync(&mut self) {
        while let Some(Waiting { space, change, done }) = self.waiting.pop_front() {
            match change {
                Change::Write(batch) => self.durable.entry(space).or_default().apply(batch),
                Change::Remove => drop(self.durable.remove(&space)),
            }
            self.writes += 1;
            // A writer that no longer listens has its write all the same.
            done.send(Ok(())).ok();
        }
    }

    fn tell_watchers(&mut self) {
        let waiting = self.waiting.len();
        for (_, watcher) in self.watchers.extract_if(.., |(count, _)| *count <= waiting) {
            watcher.send(()).ok();
        }
    }
}

impl Loaded {
    fn apply(&mut self, batch: Batch) {
        self.log.extend(batch.log);
        for (at, thinner) in batch.replace.into_iter().zip(batch.by) {
            let held = usize::try_from(at).ok().and_then(|at| self.log.get_mut(at));
            if let Some(item) = held.filter(|held| held.len() >= thinner.len()) {
                *item = thinner;
            }
        }
        for (key, value) in batch.records {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
    }

    fn is_empty(&self) -> bool {
        self.log.is_empty() && self.records.is_empty()
    }
}

/// A space of a [`Memory`].
#[derive(Clone)]
pub struct MemorySpace {
    store: Memory,
    name: String,
}

impl Space for MemorySpace {
    /// What a restart would find: not what still waits.
    async fn load_from(&self, from: First) -> Result<Loaded, StoreError> {
        let mut loaded = self.store.lock().durable.get(&self.name).cloned().unwrap_or_default();
        loaded.first = from(&loaded.records).min(loaded.log.len() as u64);
        loaded.log.drain(..loaded.first as usize);
        Ok(loaded)
    }

    async fn read(&self, items: Vec<u64>) -> Result<Vec<Bytes>, StoreError> {
        let inner = self.store.lock();
        let log = inner.durable.get(&self.name).map(|held| &held.log[..]).unwrap_or_default();
        let mut read = Vec::with_capacity(items.len());
        let picked = if items.is_empty() { Ok(0) } else { pick(&items, 0, log, &mut read) };
        match picked {
            Ok(count) if count == items.len() => Ok(read),
            _ => Err(StoreError::Damaged { path: "memory".into(), detail: "an item to be read is missing".into() }),
        }
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        self.store.change(&self.name, Change::Write(batch)).await
    }
}

impl Store for Memory {
    type Space = MemorySpace;

    async fn space(&self, name: &str) -> Result<MemorySpace, StoreError> {
        check_name(name)?;
        Ok(MemorySpace { store: self.clone(), name: name.to_owned() })
    }

    async fn spaces(&self) -> Result<Vec<String>, StoreError> {
        let inner = self.lock();
        Ok(inner.durable.iter().filter(|(_, held)| !held.is_empty()).map(|(name, _)| name.clone()).collect())
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        self.change(name, Change::Remove).await
    }

    /// Memory has nothing to free; it stays open, so that the next node finds it.
    async fn close(&self) {}
}
