//! How well a peer behaves, as GossipSub v1.1 has it: the parts that can be told in circles where most hear of a message from
//! several at once. Good deeds count little and fade soon; bad ones count much and fade slowly. The bad ones outlast a link:
//! [`Faults`].

use serde::{Deserialize, Serialize};

/// What a heartbeat leaves of a good deed, and of a bad one: half of it fades in a minute, and in ten.
const GOOD_FADES: f32 = 0.9885;
const BAD_FADES: f32 = 0.998_85;
/// First deliveries count so much each, and at most so much in all: nobody farms a credit for later.
const DELIVERY: f32 = 0.5;
const MAX_DELIVERIES: f32 = 20.0;
/// A message or part that is not as it must be.
const WRONG: f32 = -10.0;
/// From here on, the square of what somebody does that no honest node does.
const FORGIVEN: f32 = 3.0;
const MISBEHAVIOUR: f32 = -2.0;

/// Below this, nothing is told to or asked of a peer.
pub(super) const GOSSIP: f32 = -10.0;
/// Below this, nothing that it says is taken.
pub(super) const IGNORED: f32 = -80.0;

/// Faults are kept in parts of one; what is less than a tenth is forgotten.
const PARTS: f32 = 1_000.0;
const FORGOTTEN: u64 = 100;

/// The bad deeds of a peer, in thousandths of one, for they fade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Messages and parts that were not as they must be.
    pub wrong: u32,
    /// What no honest node does.
    pub misbehaviour: u32,
}

impl Faults {
    /// What is left of them later.
    pub(crate) fn after(self, ms: u64) -> Self {
        let fades = BAD_FADES.powi(i32::try_from(ms / 1_000).unwrap_or(i32::MAX));
        Faults { wrong: (self.wrong as f32 * fades) as u32, misbehaviour: (self.misbehaviour as f32 * fades) as u32 }
    }

    pub(crate) fn sum(self) -> u64 {
        u64::from(self.wrong) + u64::from(self.misbehaviour)
    }

    pub(crate) fn is_forgotten(self) -> bool {
        self.sum() < FORGOTTEN
    }
}

/// One peer's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    deliveries: f32,
    wrong: f32,
    misbehaviour: f32,
}

impl Score {
    /// Of a peer that comes with faults.
    pub(super) fn with(faults: Faults) -> Self {
        let whole = |parts: u32| parts as f32 / PARTS;
        Score { deliveries: 0.0, wrong: whole(faults.wrong), misbehaviour: whole(faults.misbehaviour) }
    }

    pub(super) fn faults(&self) -> Faults {
        let parts = |whole: f32| (whole * PARTS).round() as u32;
        Faults { wrong: parts(self.wrong), misbehaviour: parts(self.misbehaviour) }
    }

    pub(super) fn value(&self) -> f32 {
        let over = (self.misbehaviour - FORGIVEN).max(0.0);
        self.deliveries * DELIVERY + self.wrong * WRONG + over * over * MISBEHAVIOUR
    }

    /// It was the first to bring a message.
    pub(super) fn delivered(&mut self) {
        self.deliveries = (self.deliveries + 1.0).min(MAX_DELIVERIES);
    }

    pub(super) fn wrong(&mut self, parts: usize) {
        self.wrong += parts as f32;
    }

    pub(super) fn misbehaved(&mut self) {
        self.misbehaviour += 1.0;
    }

    /// A heartbeat has passed.
    pub(super) fn fade(&mut self) {
        self.deliveries *= GOOD_FADES;
        self.wrong *= BAD_FADES;
        self.misbehaviour *= BAD_FADES;
    }
}
