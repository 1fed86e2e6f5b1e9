//! What was heard lately: the ids of messages, so that each is taken once, and the newest messages, for who missed them.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use web_time::Instant;

use super::Id;
use crate::Topic;

/// For how long at least a message is known again.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);
/// Ids of one generation; more make it end sooner.
const MAX_IDS: usize = 20_000;

/// Ids in two generations, of which the older is forgotten when the newer is old enough.
pub(super) struct Seen {
    new: HashSet<Id>,
    old: HashSet<Id>,
    since: Instant,
}

impl Seen {
    pub(super) fn new(now: Instant) -> Self {
        Seen { new: HashSet::new(), old: HashSet::new(), since: now }
    }

    /// Notes an id; `false`: it was known.
    pub(super) fn note(&mut self, id: Id, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= REMEMBERED || self.new.len() >= MAX_IDS {
            self.old = std::mem::take(&mut self.new);
            self.since = now;
        }
        !self.old.contains(&id) && self.new.insert(id)
    }

    pub(super) fn knows(&self, id: &Id) -> bool {
        self.new.contains(id) || self.old.contains(id)
    }
}

/// Heartbeats for which a message can be had, and for which it is told of.
const KEPT: u8 = 5;
const TOLD: u8 = 3;
/// Bytes of messages kept.
const MAX_KEPT: usize = 4 * 1024 * 1024;
/// Ids told of at once.
const MAX_TOLD: usize = 500;

struct Kept {
    id: Id,
    topic: Topic,
    data: Bytes,
    age: u8,
}

/// The newest messages, oldest first.
#[derive(Default)]
pub(super) struct Cache {
    kept: Vec<Kept>,
    bytes: usize,
}

impl Cache {
    pub(super) fn put(&mut self, id: Id, topic: Topic, data: Bytes) {
        self.bytes += data.len();
        self.kept.push(Kept { id, topic, data, age: 0 });
        let mut over = 0;
        while self.bytes > MAX_KEPT && over < self.kept.len() {
            self.bytes -= self.kept[over].data.len();
            over += 1;
        }
        self.kept.drain(..over);
    }

    pub(super) fn get(&self, id: &Id) -> Option<(Topic, Bytes)> {
        self.kept.iter().find(|kept| kept.id == *id).map(|kept| (kept.topic, kept.data.clone()))
    }

    /// The ids to tell of.
    pub(super) fn told(&self, topic: &Topic) -> Vec<Id> {
        let told = self.kept.iter().filter(|kept| kept.topic == *topic && kept.age < TOLD).rev();
        told.take(MAX_TOLD).map(|kept| kept.id).collect()
    }

    /// A heartbeat has passed.
    pub(super) fn age(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.age += 1);
        self.kept.retain(|kept| kept.age < KEPT);
        self.bytes = self.kept.iter().map(|kept| kept.data.len()).sum();
    }
}
