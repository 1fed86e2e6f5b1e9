//! What a hub keeps: who said to be findable under which key, and for how long it is believed.
//!
//! The rule: nobody keeps others out for long. A key's newest providers displace its oldest, and when everything is full,
//! who has most here makes room for who has less, and who is linked no more for who is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use web_time::Instant;

use super::{K, Place};
use crate::Peer;

/// How long a record is kept after it was last said: twice as long as announcing nodes wait, and a bit.
pub(crate) const KEPT: Duration = Duration::from_secs(2 * 60 * 60);
/// Records of one provider.
pub(crate) const MAX_PER_PEER: usize = 64;
/// Records in all, each of which has at most 1 KiB of addresses.
pub(crate) const MAX_RECORDS: usize = 8_192;
/// How often is cleaned up.
const SWEEP: Duration = Duration::from_secs(60);
const NIL: Peer = Peer([0; 32]);

/// A provider and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) addresses: Vec<Vec<u8>>,
}

struct Record {
    addresses: Vec<Vec<u8>>,
    until: Instant,
}

/// The records, by place and provider.
#[derive(Default)]
pub(crate) struct Store {
    records: BTreeMap<(Place, Peer), Record>,
    by: BTreeMap<Peer, usize>,
    /// Providers that are linked no more.
    away: BTreeSet<Peer>,
    swept: Option<Instant>,
}

impl Store {
    /// A provider says that it is findable; `false`: there is no room.
    pub(crate) fn add(&mut self, place: Place, provider: Node, now: Instant) -> bool {
        self.sweep(now);
        self.away.remove(&provider.peer);
        let (at, until) = ((place, provider.peer), now + KEPT);
        if !self.records.contains_key(&at) && !self.make_room(at) {
            return false;
        }
        if self.records.insert(at, Record { addresses: provider.addresses, until }).is_none() {
            *self.by.entry(at.1).or_default() += 1;
        }
        true
    }

    /// A provider is linked no more. It may come again, but nobody finds it there meanwhile: its records go first.
    pub(crate) fn left(&mut self, provider: Peer) {
        if self.by.contains_key(&provider) {
            self.away.insert(provider);
        }
    }

    /// Who is findable at a place, the newest first.
    pub(crate) fn providers(&self, place: Place, now: Instant) -> Vec<Node> {
        let mut living: Vec<_> = self.at(place).filter(|(_, record)| record.until > now).collect();
        living.sort_by_key(|(_, record)| std::cmp::Reverse(record.until));
        living
            .into_iter()
            .map(|((_, peer), record)| Node { peer: *peer, addresses: record.addresses.clone() })
            .collect()
    }

    fn at(&self, place: Place) -> impl Iterator<Item = (&(Place, Peer), &Record)> {
        self.records.range((place, NIL)..).take_while(move |((at, _), _)| *at == place)
    }

    /// Room for one more record.
    fn make_room(&mut self, (place, provider): (Place, Peer)) -> bool {
        let has = self.has(&provider);
        if has >= MAX_PER_PEER {
            return false;
        }
        if self.at(place).count() >= K {
            let oldest = self.at(place).min_by_key(|(_, record)| record.until).map(|(at, _)| *at);
            return oldest.is_some_and(|oldest| self.remove(oldest));
        }
        if self.records.len() < MAX_RECORDS {
            return true;
        }
        let most = self.by.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > has + 1);
        let most = most.map(|(most, _)| *most);
        let gives = |peer: &Peer| most.map_or_else(|| self.away.contains(peer), |most| *peer == most);
        let of = self.records.iter().filter(|((_, peer), _)| gives(peer));
        let oldest = of.min_by_key(|(_, record)| record.until).map(|(at, _)| *at);
        oldest.is_some_and(|oldest| self.remove(oldest))
    }

    fn has(&self, peer: &Peer) -> usize {
        self.by.get(peer).copied().unwrap_or(0)
    }

    fn remove(&mut self, at: (Place, Peer)) -> bool {
        if self.records.remove(&at).is_none() {
            return false;
        }
        match self.has(&at.1).saturating_sub(1) {
            0 => {
                self.away.remove(&at.1);
                self.by.remove(&at.1)
            }
            left => self.by.insert(at.1, left),
        };
        true
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP) {
            return;
        }
        self.swept = Some(now);
        let old: Vec<_> = self.records.iter().filter(|(_, record)| record.until <= now).map(|(at, _)| *at).collect();
        for at in old {
            self.remove(at);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}
