//! Who is there: every device says so now and then on the circle's presence topic, signed, and is believed for a while.
//! It is a hint for people, not of the ledger: nothing is stored, nothing rests on it.

use crate::driver::Node;
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
/// The most devices remembered.
const MAX_DEVICES: usize = 2_000;

/// Who was heard of in a circle.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    heard: SortedMap<DeviceId, Heard>,
    said_at: u64,
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

    /// Says that this device is there, unless it just did, or is not in the circle, or nobody is linked.
    pub(crate) fn say_there(&self, circle: CircleId) {
        let now = rt::now();
        let bytes = {
            let mut state = self.0.state.borrow_mut();
            let device = state.profile.device();
            let linked = state.links.up().next().is_some();
            let Some(circle_state) = state.circles.get_mut(&circle) else { return };
            let in_it = circle_state.engine.as_ref().is_some_and(ledgerno_engine::Engine::is_in);
            let presence = &mut circle_state.presence;
            if !linked || !in_it || now.saturating_sub(presence.said_at) < PAUSE_MS {
                return;
            }
            presence.said_at = now;
            codec::encode(&There::say(circle, &device, now))
        };
        if let Err(error) = self.0.net.publish(&minnet::Topic(Topic::Presence.id(circle)), bytes.into()) {
            tracing::debug!(%error, "presence not said");
        }
    }

    /// Hears who is there; who comes anew is greeted, so that they need not wait to see us.
    pub(crate) fn hear_there(&self, circle: CircleId, bytes: &[u8]) {
        let Ok(there) = codec::decode::<There>(bytes, MAX_BYTES) else { return };
        let came = {
            let mut state = self.0.state.borrow_mut();
            let own = state.profile.device().id();
            let Some(circle_state) = state.circles.get_mut(&circle) else { return };
            let friend = circle_state.engine.as_ref().is_some_and(|engine| engine.is_admitted(&there.device));
            friend && there.device != own && there.holds(circle) && circle_state.presence.hear(&there, rt::now())
        };
        if came {
            self.say_there(circle);
            self.changed();
        }
    }
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
}
