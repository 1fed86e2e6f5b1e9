//! That a device forked: two entries of one place in its chain, both signed by it. Anybody can check it, and say so.

use super::ProofError;
use crate::bytes::{CircleId, DeviceId};
use crate::codec::{self, CodecError, encode};
use crate::entry::{MAX_SIGNED, Signed, VERSION};
use crate::keys::check_key;
use crate::verify::verify;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The most bytes of an encoded [`ForkProof`].
pub const MAX_FORK: usize = 2 * (MAX_SIGNED + 2);

/// Two entries of one (device, seq).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// The one with the lower id.
    one: Signed,
    /// The other.
    other: Signed,
}

impl ForkProof {
    /// Of two entries, in either order, if they are a fork.
    pub fn new(circle: CircleId, one: Signed, other: Signed) -> Option<Self> {
        let in_order = one.entry.id(circle) < other.entry.id(circle);
        let (one, other) = if in_order { (one, other) } else { (other, one) };
        let proof = ForkProof { one, other };
        proof.check(circle).is_ok().then_some(proof)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a proof, of which nothing is checked yet.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_FORK)
    }

    /// Which device forked, and at which seq.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, circle: CircleId) -> Result<(DeviceId, u64), ProofError> {
        let (one, other) = (&self.one.entry, &self.other.entry);
        if one.version != VERSION || other.version != VERSION {
            return Err(ProofError::Version);
        }
        let (id, other_id) = (one.id(circle), other.id(circle));
        if (one.device, one.seq) != (other.device, other.seq) || id >= other_id {
            return Err(ProofError::Other);
        }
        // A key of small order "signs" anything.
        check_key(&one.device.0).map_err(|_| ProofError::Signature)?;
        let signed = verify(&one.device.0, &id.0, &self.one.signature)
            && verify(&one.device.0, &other_id.0, &self.other.signature);
        if signed { Ok((one.device, one.seq)) } else { Err(ProofError::Signature) }
    }

    /// Both entries, the one with the lower id first.
    pub fn entries(&self) -> [&Signed; 2] {
        [&self.one, &self.other]
    }
}
