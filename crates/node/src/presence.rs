//! Who is there: every device says so now and then on the circle's presence topic, signed, and is believed for a while.
//! It is a hint for people, not of the ledger: nothing is stored, nothing rests on it.

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
    said_at: u64,
    /// A saying is put off to the end of the pause.
    put_off: bool,
}

#[derive(Debug)]
struct Heard {
    /// By their clock.
    time: u64,
    /// By ours.
    at: u64,
    since: u64,
}

impl Presence {
    /// Takes a saying; true if the device was not there before.
    fn hear(&mut self, there: &There, now: u64) -> bool {
        self.heard.retain(|_, heard| now.saturating_sub(heard.at) < 2 * BELIEVED_MS);
        let since = match self.heard.get(&there.device) {
            Some(heard) if heard.time >= there.time => return false,
            Some(heard) if now.saturating_sub(heard.at) < BELIEVED_MS => heard.since,
            None if self.heard.len() >= MAX_DEVICES => return false,
            _ => now,
        };
        self.heard.insert(there.device, Heard { time: there.time, at: now, since });
        since == now
    }

    /// The devices that are there, and since when by our clock.
    pub(crate) fn there(&self, now: u64) -> impl Iterator<Item = (DeviceId, u64)> {
        let believed = move |heard: &Heard| now.saturating_sub(heard.at) < BELIEVED_MS;
        self.heard.iter().filter(move |(_, heard)| believed(heard)).map(|(device, heard)| (*device, heard.since))
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
            let pause = PAUSE_MS.saturating_sub(now.saturating_sub(presence.said_at));
            if pause > 0 {
                if !std::mem::replace(&mut presence.put_off, true) {
                    let node = self.clone();
                    rt::spawn(async move {
                        rt::sleep(Duration::from_millis(pause)).await;
                        if let Some(circle) = node.0.state.borrow_mut().circles.get_mut(&circle) {
                            circle.presence.put_off = false;
                        }
                        node.say_there(circle);
                    });
                }
                return;
            }
            presence.said_at = now;
            codec::encode(&There::say(circle, &device, now))
        };
        if let Err(error) = self.0.net.publish(&minnet::Topic(Topic::Presence.id(circle)), bytes.into()) {
            tracing::debug!(%error, "presence not said");
        }
    }

    /// Hears who is there; who comes anew is greeted, so that they need not wait to see us. Who shall be linked is sought.
    pub(crate) fn hear_there(&self, circle: CircleId, bytes: &[u8]) {
        let Ok(there) = codec::decode::<There>(bytes, MAX_BYTES) else { return };
        let (came, sought, linked) = {
            let mut state = self.0.state.borrow_mut();
            let now = rt::now();
            let own = state.profile.device().id();
            let linked = state.links.is_up(&there.device);
            let Some(circle_state) = state.circles.get_mut(&circle) else { return };
            let friend = circle_state.engine.as_ref().is_some_and(|engine| engine.is_admitted(&there.device));
            if !friend || there.device == own || !there.holds(circle) {
                return;
            }
            let came = circle_state.presence.hear(&there, now);
            let present: Vec<DeviceId> = circle_state.presence.there(now).map(|(device, _)| device).collect();
            (came, are_neighbours(&own, &there.device, &present), linked)
        };
        if linked {
            // It may have been linked before it was known to be a friend.
            self.admit(there.device);
            self.drive(circle, |engine, now| engine.met(there.device, now));
        }
        if sought && let Err(error) = self.0.net.seek(minnet::Peer(there.device.0)) {
            tracing::debug!(%error, "a friend is not sought");
        }
        if came {
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
    use ledgerno_ledger::keys::DeviceKey;

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
        let first = There::say(circle, &device, 10);
        assert!(first.holds(circle) && !first.holds(CircleId([2; 32])));
        assert!(presence.hear(&first, 1_000_000));
        assert!(!presence.hear(&first, 1_000_001), "a replay");
        assert!(!presence.hear(&There::say(circle, &device, 11), 1_010_000), "it was there already");
        assert_eq!(presence.there(1_020_000).collect::<Vec<_>>(), [(device.id(), 1_000_000)]);
        assert_eq!(presence.there(1_010_000 + BELIEVED_MS).count(), 0);
        assert!(!presence.hear(&first, 1_010_000 + BELIEVED_MS), "an old saying does not bring it back");
        assert!(presence.hear(&There::say(circle, &device, 12), 1_010_001 + BELIEVED_MS));
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
