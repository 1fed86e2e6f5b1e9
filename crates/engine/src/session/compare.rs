//! What a comparison tells: which devices to ask for, what to fetch and what to give.

use super::{MAX_IDLE_ROUNDS, MAX_IDS, MAX_RANGES, Session, Step};
use crate::engine::{Engine, Peer};
use crate::frontier::{MAX_PLACES, bucket_of};
use crate::wire::{Place, Range};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::sorted::SortedMap;
use std::collections::VecDeque;

/// So long after a peer was asked what is erased it is asked again, if there is something to compare.
const ERASED_AGAIN_MS: u64 = 10 * 60_000;

impl Engine {
    pub(super) fn compare_buckets(&mut self, peer: Peer, height: u64, bits: u8, theirs: &[u64], now: u64) -> bool {
        if bits > crate::frontier::MAX_BITS || theirs.len() != 1 << bits {
            return false;
        }
        let ours = self.frontier.buckets(bits);
        let buckets: Vec<u16> =
            (0u16..).zip(ours.iter().zip(theirs)).filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
        let own_is_there = self.device().is_some_and(|own| !buckets.contains(&(bucket_of(&own, bits) as u16)));
        let Some(session) = self.sessions.get_mut(&peer) else { return true };
        (session.height, session.introduced) = (height, false);
        session.idle_rounds = session.idle_rounds.saturating_add(1);
        let upto = session.upto;
        if session.idle_rounds > MAX_IDLE_ROUNDS {
            // Something that one side refuses: leave it for now, and go on with what is settled.
            session.unfinished = true;
            session.plan = VecDeque::from([Step::Headers, Step::GiveHeaders, Step::Bundles]);
            self.plan_erased(peer, now);
        } else if buckets.is_empty() {
            session.plan = VecDeque::from([Step::Compare]);
        } else {
            session.plan = VecDeque::from([Step::Devices { bits, buckets }]);
        }
        if own_is_there {
            self.acknowledged(upto, now);
        }
        true
    }

    /// Plans what to fetch and what to give, device by device.
    pub(super) fn compare_devices(&mut self, peer: Peer, bits: u8, buckets: &[u16], theirs: &[Place], now: u64) {
        let Some(session) = self.sessions.get(&peer) else { return };
        // What was given made no difference: they may be behind on another branch, which is not known here.
        let (upto, may_fork) = (session.upto, session.idle_rounds > 1);
        let is_all = theirs.len() < MAX_PLACES;
        let theirs: SortedMap<DeviceId, Place> =
            theirs.iter().take(MAX_PLACES).map(|place| (place.device, *place)).collect();
        let ours: SortedMap<DeviceId, Place> = self
            .frontier
            .places(bits, buckets, &session.nonce)
            .into_iter()
            .map(|place| (place.device, place))
            .collect();
        let (mut fetch, mut give, mut branches) = (Vec::new(), Vec::new(), Vec::new());
        for (&device, place) in &theirs {
            match ours.get(&device) {
                None => fetch.push(Range { device, from: 0, to: place.seq }),
                Some(own) if own.tag == place.tag => {}
                Some(own) => {
                    if place.seq > own.seq {
                        fetch.push(Range { device, from: own.seq + 1, to: place.seq });
                    }
                    if place.seq < own.seq {
                        give.push(Range { device, from: place.seq + 1, to: own.seq });
                    }
                    if place.seq == own.seq || place.seq < own.seq && may_fork || self.dag.forked(&device) {
                        branches.push(device);
                    }
                }
            }
        }
        let lacks = |own: &&Place| is_all && !theirs.contains_key(&own.device);
        give.extend(ours.values().filter(lacks).map(|own| Range { device: own.device, from: 0, to: own.seq }));
        let own_is_there = self.device().is_some_and(|own| match (ours.get(&own), theirs.get(&own)) {
            (Some(ours), Some(theirs)) => ours.tag == theirs.tag,
            _ => false,
        });
        let missing = fetch.iter().map(|range| (range.to - range.from).saturating_add(1)).fold(0, u64::saturating_add);
        if own_is_there {
            self.acknowledged(upto, now);
        }
        let height = self.sessions.get(&peer).map_or(0, |session| session.height);
        self.note_height(peer, height);
        if self.may_join(&peer, height) || self.awaits_snapshot(now) {
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.plan = VecDeque::from([Step::Snapshot, Step::Compare]);
            }
            return;
        }
        if self.asks_by_hash(&peer, height, missing) {
            self.bulk.await_in_all(missing.saturating_add(self.history.len() as u64));
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.plan = VecDeque::from([Step::Settled, Step::Compare]);
            }
            return;
        }
        // What waiting entries name, whatever branch it is on.
        let wanted: Vec<EntryId> = self.dag.wanted().into_iter().take(MAX_IDS).collect();
        let branch_ids: Vec<EntryId> =
            branches.iter().flat_map(|device| self.branch_ids(device)).take(MAX_IDS).collect();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.plan = VecDeque::from([Step::Fetch { ranges: fetch }]);
        session.plan.extend(branches.into_iter().map(|device| Step::Branches { device }));
        session.plan.push_back(Step::FetchIds { ids: wanted });
        session.plan.extend([Step::Give { ranges: give }, Step::GiveIds { ids: branch_ids }, Step::Compare]);
    }

    /// Ranges without what has come since.
    pub(super) fn still_missing(&self, ranges: &[Range]) -> Vec<Range> {
        let next = |device: &DeviceId| self.dag.next_seq(device);
        ranges
            .iter()
            .map(|range| Range { from: range.from.max(next(&range.device)), ..*range })
            .filter(|range| range.from <= range.to)
            .take(MAX_RANGES)
            .collect()
    }

    /// Asks a peer which entries are erased there, at the end of this round: once a link, when there are more here, and
    /// when it was not asked for a while.
    pub(super) fn plan_erased(&mut self, peer: Peer, now: u64) {
        let (bits, known) = (self.erased.bits(), self.erased.len());
        let is_known = |(then, at): (usize, u64)| then == known && now.saturating_sub(at) < ERASED_AGAIN_MS;
        if let Some(session) = self.sessions.get_mut(&peer).filter(|session| !session.erased.is_some_and(is_known)) {
            session.plan.push_back(Step::Erased { bits, known, at: now });
        }
    }

    /// Plans what to fetch and to give of what is erased; false if that is no answer.
    pub(super) fn compare_erased(&mut self, peer: Peer, bits: u8, buckets: &[u64], theirs: &[EntryId]) -> bool {
        if theirs.len() > MAX_IDS || buckets.len() > 1 << bits || !theirs.is_sorted() {
            return false;
        }
        // Who joined by a snapshot may be shown what it does not hold.
        let shows_more = self.joined_at().is_some();
        let is_new = |id: &&EntryId| (shows_more || self.history.contains(id)) && !self.erased.contains(id);
        let fetch = theirs.iter().filter(is_new).copied().collect();
        // More than an answer holds: the rest is for the next time.
        let last = theirs.last().filter(|_| theirs.len() == MAX_IDS);
        let ours = self.erased.in_buckets(bits, buckets).take_while(|id| last.is_none_or(|last| id <= last));
        let give = ours.filter(|id| theirs.binary_search(id).is_err() && self.has_left(id)).take(MAX_IDS).collect();
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.plan.extend([Step::FetchIds { ids: fetch }, Step::GiveIds { ids: give }]);
        }
        true
    }

    /// What a relay fetches itself reaches the others only through it.
    pub(super) fn hand_on(&mut self, taken: &[EntryId], now: u64) {
        if self.is_keeper() {
            self.spread(taken, now);
        }
    }

    pub(super) fn progress(&mut self, peer: Peer, new: bool) {
        if let Some(session) = self.sessions.get_mut(&peer)
            && new
        {
            (session.idle_rounds, session.stalemates) = (0, 0);
        }
    }

    /// Whether this node holds what the nodes that it has compared with hold; with none it can not tell.
    pub(crate) fn is_level(&self) -> bool {
        let level = |session: &Session| session.rests() && !session.unfinished;
        self.sessions.values().any(level) && self.sessions.values().all(|one| one.height <= self.chain.height())
    }

    /// A peer's headers are not by the witnesses here, do not follow ours, or it takes none of ours: another history begins
    /// below, or another witness was named in a lost one's place. The peer is asked what stands there, once a height, till
    /// it is known.
    pub(crate) fn look_below(&mut self, peer: Peer, now: u64) {
        let (own, is_known) = (self.chain.height(), self.conflict.is_some());
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if !is_known && session.looked_below.is_none_or(|at| at != own) {
            (session.below, session.looked_below) = (true, Some(own));
            self.sync(peer, now);
        }
    }
}
