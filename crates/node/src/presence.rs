//! Who is there: every device says so now and then on the circle's presence topic, signed, and is believed for a while.
//! It is a hint for people, not of the ledger: nothing is stored, nothing rests on it.
//!
//! Whoever heard a saying can say it again. So one is believed only if its time is newer than all heard of its device, which is
//! remembered while the node runs, and not over a day behind our clock, which is what holds after a new start: a day is more
//! than a wrong time zone makes. There is no better clock to hold it to: settled headers' times stand still while nothing is
//! settled. A time ahead of ours has no bound, so of any two devices the one whose clock is behind believes the other, and
//! seeks it; the price is that what a clock far ahead made it say can be said again, after each new start, until a day after
//! that time. A device that is linked has proved its key, so it is there whatever time it says: thus a friend whose clock is
//! days behind, or was put back before its page came anew, is seen once it is linked.

use crate::driver::Node;
use crate::profile::CircleRecord;
use crate::rt;
use crate::store::Store;
use ledgerno_engine::wire::{There, Topic};
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::codec;
use ledgerno_ledger::sorted::SortedMap;
use ledgerno_minnet as minnet;
use std::time::Duration;

/// How often a device says that it is there.
const SAY: Duration = Duration::from_secs(25);
/// How long it is believed, in milliseconds.
const BELIEVED_MS: u64 = 60_000;
/// How far behind our clock a saying may be, in milliseconds.
const LATE_MS: u64 = 24 * 60 * 60 * 1_000;
/// The shortest time between two sayings, however many friends come.
const PAUSE_MS: u64 = 2_000;
/// The most bytes of a saying.
const MAX_BYTES: usize = 128;
/// In a circle of so many devices that are there, everybody is linked with everybody.
const EVERYBODY: usize = 12;
/// The most devices remembered.
const MAX_DEVICES: usize = 2_000;

/// Who was heard of in a circle.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    heard: SortedMap<DeviceId, Heard>,
    /// By the clock.
    said_at: u64,
    /// The time that was said.
    said: u64,
    /// A saying is put off to the end of the pause.
    put_off: bool,
}

#[derive(Debug)]
struct Heard {
    /// The newest, by their clock.
    time: u64,
    /// By ours.
    at: u64,
    since: u64,
}

impl Heard {
    /// A clock that was put back makes nobody stay.
    fn is_believed(&self, now: u64) -> bool {
        now.abs_diff(self.at) < BELIEVED_MS
    }
}

/// What a saying came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    /// It is not believed.
    Denied,
    /// The device was there already.
    Stays,
    Came,
}

impl Presence {
    /// Takes a saying; `linked`: its device is linked with us.
    fn hear(&mut self, there: &There, linked: bool, now: u64) -> Belief {
        let known = self.heard.get(&there.device);
        let newer = known.is_none_or(|heard| there.time > heard.time);
        let late = now.saturating_sub(there.time) > LATE_MS;
        if !linked && (late || !newer) {
            return Belief::Denied;
        }
        // What is believed for the link's sake may be a replay, and makes no other newer.
        let time = known.map_or(there.time, |heard| heard.time.max(there.time));
        let since = known.filter(|heard| heard.is_believed(now)).map(|heard| heard.since);
        if known.is_none() && !self.has_room(now) {
            return Belief::Denied;
        }
        self.heard.insert(there.device, Heard { time, at: now, since: since.unwrap_or(now) });
        if since.is_some() { Belief::Stays } else { Belief::Came }
    }

    /// Whether one more device can be remembered; for it the one goes that was heard longest ago and is not believed.
    fn has_room(&mut self, now: u64) -> bool {
        if self.heard.len() < MAX_DEVICES {
            return true;
        }
        let gone = self.heard.iter().filter(|(_, heard)| !heard.is_believed(now)).min_by_key(|(_, heard)| heard.at);
        gone.map(|(device, _)| *device).is_some_and(|device| self.heard.remove(&device).is_some())
    }

    /// The time to say, or how long to wait before.
    fn next_saying(&mut self, now: u64) -> Result<u64, Duration> {
        let pause = PAUSE_MS.saturating_sub(now.abs_diff(self.said_at));
        if pause > 0 {
            return Err(Duration::from_millis(pause));
        }
        self.said_at = now;
        // A clock that was put back must not make it a replay.
        self.said = self.said.saturating_add(1).max(now);
        Ok(self.said)
    }

    /// The devices that are there, and since when by our clock.
    pub(crate) fn there(&self, now: u64) -> impl Iterator<Item = (DeviceId, u64)> {
        self.heard.iter().filter(move |(_, heard)| heard.is_believed(now)).map(|(device, heard)| (*device, heard.since))
    }
}

impl<S: Store> Node<S> {
    /// Says from now on that this device is there.
    pub(crate) fn keep_present(&self, circle: CircleId) {
        let node = self.clone();
        rt::spawn(async move {
            while node.is_open(circle) {
                node.say_there(circle);
                rt::sleep(SAY).await;
                // Somebody may be believed no longer.
                node.changed();
            }
        });
    }

    /// Says that this device is there, unless it is not in the circle, or nobody is linked. If it just did, it does so again
    /// after a pause: who came meanwhile heard nothing.
    pub(crate) fn say_there(&self, circle: CircleId) {
        let now = rt::now();
        let bytes = {
            let mut state = self.0.state.borrow_mut();
            let device = state.profile.device();
            let linked = state.links.up().next().is_some();
            let Some(circle_state) = state.circles.get_mut(&circle) else { return };
            let in_it = circle_state.engine.as_ref().is_some_and(ledgerno_engine::Engine::is_in);
            let presence = &mut circle_state.presence;
            if !linked || !in_it {
                return;
            }
            match presence.next_saying(now) {
                Ok(time) => codec::encode(&There::say(circle, &device, time)),
                Err(_) if std::mem::replace(&mut presence.put_off, true) => return,
                Err(pause) => {
                    drop(state);
                    return self.say_there_after(circle, pause);
                }
            }
        };
        if let Err(error) = self.0.net.publish(&minnet::Topic(Topic::Presence.id(circle)), bytes.into()) {
            tracing::debug!(%error, "presence not said");
        }
    }

    fn say_there_after(&self, circle: CircleId, pause: Duration) {
        let node = self.clone();
        rt::spawn(async move {
            rt::sleep(pause).await;
            if let Some(circle) = node.0.state.borrow_mut().circles.get_mut(&circle) {
                circle.presence.put_off = false;
            }
            node.say_there(circle);
        });
    }

    /// Hears who is there; who comes anew is greeted, so that they need not wait to see us. Who shall be linked is sought.
    pub(crate) fn hear_there(&self, circle: CircleId, bytes: &[u8]) {
        let Ok(there) = codec::decode::<There>(bytes, MAX_BYTES) else { return };
        let (belief, sought, linked) = {
            let mut state = self.0.state.borrow_mut();
            let now = rt::now();
            let own = state.profile.device().id();
            let linked = state.links.is_up(&there.device);
            let Some(circle_state) = state.circles.get_mut(&circle) else { return };
            let friend = circle_state.engine.as_ref().is_some_and(|engine| engine.is_admitted(&there.device));
            if !friend || there.device == own || !there.holds(circle) {
                return;
            }
            let belief = circle_state.presence.hear(&there, linked, now);
            let present: Vec<DeviceId> = circle_state.presence.there(now).map(|(device, _)| device).collect();
            (belief, belief != Belief::Denied && are_neighbours(&own, &there.device, &present), linked)
        };
        if linked {
            // It may have been linked before it was known to be a friend.
            self.admit(there.device);
            self.drive(circle, |engine, now| engine.met(there.device, now));
        }
        if sought && let Err(error) = self.0.net.seek(minnet::Peer(there.device.0)) {
            tracing::debug!(%error, "a friend is not sought");
        }
        if belief == Belief::Came {
            self.say_there(circle);
            self.changed();
        }
    }
}

/// What a circle's devices meet under at relays: nobody else can make it.
fn rendezvous(record: &CircleRecord) -> Option<[u8; 32]> {
    let salt = record.keys.as_ref()?.state.circle_salt();
    Some(blake3::derive_key("ledgerno v1 circle rendezvous", &salt))
}

impl<S: Store> Node<S> {
    /// Is findable by the circle's devices from now on.
    pub(crate) fn be_findable(&self, circle: CircleId) {
        let state = self.0.state.borrow();
        let Some(key) = state.circles.get(&circle).and_then(|circle| rendezvous(&circle.record)) else { return };
        drop(state);
        if let Err(error) = self.0.net.announce(key).and_then(|()| self.0.net.find(key)) {
            tracing::debug!(%error, "not findable");
        }
    }

    /// A relay is linked: who is findable there?
    pub(crate) fn look_for_friends(&self) {
        let state = self.0.state.borrow();
        let keys: Vec<[u8; 32]> = state.circles.values().filter_map(|circle| rendezvous(&circle.record)).collect();
        drop(state);
        for key in keys {
            if let Err(error) = self.0.net.find(key) {
                tracing::debug!(%error, "not looked for friends");
            }
        }
    }

    /// A relay says that somebody is there. If it is a friend, it is sought by the carriers that there are; what URLs are
    /// named is not dialled, for nobody has proved anything.
    pub(crate) fn friend_found(&self, key: &[u8; 32], peer: DeviceId) {
        let friend = {
            let state = self.0.state.borrow();
            let own = state.profile.device().id();
            let circle = state.circles.values().find(|circle| rendezvous(&circle.record).as_ref() == Some(key));
            peer != own
                && circle.is_some_and(|circle| {
                    let present: Vec<DeviceId> = circle.presence.there(rt::now()).map(|(device, _)| device).collect();
                    circle.engine.as_ref().is_some_and(|engine| engine.is_admitted(&peer))
                        && are_neighbours(&own, &peer, &present)
                })
        };
        if friend && let Err(error) = self.0.net.seek(minnet::Peer(peer.0)) {
            tracing::debug!(%error, "a friend is not sought");
        }
    }
}

/// Whether two devices keep a link when `others` are there too: all do in a small circle; in a larger one those do that are
/// a power of two apart in the ring of all ids, so that each has few links and is few steps from everybody. Both judge alike,
/// as far as they see the same.
fn are_neighbours(own: &DeviceId, other: &DeviceId, others: &[DeviceId]) -> bool {
    let count = others.iter().filter(|device| *device != own && *device != other).count() + 2;
    if count <= EVERYBODY {
        return true;
    }
    let (low, high) = if own < other { (own, other) } else { (other, own) };
    let between = others.iter().filter(|device| *device > low && *device < high).count();
    let apart = between + 1;
    apart.is_power_of_two() || (count - apart).is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgerno_ledger::bytes::Signature;
    use ledgerno_ledger::keys::DeviceKey;
    use proptest::prelude::*;

    #[test]
    fn a_saying_that_was_changed_is_none() {
        let circle = CircleId([1; 32]);
        let valid = codec::encode(&There::say(circle, &DeviceKey::from_secret([2; 32]), 10));
        ledgerno_ledger::hostile::besiege(std::slice::from_ref(&valid), 20_000, |bytes| {
            let held = codec::decode::<There>(bytes, MAX_BYTES).is_ok_and(|there| there.holds(circle));
            assert!(!held || bytes == valid);
        });
    }

    #[test]
    fn a_device_is_believed_for_a_while_and_a_replay_never() {
        let circle = CircleId([1; 32]);
        let device = DeviceKey::from_secret([2; 32]);
        let mut presence = Presence::default();
        let mut hear = |there: &There, now| {
            let belief = presence.hear(there, false, now);
            (belief, presence.there(now).collect::<Vec<_>>())
        };
        let first = There::say(circle, &device, 10);
        let since = |at| vec![(device.id(), at)];
        assert!(first.holds(circle) && !first.holds(CircleId([2; 32])));
        assert_eq!(hear(&first, 1_000_000), (Belief::Came, since(1_000_000)));
        assert_eq!(hear(&first, 1_000_001), (Belief::Denied, since(1_000_000)), "a replay");
        assert_eq!(hear(&There::say(circle, &device, 11), 1_010_000), (Belief::Stays, since(1_000_000)));
        for late in [BELIEVED_MS, 2 * BELIEVED_MS, LATE_MS / 2] {
            assert_eq!(
                hear(&first, 1_010_000 + late),
                (Belief::Denied, vec![]),
                "an old saying does not bring it back"
            );
        }
        let again = 1_010_001 + LATE_MS / 2;
        assert_eq!(hear(&There::say(circle, &device, 12), again), (Belief::Came, since(again)));
    }

    /// A saying of the device of this number; whether it is signed is asked before.
    fn saying(device: u16, time: u64) -> There {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&device.to_be_bytes());
        There { device: DeviceId(id), time, signature: Signature([0; 64]) }
    }

    #[test]
    fn a_new_start_believes_nothing_that_is_over_a_day_old() {
        let now = 100 * LATE_MS;
        let anew = |time, linked| Presence::default().hear(&saying(1, time), linked, now);
        assert_eq!(anew(now - LATE_MS, false), Belief::Came, "a clock that is hours behind");
        assert_eq!(anew(now - LATE_MS - 1, false), Belief::Denied);
        assert_eq!(anew(2 * now, false), Belief::Came, "a clock that is far ahead");
        assert_eq!(anew(0, true), Belief::Came, "it is linked");
    }

    #[test]
    fn whoever_was_heard_longest_ago_is_forgotten_but_nobody_who_is_believed() {
        let (count, now) = (u16::try_from(MAX_DEVICES).unwrap_or(u16::MAX), 1_000_000);
        let mut presence = Presence::default();
        let heard = |presence: &Presence, device| presence.heard.contains_key(&saying(device, 0).device);
        for device in 0..count {
            assert_eq!(presence.hear(&saying(device, now), false, now + u64::from(device != 7)), Belief::Came);
        }
        assert_eq!(presence.hear(&saying(count, now), false, now + 2), Belief::Denied, "all are believed");
        assert_eq!(presence.hear(&saying(count, now), false, now + BELIEVED_MS), Belief::Came);
        assert!(!heard(&presence, 7) && heard(&presence, count) && presence.heard.len() == MAX_DEVICES);
        assert_eq!(presence.hear(&saying(7, now + 1), false, now + BELIEVED_MS), Belief::Denied, "all are believed");
    }

    #[test]
    fn a_clock_that_is_put_back_silences_nobody() {
        let mut presence = Presence::default();
        let said: Vec<u64> = [9_000_000, 1_000_000, 1_000_000 + PAUSE_MS]
            .into_iter()
            .map(|now| presence.next_saying(now).unwrap_or_default())
            .collect();
        assert!(said.is_sorted_by(|before, after| before < after), "{said:?}");
        assert_eq!(presence.next_saying(1_000_001 + PAUSE_MS), Err(Duration::from_millis(PAUSE_MS - 1)));
    }

    proptest! {
        /// Whatever is said and said again: unless the device is linked only what is newer than all of it, and of the last
        /// day, is believed, and that always is. Who is believed is there, for a while.
        #[test]
        fn only_what_is_new_is_believed(
            sayings in prop::collection::vec(
                (0u16..3, 0u64..6, prop::bool::weighted(0.1), 0u64..2 * BELIEVED_MS, prop::bool::weighted(0.1)),
                1..60,
            ),
        ) {
            let (mut presence, mut now) = (Presence::default(), 10 * LATE_MS);
            let (mut newest, mut last) = ([0; 3], [0; 3]);
            for (device, time, linked, passed, day) in sayings {
                now += passed + if day { LATE_MS } else { 0 };
                let (there, at) = (saying(device, 9 * LATE_MS + time * LATE_MS / 2), usize::from(device));
                let expected = linked || (there.time > newest[at] && there.time + LATE_MS >= now);
                prop_assert_eq!(presence.hear(&there, linked, now) != Belief::Denied, expected);
                if expected {
                    (newest[at], last[at]) = (there.time.max(newest[at]), now);
                }
                let present: Vec<_> = presence.there(now).map(|(device, _)| device).collect();
                let expected: Vec<_> = (0..3)
                    .filter(|device| now - last[usize::from(*device)] < BELIEVED_MS)
                    .map(|device| saying(device, 0).device)
                    .collect();
                prop_assert_eq!(present, expected);
            }
        }
    }

    #[test]
    fn few_are_linked_with_all_and_many_are_few_steps_apart() {
        let device = |number: u16| {
            DeviceId([number.to_be_bytes()[0], number.to_be_bytes()[1]].repeat(16).try_into().unwrap_or([0; 32]))
        };
        for count in [2u16, 5, 12, 13, 100, 1_000] {
            let all: Vec<DeviceId> = (0..count).map(device).collect();
            let seen_by = |own: usize| {
                all.iter().enumerate().filter(|(at, _)| *at != own).map(|(_, device)| *device).collect::<Vec<_>>()
            };
            let links = |own: usize| -> Vec<usize> {
                let seen = seen_by(own);
                (0..all.len()).filter(|at| *at != own && are_neighbours(&all[own], &all[*at], &seen)).collect()
            };
            let most = links(0).len();
            assert!(if count <= 12 { most == usize::from(count) - 1 } else { most <= 20 }, "{count}: {most}");
            assert!(links(0).iter().all(|at| links(*at).contains(&0)), "both judge alike");
            let (mut reached, mut front, mut steps) = (vec![false; all.len()], vec![0], 0);
            reached[0] = true;
            while !front.is_empty() {
                front = front
                    .iter()
                    .flat_map(|at| links(*at))
                    .filter(|at| !std::mem::replace(&mut reached[*at], true))
                    .collect();
                steps += 1;
            }
            assert!(reached.iter().all(|reached| *reached) && steps <= 7, "{count}: {steps}");
        }
    }
}
