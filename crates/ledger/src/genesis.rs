//! Genesis: what a circle starts from. Its hash is the circle's id, and it is height 0 of the settlement.

use crate::bytes::{BoxKey, CircleId, DeviceId, Hash, MemberId, VoteKey, fixed};
use crate::codec::{self, CodecError, encode};
use crate::entry::{Anchor, MAX_BODY};
use crate::hash::{context, hash};
use crate::keys::{KeyError, check_box_key, check_key};
use crate::op::{NameError, check_name};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version of the genesis format and of all rules under it.
pub const VERSION: u8 = 1;
/// The most bytes of an encoded genesis.
pub const MAX_GENESIS: usize = 1_024;

/// Who can read a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Its members.
    Private,
    /// Anyone: the lane keys are published, so that anyone can audit it.
    Readable,
}

/// Who may give invites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inviters {
    /// Every member.
    Members,
    /// The founder alone.
    Founder,
}

/// The numbers that a circle plays by. Times are in milliseconds unless their names say days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Points granted on joining.
    pub grant: u64,
    /// Points that a member gets to give away each week.
    pub allowance: u64,
    /// Points shared each week by the proposers of headers.
    pub reward: u64,
    /// How many liars the settlement bears (B); none given: a third of the witnesses less one.
    pub liars: Option<u8>,
    /// Who may give invites.
    pub inviters: Inviters,
    /// The longest sealed body in bytes; at most [`MAX_BODY`].
    pub body_limit: u32,
    /// How many days talk bodies are kept; 0: for ever.
    pub retention_days: u32,
    /// How many joins by one invite may be unsettled (k).
    pub unsettled_joins: u32,
    /// Within how many heights a witness's readiness must have been said (N).
    pub witness_ready_window: u64,
    /// How far a header's time may be ahead of a voter's clock (bound), in milliseconds.
    pub clock_bound_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            grant: 100,
            allowance: 20,
            reward: 20,
            liars: None,
            inviters: Inviters::Members,
            body_limit: MAX_BODY as u32,
            retention_days: 0,
            unsettled_joins: 64,
            witness_ready_window: 1_000,
            clock_bound_ms: 10 * 60 * 1_000,
        }
    }
}

/// The start of a circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// [`VERSION`].
    pub version: u8,
    /// The circle's name, by the rule of [`check_name`].
    pub name: String,
    /// Who can read it.
    pub kind: Kind,
    /// The founder's identity.
    pub founder: MemberId,
    /// The founder's device, the first witness.
    pub device: DeviceId,
    /// That device's X25519 key.
    pub box_key: BoxKey,
    /// The founder's vote key: the witness set of height 1.
    pub vote_key: VoteKey,
    /// The numbers to play by.
    pub rules: Rules,
    /// Random, so that no two circles are one.
    #[serde(with = "fixed")]
    pub salt: [u8; 32],
    /// The founder's clock, in milliseconds since 1970.
    pub created: u64,
    /// The circle that this one succeeds, whose quorum was lost for good. Its members opt in one by one, by invites like
    /// all others.
    pub succeeds: Option<Predecessor>,
}

/// A circle that is succeeded, as its last settled header left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// The circle.
    pub circle: CircleId,
    /// Its last settled header.
    pub header: Anchor,
    /// The root of its state, as that header says.
    pub state_root: Hash,
}

/// Why a genesis is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Of a format that this code does not know.
    #[error("version {0} of the genesis is unknown")]
    Version(u8),
    /// The circle's name breaks the rule for names.
    #[error("the circle's name: {0}")]
    Name(NameError),
    /// A key that no member may have.
    #[error("a key of the founder: {0}")]
    Key(KeyError),
    /// A body limit that no body keeps, or above [`MAX_BODY`].
    #[error("the body limit of {0} bytes is out of range")]
    BodyLimit(u32),
}

impl Genesis {
    /// The circle's id.
    pub fn id(&self) -> CircleId {
        CircleId(hash(context::GENESIS, &[&encode(self)]))
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a genesis and checks it.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Self = codec::decode(bytes, MAX_GENESIS)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// Whether a circle may start from it.
    ///
    /// # Errors
    /// [`GenesisError`], by the first rule broken.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.version != VERSION {
            return Err(GenesisError::Version(self.version));
        }
        check_name(&self.name).map_err(GenesisError::Name)?;
        for key in [&self.founder.0, &self.device.0, &self.vote_key.0] {
            check_key(key).map_err(GenesisError::Key)?;
        }
        check_box_key(&self.box_key).map_err(GenesisError::Key)?;
        if self.rules.are_in_range() { Ok(()) } else { Err(GenesisError::BodyLimit(self.rules.body_limit)) }
    }
}

impl Rules {
    /// Whether a circle can go by them.
    pub fn are_in_range(&self) -> bool {
        (1_024..=MAX_BODY as u32).contains(&self.body_limit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::hostile::Circle;

    #[test]
    fn a_genesis_reads_back_and_no_cut_of_it_does() {
        let longest = Genesis { name: "👪".repeat(64), ..Circle::new(1).genesis };
        let bytes = longest.encode();
        assert_eq!(Genesis::decode(&bytes).unwrap(), longest);
        for len in 0..bytes.len() {
            assert!(Genesis::decode(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn each_rule_is_kept() {
        let good = Circle::new(1).genesis;
        let refusal = |change: fn(&mut Genesis)| {
            let mut genesis = good.clone();
            change(&mut genesis);
            Genesis::decode(&genesis.encode()).unwrap_err()
        };
        let small = GenesisError::Key(KeyError::SmallOrder);
        assert_eq!(refusal(|genesis| genesis.version = 2), GenesisError::Version(2));
        assert_eq!(refusal(|genesis| genesis.name.clear()), GenesisError::Name(NameError::Empty));
        assert_eq!(refusal(|genesis| genesis.founder = MemberId([0; 32])), small);
        assert_eq!(refusal(|genesis| genesis.device = DeviceId([0; 32])), small);
        assert_eq!(refusal(|genesis| genesis.vote_key = VoteKey([0; 32])), small);
        assert_eq!(refusal(|genesis| genesis.box_key = BoxKey([0; 32])), small);
        assert_eq!(refusal(|genesis| genesis.rules.body_limit = 0), GenesisError::BodyLimit(0));
        assert_eq!(refusal(|genesis| genesis.rules.body_limit = 65_537), GenesisError::BodyLimit(65_537));
    }

    #[test]
    fn every_field_is_in_the_id() {
        let genesis = Circle::new(1).genesis;
        let other = Genesis { salt: [0; 32], ..genesis.clone() };
        assert_ne!(genesis.id(), other.id());
        assert_ne!(genesis.id(), Genesis { created: 1_001, ..genesis }.id());
    }
}
