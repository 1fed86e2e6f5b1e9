//! The payload by which a side says who it is: libp2p's protobuf `NoiseHandshakePayload`, of which two fields are used.

use libp2p::{PeerId, identity::ed25519};

use super::NoiseError;
use crate::proto::{Fields, Value, put_bytes};

/// Field 1, a byte string: the identity key. Field 2: its signature.
const IDENTITY_KEY: u64 = 1;
const IDENTITY_SIG: u64 = 2;
/// A protobuf `PublicKey` of an Ed25519 key: field 1 is 1, field 2 has 32 bytes.
const ED25519_KEY: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

/// What an identity signs.
pub(super) fn signed(public: &[u8; 32]) -> Vec<u8> {
    [&b"noise-libp2p-static-key:"[..], public].concat()
}

/// An identity's payload.
pub(super) fn write(key: &[u8; 32], signature: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    put_bytes(&mut payload, IDENTITY_KEY as u8, &[&ED25519_KEY, &key[..]].concat());
    put_bytes(&mut payload, IDENTITY_SIG as u8, signature);
    payload
}

/// Whose payload it is, if its identity signed the static key.
pub(super) fn verify(payload: &[u8], public: &[u8; 32]) -> Result<PeerId, NoiseError> {
    let (mut identity, mut signature) = (&[][..], &[][..]);
    for field in Fields(payload) {
        match field.map_err(|_| NoiseError::Malformed)? {
            (IDENTITY_KEY, Value::Bytes(value)) => identity = value,
            (IDENTITY_SIG, Value::Bytes(value)) => signature = value,
            _ => {}
        }
    }
    let key = identity.strip_prefix(&ED25519_KEY).ok_or(NoiseError::OtherKey)?;
    let key = ed25519::PublicKey::try_from_bytes(key).map_err(|_| NoiseError::OtherKey)?;
    if !key.verify(&signed(public), signature) {
        return Err(NoiseError::Signature);
    }
    Ok(PeerId::from_public_key(&key.into()))
}
