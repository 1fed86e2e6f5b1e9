//! Where a node keeps what it must not forget: bytes in, bytes out, nothing known of entries.
//!
//! A *store* holds *spaces*: one for each circle and one for the device itself. A space holds a *log*, which only grows
//! and keeps its order, though items may give way to shorter ones, and *records*, small values by key. The rule of every store here:
//!
//! - A [`Batch`] is written whole or not at all, log and records together.
//! - When [`Space::write`] resolves with `Ok`, the batch is durable: it survives the loss of the process and of power.
//!   Nothing is *here*, and nothing is *sent*, before that.
//! - Writes to one space take effect in the order in which their futures were first polled.
//! - When it resolves with an error other than a refusal ([`StoreError::is_refusal`]), the batch may be there whole or
//!   not at all (a disk can fail after the last byte); only [`Space::load`] tells. So after such an error load again
//!   before anything is signed that builds on what was or was not written.
//! - What was damaged is reported, never skipped over and never replaced by an empty store. One exception: records whose
//!   names begin with [`DERIVED`] can be made again from the log, so a damaged one is left out, and named
//!   ([`Loaded::lost`]).

use std::collections::BTreeMap;

use bytes::Bytes;

#[cfg(any(test, feature = "cases"))]
pub mod cases;
#[cfg(target_arch = "wasm32")]
pub mod idb;
mod log;
mod memory;
#[cfg(not(target_arch = "wasm32"))]
pub mod redb;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

pub use memory::Memory;

/// Longest item of a log, in bytes: a settled header with the longest cut, which is more than the longest entry.
pub const MAX_ITEM: usize = 320 * 1024;
/// Longest value of a record, in bytes.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;
/// Longest name of a space or a record, in characters of `a-z`, `0-9` and `-`.
pub const MAX_NAME: usize = 128;
/// Most log items, and most records, in one batch.
pub const MAX_BATCH_ITEMS: usize = 10_000;
/// Most bytes in one batch, log and records together.
pub const MAX_BATCH: usize = 64 * 1024 * 1024;

/// What the names of records that can be made again from the log begin with.
pub const DERIVED: &str = "snapshot";

/// What is written at once: items to append to the log, then records to set, or with `None` to delete (of two for one
/// key the later counts), and items of the log to replace.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub log: Vec<Bytes>,
    pub records: Vec<(String, Option<Bytes>)>,
    /// Items to replace, by their places, sorted.
    pub replace: Vec<u64>,
    /// What is to stand there, which may be nothing: it is no longer than what is there now, or that stays.
    pub by: Vec<Bytes>,
}

/// The records of a space, by name.
pub type Records = BTreeMap<String, Bytes>;

/// Everything in a space, or its records and the end of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The items before the first of `log`.
    pub first: u64,
    /// In the order written.
    pub log: Vec<Bytes>,
    pub records: Records,
    /// Damaged records that can be made again from the log.
    pub lost: Vec<String>,
}

/// Says from which item on the log is wanted, by the records.
pub type First = fn(&Records) -> u64;

/// One circle's place in a store, or the device's own. Clones are the same place.
#[allow(async_fn_in_trait, reason = "the driver runs on one thread, so futures need not be Send")]
pub trait Space: Clone + 'static {
    /// Everything that was written, in order.
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.load_from(|_| 0).await
    }
    /// All records, and the log from an item on or from some before it.
    async fn load_from(&self, from: First) -> Result<Loaded, StoreError>;
    /// Items of the log by their places, which are sorted, from 0.
    async fn read(&self, items: Vec<u64>) -> Result<Vec<Bytes>, StoreError>;
    /// Writes the batch, atomically and durably (see the rule in the module's doc). An empty batch does nothing.
    async fn write(&self, batch: Batch) -> Result<(), StoreError>;
}

/// A place for spaces. Clones are the same store.
#[allow(async_fn_in_trait, reason = "the driver runs on one thread, so futures need not be Send")]
pub trait Store: Clone + 'static {
    type Space: Space;
    /// The space of this name. It need not hold anything yet; only its first write makes it durable.
    async fn space(&self, name: &str) -> Result<Self::Space, StoreError>;
    /// Names of the spaces that hold something, sorted.
    async fn spaces(&self) -> Result<Vec<String>, StoreError>;
    /// Removes all that is in a space, durably. One that holds nothing is no error.
    async fn remove(&self, name: &str) -> Result<(), StoreError>;
    /// Ends the store after the writes begun before: its file or database is free when this resolves, and every clone
    /// and space answers [`StoreError::Closed`].
    async fn close(&self);
}

/// Why a store could not do as told. `path` is the file, or the name of the browser's database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("a name has 1 to {MAX_NAME} characters of a-z, 0-9 and -; this one has {len} bytes")]
    Name { len: usize },
    #[error("{what} of {len} where at most {max} are kept")]
    TooLarge { what: &'static str, len: usize, max: usize },
    #[error("{path} is damaged: {detail}")]
    Damaged { path: String, detail: String },
    #[error("{path} was written by a newer version: {detail}")]
    Newer { path: String, detail: String },
    #[error("{path} is in use by another process")]
    InUse { path: String },
    #[error("{path} has no room left")]
    Full { path: String },
    #[error("{path} is held open by another tab, in another version")]
    Blocked { path: String },
    #[error("this browser gives no storage: {detail}")]
    Unavailable { detail: String },
    #[error("the store is closed")]
    Closed,
    #[error("{path}: {detail}")]
    Io { path: String, detail: String },
}

impl StoreError {
    /// Whether the batch was refused before any of it was written; after any other error it may be there, or not.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::TooLarge { .. })
    }
}

impl Loaded {
    /// Takes a record in; a damaged one that can be made again is named.
    fn take_record(&mut self, key: &str, value: Result<Bytes, log::Damage>) -> Result<(), log::Damage> {
        match value {
            Ok(value) => drop(self.records.insert(key.to_owned(), value)),
            Err(_) if key.starts_with(DERIVED) => self.lost.push(key.to_owned()),
            Err(detail) => return Err(detail),
        }
        Ok(())
    }
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        !self.changes_log() && self.records.is_empty()
    }

    fn changes_log(&self) -> bool {
        !self.log.is_empty() || !self.replace.is_empty()
    }

    /// Bytes of all items and values.
    fn bytes(&self) -> usize {
        let log = self.log.iter().chain(&self.by).map(Bytes::len).sum::<usize>();
        log + self.records.iter().filter_map(|(_, value)| value.as_ref().map(Bytes::len)).sum::<usize>()
    }

    /// Refuses what is over a bound, before anything of it is written.
    fn check(&self) -> Result<(), StoreError> {
        let within = |what, len, max| if len <= max { Ok(()) } else { Err(StoreError::TooLarge { what, len, max }) };
        within("items in a batch", self.log.len(), MAX_BATCH_ITEMS)?;
        within("records in a batch", self.records.len(), MAX_BATCH_ITEMS)?;
        within("items to replace in a batch", self.replace.len(), MAX_BATCH_ITEMS.min(self.by.len()))?;
        for item in &self.log {
            within("a log item's bytes", item.len(), MAX_ITEM)?;
        }
        for (key, value) in &self.records {
            check_name(key)?;
            within("a record's bytes", value.as_ref().map_or(0, Bytes::len), MAX_RECORD)?;
        }
        within("a batch's bytes", self.bytes(), MAX_BATCH)
    }
}

/// The rule for names of spaces and records.
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let fits = (1..=MAX_NAME).contains(&name.len());
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits && plain { Ok(()) } else { Err(StoreError::Name { len: name.len() }) }
}
