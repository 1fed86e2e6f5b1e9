//! Coming into a circle: founding one, or taking the parcel that an invite's secret opens.

use ledgerno_ledger::bytes::EntryId;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Invite;
use ledgerno_ledger::genesis::{self, Genesis, GenesisError, Kind, Predecessor, Rules};
use ledgerno_ledger::invite::InviteLink;
use ledgerno_ledger::keys::{DeviceKey, Identity, VoteSecret};
use ledgerno_ledger::seal::{LaneKey, LaneKeys};
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::wire::MAX_PARCEL;

/// What a parcel holds: all that a newcomer needs while every friend sleeps.
#[derive(Clone, Serialize, Deserialize)]
pub struct Parcel {
    /// The circle's genesis, encoded.
    pub genesis: Vec<u8>,
    /// The first epoch's lane keys.
    pub keys: LaneKeys,
    /// Those of later epochs, as many as find room.
    pub later: Vec<LaneKeys>,
    /// The invite as it was given.
    pub invite: Invite,
    /// The name of the member who gave it.
    pub by: String,
}

/// Why a parcel does not let one in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// The invite's secret does not open it, or it holds no parcel.
    #[error("the parcel does not open with the invite's secret")]
    Sealed,
    /// Its genesis is not one.
    #[error("the parcel's genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// It is of another circle or another invite than the link.
    #[error("the parcel belongs to another circle")]
    Foreign,
}

impl Parcel {
    /// Opens what the mailbox gave for a link, and checks that it belongs to it.
    ///
    /// # Errors
    /// [`ParcelError`].
    pub fn open(link: &InviteLink, sealed: &[u8]) -> Result<(Self, Genesis), ParcelError> {
        let secret = link.invite_secret();
        let plain = secret.open(sealed).map_err(|_| ParcelError::Sealed)?;
        let parcel: Parcel = codec::decode(&plain, MAX_PARCEL).map_err(|_| ParcelError::Sealed)?;
        let genesis = Genesis::decode(&parcel.genesis)?;
        let ours = genesis.id() == link.circle && parcel.invite.key == secret.key() && parcel.invite.check(link.circle);
        if ours { Ok((parcel, genesis)) } else { Err(ParcelError::Foreign) }
    }
}

/// A new circle: its genesis and the secrets that only its founder has.
pub struct Founding {
    /// Height 0.
    pub genesis: Genesis,
    /// The lane keys of epoch 0.
    pub keys: LaneKeys,
    /// The founder's vote.
    pub vote: VoteSecret,
}

/// Founds a private circle by the default rules.
///
/// # Errors
/// When the name is none ([`genesis::GenesisError::Name`]).
pub fn found(
    name: &str,
    identity: &Identity,
    device: &DeviceKey,
    random: &mut Random,
    now: u64,
) -> Result<Founding, GenesisError> {
    found_as(Kind::Private, None, name, identity, device, random, now)
}

/// Founds a circle by the default rules: private or readable by anyone, perhaps in succession of one whose quorum was
/// lost for good.
///
/// # Errors
/// When the name is none ([`genesis::GenesisError::Name`]).
pub fn found_as(
    kind: Kind,
    succeeds: Option<Predecessor>,
    name: &str,
    identity: &Identity,
    device: &DeviceKey,
    random: &mut Random,
    now: u64,
) -> Result<Founding, GenesisError> {
    let vote = VoteSecret::from_secret(random.bytes());
    let genesis = Genesis {
        version: genesis::VERSION,
        name: name.to_owned(),
        kind,
        founder: identity.member(),
        device: device.id(),
        box_key: device.box_key(),
        vote_key: vote.key(),
        rules: Rules::default(),
        salt: random.bytes(),
        created: now,
        succeeds,
    };
    genesis.check()?;
    let epoch = EntryId::from(genesis.id());
    let (state, talk) = (LaneKey::from_secret(random.bytes()), LaneKey::from_secret(random.bytes()));
    let keys = match kind {
        Kind::Private => LaneKeys { epoch, state, talk: Some(talk) },
        Kind::Readable => LaneKeys::readable(genesis.id(), epoch),
    };
    Ok(Founding { genesis, keys, vote })
}
