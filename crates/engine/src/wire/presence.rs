//! Who is there.

use ledgerno_ledger::bytes::{CircleId, DeviceId, Signature};
use ledgerno_ledger::hash;
use ledgerno_ledger::keys::DeviceKey;
use ledgerno_ledger::verify::verify;
use serde::{Deserialize, Serialize};

/// "I am there", on the circle's presence topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct There {
    /// Who.
    pub device: DeviceId,
    /// The sayer's clock, in milliseconds since 1970: a later saying is newer, an older one is a replay.
    pub time: u64,
    /// The device's, over the circle and the above.
    pub signature: Signature,
}

impl There {
    /// Says it.
    pub fn say(circle: CircleId, device: &DeviceKey, time: u64) -> Self {
        let id = device.id();
        There { device: id, time, signature: device.sign(&Self::message(circle, id, time)) }
    }

    /// Whether the device says it.
    pub fn holds(&self, circle: CircleId) -> bool {
        verify(&self.device.0, &Self::message(circle, self.device, self.time), &self.signature)
    }

    fn message(circle: CircleId, device: DeviceId, time: u64) -> [u8; 32] {
        hash::hash(hash::context::PRESENCE, &[&circle.0, &device.0, &time.to_le_bytes()])
    }
}
