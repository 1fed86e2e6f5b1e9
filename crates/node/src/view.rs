//! Beside what an engine shows: who is linked, how, and what is wrong.

use crate::driver::Node;
use crate::error::NodeError;
use crate::links::{LinkState, Tried, Up};
use crate::store::Store;
use ledgerno_engine::Engine;
use ledgerno_engine::view::Shown;
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::codec;
use ledgerno_ledger::proof::Subject;
use ledgerno_ledger::settle::Refusal;

/// What a person is warned of.
#[derive(Clone, Debug, PartialEq)]
pub enum Alert {
    /// The store takes nothing.
    Store(NodeError),
    /// No link to a relay, for a reason that trying again does not mend.
    Relay(NodeError),
    /// The relay says that it does not keep the circle.
    Unkept,
    /// This device was taken for lost, and another settles since: what it had settled alone above the height is void.
    Overruled {
        /// The height.
        height: u64,
    },
    /// A friend's entry names another settled header than ours.
    Divided {
        /// The height.
        height: u64,
        /// The friend's name.
        name: String,
    },
    /// Two headers of one height are certified: nothing is shown as settled any more.
    Twice {
        /// The height.
        height: u64,
    },
    /// A settled header does not hold.
    Settlement {
        /// Its height.
        height: u64,
        /// Why.
        why: Refusal,
    },
}

impl<S: Store> Node<S> {
    /// The nodes that links stand to.
    pub fn links(&self) -> Vec<(DeviceId, Up)> {
        self.0.state.borrow().links.up().map(|(peer, up)| (*peer, *up)).collect()
    }

    /// Where the links to a circle's relays stand: the best of them.
    pub fn relay_state(&self, circle: CircleId) -> LinkState {
        let state = self.0.state.borrow();
        let relays = state.circles.get(&circle).map(|circle| &circle.record.relays[..]).unwrap_or_default();
        let states = relays.iter().filter_map(|relay| state.links.relay(&relay.peer)).map(|(state, _)| state);
        states
            .min_by_key(|state| match state {
                LinkState::Connected => 0,
                LinkState::Connecting => 1,
                LinkState::Off => 2,
            })
            .unwrap_or(LinkState::Off)
    }

    /// The newest entries that are shown, oldest of them first. Older ones that are not in memory are read back; the
    /// listener is told when they are there.
    ///
    /// # Errors
    /// As [`Node::look`].
    pub fn timeline(&self, circle: CircleId, limit: usize) -> Result<Vec<Shown>, NodeError> {
        let shown = self.look(circle, |engine| engine.timeline(limit))?;
        if shown.len() < limit {
            self.drive(circle, |engine, _| engine.look_back());
        }
        Ok(shown)
    }

    /// Sees to it that what the newest settled stamps say is in memory; the listener is told when it was read.
    pub fn bring_stamps(&self, circle: CircleId) {
        self.drive(circle, |engine, _| engine.bring_stamps());
    }

    /// What a proof file is made from ([`Parts`](ledgerno_ledger::proof::Parts), encoded); or what that takes is read or
    /// fetched first: then [`ProveError::NotHeld`](ledgerno_engine::ProveError::NotHeld), and the listener is told when it
    /// is there.
    ///
    /// # Errors
    /// [`NodeError::Prove`], and as [`Node::look`].
    pub fn prove(&self, circle: CircleId, subject: Subject) -> Result<Vec<u8>, NodeError> {
        match self.drive(circle, |engine, _| engine.prove(subject)) {
            Some(parts) => Ok(codec::encode(&parts?)),
            None => Err(self.look(circle, |_| ()).err().unwrap_or(NodeError::NoCircle)),
        }
    }

    /// The last attempt at a friend that came to nothing.
    pub fn last_try(&self, peer: &DeviceId) -> Option<Tried> {
        self.0.state.borrow().links.tried(peer)
    }

    /// The friends' devices that are there, and since when.
    pub fn present(&self, circle: CircleId) -> Vec<(DeviceId, u64)> {
        let state = self.0.state.borrow();
        if state.links.up().next().is_none() {
            return Vec::new();
        }
        state.circles.get(&circle).map(|circle| circle.presence.there(crate::rt::now()).collect()).unwrap_or_default()
    }

    /// What a person is warned of.
    pub fn alerts(&self, circle: CircleId) -> Vec<Alert> {
        let state = self.0.state.borrow();
        let Some(circle) = state.circles.get(&circle) else { return Vec::new() };
        let store = circle.stalled.clone().map(Alert::Store);
        let refused = circle
            .record
            .relays
            .iter()
            .filter_map(|relay| state.links.relay(&relay.peer)?.1.cloned().map(Alert::Relay));
        let unkept = circle.unkept.then_some(Alert::Unkept);
        let overruled = circle.overruled.map(|height| Alert::Overruled { height });
        let divided = circle.engine.iter().flat_map(divided);
        let settlement = circle.engine.as_ref().map(Engine::refusals).unwrap_or_default();
        let settlement = settlement.iter().filter(|(_, why)| !matches!(why, Refusal::Conflict { .. }));
        let settlement = settlement.map(|(height, why)| Alert::Settlement { height: *height, why: why.clone() });
        // Known over a restart, which refusals are not.
        let twice = circle.engine.as_ref().and_then(Engine::conflict);
        let settlement = twice.map(|theirs| Alert::Twice { height: theirs.height() }).into_iter().chain(settlement);
        store.into_iter().chain(refused).chain(unkept).chain(overruled).chain(settlement).chain(divided).collect()
    }
}

/// Friends who name another settled header than ours.
fn divided(engine: &Engine) -> Vec<Alert> {
    let divisions = engine.divisions();
    if divisions.is_empty() {
        return Vec::new();
    }
    let members = engine.members();
    let name = |device| members.iter().find(|member| member.devices.contains(device)).map(|member| member.name.clone());
    divisions
        .iter()
        .map(|divided| Alert::Divided { height: divided.height, name: name(&divided.by).unwrap_or_default() })
        .collect()
}
